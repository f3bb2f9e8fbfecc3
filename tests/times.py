#!/usr/bin/env python3
"""How long each test takes by itself: seconds of the clock, of processors, and how many processors it keeps busy.

    tests/times.py [BUILD_DIRECTORY] [-R PATTERN]

runs the tests of a build one after the other, as ctest would, and prints a table, the longest first. Behind it stand the tests
whose COST or PROCESSORS (tests/CMakeLists.txt) tell ctest something else. Seconds of processors mean something on a busy machine
too, those of the clock do not.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
LONG = 5  # seconds from which on a test should have a cost


def read_tests(build, pattern):
    found = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-R", pattern], check=True,
                           stdout=subprocess.PIPE)
    for test in json.loads(found.stdout)["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        if "command" in test and not properties.get("DISABLED"):
            yield test["name"], test["command"], properties


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(command, properties):
    """Seconds of the clock and of processors, and what became of the test."""
    environment = {**os.environ, **dict(line.split("=", 1) for line in properties.get("ENVIRONMENT", []))}
    clock, used = time.monotonic(), processor_seconds()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        code = subprocess.run(command, env=environment, cwd=properties.get("WORKING_DIRECTORY"), stdin=subprocess.DEVNULL,
                              stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        output.seek(0)
        said = output.read()
    skipped = code == SKIPPED or any(re.search(text, said) for text in properties.get("SKIP_REGULAR_EXPRESSION", []))
    return time.monotonic() - clock, processor_seconds() - used, "skipped" if skipped else "failed" if code else ""


def advice(seconds, busy, properties):
    """What ctest is told wrongly. The seconds of costs are rough: they are for the order alone."""
    cost, processors = properties.get("COST", 0), properties.get("PROCESSORS", 1)
    if seconds >= LONG and not seconds / 3 <= cost <= 3 * seconds:
        yield f"COST {cost:g}, and it takes {seconds:.0f} s"
    if seconds >= LONG and not processors - 1.3 <= busy <= processors + 0.5:
        yield f"PROCESSORS {processors}, and it keeps {busy:.1f} busy"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default=Path(__file__).resolve().parent.parent / "build", type=Path)
    parser.add_argument("-R", dest="pattern", default=".", help="tests whose name matches this expression")
    arguments = parser.parse_args()
    rows, failed = [], False
    for name, command, properties in read_tests(arguments.build, arguments.pattern):
        seconds, used, end = measure(command, properties)
        failed |= end == "failed"
        print(f"{name} {seconds:.2f} {used:.2f} {end}".rstrip(), file=sys.stderr, flush=True)
        rows.append((seconds, used, end, name, properties))
    rows.sort(key=lambda row: -row[0])
    print("   clock  processors   busy  test")
    for seconds, used, end, name, _ in rows:
        print(f"{seconds:8.2f}{used:12.2f}{used / seconds:7.2f}  {name} {end}".rstrip())
    print(f"{sum(row[0] for row in rows):8.0f}{sum(row[1] for row in rows):12.0f}         {len(rows)} tests")
    for seconds, used, _, name, properties in rows:
        for text in advice(seconds, used / seconds, properties):
            print(f"{name}: {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

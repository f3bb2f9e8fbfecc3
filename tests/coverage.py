#!/usr/bin/env python3
"""coverage.py [BUILD]: what the tests that have run in BUILD (default: build-coverage) have reached, by folder.

    cmake --preset coverage && cmake --build --preset coverage
    find build-coverage -name '*.gcda' -delete      # what earlier tests have reached
    ctest --preset coverage -j 2
    tests/coverage.py

Prints a table in Markdown, and every function that no test has reached. A line that is compiled several times, as for each CPU
level, counts as reached where it was reached once. Needs gcov, which comes with gcc."""
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = re.compile(r"(src/[^/]+|src/tensor/operations|data_prep)/")


def counted(notes):
    """What gcov says of one object: (file, lines, branches, functions), each with the number of times it was reached."""
    data = notes[:-5] + ".gcda"
    said = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", data if os.path.exists(data) else notes],
                          capture_output=True, text=True, check=True).stdout
    for line in filter(None, said.splitlines()):
        report = json.loads(line)
        for file in report["files"]:
            path = os.path.relpath(os.path.join(report["current_working_directory"], file["file"]), SOURCE)
            if FOLDERS.match(path):
                yield (path, [(at["line_number"], at["count"]) for at in file["lines"]],
                       [((at["line_number"], number), branch["count"]) for at in file["lines"]
                        for number, branch in enumerate(at["branches"])],
                       [(at["name"], at["execution_count"]) for at in file["functions"]])


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(SOURCE, "build-coverage"))
    notes = [os.path.join(folder, name) for folder, _, names in os.walk(build) for name in names if name.endswith(".gcno")]
    os.chdir(build)
    reached = [collections.Counter() for _ in range(3)]  # (path, line, branch or function): how often
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for objects in pool.map(lambda path: list(counted(path)), notes):
            for path, *kinds in objects:
                for counter, entries in zip(reached, kinds):
                    for what, count in entries:
                        counter[path, what] += count
    folders = collections.defaultdict(lambda: [[0, 0] for _ in range(3)])
    for kind, counter in enumerate(reached):
        for (path, _), count in counter.items():
            for folder in (os.path.dirname(path) if path.startswith("src/") else "data_prep", "all"):
                folders[folder][kind][0] += count > 0
                folders[folder][kind][1] += 1
    print("| folder | lines | functions | branches |\n| --- | --- | --- | --- |")
    for folder in sorted(folders, key=lambda name: (name == "all", name)):
        lines, branches, functions = (f"{100 * hit / all:.1f} % of {all}" if all else "none" for hit, all in folders[folder])
        print(f"| {folder} | {lines} | {functions} | {branches} |")
    print("\nFunctions that no test has reached:\n")
    for path, name in sorted(where for where, count in reached[2].items() if count == 0):
        print(f"{path}: {name}")


main()

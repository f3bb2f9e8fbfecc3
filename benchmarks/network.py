#!/usr/bin/env python3
"""Steps over links of given rates, beside what the model of the network says.

  network.py --config CONFIG.yaml --set data.path=DATA [options]

Hosts are network namespaces of this machine (tests/hosts.sh) with one rank each; tc limits what each sends and what it receives.
README.md here says how to read the results."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import launcher
from launcher import Failure

SAMPLED = ["training.loss=bpr"]
CASES = {
    "fp32": ["model.item_table=replicated"],
    "bf16": ["model.item_table=replicated", "training.reduction_precision=bf16"],
    "sampled": [*SAMPLED, "model.item_table=replicated", "training.item_updates=deferred"],
    "sampled, divided": [*SAMPLED, "model.item_table=divided"],
}
WHOLE_STEPS = ("sampled", "sampled, divided")  # exchanges lie between other work: they are not timed apart
PAYLOAD = 1448 / 1514  # of the bytes that tc counts, what a segment of TCP carries


def numbers(text):
    return [int(part) for part in text.split(",")]


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="network.py", allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, metavar="CONFIG.yaml")
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="section.key=value")
    parser.add_argument("--megabits", type=numbers, default=[100, 1000], help="rates of links; 100,1000 by default")
    parser.add_argument("--hosts", type=numbers, default=[2, 3, 4])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--latency", type=float, default=50, help="of a message between hosts, in us; 50 by default")
    parser.add_argument("--output", type=Path, default=Path("runs/network"))
    return parser.parse_args(arguments)


def plan(options, hosts, case, megabits):
    """Seconds that the network takes in a step, by `srtrain plan`."""
    path = options.output / "measurements" / "plan.json"
    words = [launcher.program("srtrain"), "plan", options.config, "--json", "--ranks", str(hosts), "--ranks-per-node", "1",
             "--latency", str(options.latency), "--bandwidth", str(PAYLOAD * megabits / 8e3), "--threads", "1"]
    for assignment in [*options.set, *CASES[case]]:
        words += ["--set", assignment]
    launcher.run(words, path)
    table = launcher.read_json(path)["item_table"]
    return table[table["chosen"]]["network_seconds"]


def measure(options, hosts, case, megabits):
    """Milliseconds of a step and of its reduction on the rank that waits least: medians over steps."""
    name = f"{case.replace(', ', '-')}-{hosts}-hosts-{megabits or 'unlimited'}"
    path = options.output / "measurements" / f"{name}.json"
    path.unlink(missing_ok=True)
    words = ["bash", "-c", '$ON_HOSTS "$@"', "hosts", ",".join(["1"] * hosts), launcher.program("benchmarks/benchmark_step"),
             "--json", str(path), options.config, str(options.steps), *options.set, *CASES[case], "training.threads=1"]
    mpi = launcher.cached("MPIEXEC_EXECUTABLE", "mpirun")
    environment = {**os.environ, "HOSTS_MEGABITS": str(megabits or "")}
    done = subprocess.run([str(launcher.SOURCE / "tests/hosts.sh"), mpi, *words], env=environment, capture_output=True, text=True,
                          check=False)
    if done.returncode == 77:
        raise Failure(done.stdout.strip(), 2)
    if done.returncode != 0:
        raise Failure(f"{name} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-1500:]}")
    found = launcher.read_json(path)
    slowest, least = found["maximum_over_ranks"], found["minimum_over_ranks"]
    return {"step_ms": median(slowest["step"]), "reduction_ms": median(least["reduction"]),
            "other_ms": median(s - r for s, r in zip(slowest["step"], least["reduction"])),
            "sent_bytes": sum(found["sent_bytes_per_step"].values())}


def compare(options):
    rows = []
    for case in options.cases:
        for hosts in options.hosts:
            whole = case in WHOLE_STEPS and measure(options, hosts, case, None)
            for megabits in options.megabits:
                print(f"{case}, {hosts} hosts, {megabits} Mbit/s", file=sys.stderr)
                found = measure(options, hosts, case, megabits)
                network = 1e3 * plan(options, hosts, case, megabits)
                other = whole["step_ms"] if whole else found["other_ms"]
                rows.append({"case": case, "hosts": hosts, "megabits": megabits, **found, "network_ms": network,
                             "work_ms": other, "projected_ms": other + network,
                             "error": (other + network) / found["step_ms"] - 1})
    return rows


def report(rows):
    lines = ["| case | hosts | Mbit/s | KB sent by a rank | step, ms | of it reduction | network by the model | projected step | error |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        lines.append("| {case} | {hosts} | {megabits} | {kilobytes:.0f} | {step_ms:.1f} | {reduction_ms:.1f} | {network_ms:.1f} | "
                     "{projected_ms:.1f} | {error:+.1%} |".format(kilobytes=1e-3 * row["sent_bytes"], **row))
    return lines


def main(arguments):
    options = read_options(arguments)
    (options.output / "measurements").mkdir(parents=True, exist_ok=True)
    rows = compare(options)
    (options.output / "network.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = "\n".join(report(rows))
    (options.output / "network.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    launcher.run_main(main)

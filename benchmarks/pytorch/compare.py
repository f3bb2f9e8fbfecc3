#!/usr/bin/env python3
"""Runs benchmark_step of srtrain and step.py by turns, one thread each, and prints the ratio. benchmarks/run.sh peers calls it.

    compare.py BENCHMARK_STEP CONFIG.yaml DATA [STEPS] [section.key=value ...] [--tuned] [--separated] [--sparse]
                              [--precision fp32|bf16] [--json FILE]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from settings import UsageError, read

ROUNDS = 2
PARTS = ["step", "data", "forward", "loss", "backward", "optimizer"]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh peers", description="srtrain and PyTorch by turns, one thread each.")
    parser.add_argument("benchmark_step", help=argparse.SUPPRESS)
    parser.add_argument("config")
    parser.add_argument("data")
    parser.add_argument("rest", nargs="*", metavar="STEPS and section.key=value",
                        help="steps of PyTorch a round (default 10; srtrain takes ten times as many), and settings of both")
    parser.add_argument("--tuned", action="store_true", help="of PyTorch, see step.py --help")
    parser.add_argument("--separated", action="store_true", help="likewise")
    parser.add_argument("--sparse", action="store_true", help="likewise")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="of PyTorch; training.precision=bf16 is for both")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_intermixed_args()
    arguments.steps = int(arguments.rest.pop(0)) if arguments.rest and arguments.rest[0].isdigit() else 10
    if arguments.steps < 1 or any("=" not in assignment for assignment in arguments.rest):
        parser.error("STEPS is a whole number from 1, settings are section.key=value")
    return arguments


def commands(arguments):
    """The command of each program, but for the file of its results."""
    srtrain = [arguments.benchmark_step, "--json", None, arguments.config, str(10 * arguments.steps), f"data.path={arguments.data}"]
    pytorch = [sys.executable, str(Path(__file__).with_name("step.py")), "--json", None, arguments.config, arguments.data,
               "--steps", str(arguments.steps)]
    for assignment in arguments.rest:
        srtrain.append(assignment)
        pytorch += ["--set", assignment]
    pytorch += ["--tuned"] * arguments.tuned + ["--separated"] * arguments.separated + ["--sparse"] * arguments.sparse
    pytorch += ["--precision", arguments.precision] if arguments.precision else []
    return {"srtrain": srtrain, "pytorch": pytorch}


def run(command):
    """The results of one program; its own output goes to the terminal only if it fails."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "results.json")
        done = subprocess.run([path if word is None else word for word in command], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            sys.stderr.write(done.stdout)
            sys.exit(done.returncode if done.returncode > 0 else 1)
        return json.loads(path.read_text(encoding="utf-8"))


def median_of(results, program, part):
    return statistics.median(results[program]["milliseconds"][part])


def summarise(arguments, rounds):
    medians = {part: {program: statistics.fmean(median_of(results, program, part) for results in rounds) for program in rounds[0]}
               for part in PARTS}
    fastest = {program: min(min(results[program]["milliseconds"]["step"]) for results in rounds) for program in rounds[0]}
    return {
        "configuration": arguments.config, "settings": arguments.rest, "steps": arguments.steps, "tuned": arguments.tuned,
        "separated": arguments.separated, "precision": rounds[0]["pytorch"]["precision"],
        "ratio": medians["step"]["pytorch"] / medians["step"]["srtrain"],
        "ratio_of_minima": fastest["pytorch"] / fastest["srtrain"],
        "ratio_of_rounds": [median_of(results, "pytorch", "step") / median_of(results, "srtrain", "step") for results in rounds],
        "medians_milliseconds": medians,
        "peak_memory_mebibytes": {
            program: max(results[program]["peak_memory_mebibytes"] for results in rounds) for program in rounds[0]},
        "load_average": os.getloadavg()[0], "rounds": rounds,
    }


def print_table(summary):
    kind = [summary["precision"]] + [name for name in ("tuned", "separated") if summary[name]]
    print(f"{'part':10} {'srtrain':>10} {'PyTorch':>10} {'ratio':>8}   (ms, medians, mean of the rounds; one thread each; "
          f"PyTorch: {', '.join(kind)})")
    for part, times in summary["medians_milliseconds"].items():
        ratio = times["pytorch"] / times["srtrain"] if times["srtrain"] > 0 else float("nan")
        print(f"{part:10} {times['srtrain']:10.3f} {times['pytorch']:10.3f} {ratio:8.1f}")
    memory = summary["peak_memory_mebibytes"]
    print(f"{'peak MiB':10} {memory['srtrain']:10.0f} {memory['pytorch']:10.0f} {memory['pytorch'] / memory['srtrain']:8.1f}")
    print(f"ratio of steps by rounds: {', '.join(f'{ratio:.1f}' for ratio in summary['ratio_of_rounds'])}; of the fastest steps: "
          f"{summary['ratio_of_minima']:.1f}")
    print(f"srtrain: {summary['rounds'][0]['srtrain']['libraries']}\npytorch: {summary['rounds'][0]['pytorch']['libraries']}")
    if summary["load_average"] > 1.5:
        print(f"load average {summary['load_average']:.1f}: other programs are running, so that all times are too long")


def main():
    arguments = parse_arguments()
    try:
        read(arguments.config, arguments.rest)  # before srtrain runs in vain
    except UsageError as error:
        print(f"benchmarks/run.sh peers: {error}", file=sys.stderr)
        return 2
    programs = commands(arguments)
    rounds = []
    for number in range(ROUNDS):
        results = {}
        for name, command in programs.items():
            print(f"round {number + 1} of {ROUNDS}: {name}", file=sys.stderr)
            results[name] = run(command)
        rounds.append(results)
    summary = summarise(arguments, rounds)
    print_table(summary)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(summary, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

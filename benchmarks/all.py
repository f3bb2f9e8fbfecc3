#!/usr/bin/env python3
"""Runs every benchmark in one go and brings what they measured together in DIR/all.json and DIR/all.txt; what each of them said
and wrote lies in DIR/measurements. Data is made up (srprep synth), and each data set given by --data is measured too:

  steps       benchmark_step, one rank of one thread, for every model of the list below
  run         benchmark_run on R ranks: reading shards, evaluation, checkpoints
  reduction   benchmark_reduction on R ranks: N bytes of gradients in every mode
  operations  benchmark_operations: single operations against the roofline"""
import argparse
import json
import os
import socket
import time
from pathlib import Path
from statistics import median

import launcher

# Models: a configuration below --configurations, and what is changed in it.
MODELS = {
    "sasrec": ["paper/sasrec-beauty.yaml"],
    "sasrec-bce": ["paper/sasrec-beauty.yaml", "data.samples=sliding", "training.loss=binary_cross_entropy",
                   "training.objective=all"],
    "bsarec": ["paper/bsarec-beauty.yaml"],
    "bert4rec": ["paper/bert4rec-beauty.yaml"],
    "stosa": ["paper/stosa-beauty.yaml"],
    "ac-sasrec": ["paper/ac-sasrec-beauty.yaml"],
    "awrsr-sasrec": ["paper/awrsr-sasrec-beauty.yaml"],
    "awrsr-stosa": ["paper/awrsr-stosa-beauty.yaml"],
    "duorec": ["paper/duorec-beauty.yaml"],
    "fearec": ["paper/fearec-beauty.yaml"],
    "fmlprec": ["paper/fmlprec-beauty.yaml"],
    "gru4rec": ["paper/gru4rec-beauty.yaml"],
    "caser": ["paper/caser-beauty.yaml"],
    "ssept": ["synth.yaml", "model.backbone=ssept", "model.user_hidden_size=32"],
    "tisasrec": ["synth.yaml", "model.backbone=tisasrec"],
}
PARTS = ["step", "data", "forward", "loss", "backward", "reduction", "optimizer"]
NUMBERS = ["examples_per_second", "peak_memory_mebibytes", "step_memory_mebibytes", "global_batch", "parameters"]
RATES = [  # of benchmark_run: part, rate, its scale and unit
    ("verify_data", "bytes_per_second", 1e-6, "MB/s, checksums of shards"),
    ("read_sequences", "interactions_per_second", 1e-6, "million interactions/s read from shards"),
    ("evaluate", "test_cases_per_second", 1, "users/s evaluated (SASRec)"),
    ("write_checkpoint", "bytes_per_second", 1e-6, "MB/s, checkpoint written"),
    ("verify_checkpoint", "bytes_per_second", 1e-6, "MB/s, checkpoint verified"),
    ("read_checkpoint", "bytes_per_second", 1e-6, "MB/s, checkpoint read")]


def count(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: at least 1 is needed")
    return int(text)


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="all.py", allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--data", action="append", default=[], metavar="DIR", help="a data set; may be given several times")
    parser.add_argument("--models", action="extend", nargs="+", default=[], choices=MODELS, metavar="NAME",
                        help=f"of {', '.join(MODELS)}; all by default")
    parser.add_argument("--configurations", type=Path, default=launcher.SOURCE / "configs", metavar="DIR")
    parser.add_argument("--steps", type=count, default=30)
    parser.add_argument("--repetitions", type=count, default=5)
    parser.add_argument("--ranks", type=count, default=min(2, os.cpu_count()))
    parser.add_argument("--users", type=count, default=20000, help="of the data that is made up")
    parser.add_argument("--items", type=count, default=12000)
    parser.add_argument("--bytes", type=count, default=16000000, help="of gradients")
    parser.add_argument("--launcher", help="such as 'mpirun -np {ranks}'")
    return parser.parse_args(arguments)


class Benchmark:
    def __init__(self, options, table):
        self.options = options
        self.table = table
        self.method = launcher.find(options.launcher)
        self.measurements = options.output / "measurements"

    def say(self, line):
        print(line, flush=True)
        print(line, file=self.table)

    def measure(self, name, program, *arguments, ranks=0):
        """The document of a program of the build, on `ranks` ranks (0: without a launcher)."""
        path = self.measurements / f"{name}.json"
        words = self.method.fill(ranks) if ranks else []
        return launcher.measure([*words, launcher.program(f"benchmarks/{program}"), "--json", path, *map(str, arguments)], path)

    def make_data(self):
        o = self.options
        data = o.output / "data" / f"synth-{o.users}-{o.items}"
        if not (data / "index.h5").exists():  # of an earlier run: the same numbers give the same data
            data.parent.mkdir(parents=True, exist_ok=True)
            launcher.run([launcher.program("srprep"), "synth", "--users", str(o.users), "--items", str(o.items),
                          "--mean-length", "12", "--seed", "1", "--output", str(data)], self.measurements / "synth.log")
        return str(data)

    def steps(self, data):
        """Rows of the common document: medians instead of every step."""
        name_of_data = Path(data).name
        self.say(f"\nSteps on {name_of_data}, median ms over {self.options.steps} steps, one rank of one thread")
        self.say(f"{'model':14} " + " ".join(f"{part:>9}" for part in PARTS) + f" {'examples/s':>10} {'peak MiB':>8}")
        rows = []
        for name, (configuration, *settings) in MODELS.items():
            if self.options.models and name not in self.options.models:
                continue
            found = self.measure(f"step-{name_of_data}-{name}", "benchmark_step", self.options.configurations / configuration,
                                 self.options.steps, f"data.path={data}", *settings)
            times = {part: median(found["milliseconds"][part]) for part in PARTS}
            rows.append({"model": name, "data": name_of_data, "milliseconds": times,
                         **{number: found[number] for number in NUMBERS}})
            self.say(f"{name:14} " + " ".join(f"{time:9.2f}" for time in times.values()) +
                     f" {found['examples_per_second']:10.0f} {found['peak_memory_mebibytes']:8.0f}")
        return rows

    def run(self, data):
        o, name = self.options, Path(data).name
        found = self.measure(f"run-{name}", "benchmark_run", o.configurations / "paper/sasrec-beauty.yaml", "--output",
                             o.output / "scratch", "--repetitions", o.repetitions, "--set", f"data.path={data}", ranks=o.ranks)
        self.say(f"\nA run besides its steps, on {name}, {o.ranks} rank{'s' * (o.ranks > 1)}, median of {o.repetitions}")
        for part, rate, scale, unit in RATES:
            self.say(f"{scale * found[part][rate]:14.1f} {unit}")
        return {**found, "data": name}

    def reduction(self):
        o = self.options
        found = self.measure("reduction", "benchmark_reduction", "--bytes", o.bytes, "--repetitions", o.repetitions,
                             ranks=o.ranks)
        backward = found["backward_milliseconds"]["median"]
        self.say(f"\nReduction of {1e-6 * found['bytes']:.1f} MB of gradients over {o.ranks} ranks, median ms: alone, and added "
                 f"to a backward pass of {backward:.1f} ms")
        for case in found["cases"]:
            what = ", ".join(f"{name} {value}" for name, value in case.items() if not isinstance(value, dict))
            self.say(f"{what:44} {case['alone_milliseconds']['median']:10.3f} "
                     f"{case['behind_backward_milliseconds']['median'] - backward:10.3f}")
        return found

    def operations(self):
        found = self.measure("operations", "benchmark_operations")
        peak, copy = found["peak_operations_per_second"], found["copy_bytes_per_second"]
        self.say(f"\nSingle operations on one core, of {1e-9 * peak:.0f} Gflop/s and {1e-9 * copy:.1f} GB/s that it reached")
        for one in found["products"]:
            rate = one["operations_per_second"][one["taken"]]
            self.say(f"{one['name']:32} {1e-9 * rate:10.1f} Gflop/s {rate / peak:6.0%}")
        for one in found["element_wise"]:
            rate = one["bytes_per_second"]
            self.say(f"{one['name']:32} {1e-9 * rate:10.1f} GB/s    {rate / copy:6.0%}")
        return found

    def all(self):
        data = [self.make_data(), *self.options.data]
        start = time.monotonic()
        document = {"program": "all.py", "host": socket.gethostname(), "cores": os.cpu_count(), "ranks": self.options.ranks,
                    "steps": [], "run": []}
        for one in data:
            document["steps"] += self.steps(one)
            document["run"].append(self.run(one))
        document["reduction"] = self.reduction()
        document["operations"] = self.operations()
        document.update(kernels=document["operations"]["kernels"], mpi=document["reduction"]["library"])
        path = self.options.output / "all.json"
        path.write_text(json.dumps(document, indent=1) + "\n")
        self.say(f"\n{document['host']}, {document['cores']} cores, {document['kernels']} kernels, {document['mpi']}; "
                 f"{time.monotonic() - start:.0f} s; {path}")


def main(arguments):
    options = read_options(arguments)
    (options.output / "measurements").mkdir(parents=True, exist_ok=True)
    with open(options.output / "all.txt", "w") as table:
        Benchmark(options, table).all()


if __name__ == "__main__":
    launcher.run_main(main)

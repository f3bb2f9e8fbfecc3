#!/usr/bin/env python3
"""Steps over catalogues of several sizes, with the item table on every node (replicated) and divided among ranks, on several
numbers of ranks. Data is made up (srprep synth --popularity zipf). Beside what was measured stands what srtrain plan says.
DIR/catalogues.md has the table, DIR/catalogues.json all figures, DIR/measurements what the programs said and wrote."""
import argparse
import json
import os
import socket
from pathlib import Path
from statistics import median

import launcher

# Rows that a step does not read cost nothing, as in a divided table.
TABLES = {"replicated": ["model.item_table=replicated", "training.item_updates=deferred"],
          "divided": ["model.item_table=divided"]}
KINDS_OF_ROWS = ("ids", "rows", "row_gradients", "states")  # of what is sent, without gradients of all other parameters


def count(text):
    try:
        number = float(text)
    except ValueError:
        number = 0
    if number < 1 or number != int(number):
        raise argparse.ArgumentTypeError(f"{text}: a whole number of at least 1 is needed")
    return int(number)


def counts(text):
    return [count(word) for word in text.split(",")]


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="catalogues.py", allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/catalogues"), metavar="DIR")
    parser.add_argument("--config", type=Path, default=launcher.SOURCE / "configs/large.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--items", type=counts, default=counts("1e5,1e6,1e7"))
    parser.add_argument("--ranks", type=counts, default=[1, 2, 4])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--users", type=count, default=200000, help="of the data that is made up")
    parser.add_argument("--mean-length", type=count, default=20)
    parser.add_argument("--steps", type=count, default=30)
    parser.add_argument("--repetitions", type=count, default=3)
    parser.add_argument("--memory", type=float, metavar="GIB",
                        help="leaves out what a node needs more for, by the plan; by default what is available now")
    parser.add_argument("--launcher", help="such as 'mpirun -np {ranks}'")
    return parser.parse_args(arguments)


def available_bytes():
    """Of this machine; what cannot be found does not count."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return float("inf")


class Catalogues:
    def __init__(self, options):
        self.options = options
        self.method = launcher.find(options.launcher)
        self.memory = options.memory * 2**30 if options.memory else available_bytes()
        self.measurements = options.output / "measurements"
        self.left_out = []

    def make_data(self, items):
        o = self.options
        data = o.output / "data" / f"zipf-{o.users}-{items}-{o.mean_length}"
        if not (data / "index.h5").exists():  # of an earlier run: the same numbers give the same data
            data.parent.mkdir(parents=True, exist_ok=True)
            launcher.run([launcher.program("srprep"), "synth", "--popularity", "zipf", "--users", str(o.users), "--items",
                          str(items), "--mean-length", str(o.mean_length), "--seed", "1", "--output", str(data)],
                         self.measurements / f"synth-{items}.log")
        return data

    def settings(self, data, table):
        return [f"data.path={data}", *self.options.set, *TABLES[table]]

    def plan(self, case):
        """What the plan says of a case, by the names of the figures that are measured."""
        data, items, ranks, table = case
        path = self.measurements / f"plan-{items}-{table}-ranks-{ranks}.json"
        of_node = min(ranks, self.method.ranks_of_node) if self.method.found != "this machine" else ranks
        words = [launcher.program("srtrain"), "plan", str(self.options.config), "--json", "--ranks", str(ranks),
                 "--ranks-per-node", str(of_node), "--threads", str(self.method.threads), "--memory", "1000000"]
        for setting in self.settings(data, table):
            words += ["--set", setting]
        launcher.run(words, path)
        found = launcher.read_json(path)["item_table"][table]
        return {"rank_bytes": found["rank_memory_bytes"]["total"] - found["rank_memory_bytes"]["evaluation"] -
                              found["rank_memory_bytes"]["saving"],
                "node_bytes": found["node_memory_bytes"],
                "sent_bytes": sum(found["sent_bytes_per_step"][kind] for kind in KINDS_OF_ROWS)}

    def measure(self, case, repetition):
        data, items, ranks, table = case
        path = self.measurements / f"step-{items}-{table}-ranks-{ranks}-run-{repetition}.json"
        words = [launcher.program("benchmarks/benchmark_step"), "--json", path, self.options.config, str(self.options.steps)]
        words = [*self.method.fill(ranks), *map(str, words), *self.settings(data, table)]
        found = launcher.measure(words, path)
        if found["ranks"] != ranks:
            raise launcher.Failure(f"the launcher started a job of {found['ranks']} ranks, not {ranks}: does it belong to the "
                                   "MPI library of the program?")
        return {"step_ms": median(found["maximum_over_ranks"]["step"]),
                "rank_bytes": 2**20 * found["peak_memory_mebibytes_of_a_rank"],
                "sent_bytes": sum(found["sent_bytes_per_step"][kind] for kind in KINDS_OF_ROWS)}

    def cases(self):
        """Those that fit, with their plans."""
        fitting = []
        for items in self.options.items:
            data = self.make_data(items)
            for ranks in self.options.ranks:
                for table in self.options.tables:
                    planned = self.plan((data, items, ranks, table))
                    if planned["node_bytes"] <= self.memory:
                        fitting.append(((data, items, ranks, table), planned))
                    else:
                        self.left_out.append(f"{items} items, {table}, {ranks} ranks: a node needs "
                                             f"{planned['node_bytes'] / 2**30:.1f} GiB by the plan")
        return fitting

    def rows(self):
        """Medians over repetitions, in which all cases take turns."""
        cases = self.cases()
        samples = [[] for _ in cases]
        for repetition in range(1, self.options.repetitions + 1):
            for (case, _), of_case in zip(cases, samples):
                of_case.append(self.measure(case, repetition))
        rows = []
        for ((_, items, ranks, table), planned), of_case in zip(cases, samples):
            times = [sample["step_ms"] for sample in of_case]
            rows.append({"items": items, "table": table, "ranks": ranks, "step_ms": median(times),
                         "step_minimum_ms": min(times), "step_maximum_ms": max(times),
                         "rank_bytes": max(sample["rank_bytes"] for sample in of_case),
                         "planned_rank_bytes": planned["rank_bytes"],
                         "sent_bytes": median(sample["sent_bytes"] for sample in of_case),
                         "planned_sent_bytes": planned["sent_bytes"]})
        return rows

    def report(self, rows):
        o = self.options
        yield (f"{Path(o.config).name} on {socket.gethostname()}, {os.cpu_count()} cores: medians of {o.repetitions} runs of "
               f"{o.steps} steps, the slowest rank's.")
        yield "Memory is what a rank held at most; the plan's, without evaluation and saving."
        yield "Sent is what a rank sends in a step for rows of items, on average."
        yield ""
        yield "| items | table | ranks | ms a step | fastest to slowest run | MiB of a rank | planned | MB sent | planned |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        for row in rows:
            yield (f"| {row['items']} | {row['table']} | {row['ranks']} | {row['step_ms']:.1f} | {row['step_minimum_ms']:.1f} to "
                   f"{row['step_maximum_ms']:.1f} | {row['rank_bytes'] / 2**20:.0f} | {row['planned_rank_bytes'] / 2**20:.0f} | "
                   f"{1e-6 * row['sent_bytes']:.3f} | {1e-6 * row['planned_sent_bytes']:.3f} |")
        for line in self.left_out:
            yield f"\nLeft out: {line}."

    def all(self):
        rows = self.rows()
        o = self.options
        document = {"program": "catalogues.py", "host": socket.gethostname(), "cores": os.cpu_count(), "config": str(o.config),
                    "set": o.set, "users": o.users, "mean_length": o.mean_length, "steps": o.steps, "repetitions": o.repetitions,
                    "rows": rows, "left_out": self.left_out}
        (o.output / "catalogues.json").write_text(json.dumps(document, indent=1) + "\n")
        text = "\n".join(self.report(rows)) + "\n"
        (o.output / "catalogues.md").write_text(text)
        print(text, end="")


def main(arguments):
    options = read_options(arguments)
    (options.output / "measurements").mkdir(parents=True, exist_ok=True)
    Catalogues(options).all()


if __name__ == "__main__":
    launcher.run_main(main)

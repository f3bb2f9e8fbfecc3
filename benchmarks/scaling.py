#!/usr/bin/env python3
"""Strong and weak scaling of training with a projection to more ranks, and the reduction of gradients by itself.

  scaling.py scaling --config CONFIG.yaml [options]
  scaling.py reduction (--config CONFIG.yaml | --bytes N) [options]

README.md here says what the options are and how to read the results."""
import argparse
import csv
import json
import math
import shlex
import shutil
import sys
from pathlib import Path
from statistics import median

import launcher
import projection
from launcher import Failure

HERE = Path(__file__).resolve().parent
WARM_UP = 10  # steps that benchmark_step leaves out

# ---- options ----


def count(text):
    if not text.isdecimal() or not 1 <= int(text) <= 100000000:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1 to 100000000 is allowed")
    return int(text)


def counts(text):
    try:
        numbers = [count(part) for part in text.split(",")]
    except argparse.ArgumentTypeError:
        numbers = []
    if not numbers or numbers != sorted(set(numbers)):
        raise argparse.ArgumentTypeError(f"{text}: ascending numbers of ranks are allowed, as in 1,2,4")
    return numbers


def positive(unit):
    """A number above 0, in the unit of the option."""

    def read(text):
        try:
            number = float(text)
        except ValueError:
            number = 0
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f"{text}: a number above 0 is allowed")
        return unit * number

    return read


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="scaling.py", allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["scaling", "reduction"])
    parser.add_argument("--config", metavar="CONFIG.yaml")
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="section.key=value")
    parser.add_argument("--ranks", type=counts, help="powers of two up to what there is room for, by default")
    parser.add_argument("--batch", type=count, help="examples of all ranks (strong scaling); the configured ones by default")
    parser.add_argument("--batch-per-rank", type=count, help="examples of each rank (weak scaling); as --batch by default")
    parser.add_argument("--steps", type=count, default=50)
    parser.add_argument("--repetitions", type=count, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/scaling"))
    parser.add_argument("--launcher", help="such as 'mpirun -np {ranks}'; {nodes} and {threads} are filled in as well")
    parser.add_argument("--measure-only", action="store_true", help="no projection")
    parser.add_argument("--project", type=counts, default=[64, 128, 256, 512, 1024, 2048, 4096])
    parser.add_argument("--latency", type=positive(1e-6), default=2e-6, help="of the network, in us; 2 by default")
    parser.add_argument("--bandwidth", type=positive(1e9), default=12.5e9, help="of a node's link, in GB/s; 12.5 by default")
    parser.add_argument("--ranks-per-node", type=count, default=64)
    parser.add_argument("--node-latency", type=positive(1e-6), help="in us; measured by default")
    parser.add_argument("--node-bandwidth", type=positive(1e9), help="in GB/s; measured by default")
    parser.add_argument("--algorithm", choices=["halving", "ring"], default="halving")
    parser.add_argument("--bytes", type=count, help="of a reduction without a model")
    options = parser.parse_args(arguments)
    if options.command == "scaling" and (not options.config or options.bytes):
        parser.error("scaling needs --config CONFIG.yaml")
    if options.command == "reduction" and bool(options.config) == bool(options.bytes):
        parser.error("reduction needs either --config or --bytes")
    return options


def powers_of_two(limit):
    """And the limit itself."""
    return [1 << i for i in range((limit - 1).bit_length())] + [limit]


# ---- programs ----


def divide(options, name, divisions=()):
    """What the configuration comes to, and how batches are divided: of benchmark_division."""
    path = options.output / "measurements" / f"{name}.json"
    words = [launcher.program("benchmarks/benchmark_division"), "--config", options.config, "--json", path]
    for assignment in options.set:
        words += ["--set", assignment]
    for division in divisions:
        words += ["--divide", ",".join(map(str, division))]
    return launcher.measure(words, path)


def measure_step(options, method, ranks, batch, repetition):
    """Figures of one run of benchmark_step. Times are medians over steps in milliseconds, of the slowest rank, except for the
    reduction: summing is what the rank takes that waits least, waiting what the mean rank takes longer. compute_ms is the step
    of the slowest rank without data and summing."""
    path = options.output / "measurements" / f"ranks-{ranks}-batch-{batch}-run-{repetition}.json"
    words = [launcher.program("benchmarks/benchmark_step"), "--json", path, options.config, str(options.steps), *options.set]
    found = launcher.measure([*method.fill(ranks), *words, f"training.batch_size={batch}"], path)
    if found["ranks"] != ranks:
        raise Failure(f"the launcher started a job of {found['ranks']} ranks, not {ranks}: does it belong to the MPI library of "
                      "the program?")
    slowest, mean, least = (found[f"{name}_over_ranks"] for name in ("maximum", "mean", "minimum"))
    figures = {f"{part}_ms": median(slowest[part]) for part in ("step", "data", "forward", "loss", "backward", "optimizer")}
    figures.update(
        reduction_ms=median(mean["reduction"]), summing_ms=median(least["reduction"]),
        waiting_ms=median(m - l for m, l in zip(mean["reduction"], least["reduction"])),
        compute_ms=median(s - d - r for s, d, r in zip(slowest["step"], slowest["data"], least["reduction"])),
        examples_per_second=found["examples_per_second"], peak_memory_mebibytes=found["peak_memory_mebibytes_of_a_rank"])
    return figures, found


def measure_steps(options, method, cases):
    """Runs by (ranks, batch): medians of the figures over repetitions, in which all cases take turns."""
    samples = {case: [] for case in cases}
    runs = {}
    for repetition in range(1, options.repetitions + 1):
        for i, (ranks, batch) in enumerate(cases, 1):
            print(f"repetition {repetition} of {options.repetitions}: {i} of {len(cases)}, {ranks} rank{'s' * (ranks > 1)}, "
                  f"global batch {batch}", file=sys.stderr)
            figures, found = measure_step(options, method, ranks, batch, repetition)
            samples[ranks, batch].append(figures)
            runs[ranks, batch] = {"ranks": ranks, "global_batch": batch}
            runs[ranks, batch].update((name, found[name]) for name in ("nodes", "ranks_of_node", "cores_of_node", "parameters",
                                                                       "bytes_reduced", "libraries", "kernels"))
    for case, run in runs.items():
        for name in samples[case][0]:
            run[name] = median(sample[name] for sample in samples[case])
        times = [sample["step_ms"] for sample in samples[case]]
        run.update(step_minimum_ms=min(times), step_maximum_ms=max(times))
    return runs


def measure_reduction(options, method, ranks):
    path = options.output / "measurements" / f"reduction-ranks-{ranks}.json"
    print(f"reduction on {ranks} rank{'s' * (ranks > 1)}", file=sys.stderr)
    words = [launcher.program("benchmarks/benchmark_reduction"), "--json", path, "--repetitions", str(options.steps)]
    words += ["--bytes", str(options.bytes)] if options.bytes else ["--config", options.config]
    for assignment in [] if options.bytes else options.set:
        words += ["--set", assignment]
    return launcher.measure([*method.fill(ranks), *words], path)


# ---- results ----


def batch_of(options, kind, ranks):
    return ranks * options.batch_per_rank if kind == "weak" else options.batch


def efficiency(base, run, kind):
    """t0 / t, times the ranks of the base over those of the run where the work is the same."""
    ratio = base["step_ms"] / run["step_ms"]
    return ratio if kind == "weak" else ratio * base["ranks"] / run["ranks"]


def scaling_rows(options, method, runs):
    rows = []
    for kind in ("strong", "weak"):
        chosen = [runs[ranks, batch_of(options, kind, ranks)] for ranks in options.ranks]
        whole_node = [run for run in chosen if run["nodes"] == 1][-1:]
        for run in chosen:
            row = {"kind": kind}
            row.update((name, run[name]) for name in ("ranks", "nodes", "global_batch", "step_ms", "step_minimum_ms",
                                                      "step_maximum_ms", "examples_per_second"))
            row["speedup"] = efficiency(chosen[0], run, kind) * run["ranks"]
            row["efficiency"] = efficiency(chosen[0], run, kind)
            row["efficiency_against_a_node"] = efficiency(whole_node[0], run, kind) if whole_node else None
            row.update((name, run[name]) for name in ("data_ms", "forward_ms", "loss_ms", "backward_ms", "optimizer_ms",
                                                      "reduction_ms", "summing_ms", "waiting_ms"))
            row["reduction_share"] = run["reduction_ms"] / run["step_ms"]
            row["bytes_reduced"] = run["bytes_reduced"] if run["ranks"] > 1 else 0
            row["peak_memory_mebibytes"] = run["peak_memory_mebibytes"]
            row["more_ranks_than_cores"] = int(run["ranks_of_node"] * method.threads > run["cores_of_node"])
            rows.append(row)
    return rows


def describe_network(options, method, runs):
    """The network of the projection, and where the figures of a node come from, in words. What was not given is taken from the
    smallest number of ranks that was measured on one node."""
    latency, bandwidth = 0.5e-6, 5e9
    source = "assumed, as no reduction on several ranks of one node was measured"
    for ranks in options.ranks:
        if ranks > 1 and runs[ranks, options.batch]["nodes"] == 1:
            found = measure_reduction(options, method, ranks)
            small, plain = (1e-3 * found[f"{name}_milliseconds"]["minimum"] for name in ("small_sum", "plain"))
            latency, bandwidth = projection.fit_node(options.algorithm, ranks, small, plain, found["bytes"])
            source = ("from the fastest plain all-reduce and the fastest small sum that benchmark_reduction saw on the smallest "
                      "number of ranks above 1")
            break
    if options.node_latency and options.node_bandwidth:
        source = "given"
    return projection.Network(options.latency, options.bandwidth, options.node_latency or latency,
                              options.node_bandwidth or bandwidth, options.ranks_per_node), source


def describe_reduction(options, method):
    """Bytes, messages and small sums of a step on several ranks, as srtrain plan knows them."""
    path = options.output / "measurements" / "plan.json"
    words = [launcher.program("srtrain"), "plan", options.config, "--json", "--ranks", "2", "--ranks-per-node", "1"]
    for assignment in options.set:
        words += ["--set", assignment]
    launcher.run([*words, "--threads", str(method.threads)], path)
    found = launcher.read_json(path)
    return {"bytes": found["reduced_bytes_per_step"], "messages": found["messages_per_step"],
            "small_sums": found["small_sums_per_step"]}


def project(options, method, known, runs):
    """Rows, what they assume, and from how many ranks on weak scaling lacks examples (None: it does not)."""
    network, source = describe_network(options, method, runs)
    reduced = describe_reduction(options, method)
    alone = [run for (ranks, _), run in runs.items() if ranks == 1]
    found = divide(options, "compute", [(method.threads, run["global_batch"], WARM_UP, options.steps) for run in alone])
    curve = projection.compute_curve([(division["loads"], run["compute_ms"])
                                      for division, run in zip(found["divisions"], alone)])
    cases, too_many = [], None
    for kind in ("strong", "weak"):
        for ranks in options.ranks + options.project:
            if batch_of(options, kind, ranks) > known["examples"]:
                too_many = ranks
                break
            cases.append((kind, ranks, ranks in options.ranks))
    # Over whole batches: the last one of an epoch may be smaller.
    batches = [batch_of(options, kind, ranks) for kind, ranks, _ in cases]
    found = divide(options, "division", [(ranks * method.threads, batch, 0, min(8, known["examples"] // batch))
                                         for (_, ranks, _), batch in zip(cases, batches)])
    rows = []
    for (kind, ranks, was_measured), batch, division in zip(cases, batches, found["divisions"]):
        of_nodes = projection.of_measured_nodes(network, runs.values()) if was_measured else network
        base = runs[options.ranks[0], batch_of(options, kind, options.ranks[0])]
        rows.append(projection.projected_row(kind, ranks, batch, division, curve, of_nodes, options.algorithm, reduced,
                                             (base["ranks"], base["step_ms"]), runs[ranks, batch] if was_measured else None))
    return rows, assumptions(options, network, source, reduced), too_many


def assumptions(options, network, source, reduced):
    messages, small_sums = (f"{reduced[key]} {name}{'s' * (reduced[key] > 1)}"
                            for key, name in (("messages", "message"), ("small_sums", "small sum")))
    name = "the ring" if options.algorithm == "ring" else "recursive halving and doubling"
    return {
        "latency_seconds": network.latency, "bandwidth_bytes_per_second": network.bandwidth,
        "node_latency_seconds": network.node_latency, "node_bandwidth_bytes_per_second": network.node_bandwidth,
        "ranks_of_node": network.ranks_of_node, "bytes_reduced": reduced["bytes"], "messages": reduced["messages"],
        "small_sums": reduced["small_sums"],
        "in_words": [
            "step = data + compute of the rank with most work + summing; nothing overlaps",
            "compute: measured on one rank that has its core to itself, with batches from 1 example to "
            f"{max(options.batch, options.batch_per_rank)}; between these, lines are drawn over the work in tokens; ranks that "
            "fill a node are taken not to slow each other down",
            "load: up to 8 global batches of epoch 1 divided as training divides them, by tokens; drawing and dividing one is "
            "timed here for each row",
            f"summing: {reduced['bytes'] / 2**20:.2f} MiB of gradients in {messages} by {name}, and {small_sums}",
            f"network: latency {1e6 * network.latency:.3g} us (--latency), {1e-9 * network.bandwidth:.4g} GB/s for the link of "
            "a node in one direction (--bandwidth), no congestion",
            f"node: {network.ranks_of_node} ranks (--ranks-per-node), latency {1e6 * network.node_latency:.3g} us and "
            f"{1e-9 * network.node_bandwidth:.4g} GB/s between two ranks (--node-latency, --node-bandwidth), {source}",
            "halving, p ranks, q of them on each of N nodes, n bytes: 2 ceil(lg q) a' + 2 (q-1)/q n/B' + 2 ceil(lg N) a + "
            "2 (N-1)/N n/B (Rabenseifner 2004; Thakur, Rabenseifner and Gropp 2005)",
            "ring: 2 (p-1) (a + n/(p B)), with a', B' on one node (Patarasuk and Yuan 2009); small sums: ceil(lg q) a' + "
            "ceil(lg N) a",
        ],
    }


# ---- report ----

MEASURED_COLUMNS = [  # heading, key, format
    ("ranks", "ranks", "d"), ("nodes", "nodes", "d"), ("batch", "global_batch", "d"), ("step", "step_ms", ".3f"),
    ("minimum", "step_minimum_ms", ".3f"), ("maximum", "step_maximum_ms", ".3f"),
    ("examples/s", "examples_per_second", ".0f"), ("speedup", "speedup", ".2f"), ("efficiency", "efficiency", ".1%"),
    ("data", "data_ms", ".3f"), ("forward", "forward_ms", ".3f"), ("loss", "loss_ms", ".3f"),
    ("backward", "backward_ms", ".3f"), ("optimizer", "optimizer_ms", ".3f"), ("summing", "summing_ms", ".3f"),
    ("waiting", "waiting_ms", ".3f"), ("share", "reduction_share", ".1%"), ("MiB", "peak_memory_mebibytes", ".0f")]
PROJECTED_COLUMNS = [
    ("ranks", "ranks", "d"), ("nodes", "nodes", "d"), ("batch", "global_batch", "d"),
    ("imbalance", "load_imbalance", ".3f"), ("data", "data_ms", ".3f"), ("compute", "compute_ms", ".3f"),
    ("waiting", "waiting_ms", ".3f"), ("halving", "summing_halving_ms", ".3f"), ("ring", "summing_ring_ms", ".3f"),
    ("step", "step_ms", ".3f"), ("examples/s", "examples_per_second", ".0f"), ("efficiency", "efficiency", ".1%"),
    ("measured step", "measured_step_ms", ".3f"), ("error", "relative_error", ".1%"),
    ("measured compute", "measured_compute_ms", ".3f"), ("measured summing", "measured_summing_ms", ".3f")]


def table(columns, rows, marked=()):
    """A Markdown table whose columns line up; `marked` rows get a star behind their first cell."""
    cells = [[heading for heading, _, _ in columns]]
    for row in rows:
        cells.append(["" if row[key] is None else format(row[key], form) for _, key, form in columns])
        cells[-1][0] += "\\*" if row in marked else ""
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.rjust(width) for cell, width in zip(line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return lines


def measured_report(options, method, known, runs, rows):
    first = next(iter(runs.values()))
    command = shlex.join(method.fill(options.ranks[-1]))
    lines = [f"# Scaling of training: {options.config}, data {known['data']}", "",
             f"{first['parameters']} parameters, {first['bytes_reduced'] / 2**20:.2f} MiB of gradients; {first['libraries']}; "
             f"CPU kernels {first['kernels']}.",
             f"Started with `{command}` ({method.found}), {method.threads} thread{'s' * (method.threads > 1)} a rank. Medians of "
             f"{options.repetitions} repetitions, each the median of {options.steps} steps; all cases take turns."]
    titles = {"strong": f"Strong scaling: {options.batch} examples on all ranks together",
              "weak": f"Weak scaling: {options.batch_per_rank} examples on each rank"}
    for kind, title in titles.items():
        marked = [row for row in rows if row["more_ranks_than_cores"]]
        lines += ["", f"## {title}", "", "Milliseconds a step; parts are the slowest rank's.", "",
                  *table(MEASURED_COLUMNS, [row for row in rows if row["kind"] == kind], marked)]
        if marked:
            lines += ["", "\\* more ranks than cores: they share them, and these rows say nothing about scaling"]
    return lines


def projected_report(options, known, rows, assumed, too_many):
    lines = ["", "## Projection", "", "Computed from the measurements above by a model, not measured. It assumes:", "",
             *(f"- {line}" for line in assumed["in_words"])]
    for kind in ("strong", "weak"):
        lines += ["", f"### Projected {kind} scaling", "",
                  "Milliseconds a step. Where it was measured: the measured step, the error of the projection, and measured "
                  "compute and summing.", "", *table(PROJECTED_COLUMNS, [row for row in rows if row["kind"] == kind])]
    if too_many:
        lines += ["", f"Weak scaling ends below {too_many} ranks: a global batch would be more than the {known['examples']} "
                  "examples of an epoch (--batch-per-rank, or more data)."]
    return lines


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(rows[0])
        lines.writerows(["" if value is None else value for value in row.values()] for row in rows)


def draw(options, name):
    """Draws a picture by the gnuplot file of this folder; NAME.gp in the output directory draws it again."""
    settings = f"# Draws {name}.svg: gnuplot {name}.gp\nbatch = {options.batch}\nbatch_per_rank = {options.batch_per_rank}\n"
    (options.output / f"{name}.gp").write_text(settings + (HERE / f"{name}.gnuplot").read_text())
    if not shutil.which("gnuplot"):
        print(f"there is no gnuplot, so that {name}.svg is not drawn: install the package gnuplot-nox and run \"gnuplot "
              f"{name}.gp\" in {options.output}", file=sys.stderr)
        return
    log = options.output / f"{name}.log"
    launcher.run(["gnuplot", f"{name}.gp"], log, options.output)
    log.unlink()  # there is nothing to complain about


# ---- commands ----


def check_examples(options, known):
    """A batch larger than an epoch would be cut to it without a word."""
    limit = options.ranks[-1]
    if max(limit * options.batch_per_rank, options.batch) > known["examples"]:
        raise Failure(f"{options.batch} examples on all ranks and {options.batch_per_rank} on each of {limit} are asked for, and "
                      f"an epoch of {known['data']} has {known['examples']}: choose a smaller --batch or --batch-per-rank", 2)


def plan_cases(options):
    """(ranks, batch) of strong and weak scaling and, for a projection, one rank with batches from one example upwards."""
    cases = [(ranks, batch_of(options, kind, ranks)) for ranks in options.ranks for kind in ("strong", "weak")]
    batch = 0 if options.measure_only else max(options.batch, options.batch_per_rank)
    while batch:
        cases.append((1, batch))
        batch //= 2
    return list(dict.fromkeys(cases))


def scale(options, known, method):
    options.batch = options.batch or known["batch"]
    options.batch_per_rank = options.batch_per_rank or options.batch
    check_examples(options, known)
    runs = measure_steps(options, method, plan_cases(options))
    rows = scaling_rows(options, method, runs)
    first = next(iter(runs.values()))
    document = {"program": "scaling.py", "configuration": options.config, "data": known["data"],
                "libraries": f"{first['libraries']}; CPU kernels {first['kernels']}", "launcher": method.command,
                "launcher_found": method.found, "threads": method.threads, "steps": options.steps,
                "repetitions": options.repetitions, "parameters": first["parameters"], "scaling": rows,
                "runs": list(runs.values())}
    report = measured_report(options, method, known, runs, rows)
    projected = []
    if known["contrastive"] and not options.measure_only:
        report += ["", "No projection: contrastive training compares every example with the whole global batch, so that compute "
                   "times on one rank say nothing about many."]
    elif not options.measure_only:
        projected, assumed, too_many = project(options, method, known, runs)
        document.update(projection=projected, assumptions=assumed)
        report += projected_report(options, known, projected, assumed, too_many)
        write_csv(options.output / "projection.csv", projected)
    print("\n".join(report))
    (options.output / "scaling.md").write_text("\n".join(report) + "\n")
    write_csv(options.output / "scaling.csv", rows)
    (options.output / "scaling.json").write_text(json.dumps(document, indent=1) + "\n")
    draw(options, "efficiency")
    if projected:
        draw(options, "projection")


def main(arguments):
    options = read_options(arguments)
    (options.output / "measurements").mkdir(parents=True, exist_ok=True)
    known = divide(options, "configuration") if options.config else {"threads": 1}
    method = launcher.find(options.launcher, known["threads"])
    options.ranks = options.ranks or powers_of_two(method.ranks)
    if options.command == "scaling":
        scale(options, known, method)
        return
    for ranks in options.ranks:
        measure_reduction(options, method, ranks)
        print((options.output / "measurements" / f"reduction-ranks-{ranks}.log").read_text())


if __name__ == "__main__":
    launcher.run_main(main)

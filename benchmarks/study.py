#!/usr/bin/env python3
"""Weak scaling of three models, projected to many ranks on three networks by the model of `srtrain plan`.

  study.py --data DATA [options]

Compute times are measured on this machine, once for each model (OUTPUT/measurements/compute-MODEL.json; remove it to measure
again). README.md here says how to read the results, docs/scaling.md has them."""
import argparse
import csv
import shutil
import sys
from pathlib import Path

import launcher

HERE = Path(__file__).resolve().parent
WIDE = ["model.hidden_size=256", "model.layers=4", "model.heads=4", "model.inner_size=1024"]
IMAGINED = ["--items", "1e7", "--users", "1e7", "--mean-length", "20"]
MODELS = {  # configuration, settings, what is imagined
    "d 64": ("beauty", ["model.item_table=replicated"], []),
    "wide": ("beauty", ["model.item_table=replicated", *WIDE], []),
    "divided 10^7 items": ("large", ["model.item_table=divided"], IMAGINED),
}
NETWORKS = {  # latency in us; GB/s of a node's link, of which TCP over Ethernet carries 94 to 96 %
    "1 GbE": (50, 0.1195), "25 GbE": (20, 2.99), "HDR InfiniBand": (2, 25),
}


def numbers(text):
    return [int(part) for part in text.split(",")]


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="study.py", allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--ranks", type=numbers, default=[64, 256, 1024, 4096])
    parser.add_argument("--batch-per-rank", type=int, default=128)
    parser.add_argument("--ranks-per-node", type=int, default=16)
    parser.add_argument("--output", type=Path, default=Path("runs/study"))
    return parser.parse_args(arguments)


def plan(options, model, ranks, network, path, measure=False):
    configuration, settings, imagined = MODELS[model]
    latency, bandwidth = NETWORKS[network]
    words = [launcher.program("srtrain"), "plan", str(launcher.SOURCE / f"configs/{configuration}.yaml"), "--json", *imagined,
             "--ranks", str(ranks), "--ranks-per-node", str(options.ranks_per_node), "--memory", "1024", "--latency", str(latency),
             "--bandwidth", str(bandwidth), "--threads", "1", *(["--measure"] if measure else [])]
    data = [] if imagined else [f"data.path={options.data}"]
    for assignment in [*settings, *data, f"training.batch_size={ranks * options.batch_per_rank}"]:
        words += ["--set", assignment]
    if not (measure and path.exists()):
        launcher.run(words, path)
    return launcher.read_json(path)


def project(options):
    rows = []
    for model, settings in MODELS.items():
        name = model.replace(" ", "-").replace(",", "")
        path = options.output / "measurements" / f"compute-{name}.json"
        measured = plan(options, model, options.ranks[0], "25 GbE", path, True)
        alone = measured["compute_seconds"] / measured["load_imbalance"]
        for network in NETWORKS:
            for ranks in options.ranks:
                print(f"{model}, {network}, {ranks} ranks", file=sys.stderr)
                planned = plan(options, model, ranks, network, options.output / "measurements" / "plan.json")
                table = planned["item_table"][planned["item_table"]["chosen"]]
                # Above as many examples as an epoch has, work is divided as at the first number of ranks.
                whole = settings[2] or ranks * options.batch_per_rank <= planned["examples"]
                imbalance = planned["load_imbalance"] if whole else measured["load_imbalance"]
                compute, summing = 1e3 * alone * imbalance, 1e3 * table["network_seconds"]
                rows.append({"model": model, "network": network, "ranks": ranks, "imbalance": imbalance, "compute_ms": compute,
                             "network_ms": summing, "step_ms": compute + summing,
                             "efficiency": 1e3 * alone / (compute + summing)})
    return rows


def main(arguments):
    options = read_options(arguments)
    (options.output / "measurements").mkdir(parents=True, exist_ok=True)
    rows = project(options)
    with open(options.output / "study.csv", "w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(rows[0])
        lines.writerows(row.values() for row in rows)
    text = ["| model | network | ranks | imbalance | computing, ms | network, ms | efficiency |", "| --- | --- | --- | --- | --- | --- | --- |"]
    text += ["| {model} | {network} | {ranks} | {imbalance:.3f} | {compute_ms:.1f} | {network_ms:.2f} | {efficiency:.1%} |".format(**row)
             for row in rows]
    (options.output / "study.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))
    if shutil.which("gnuplot"):
        for picture in ("scaling", "scaling-dark"):
            launcher.run(["gnuplot", "-e", f"dark = {int(picture.endswith('dark'))}; output = '{picture}.svg'", str(HERE / "study.gnuplot")],
                         options.output / "study.log", options.output)


if __name__ == "__main__":
    launcher.run_main(main)

#!/usr/bin/env python3
"""Training day by day (srtrain train --from) against training anew: metrics on the day after, and time. The log of a data set
with time stamps is cut into a beginning and days of equally many interactions. A model of the beginning is trained; then each
day begins with the model of the day before, for few epochs. On some days a model is trained anew as well. Each is evaluated on
the interactions of the next day, as far as their items were known. Time is that of processors, of all ranks together, so that
other work on the machine does not count. DIR/daily.md has the table, DIR/daily.json all figures."""
import argparse
import csv
import json
import resource
import zlib
from pathlib import Path

import launcher

METRIC = "ndcg@10"


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="daily.py", allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/daily"), metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a data set with time stamps; one is made by default")
    parser.add_argument("--users", type=int, default=2000, help="of the data that is made up")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--mean-length", type=int, default=20)
    parser.add_argument("--new-items", type=float, default=0, metavar="SHARE",
                        help="of the items, that appear on one of the days each: what the log has of them before is left out")
    parser.add_argument("--config", type=Path, required=True, metavar="CONFIG.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="of all trainings")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--beginning", type=float, default=0.7, metavar="SHARE", help="of the interactions, before the days")
    parser.add_argument("--epochs", type=int, default=20, help="of a training anew")
    parser.add_argument("--daily-epochs", type=int, default=1)
    parser.add_argument("--daily-set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="of the days")
    parser.add_argument("--anew", default="last", choices=["last", "every"], help="on which days a model is trained anew")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--launcher", help="such as 'mpirun -np {ranks}'")
    options = parser.parse_args(arguments)
    if options.days < 1 or not 0 < options.beginning < 1 or not 0 <= options.new_items < 1:
        raise launcher.Failure("--days must be at least 1, --beginning lie between 0 and 1, and --new-items be from 0 to 1", 2)
    return options


def processor_seconds():
    """Of all programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Log:
    """The interactions of a data set in the order of time, and data sets of what was known at a moment."""

    def __init__(self, options):
        self.options = options
        source = options.data or options.output / "whole"
        if not options.data and not source.exists():
            self.prepare("synth", "--users", options.users, "--items", options.items, "--mean-length", options.mean_length,
                         "--seed", 1, "--output", source, log="synth")
        whole = options.output / "whole.csv"
        self.prepare("export", source, "--format", "csv", "--output", whole, log="export")
        with open(whole, newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or "time" not in rows[0]:
            raise launcher.Failure(f"{source} has no time stamps, by which its log could be cut into days", 2)
        rows.sort(key=lambda row: int(row["time"]))  # stable: equal times keep the order of each user
        count, share = len(rows), options.beginning
        ends = [int(count * (share + (1 - share) * day / (options.days + 1))) for day in range(options.days + 2)]
        self.moments = [int(rows[end]["time"]) for end in ends[:-1]]  # when the first day begins, the second, ...
        self.end = int(rows[-1]["time"]) + 1
        self.rows = [row for row in rows if int(row["time"]) >= self.appears(row["item"])]

    def appears(self, item):
        """When an item is first there: from the beginning on, or from a day on that follows from its name."""
        number = zlib.crc32(item.encode())
        if number % 1000 >= 1000 * self.options.new_items:
            return 0
        return self.moments[number // 1000 % self.options.days]

    def prepare(self, *words, log):
        launcher.run([launcher.program("srprep"), *map(str, words)], self.options.output / "measurements" / f"{log}.log")

    def data_set(self, name, until, moment):
        """What happened before `until`; what happened from `moment` on is for the test."""
        text, directory = self.options.output / f"{name}.csv", self.options.output / name
        with open(text, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user", "item", "time"])
            writer.writerows([row["user"], row["item"], row["time"]] for row in self.rows if int(row["time"]) < until)
        self.prepare("convert", "--format", "csv", "--header", "--columns", "user=user,item=item,time=time", "--deduplicate",
                     "none", "--input", text, "--output", directory, "--split", f"time:{moment},{moment}", log=name)
        text.unlink()
        return directory


class Trainer:
    def __init__(self, options):
        self.options = options
        self.words = launcher.find(options.launcher).fill(options.ranks)

    def srtrain(self, name, *words):
        """Runs it; the seconds that its processors worked."""
        start = processor_seconds()
        launcher.run([*self.words, launcher.program("srtrain"), *map(str, words)],
                     self.options.output / "measurements" / f"{name}.log")
        return processor_seconds() - start

    def train(self, name, data, epochs, settings, begins_with=None):
        """The last checkpoint of a training without validation, and its seconds."""
        output = self.options.output / f"run-{name}"
        words = ["train", self.options.config, "--output", output, "--set", f"data.path={data}", f"training.epochs={epochs}",
                 "evaluation.every_epochs=0", "checkpoint.every_epochs=0", *settings]
        seconds = self.srtrain(f"train-{name}", *words, *(["--from", begins_with] if begins_with else []))
        return max((output / "checkpoints").glob("step-*.h5")), seconds

    def evaluate(self, name, checkpoint, data):
        path = self.options.output / "measurements" / f"evaluate-{name}.json"
        self.srtrain(f"evaluate-{name}", "evaluate", checkpoint, "--data", data, "--split", "test", "--json", path)
        return launcher.read_json(path)


def metric_of(document):
    """Of the model, wherever the document has it."""
    if METRIC in document:
        return document[METRIC]
    for value in document.values():
        if isinstance(value, dict) and METRIC in value:
            return value[METRIC]
    raise launcher.Failure(f"an evaluation has no {METRIC}")


def counts_of(run):
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    return first["items"]


def measure(options):
    log, trainer = Log(options), Trainer(options)
    settings = options.set
    beginning = log.data_set("day-0", log.moments[0], log.moments[0])
    checkpoint, seconds = trainer.train("day-0", beginning, options.epochs, settings)
    document = {"options": {key: str(value) for key, value in vars(options).items()}, "metric": METRIC,
                "interactions": len(log.rows), "beginning_seconds": seconds, "days": []}
    stale = checkpoint
    for day in range(1, options.days + 1):
        data = log.data_set(f"day-{day}", log.moments[day], log.moments[day])
        until = log.moments[day + 1] if day + 1 < len(log.moments) else log.end
        seen = log.data_set(f"seen-{day}", until, log.moments[day])
        checkpoint, seconds = trainer.train(f"day-{day}", data, options.daily_epochs, settings + options.daily_set, checkpoint)
        row = {"day": day, "items": counts_of(options.output / f"run-day-{day}"), "seconds": seconds,
               "daily": metric_of(trainer.evaluate(f"day-{day}", checkpoint, seen)),
               "stale": metric_of(trainer.evaluate(f"stale-{day}", stale, seen))}
        if options.anew == "every" or day == options.days:
            other, row["anew_seconds"] = trainer.train(f"anew-{day}", data, options.epochs, settings)
            row["anew"] = metric_of(trainer.evaluate(f"anew-{day}", other, seen))
        document["days"].append(row)
    return document


def table(document):
    lines = [f"| day | new items | {METRIC}, daily | as on day 0 | anew | processor seconds, daily | anew |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for row in document["days"]:
        anew = (f"{row['anew']:.4f}", f"{row['anew_seconds']:.1f}") if "anew" in row else ("", "")
        lines.append(f"| {row['day']} | {row['items']['new']} | {row['daily']:.4f} | {row['stale']:.4f} | {anew[0]} | "
                     f"{row['seconds']:.1f} | {anew[1]} |")
    last = document["days"][-1]
    lines += ["", f"On the last day: {last['daily'] / last['anew']:.3f} of the {METRIC} of training anew, in "
                  f"{last['seconds'] / last['anew_seconds']:.3f} of its time."]
    return "\n".join(lines) + "\n"


def main(arguments):
    options = read_options(arguments)
    (options.output / "measurements").mkdir(parents=True, exist_ok=True)
    document = measure(options)
    (options.output / "daily.json").write_text(json.dumps(document, indent=1) + "\n")
    text = table(document)
    (options.output / "daily.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    launcher.run_main(main)

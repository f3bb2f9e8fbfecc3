#!/usr/bin/env python3
"""Searches for good settings by asynchronous successive halving (ASHA: Li et al., MLSys 2020), and compares models by it.

  sweep.sh --search DIR --rungs 5,15,45 [options] CONFIG.yaml KEY=VALUE,VALUE... [CONFIG.yaml KEY=...]...

Each CONFIG.yaml (or NAME=CONFIG.yaml) begins a model; what follows are its settings. A trial has one value of each KEY:
VALUE,VALUE,... are alternatives, and LOW..HIGH is a range that --trials draws from (a whole number where both ends are, by
its logarithm where HIGH is ten times LOW or more). Every trial trains for the epochs of the first rung. The best 1/FACTOR
of those that have done so go on to the next rung, and so on. The trials of all models have the same rungs and are equally
many, so that every model has the same budget. At last the best trial of each model is trained anew with several seeds, and
DIR/table.md has the test metrics with their spread.

A trial that does not go on is stopped with a checkpoint (srtrain --until-epoch); one that goes on is resumed from it, and
is the same to the bit as one that was never stopped. The same command again goes on with what is left, whatever was killed.

  --rungs E,E,...     epochs of the rungs, ascending; the last ones are training.epochs of all runs
  --factor N          one of N trials goes on (3)
  --trials N          so many trials a model, drawn from its combinations (all of them)
  --draw-seed N       another draw (1)
  --seeds N           runs with the best settings of each model, training.seed 1 to N (3)
  --metric NAME       of validation, by which trials are compared and best parameters chosen (ndcg@10)
  --report NAME,...   test metrics in the table (hr@10,ndcg@10)
  --set KEY=VALUE     for all runs; may be given several times
  --workers N         runs at a time on this machine (1), each with
  --ranks N           so many ranks (1)
  --submit COMMAND    runs nothing here: COMMAND puts the workers into the queue of a batch system, as
                      'sbatch --array 1-8 slurm.sbatch', 'qsub -J 1-8 -v SRTRAIN_ARGUMENTS pbs.sh' or
                      'bsub -J search[1-8] < lsf.sh'; each works until nothing is left, and comes back after its limit
  --retries N         so often is a run started again that has failed at run time (2)
  --stale SECONDS     a worker of another machine that has not been seen for so long is gone (120)

  sweep.sh --table DIR          writes and prints the table of what there is so far
"""
import argparse
import contextlib
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from asha_plan import FORMAT, check_settings, compare_plans, make_plan, new_run, refuse, settings_of, trials_of

NOTHING_LEFT, NOTHING_NOW = 4, 5  # exit codes of take


# ---- the rule ----
#
# A run is a dictionary. `values` are those of the rungs that it has done, None for one that has failed; `granted` says how
# many rungs it may do. It works where `worker` is not None.

def score(run, rung):
    """Larger is better: failed runs count, but never go on."""
    value = run["values"][rung]
    return -math.inf if value is None else value


def promotable(trials, rung, factor):
    """The trial that goes on from `rung`, or None: of those that have done it, the best of the top 1/factor that have not
    gone on yet (Li et al., algorithm 2). Here, after `done` of the rung's `count` trials, no more than (done - count mod
    factor) / factor have gone on: count / factor in the end. So each model has the same budget, and the best trial of a rung
    goes on even if it comes last. By the published rule every trial that is better than those before it goes on."""
    done = [run for run in trials if len(run["values"]) > rung]
    gone = sum(run["granted"] > rung + 1 for run in trials)
    count = len(trials) // factor ** rung
    if gone >= (len(done) - count % factor) // factor:
        return None
    ranked = sorted(done, key=lambda run: -score(run, rung))  # of equal ones the first trial is the better one
    for run in ranked[:len(done) // factor]:
        if run["granted"] == rung + 1 and run["values"][rung] is not None:
            return run
    return None


def next_trial(trials, rungs, factor):
    """What is to be done next of a model's trials: one that goes on from the highest rung possible, else a new one, else
    None."""
    for rung in reversed(range(len(rungs) - 1)):
        run = promotable(trials, rung, factor)
        if run:
            return run
    return next((run for run in trials if run["granted"] == 0), None)


def best_trial(trials):
    """The best of those that came furthest; None where all have failed."""
    done = [run for run in trials if run["values"] and run["values"][-1] is not None]
    return max(done, key=lambda run: (len(run["values"]), run["values"][-1], -trials.index(run)), default=None)


# ---- the state: DIR/search.json ----

class Search:
    """The directory of a search. Its state is read and written as a whole, by one process at a time."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.path = self.directory / "search.json"
        self.workers = self.directory / "workers"
        self.lock = self.directory / "lock"
        self.own = None  # what the lock looks like while this process holds it
        self.state = None

    def read(self):
        try:
            self.state = json.loads(self.path.read_text())
        except FileNotFoundError:
            refuse(f"{self.directory} holds no search")
        except ValueError as error:
            refuse(f"{self.path} is damaged: {error}")
        if self.state.get("format") != FORMAT:
            refuse(f"{self.path} is of another version: its format is {self.state.get('format')}, not {FORMAT}")
        return self.state

    def write(self):
        """The file appears under its name when it is complete and on the disk. Only the holder of the lock may write it."""
        beside = self.path.with_name(f"search.json.{os.uname().nodename}-{os.getpid()}.tmp")
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(self.state, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if self._look() != self.own:
            beside.unlink()
            refuse(f"{self.lock} was taken away from this process, which had stood still: nothing was changed")
        os.replace(beside, self.path)

    def note(self, text):
        """A line of DIR/log, and for whoever looks on."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n"
        with open(self.directory / "log", "a", encoding="utf-8") as file:
            file.write(line)
        sys.stderr.write(line)

    @contextlib.contextmanager
    def locked(self, patience=60):
        """Holds DIR/lock, a directory: making one is atomic on every file system. It is held for milliseconds; one that
        stays the same for `patience` seconds was left behind by a process that was killed."""
        seen, since, first = None, 0, time.monotonic()
        while True:
            try:
                self.lock.mkdir()
                break
            except FileExistsError:
                now = self._look()
            except FileNotFoundError:
                refuse(f"{self.directory} holds no search")
            if now != seen:
                seen, since = now, time.monotonic()
            elif seen and time.monotonic() - since > patience:
                self._break(seen)
            if time.monotonic() - first > 20 * patience:
                refuse(f"{self.lock} does not go away: remove it if no search works in {self.directory}")
            time.sleep(0.02 + 0.05 * random.random())
        self.own = self._look()
        try:
            yield self.read() if self.path.exists() else None
        finally:
            if self._look() == self.own:
                self.lock.rmdir()

    def _look(self):
        """What tells this lock from another one; None where there is none."""
        with contextlib.suppress(FileNotFoundError):
            status = self.lock.stat()
            return status.st_ino, status.st_mtime_ns
        return None

    def _break(self, seen):
        """Of all that wait only one may remove this very lock: the one that makes a note of it, which stays."""
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            (self.directory / f"broken-lock-{seen[0]}-{seen[1]}").mkdir()
            self.lock.rmdir()

    # workers: a file each, touched again and again while the worker lives

    def is_gone(self, worker, now):
        """Whether a worker has ended without giving its run back. `now` is the time of the file system, not of a clock."""
        path = self.workers / worker
        try:
            age, process = now - path.stat().st_mtime, json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return True
        if process["space"] == process_space():
            start = start_of(process["process"])
            return start is None or start != process["start"]
        return age > self.state["stale"]

    def enter(self, worker, process):
        """Says that a worker is here, and returns the time of the file system."""
        self.workers.mkdir(exist_ok=True)
        path = self.workers / worker
        path.write_text(json.dumps({"process": process, "start": start_of(process), "space": process_space()}))
        return path.stat().st_mtime


def process_space():
    """Where numbers of processes mean the same: this start of this machine, and the name space of its processes."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return (boot.read_text().strip() if boot.exists() else os.uname().nodename) + " " + os.readlink("/proc/self/ns/pid")


def start_of(process):
    """When a process of this machine began, in ticks since its start; None where there is none of that number."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    return None


# ---- taking a run ----

def is_pending(run):
    return run["worker"] is None and run["granted"] > len(run["values"]) and not run["failed"]


def grant(state, run):
    """One rung more. A run that has come to its end (early stopping) has its last value there, too."""
    run["granted"] += 1
    if run["finished"]:
        run["values"].append(run["values"][-1])


def budget_of(state, model):
    """Epochs that were granted to the trials of a model."""
    return sum(state["rungs"][run["granted"] - 1] for run in trials_of(state, model) if run["granted"])


def add_finals(state, model, best):
    for seed in range(1, state["seeds"] + 1):
        run = new_run(model, f"seed-{seed}", best["options"] + [f"training.seed={seed}"], True)
        run["granted"] = 1  # to the end at once
        state["runs"].append(run)


def next_run(state):
    """The run that a worker does next, granted; None where nothing can be done now."""
    rungs, factor = state["rungs"], state["factor"]
    while True:
        pending = next((run for run in state["runs"] if is_pending(run)), None)
        if pending:
            return pending
        chosen = None
        for model in sorted(state["models"], key=lambda model: budget_of(state, model)):  # the one that has had least
            chosen = next_trial(trials_of(state, model), rungs, factor)
            if chosen:
                grant(state, chosen)
                break
        if not chosen and not finals_begun(state):
            return None


def finals_begun(state):
    """Adds the last runs of models whose search is over: whether there are new ones."""
    begun = False
    for model in state["models"]:
        runs = [run for run in state["runs"] if run["model"] == model]
        trials = trials_of(state, model)
        if len(runs) > len(trials) or any(run["worker"] for run in trials):
            continue
        best = best_trial(trials)
        if best:
            add_finals(state, model, best)
            begun = begun or state["seeds"] > 0
    return begun


def is_over(state):
    return not any(run["worker"] or is_pending(run) for run in state["runs"])


def arguments_of(search, run):
    """Of srtrain: the configuration, then options."""
    state = search.state
    words = settings_of(state, run) + ["--output", str(directory_of(search, run))]
    if not run["final"] and run["granted"] < len(state["rungs"]):
        words += ["--until-epoch", str(state["rungs"][run["granted"] - 1])]
    return words


def directory_of(search, run):
    return search.directory / "runs" / run["model"] / run["name"]


def take(search, worker, process):
    """Prints the arguments of the run that this worker does next, one a line."""
    with search.locked() as state:
        now, before = search.enter(worker, process), json.dumps(state)
        for run in state["runs"]:
            if run["worker"] and (run["worker"] == worker or search.is_gone(run["worker"], now)):
                search.note(f"{run['model']}/{run['name']}: {run['worker']} is gone")
                run["worker"] = None
        run = next_run(state)
        if run:
            run["worker"], run["since"] = worker, time.time()
        if json.dumps(state) != before:
            search.write()
        if run:
            print("\n".join(arguments_of(search, run)))
            return 0
    return NOTHING_LEFT if is_over(state) else NOTHING_NOW


# ---- giving it back ----

def lines_of(search, run, kind):
    """The lines of a kind in the metrics of a run that are whole."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in (directory_of(search, run) / "metrics.jsonl").read_text().splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(line)
                if line.get("kind") == kind:
                    found.append(line)
    return found


def is_locked(path):
    """Whether a run works in this directory (its lock is one of the operating system)."""
    import fcntl
    try:
        with open(path / "lock", "r+", encoding="utf-8") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def record(search, run, code):
    """What came of a run that ended with `code`."""
    state, last = search.state, len(search.state["rungs"]) - 1
    rung = last if run["final"] else len(run["values"])
    valid = [line for line in lines_of(search, run, "valid") if line["epoch"] <= state["rungs"][rung]]
    run["epochs"] = max([line["epoch"] for line in valid], default=0)
    if code == 75 and (rung == last or run["epochs"] < state["rungs"][rung]) or code == 2 and is_locked(directory_of(search, run)):
        return "waits for a worker to go on"
    if code not in (0, 75):
        run["failures"] += 1
        if code not in (2, 3) and run["failures"] <= state["retries"]:
            return f"ended with {code} and is tried again"
        run["failed"] = f"exit code {code}"
    elif not valid or state["metric"] not in valid[0]:
        run["failed"] = f"no validation says {state['metric']}"
    else:
        run["values"].append(max(line[state["metric"]] for line in valid))
        run["finished"] = code == 0
        return f"rung {rung + 1} of {last + 1}: {state['metric']} {run['values'][-1]:.4f}"
    run["values"].append(None)
    return f"has failed: {run['failed']}"


def give(search, worker, code):
    with search.locked() as state:
        run = next((run for run in state["runs"] if run["worker"] == worker), None)
        if not run:
            search.note(f"{worker} was taken for gone: what it did counts for the one that has its run now")
            return 0
        run["seconds"] += time.time() - run["since"]
        run["worker"] = None
        search.note(f"{run['model']}/{run['name']}: {record(search, run, code)}")
        search.write()
        write_table(search)
    return 0


# ---- the table ----

def spread(values):
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"


def model_row(search, model, names):
    state = search.state
    trials, best = trials_of(state, model), best_trial(trials_of(state, model))
    tested = [line for run in state["runs"] if run["model"] == model and run["final"] and run["finished"]
              for line in lines_of(search, run, "test") if "baseline" not in line]
    failed = sum(bool(run["failed"]) for run in state["runs"] if run["model"] == model)
    done = sum(bool(run["values"]) for run in trials)
    valid = "-" if not best else f"{best['values'][-1]:.4f} (epoch {state['rungs'][len(best['values']) - 1]})"
    hours = sum(run["seconds"] for run in state["runs"] if run["model"] == model) / 3600
    return [model, *[spread([line[name] for line in tested if name in line]) for name in names], str(len(tested)),
            " ".join(best["options"]) if best else "-", valid, f"{done} of {len(trials)}, {failed} failed",
            str(sum(run["epochs"] for run in trials)), f"{hours:.2f}"]


def baseline_rows(search, names):
    found = {}
    for run in search.state["runs"]:
        for line in lines_of(search, run, "test"):
            if "baseline" in line:
                days = f" of the last {line['days']} days" if "days" in line else ""
                found.setdefault("popularity" + days, line)
    return [[name, *[f"{line[metric]:.4f}" if metric in line else "-" for metric in names], "", "", "", "", "", ""]
            for name, line in found.items()]


def table_text(search):
    state, names = search.state, search.state["report"]
    rows = [["model", *[f"test {name}" for name in names], "seeds", "settings", f"valid {state['metric']}", "trials",
             "epochs of trials", "hours"]]
    rows.append(["---"] * len(rows[0]))
    rows += [model_row(search, model, names) for model in state["models"]] + baseline_rows(search, names)
    trials = [["model", "trial", "settings", "epochs", *[f"epoch {epochs}" for epochs in state["rungs"]]]]
    trials.append(["---"] * len(trials[0]))
    for run in state["runs"]:
        values = [run["failed"] if value is None else f"{value:.4f}" for value in run["values"]]
        if not run["final"]:
            trials.append([run["model"], run["name"], " ".join(run["options"]), str(run["epochs"]), *values,
                           *[""] * (len(state["rungs"]) - len(values))])

    def lines(table):
        return "\n".join("| " + " | ".join(row) + " |" for row in table)
    return (f"Test metrics of the best settings, mean ± standard deviation over seeds. Settings were chosen by {state['metric']} "
            f"of validation: rungs of {', '.join(map(str, state['rungs']))} epochs, one of {state['factor']} goes on.\n\n"
            f"{lines(rows)}\n\nTrials, with the best {state['metric']} of validation up to each rung:\n\n{lines(trials)}\n")


def write_table(search):
    beside = search.directory / f"table.md.{os.uname().nodename}-{os.getpid()}.tmp"
    beside.write_text(table_text(search))
    os.replace(beside, search.directory / "table.md")


# ---- the whole search ----

def job_program():
    """srtrain-job stands beside this script, or in PATH."""
    beside = Path(__file__).resolve().parent / "srtrain-job"
    return str(beside) if beside.exists() else "srtrain-job"


def run_workers(search, options):
    """Starts the workers of this machine, and says what comes of them until they end. Signals that ask to stop are handed
    on."""
    command = [job_program(), "--search", str(search.directory), "--ranks", str(options.ranks)]
    workers, stopped = [], []

    def hand_on(number, _):
        stopped.append(number)
        for worker in workers:
            worker.send_signal(signal.SIGUSR1)
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    log = open(search.directory / "log", "a+", encoding="utf-8")
    for number in range(options.workers):
        # In sessions of their own, so that Ctrl-C does not kill the ranks.
        with open(search.directory / f"worker-{number + 1}.log", "a", encoding="utf-8") as output:
            workers.append(subprocess.Popen(command, start_new_session=True, stdout=output, stderr=output,
                                            stdin=subprocess.DEVNULL))
    while any([worker.poll() is None for worker in workers]):
        sys.stdout.write(log.read())
        sys.stdout.flush()
        time.sleep(0.2)
    sys.stdout.write(log.read())
    codes = [worker.returncode for worker in workers]
    if stopped or 75 in codes:
        print(f"stopped: the same command goes on ({search.directory})")
        return 75
    for number, code in enumerate(codes):
        if code:
            print(f"worker {number + 1} has ended with {code}: {search.directory}/worker-{number + 1}.log says why",
                  file=sys.stderr)
    return next((code for code in codes if code), 0)


def whole_search(options):
    plan, search = make_plan(options), Search(os.path.abspath(options.search))
    if options.submit and re.search(r"\s", str(search.directory)):
        refuse(f"--submit: jobs get {search.directory} as one of several words, so that it may have no blanks")
    search.directory.mkdir(parents=True, exist_ok=True)
    if not search.path.exists():
        check_settings(plan)
    with search.locked() as state:
        different = state and compare_plans(state, plan)
        if different:
            refuse(f"{options.search} holds another search: {different}. Give the same options again, or another directory")
        search.state = state or plan
        search.write()
    if options.submit:
        return subprocess.run(["bash", "-c", options.submit], check=False,
                              env={**os.environ, "SRTRAIN_ARGUMENTS": f"--search {search.directory}"}).returncode
    code = run_workers(search, options)
    return show_table(search) if code == 0 else code


def show_table(search):
    """Exit code 1 where a run has failed."""
    with search.locked() as state:
        write_table(search)
    print((search.directory / "table.md").read_text(), end="")
    return 1 if any(run["failed"] for run in state["runs"]) else 0


def whole_numbers(text):
    numbers = [int(word) for word in text.split(",") if re.fullmatch(r"[1-9]\d*", word)]
    if len(numbers) != text.count(",") + 1 or numbers != sorted(set(numbers)):
        raise argparse.ArgumentTypeError(f"\"{text}\": ascending whole numbers from 1, with commas between them")
    return numbers


def at_least(least):
    def read(text):
        if not re.fullmatch(r"\d+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"\"{text}\": a whole number from {least}")
        return int(text)
    return read


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="sweep.sh", description=__doc__, add_help=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--search", required=True)
    parser.add_argument("--rungs", type=whole_numbers, required=True)
    for name, standard, least in (("factor", 3, 2), ("trials", 0, 1), ("draw-seed", 1, 0), ("seeds", 3, 0), ("workers", 1, 1),
                                  ("ranks", 1, 1), ("retries", 2, 0), ("stale", 120, 1)):
        parser.add_argument(f"--{name}", type=at_least(least), default=standard)
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--report", type=lambda text: text.split(","), default=["hr@10", "ndcg@10"])
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--submit")
    parser.add_argument("words", nargs="*")
    return parser.parse_intermixed_args(arguments)


def main(arguments):
    if "--help" in arguments or not arguments:
        print(__doc__.strip())
        return 0 if arguments else 2
    if arguments[0] == "--table" and len(arguments) == 2:
        search = Search(arguments[1])
        search.read()
        return show_table(search)
    if arguments[0] == "take" and len(arguments) == 4:  # by srtrain-job: DIR WORKER PROCESS
        return take(Search(arguments[1]), arguments[2], int(arguments[3]))
    if arguments[0] == "give" and len(arguments) == 4:  # DIR WORKER CODE
        return give(Search(arguments[1]), arguments[2], int(arguments[3]))
    return whole_search(read_options(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

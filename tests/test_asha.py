"""Searches by successive halving (launch/asha.py): the rule with made-up metrics, the state that workers share, and whole
searches, by a program that stands in for srtrain and by srtrain itself."""
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts import BUILD, SOURCE, environment_without_jobs

sys.path.insert(0, str(SOURCE / "launch"))
import asha  # noqa: E402
import asha_plan  # noqa: E402

RUNGS, FACTOR = [1, 3, 9], 3


def new_state(counts, seeds=0):
    state = {"rungs": RUNGS, "factor": FACTOR, "seeds": seeds, "models": {name: {"configuration": name} for name in counts},
             "runs": []}
    for name, count in counts.items():
        state["runs"] += [asha_plan.new_run(name, f"t{i}", [f"a.b={i}"], False) for i in range(count)]
    return state


def finish(run, value):
    run["worker"] = None
    run["values"].append(value)
    run["failed"] = "exit code 1" if value is None else None


class Rule(unittest.TestCase):
    """Which trial goes on when, by Li et al. (2020), algorithm 2."""

    def one_worker(self, state, value_of):
        """What one worker does, in order: (trial, rung)."""
        order = []
        while True:
            run = asha.next_run(state)
            if not run:
                return order
            order.append((run["name"], len(run["values"])))
            finish(run, value_of(run))

    def test_the_best_of_three_goes_on_before_a_fourth_begins(self):
        state = new_state({"m": 9})
        values = [5, 1, 3, 9, 2, 4, 6, 8, 7]
        order = self.one_worker(state, lambda run: values[int(run["name"][1:])])
        # Of three trials t0 goes on, of six also t3, and of nine also t7: t3, t7 and t8 are the best three of these, but a place
        # is t0's. Of t0, t3 and t7 t3 goes on to the last rung.
        self.assertEqual(order, [("t0", 0), ("t1", 0), ("t2", 0), ("t0", 1), ("t3", 0), ("t4", 0), ("t5", 0), ("t3", 1),
                                 ("t6", 0), ("t7", 0), ("t8", 0), ("t7", 1), ("t3", 2)])
        self.assertEqual(asha.best_trial(state["runs"])["name"], "t3")

    def test_the_best_trial_goes_on_wherever_it_stands(self):
        for count in (9, 10, 11, 14):
            for place in range(count):
                state = new_state({"m": count})
                self.one_worker(state, lambda run, place=place: float(run["name"] == f"t{place}") or int(run["name"][1:]) / 99)
                self.assertEqual(asha.best_trial(state["runs"])["name"], f"t{place}")
                self.assertEqual(sum(len(run["values"]) == 3 for run in state["runs"]), 1)

    def test_of_equal_trials_the_first_goes_on(self):
        state = new_state({"m": 9})
        order = self.one_worker(state, lambda run: 1.0)
        self.assertEqual([name for name, rung in order if rung == 1], ["t0", "t1", "t2"])
        self.assertEqual(asha.best_trial(state["runs"])["name"], "t0")

    def test_failed_trials_count_and_never_go_on(self):
        state = new_state({"m": 9})
        order = self.one_worker(state, lambda run: None if int(run["name"][1:]) < 7 else 1.0)
        self.assertEqual([name for name, rung in order if rung > 0], ["t7", "t8"])
        state = new_state({"m": 9}, seeds=2)
        self.one_worker(state, lambda run: None)
        self.assertIsNone(asha.best_trial(state["runs"]))
        self.assertEqual(len(state["runs"]), 9)  # nothing to train with seeds

    def test_a_trial_that_ended_by_itself_costs_nothing_more(self):
        state = new_state({"m": 9})
        values = iter(range(100))

        def end_early(run):
            run["finished"] = True
            return next(values)
        order = self.one_worker(state, end_early)
        self.assertEqual([rung for _, rung in order], [0] * 9)
        self.assertEqual(sum(len(run["values"]) == 3 for run in state["runs"]), 1)

    def test_every_model_has_the_same_budget_however_many_workers_there_are(self):
        for seed in range(40):
            draws = random.Random(seed)
            state, working = new_state({"a": 11, "b": 11, "c": 11}), []
            while True:
                run = asha.next_run(state) if len(working) < 1 + seed % 5 else None
                if run:
                    run["worker"] = "w"
                    working.append(run)
                elif working:
                    finish(working.pop(draws.randrange(len(working))), draws.random())
                else:
                    break
            for model in "abc":
                trials = asha.trials_of(state, model)
                self.assertEqual([sum(len(run["values"]) > rung for run in trials) for rung in range(3)], [11, 3, 1])
                self.assertEqual(asha.budget_of(state, model), 8 * 1 + 2 * 3 + 9)

    def test_seeds_come_when_the_search_of_a_model_is_over(self):
        state = new_state({"a": 9, "b": 9}, seeds=2)
        order = self.one_worker(state, lambda run: hash((run["model"], run["name"])) % 100)
        self.assertEqual([name for name, _ in order[-4:]], ["seed-1", "seed-2", "seed-1", "seed-2"])
        for model in "ab":
            finals = [run for run in state["runs"] if run["model"] == model and run["final"]]
            best = asha.best_trial(asha.trials_of(state, model))
            self.assertEqual([run["options"] for run in finals],
                             [best["options"] + [f"training.seed={seed}"] for seed in (1, 2)])


class Plan(unittest.TestCase):
    """What the command line asks for."""

    def plan(self, *words):
        return asha_plan.make_plan(asha.read_options(["--search", "s", *words]))

    def refused(self, *words):
        with self.assertRaises(SystemExit) as ended, open(os.devnull, "w") as nothing:
            stderr, sys.stderr = sys.stderr, nothing
            try:
                self.plan(*words)
            finally:
                sys.stderr = stderr
        self.assertEqual(ended.exception.code, 2)

    def test_models_have_their_settings_in_all_combinations_or_drawn(self):
        plan = self.plan("--rungs", "1,2", "--factor", "2", "a.yaml", "x.y=1,2", "x.z=3,4", "b=a.yaml", "x.y=5,6,7,8")
        self.assertEqual([(run["model"], run["options"]) for run in plan["runs"]],
                         [("a", ["x.y=1", "x.z=3"]), ("a", ["x.y=1", "x.z=4"]), ("a", ["x.y=2", "x.z=3"]),
                          ("a", ["x.y=2", "x.z=4"]), *[("b", [f"x.y={i}"]) for i in (5, 6, 7, 8)]])
        drawn = self.plan("--rungs", "1,2", "--trials", "20", "a.yaml", "x.y=1e-4..1e-2", "x.z=1..3")
        self.assertEqual(drawn, self.plan("--rungs", "1,2", "--trials", "20", "a.yaml", "x.y=1e-4..1e-2", "x.z=1..3"))
        rates = [float(run["options"][0][4:]) for run in drawn["runs"]]
        self.assertTrue(all(1e-4 <= rate <= 1e-2 for rate in rates))
        self.assertTrue(5 <= sum(rate < 1e-3 for rate in rates) <= 15)  # by the logarithm
        self.assertEqual({run["options"][1] for run in drawn["runs"]}, {"x.z=1", "x.z=2", "x.z=3"})

    def test_what_is_wrong_is_refused(self):
        good = ["--rungs", "1,2", "--factor", "2"]
        for words in (["a.yaml"], ["x.y=1,2"], ["a.yaml", "x.y=1,2", "a.yaml", "x.y=1,2"], ["a.yaml", "nonsense"],
                      ["a.yaml", "x.y=1,2", "x.y=3,4"], ["a.yaml", "training.seed=1,2"], ["a.yaml", "x.y=2..1", "--trials", "9"],
                      ["a.yaml", "x.y=1..2"], ["a.yaml", "x.y=1,2", "--trials", "3"],
                      ["a.yaml", "x.y=1,2", "b.yaml", "x.y=1,2,3"]):
            self.refused(*good, *words)
        self.refused("--rungs", "2,1", "a.yaml", "x.y=1,2,3")
        self.refused("--rungs", "1,2,3", "a.yaml", "x.y=1,2,3,4,5,6,7,8")  # eight trials, of which none reaches the last rung


class Sharing(unittest.TestCase):
    """A directory that several workers have."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="srtrain-asha-")
        self.addCleanup(holder.cleanup)
        self.search = asha.Search(holder.name)
        with self.search.locked():
            self.search.state = {"format": asha_plan.FORMAT, "count": 0, "stale": 3600}
            self.search.write()

    def test_nobody_loses_what_another_has_written(self):
        def count(_):
            search = asha.Search(self.search.directory)
            for _ in range(20):
                with search.locked() as state:
                    state["count"] += 1
                    search.write()
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(count, range(5)))
        self.assertEqual(self.search.read()["count"], 100)
        self.assertFalse((self.search.directory / "lock").exists())

    def test_a_lock_that_a_killed_process_left_is_broken_once(self):
        (self.search.directory / "lock").mkdir()

        def work(_):
            search = asha.Search(self.search.directory)
            with search.locked(patience=0.3) as state:
                state["count"] += 1
                search.write()
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(work, range(5)))
        self.assertEqual(self.search.read()["count"], 5)

    def test_a_worker_whose_lock_was_taken_away_writes_nothing(self):
        with self.assertRaises(SystemExit), open(os.devnull, "w") as nothing:
            stderr, sys.stderr = sys.stderr, nothing
            try:
                with self.search.locked() as state:
                    self.search.lock.rmdir()  # as somebody does who has waited long enough
                    self.search.lock.mkdir()
                    state["count"] = 9
                    self.search.write()
            finally:
                sys.stderr = stderr
        self.assertEqual(self.search.read()["count"], 0)
        self.assertTrue(self.search.lock.exists())  # it is another's

    def test_who_is_gone(self):
        now = self.search.enter("here", os.getpid())
        self.assertFalse(self.search.is_gone("here", now + 1e6))  # its process lives
        self.search.enter("dead", 2 ** 22 + 1)
        self.assertTrue(self.search.is_gone("dead", now))
        (self.search.workers / "elsewhere").write_text(json.dumps({"process": 1, "space": "another machine"}))
        self.assertFalse(self.search.is_gone("elsewhere", now + 3000))
        self.assertTrue(self.search.is_gone("elsewhere", now + 4000))
        self.assertTrue(self.search.is_gone("never seen", now))


# Trains nothing: the metric of an epoch follows from model.a alone. Ends like srtrain; `slow` tenths of a second an epoch, and
# an exit code of its own where model.code says so.
STAND_IN = r'''#!/usr/bin/env python3
import json, os, signal, sys, time
words = sys.argv[1:]
if words[0] == "config":
    print("data:\n  path: x\nevaluation:\n  top_k: [10]\n  every_epochs: 1")
    sys.exit(2 if "model.wrong=1" in words else 0)
options = dict(word.split("=") for word, before in zip(words[1:], words) if before == "--set")
output = words[words.index("--output") + 1]
until = int(words[words.index("--until-epoch") + 1]) if "--until-epoch" in words else 10 ** 9
stopped = []
signal.signal(signal.SIGUSR1, lambda *_: stopped.append(1))
os.makedirs(output, exist_ok=True)
path = output + "/metrics.jsonl"
lines = [json.loads(line) for line in open(path)] if os.path.exists(path) else []
if os.environ["RUNS"]:
    open(os.environ["RUNS"], "a").write(f"{output} from {len(lines)}\n")
if "model.code" in options and options["model.code"] != "0":
    sys.exit(int(options["model.code"]))
file = open(path, "a")
def say(**line):
    file.write(json.dumps(line) + "\n")
    file.flush()
for epoch in range(len(lines) + 1, min(until, int(options["training.epochs"])) + 1):
    time.sleep(0.1 * float(os.environ.get("SLOW", 0)))
    if stopped:
        sys.exit(75)
    value = float(options["model.a"]) * (1 - 0.5 ** epoch)
    say(kind="valid", epoch=epoch, **{"ndcg@10": value})
if until < int(options["training.epochs"]):
    sys.exit(75)
value = float(options["model.a"]) / 2 + float(options["training.seed"] if "training.seed" in options else 0) / 1000
say(kind="test", epoch=epoch, baseline="popularity", **{"ndcg@10": 0.01, "hr@10": 0.02})
say(kind="test", epoch=epoch, **{"ndcg@10": value, "hr@10": 2 * value})
'''


class Whole(unittest.TestCase):
    """launch/sweep.sh --search as somebody calls it."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="srtrain-asha-")
        self.addCleanup(holder.cleanup)
        self.directory = Path(holder.name)
        self.environment = {**environment_without_jobs(), "SRTRAIN_LAUNCHER": "env", "SRTRAIN_POLL": "0.1",
                            "RUNS": str(self.directory / "runs.txt"), "PATH": f"{SOURCE / 'launch'}:{os.environ['PATH']}"}
        self.environment.pop("SRTRAIN_ARGUMENTS", None)
        for name in ("a.yaml", "b.yaml"):
            (self.directory / name).write_text("data: {path: none}\n")

    def use_stand_in(self):
        program = self.directory / "srtrain"
        program.write_text(STAND_IN)
        program.chmod(0o755)
        self.environment["SRTRAIN_PROGRAM"] = str(program)

    def begin(self, *words, **environment):
        return subprocess.Popen(["sweep.sh", *words], cwd=self.directory, env={**self.environment, **environment},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def sweep(self, *words, code=0, **environment):
        process = self.begin(*words, **environment)
        said = process.communicate()[0]
        logs = "".join(path.read_text() for path in self.directory.glob("s/worker-*.log"))
        self.assertEqual(process.returncode, code, said + logs)
        return said

    def state(self):
        return json.loads((self.directory / "s" / "search.json").read_text())

    ONE = ["--search", "s", "--rungs", "1,2,4", "--factor", "2", "--seeds", "1", "a.yaml", "model.a=.1,.8,.3,.4"]
    TWO = ["--search", "s", "--rungs", "1,2,4", "--factor", "2", "--seeds", "2", "a.yaml", "model.a=.1,.8,.3,.4", "b.yaml",
           "model.a=.5,.4,.3,.2"]
    ROW = "| a | 0.8020 | 0.4010 | 1 | model.a=.8 | 0.7500 (epoch 4) | 4 of 4, 0 failed | 8 |"

    def assert_complete(self):
        """The best has come through, whoever was killed meanwhile."""
        state = self.state()
        for model, best in zip(state["models"], (".8", ".5")):
            trials = [run for run in state["runs"] if run["model"] == model and not run["final"]]
            self.assertEqual([sum(len(run["values"]) > rung for run in trials) for rung in range(3)], [4, 2, 1])
            self.assertEqual([run["options"] for run in state["runs"] if run["model"] == model and run["final"]],
                             [[f"model.a={best}", f"training.seed={i + 1}"] for i in range(state["seeds"])])
        self.assertEqual({(run["worker"], run["failed"]) for run in state["runs"]}, {(None, None)})
        for path in (self.directory / "s" / "runs").glob("*/*/metrics.jsonl"):  # no epoch was done twice or left out
            epochs = [line["epoch"] for line in map(json.loads, path.read_text().splitlines()) if line["kind"] == "valid"]
            self.assertEqual(epochs, list(range(1, len(epochs) + 1)), path)

    def test_one_command_gives_one_table(self):
        self.use_stand_in()
        said = self.sweep(*self.TWO)
        self.assert_complete()
        row = "| a | 0.8030 ± 0.0014 | 0.4015 ± 0.0007 | 2 | model.a=.8 | 0.7500 (epoch 4) | 4 of 4, 0 failed | 8 |"
        self.assertIn(row, said)
        self.assertIn("| b | 0.5030 ± 0.0014 |", said)
        self.assertIn("| popularity | 0.0200 | 0.0100 |", said)
        before = self.state()
        self.assertIn(row, self.sweep(*self.TWO))  # nothing is left to do
        self.assertEqual(self.state(), before)
        self.assertIn(row, self.sweep("--table", "s"))
        self.assertIn("its rungs are [1, 2, 4], not [1, 2]",
                      self.sweep(*[{"1,2,4": "1,2"}.get(word, word) for word in self.TWO], code=2))
        self.assertIn("another search: a trial is", self.sweep(*[word.replace(".2", ".25") for word in self.TWO], code=2))

    def test_workers_that_are_killed_are_replaced(self):
        self.use_stand_in()
        for steps in (1, 3):
            process = self.begin(*self.ONE, "--workers", "2", SLOW="0.5")
            deadline = time.monotonic() + 60
            while self.steps_begun() < steps and time.monotonic() < deadline:
                time.sleep(0.05)
            self.kill_all()
            process.communicate()
        self.assertTrue(any(run["worker"] for run in self.state()["runs"]))
        self.sweep(*self.ONE, "--workers", "2")
        self.assert_complete()

    def steps_begun(self):
        path = self.directory / "runs.txt"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def kill_all(self):
        """Workers and what they have started, but nobody else's."""
        for line in subprocess.run(["ps", "-eo", "pid=,args="], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
            if f"{self.directory}/" in line or " --search s " in line and self.works_here(line.split()[0]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(line.split()[0]), signal.SIGKILL)

    def works_here(self, process):
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{process}/cwd") == str(self.directory)
        return False

    def test_a_search_that_is_stopped_goes_on(self):
        self.use_stand_in()
        process = self.begin(*self.ONE, "--workers", "2", SLOW="5")
        deadline = time.monotonic() + 60
        while self.steps_begun() < 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)  # a program that has just begun is killed by such a signal, which is no harm either
        process.send_signal(signal.SIGINT)
        said = process.communicate()[0]
        self.assertEqual(process.returncode, 75, said)
        self.assertIn("waits for a worker to go on", said)
        self.assertIn("stopped: the same command goes on", said)
        self.assertFalse(any(run["worker"] for run in self.state()["runs"]))
        self.sweep(*self.ONE)
        self.assert_complete()

    def test_failures_are_told_and_the_search_goes_on(self):
        self.use_stand_in()
        said = self.sweep("--search", "s", "--rungs", "1,3", "--seeds", "1", "--retries", "1", "a.yaml", "model.a=.1",
                          "model.code=0,1,3", code=1)
        self.assertIn("3 of 3, 2 failed", said)
        self.assertIn("exit code 3", said)
        runs = (self.directory / "runs.txt").read_text()
        self.assertEqual([runs.count(f"trial-{i} ") for i in ("001", "002", "003")], [2, 2, 1])  # the second is tried again
        self.assertIn("cannot be trained: nothing was started",
                      self.sweep("--search", "t", "--rungs", "1", "a.yaml", "model.wrong=0,1", code=2))
        self.assertFalse((self.directory / "t" / "search.json").exists())

    def test_a_batch_system_starts_workers(self):
        self.use_stand_in()
        self.sweep(*self.ONE, "--submit", "for i in 1 2; do srtrain-job & done; wait")
        self.assert_complete()
        self.assertIn(self.ROW, (self.directory / "s" / "table.md").read_text())

    def test_a_resumed_trial_is_one_that_was_never_stopped(self):
        subprocess.run([BUILD / "srprep", "synth", "--users", "60", "--items", "40", "--mean-length", "7", "--seed", "3",
                        "--output", self.directory / "data"], check=True, stdout=subprocess.DEVNULL)
        (self.directory / "a.yaml").write_text(
            "data: {path: data}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1, heads: 1}\n"
            "training: {batch_size: 64, schedule: cosine}\nevaluation: {top_k: [5, 10]}\n")
        self.environment.update(SRTRAIN_PROGRAM=str(BUILD / "srtrain"), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        said = self.sweep("--search", "s", "--rungs", "1,2,4", "--factor", "2", "--seeds", "1", "--set", f"data.path={self.directory}/data",
                          "a.yaml", "training.learning_rate=1e-2,1e-3,1e-4,1e-5")
        self.assertIn("of the last 7 days", said)
        state = self.state()
        trial = next(run for run in state["runs"] if len(run["values"]) == 3)
        subprocess.run([BUILD / "srtrain", "a.yaml", "--set", *trial["options"], "training.epochs=4", "--output", "whole"],
                       cwd=self.directory, check=True, stdout=subprocess.DEVNULL, env=self.environment)
        resumed, whole = self.directory / "s" / "runs" / "a" / trial["name"], self.directory / "whole"
        self.assertEqual((self.directory / "s" / "worker-1.log").read_text().count(f"going on from {resumed}/"), 2)
        for name in ("best.h5", f"checkpoints/{max(path.name for path in (whole / 'checkpoints').iterdir())}"):
            self.assertTrue(self.parameters(resumed / name) == self.parameters(whole / name), name)
        values = [[line["ndcg@10"] for line in map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
                   if line["kind"] in ("valid", "test")] for path in (resumed, whole)]
        self.assertEqual(values[0], values[1])

    def parameters(self, path):
        """Names, shapes and bits of all parameters."""
        subprocess.run([BUILD / "srtrain", "export", path, "--format", "safetensors", "--output", self.directory / "exported"],
                       stdout=subprocess.DEVNULL, check=True, env=self.environment)
        data = (self.directory / "exported").read_bytes()
        (self.directory / "exported").unlink()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        del header["__metadata__"]
        return header, data[8 + length:]


if __name__ == "__main__":
    unittest.main()

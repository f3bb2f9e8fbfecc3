"""launch/forward-metrics.py with stand-ins of MLflow and Weights & Biases, and with MLflow where it is installed:
test_forward_metrics.py SCRIPT."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(sys.argv.pop(1)).resolve()

# Each writes a line for every call.
MLFLOW = '''
import json
class Metric:
    def __init__(self, key, value, timestamp, step):
        self.fields = [key, value, timestamp, step]
class entities:
    Metric = Metric
def note(*what):
    with open("calls", "a") as file:
        print(json.dumps(what), file=file)
class Started:
    class info:
        run_id = "number-7"
def set_experiment(name): note("experiment", name)
def start_run(identifier, run_name): note("start", identifier, run_name); return Started
def log_artifact(path): note("artifact", path.name)
class MlflowClient:
    def log_batch(self, identifier, metrics): note("batch", identifier, [metric.fields for metric in metrics])
'''
WANDB = '''
import json
def note(*what):
    with open("calls", "a") as file:
        print(json.dumps(what), file=file)
class Run:
    id = "number-8"
    def define_metric(self, name, step_metric): note("define", name, step_metric)
    def save(self, path, base_path): note("artifact", path.name)
    def log(self, values): note("log", values)
def init(project, name, id, resume, dir): note("start", project, name, id, resume); return Run()
'''
TRAIN = '{{"kind":"train","step":{0},"epoch":1,"loss":4.5,"seconds":2,"unix_seconds":1700000000.25}}\n'
PHASES = '{"kind":"phases","step":20,"steps":20,"ranks":1,"phases":{}}\n'
VALID = '{"kind":"valid","step":20,"epoch":1,"cases":9,"ndcg@10":0.25,"ndcg@10_error":0.01,"unix_seconds":1700000001}\n'
BASELINE = '{"kind":"test","step":20,"epoch":1,"baseline":"popularity","cases":9,"ndcg@10":0.05}\n'
TEST = '{"kind":"test","step":20,"epoch":1,"cases":9,"ndcg@10":0.5}\n'


class Forward(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        (self.path / "run").mkdir()
        (self.path / "run/config.yaml").write_text("data: {path: data}\n")

    def write(self, *lines):
        (self.path / "run/metrics.jsonl").write_text("".join(lines))

    def stand_in(self, name, source):
        (self.path / "modules").mkdir(exist_ok=True)
        (self.path / f"modules/{name}.py").write_text(source)

    def forward(self, *arguments, **environment):
        """The calls of the stand-in."""
        calls = self.path / "calls"
        calls.write_text("")
        found = subprocess.run([sys.executable, SCRIPT, *arguments], cwd=self.path, capture_output=True, text=True,
                               env={**os.environ, "PYTHONPATH": str(self.path / "modules"), **environment}, timeout=120)
        self.assertEqual(found.returncode, 0, found.stderr)
        return [json.loads(line) for line in calls.read_text().splitlines()]

    def test_mlflow_gets_every_line_once(self):
        self.stand_in("mlflow", MLFLOW)
        self.write(TRAIN.format(10), '{"kind":"train","step":2')  # the last line is being written
        self.assertEqual(self.forward("mlflow", "run", "--project", "items"), [
            ["experiment", "items"], ["start", None, "run"], ["artifact", "config.yaml"],
            ["batch", "number-7", [["train/loss", 4.5, 1700000000250, 10], ["train/seconds", 2, 1700000000250, 10]]]])
        self.write(TRAIN.format(10), TRAIN.format(20), VALID)
        found = self.forward("mlflow", "run")
        self.assertEqual(found[1], ["start", "number-7", None])
        self.assertEqual([[key, step] for call in found[3:] for key, _, _, step in call[2]], [
            ["train/loss", 20], ["train/seconds", 20], ["valid/ndcg_at_10", 20], ["valid/ndcg_at_10_error", 20]])

    def test_steps_that_were_trained_again_are_not_sent_again(self):
        self.stand_in("mlflow", MLFLOW)
        self.write(TRAIN.format(10), TRAIN.format(20), TRAIN.format(30))
        self.forward("mlflow", "run")
        self.write(TRAIN.format(10), TRAIN.format(20))
        self.assertEqual(len(self.forward("mlflow", "run")), 3)
        self.write(*(TRAIN.format(step) for step in (10, 20, 30, 40)))
        self.assertEqual([call[2][0][3] for call in self.forward("mlflow", "run")[3:]], [40])

    def test_weights_and_biases_gets_steps_as_a_value(self):
        self.stand_in("wandb", WANDB)
        self.write(TRAIN.format(10), VALID, PHASES, BASELINE, TEST)
        self.assertEqual(self.forward("wandb", "run", "--follow"), [
            ["start", "srtrain", "run", None, "allow"], ["define", "*", "step"], ["artifact", "config.yaml"],
            ["log", {"train/loss": 4.5, "train/seconds": 2, "step": 10, "epoch": 1}],
            ["log", {"valid/ndcg_at_10": 0.25, "valid/ndcg_at_10_error": 0.01, "step": 20, "epoch": 1}],
            ["log", {"test/popularity/ndcg_at_10": 0.05, "step": 20, "epoch": 1}],
            ["log", {"test/ndcg_at_10": 0.5, "step": 20, "epoch": 1}]])
        self.assertEqual(self.forward("wandb", "run")[0], ["start", "srtrain", "run", "number-8", "allow"])

    def test_the_script_is_short(self):
        self.assertLessEqual(len(SCRIPT.read_text().splitlines()), 60)

    def test_mlflow_itself_holds_what_was_sent(self):
        try:
            import mlflow
        except ImportError as missing:
            self.skipTest(str(missing))
        self.write(TRAIN.format(10), TRAIN.format(20), VALID, BASELINE, TEST)
        store = f"file://{self.path}/store"
        environment = {"MLFLOW_TRACKING_URI": store, "MLFLOW_ALLOW_FILE_STORE": "true"}
        self.forward("mlflow", "run", **environment)
        self.forward("mlflow", "run", **environment)
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        client = mlflow.MlflowClient(store)
        runs = client.search_runs([client.get_experiment_by_name("srtrain").experiment_id])
        self.assertEqual([run.info.run_name for run in runs], ["run"])
        history = client.get_metric_history(runs[0].info.run_id, "train/loss")
        self.assertEqual([(metric.step, metric.value) for metric in history], [(10, 4.5), (20, 4.5)])
        self.assertEqual(runs[0].data.metrics["test/ndcg_at_10"], 0.5)
        self.assertEqual([file.path for file in client.list_artifacts(runs[0].info.run_id)], ["config.yaml"])


if __name__ == "__main__":
    unittest.main()

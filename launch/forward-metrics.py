#!/usr/bin/env python3
"""Forwards the metrics of a run to MLflow or to Weights & Biases, afterwards or, with --follow, while it works.

    forward-metrics.py mlflow|wandb RUN [--project NAME] [--follow]

RUN/forwarded-to-SERVICE.json notes what was sent: the same command goes on from there, also after the run was resumed."""
import argparse, json, time
from pathlib import Path

def curves(line):
    """The numbers of a line by names that both services allow, as valid/ndcg_at_10."""
    place = "/".join(filter(None, (line["kind"], line.get("baseline")))) + "/"
    return {place + name.replace("@", "_at_"): value for name, value in line.items()
            if isinstance(value, (int, float)) and name not in ("step", "epoch", "cases", "unix_seconds")}

class MLflow:
    def __init__(self, run, project, identifier):
        import mlflow
        mlflow.set_experiment(project)
        self.metric, self.client = mlflow.entities.Metric, mlflow.MlflowClient()
        self.identifier = mlflow.start_run(identifier, run_name=None if identifier else run.name).info.run_id
        mlflow.log_artifact(run / "config.yaml")

    def send(self, line):
        when = int(1000 * line.get("unix_seconds", time.time()))
        self.client.log_batch(self.identifier, [self.metric(*curve, when, line["step"]) for curve in curves(line).items()])

class Wandb:
    def __init__(self, run, project, identifier):
        import wandb
        self.run = wandb.init(project=project, name=run.name, id=identifier, resume="allow", dir=run)
        self.identifier = self.run.id
        self.run.define_metric("*", step_metric="step")  # steps of a test are those of the best parameters, which lie behind
        self.run.save(run / "config.yaml", base_path=run)

    def send(self, line):
        self.run.log({**curves(line), "step": line["step"], "epoch": line["epoch"]})

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("service", choices=["mlflow", "wandb"])
parser.add_argument("run", type=Path)
parser.add_argument("--project", default="srtrain")
parser.add_argument("--follow", action="store_true", help="until the test of the run")
options = parser.parse_args()
note = options.run / f"forwarded-to-{options.service}.json"
sent = json.loads(note.read_text()) if note.exists() else {"identifier": None, "steps": {}}
service = {"mlflow": MLflow, "wandb": Wandb}[options.service](options.run, options.project, sent["identifier"])
sent["identifier"], ended = service.identifier, False
while True:
    with open(options.run / "metrics.jsonl") as lines:
        for line in (json.loads(text) for text in lines if text.endswith("}\n")):  # the last one may still be written
            kind = line["kind"] + line.get("baseline", "")
            ended = ended or kind == "test"
            if kind != "phases" and line["step"] > sent["steps"].get(kind, -1):
                service.send(line)
                sent["steps"][kind] = line["step"]
    note.write_text(json.dumps(sent))
    if ended or not options.follow:
        break
    time.sleep(10)

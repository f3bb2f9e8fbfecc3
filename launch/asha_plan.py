"""What a search is to do: models, the settings of their trials, and whether they can be trained. Part of asha.py."""
import itertools
import json
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

FORMAT = "srtrain-search-1"


def refuse(text):
    print(f"sweep.sh: {text}", file=sys.stderr)
    sys.exit(2)


def new_run(model, name, options, final):
    return {"model": model, "name": name, "options": options, "final": final, "granted": 0, "values": [], "finished": False,
            "failed": None, "failures": 0, "worker": None, "since": 0, "seconds": 0, "epochs": 0}


def trials_of(state, model):
    return [run for run in state["runs"] if run["model"] == model and not run["final"]]


def settings_of(state, run):
    """Words of a command line: the configuration, and what is set in it."""
    words = [state["models"][run["model"]]["configuration"]]
    for option in [*state["set"], *run["options"], f"training.epochs={state['rungs'][-1]}",
                   f"training.early_stopping.metric={state['metric']}"]:
        words += ["--set", option]
    return words


def drawn(low, high, draws):
    """A number between two, as they are written: whole ones between whole ones."""
    ends = float(low), float(high)
    is_whole = re.fullmatch(r"\d+", low) and re.fullmatch(r"\d+", high)
    if ends[0] > 0 and ends[1] >= 10 * ends[0]:
        value = math.exp(draws.uniform(math.log(ends[0]), math.log(ends[1])))
    else:
        value = draws.uniform(ends[0], ends[1] + bool(is_whole))
    return str(min(int(value), int(high))) if is_whole else f"{value:.3g}"


def combinations(model, settings, trials, draws):
    """The options of the trials of a model."""
    keys, alternatives, ranges = [], [], {}
    for setting in settings:
        key, _, text = setting.partition("=")
        span = re.fullmatch(r"([-+.\deE]+?)\.\.([-+.\deE]+)", text)
        if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", key) or not text or re.search(r"\s", text):
            refuse(f"\"{setting}\" is not section.key=value,value,... or section.key=LOW..HIGH")
        if key in keys:
            refuse(f"{model} has {key} twice")
        if key in ("training.seed", "training.epochs"):
            refuse(f"{key} is not a setting to search for: --seeds and --rungs say it")
        keys.append(key)
        if span:
            try:
                if not float(span[1]) < float(span[2]):
                    raise ValueError
            except ValueError:
                refuse(f"\"{setting}\": a range goes from one number up to another")
            ranges[key] = span[1], span[2]
        alternatives.append([text] if span else text.split(","))
    choices = list(itertools.product(*alternatives))
    if ranges and not trials:
        refuse(f"{model}: a range needs --trials, which says how often to draw from it")
    if trials and ranges:
        choices = [draws.choice(choices) for _ in range(trials)]
    elif trials and trials > len(choices):
        refuse(f"{model} has {len(choices)} combinations, --trials {trials} asks for more")
    elif trials:
        choices = draws.sample(choices, trials)
    return [[f"{key}={drawn(*ranges[key], draws) if key in ranges else value}" for key, value in zip(keys, choice)]
            for choice in choices]


def split_models(words):
    """{name: (configuration, settings)}."""
    models = {}
    for word in words:
        named = re.fullmatch(r"(?:([A-Za-z0-9_-]+)=)?(\S.*\.ya?ml)", word)
        if named:
            name = named[1] or Path(named[2]).stem
            if name in models:
                refuse(f"two models are called {name}: NAME=CONFIG.yaml gives another name")
            models[name] = named[2], []
            settings = models[name][1]
        elif models:
            settings.append(word)
        else:
            refuse(f"\"{word}\" stands before the first CONFIG.yaml (--help)")
    return models or refuse("CONFIG.yaml is missing (--help)")


def make_plan(options):
    draws = random.Random(options.draw_seed)
    models = split_models(options.words)
    state = {"format": FORMAT, "rungs": options.rungs, "factor": options.factor, "seeds": options.seeds,
             "metric": options.metric, "report": options.report, "set": options.set, "retries": options.retries,
             "stale": options.stale, "models": {}, "runs": []}
    for name, (configuration, settings) in models.items():
        state["models"][name] = {"configuration": os.path.abspath(configuration)}
        for number, choice in enumerate(combinations(name, settings, options.trials, draws)):
            state["runs"].append(new_run(name, f"trial-{number + 1:03}", choice, False))
    counts = {name: len(trials_of(state, name)) for name in models}
    if len(set(counts.values())) > 1:
        refuse("every model needs equally many trials, to have the same budget: "
               + ", ".join(f"{name} has {count}" for name, count in counts.items())
               + f"; --trials {min(counts.values())} draws as many of each")
    least = options.factor ** (len(options.rungs) - 1)
    if min(counts.values()) < least:
        refuse(f"of {min(counts.values())} trials none would reach rung {len(options.rungs)}: that takes {least} (--factor "
               f"{options.factor}), or fewer rungs")
    return state


def check_settings(state):
    """Every trial's settings, as srtrain reads them: nothing is started where some are wrong."""
    program = os.environ.get("SRTRAIN_PROGRAM", "srtrain")
    for run in state["runs"]:
        configuration, *options = settings_of(state, run)
        done = subprocess.run([program, "config", configuration, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stderr)
            refuse(f"trial {run['model']}/{run['name']} cannot be trained: nothing was started")
        every = re.search(r"^evaluation:\n(?: .*\n|\n)*? +every_epochs: (\d+)", done.stdout, re.M)
        if every and (every[1] == "0" or any(epochs % int(every[1]) for epochs in state["rungs"])):
            refuse(f"trial {run['model']}/{run['name']}: evaluation.every_epochs is {every[1]}, so that not every rung ends "
                   "with a validation")


def compare_plans(old, new):
    """What the first difference is, or None. What has been done is not part of the plan."""
    for key in ("rungs", "factor", "seeds", "metric", "report", "set", "models"):
        if old[key] != new[key]:
            return f"its {key} are {json.dumps(old[key])}, not {json.dumps(new[key])}"
    for before, after in itertools.zip_longest(*[[(run["model"], run["options"]) for run in plan["runs"] if not run["final"]]
                                                 for plan in (old, new)]):
        if before != after:
            return f"a trial is {json.dumps(before)}, not {json.dumps(after)}"
    return None

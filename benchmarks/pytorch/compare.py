#!/usr/bin/env python3
"""Runs benchmark_step of srtrain and step.py by turns, one thread a process, and prints the ratio. benchmarks/run.sh
peers calls it.

    compare.py BENCHMARK_STEP CONFIG.yaml|wide|long DATA [STEPS] [section.key=value ...] [--form NAME ...] [--ranks N]
                              [--precision fp32|bf16] [--json FILE]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from settings import UsageError, read

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import launcher  # noqa: E402

ROUNDS = 2
TRIAL_STEPS = 5
PARTS = ["step", "data", "forward", "loss", "backward", "optimizer", "processor"]
# Models without a configuration file of their own: a file, and what is changed in it.
CASES = {
    "wide": ("configs/ml-1m.yaml", ["training.batch_size=64", "model.hidden_size=256", "model.inner_size=1024", "model.layers=4",
                                    "model.heads=4"]),
    "long": ("configs/ml-1m.yaml", ["training.batch_size=16", "model.max_length=1000", "model.inner_size=256", "model.heads=2"]),
}
# Ways to run the same model in PyTorch: options of step.py. Those of TRIED are tried where no form is asked for.
FORMS = {
    "published": [],
    "tuned": ["--tuned"],
    "tuned-masks": ["--tuned", "--short-masks"],
    "tuned-sdpa": ["--tuned", "--sdpa"],
    "tuned-masks-sdpa": ["--tuned", "--short-masks", "--sdpa"],
    "tuned-separated": ["--tuned", "--short-masks", "--separated"],
    "compiled": ["--tuned", "--compile"],
    "sparse": ["--tuned", "--sparse"],
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh peers", description="srtrain and PyTorch by turns, one thread a process.")
    parser.add_argument("benchmark_step", help=argparse.SUPPRESS)
    parser.add_argument("config", help=f"a configuration file, or one of {', '.join(CASES)}")
    parser.add_argument("data")
    parser.add_argument("rest", nargs="*", metavar="STEPS and section.key=value",
                        help="steps of PyTorch a round (default 10; srtrain takes ten times as many), and settings of both")
    parser.add_argument("--form", action="append", default=[], choices=FORMS,
                        help="how PyTorch computes; of several the fastest is taken, without the option of all that fit")
    parser.add_argument("--ranks", type=int, default=1, help="compare as many processes with one, of both programs")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="of PyTorch; training.precision=bf16 is for both")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_intermixed_args()
    arguments.steps = int(arguments.rest.pop(0)) if arguments.rest and arguments.rest[0].isdigit() else 10
    if arguments.steps < 1 or arguments.ranks < 1 or any("=" not in assignment for assignment in arguments.rest):
        parser.error("STEPS and --ranks are whole numbers from 1, settings are section.key=value")
    arguments.file, assignments = CASES.get(arguments.config, (arguments.config, []))
    arguments.settings = assignments + arguments.rest
    return arguments


# ---- programs ----


def srtrain_command(arguments, ranks):
    words = [arguments.benchmark_step, "--json", None, arguments.file, str(10 * arguments.steps), f"data.path={arguments.data}",
             *arguments.settings]
    return [*launcher.find().fill(ranks), *words] if ranks > 1 else words


def pytorch_command(arguments, form, ranks=1, steps=None, precision=None):
    words = [sys.executable, "-B", str(Path(__file__).with_name("step.py")), "--json", None, arguments.file, arguments.data,
             "--steps", str(steps or arguments.steps), "--ranks", str(ranks), *FORMS[form]]
    for assignment in arguments.settings:
        words += ["--set", assignment]
    precision = precision or arguments.precision
    return words + (["--precision", precision] if precision else [])


def run(command):
    """The results of one program, or None; its own output goes to the terminal only if it fails."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "results.json")
        done = subprocess.run([path if word is None else word for word in command], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            sys.stderr.write(done.stdout)
            return None
        return json.loads(path.read_text(encoding="utf-8"))


def must_run(command):
    results = run(command)
    if results is None:
        sys.exit(1)
    return results


# ---- which form of PyTorch ----


def forms_that_fit(settings):
    spatial, adversarial = settings.calibrators.spatial, settings.calibrators.adversarial
    has_attention = settings.model.backbone in ("sasrec", "bert4rec") and not spatial and not adversarial
    left_out = {"sparse"}  # other gradients: it takes part only where it is asked for
    left_out |= set() if spatial else {"tuned-separated"}
    left_out |= set() if has_attention else {"tuned-sdpa", "tuned-masks-sdpa"}
    return [form for form in FORMS if form not in left_out]


def try_forms(arguments, settings):
    """The fastest form, and {form: ms of the processor, of its fastest step}: of the precision asked for, and of the fastest form
    in bf16."""
    forms = arguments.form or forms_that_fit(settings)
    if len(forms) == 1:
        return forms[0], {}
    found = {}
    for form in forms:
        print(f"trying PyTorch: {form}", file=sys.stderr)
        results = run(pytorch_command(arguments, form, steps=TRIAL_STEPS))
        if results:
            found[form] = min(results["milliseconds"]["processor"])
    if not found:
        sys.exit(1)
    best = min(found, key=found.get)
    results = run(pytorch_command(arguments, best, steps=1, precision="bf16"))  # slow where processors do not know it
    if results:
        found[f"{best}, bf16"] = min(results["milliseconds"]["processor"])
    return best, found


# ---- the report ----


def median_of(results, program, part):
    return statistics.median(results[program]["milliseconds"][part])


def summarise(arguments, form, tried, rounds):
    medians = {part: {program: statistics.fmean(median_of(results, program, part) for results in rounds) for program in rounds[0]}
               for part in PARTS}
    fastest = {program: min(min(results[program]["milliseconds"]["step"]) for results in rounds) for program in rounds[0]}
    return {
        "configuration": arguments.config, "settings": arguments.settings, "steps": arguments.steps, "form": form, "tried": tried,
        "precision": rounds[0]["pytorch"]["precision"],
        "ratio": medians["step"]["pytorch"] / medians["step"]["srtrain"],
        "ratio_of_processor_time": medians["processor"]["pytorch"] / medians["processor"]["srtrain"],
        "ratio_of_minima": fastest["pytorch"] / fastest["srtrain"],
        "ratio_of_rounds": [median_of(results, "pytorch", "step") / median_of(results, "srtrain", "step") for results in rounds],
        "medians_milliseconds": medians,
        "peak_memory_mebibytes": {
            program: max(results[program]["peak_memory_mebibytes"] for results in rounds) for program in rounds[0]},
        "load_average": os.getloadavg()[0], "rounds": rounds,
    }


def print_table(summary):
    if summary["tried"]:
        print("PyTorch, ms of the fastest step, of the processor: " + "; ".join(f"{form} {time:.0f}" for form, time in summary["tried"].items()))
    print(f"{'part':10} {'srtrain':>10} {'PyTorch':>10} {'ratio':>8}   (ms, medians, mean of the rounds; one thread each; "
          f"PyTorch: {summary['precision']}, {summary['form']})")
    for part, times in summary["medians_milliseconds"].items():
        ratio = times["pytorch"] / times["srtrain"] if times["srtrain"] > 0 else float("nan")
        print(f"{part:10} {times['srtrain']:10.3f} {times['pytorch']:10.3f} {ratio:8.1f}")
    memory = summary["peak_memory_mebibytes"]
    print(f"{'peak MiB':10} {memory['srtrain']:10.0f} {memory['pytorch']:10.0f} {memory['pytorch'] / memory['srtrain']:8.1f}")
    print(f"ratio of steps by rounds: {', '.join(f'{ratio:.1f}' for ratio in summary['ratio_of_rounds'])}; of the fastest steps: "
          f"{summary['ratio_of_minima']:.1f}; of processor time: {summary['ratio_of_processor_time']:.1f}")
    print(f"srtrain: {summary['rounds'][0]['srtrain']['libraries']}\npytorch: {summary['rounds'][0]['pytorch']['libraries']}")
    if summary["load_average"] > 1.5:
        print(f"load average {summary['load_average']:.1f}: other programs are running, so that all times are too long")


def print_ranks(summary, ranks):
    steps = summary["medians_milliseconds"]["step"]
    for program in ("srtrain", "pytorch"):
        one, many = steps[program], steps[f"{program} {ranks}"]
        print(f"{program:10} {one:10.3f} ms on one rank, {many:10.3f} on {ranks}: {one / many:.2f} times as fast")


def main():
    arguments = parse_arguments()
    try:
        settings = read(arguments.file, arguments.settings)  # before srtrain runs in vain
    except UsageError as error:
        print(f"benchmarks/run.sh peers: {error}", file=sys.stderr)
        return 2
    form, tried = try_forms(arguments, settings)
    programs = {"srtrain": srtrain_command(arguments, 1), "pytorch": pytorch_command(arguments, form)}
    if arguments.ranks > 1:
        programs[f"srtrain {arguments.ranks}"] = srtrain_command(arguments, arguments.ranks)
        programs[f"pytorch {arguments.ranks}"] = pytorch_command(arguments, form, arguments.ranks)
    rounds = []
    for number in range(ROUNDS):
        results = {}
        for name, command in programs.items():
            print(f"round {number + 1} of {ROUNDS}: {name}", file=sys.stderr)
            results[name] = must_run(command)
        rounds.append(results)
    summary = summarise(arguments, form, tried, rounds)
    print_table(summary)
    if arguments.ranks > 1:
        print_ranks(summary, arguments.ranks)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(summary, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

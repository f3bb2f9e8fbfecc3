"""Compares the models here with parity fixtures, the files that build/tests/parity reads: losses and every gradient, in double
precision and for every style, so that a comparison of speed is one of the same mathematics."""
from pathlib import Path

import h5py
import numpy
import torch
import yaml

import models
from data import Batch
from parts import Style
from settings import CALIBRATORS, DEFAULTS, UsageError, resolve

TOLERANCE = 1e-6  # the reference and this program both calculate in double precision


def relative_error(actual, expected):
    actual = numpy.zeros_like(expected) if actual is None else actual.detach().numpy().reshape(expected.shape)
    difference = numpy.linalg.norm(actual - expected)
    return difference / max(numpy.linalg.norm(expected), 1e-30)


def read_batch(inputs, settings):
    given = {name: torch.from_numpy(inputs[name][...]) for name in inputs}
    given = {name: value if value.is_floating_point() else value.long() for name, value in given.items()}
    model, sequence = settings.model, given["sequence"]
    length = (sequence != 0).sum(1)
    last = torch.full_like(length, model.max_length - 1)
    if model.padding == "right":
        last = torch.where(length > 0, length - 1, last)
    target = given["target_sequence" if settings.training.objective == "all" else "target"]
    batch = Batch(sequence=given.get("masked_sequence", sequence), last=last, user=given.get("user"), target=target,
                  negative=given.get("negative"), noise=given.get(f"noise.layers.{model.layers - 1}"))
    if settings.training.lists:
        batch.negatives = given["negatives"].reshape(-1, settings.training.lists)
    if "masked_sequence" in given:
        batch.masked_positions, batch.masked_items = given["masked_positions"], given["masked_items"]
        batch.masked_weight = given["masked_weight"]
    return batch


def expected_losses(expected, settings):
    """The losses that are minimised: of ordinary parameters, and of mask generators or None."""
    if "loss.calibrated" in expected:
        return expected["loss.calibrated"][()], expected["loss.attacked"][()]
    name = "loss.total" if "loss.total" in expected else f"loss.{settings.training.loss}"
    return expected[name][()], None


def errors_of(file, settings, style, pruned):
    """The largest relative error of the losses and of the gradients, and the parameter that has it."""
    model = models.make(settings, int(file.attrs["items"]), int(file.attrs["users"]), style).double().train()
    parameters = model.documented_parameters()
    if set(parameters) != set(file["parameters"]):
        raise AssertionError(f"parameters differ: {sorted(set(parameters) ^ set(file['parameters']))}")
    for name, parameter in parameters.items():
        parameter.data.copy_(torch.from_numpy(file["parameters"][name][...]).reshape(parameter.shape))
    batch = read_batch(file["inputs"], settings)
    losses = model.losses(batch, model(batch, int(file["inputs"].attrs.get("annealing_step", 0))))
    wanted = expected_losses(file["expected"], settings)
    loss_error = max(relative_error(a, numpy.asarray(b)) for a, b in zip(losses, wanted) if b is not None)
    models.backward(model, *losses, pruned)
    zero = str(file.attrs["zero_gradient_parameters"]).split()
    worst, worst_name = 0.0, ""
    for name, parameter in parameters.items():
        if name in zero:
            error = 0.0 if parameter.grad is None else parameter.grad.abs().max().item()
        else:
            error = relative_error(parameter.grad, file["expected/gradients"][name][...])
        if not error <= worst:
            worst, worst_name = error, name
    return loss_error, worst, worst_name


def check(path):
    """One line a fixture and style; whether all passed."""
    with h5py.File(path) as file:
        if file.attrs.get("format") != "srtrain-parity-1":
            raise UsageError(f"{path} is not a parity fixture")
        name = file.attrs["name"]
        try:
            settings = resolve(yaml.safe_load(file.attrs["config"]))
        except UsageError as error:
            print(f"SKIP {name}: {error}")
            return True
        passed = True
        spatial, adversarial = settings.calibrators.spatial, settings.calibrators.adversarial
        for fused in (False, True):
            for separated in (False, True) if spatial else (False,):
                style = Style(fused, fused, separated, fused_attention=fused, short_masks=fused)
                loss, gradient, worst = errors_of(file, settings, style, fused and bool(adversarial))
                good = loss <= TOLERANCE and gradient <= TOLERANCE
                passed = passed and good
                form = ("fused" if fused else "written-out") + (" separated" if separated else "")
                print(f"{'PASS' if good else 'FAIL'} {name} ({form}) loss={loss:.1e} grad={gradient:.1e} ({worst})")
        return passed


def documented_defaults():
    """{section: {key: default}} of docs/configuration.md, where that file is."""
    page = Path(__file__).resolve().parents[2] / "docs/configuration.md"
    tables, section = {}, None
    for line in page.read_text(encoding="utf-8").splitlines() if page.exists() else ():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("## "):
            section = tables.setdefault(line.strip("# `"), {})
        elif line.startswith("| `") and section is not None:
            section[cells[1].strip("`")] = cells[2]
    return tables


def check_defaults():
    """Whether the defaults here are those of srtrain."""
    tables = documented_defaults()
    if not tables:
        print("SKIP defaults: docs/configuration.md is not there")
        return True
    mine = dict(DEFAULTS, **{f"calibrators.{name}": defaults for name, defaults in CALIBRATORS.items()})
    passed = True
    for section, defaults in mine.items():
        for key, default in defaults.items():
            documented = tables.get(section, {}).get(key, "nothing")
            if documented != "required" and type(default)(yaml.safe_load(documented)) != default:
                print(f"FAIL default of {section}.{key}: {default} here, {documented} in docs/configuration.md")
                passed = False
    if passed:
        print("PASS defaults")
    return passed


def run(paths):
    if not paths:
        print("no fixtures: skipped")
        return 0
    results = [check_defaults()] + [check(path) for path in paths]
    return 0 if all(results) else 1

"""The configuration file of srtrain, as far as it decides what a training step computes.

Defaults are those of docs/configuration.md. A key that decides what is computed and has no counterpart here is an error, never
ignored; keys that cost a step nothing (when to stop, what to log) are skipped.
"""
from types import SimpleNamespace

import yaml


class UsageError(Exception):
    """A configuration that this program cannot run."""


DEFAULTS = {
    "data": {"path": "", "samples": "sliding"},
    "model": {
        "backbone": "sasrec", "layers": 2, "heads": 2, "hidden_size": 64, "inner_size": 256, "max_length": 50,
        "activation": "gelu", "hidden_dropout": 0.5, "attention_dropout": 0.5, "layer_norm_epsilon": 1e-12,
        "initializer_range": 0.02, "initializer_mean": 0.0, "positions": "learned", "padding": "right",
        "similarity": "dot",
        "mask_ratio": 0.2, "masking": "at_least_one", "mean_update": "frozen",
        "gru_hidden_size": 64, "vertical_filters": 4, "horizontal_filters": 8,
    },
    "training": {
        "batch_size": 256, "optimizer": "adamw", "learning_rate": 1e-3, "attack_learning_rate_ratio": 1.0, "adam_beta1": 0.9, "adam_beta2": 0.999,
        "adam_epsilon": 1e-8, "weight_decay": 0.0, "weight_decay_kind": "decoupled", "clip_norm": 0.0, "seed": 42,
        "loss": "cross_entropy", "objective": "last", "pvn_weight": 0.005, "frobenius_penalty": 1e-4, "precision": "fp32",
        "negatives": 1, "negative_sharing": "target", "negative_slice": 32, "negative_sampling": "uniform",
        "target_hits": "redraw", "history_hits": "redraw_all",
        "log_q": "refined", "temperature": 1.0, "calibration": 0.75,
    },
}
CALIBRATORS = {  # in use when named
    "spatial": {"order": True, "distance": True, "distance_scale": "normal"},
    "adversarial": {
        "combine": "gate", "annealing_steps": 100000, "two_level": True, "rich_combine": "fixed", "renormalize": "mass",
        "masked_cells": "excluded", "penalty": "visible", "penalty_weight": 0.03,
    },
    "frequency": {"alpha": 0.7, "cutoff": 5, "window": "padded"},
}
SKIPPED = {
    "data": {"verify"},
    "model": {"item_table"},
    "training": {"epochs", "schedule", "warmup_steps", "early_stopping", "threads", "reduction", "kept_logits_megabytes",
                 "item_updates"},
}
TAKE_LISTS = {"sampled_softmax", "gbce"}  # losses that always compare a target with a list of items
SKIPPED_SECTIONS = {"evaluation", "checkpoint", "logging"}
SUPPORTED = {
    "model.backbone": {"sasrec", "bert4rec", "stosa", "fmlprec", "gru4rec", "caser"},
    "training.optimizer": {"adamw", "adam"},
    "training.precision": {"fp32", "bf16"},
    "training.loss": {"cross_entropy", "bpr", "binary_cross_entropy", "sampled_softmax", "gbce", "stosa"},
    "training.negative_sharing": {"slice", "batch"},
    "training.negative_sampling": {"uniform"},
    "training.target_hits": {"keep", "mask"},
    "training.history_hits": {"keep"},
    "training.log_q": {"none", "all", "refined"},  # of uniform items `all` adds a constant
    "model.similarity": {"dot", "cosine"},
    "frequency.window": {"padded"},
}


def _value(name, value, default):
    """`value` with the type of `default`; PyYAML takes 1e-3 for text."""
    kind = type(default)
    try:
        if isinstance(value, bool) != (kind is bool) or (kind is int and value != int(value)):
            raise ValueError
        value = kind(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name}: {value!r} is not {kind.__name__}") from None
    if name in SUPPORTED and value not in SUPPORTED[name]:
        raise UsageError(f"{name}: {value} is not in this program; it has {', '.join(sorted(SUPPORTED[name]))}")
    return value


def _section(name, given, defaults):
    values = dict(defaults)
    for key, value in (given or {}).items():
        if key in defaults:
            values[key] = _value(f"{name}.{key}", value, defaults[key])
        elif key not in SKIPPED.get(name, ()):
            raise UsageError(f"{name}.{key} is not in this program")
    return SimpleNamespace(**values)


def _assign(tree, assignment):
    name, equals, value = assignment.partition("=")
    *path, key = name.split(".")
    if not equals or not path:
        raise UsageError(f"{assignment!r} is not section.key=value")
    for part in path:
        if tree.get(part) is None:
            tree[part] = {}
        tree = tree[part]
    tree[key] = yaml.safe_load(value)


def _check(settings):
    """What goes together, as far as the models here rely on it; srtrain itself checks everything."""
    model, calibrators = settings.model, settings.calibrators
    with_attention = model.backbone in ("sasrec", "bert4rec")
    for name in CALIBRATORS:
        if getattr(calibrators, name) and not with_attention:
            raise UsageError(f"calibrators.{name} does not go with model.backbone: {model.backbone}")
    if (model.backbone == "stosa") != (settings.training.loss == "stosa"):
        raise UsageError("model.backbone: stosa and training.loss: stosa need each other")
    if model.backbone == "bert4rec" and settings.training.loss != "cross_entropy":
        raise UsageError("model.backbone: bert4rec needs training.loss: cross_entropy")
    training = settings.training
    if training.loss not in ("cross_entropy", "stosa") and not training.lists:
        if model.similarity != "dot" or training.temperature != 1:
            raise UsageError("model.similarity and training.temperature want training.negatives in this program")


def _settle_negatives(training, given):
    """Lists of shared negatives, or one for each target where the loss takes one and nothing is said of them. `given`: the keys
    that were."""
    has_lists = "negatives" in given or training.loss in TAKE_LISTS
    if has_lists:
        training.negatives = training.negatives if "negatives" in given else 256
        training.negative_sharing = given.get("negative_sharing", "slice")
        training.history_hits = given.get("history_hits", "keep")
        training.target_hits = given.get("target_hits", "mask")
    if training.negative_sharing == "batch":
        training.negative_slice = training.batch_size
    training.lists = training.negatives if has_lists else 0
    training.masks_hits = training.target_hits == "mask"


def resolve(tree, assignments=()):
    """The settings of a configuration (what YAML made of the file) and --set assignments."""
    for assignment in assignments:
        _assign(tree, assignment)
    for name in tree:
        if name not in DEFAULTS and name != "calibrators" and name not in SKIPPED_SECTIONS:
            raise UsageError(f"section {name} is not in this program")
    settings = SimpleNamespace(**{name: _section(name, tree.get(name), DEFAULTS[name]) for name in DEFAULTS})
    calibrators = tree.get("calibrators") or {}
    for name in calibrators:
        if name not in CALIBRATORS:
            raise UsageError(f"calibrators.{name} is not in this program; it has {', '.join(CALIBRATORS)}")
    settings.calibrators = SimpleNamespace(
        **{name: _section(name, calibrators[name], CALIBRATORS[name]) if name in calibrators else None for name in CALIBRATORS})
    _settle_negatives(settings.training, tree.get("training") or {})
    _check(settings)
    return settings


def read(path, assignments=()):
    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.safe_load(file) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {error}") from None
    return resolve(tree, assignments)

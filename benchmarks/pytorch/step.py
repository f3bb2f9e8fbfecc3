#!/usr/bin/env python3
"""Times whole training steps of a model in plain PyTorch, with the configuration and the data set of srtrain. See README.md one
folder up.

    step.py CONFIG.yaml DATA [--steps N] [--warm-up N] [--threads N] [--ranks N] [--set section.key=value ...] [--tuned]
                             [--short-masks] [--sdpa] [--compile] [--separated] [--sparse] [--precision fp32|bf16] [--json FILE]
    step.py --check FIXTURE.h5 ...
"""
import argparse
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time

PARTS = ["step", "data", "forward", "loss", "backward", "optimizer", "processor"]
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 34), "MALLOC_TRIM_THRESHOLD_": str(1 << 34), "MALLOC_TOP_PAD_": str(1 << 26)}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Times training steps of a model in plain PyTorch.")
    parser.add_argument("config", nargs="?", help="configuration file, as srtrain takes it")
    parser.add_argument("data", nargs="?", help="directory that srprep wrote")
    parser.add_argument("--steps", type=int, default=10, help="steps that count (default 10)")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before them that do not (default 2)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=1, help="processes that divide a batch (DistributedDataParallel, gloo)")
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value")
    parser.add_argument("--tuned", action="store_true",
                        help="keep freed memory, fused layer norm and GELU, backward passes that leave out what they do not need")
    parser.add_argument("--short-masks", action="store_true", help="dropout by masks of 16 random bits a number")
    parser.add_argument("--sdpa", action="store_true", help="attention without calibrators by scaled_dot_product_attention")
    parser.add_argument("--compile", action="store_true", help="encoder and loss through torch.compile")
    parser.add_argument("--separated", action="store_true",
                        help="affine maps of the spatial calibrator without a [B, h, L, L, 2e] tensor")
    parser.add_argument("--sparse", action="store_true",
                        help="sparse gradients of tables of items, which SparseAdam follows (losses of sampled items)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="instead of training.precision; bf16: autocast")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--check", nargs="*", metavar="FIXTURE.h5",
                        help="compare the models with parity fixtures, and time nothing")
    arguments = parser.parse_args()
    if arguments.check is None and not arguments.data:
        parser.error("CONFIG.yaml and DATA are needed")
    if min(arguments.steps, arguments.threads, arguments.ranks) < 1 or arguments.warm_up < 0:
        parser.error("steps, threads and ranks are 1 or more, warm-up 0 or more")
    return arguments


def prepare_process(arguments):
    """What must stand in the environment before libraries are loaded; memory settings need a new start of the process."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    if arguments.tuned and any(os.environ.get(name) != value for name, value in KEPT_MEMORY.items()):
        os.environ.update(KEPT_MEMORY)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable] + sys.argv)


def start_ranks(arguments):
    """The processes of the other ranks, as torchrun would start them; this one is rank 0."""
    if arguments.ranks == 1 or "RANK" in os.environ:
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(arguments.ranks))
    others = [subprocess.Popen([sys.executable] + sys.argv, env=dict(os.environ, RANK=str(rank)), stdout=subprocess.DEVNULL)
              for rank in range(1, arguments.ranks)]
    os.environ["RANK"] = "0"
    return others


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def describe(torch):
    """Version, vector instructions and libraries of PyTorch."""
    wanted = ("CPU capability", "Intel(R) MKL-DNN", "Intel(R) oneAPI", "Intel(R) Math Kernel")
    lines = [line.strip("- ").strip() for line in torch.__config__.show().splitlines()]
    return ", ".join([f"PyTorch {torch.__version__}"] + [line for line in lines if line.startswith(wanted)])


def make_optimizers(torch, model, training):
    """One for all parameters, or one for tables with sparse gradients and one for all else."""
    decoupled = training.optimizer == "adamw" and training.weight_decay_kind == "decoupled"
    kind = torch.optim.AdamW if training.weight_decay and decoupled else torch.optim.Adam
    rows = {id(parameter) for parameter in model.row_parameters()}
    groups = [{"params": [parameter for parameter in model.other_parameters() if id(parameter) not in rows]}]
    if model.attack_parameters():
        groups.append({"params": model.attack_parameters(), "lr": training.learning_rate * training.attack_learning_rate_ratio})
    betas = (training.adam_beta1, training.adam_beta2)
    optimizers = [kind(groups, lr=training.learning_rate, betas=betas, eps=training.adam_epsilon, weight_decay=training.weight_decay)]
    if rows:
        optimizers.append(torch.optim.SparseAdam(model.row_parameters(), lr=training.learning_rate, betas=betas,
                                                 eps=training.adam_epsilon))
    return optimizers


class Stepper:
    """Training steps, each timed in parts."""

    def __init__(self, torch, settings, examples, style, arguments):
        import models
        self.torch, self.backward, self.settings, self.tuned = torch, models.backward, settings, arguments.tuned
        self.precision = arguments.precision or settings.training.precision
        torch.manual_seed(settings.training.seed)
        self.model = models.make(settings, examples.items, examples.users, style).train()
        torch.manual_seed(settings.training.seed + examples.rank)
        self.optimizers = make_optimizers(torch, self.model, settings.training)
        self.encode, self.losses = self.model, self.model.losses
        if examples.ranks > 1:
            self.encode = torch.nn.parallel.DistributedDataParallel(self.model)
        if arguments.compile:
            self.encode, self.losses = torch.compile(self.encode), torch.compile(self.losses)
        self.batches = examples.epochs()
        self.step = 0

    def arithmetic(self):
        if self.precision == "bf16":
            return self.torch.autocast("cpu", dtype=self.torch.bfloat16)
        return contextlib.nullcontext()

    def take(self):
        """(milliseconds of each part, examples, loss)"""
        processor, times = time.process_time(), [time.perf_counter()]
        batch = next(self.batches)
        times.append(time.perf_counter())
        with self.arithmetic():
            encoding = self.encode(batch, self.step)
            times.append(time.perf_counter())
            loss, attacked = self.losses(batch, encoding)
        times.append(time.perf_counter())
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self.backward(self.model, loss, attacked, self.tuned)
        times.append(time.perf_counter())
        if self.settings.training.clip_norm > 0:
            self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.training.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        value = loss.item()
        times.append(time.perf_counter())
        self.step += 1
        milliseconds = [1e3 * (times[-1] - times[0])] + [1e3 * (after - before) for before, after in zip(times, times[1:])]
        milliseconds.append(1e3 * (time.process_time() - processor))
        return dict(zip(PARTS, milliseconds)), len(batch.sequence), value


def measure(arguments, torch):
    import settings as configuration
    from data import Examples
    from parts import Style
    from settings import UsageError
    settings = configuration.read(arguments.config, arguments.set)
    rank = int(os.environ["RANK"]) if arguments.ranks > 1 else 0
    # RecBole, on which the code of these was published, calls PyTorch's layer norm; S3-Rec, from which the others descend, spells
    # it out.
    recbole = settings.model.backbone == "bert4rec" or settings.calibrators.spatial or settings.calibrators.adversarial
    style = Style(fused_norm=arguments.tuned or bool(recbole), fused_gelu=arguments.tuned, separated=arguments.separated,
                  sparse_rows=arguments.sparse, fused_attention=arguments.sdpa, short_masks=arguments.short_masks)
    if arguments.sparse and not (settings.training.lists and settings.training.clip_norm == settings.training.weight_decay == 0):
        raise UsageError("--sparse wants training.negatives, and neither training.clip_norm nor training.weight_decay")
    if arguments.ranks > 1:
        if settings.calibrators.adversarial or arguments.sparse:
            raise UsageError("--ranks wants one backward pass and no --sparse")
        torch.distributed.init_process_group("gloo")
    stepper = Stepper(torch, settings, Examples(arguments.data, settings, rank, arguments.ranks), style, arguments)
    before = peak_memory()
    for _ in range(arguments.warm_up):
        stepper.take()
    taken = [stepper.take() for _ in range(arguments.steps)]
    if arguments.ranks > 1:
        torch.distributed.destroy_process_group()
    milliseconds = {part: [times[part] for times, _, _ in taken] for part in PARTS}
    return {
        "program": "pytorch", "libraries": describe(torch),
        "configuration": arguments.config, "threads": arguments.threads, "ranks": arguments.ranks,
        **{name: getattr(arguments, name) for name in ("tuned", "short_masks", "sdpa", "compile", "separated", "sparse")},
        "precision": stepper.precision, "steps": arguments.steps,
        "examples_per_second": 1e3 * sum(examples for _, examples, _ in taken) / sum(milliseconds["step"]),
        "mean_loss": statistics.fmean(loss for _, _, loss in taken),
        "peak_memory_mebibytes": peak_memory(), "memory_before_steps_mebibytes": before, "milliseconds": milliseconds,
    }


def print_table(results):
    tuned = ", tuned" if results["tuned"] else ""
    print(f"{'part':10} {'median':>10} {'minimum':>10} {'maximum':>10}   (ms, {results['steps']} steps, PyTorch, "
          f"{results['threads']} threads, {results['precision']}{tuned})")
    for part, times in results["milliseconds"].items():
        print(f"{part:10} {statistics.median(times):10.3f} {min(times):10.3f} {max(times):10.3f}")
    print(f"examples/s {results['examples_per_second']:10.0f}")
    print(f"peak resident memory {results['peak_memory_mebibytes']:.0f} MiB, of which "
          f"{results['memory_before_steps_mebibytes']:.0f} MiB were there before the first step")


def main():
    arguments = parse_arguments()
    prepare_process(arguments)
    try:
        import h5py  # noqa: F401
        import torch
        import yaml  # noqa: F401
    except ImportError as error:
        print(f"step.py: {error.name} is missing: apt-get install python3-torch python3-h5py python3-yaml (for /usr/bin/python3), "
              "or pip install torch h5py pyyaml", file=sys.stderr)
        return 2
    from settings import UsageError
    others = start_ranks(arguments)
    torch.set_num_threads(arguments.threads)
    try:
        if arguments.check is not None:
            import check
            return check.run(arguments.check)
        results = measure(arguments, torch)
    except (UsageError, OSError) as error:
        print(f"step.py: {error}", file=sys.stderr)
        return 2
    if any([other.wait() for other in others]) or os.environ.get("RANK", "0") != "0":
        return 1 if others else 0
    print_table(results)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Random faults over several hosts: test_host_faults.py DIRECTORY_OF_PROGRAMS [COUNT [SEED]], started by hosts.sh.

Each trial trains on some ranks of some hosts, and something happens to them at a random moment: a link is cut, a rank or the
launcher's daemon is killed, a rank or a whole host is frozen, the disk is full; while ranks start, train, write a checkpoint or
validate. Then all ranks must end within their time, with the right code. The same command, given again without a fault, must end
with the losses and parameters of an undisturbed run, to the bit."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = Path(sys.argv[1]).resolve()
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 3
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
ON_HOSTS = os.environ["ON_HOSTS"].split()
LIBRARY = PROGRAMS / "tests/libsrtrain_stopped_call.so"

STALL = 6  # seconds of --stall-timeout
ENDING = 100  # seconds from a fault to the end of all ranks: MPI's start and end have a minute, and the machine may be busy
STARTING = 220  # the same while ranks start, when they may have to wait for the owner of a directory
LAUNCHER = 15  # seconds from there to the end of the launcher, which is killed then
EPOCHS, CHECKPOINT_STEPS = 2, 4

CONFIGURATION = f"""data: {{path: data}}
model: {{hidden_size: 16, inner_size: 32, max_length: 12, layers: 1}}
training: {{epochs: {EPOCHS}, batch_size: 128, threads: 1, early_stopping: {{patience: 0}}}}
evaluation: {{top_k: [5, 10]}}
checkpoint: {{every_steps: {CHECKPOINT_STEPS}, keep: 3}}
logging: {{every_steps: 1}}
"""
RANKS = ["1,1", "2,1", "2,2", "1,1,1", "2,1,1", "1,1,1,1"]
VARIANTS = ["training.reduction=shared", "training.reduction=blocking", "checkpoint.writing=blocking",
            "model.item_table=divided training.loss=bpr", "training.reduction_precision=bf16"]
FAULTS = ["cut", "kill-rank", "kill-daemon", "freeze-rank", "freeze-host", "full"]
PLACES = ["start", "step", "checkpoint", "validation"]


class Failure(Exception):
    pass


def processes_of(host, name=None):
    """What runs on a host: by name, or all."""
    found = subprocess.run(["ip", "netns", "pids", f"host{host}"], capture_output=True, text=True).stdout.split()
    result = []
    for process in map(int, found):
        try:
            command = Path(f"/proc/{process}/comm").read_text().strip()
        except OSError:
            continue
        if name is None or command in name:
            result.append(process)
    return result


def state_of(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


def ranks_alive(hosts):
    """Ranks that run or sleep: those that are stopped, and dead ones that nobody has asked for, do not count."""
    return [process for host in range(1, hosts + 1) for process in processes_of(host, ["srtrain"])
            if state_of(process) not in ("T", "t", "Z", "X", "gone")]


def send(process, number):
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass


class Trial:
    def __init__(self, directory, generator, number):
        self.directory, self.random, self.name = directory, generator, f"trial-{number}"
        self.ranks = generator.choice(RANKS)
        self.variant = generator.choice(VARIANTS)
        self.fault, self.place = generator.choice(FAULTS), generator.choice(PLACES)
        if self.fault == "full":
            self.place = "checkpoint"
        counts = [int(count) for count in self.ranks.split(",")]
        self.hosts, self.size = len(counts), sum(counts)
        self.rank, self.host = generator.randrange(self.size), generator.randrange(1, self.hosts + 1)
        self.at = generator.randrange(1, 12)  # of calls
        self.step = generator.randrange(1, self.steps())
        self.output = self.directory / self.name
        self.launcher_hung = False

    @staticmethod
    def steps():
        return EPOCHS * Trial.steps_of_epoch

    def __str__(self):
        return (f"{self.name}: {self.fault} at {self.place} (host {self.host}, rank {self.rank}, step {self.step}, call {self.at}), "
                f"ranks {self.ranks}, {self.variant}")

    def start(self, output, environment=()):
        arguments = ["run.yaml", "--output", output, "--stall-timeout", str(STALL), "--set", *self.variant.split()]
        with open(self.directory / f"{output}.out", "a", encoding="utf-8") as out:
            return subprocess.Popen([*ON_HOSTS, self.ranks, "env", *environment, PROGRAMS / "srtrain", *arguments],
                                    cwd=self.directory, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    # ---- when ----

    def has_trained(self):
        """How many steps the run has told of."""
        try:
            text = (self.output / "metrics.jsonl").read_text()
        except OSError:
            return 0
        return text.count('"kind":"train"')

    def moment_has_come(self):
        if self.place == "checkpoint":
            return any((self.output / "checkpoints").glob("*.tmp")) and self.has_trained() >= self.step - 4
        if self.place == "validation":
            epoch = 1 + self.step // Trial.steps_of_epoch
            return self.has_trained() >= epoch * Trial.steps_of_epoch
        return self.has_trained() >= self.step

    def wait_for_moment(self, launcher):
        if self.place == "start":
            while launcher.poll() is None and not ranks_alive(self.hosts):
                time.sleep(0.002)
            time.sleep(self.random.uniform(0, 1.5))
            return
        while launcher.poll() is None and not self.moment_has_come():
            time.sleep(0.002)
        time.sleep(self.random.choice([0, 0, 0.005, 0.02, 0.05]))

    # ---- what ----

    def in_a_call(self):
        """Faults of a rank at a checkpoint happen inside of a file call."""
        how = {"kill-rank": "kill", "freeze-rank": "stop", "full": "full"}.get(self.fault)
        if not how or self.place != "checkpoint":
            return ()
        call, file = ("read", "/step-") if self.fault != "full" and self.at % 3 == 0 else ("write", "/step-")
        libraries = ":".join([str(LIBRARY), os.environ.get("LD_PRELOAD", "")]).rstrip(":")
        return (f"LD_PRELOAD={libraries}", f"SRTRAIN_STOP_CALL={call}", f"SRTRAIN_STOP_FILE={file}", f"SRTRAIN_STOP_AT={self.at}",
                f"SRTRAIN_STOP_HOW={how}", f"SRTRAIN_STOP_RANK={self.rank}")

    def strike(self):
        if self.fault == "cut":
            subprocess.run(["ip", "link", "set", f"link{self.host}", "down"], check=True)
        elif self.fault == "kill-daemon":
            daemons = ["mpiexec", "mpirun", "prterun"] if self.host == 1 else ["orted", "prted"]  # the first host has the launcher
            for process in processes_of(self.host, daemons):
                send(process, signal.SIGKILL)
        elif self.fault == "freeze-host":
            for process in processes_of(self.host):
                send(process, signal.SIGSTOP)
        else:
            ranks = [process for host in range(1, self.hosts + 1) for process in processes_of(host, ["srtrain"])]
            if ranks:
                send(self.random.choice(ranks), signal.SIGKILL if self.fault == "kill-rank" else signal.SIGSTOP)

    def mend(self):
        """Whatever the fault was, it is over; what is left of the job goes."""
        link = f"link{self.host}"
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
        for host in range(1, self.hosts + 1):
            for process in processes_of(host):
                send(process, signal.SIGKILL)
        until = time.monotonic() + 20
        while time.monotonic() < until and any(processes_of(host) for host in range(1, self.hosts + 1)):
            time.sleep(0.05)
        if self.fault == "cut":  # both ends learn of the link, which the kernel tells once a second; a launcher tries once
            show = ["ip", "-o", "link", "show", link]
            while time.monotonic() < until and " state UP " not in subprocess.run(show, capture_output=True, text=True).stdout:
                time.sleep(0.05)
            time.sleep(1.5)

    def wait_for_ranks(self, launcher, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if launcher.poll() is not None and not ranks_alive(self.hosts):
                return True
            if not ranks_alive(self.hosts):
                time.sleep(1)
                if not ranks_alive(self.hosts) and (self.place != "start" or self.has_begun()):
                    return True
            time.sleep(0.05)
        return not ranks_alive(self.hosts)

    def has_begun(self):
        return time.monotonic() - self.since > 10

    def check_code(self, code):
        if self.launcher_hung:
            return
        finished = '"kind":"test"' in (self.output / "metrics.jsonl").read_text() if (self.output / "metrics.jsonl").exists() \
            else False
        if code in (2, 3, 75) or (code == 0 and not finished):
            raise Failure(f"exit code {code}")
        if self.in_a_call() and self.fault in ("full", "freeze-rank") and code not in (0, 1, 137):
            raise Failure(f"exit code {code} instead of 1")

    def disturb(self):
        launcher = self.start(self.name, self.in_a_call())
        self.since = time.monotonic()
        if self.in_a_call():
            while launcher.poll() is None and time.monotonic() - self.since < 120:
                stopped = [process for host in range(1, self.hosts + 1) for process in processes_of(host, ["srtrain"])
                           if state_of(process) in ("T", "t")]
                if stopped or (self.since + 20 < time.monotonic() and not ranks_alive(self.hosts)):
                    break
                time.sleep(0.05)
        else:
            self.wait_for_moment(launcher)
            self.strike()
        struck = time.monotonic()
        limit = STARTING if self.place == "start" else ENDING
        if not self.wait_for_ranks(launcher, limit):
            left = [(process, Path(f"/proc/{process}/cmdline").read_text()[:60]) for process in ranks_alive(self.hosts)]
            raise Failure(f"ranks have not ended within {limit} s: {left}")
        self.took = time.monotonic() - struck
        try:
            code = launcher.wait(LAUNCHER)
        except subprocess.TimeoutExpired:
            self.launcher_hung = True
            code = 137
        self.mend()
        if self.launcher_hung:
            launcher.kill()
            launcher.wait()
        self.check_code(code)
        return code

    # ---- the end ----

    def go_on(self):
        launcher = self.start(self.name)
        try:
            code = launcher.wait(180)
        except subprocess.TimeoutExpired as late:
            self.mend()
            launcher.kill()
            raise Failure("the restart does not end") from late
        if code != 0:
            raise Failure(f"the restart ends with {code}")

    def run(self, references):
        before = references.of(self)
        code = self.disturb()
        self.go_on()
        after = outcome_of(self.directory, self.name)
        if after != before and not (self.rounds_where_it_stopped() and are_close(after, before)):
            raise Failure("the restart comes to other bits than the undisturbed run")
        return code

    def rounds_where_it_stopped(self):
        """A launcher that ends a job asks ranks to stop, with a checkpoint of any step. Late rows, and what rounding to bf16 took,
        end with a checkpoint, and the undisturbed run has none there."""
        said = (self.directory / f"{self.name}.out").read_text()
        stops = [int(step) for step in re.findall("stopped on request after step ([0-9]+);", said)]
        rounds = "bf16" in self.variant or "divided" in self.variant
        self.rounded = rounds and any(step % CHECKPOINT_STEPS for step in stops)
        return self.rounded


def outcome_of(directory, run):
    """Losses of all steps as they are written, and the parameters of the best and of the last step."""
    losses = []
    for line in (directory / run / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["kind"] == "train":
            losses.append((entry["step"], entry["loss"], entry["gradient_norm"]))
    last = sorted((directory / run / "checkpoints").glob("step-*.h5"))[-1]
    parameters = []
    for checkpoint in (directory / run / "best.h5", last):
        exported = directory / f"{run}.safetensors"
        subprocess.run([PROGRAMS / "srtrain", "export", checkpoint, "--format", "safetensors", "--output", exported], check=True,
                       capture_output=True, cwd=directory)
        parameters.append(exported.read_bytes())
        exported.unlink()
    return losses, last.name, parameters


def are_close(left, right):
    """Losses within 1e-4 of each other."""
    return left[1] == right[1] and len(left[0]) == len(right[0]) and all(
        step == other and abs(loss - expected) <= 1e-4 * abs(expected)
        for (step, loss, _), (other, expected, _) in zip(left[0], right[0]))


class References:
    """Undisturbed runs, one for each number of ranks and variant."""

    def __init__(self, directory):
        self.directory, self.known = directory, {}

    def of(self, trial):
        key = (trial.ranks, trial.variant)
        if key not in self.known:
            name = f"undisturbed-{len(self.known)}"
            if trial.start(name).wait(300) != 0:
                raise SystemExit((self.directory / f"{name}.out").read_text())
            self.known[key] = outcome_of(self.directory, name)
        return self.known[key]


def prepare(directory):
    (directory / "run.yaml").write_text(CONFIGURATION)
    subprocess.run([PROGRAMS / "srprep", "synth", "--users", "400", "--items", "1500", "--mean-length", "9", "--seed", "3", "--shards",
                    "2", "--output", "data"], cwd=directory, check=True, capture_output=True)
    plan = subprocess.run([PROGRAMS / "srtrain", "plan", "run.yaml", "--ranks", "2", "--json"], cwd=directory, check=True,
                          capture_output=True, text=True)
    Trial.steps_of_epoch = int(json.loads(plan.stdout)["steps_per_epoch"])


def skip_unless_known():
    """What a launcher makes of such faults is Open MPI's here: MPICH's exit codes are not to be believed."""
    said = subprocess.run([os.environ["HOSTS_LAUNCHER"].split()[0], "--version"], capture_output=True, text=True).stdout
    if not any(name in said for name in ("Open MPI", "OpenRTE", "PRRTE", "prterun")):
        print("skipped: the launcher is not Open MPI's")
        sys.exit(77)
    if not LIBRARY.exists():
        print(f"skipped: there is no {LIBRARY}")
        sys.exit(77)


def main():
    skip_unless_known()
    failed, hung, slowest, codes = 0, 0, 0, {}
    with tempfile.TemporaryDirectory(prefix="srtrain-faults-") as name:
        directory = Path(name)
        prepare(directory)
        references = References(directory)
        for number in range(COUNT):
            trial = Trial(directory, random.Random(SEED * 1000003 + number), number)
            try:
                code = trial.run(references)
                codes[code] = codes.get(code, 0) + 1
                hung += trial.launcher_hung
                slowest = max(slowest, trial.took)
                print(f"{trial}: code {code} after {trial.took:.1f} s{', launcher killed' if trial.launcher_hung else ''}", flush=True)
            except Failure as failure:
                failed += 1
                print(f"FAILED {trial}: {failure}", flush=True)
                print((directory / f"{trial.name}.out").read_text()[-6000:], flush=True)
                trial.mend()
            subprocess.run(["rm", "-rf", trial.output], check=True)
    print(f"{COUNT} faults (seed {SEED}): {failed} failed, slowest end {slowest:.1f} s, codes {codes}, {hung} launchers hung", flush=True)
    sys.exit(failed > 0)


main()

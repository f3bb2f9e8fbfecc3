"""How benchmarks start programs: on several ranks, by what was asked for or by what the batch system or this machine offers."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("SRTRAIN_BINARY_DIRECTORY", SOURCE / "build"))


class Failure(Exception):
    """Ends a benchmark with a message and an exit code: 1 where something failed, 2 where something wrong was asked for."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def run_main(main):
    """Runs `main` as a program: a Failure becomes a message and an exit code."""
    name = os.path.basename(sys.argv[0])
    try:
        main(sys.argv[1:])
    except Failure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        sys.exit(failure.code)
    except OSError as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        sys.exit(1)


def program(name):
    """The path of a program of the build."""
    path = BUILD / name
    if not os.access(path, os.X_OK):
        raise Failure(f"there is no program {path}: build it")
    return str(path)


# ---- running ----


def run(words, log, directory=None):
    """Runs a program; its output goes into the new file `log`, whose end is part of the message where the program fails."""
    try:
        with open(log, "w") as file:
            code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, cwd=directory, check=False).returncode
    except (FileNotFoundError, PermissionError) as failure:
        raise Failure(f"cannot start {words[0]}: {failure.strerror}") from failure
    if code:
        ending = f"exit code {code}" if code > 0 else f"signal {-code}"
        end = Path(log).read_text(errors="replace")[-1500:]
        raise Failure(f"{words[0]} ended with {ending}; {log} ends with:\n{end}", 2 if code == 2 else 1)


def read_json(path):
    try:
        return json.loads(Path(path).read_text())
    except (FileNotFoundError, ValueError) as failure:
        raise Failure(f"{path} was not written, or is not JSON") from failure


def measure(words, path):
    """Runs a program that writes what it measured to the JSON file `path`; its output goes into a .log beside that."""
    Path(path).unlink(missing_ok=True)  # of an earlier benchmark
    run(words, Path(path).with_suffix(".log"))
    return read_json(path)


# ---- launchers ----


@dataclass
class Launcher:
    command: str  # with {ranks}, {nodes} and {threads} in it
    found: str  # in words, where it comes from
    ranks: int  # how many have their own cores
    ranks_of_node: int  # of these
    threads: int = 1  # of a rank

    def fill(self, ranks):
        """The words in front of a program that runs on `ranks` ranks."""
        places = {"ranks": ranks, "nodes": -(-ranks // self.ranks_of_node), "threads": self.threads}
        command = re.sub(r"{(ranks|nodes|threads)}", lambda found: str(places[found[1]]), self.command)
        try:
            return shlex.split(command)
        except ValueError as failure:
            raise Failure(f'cannot take the launcher "{command}" apart into words: {failure}', 2) from failure


def number_in(variable, otherwise):
    """SLURM_TASKS_PER_NODE and its like may be "4(x2)"."""
    found = re.match(r"\d+", os.environ.get(variable, ""))
    return int(found[0]) if found and int(found[0]) else otherwise


def cached(variable, otherwise):
    """What CMake has found for the build."""
    cache = BUILD / "CMakeCache.txt"
    found = re.search(rf"^{variable}:\w+=(.+)$", cache.read_text(), re.M) if cache.exists() else None
    return found[1] if found else otherwise


def start_by_mpi(hosts=()):
    words = [cached("MPIEXEC_EXECUTABLE", "mpirun"), *hosts, cached("MPIEXEC_NUMPROC_FLAG", "-n")]
    return " ".join(map(shlex.quote, words)) + " {ranks}"


def find_slurm(threads):
    job = os.environ.get("SLURM_JOB_ID")
    if not job or not shutil.which("srun"):
        return None
    nodes = number_in("SLURM_JOB_NUM_NODES", 1)
    ranks = number_in("SLURM_NTASKS", nodes * -(-number_in("SLURM_CPUS_ON_NODE", 1) // threads))
    return Launcher("srun --nodes={nodes} --ntasks={ranks} --cpus-per-task={threads} --cpu-bind=cores", f"Slurm job {job}",
                    ranks, number_in("SLURM_NTASKS_PER_NODE", -(-ranks // nodes)), threads)


def find_hosts(system, job, file, threads):
    """An MPI library that was not built for the batch system must be told the hosts; one that was does not mind.

    The file names a host once for each rank. Ranks of a node are those of the last host: the first may be that of the batch
    script alone."""
    if not file or not os.access(file, os.R_OK):
        return None
    hosts = Path(file).read_text().split() or ["localhost"]
    return Launcher(start_by_mpi(("--hostfile", file)), f"{system} job {job}", len(hosts), hosts.count(hosts[-1]), threads)


def find_lsf(threads):
    found = find_hosts("LSF", os.environ.get("LSB_JOBID", ""), os.environ.get("LSB_DJOB_HOSTFILE"), threads)
    if found and shutil.which("jsrun"):
        found.command = "jsrun --nrs {ranks} --tasks_per_rs 1 --cpu_per_rs {threads}"
    return found


def find_workstation(threads):
    ranks = -(-len(os.sched_getaffinity(0)) // threads)
    return Launcher(start_by_mpi(), "this machine", ranks, ranks, threads)


def find(given=None, threads=1):
    """The launcher of ranks of `threads` threads: `given`, or srun in a Slurm job, mpirun over the host file in a PBS or LSF
    job (jsrun where there is one), or else mpirun."""
    found = (find_slurm(threads) or find_hosts("PBS", os.environ.get("PBS_JOBID", ""), os.environ.get("PBS_NODEFILE"), threads)
             or find_lsf(threads) or find_workstation(threads))
    if given is None:
        return found
    if "{ranks}" not in given:
        raise Failure(f'--launcher "{given}": {{ranks}} must stand where the number of ranks goes, as in '
                      '"mpirun -np {ranks}"', 2)
    found.command = given
    return found

#!/usr/bin/env python3
"""page_runs.py PAGE BINARIES MPIEXEC [--write]: runs the commands of a page, and compares what they print with the page.

A block of ```console has commands behind "$ ", which go on in lines behind "> ", and under each what it prints. A block of
```python is a program of its own, which a block of ```text follows with what it prints. All run one after the other in one new
directory, with the programs of BINARIES in PATH. What srprep prints must be the same. Of other commands numbers are masked, and
lines that depend on the machine are left out. --write puts what was printed into the page.
"""
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")
UNIT = re.compile(r"N (B|kB|MB|GB|us|ms|s|min|h)\b")
# What depends on the machine, its load, or the MPI library.
OF_THE_MACHINE = re.compile(r"(srtrain: )?(warning|note)|CPU level|BLAS kernels|epoch N/N |the checkpoint of step|a step took|projected"
                            r"|memory: |N checkpoints? held|the item table is|model: |phases of |.*minimum.*slowest|.*rank N on ")


class Block:
    """Lines of a page from `begin` to before `end`: commands with their output, or a program."""

    def __init__(self, language, begin, lines):
        self.language, self.begin, self.lines = language, begin, lines
        self.end = begin + len(lines)

    def commands(self):
        """[command, expected lines]"""
        found = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append([line[2:], []])
            elif line.startswith("> ") and not found[-1][1]:
                found[-1][0] += "\n" + line[2:]
            else:
                found[-1][1].append(line)
        return found


def blocks_of(lines):
    language, begin = None, 0
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if language is None:
            language, begin = line[3:].strip(), number + 1
        else:
            yield Block(language, begin, lines[begin:number])
            language = None


def masked(command, lines):
    if command.startswith("srprep"):
        return lines
    plain = [UNIT.sub("N unit", NUMBER.sub("N", line)).replace("#", "").replace(".....", "") for line in lines]
    return [re.sub(r"\s+|-{2,}", " ", line) for line in plain if not OF_THE_MACHINE.match(line)]


class Page:
    def __init__(self, path, directory, environment):
        self.path, self.directory, self.environment = path, directory, environment
        self.lines = path.read_text().splitlines()
        self.printed = {}  # where lines begin and end, and what they are to be
        self.wrong = 0

    def run(self, words, text):
        """Lines that a command prints. It may not fail."""
        done = subprocess.run(words, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if done.returncode:
            print(f"{self.path.name}: this ended with {done.returncode}:\n{text}\n{done.stdout}")
            self.wrong += 1
        return [line.rstrip().replace(str(self.directory), "/home/you") for line in done.stdout.splitlines()]

    def compare(self, begin, command, expected, found):
        left, right = masked(command, expected), masked(command, found)
        if left != right:
            print(f"{self.path.name}:{begin + 1}: another output of {command}")
            print("\n".join(difflib.unified_diff(left, right, "page", "printed", lineterm="")))
            self.wrong += 1

    def run_console(self, block):
        new = []
        for command, expected in block.commands():
            found = self.run(["bash", "-o", "pipefail", "-c", command], command)
            self.compare(block.begin, command, expected, found)
            shown = command.split("\n")
            new += ["$ " + shown[0], *("> " + line for line in shown[1:]), *found]
        self.printed[block.begin, block.end] = new

    def run_all(self):
        python = None  # what the last program has printed
        for block in blocks_of(self.lines):
            if block.language == "console":
                self.run_console(block)
            elif block.language == "python":
                python = self.run([sys.executable, "-B", "-c", "\n".join(block.lines)], "\n".join(block.lines))
            elif block.language == "text" and python is not None:
                self.compare(block.begin, "python", block.lines, python)
                self.printed[block.begin, block.end] = python
                python = None

    def write(self):
        for (begin, end), lines in sorted(self.printed.items(), reverse=True):
            self.lines[begin:end] = lines
        self.path.write_text("\n".join(self.lines) + "\n")


def environment_with(binaries, mpiexec, directory):
    """srtrain, srprep, the scripts of launch/ and mpirun are in PATH, and nothing of a job is in the environment."""
    programs = directory / "bin"
    programs.mkdir()
    source = Path(__file__).resolve().parent.parent
    for program in [binaries / "srtrain", binaries / "srprep", source / "launch/srtrain-job"]:
        (programs / program.name).symlink_to(program)
    (programs / "mpirun").write_text(f'#!/bin/sh\nexec "{mpiexec}" "$@"\n')
    (programs / "mpirun").chmod(0o755)
    launchers = [line.split("=", 1) for line in (source / "launch/launchers.env").read_text().splitlines() if re.match("[A-Z]", line)]
    kept = {name: value for name, value in os.environ.items() if not re.match(r"SLURM_|PBS_|LSB_|SRTRAIN_(INDEX|ARG)", name)}
    return {**dict(launchers), **kept, "PATH": f"{programs}:{kept['PATH']}", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}


def main(path, binaries, mpiexec, write=None):
    for module in set(re.findall(r"^import (h5py|numpy)", Path(path).read_text(), re.MULTILINE)):
        if subprocess.run([sys.executable, "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False).returncode:
            print(f"skipped: {module} is missing")
            return SKIPPED
    with tempfile.TemporaryDirectory(prefix="srtrain-page-") as directory:
        environment = environment_with(Path(binaries).resolve(), mpiexec, Path(directory))
        work = Path(directory) / "work"
        work.mkdir()
        page = Page(Path(path), work, environment)
        page.run_all()
        if write:
            page.write()
            return 0
        return 1 if page.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What tests of scripts have in common: a directory with a small data set, and runs of a script."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.setdefault("SRTRAIN_BINARY_DIRECTORY", str(SOURCE / "build")))
sys.path.insert(0, str(SOURCE / "benchmarks"))

CONFIGURATION = """data: {path: none}
model: {hidden_size: 16, inner_size: 32, max_length: 12}
training: {batch_size: 64}
"""
# Of batch systems: a test may be run inside a job.
BATCH_VARIABLES = ["SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_JOB_NUM_NODES", "SLURM_NTASKS_PER_NODE", "SLURM_CPUS_ON_NODE",
                   "PBS_NODEFILE", "PBS_JOBID", "LSB_JOBID", "LSB_DJOB_HOSTFILE"]


def environment_without_jobs():
    return {name: value for name, value in os.environ.items() if name not in BATCH_VARIABLES}


class Script(unittest.TestCase):
    """Runs benchmarks/NAME.py on a data set."""

    script = None  # its name
    synthesis = ""  # options of srprep synth

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="srtrain-scripts-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.directory = Path(cls.holder.name)
        cls.configuration = cls.directory / "configuration.yaml"
        cls.configuration.write_text(CONFIGURATION)
        cls.data = cls.directory / "data"
        subprocess.run([BUILD / "srprep", "synth", *cls.synthesis.split(), "--output", cls.data], check=True,
                       stdout=subprocess.DEVNULL)

    def run_script(self, *arguments, code=0, environment=None):
        """What the script has said; its output alone is self.output."""
        done = subprocess.run([sys.executable, "-B", SOURCE / "benchmarks" / self.script, *map(str, arguments)],
                              env=environment or environment_without_jobs(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        self.output = done.stdout
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, said)
        return said

    def read_json(self, name):
        return json.loads((self.directory / name).read_text())

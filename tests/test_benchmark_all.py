"""Every benchmark in one go: that one command makes its data, runs them, and brings together what they measured.

No test depends on a time."""
import subprocess
import unittest

from scripts import BUILD, Script


class All(Script):
    script = "all.py"
    synthesis = "--users 120 --items 60 --mean-length 8 --seed 3"

    def check_steps(self, rows):
        self.assertEqual([(row["data"], row["model"]) for row in rows],  # in the order of the list, not of the options
                         [(data, model) for data in ("synth-150-70", "data") for model in ("sasrec", "caser", "tisasrec")])
        for row in rows:
            times = row["milliseconds"]
            for part in ("data", "forward", "loss", "backward", "optimizer"):
                self.assertGreater(times[part], 0)
                self.assertLess(times[part], times["step"])
            self.assertGreater(row["examples_per_second"], 0)
            self.assertGreater(row["peak_memory_mebibytes"], 1)

    def check_runs(self, runs):
        self.assertEqual([(run["data"], run["ranks"], run["evaluate"]["test_cases"]) for run in runs],
                         [("synth-150-70", 2, 150), ("data", 2, 120)])
        for run in runs:
            for part, rate in (("verify_data", "bytes_per_second"), ("read_sequences", "interactions_per_second"),
                               ("evaluate", "test_cases_per_second"), ("write_checkpoint", "bytes_per_second"),
                               ("verify_checkpoint", "bytes_per_second"), ("read_checkpoint", "bytes_per_second")):
                self.assertGreater(run[part][rate], 0)
                self.assertLessEqual(run[part]["minimum_seconds"], run[part]["seconds"])
                self.assertLessEqual(run[part]["seconds"], run[part]["maximum_seconds"])

    def test_one_command_runs_everything_and_leaves_one_document(self):
        said = self.run_script("--output", self.directory / "out", "--users", 150, "--items", 70, "--steps", 2, "--repetitions",
                               2, "--ranks", 2, "--bytes", 100000, "--data", self.data, "--models", "sasrec", "tisasrec",
                               "caser")
        for text in ("users/s evaluated", "checkpoint written", "Reduction of 0.1 MB", "Single operations"):
            self.assertIn(text, said)
        document = self.read_json("out/all.json")
        self.check_steps(document["steps"])
        self.check_runs(document["run"])
        self.assertTrue(document["reduction"]["cases"])
        self.assertTrue(document["operations"]["products"])
        self.assertGreaterEqual(document["cores"], 1)
        self.assertEqual((self.directory / "out/all.txt").read_text(), self.output)  # the table is what was said

    def test_what_is_unknown_is_refused(self):
        self.assertIn("nonsense", self.run_script("--output", self.directory / "bad", "--models", "nonsense", code=2))
        self.assertIn("at least 1", self.run_script("--output", self.directory / "bad", "--ranks", 0, code=2))
        done = subprocess.run([BUILD / "benchmarks/benchmark_run", self.configuration], stderr=subprocess.PIPE, text=True,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--output is missing", done.stderr)


if __name__ == "__main__":
    unittest.main()

"""Event files of a run, read by TensorBoard: test_tensorboard.py DIRECTORY_OF_PROGRAMS."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAMS = Path(sys.argv.pop(1)).resolve()


class Events(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.run_program("srprep", "synth", "--users", "60", "--items", "40", "--mean-length", "9", "--seed", "1", "--output", "data")
        (self.path / "run.yaml").write_text("data: {path: data}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 6, layers: 1}\n"
                                            "training: {batch_size: 64, threads: 1}\n"
                                            "logging: {every_steps: 1, tensorboard: true}\n")

    def run_program(self, name, *arguments):
        found = subprocess.run([PROGRAMS / name, *arguments], cwd=self.path, capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stderr)

    def train(self, epochs):
        self.run_program("srtrain", "run.yaml", "--output", "run", "--set", f"training.epochs={epochs}")

    def expected(self):
        """What metrics.jsonl holds: {tag: [(step, value)]}."""
        curves = {}
        for line in map(json.loads, (self.path / "run/metrics.jsonl").read_text().splitlines()):
            for name, value in line.items():
                if isinstance(value, (int, float)) and not name.endswith("_error") and name not in (
                        "step", "epoch", "cases", "unix_seconds", "days", "after", "last", "interactions"):
                    tag = "/".join(filter(None, (line["kind"], line.get("baseline"), name)))
                    curves.setdefault(tag, []).append((line["step"], value))
        return curves

    def assert_same(self, reader):
        reader.Reload()
        expected = self.expected()
        self.assertGreater(len(expected["train/loss"]), 5)
        self.assertEqual(set(reader.Tags()["scalars"]), set(expected))
        for tag, points in expected.items():
            found = reader.Scalars(tag)
            self.assertEqual([event.step for event in found], [step for step, _ in points], tag)
            for event, (_, value) in zip(found, points):
                self.assertAlmostEqual(event.value, value, delta=1e-6 * max(1, abs(value)), msg=tag)

    def reader(self):
        return EventAccumulator(str(self.path / "run/tensorboard"), size_guidance={"scalars": 0})

    def test_scalars_are_those_of_metrics_jsonl_also_after_going_on(self):
        self.train(2)
        early = self.reader()
        self.assert_same(early)
        self.train(4)
        self.assert_same(self.reader())
        self.assert_same(early)  # of a TensorBoard that has run all the time

    def test_steps_that_are_trained_again_are_there_once(self):
        self.train(3)
        early = self.reader()
        self.assert_same(early)
        newest = sorted((self.path / "run/checkpoints").iterdir())[-1]
        newest.unlink()  # as if the run had been killed before it
        self.train(3)
        self.assert_same(self.reader())
        self.assert_same(early)

    def test_wall_times_are_those_of_the_lines(self):
        self.train(1)
        lines = [json.loads(line) for line in (self.path / "run/metrics.jsonl").read_text().splitlines()]
        self.train(2)
        reader = self.reader()
        reader.Reload()
        times = {event.step: event.wall_time for event in reader.Scalars("train/loss")}
        for line in lines:
            if line["kind"] == "train":
                self.assertAlmostEqual(times[line["step"]], line["unix_seconds"], delta=1e-3)


if __name__ == "__main__":
    unittest.main()

"""Graphs of models, run by onnxruntime: test_onnx.py DIRECTORY_OF_TEST_PROGRAMS DIRECTORY_OF_FIXTURES [all-known].

States and scores are compared with those of a reference and with those that srtrain computes itself: to 1e-5, relative
to the largest of them. With all-known every fixture is one whose model exists."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import h5py
    import numpy
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAMS, FIXTURES = Path(sys.argv[1]).resolve(), sorted(Path(sys.argv[2]).glob("*.h5"))
ALL_KNOWN = "all-known" in sys.argv
if not FIXTURES:
    print(f"skipped: {sys.argv[2]} has no fixtures")
    sys.exit(77)
TOLERANCE = 1e-5
USAGE_ERROR = 2


def open_graph(path):
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs_of(feeds, session):
    """Those that the graph reads."""
    return {port.name: feeds[port.name].astype(numpy.int64) for port in session.get_inputs()}


def inputs_of_fixture(fixture):
    stored = fixture["inputs"]
    names = {"items": "sequence", "users": "user", "times": "time"}
    feeds = {name: stored[there][:] for name, there in names.items() if there in stored}
    if "next_time" in stored:  # that which follows the last item
        items = feeds["items"]
        last = items.shape[1] - 1 - numpy.argmax(items[:, ::-1] != 0, axis=1)
        feeds["next_time"] = stored["next_time"][:][numpy.arange(len(items)), last]
    return feeds


def expected_of_fixture(fixture):
    expected = fixture["expected"]
    states = expected["representation"][:]
    if "representation_covariance" in expected:
        states = numpy.concatenate([states, expected["representation_covariance"][:]], axis=1)
    return states, expected["scores"][:]


class Graphs(unittest.TestCase):
    def check_close(self, actual, expected, what):
        self.assertEqual(actual.shape, expected.shape, what)
        self.assertLess(abs(actual - expected).max() / abs(expected).max(), TOLERANCE, what)

    def check_outputs(self, session, feeds, states, scores):
        found_states, found_scores = session.run(["states", "scores"], inputs_of(feeds, session))
        self.check_close(found_states, states, "states")
        self.check_close(found_scores[:, 1:], scores[:, 1:], "scores")
        self.assertTrue((found_scores[:, 0] == -numpy.inf).all())

    def convert(self, fixture, path, *arguments):
        """The graph of a fixture's model; None if this build does not know it."""
        command = [PROGRAMS / "fixture_to_onnx", fixture, path, *arguments]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode == USAGE_ERROR and "allowed is" in found.stderr and not ALL_KNOWN:
            return None
        self.assertEqual(found.returncode, 0, found.stderr)
        return open_graph(path)

    def test_fixtures_have_the_states_and_scores_of_the_reference(self):
        with tempfile.TemporaryDirectory() as directory:
            for fixture in FIXTURES:
                with self.subTest(fixture.name):
                    session = self.convert(fixture, Path(directory) / "model.onnx")
                    if not session:
                        continue
                    with h5py.File(fixture) as stored:
                        self.check_outputs(session, inputs_of_fixture(stored), *expected_of_fixture(stored))

    def test_all_kinds_of_models_have_their_own_states_and_scores(self):
        """The models of tests/model_world.c. One of their histories is empty, one longer than the window."""
        if not ALL_KNOWN:
            self.skipTest("with the fixtures of the project alone")
        with tempfile.TemporaryDirectory() as directory:
            command = [PROGRAMS / "variants_to_onnx", directory]
            found = subprocess.run(command, capture_output=True, text=True, check=True)
            self.assertEqual(found.stderr, "")
            for line in found.stdout.splitlines():
                number, name = line.split(" ", 1)
                with self.subTest(name):
                    arrays = {path.stem: numpy.load(path) for path in (Path(directory) / number).glob("*.npy")}
                    session = open_graph(Path(directory) / f"{number}.onnx")
                    self.check_outputs(session, arrays, arrays["states"], arrays["scores"])

    def test_arrays_beside_the_file_are_read(self):
        fixture = next(fixture for fixture in FIXTURES if fixture.name.startswith("sasrec-"))
        with tempfile.TemporaryDirectory() as directory:
            whole, parted = Path(directory) / "whole.onnx", Path(directory) / "parted.onnx"
            sessions = [self.convert(fixture, whole), self.convert(fixture, parted, "1000")]
            self.assertLess(parted.stat().st_size, whole.stat().st_size)
            self.assertTrue((Path(directory) / "parted.onnx.data").exists())
            with h5py.File(fixture) as stored:
                feeds = inputs_of_fixture(stored)
            states = [session.run(["states"], inputs_of(feeds, session))[0] for session in sessions]
        numpy.testing.assert_array_equal(*states)


if __name__ == "__main__":
    onnxruntime.disable_telemetry_events()
    unittest.main(argv=sys.argv[:1])

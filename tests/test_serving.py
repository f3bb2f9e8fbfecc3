"""The server of docs/serving.md, run as that page has it: test_serving.py DIRECTORY_OF_PROGRAMS PAGE.md."""
import json
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

try:
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAMS, PAGE = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
ITEMS, USERS, LINES = 12, 40, 30
CONFIGURATION = """data: {path: data}
model: {hidden_size: 8, inner_size: 8, max_length: 6, layers: 1, padding: %s}
training: {epochs: 1, batch_size: 16, threads: 1}
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Serving(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name)
        self.histories = {f"user-{u}": [f"item-{(u * 5 + i * 3) % ITEMS}" for i in range(3 + u % 7)]
                          for u in range(USERS)}
        text = "".join(f"{user} {' '.join(items)}\n" for user, items in self.histories.items())
        (self.path / "all.txt").write_text(text)
        self.run_program("srprep", "convert", "--format", "sequences", "--input", "all.txt", "--output", "data")

    def tearDown(self):
        self.directory.cleanup()

    def run_program(self, name, *arguments):
        found = subprocess.run([PROGRAMS / name, *arguments], cwd=self.path, capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, f"{name} {arguments}: {found.stderr}")
        return found.stdout

    def ask(self, port, items, k):
        address = f"http://127.0.0.1:{port}/?{'&'.join(f'item={item}' for item in items)}&k={k}"
        for _ in range(300):
            try:
                with urllib.request.urlopen(address) as answer:
                    return json.load(answer)
            except OSError:  # it is not there yet
                time.sleep(0.2)
        self.fail("the server does not answer")

    def check_server(self, padding):
        (self.path / "run.yaml").write_text(CONFIGURATION % padding)
        self.run_program("srtrain", "run.yaml", "--output", f"run-{padding}")
        best = f"run-{padding}/best.h5"
        self.run_program("srtrain", "export", best, "--format", "onnx", "--output", "model.onnx")
        self.run_program("srtrain", "export", best, "--format", "npy", "--items-only", "--output", "items")
        found = self.run_program("srtrain", "recommend", best, "--histories", "all.txt", "--top-k", "4")
        expected = {}
        for user, _, item, score in (line.split("\t") for line in found.splitlines()[1:]):
            expected.setdefault(user, []).append((item, float(score)))
        port = free_port()
        command = [sys.executable, "server.py", "model.onnx", "items/item_names.npy", str(port)]
        server = subprocess.Popen(command, cwd=self.path, stderr=subprocess.DEVNULL)
        try:
            for user, items in self.histories.items():
                answer = self.ask(port, items, 4)
                self.assertEqual([entry["item"] for entry in answer], [item for item, _ in expected[user]])
                for entry, (_, score) in zip(answer, expected[user]):
                    self.assertAlmostEqual(entry["score"], score, delta=1e-4)
        finally:
            server.terminate()
            server.wait()

    def test_the_server_answers_with_what_srtrain_recommends(self):
        program = PAGE.read_text().split("```python\n")[1].split("```")[0]
        self.assertLessEqual(len([line for line in program.splitlines() if line]), LINES)
        (self.path / "server.py").write_text(program)
        self.check_server("right")
        self.check_server("left")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

"""What srtrain export writes, read by the libraries of Python: test_export.py DIRECTORY_OF_PROGRAMS."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import h5py
    import numpy
    from safetensors import safe_open
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAMS = Path(sys.argv.pop(1)).resolve()
ITEMS, USERS = 12, 40


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.path = Path(cls.directory.name)
        cls.histories = {f"user-{u}": [f"item-{(u * 5 + i * 3) % ITEMS}" for i in range(3 + u % 4)] for u in range(USERS)}
        text = "".join(f"{user} {' '.join(items)}\n" for user, items in cls.histories.items())
        (cls.path / "all.txt").write_text(text)
        (cls.path / "run.yaml").write_text("data: {path: data}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 6, layers: 1}\n"
                                           "training: {epochs: 1, batch_size: 16, threads: 1}\n")
        cls.run_program("srprep", "convert", "--format", "sequences", "--input", "all.txt", "--output", "data")
        cls.run_program("srtrain", "run.yaml", "--output", "run")
        (cls.path / "data").rename(cls.path / "away")  # nothing of it is needed
        cls.run_program("srtrain", "export", "run/best.h5", "--format", "safetensors", "--output", "all.safetensors", "--states",
                        "all.txt")
        cls.run_program("srtrain", "export", "run/best.h5", "--format", "npy", "--output", "arrays", "--states", "all.txt")
        cls.run_program("srtrain", "export", "run/best.h5", "--format", "npy", "--output", "items", "--items-only")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @classmethod
    def run_program(cls, name, *arguments):
        found = subprocess.run([PROGRAMS / name, *arguments], cwd=cls.path, capture_output=True, text=True)
        if found.returncode:
            raise RuntimeError(f"{name} {arguments}: {found.stderr}")
        return found.stdout

    def test_every_parameter_is_that_of_the_checkpoint(self):
        with h5py.File(self.path / "run/best.h5") as checkpoint, safe_open(self.path / "all.safetensors", "numpy") as exported:
            parameters = checkpoint["parameters"]
            self.assertEqual(set(exported.keys()), set(parameters) | {"item_names", "states", "state_names"})
            self.assertIn("hidden_size: 8", exported.metadata()["configuration"])
            for name, values in parameters.items():
                numpy.testing.assert_array_equal(exported.get_tensor(name), values[:])
                numpy.testing.assert_array_equal(numpy.load(self.path / "arrays" / f"{name}.npy"), values[:])

    def test_identifiers_are_those_of_the_rows(self):
        names = numpy.load(self.path / "items/item_names.npy")
        with h5py.File(self.path / "run/best.h5") as checkpoint:
            stored = checkpoint["item_names"][:]
        self.assertEqual(names[0], b"")
        self.assertEqual(list(names[1:]), list(stored))
        with safe_open(self.path / "all.safetensors", "numpy") as exported:
            self.assertEqual([bytes(row).rstrip(b"\0") for row in exported.get_tensor("item_names")], list(names))
        self.assertEqual(sorted(path.name for path in (self.path / "items").iterdir()),
                         ["item_embedding.weight.npy", "item_names.npy"])
        self.assertEqual(numpy.load(self.path / "items/item_embedding.weight.npy").shape, (ITEMS + 1, 8))

    def test_states_times_items_are_the_scores_of_recommend(self):
        states = numpy.load(self.path / "arrays/states.npy")
        users = [name.decode() for name in numpy.load(self.path / "arrays/state_names.npy")]
        items = [name.decode() for name in numpy.load(self.path / "arrays/item_names.npy")]
        self.assertEqual(users, list(self.histories))
        scores = states @ numpy.load(self.path / "arrays/item_embedding.weight.npy")[: ITEMS + 1].T
        lines = self.run_program("srtrain", "recommend", "run/best.h5", "--histories", "all.txt", "--history", "keep", "--top-k",
                                 "100").splitlines()[1:]
        self.assertEqual(len(lines), USERS * ITEMS)
        for line in lines:
            user, _, item, score = line.split("\t")
            self.assertLess(abs(scores[users.index(user), items.index(item)] - float(score)), 1e-5)


if __name__ == "__main__":
    unittest.main()

"""Steps over catalogues of several sizes: that one command makes its data, measures all cases, and reports them beside the plan.

No test depends on a time."""
import json
import unittest

from scripts import Script

LARGE = """data: {path: none}
model: {layers: 1, heads: 1, hidden_size: 8, inner_size: 16, max_length: 10}
training: {loss: sampled_softmax, negatives: 16, batch_size: 64}
"""


class Catalogues(Script):
    script = "catalogues.py"
    synthesis = "--users 20 --items 10 --mean-length 5 --seed 3"

    def setUp(self):
        (self.directory / "large.yaml").write_text(LARGE)

    def run_catalogues(self, *arguments, code=0):
        return self.run_script("--config", self.directory / "large.yaml", "--output", self.directory / "out", "--users", 200,
                               "--mean-length", 8, "--steps", 2, "--repetitions", 1, *arguments, code=code)

    def test_one_command_measures_both_tables(self):
        self.run_catalogues("--items", "300,3e3", "--ranks", "2")
        document = self.read_json("out/catalogues.json")
        self.assertEqual([(row["items"], row["table"], row["ranks"]) for row in document["rows"]],
                         [(300, "replicated", 2), (300, "divided", 2), (3000, "replicated", 2), (3000, "divided", 2)])
        for row in document["rows"]:
            self.assertGreater(row["step_ms"], 0)
            self.assertGreater(row["rank_bytes"], 1e6)
            if row["table"] == "divided":
                self.assertLess(abs(row["sent_bytes"] / row["planned_sent_bytes"] - 1), 0.2, json.dumps(row))
        self.assertEqual((self.directory / "out/catalogues.md").read_text(), self.output)
        self.assertIn("| 3000 | divided | 2 |", self.output)

    def test_what_does_not_fit_is_left_out_and_named(self):
        self.run_catalogues("--items", "300", "--ranks", "1", "--tables", "divided", "--memory", "0.001")
        self.assertIn("Left out: 300 items, divided, 1 ranks: a node needs", self.output)
        self.assertEqual(self.read_json("out/catalogues.json")["rows"], [])

    def test_what_is_unknown_is_refused(self):
        self.assertIn("a whole number", self.run_catalogues("--items", "1e5,many", code=2))
        self.assertIn("moon", self.run_catalogues("--tables", "moon", code=2))


if __name__ == "__main__":
    unittest.main()

"""Training day by day against training anew: that each day goes on from the day before, and what is reported.

No test depends on a time."""
import json
import unittest

from scripts import Script


class Daily(Script):
    script = "daily.py"
    synthesis = "--users 60 --items 30 --mean-length 8 --seed 3"

    def test_each_day_goes_on_from_the_day_before(self):
        self.run_script("--config", self.configuration, "--data", self.data, "--output", self.directory / "out", "--days", 2,
                        "--epochs", 3, "--set", "model.layers=1")
        document = self.read_json("out/daily.json")
        self.assertEqual([row["day"] for row in document["days"]], [1, 2])
        lines = []
        for row in document["days"]:
            self.assertGreater(row["items"]["kept"], 0)
            self.assertGreater(row["daily"], 0)
            run = f"out/run-day-{row['day']}"
            lines.append(json.loads((self.directory / run / "metrics.jsonl").read_text().splitlines()[0]))
        self.assertEqual([line["kind"] for line in lines], ["from", "from"])
        self.assertGreater(lines[1]["earlier_steps"], lines[0]["earlier_steps"])
        self.assertEqual(lines[1]["earlier_steps"], lines[1]["optimizer_steps"])
        self.assertIn("/run-day-1/checkpoints/step-", lines[1]["checkpoint"])
        self.assertIn("anew", document["days"][1])
        self.assertNotIn("anew", document["days"][0])
        self.assertEqual((self.directory / "out/daily.md").read_text(), self.output)

    def test_what_cannot_be_cut_is_refused(self):
        said = self.run_script("--config", self.configuration, "--data", self.data, "--output", self.directory / "bad", "--days",
                               0, code=2)
        self.assertIn("--days must be at least 1", said)


if __name__ == "__main__":
    unittest.main()

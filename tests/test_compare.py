"""srtrain compare against SciPy: test_compare.py DIRECTORY_OF_SRTRAIN."""
import json
import math
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy
    from scipy import stats
except ImportError:
    print("skipped: SciPy is missing")
    sys.exit(77)

PROGRAM = Path(sys.argv.pop(1)).resolve() / "srtrain"
USERS = 300


def gain(name, rank, k):
    if not 1 <= rank <= k:
        return 0.0
    return {"hr": 1.0, "ndcg": 1 / math.log2(rank + 1), "mrr": 1 / rank}[name]


def wilcoxon(differences):
    options = {"zero_method": "wilcox", "correction": False}
    try:
        return stats.wilcoxon(differences, method="asymptotic", **options)
    except ValueError:  # SciPy before 1.13
        return stats.wilcoxon(differences, method="approx", **options)


def write_cases(path, ranks):
    lines = ["user\ttarget\trank\tpopularity"]
    lines += [f"u{i}\tt{i % 17}\t{rank}\t{i % 10}" for i, rank in enumerate(ranks)]
    path.write_text("\n".join(lines) + "\n")


class Comparison(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        draw = random.Random(5)
        cls.left = [draw.choice([0, 1, 2, 4, 7, 12, 40]) for _ in range(USERS)]
        cls.right = [draw.choice([rank, 1, 3, 12]) for rank in cls.left]
        with tempfile.TemporaryDirectory() as directory:
            a, b, found = (Path(directory) / name for name in ("a.tsv", "b.tsv", "found.json"))
            write_cases(a, cls.left)
            write_cases(b, cls.right)
            subprocess.run([PROGRAM, "compare", a, b, "--by", "popularity", "--groups", "2", "--json", found], check=True,
                           stdout=subprocess.DEVNULL)
            cls.groups = json.loads(found.read_text())["groups"]

    def check_group(self, group, cases):
        self.assertEqual(group["cases"], len(cases))
        for metric, found in group["metrics"].items():
            name, k = metric.split("@")
            a = numpy.array([gain(name, self.left[i], int(k)) for i in cases])
            b = numpy.array([gain(name, self.right[i], int(k)) for i in cases])
            self.assertAlmostEqual(found["a"], a.mean(), 12)
            self.assertAlmostEqual(found["b"], b.mean(), 12)
            self.assertAlmostEqual(found["difference"], (b - a).mean(), 12)
            expected = wilcoxon(b - a)
            self.assertAlmostEqual(found["wilcoxon_statistic"], expected.statistic, 6)
            self.assertLess(abs(found["wilcoxon_p"] - expected.pvalue), 1e-9)
            interval = stats.bootstrap((b - a,), numpy.mean, method="percentile", n_resamples=2000,
                                       random_state=3).confidence_interval
            width = interval.high - interval.low
            self.assertLess(abs(found["low"] - interval.low), 0.12 * width)
            self.assertLess(abs(found["high"] - interval.high), 0.12 * width)
            shuffled = stats.permutation_test((b - a,), lambda x, axis: x.sum(axis=axis), vectorized=True,
                                              permutation_type="samples", n_resamples=2000, random_state=3)
            self.assertLess(abs(found["randomisation_p"] - shuffled.pvalue), 0.04)

    def test_all_cases(self):
        self.check_group(self.groups[0], range(USERS))

    def test_groups_of_popularity(self):
        self.assertEqual([group["group"] for group in self.groups[1:]], ["popularity 0-4", "popularity 5-9"])
        for group, chosen in zip(self.groups[1:], (range(5), range(5, 10))):
            self.check_group(group, [i for i in range(USERS) if i % 10 in chosen])


if __name__ == "__main__":
    unittest.main()

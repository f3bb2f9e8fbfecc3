"""What srtrain report makes of real runs: test_report.py DIRECTORY_OF_PROGRAMS Page|Browser.

The tests of Browser need Chromium (SRTRAIN_CHROMIUM, or chromium in PATH)."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

PROGRAMS = Path(sys.argv.pop(1)).resolve()
CHROMIUM = os.environ.get("SRTRAIN_CHROMIUM") or shutil.which("chromium")
STRANGE = 'a <b> & "c"'  # the name of a run
EMPTY = {"meta", "link", "br", "input"}
if "Browser" in sys.argv and not CHROMIUM:
    print("skipped: Chromium is missing")
    sys.exit(77)


class Elements(HTMLParser):
    """Whether elements are closed in order, and what they refer to."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.references, self.texts, self.classes = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in ("href", "src", "srcset", "data", "action")]
        self.classes += [name for key, value in attributes if key == "class" for name in value.split()]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open and self.open[-1] == tag, f"</{tag}> ends <{self.open[-1:]}>, line {self.getpos()[0]}"
            self.open.pop()

    def handle_data(self, text):
        self.texts.append(text)


class World(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.path = Path(cls.directory.name)
        cls.succeed("srprep", "synth", "--users", "80", "--items", "50", "--mean-length", "9", "--seed", "1", "--output", "data")
        (cls.path / "run.yaml").write_text(
            "data: {path: data}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 6, layers: 1}\n"
            "calibrators: {adversarial: {}}\ntraining: {epochs: 4, batch_size: 32, threads: 1}\nlogging: {every_steps: 1}\n")
        for name, setting in (("first", "training.seed=1"), ("second", "training.seed=2"), (STRANGE, "training.learning_rate=0.01")):
            cls.succeed("srtrain", "run.yaml", "--output", f"runs/{name}", "--set", setting)
        cls.succeed("srtrain", "evaluate", "runs/first/best.h5", "--cases", "runs/first/cases.h5")
        cls.runs = ("runs/first", "runs/second", f"runs/{STRANGE}")
        cls.succeed("srtrain", "report", *cls.runs, "--output", "report.html", "--curves", "curves.svg")
        cls.succeed("srtrain", "report", "runs/first", "--output", "one.html", "--by", "time", "--loss-scale", "log")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @classmethod
    def run_program(cls, name, *arguments):
        return subprocess.run([PROGRAMS / name, *arguments], cwd=cls.path, capture_output=True, text=True)

    @classmethod
    def succeed(cls, name, *arguments):
        found = cls.run_program(name, *arguments)
        if found.returncode:
            raise RuntimeError(f"{name} {arguments}: {found.stderr}")

    def read(self, name="report.html"):
        return (self.path / name).read_text()


class Page(World):
    def test_the_page_is_well_formed_and_needs_nothing_else(self):
        for name in ("report.html", "one.html"):
            page = Elements(self.read(name))
            self.assertEqual(page.open, [])
            self.assertEqual(page.references, ["data:,"])
            for word in ("<script", "@import", "url(", "http:", "https:", "What could not be read"):
                self.assertNotIn(word, self.read(name))

    def test_names_of_others_stand_for_themselves(self):
        page = Elements(self.read())
        self.assertNotIn(STRANGE, self.read())
        self.assertGreater(sum(STRANGE in text for text in page.texts), 5)

    def test_pictures_are_xml_and_keep_to_their_frames(self):
        pictures = re.findall(r"<svg.*?</svg>", self.read(), re.DOTALL) + [self.read("curves.svg")]
        self.assertGreater(len(pictures), 8)
        for picture in pictures:
            root = ElementTree.fromstring(picture)
            width, height = map(float, root.get("viewBox").split()[2:])
            for path in (element for element in root.iter() if element.tag.endswith("path")):
                for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path.get("d")):
                    self.assertTrue(0 <= float(x) <= width and 0 <= float(y) <= height, path.get("d"))

    def test_every_term_and_metric_has_a_chart_with_all_runs(self):
        titles = re.findall(r'aria-label="([^"]*)"', self.read())
        for title in ("training loss", "loss term: attacked ranking", "loss term: mask penalty", "validation ndcg@10", "validation hr@10", "learning rate",
                      "examples a second"):
            self.assertIn(title, titles)
        picture = next(p for p in re.findall(r"<svg.*?</svg>", self.read(), re.DOTALL) if "validation ndcg@10" in p)
        for run in range(3):
            self.assertRegex(picture, rf'class="line r{run} d0"')
            self.assertRegex(picture, rf'class="best r{run}"')

    def test_results_settings_and_times_are_there(self):
        text = " ".join(Elements(self.read()).texts)
        for words in ("mean of 2 seeds", "bootstrap samples of users", "popularity", "training.seed", "training.learning_rate",
                      "reduction", "checkpoints", "HDF5", "1 × 1 thread"):
            self.assertIn(words, text)
        self.assertIn("minutes" if "minutes" in self.read("one.html") else "seconds", self.read("one.html"))
        self.assertIn("checked", self.read("one.html"))

    def test_what_is_wrong_is_told(self):
        for arguments, code, words in (
                ((), 2, "RUN... is missing"),
                (("runs",), 3, "runs is no directory of a run"),
                (("nowhere",), 3, "nowhere: No such file or directory"),
                (("runs/first", "--by", "years"), 2, "allowed are step, epoch and time")):
            found = self.run_program("srtrain", "report", *arguments)
            self.assertEqual(found.returncode, code, found.stderr)
            self.assertIn(words, found.stderr)
        self.assertFalse((self.path / "report.html.tmp").exists())

    def test_damage_is_told_twice(self):
        shutil.copytree(self.path / "runs/second", self.path / "damaged")
        lines = (self.path / "damaged/metrics.jsonl").read_text().splitlines(keepends=True)
        lines[2] = lines[2][:30] + "\n"
        (self.path / "damaged/metrics.jsonl").write_text("".join(lines))
        (self.path / "damaged/environment.json").unlink()
        found = self.run_program("srtrain", "report", "damaged", "--output", "damaged.html")
        self.assertEqual(found.returncode, 0)
        for text in (found.stderr, " ".join(Elements(self.read("damaged.html")).texts)):
            self.assertIn("damaged/metrics.jsonl:3: this is no JSON object", text)
            self.assertIn("damaged/environment.json: is missing", text)


class Browser(World):
    def browse(self, page, *options):
        """The document as Chromium has it, and what it says."""
        found = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
             "--allow-file-access-from-files", f"--user-data-dir={self.path}/profile", *options, "--dump-dom",
             f"file://{self.path}/{page}"], capture_output=True, text=True, timeout=120)
        self.assertEqual(found.returncode, 0, found.stderr)
        return found.stdout, [line for line in found.stderr.splitlines() if "CONSOLE" in line]

    def test_a_browser_opens_the_page_without_complaint(self):
        for page in ("report.html", "one.html", "curves.svg"):
            document, said = self.browse(page)
            self.assertEqual(said, [])
            self.assertIn("training loss", document)

    def test_the_page_is_not_wider_than_a_phone(self):
        (self.path / "frame.html").write_text(
            '<iframe id="f" width="360" height="700" src="report.html"></iframe><p id="w"></p><script>f.onload = () => '
            'w.textContent = "width " + f.contentDocument.documentElement.scrollWidth</script>')
        document, _ = self.browse("frame.html")
        self.assertRegex(document, r"width (3[0-5]\d|360)<")


if __name__ == "__main__":
    unittest.main()

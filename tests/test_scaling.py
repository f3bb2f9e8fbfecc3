"""The benchmark of scaling: its model of the network, how ranks are started, and that what it writes agrees with itself.

No test depends on a time."""
import csv
import os
import shutil
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from scripts import Script, environment_without_jobs

import launcher
import projection

# 1 us and 10 GB/s between nodes of 4 ranks, 0.1 us and 1 GB/s within one.
EXAMPLE = projection.Network(1e-6, 1e10, 1e-7, 1e9, 4)


class Projection(unittest.TestCase):
    def assert_close(self, actual, expected):
        self.assertLessEqual(abs(actual - expected), 1e-9 * abs(expected))

    def test_an_all_reduce_costs_what_the_published_formulas_say(self):
        self.assertEqual((EXAMPLE.halving(1, 1e6), EXAMPLE.ring(1, 1e6), EXAMPLE.small_sum(1)), (0, 0, 0))
        # Within a node: two doublings there and back, 3/4 of the bytes each time.
        self.assert_close(EXAMPLE.halving(4, 1e6), 4 * 1e-7 + 2 * 0.75 * 1e6 / 1e9)
        self.assert_close(EXAMPLE.ring(4, 1e6), 6 * (1e-7 + 1e6 / 4e9))
        self.assert_close(EXAMPLE.small_sum(4), 2e-7)
        # Eight nodes, of which the last has one rank.
        self.assertEqual(EXAMPLE.nodes(29), 8)
        self.assert_close(EXAMPLE.halving(29, 1e6), 4 * 1e-7 + 2 * 0.75 * 1e6 / 1e9 + 6 * 1e-6 + 2 * 0.875 * 1e6 / 1e10)
        self.assert_close(EXAMPLE.ring(29, 1e6), 56 * (1e-6 + 1e6 / 29e9))  # the node is slower
        self.assert_close(EXAMPLE.small_sum(29), 2e-7 + 3e-6)

    def test_a_step_sums_its_gradients_in_messages_and_some_small_sums(self):
        reduced = {"bytes": 4000, "messages": 4, "small_sums": 2}
        for name in ("halving", "ring"):
            self.assert_close(projection.summing(EXAMPLE, name, 8, reduced),
                              1e3 * (4 * getattr(EXAMPLE, name)(8, 1000) + 2 * EXAMPLE.small_sum(8)))
            self.assertEqual(projection.summing(EXAMPLE, name, 1, reduced), 0)

    def test_latency_and_bandwidth_of_a_node_are_found_again(self):
        for ranks in (2, 3, 4):
            for name in ("halving", "ring"):
                latency, bandwidth = projection.fit_node(name, ranks, EXAMPLE.small_sum(ranks),
                                                         getattr(EXAMPLE, name)(ranks, 1e7), 1e7)
                self.assert_close(latency, EXAMPLE.node_latency)
                self.assert_close(bandwidth, EXAMPLE.node_bandwidth)

    def test_times_between_and_beyond_measured_loads_are_on_lines(self):
        points = [(10, 5), (20, 6), (40, 10)]
        for x, y in ((10, 5), (15, 5.5), (30, 8), (60, 14), (5, 4.5)):
            self.assert_close(projection.interpolate(points, x), y)
        self.assertEqual(projection.interpolate(points[:1], 70), 5)
        self.assertEqual(projection.interpolate([(20, 1), (40, 10)], 0), 0)

    def test_times_that_fall_by_noise_become_means(self):
        self.assertEqual(projection.ascending([1, 3, 1, 5, 6, 1, 7]), [1, 2, 2, 4, 4, 4, 7])
        self.assertEqual(projection.ascending([3, 2, 1]), [2, 2, 2])
        self.assertEqual(projection.ascending([]), [])

    def test_compute_time_is_a_curve_over_the_load_of_the_busiest_thread(self):
        one = [[[10, 1]], [[30, 1]], [[20, 1]]]  # three batches of one thread
        two = [[[5, 1], [40, 1]]]  # one of two
        self.assertEqual(projection.compute_curve([(two, 7), (one, 3), (one, 4)]), [(20, 3), (40, 7)])

    def test_a_division_costs_what_its_busiest_part_takes(self):
        curve = [(0, 0), (100, 50)]
        imbalance, compute, mean = projection.division_cost([[[10, 3], [30, 1]], [[20, 4]]], curve)
        self.assert_close(imbalance, (30 * 4 / 60 + 1) / 2)
        self.assert_close(compute, (15 + 10) / 2)
        self.assert_close(mean, (7.5 + 10) / 2)


class Launchers(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="srtrain-launchers-")
        self.addCleanup(holder.cleanup)
        self.directory = Path(holder.name)
        environment = {**environment_without_jobs(), "PATH": f"{self.directory}:/usr/bin:/bin"}
        patch = mock.patch.dict(os.environ, environment, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def make_program(self, name):
        make_program(self.directory / name, "#!/bin/sh\n")

    def test_a_launcher_that_was_given_is_taken_and_must_have_a_place_for_ranks(self):
        found = launcher.find("run -n {ranks} -t {threads} 'a b' {other}", 3)
        self.assertEqual(found.fill(12), ["run", "-n", "12", "-t", "3", "a b", "{other}"])
        with self.assertRaisesRegex(launcher.Failure, "{ranks}") as caught:
            launcher.find("mpirun -np 4")
        self.assertEqual(caught.exception.code, 2)
        with self.assertRaisesRegex(launcher.Failure, "take the launcher"):
            launcher.find("mpirun 'np {ranks}").fill(3)

    def test_without_a_batch_system_mpirun_is_taken_with_a_rank_for_each_core(self):
        found = launcher.find()
        self.assertEqual(found.fill(3)[-1], "3")
        self.assertEqual(found.fill(3)[0], launcher.cached("MPIEXEC_EXECUTABLE", "mpirun"))
        self.assertEqual(found.ranks, len(os.sched_getaffinity(0)))

    def test_in_a_slurm_job_srun_is_taken_over_as_few_nodes_as_hold_the_ranks(self):
        os.environ.update(SLURM_JOB_ID="77", SLURM_JOB_NUM_NODES="4", SLURM_NTASKS="32")
        self.make_program("srun")
        found = launcher.find(None, 2)
        self.assertEqual(found.ranks, 32)
        self.assertEqual(found.fill(12)[:4], ["srun", "--nodes=2", "--ntasks=12", "--cpus-per-task=2"])
        self.assertIn("77", found.found)

    def test_in_pbs_and_lsf_jobs_mpirun_gets_the_hosts(self):
        hosts = self.directory / "hosts"
        hosts.write_text("login\nalpha\nalpha\nalpha\nbeta\nbeta\nbeta\n")
        os.environ["PBS_NODEFILE"] = str(hosts)
        found = launcher.find()
        self.assertEqual((found.ranks, found.ranks_of_node), (7, 3))
        self.assertEqual(found.fill(6)[1:3], ["--hostfile", str(hosts)])
        del os.environ["PBS_NODEFILE"]
        os.environ.update(LSB_JOBID="5", LSB_DJOB_HOSTFILE=str(hosts))
        found = launcher.find()
        self.assertEqual(found.fill(6)[1:3], ["--hostfile", str(hosts)])
        self.assertIn("LSF job 5", found.found)
        self.make_program("jsrun")
        self.assertEqual(launcher.find().fill(6)[:3], ["jsrun", "--nrs", "6"])


def make_program(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Scaling(Script):
    script = "scaling.py"
    synthesis = "--users 300 --items 120 --mean-length 9 --seed 3 --shards 2"

    def scale(self, output, *options, **rest):
        return self.run_script("scaling", "--config", self.configuration, "--set", f"data.path={self.data}", "--steps", 3,
                               "--output", self.directory / output, *options, **rest)

    def read_rows(self, name, document):
        """Rows of a CSV file, which are those of the JSON document."""
        with open(self.directory / name, newline="") as file:
            rows = [{key: value if key == "kind" else float(value) if value else None for key, value in row.items()}
                    for row in csv.DictReader(file)]
        self.assertEqual(rows, document)
        return rows

    def check_measured(self, rows):
        self.assertEqual([(row["kind"], row["ranks"], row["global_batch"]) for row in rows],
                         [("strong", 1, 64), ("strong", 2, 64), ("weak", 1, 16), ("weak", 2, 32)])
        for i, row in enumerate(rows):
            self.assertEqual(row["nodes"], 1)
            self.assertLessEqual(row["step_minimum_ms"], row["step_ms"])
            self.assertLessEqual(row["step_ms"], row["step_maximum_ms"])
            for part in ("data_ms", "forward_ms", "backward_ms", "loss_ms", "optimizer_ms", "examples_per_second"):
                self.assertGreater(row[part], 0)
            self.assertGreater(row["peak_memory_mebibytes"], 1)
            self.assertEqual(row["bytes_reduced"] > 0, row["ranks"] == 2)
            ratio = rows[i - i % 2]["step_ms"] / row["step_ms"]
            self.assertAlmostEqual(row["efficiency"], ratio if row["kind"] == "weak" else ratio / row["ranks"])
            self.assertAlmostEqual(row["speedup"], row["efficiency"] * row["ranks"])
            self.assertAlmostEqual(row["reduction_share"], row["reduction_ms"] / row["step_ms"])
            self.assertGreaterEqual(min(row["waiting_ms"], row["summing_ms"]), 0)

    def check_projected(self, rows, measured):
        """Of each kind the measured counts, then 3 and 256; weak scaling has not enough examples for 256."""
        self.assertEqual([(row["kind"], row["ranks"]) for row in rows],
                         [*(("strong", ranks) for ranks in (1, 2, 3, 256)), *(("weak", ranks) for ranks in (1, 2, 3))])
        steps = {(row["kind"], row["ranks"]): row["step_ms"] for row in measured}
        for row in rows:
            self.assertEqual(row["global_batch"], 16 * row["ranks"] if row["kind"] == "weak" else 64)
            self.assertEqual(row["nodes"], 32 if row["ranks"] > 8 else 1)
            self.assertAlmostEqual(row["step_ms"], row["data_ms"] + row["compute_ms"] + row["summing_ms"])
            self.assertGreaterEqual(row["load_imbalance"], 1)
            self.assertGreaterEqual(row["waiting_ms"], -1e-9)
            self.assertEqual(row["summing_halving_ms"] > 0, row["ranks"] > 1)
            self.assertEqual(row["summing_ms"], row["summing_ring_ms"])
            found = steps.get((row["kind"], row["ranks"]))
            self.assertEqual(row["measured_step_ms"], found)
            if found:
                self.assertAlmostEqual(row["relative_error"], row["step_ms"] / found - 1)

    def test_one_command_measures_draws_and_projects(self):
        said = self.scale("out", "--ranks", "1,2", "--repetitions", 2, "--batch-per-rank", 16, "--project", "3,256",
                          "--ranks-per-node", 8, "--algorithm", "ring", "--latency", 3, "--set", "model.hidden_size=8")
        for text in ("Strong scaling: 64 examples", "Weak scaling: 16 examples on each rank", "by a model, not measured",
                     "latency 3 us", "Weak scaling ends below 256 ranks"):
            self.assertIn(text, said)
        document = self.read_json("out/scaling.json")
        measured = self.read_rows("out/scaling.csv", document["scaling"])
        self.check_measured(measured)
        self.check_projected(self.read_rows("out/projection.csv", document["projection"]), measured)
        self.assertAlmostEqual(document["assumptions"]["latency_seconds"], 3e-6, delta=1e-15)
        self.assertGreater(document["assumptions"]["node_bandwidth_bytes_per_second"], 0)
        self.assertEqual(len(document["runs"]), 9)  # 64, 32 ... 1 on one rank, and 64 and 32 on two
        self.assertEqual((self.directory / "out/scaling.md").read_text(), self.output)
        self.assertTrue((self.directory / "out/measurements/ranks-2-batch-32-run-2.json").exists())
        for name in ("efficiency", "projection"):
            self.assertTrue((self.directory / f"out/{name}.gp").exists())
            self.assertEqual((self.directory / f"out/{name}.svg").exists(), bool(shutil.which("gnuplot")), said)
            self.assertFalse((self.directory / f"out/{name}.log").exists())

    def test_inside_a_job_the_ranks_are_those_of_the_job(self):
        """A batch system in name: srun notes how it was called and starts as many ranks. There is no gnuplot."""
        programs = self.directory / "programs"
        programs.mkdir()
        for path in [path for part in os.get_exec_path() if os.path.isdir(part) for path in Path(part).iterdir()]:
            if not path.name.startswith("gnuplot") and not (programs / path.name).is_symlink():
                (programs / path.name).symlink_to(path)
        start = " ".join(launcher.start_by_mpi().split()[:-1])
        (programs / "srun").unlink(missing_ok=True)
        make_program(programs / "srun",
                     f'#!/bin/sh\necho "$@" >>{self.directory}/called\nranks=1\n'
                     "for word; do case $word in --ntasks=*) ranks=${word#--ntasks=};; --*) ;; *) break;; esac; shift; done\n"
                     f'exec {start} $ranks "$@"\n')
        environment = {**environment_without_jobs(), "PATH": str(programs), "SLURM_JOB_ID": "9", "SLURM_NTASKS": "2",
                       "SLURM_JOB_NUM_NODES": "1"}
        said = self.scale("job", "--repetitions", 1, "--measure-only", environment=environment)
        self.assertIn("Slurm job 9", said)
        self.assertIn("install the package gnuplot-nox", said)
        self.assertNotIn("Projection", said)
        rows = self.read_rows("job/scaling.csv", self.read_json("job/scaling.json")["scaling"])
        self.assertEqual([(row["ranks"], row["global_batch"]) for row in rows], [(1, 64), (2, 64), (1, 64), (2, 128)])
        self.assertIn("--nodes=1 --ntasks=2 --cpus-per-task=1", (self.directory / "called").read_text())
        self.assertTrue((self.directory / "job/efficiency.gp").exists())
        self.assertFalse((self.directory / "job/efficiency.svg").exists())

    def test_what_cannot_be_measured_is_refused_with_a_reason(self):
        for code, text, *options in (
            (2, "100000 on each of 2", "--ranks", "1,2", "--batch-per-rank", 100000),
            (2, "ascending", "--ranks", "2,1"),
            (2, "--latency: 0: a number above 0", "--ranks", 1, "--latency", 0),
            (2, "unrecognized arguments: --rank", "--rank", 1),
            (2, "unknown key 'model.nothing'", "--ranks", 1, "--set", "model.nothing=1"),
            (1, "false ended with exit code 1", "--ranks", 1, "--launcher", "false {ranks}"),
            (1, "cannot start nothing-like-it", "--ranks", 1, "--launcher", "nothing-like-it {ranks}"),
            (1, "a job of 1 ranks, not 2", "--ranks", 2, "--launcher", "env unused={ranks}"),  # starts one rank
        ):
            with self.subTest(text):
                self.assertIn(text, self.scale("bad", *options, code=code))

    def test_contrastive_training_is_measured_and_not_projected(self):
        said = self.scale("contrast", "--ranks", 1, "--repetitions", 1, "--set", "training.contrastive.weight=0.1", "--batch", 8)
        self.assertIn("No projection: contrastive training", said)
        self.assertNotIn("projection", self.read_json("contrast/scaling.json"))

    def test_reductions_are_measured_beside_a_plain_one(self):
        said = self.run_script("reduction", "--bytes", 1000000, "--ranks", "1,2", "--steps", 2, "--output",
                               self.directory / "reduction")
        self.assertIn("plain MPI_Allreduce", said)
        self.assertIn("2 ranks", said)
        found = self.read_json("reduction/measurements/reduction-ranks-2.json")
        self.assertGreaterEqual(found["bytes"], 1000000)
        self.assertTrue(found["cases"])
        for case in found["cases"]:
            alone = case["alone_milliseconds"]
            self.assertGreater(alone["minimum"], 0)
            self.assertLessEqual(alone["minimum"], alone["median"])
            self.assertLessEqual(alone["median"], alone["maximum"])
        self.assertIn("either --config or --bytes", self.run_script("reduction", "--ranks", 1, code=2))


if __name__ == "__main__":
    unittest.main()

/* The benchmark of scaling: the model of the network, how ranks are started, and that what it writes agrees with itself. */
#include "json.h"
#include "scaling/launcher.h"
#include "plan/network.h"
#include "world.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void assert_close(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.12g instead of %.12g", actual, expected);
}

/* ---- the network ---- */

/* 1 us and 10 GB/s between nodes of 4 ranks, 0.1 us and 1 GB/s within one. */
static const network_model example = {
    .latency = 1e-6, .bandwidth = 1e10, .node_latency = 1e-7, .node_bandwidth = 1e9, .ranks_of_node = 4};

static void an_all_reduce_costs_what_the_published_formulas_say(void **state)
{
    (void)state;
    for (int algorithm = 0; algorithm < 2; ++algorithm)
        assert_true(network_all_reduce(&example, (network_algorithm)algorithm, 1, 1e6) == 0);
    assert_true(network_small_sum(&example, 1) == 0);
    /* Within a node: two doublings there and back, 3/4 of the bytes each time. */
    assert_close(network_all_reduce(&example, NETWORK_HALVING, 4, 1e6), 4 * 1e-7 + 2 * 0.75 * 1e6 / 1e9);
    assert_close(network_all_reduce(&example, NETWORK_RING, 4, 1e6), 6 * (1e-7 + 1e6 / 4e9));
    assert_close(network_small_sum(&example, 4), 2e-7);
    /* Eight nodes, of which the last has one rank. */
    assert_int_equal(network_nodes(&example, 29), 8);
    assert_close(network_all_reduce(&example, NETWORK_HALVING, 29, 1e6),
                 4 * 1e-7 + 2 * 0.75 * 1e6 / 1e9 + 6 * 1e-6 + 2 * 0.875 * 1e6 / 1e10);
    assert_close(network_all_reduce(&example, NETWORK_RING, 29, 1e6), 56 * (1e-6 + 1e6 / 29e9)); /* the node is slower */
    assert_close(network_small_sum(&example, 29), 2e-7 + 3e-6);
}

static void a_reduction_goes_in_messages(void **state)
{
    (void)state;
    const double whole = network_all_reduce(&example, NETWORK_RING, 8, 1000),
                 rest = network_all_reduce(&example, NETWORK_RING, 8, 500);
    assert_close(network_reduction(&example, NETWORK_RING, 8, 3500, 1000), 3 * whole + rest);
    assert_close(network_reduction(&example, NETWORK_RING, 8, 3000, 1000), 3 * whole);
    assert_close(network_reduction(&example, NETWORK_RING, 8, 500, 1000), rest);
}

static void latency_and_bandwidth_of_a_node_are_found_again(void **state)
{
    (void)state;
    for (size_t ranks = 2; ranks <= 4; ++ranks)
        for (int algorithm = 0; algorithm < 2; ++algorithm) {
            network_model fitted = {.ranks_of_node = 4};
            network_fit_node(&fitted, (network_algorithm)algorithm, ranks, network_small_sum(&example, ranks),
                             network_all_reduce(&example, (network_algorithm)algorithm, ranks, 1e7), 1e7);
            assert_close(fitted.node_latency, example.node_latency);
            assert_close(fitted.node_bandwidth, example.node_bandwidth);
        }
}

static void times_between_and_beyond_measured_loads_are_on_lines(void **state)
{
    (void)state;
    const double loads[] = {10, 20, 40}, times[] = {5, 6, 10};
    assert_close(interpolate(loads, times, 3, 10), 5);
    assert_close(interpolate(loads, times, 3, 15), 5.5);
    assert_close(interpolate(loads, times, 3, 30), 8);
    assert_close(interpolate(loads, times, 3, 60), 14);
    assert_close(interpolate(loads, times, 3, 5), 4.5);
    assert_close(interpolate(loads, times, 1, 70), 5);
    assert_true(interpolate(loads + 1, times + 1, 2, 0) == 2 && interpolate(loads + 1, (double[]){1, 10}, 2, 0) == 0);
}

static void times_that_fall_by_noise_become_means(void **state)
{
    (void)state;
    static const double expected[] = {1, 2, 2, 4, 4, 4, 7};
    double times[] = {1, 3, 1, 5, 6, 1, 7}, falling[] = {3, 2, 1};
    make_ascending(times, 7);
    for (size_t i = 0; i < 7; ++i)
        assert_close(times[i], expected[i]);
    make_ascending(falling, 3);
    assert_true(falling[0] == 2 && falling[1] == 2 && falling[2] == 2);
    make_ascending(falling, 0);
}

/* ---- launchers ---- */

static const char *const batch_variables[] = {
    "SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_JOB_NUM_NODES", "SLURM_NTASKS_PER_NODE", "PBS_NODEFILE",
    "PBS_JOBID",    "LSB_JOBID",    "LSB_DJOB_HOSTFILE",   "SLURM_CPUS_ON_NODE"};

/* A test may be run inside a job. */
static void forget_batch_systems(void)
{
    for (size_t i = 0; i < sizeof batch_variables / sizeof *batch_variables; ++i)
        unsetenv(batch_variables[i]);
}

static void assert_command(const launch_method *launcher, size_t ranks, const char *expected)
{
    char command[4096];
    launcher_fill(launcher, ranks, command, sizeof command);
    if (!strstr(command, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, command);
}

static void a_launcher_that_was_given_is_taken_and_must_have_a_place_for_ranks(void **state)
{
    (void)state;
    launch_method launcher;
    sr_error error;
    forget_batch_systems();
    assert_int_equal(launcher_find(&launcher, "run -n {ranks} -t {threads} {other}", 3, &error), SR_OK);
    assert_command(&launcher, 12, "run -n 12 -t 3 {other}");
    assert_int_equal(launcher_find(&launcher, "mpirun -np 4", 1, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "{ranks}"));
}

static void without_a_batch_system_mpirun_is_taken_with_a_rank_for_each_core(void **state)
{
    (void)state;
    launch_method launcher;
    forget_batch_systems();
    assert_int_equal(launcher_find(&launcher, NULL, 1, NULL), SR_OK);
    assert_command(&launcher, 3, MPIEXEC " 3");
    assert_true(launcher.ranks >= 1 && launcher.ranks <= (size_t)sysconf(_SC_NPROCESSORS_ONLN));
}

/* A program NAME in the world's directory, which is then the first of PATH. */
static void make_program(const world *w, const char *name, const char *text)
{
    char path[WORLD_PATH_SIZE], search[4096];
    world_path(w, name, path);
    program_write(path, text);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(search, sizeof search, "%s:/usr/bin:/bin", w->directory);
    setenv("PATH", search, 1);
}

static void in_a_slurm_job_srun_is_taken_over_as_few_nodes_as_hold_the_ranks(void **state)
{
    world *w = *state;
    launch_method launcher;
    forget_batch_systems();
    setenv("SLURM_JOB_ID", "77", 1);
    setenv("SLURM_JOB_NUM_NODES", "4", 1);
    setenv("SLURM_NTASKS", "32", 1);
    make_program(w, "srun", "#!/bin/sh\n");
    assert_int_equal(launcher_find(&launcher, NULL, 2, NULL), SR_OK);
    assert_int_equal(launcher.ranks, 32);
    assert_command(&launcher, 12, "srun --nodes=2 --ntasks=12 --cpus-per-task=2");
    assert_non_null(strstr(launcher.found, "77"));
    forget_batch_systems();
}

static void in_pbs_and_lsf_jobs_mpirun_gets_the_hosts(void **state)
{
    world *w = *state;
    launch_method launcher;
    char path[WORLD_PATH_SIZE], expected[WORLD_PATH_SIZE + 64];
    world_path(w, "hosts", path);
    program_write(path, "login\nalpha\nalpha\nalpha\nbeta\nbeta\nbeta\n");
    snprintf(expected, sizeof expected, "--hostfile %s", path);
    forget_batch_systems();
    setenv("PBS_NODEFILE", path, 1);
    assert_int_equal(launcher_find(&launcher, NULL, 1, NULL), SR_OK);
    assert_command(&launcher, 6, expected);
    assert_int_equal(launcher.ranks, 7);
    assert_int_equal(launcher.ranks_of_node, 3);
    forget_batch_systems();
    setenv("LSB_DJOB_HOSTFILE", path, 1);
    setenv("LSB_JOBID", "5", 1);
    assert_int_equal(launcher_find(&launcher, NULL, 1, NULL), SR_OK);
    assert_command(&launcher, 6, expected);
    assert_non_null(strstr(launcher.found, "LSF job 5"));
    make_program(w, "jsrun", "#!/bin/sh\n");
    assert_int_equal(launcher_find(&launcher, NULL, 1, NULL), SR_OK);
    assert_command(&launcher, 6, "jsrun --nrs 6");
    forget_batch_systems();
}

/* ---- results ---- */

enum { ROWS = 32, COLUMNS = 32 };

typedef struct {
    char names[COLUMNS][40], kinds[ROWS][8];
    double values[ROWS][COLUMNS];
    size_t columns, rows;
} table;

static void read_csv(const char *path, table *t)
{
    char line[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    *t = (table){.columns = 0};
    assert_non_null(fgets(line, sizeof line, file));
    line[strcspn(line, "\n")] = '\0';
    char *rest = line;
    assert_string_equal(strsep(&rest, ","), "kind");
    while (rest)
        snprintf(t->names[t->columns++], sizeof t->names[0], "%s", strsep(&rest, ","));
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        rest = line;
        snprintf(t->kinds[t->rows], sizeof t->kinds[0], "%s", strsep(&rest, ","));
        for (size_t i = 0; i < t->columns; ++i) {
            const char *field = strsep(&rest, ",");
            assert_non_null(field);
            t->values[t->rows][i] = *field ? strtod(field, NULL) : (double)NAN;
        }
        assert_null(rest);
        ++t->rows;
    }
    fclose(file);
}

static double value(const table *t, size_t row, const char *name)
{
    for (size_t i = 0; i < t->columns; ++i)
        if (strcmp(t->names[i], name) == 0)
            return t->values[row][i];
    fail_msg("there is no column %s", name);
    return 0;
}

static cJSON *read_json(const char *path)
{
    cJSON *json;
    assert_int_equal(json_read(path, &json, NULL), SR_OK);
    return json;
}

static void assert_same_rows(const table *t, const cJSON *list)
{
    assert_int_equal(cJSON_GetArraySize(list), t->rows);
    for (size_t row = 0; row < t->rows; ++row) {
        const cJSON *object = cJSON_GetArrayItem(list, (int)row);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(object, "kind")), t->kinds[row]);
        for (size_t i = 0; i < t->columns; ++i) {
            const cJSON *item = cJSON_GetObjectItem(object, t->names[i]);
            assert_non_null(item);
            if (isnan(t->values[row][i]))
                assert_true(cJSON_IsNull(item));
            else
                assert_true(fabs(item->valuedouble - t->values[row][i]) <= 1e-8 * fabs(item->valuedouble));
        }
    }
}

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 16, inner_size: 32, max_length: 12}\n"
                                    "training: {batch_size: 64}\n";

static int set_up(void **state)
{
    return world_set_up(state, configuration, "--users 300 --items 120 --mean-length 9 --seed 3 --shards 2");
}

static void measure(world *w, const char *environment, const char *output, const char *options)
{
    run_benchmark_scaling(&w->result, environment, "scaling --config %s --set data.path=%s --steps 3 --output %s/%s %s",
                          w->configuration, w->data, w->directory, output, options);
}

static void assert_exists(const world *w, const char *name)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, name, path);
    if (access(path, R_OK) != 0)
        fail_msg("%s is missing; the program said:\n%s", path, w->result.output);
}

/* Rows 0 and 1 are strong scaling on 1 and 2 ranks, 2 and 3 weak scaling. */
static void check_measured(const table *t)
{
    assert_int_equal(t->rows, 4);
    for (size_t row = 0; row < 4; ++row) {
        const bool weak = row >= 2;
        const double ranks = row % 2 ? 2 : 1, step = value(t, row, "step_ms");
        assert_string_equal(t->kinds[row], weak ? "weak" : "strong");
        assert_true(value(t, row, "ranks") == ranks && value(t, row, "nodes") == 1);
        assert_true(value(t, row, "global_batch") == (weak ? 16 * ranks : 64));
        assert_true(value(t, row, "step_minimum_ms") <= step && step <= value(t, row, "step_maximum_ms"));
        assert_true(value(t, row, "data_ms") > 0 && value(t, row, "forward_ms") > 0 && value(t, row, "backward_ms") > 0);
        assert_true(value(t, row, "loss_ms") > 0 && value(t, row, "optimizer_ms") > 0);
        assert_true(value(t, row, "examples_per_second") > 0 && value(t, row, "peak_memory_mebibytes") > 1);
        assert_int_equal(value(t, row, "bytes_reduced") > 0, ranks == 2);
        const double ratio = value(t, weak ? 2 : 0, "step_ms") / step;
        assert_true(fabs(value(t, row, "efficiency") - (weak ? ratio : ratio / ranks)) < 1e-6);
        assert_true(fabs(value(t, row, "speedup") - value(t, row, "efficiency") * ranks) < 1e-6);
        assert_true(fabs(value(t, row, "reduction_share") - value(t, row, "reduction_ms") / step) < 1e-6);
        assert_true(value(t, row, "waiting_ms") >= 0 && value(t, row, "summing_ms") >= 0);
    }
}

/* Of each kind the measured counts, then 3 and 256; weak scaling has not enough examples for 256. */
static void check_projected(const table *t, const table *measured)
{
    static const double ranks[] = {1, 2, 3, 256, 1, 2, 3};
    assert_int_equal(t->rows, 7);
    for (size_t row = 0; row < 7; ++row) {
        const bool weak = row >= 4, was_measured = ranks[row] < 3;
        const double step = value(t, row, "step_ms");
        assert_true(value(t, row, "ranks") == ranks[row] && value(t, row, "global_batch") == (weak ? 16 * ranks[row] : 64));
        assert_true(value(t, row, "nodes") == (ranks[row] > 8 ? 32 : 1));
        const double parts = value(t, row, "data_ms") + value(t, row, "compute_ms") + value(t, row, "summing_ms");
        assert_true(fabs(step - parts) < 1e-6 * step);
        assert_true(value(t, row, "load_imbalance") >= 1 && value(t, row, "waiting_ms") >= -1e-9);
        assert_true((value(t, row, "summing_halving_ms") > 0) == (ranks[row] > 1));
        assert_true(value(t, row, "summing_ms") == value(t, row, "summing_ring_ms"));
        assert_int_equal(isnan(value(t, row, "measured_step_ms")), !was_measured);
        if (!was_measured)
            continue;
        const double found = value(measured, weak ? row - 2 : row, "step_ms");
        assert_true(value(t, row, "measured_step_ms") == found);
        assert_true(fabs(value(t, row, "relative_error") - (step / found - 1)) < 1e-6);
    }
}

static void one_command_measures_draws_and_projects(void **state)
{
    world *w = *state;
    table measured, projected;
    char path[WORLD_PATH_SIZE];
    measure(w, "", "out",
            "--ranks 1,2 --repetitions 2 --batch-per-rank 16 --project 3,256 --ranks-per-node 8 --algorithm ring --latency 3 "
            "--set model.hidden_size=8");
    assert_code(&w->result, 0);
    assert_says(&w->result, "Strong scaling: 64 examples");
    assert_says(&w->result, "Weak scaling: 16 examples on each rank");
    assert_says(&w->result, "PROJECTION: computed from the measurements above by a model, not measured");
    assert_says(&w->result, "latency 3 us");
    assert_says(&w->result, "Weak scaling ends below 256 ranks");
    world_path(w, "out/scaling.csv", path);
    read_csv(path, &measured);
    check_measured(&measured);
    world_path(w, "out/projection.csv", path);
    read_csv(path, &projected);
    check_projected(&projected, &measured);
    world_path(w, "out/scaling.json", path);
    cJSON *json = read_json(path);
    assert_same_rows(&measured, cJSON_GetObjectItem(json, "scaling"));
    assert_same_rows(&projected, cJSON_GetObjectItem(json, "projection"));
    const cJSON *assumptions = cJSON_GetObjectItem(json, "assumptions");
    assert_true(fabs(number_in(assumptions, "latency_seconds") - 3e-6) < 1e-15);
    assert_true(number_in(assumptions, "node_bandwidth_bytes_per_second") > 0);
    /* 64, 32 ... 1 on one rank, and 64 and 32 on two */
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "runs")), 9);
    cJSON_Delete(json);
    assert_exists(w, "out/scaling.txt");
    assert_exists(w, "out/efficiency.gp");
    assert_exists(w, "out/projection.dat");
    assert_exists(w, "out/measurements/ranks-2-batch-32-run-2.json");
    if (system("gnuplot --version >/dev/null 2>&1") == 0) {
        assert_exists(w, "out/efficiency.svg");
        assert_exists(w, "out/projection.svg");
        world_path(w, "out/efficiency.log", path);
        assert_int_not_equal(access(path, F_OK), 0);
    } else {
        assert_says(&w->result, "there is no gnuplot");
    }
}

/* A batch system in name: srun notes how it was called and starts as many ranks. */
static void inside_a_job_the_ranks_are_those_of_the_job(void **state)
{
    world *w = *state;
    char script[1024], environment[1024], path[WORLD_PATH_SIZE], called[4096];
    snprintf(script, sizeof script,
             "#!/bin/sh\necho \"$@\" >>%s/called\nranks=1\n"
             "for word; do case $word in --ntasks=*) ranks=${word#--ntasks=};; --*) ;; *) break;; esac; shift; done\n"
             "exec " MPIEXEC " $ranks \"$@\"\n",
             w->directory);
    char search[4096];
    snprintf(search, sizeof search, "%s", getenv("PATH"));
    make_program(w, "srun", script);
    setenv("PATH", search, 1);
    snprintf(environment, sizeof environment, "PATH=%s:$PATH SLURM_JOB_ID=9 SLURM_NTASKS=2 SLURM_JOB_NUM_NODES=1",
             w->directory);
    measure(w, environment, "job", "--repetitions 1 --measure-only");
    assert_code(&w->result, 0);
    assert_says(&w->result, "Slurm job 9");
    assert_null(strstr(w->result.output, "PROJECTION"));
    table measured;
    world_path(w, "job/scaling.csv", path);
    read_csv(path, &measured);
    assert_int_equal(measured.rows, 4);
    assert_true(value(&measured, 1, "ranks") == 2 && value(&measured, 1, "global_batch") == 64);
    assert_true(value(&measured, 3, "global_batch") == 128);
    world_path(w, "called", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    called[fread(called, 1, sizeof called - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(called, "--nodes=1 --ntasks=2 --cpus-per-task=1"));
}

static void what_cannot_be_measured_is_refused_with_a_reason(void **state)
{
    world *w = *state;
    measure(w, "", "bad", "--ranks 1,2 --batch-per-rank 100000");
    assert_code(&w->result, 2);
    assert_says(&w->result, "100000 on each of 2");
    measure(w, "", "bad", "--ranks 2,1");
    assert_code(&w->result, 2);
    assert_says(&w->result, "ascending");
    measure(w, "", "bad", "--ranks 1 --latency 0");
    assert_code(&w->result, 2);
    assert_says(&w->result, "--latency 0: a number above 0");
    measure(w, "", "bad", "--ranks 1 --launcher 'false {ranks}'");
    assert_code(&w->result, 1);
    assert_says(&w->result, "false ended with exit code 1");
    measure(w, "", "bad", "--ranks 2 --launcher 'env unused={ranks}'"); /* starts one rank */
    assert_code(&w->result, 1);
    assert_says(&w->result, "a job of 1 ranks, not 2");
    measure(w, "", "contrast", "--ranks 1 --repetitions 1 --set training.contrastive.weight=0.1 --batch 8");
    assert_code(&w->result, 0);
    assert_says(&w->result, "No projection: contrastive training");
}

static void reductions_are_measured_in_both_modes_beside_a_plain_one(void **state)
{
    world *w = *state;
    run_benchmark_scaling(&w->result, "", "reduction --bytes 1000000 --ranks 1,2 --steps 2 --output %s/reduction",
                          w->directory);
    assert_code(&w->result, 0);
    assert_says(&w->result, "plain MPI_Allreduce");
    assert_says(&w->result, "2 ranks");
    char path[WORLD_PATH_SIZE];
    world_path(w, "reduction/measurements/reduction-ranks-2.json", path);
    cJSON *json = read_json(path);
    const cJSON *cases = cJSON_GetObjectItem(json, "cases"), *one;
    assert_int_equal(cJSON_GetArraySize(cases), 18);
    assert_true(number_in(json, "bytes") >= 1000000);
    cJSON_ArrayForEach(one, cases)
    {
        const cJSON *alone = cJSON_GetObjectItem(one, "alone_milliseconds");
        const double median = number_in(alone, "median");
        assert_true(median > 0 && number_in(alone, "minimum") <= median);
        assert_true(median <= number_in(alone, "maximum"));
    }
    cJSON_Delete(json);
    run_benchmark_scaling(&w->result, "", "reduction --ranks 1");
    assert_code(&w->result, 2);
    assert_says(&w->result, "either --config or --bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_all_reduce_costs_what_the_published_formulas_say),
        cmocka_unit_test(a_reduction_goes_in_messages),
        cmocka_unit_test(latency_and_bandwidth_of_a_node_are_found_again),
        cmocka_unit_test(times_between_and_beyond_measured_loads_are_on_lines),
        cmocka_unit_test(times_that_fall_by_noise_become_means),
        cmocka_unit_test(a_launcher_that_was_given_is_taken_and_must_have_a_place_for_ranks),
        cmocka_unit_test(without_a_batch_system_mpirun_is_taken_with_a_rank_for_each_core),
        cmocka_unit_test_setup_teardown(one_command_measures_draws_and_projects, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(inside_a_job_the_ranks_are_those_of_the_job, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_measured_is_refused_with_a_reason, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(reductions_are_measured_in_both_modes_beside_a_plain_one, set_up, world_tear_down),
        /* These change PATH. */
        cmocka_unit_test_setup_teardown(in_a_slurm_job_srun_is_taken_over_as_few_nodes_as_hold_the_ranks, set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(in_pbs_and_lsf_jobs_mpirun_gets_the_hosts, set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

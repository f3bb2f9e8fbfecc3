/* What a training will need: estimates against real runs, refusals, warnings. */
#include "srtrain/plan.h"
#include "world.h"

#include <cjson/cJSON.h>
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Large enough that what is estimated outweighs the program. */
static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 96, inner_size: 384, max_length: 40}\n"
                                    "training: {epochs: 1, batch_size: 512, threads: 1}\n"
                                    "evaluation: {top_k: [5, 10]}\n"
                                    "checkpoint: {every_steps: 2}\n";

/* Each item occurs, so that users have 50 interactions: three batches. */
static int set_up(void **state)
{
    return world_set_up(state, configuration, "--users 30 --items 1500 --mean-length 14 --seed 3 --shards 2");
}

/* Twice as many, for batches of users. */
static int set_up_users(void **state)
{
    return world_set_up(state, configuration, "--users 60 --items 3000 --mean-length 14 --seed 3 --shards 2");
}

/* Larger tables, and more examples than the largest batch has. */
static int set_up_many(void **state)
{
    return world_set_up(state, configuration, "--users 110 --items 6000 --mean-length 14 --seed 3 --shards 2");
}

/* Items that take most of a run's memory. */
static int set_up_most(void **state)
{
    return world_set_up(state, configuration, "--users 400 --items 22000 --mean-length 14 --seed 3 --shards 2");
}

/* ---- running ---- */

/* Runs srtrain with these arguments, split at spaces, and returns the most memory that it held, in bytes. */
static double peak_of_run(const char *arguments, int *code)
{
    const pid_t child = fork();
    if (child == 0) {
        char command[4096];
        const char *binaries = getenv("SRTRAIN_BINARY_DIRECTORY");
        snprintf(command, sizeof command, "exec %s/srtrain %s >/dev/null 2>&1", binaries ? binaries : ".", arguments);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    struct rusage usage;
    int status = 0;
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    return 1024 * (double)usage.ru_maxrss;
}

static cJSON *plan(world *w, int ranks, const char *options)
{
    run_srtrain(&w->result, 0, "plan %s --ranks %d --json --set data.path=%s %s 2>/dev/null", w->configuration, ranks, w->data,
                options);
    assert_code(&w->result, 0);
    cJSON *object = cJSON_Parse(w->result.output);
    assert_non_null(object);
    return object;
}

static double memory_of(const cJSON *object, const char *part)
{
    return number_in(cJSON_GetObjectItem(object, "rank_memory_bytes"), part);
}

/* ---- memory ---- */

/* A plan must not promise less than four fifths of what a run takes, nor more than 1.4 times that. */
static const double LEAST = 0.8, MOST = 1.4;

/* An address sanitizer holds as much again as the program, and gives little back. */
#ifdef __SANITIZE_ADDRESS__
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif

static const char *const variants[] = {
    "",
    "--set training.threads=2",
    "--set model.backbone=bert4rec",
    "--set model.backbone=tisasrec --set training.batch_size=256",
    "--set model.backbone=stosa --set training.loss=stosa --set model.activation=elu",
    "--set model.backbone=gru4rec --set training.batch_size=128",
    ("--set model.norm=pre --set model.residual=gated --set model.feed_forward=gated "
     "--set model.output_embedding=separate"),
    "--set model.backbone=hstu --set training.batch_size=128",
    "--set calibrators.spatial.order=true --set calibrators.adversarial.combine=gate",
    "--set training.precision=bf16",
    "--set training.loss=bpr --set training.item_updates=deferred",
    "--set training.loss=bpr --set model.item_table=divided",
    ("--set training.loss=sampled_softmax --set training.negatives=4000 --set training.negative_sharing=target "
     "--set model.similarity=cosine --set training.temperature=0.1"),
    "--set checkpoint.writing=blocking",
};

/* An example is a user. */
static const char *const variants_of_users[] = {
    "--set data.samples=window --set model.padding=left --set training.loss=bpr",
    "--set training.objective=all --set training.batch_size=64",
    "--set training.contrastive.weight=0.1 --set data.samples=window",
};

static void assert_estimated(world *w, const char *options)
{
    char path[128], arguments[2048];
    int code;
    snprintf(path, sizeof path, "%s", w->configuration);
    if (strstr(options, "gru4rec") || strstr(options, "hstu")) { /* keys that they do not have must not stand in the file */
        snprintf(path, sizeof path, "%s/plain.yaml", w->directory);
        program_write(path, "data: {path: none}\nmodel: {hidden_size: 96, max_length: 40}\n"
                            "training: {epochs: 1, batch_size: 512, threads: 1}\n");
    }
    run_srtrain(&w->result, 0, "plan %s --ranks 1 --json --set data.path=%s %s 2>/dev/null", path, w->data, options);
    assert_code(&w->result, 0);
    cJSON *object = cJSON_Parse(w->result.output);
    assert_non_null(object);
    const double planned = memory_of(object, "total") + number_in(object, "data_bytes");
    cJSON_Delete(object);
    snprintf(arguments, sizeof arguments, "%s --set data.path=%s --output %s/run %s", path, w->data, w->directory, options);
    const double found = peak_of_run(arguments, &code);
    assert_int_equal(code, 0);
    print_message("planned %6.1f MB, held %6.1f MB, ratio %.2f: %s\n", planned / 1e6, found / 1e6, planned / found, options);
    if (!is_sanitized && (planned < LEAST * found || planned > MOST * found))
        fail_msg("planned %.0f bytes, but the run held %.0f: %s", planned, found, options);
    snprintf(path, sizeof path, "%s/run", w->directory);
    program_remove_directory(path);
}

static void the_estimate_of_memory_is_near_what_runs_take(void **state)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; ++i)
        assert_estimated(*state, variants[i]);
}

static void the_estimate_of_memory_is_near_what_runs_with_batches_of_users_take(void **state)
{
    for (size_t i = 0; i < sizeof variants_of_users / sizeof *variants_of_users; ++i)
        assert_estimated(*state, variants_of_users[i]);
}

/* Of a run, in bytes. */
static double peak_of_training(const world *w, const char *name, const char *options)
{
    char arguments[2048];
    int code;
    snprintf(arguments, sizeof arguments, "%s --set data.path=%s --output %s/%s %s", w->configuration, w->data, w->directory,
             name, options);
    const double peak = peak_of_run(arguments, &code);
    assert_int_equal(code, 0);
    return peak;
}

#define WIDE                                                                                         \
    "--set model.hidden_size=512 --set model.inner_size=64 --set model.layers=1 --set model.heads=1" \
    " --set model.max_length=6 --set training.batch_size=32 --set data.samples=window"

static void the_item_table_is_named_beside_all_parameters(void **state)
{
    world *w = *state;
    cJSON *wide = plan(w, 1, WIDE), *gaussians = plan(w, 1, WIDE " --set model.backbone=stosa --set training.loss=stosa");
    const double rows = number_in(wide, "items") + 1;
    assert_true(memory_of(wide, "item_table") == rows * 512 * 4);
    assert_true(memory_of(gaussians, "item_table") == 2 * rows * 512 * 4);
    assert_true(memory_of(wide, "item_table") < memory_of(wide, "parameters"));
    cJSON_Delete(wide);
    cJSON_Delete(gaussians);
}

/* The copy that rank 0 makes of the state to write it beside training is what such runs hold more than others. */
static void the_copy_for_saving_is_planned(void **state)
{
    world *w = *state;
    cJSON *one = plan(w, 1, WIDE), *four = plan(w, 4, "--ranks-per-node 4 " WIDE),
          *none = plan(w, 1, "--set checkpoint.writing=blocking");
    const double with = peak_of_training(w, "overlapped", WIDE);
    const double without = peak_of_training(w, "blocking", WIDE " --set checkpoint.writing=blocking");
    const double saving = memory_of(one, "saving"), found = with - without;
    print_message("planned %.1f MB for the copy, held %.1f MB more\n", saving / 1e6, found / 1e6);
    assert_true(memory_of(none, "saving") == 0);
    assert_true(saving > 3e7 && found > 0.6 * saving && found < 1.2 * saving);
    assert_true(number_in(one, "node_memory_bytes") == memory_of(one, "total"));
    /* Rank 0 alone makes it. */
    assert_true(number_in(four, "node_memory_bytes") ==
                4 * memory_of(four, "total") - 3 * (memory_of(four, "shared") + memory_of(four, "saving")));
    cJSON_Delete(one);
    cJSON_Delete(four);
    cJSON_Delete(none);
}

static void late_rows_are_planned(void **state)
{
    world *w = *state;
    static const char late[] = "--set training.loss=bpr --set training.item_updates=deferred";
    cJSON *one = plan(w, 1, late), *two = plan(w, 2, late), *none = plan(w, 1, "--set training.loss=bpr"),
          *whole = plan(w, 1, "--set training.item_updates=deferred");
    /* 8 bytes a row, and what is to be reduced of three tenths of the rows; tests/test_item_updates.c has the rest. */
    assert_true(memory_of(one, "late_rows") > 8 * 6000);
    assert_true(memory_of(two, "late_rows") > memory_of(one, "late_rows") + 0.29 * 6000 * 96 * 4);
    assert_true(memory_of(none, "late_rows") == 0);
    assert_true(memory_of(whole, "late_rows") == 0); /* the loss compares all items */
    cJSON_Delete(one);
    cJSON_Delete(two);
    cJSON_Delete(none);
    cJSON_Delete(whole);
}

/* The largest part is not computed but scaled from smaller ones when it is expensive. */
static void parts_that_are_too_large_to_compute_are_scaled(void **state)
{
    world *w = *state;
    cJSON *whole = plan(w, 1, "--set training.batch_size=4096"), *quarter = plan(w, 4, "--set training.batch_size=4096");
    const double ratio = memory_of(whole, "activations") / memory_of(quarter, "activations");
    cJSON_Delete(whole);
    cJSON_Delete(quarter);
    assert_true(ratio > 3 && ratio < 5);
}

/* ---- the other numbers ---- */

static void steps_bytes_and_files_are_those_of_a_run(void **state)
{
    world *w = *state;
    cJSON *object = plan(w, 2, "--set training.batch_size=64");
    world_train(w, 2, "run", "--set training.batch_size=64");
    assert_code(&w->result, 0);
    char text[96], path[WORLD_PATH_SIZE];
    snprintf(text, sizeof text, "%.0f steps an epoch", number_in(object, "steps_per_epoch"));
    assert_says(&w->result, text);
    snprintf(text, sizeof text, "%.0f parameters", number_in(object, "parameters"));
    assert_says(&w->result, text);
    assert_says(&w->result, "plan: at most ");
    assert_says(&w->result, "memory: at most ");
    assert_true(number_in(object, "steps") == number_in(object, "steps_per_epoch"));
    assert_true(number_in(object, "reduced_bytes_per_step") >= 4 * number_in(object, "parameters"));
    assert_true(number_in(object, "reduced_bytes_per_step") < 4.1 * number_in(object, "parameters"));
    struct stat file;
    world_path(w, "run/best.h5", path);
    assert_int_equal(stat(path, &file), 0);
    assert_true(number_in(object, "best_bytes") > 0.95 * (double)file.st_size);
    assert_true(number_in(object, "best_bytes") < 1.1 * (double)file.st_size);
    glob_t found;
    world_path(w, "run/checkpoints/step-*.h5", path);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    assert_int_equal(stat(found.gl_pathv[0], &file), 0);
    globfree(&found);
    assert_true(number_in(object, "checkpoint_bytes") > 0.95 * (double)file.st_size);
    assert_true(number_in(object, "checkpoint_bytes") < 1.1 * (double)file.st_size);
    cJSON_Delete(object);
}

static void one_rank_reduces_nothing(void **state)
{
    cJSON *object = plan(*state, 1, "");
    assert_true(number_in(object, "reduced_bytes_per_step") == 0);
    assert_null(cJSON_GetObjectItem(object, "step_seconds"));
    cJSON_Delete(object);
}

static void times_come_from_measuring_or_from_a_rate(void **state)
{
    world *w = *state;
    cJSON *object = plan(w, 4, "--measure --ranks-per-node 2 --threads 1");
    const double step = number_in(object, "step_seconds"), steps = number_in(object, "steps");
    assert_true(step > 0 && number_in(object, "reduction_seconds") > 0);
    assert_true(fabs(step - number_in(object, "compute_seconds") - number_in(object, "reduction_seconds")) < 1e-9 * step);
    assert_true(fabs(number_in(object, "training_seconds") - step * steps) < 1e-9 * step * steps);
    cJSON_Delete(object);
    object = plan(w, 4, "--rate 1024");
    assert_true(fabs(number_in(object, "step_seconds") - 0.5) < 1e-12);
    cJSON_Delete(object);
    /* A slower network makes reductions slower, and nothing else. */
    object = plan(w, 4, "--measure --ranks-per-node 2 --latency 1e6 --threads 1");
    assert_true(number_in(object, "reduction_seconds") > 1);
    cJSON_Delete(object);
}

/* ---- refusals ---- */

static void what_cannot_fit_is_refused_before_anything_is_written(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    run_srtrain(&w->result, 0, "plan %s --ranks 4 --ranks-per-node 2 --memory 0.05 --set data.path=%s", w->configuration,
                w->data);
    assert_code(&w->result, 2);
    assert_says(&w->result, "2 ranks on a node need ");
    assert_says(&w->result, "(--memory)");
    assert_int_equal(setenv("SLURM_MEM_PER_NODE", "60", 1), 0);
    world_train(w, 2, "refused", "");
    unsetenv("SLURM_MEM_PER_NODE");
    assert_code(&w->result, 2);
    assert_says(&w->result, "2 ranks on ");
    assert_says(&w->result, "SLURM_MEM_PER_NODE");
    world_path(w, "refused", path);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* Between what the nodes would need with either item table. */
static void a_run_divides_what_does_not_fit_replicated(void **state)
{
    world *w = *state;
    static const char options[] = WIDE " --set training.loss=bpr --set training.reduction=blocking "
                                       "--set checkpoint.writing=blocking --set training.batch_size=256";
    char text[32];
    char with_node[512];
    snprintf(with_node, sizeof with_node, "--ranks-per-node 2 %s", options);
    cJSON *object = plan(w, 2, with_node);
    const cJSON *tables = cJSON_GetObjectItem(object, "item_table");
    const double divided = number_in(cJSON_GetObjectItem(tables, "divided"), "node_memory_bytes"),
                 replicated = number_in(cJSON_GetObjectItem(tables, "replicated"), "node_memory_bytes");
    cJSON_Delete(object);
    print_message("replicated %.1f MB, divided %.1f MB\n", replicated / 1e6, divided / 1e6);
    assert_true(divided < 0.75 * replicated);
    snprintf(text, sizeof text, "%.0f", (divided + replicated) / 2 / 0x1p20);
    assert_int_equal(setenv("SLURM_MEM_PER_NODE", text, 1), 0);
    world_train(w, 2, "divided", options);
    unsetenv("SLURM_MEM_PER_NODE");
    assert_code(&w->result, 0);
    assert_says(&w->result, "the item table is divided among all threads of all ranks: with a replicated one, ");
    assert_says(&w->result, "(SLURM_MEM_PER_NODE)");
    run_shell(&w->result, w->directory,
              "grep 'is divided among all threads' divided/train.log; grep item_table divided/environment.json");
    assert_says(&w->result, "the item table is divided among all threads of all ranks: with a replicated one, ");
    assert_says(&w->result, "\"item_table\":\t\"divided\"");
    assert_says(&w->result, "\"item_table_reason\":\t\"with a replicated one, a training takes ");
}

static void who_may_just_fit_is_warned_only(void **state)
{
    (void)state;
    const size_t gigabyte = (size_t)1 << 30;
    const sr_plan a_plan = {.threads = 1, .memory = {.total = 4 * gigabyte, .certain = 2 * gigabyte}};
    bool tight = true;
    sr_error error;
    assert_int_equal(sr_plan_check_memory(&a_plan, 2, 8 * gigabyte, "limit", "node", &tight, &error), SR_OK);
    assert_false(tight);
    assert_int_equal(sr_plan_check_memory(&a_plan, 2, 7 * gigabyte, "limit", "node", &tight, &error), SR_OK);
    assert_true(tight);
    assert_int_equal(sr_plan_check_memory(&a_plan, 2, 6 * gigabyte, "limit", "node", &tight, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "2 ranks on node need"));
    /* A copy for which there is no room is not made, and only rank 0 would make one. */
    const sr_plan saving = {.threads = 1, .memory = {.total = 7 * gigabyte, .certain = 2 * gigabyte, .saving = 3 * gigabyte}};
    assert_int_equal(sr_plan_check_memory(&saving, 2, 7 * gigabyte, "limit", "node", &tight, &error), SR_OK);
    assert_true(tight);
    assert_int_equal(sr_plan_check_memory(&saving, 2, 11 * gigabyte, "limit", "node", &tight, &error), SR_OK);
    assert_false(tight);
}

static void limits_of_slurm_count(void **state)
{
    (void)state;
    sr_machine free_machine, machine;
    unsetenv("SLURM_MEM_PER_NODE");
    unsetenv("SLURM_MEM_PER_CPU");
    sr_machine_look(&free_machine, NULL);
    assert_true(free_machine.memory > (size_t)1 << 28 && free_machine.cores >= 1);
    setenv("SLURM_MEM_PER_CPU", "50", 1);
    setenv("SLURM_CPUS_ON_NODE", "2", 1);
    sr_machine_look(&machine, NULL);
    assert_int_equal(machine.memory, (size_t)100 << 20);
    setenv("SLURM_MEM_PER_NODE", "70", 1);
    sr_machine_look(&machine, NULL);
    assert_int_equal(machine.memory, (size_t)70 << 20);
    assert_string_equal(machine.limit, "SLURM_MEM_PER_NODE");
    unsetenv("SLURM_MEM_PER_NODE");
    unsetenv("SLURM_MEM_PER_CPU");
    unsetenv("SLURM_CPUS_ON_NODE");
    assert_true(sr_resident_memory() > (size_t)1 << 20 && sr_peak_memory() >= sr_resident_memory() / 2);
}

static void nonsense_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "--ranks 0",
                                        "--ranks 1.5",
                                        "--ranks two",
                                        "--ranks 1 --measure --rate 5",
                                        "--ranks 1 --rate -1",
                                        "--ranks 2 --set training.contrastive.weight=0.1 --measure",
                                        "--ranks 100000"};
    world *w = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        run_srtrain(&w->result, 0, "plan %s --set data.path=%s %s", w->configuration, w->data, wrong[i]);
        assert_code(&w->result, 2);
    }
}

/* ---- warnings ---- */

static void odd_starts_are_warned_about(void **state)
{
    world *w = *state;
    sr_machine machine;
    char options[128];
    sr_machine_look(&machine, NULL);
    snprintf(options, sizeof options, "--set training.threads=%zu --set training.batch_size=64", machine.cores + 1);
    world_train(w, 0, "crowded", options);
    assert_code(&w->result, 0);
    snprintf(options, sizeof options, "1 rank of %zu threads share %zu core", machine.cores + 1, machine.cores);
    assert_says(&w->result, options);
    if (machine.cores > 1) {
        setenv("OPENBLAS_NUM_THREADS", "2", 1);
        setenv("OMP_NUM_THREADS", "2", 1); /* the OpenMP flavour heeds both; threads of a rank are configured */
        /* With clang's OpenMP OpenBLAS takes the two threads of a core for one processor, unless that leaves them alone. */
        setenv("KMP_AFFINITY", "disabled", 1);
        world_train(w, 0, "blas", "");
        unsetenv("KMP_AFFINITY");
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
        setenv("OMP_NUM_THREADS", "1", 1);
        assert_code(&w->result, 0);
        assert_says(&w->result, "BLAS uses 2 threads a call");
        setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 1);    /* Open MPI 4 */
        setenv("PRTE_MCA_hwloc_default_binding_policy", "none", 1); /* and 5; others bind where they are asked to */
        setenv("OMP_NUM_THREADS", "2", 1);
        world_train(w, 2, "unbound", "");
        setenv("OMP_NUM_THREADS", "1", 1);
        unsetenv("OMPI_MCA_hwloc_base_binding_policy");
        unsetenv("PRTE_MCA_hwloc_default_binding_policy");
        assert_code(&w->result, 0);
        assert_null(strstr(w->result.output, "BLAS uses"));
        assert_says(&w->result, "are not bound to cores");
    }
    world_train(w, 0, "good", "");
    assert_code(&w->result, 0);
    assert_null(strstr(w->result.output, "warning"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_estimate_of_memory_is_near_what_runs_take, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(the_estimate_of_memory_is_near_what_runs_with_batches_of_users_take, set_up_users,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(the_item_table_is_named_beside_all_parameters, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(the_copy_for_saving_is_planned, set_up_many, world_tear_down),
        cmocka_unit_test_setup_teardown(late_rows_are_planned, set_up_many, world_tear_down),
        cmocka_unit_test_setup_teardown(parts_that_are_too_large_to_compute_are_scaled, set_up_many, world_tear_down),
        cmocka_unit_test_setup_teardown(steps_bytes_and_files_are_those_of_a_run, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(one_rank_reduces_nothing, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(times_come_from_measuring_or_from_a_rate, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_fit_is_refused_before_anything_is_written, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_run_divides_what_does_not_fit_replicated, set_up_most, world_tear_down),
        cmocka_unit_test(who_may_just_fit_is_warned_only),
        cmocka_unit_test(limits_of_slurm_count),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(odd_starts_are_warned_about, set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

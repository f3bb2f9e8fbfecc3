/* test_lost_power [MOMENTS]: the power fails at random moments while srtrain trains and srprep converts. Whatever had not been
 * synchronised is kept, lost or torn at random (faults.h). The same command, given again, ends as if nothing had happened: to
 * the bit. No checkpoint that was reported is missing, none is damaged, and a data set is complete or not there. */
#include "world.h"

#include <cjson/cJSON.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { MOST_RANKS = 2, SKIPPED = 77 };

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 64, inner_size: 64, layers: 1, max_length: 12}\n"
                                    "training: {epochs: 3, batch_size: 64, early_stopping: {patience: 0}}\n"
                                    "evaluation: {top_k: [5, 10], batch_size: 16}\n"
                                    "checkpoint: {every_steps: 3}\n"
                                    "logging: {every_steps: 1}\n";

static long wanted = 20;

/* What a program is run with: the power fails at call `at` of rank `rank`; 0: never. */
typedef struct {
    int ranks;
    long at, rank;
    unsigned seed;
} moment;

static int set_up(void **state)
{
    char path[WORLD_PATH_SIZE];
    if (world_set_up(state, configuration, "--users 300 --items 400 --mean-length 9 --seed 3 --shards 2") != 0)
        return -1;
    const world *w = *state;
    world_path(w, "interactions.csv", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 4000; ++i)
        fprintf(file, "user-%d item-%d\n", i % 257, i * i % 101);
    fclose(file);
    return 0;
}

/* Runs a program in front of the layer; `directory` is what is on the disk. */
static void run(world *w, const moment *m, const char *directory, const char *program, const char *arguments)
{
    char command[4096], launcher[256] = "";
    const char *d = w->directory;
    if (m->ranks > 1)
        snprintf(launcher, sizeof launcher, "timeout -s KILL 300 %s %d", MPIEXEC, m->ranks);
    snprintf(command, sizeof command,
             "rm -f %s/control* %s/counts*; mkdir -p %s/%s; %s env LD_PRELOAD=%s SRTRAIN_FAULTS_DIRECTORY=%s/%s "
             "SRTRAIN_FAULTS_CONTROL=%s/control SRTRAIN_FAULTS_COUNTS=%s/counts SRTRAIN_FAULTS_AT=%ld SRTRAIN_FAULTS_RANK=%ld "
             "SRTRAIN_FAULTS_SEED=%u %s/%s %s",
             d, d, d, directory, launcher, FAULTS_LIBRARY, d, directory, d, d, m->at, m->rank, m->seed,
             getenv("SRTRAIN_BINARY_DIRECTORY"), program, arguments);
    run_command(&w->result, command);
}

/* Whether the power has failed in the last run. Exit codes do not say so: MPICH's launcher may end with 0 after ranks that were
 * killed. */
static bool has_failed(const world *w)
{
    char path[WORLD_PATH_SIZE];
    int32_t failed = 0;
    world_path(w, "control", path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(&failed, sizeof failed, 1, file), 1);
    fclose(file);
    return failed != 0;
}

/* File calls of each rank in the last run, which nothing disturbed. */
static void read_counts(const world *w, int ranks, long counts[MOST_RANKS])
{
    char path[WORLD_PATH_SIZE], name[32];
    for (int rank = 0; rank < ranks; ++rank) {
        snprintf(name, sizeof name, "counts-%d", rank);
        world_path(w, name, path);
        FILE *file = fopen(path, "r");
        counts[rank] = 0; /* a rank without any call leaves no file */
        if (file) {
            assert_int_equal(fscanf(file, "%ld", &counts[rank]), 1);
            fclose(file);
        }
    }
    assert_true(counts[0] > 20);
}

/* A rank that has calls, and one of them: any at all, or one of the first (where a run goes on) or last ones (where names
 * appear). */
static moment draw_moment(int ranks, const long counts[MOST_RANKS])
{
    enum { FIRST = 150, LAST = 12 };
    moment m = {.ranks = ranks, .rank = rand() % ranks, .seed = (unsigned)rand()};
    if (counts[m.rank] == 0)
        m.rank = 0;
    const long calls = counts[m.rank], where = rand() % 3;
    m.at = 1 + rand() % calls;
    if (where == 1 && calls > FIRST)
        m.at = 1 + rand() % FIRST;
    else if (where == 2 && calls <= FIRST && calls > LAST)
        m.at = calls - rand() % LAST;
    return m;
}

static void fail_with_output(const world *w, const char *what)
{
    const size_t length = strlen(w->result.output);
    fail_msg("%s (ended with %d): %s", what, w->result.code, w->result.output + (length > 3000 ? length - 3000 : 0));
}

/* ---- training ---- */

static void train(world *w, const moment *m, const char *run_name, const char *options)
{
    char arguments[1024], directory[64];
    snprintf(directory, sizeof directory, "disk-%s", run_name);
    snprintf(arguments, sizeof arguments, "%s --set data.path=%s --output %s/%s/run %s", w->configuration, w->data,
             w->directory, directory, options);
    run(w, m, directory, "srtrain", arguments);
}

static size_t matches(const world *w, const char *pattern)
{
    char path[WORLD_PATH_SIZE];
    glob_t found;
    world_path(w, pattern, path);
    const size_t count = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

/* The step of the last checkpoint that the program has told of; -1 for none. */
static long reported_step(const world *w)
{
    static const char words[] = "the checkpoint of step ";
    long step = -1;
    for (const char *at = w->result.output; (at = strstr(at, words)); ++at)
        step = strtol(at + strlen(words), NULL, 10);
    return step;
}

static void assert_checkpoint_is_there(const world *w, const char *run_name, long step)
{
    char path[WORLD_PATH_SIZE], name[128];
    if (step < 0)
        return;
    snprintf(name, sizeof name, "disk-%s/run/checkpoints/step-%010ld.h5", run_name, step);
    world_path(w, name, path);
    if (access(path, F_OK) != 0)
        fail_msg("%s was reported, and is lost", path);
}

/* A line of metrics without what the clock says. */
static char *next_line(FILE *file)
{
    static const char *const timed[] = {"seconds", "examples_per_second", "reduction_share", "unix_seconds"};
    char *line = NULL, *text = NULL;
    size_t capacity = 0;
    if (getline(&line, &capacity, file) > 0) {
        cJSON *object = cJSON_Parse(line);
        assert_non_null(object);
        for (size_t i = 0; i < sizeof timed / sizeof *timed; ++i)
            cJSON_DeleteItemFromObject(object, timed[i]);
        text = cJSON_PrintUnformatted(object);
        cJSON_Delete(object);
    }
    free(line);
    return text;
}

static void assert_same_metrics(const world *w, const char *left_run, const char *right_run)
{
    char path[WORLD_PATH_SIZE], name[128];
    const char *const runs[] = {left_run, right_run};
    FILE *files[2];
    for (int i = 0; i < 2; ++i) {
        snprintf(name, sizeof name, "disk-%s/run/metrics.jsonl", runs[i]);
        world_path(w, name, path);
        files[i] = fopen(path, "r");
        assert_non_null(files[i]);
    }
    for (bool more = true; more;) {
        char *left = next_line(files[0]), *right = next_line(files[1]);
        more = left && right;
        if (more)
            assert_string_equal(left, right);
        else
            assert_true(!left && !right);
        free(left);
        free(right);
    }
    fclose(files[0]);
    fclose(files[1]);
}

static void assert_same_end(const world *w, const char *left_run, const char *right_run)
{
    char left[64], right[64];
    assert_same_metrics(w, left_run, right_run);
    snprintf(left, sizeof left, "disk-%s/run", left_run);
    snprintf(right, sizeof right, "disk-%s/run", right_run);
    world_assert_same_parameters(w, left, right, "best.h5");
    snprintf(left, sizeof left, "disk-%s/run/*.damaged", right_run);
    snprintf(right, sizeof right, "disk-%s/run/checkpoints/*.damaged", right_run);
    assert_int_equal(matches(w, left) + matches(w, right), 0);
}

/* From its beginning to its end; returns how often the power has failed. */
static long train_to_the_end(world *w, int ranks, const long counts[MOST_RANKS], const char *run_name, const char *options)
{
    long failures = 0, reported = -1;
    bool again;
    do {
        const moment m = draw_moment(ranks, counts);
        train(w, &m, run_name, options);
        const long step = reported_step(w);
        reported = step > reported ? step : reported;
        again = has_failed(w);
        if (!again && w->result.code != 0)
            fail_with_output(w, "a run that nobody disturbed has failed");
        if (strstr(w->result.output, "is not used"))
            fail_with_output(w, "something damaged was found");
        assert_checkpoint_is_there(w, run_name, reported);
        failures += again;
    } while (again);
    return failures;
}

static void remove_run(const world *w, const char *run_name)
{
    char path[WORLD_PATH_SIZE];
    snprintf(path, sizeof path, "%s/disk-%s", w->directory, run_name);
    program_remove_directory(path);
}

static void a_run_ends_as_if_the_power_had_not_failed(void **state)
{
    world *w = *state;
    static const char *const options[] = {"", "--set checkpoint.writing=blocking"};
    long counts[MOST_RANKS + 1][MOST_RANKS], failures = 0, runs = 0;
    for (int ranks = 1; ranks <= MOST_RANKS; ++ranks) {
        char name[32];
        snprintf(name, sizeof name, "undisturbed-%d", ranks);
        train(w, &(moment){.ranks = ranks}, name, options[1]);
        assert_code(&w->result, 0);
        read_counts(w, ranks, counts[ranks]);
    }
    for (; failures < wanted; ++runs) {
        const int ranks = 1 + (int)(runs % MOST_RANKS);
        char undisturbed[32];
        snprintf(undisturbed, sizeof undisturbed, "undisturbed-%d", ranks);
        failures += train_to_the_end(w, ranks, counts[ranks], "disturbed", options[runs / MOST_RANKS % 2]);
        assert_same_end(w, undisturbed, "disturbed");
        remove_run(w, "disturbed");
    }
    print_message("the power failed %ld times in %ld runs; every run ended with the same bits\n", failures, runs);
}

/* ---- data sets ---- */

static void convert(world *w, const moment *m, const char *name)
{
    char arguments[1024], directory[64];
    snprintf(directory, sizeof directory, "disk-%s", name);
    snprintf(arguments, sizeof arguments,
             "convert --format pairs --input %s/interactions.csv --shards 3 --output %s/%s/sub/data", w->directory,
             w->directory, directory);
    run(w, m, directory, "srprep", arguments);
}

static bool is_there(const world *w, const char *name)
{
    char path[WORLD_PATH_SIZE], text[96];
    snprintf(text, sizeof text, "disk-%s/sub/data", name);
    world_path(w, text, path);
    return access(path, F_OK) == 0;
}

static void assert_same_data(const world *w, const char *left, const char *right)
{
    char command[1024];
    snprintf(command, sizeof command, "diff -r %s/disk-%s/sub/data %s/disk-%s/sub/data", w->directory, left, w->directory,
             right);
    if (system(command) != 0)
        fail_msg("a data set is not what it has to be: %s", command);
}

static void a_data_set_is_complete_or_not_there(void **state)
{
    world *w = *state;
    long counts[MOST_RANKS + 1][MOST_RANKS], failures = 0, complete = 0;
    for (int ranks = 1; ranks <= MOST_RANKS; ++ranks) {
        convert(w, &(moment){.ranks = ranks}, "whole");
        assert_code(&w->result, 0);
        read_counts(w, ranks, counts[ranks]);
        if (ranks < MOST_RANKS)
            remove_run(w, "whole");
    }
    while (failures < wanted) {
        const int ranks = 1 + rand() % MOST_RANKS;
        const moment m = draw_moment(ranks, counts[ranks]);
        convert(w, &m, "torn");
        const bool failed = has_failed(w);
        if (w->result.code != 0 && !failed)
            fail_with_output(w, "a conversion that nobody disturbed has failed");
        failures += failed;
        if (!is_there(w, "torn")) {
            assert_true(failed);
            convert(w, &(moment){.ranks = ranks}, "torn");
            assert_code(&w->result, 0);
        } else {
            ++complete;
        }
        assert_same_data(w, "whole", "torn");
        remove_run(w, "torn");
    }
    print_message("the power failed %ld times; %ld data sets were complete all the same\n", failures, complete);
}

int main(int argument_count, char **arguments)
{
    const char *more = argument_count == 2 ? arguments[1] : getenv("SRTRAIN_LOST_POWER_MOMENTS");
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_ends_as_if_the_power_had_not_failed),
                                       cmocka_unit_test(a_data_set_is_complete_or_not_there)};
    if (!*FAULTS_LIBRARY) {
        printf("skipped: the layer cannot be loaded before the library of a sanitizer\n");
        return SKIPPED;
    }
    if (more)
        wanted = strtol(more, NULL, 10);
    srand(getenv("SRTRAIN_LOST_POWER_SEED") ? (unsigned)strtoul(getenv("SRTRAIN_LOST_POWER_SEED"), NULL, 10) : 7);
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}

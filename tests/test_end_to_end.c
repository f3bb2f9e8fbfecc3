/* A whole life: synthetic data, training on several ranks, being killed and resumed, evaluation, recommendations. */
#include "program.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 400 };

static const char configuration[] =
    "data: {path: none}\n"
    "model: {hidden_size: 16, inner_size: 32, max_length: 12, hidden_dropout: 0.3, attention_dropout: 0.3}\n"
    "training: {epochs: 3, batch_size: 64, learning_rate: 0.003}\n"
    "evaluation: {top_k: [5, 10]}\n"
    "logging: {every_steps: 1}\n";

typedef struct {
    char directory[64], data[96], configuration[96];
    program_result result;
} world;

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    program_make_directory(w->directory, sizeof w->directory);
    snprintf(w->data, sizeof w->data, "%s/data", w->directory);
    snprintf(w->configuration, sizeof w->configuration, "%s/test.yaml", w->directory);
    program_write(w->configuration, configuration);
    run_srprep(&w->result, "synth --users 300 --items 120 --mean-length 9 --seed 3 --shards 2 --output %s", w->data);
    assert_code(&w->result, 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    program_remove_directory(w->directory);
    free(w);
    return 0;
}

static void train(world *w, int ranks, const char *run, const char *more, int code)
{
    run_srtrain(&w->result, ranks, "%s --set data.path=%s --output %s/%s %s", w->configuration, w->data, w->directory, run,
                more);
    assert_code(&w->result, code);
}

static size_t losses_of(const world *w, const char *run, double *losses)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s/metrics.jsonl", w->directory, run);
    const size_t steps = read_losses(path, losses, STEPS);
    assert_true(steps >= 50);
    return steps;
}

static void losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    world *w = *state;
    const char *const variants[] = {
        "", "--set data.samples=window --set model.padding=left", "--set training.objective=all --set training.batch_size=8",
        "--set training.loss=bpr --set training.reduction=overlapped --set training.reduction_bucket_megabytes=0.01"};
    for (size_t v = 0; v < sizeof variants / sizeof *variants; ++v) {
        double expected[STEPS], actual[STEPS];
        char run[64];
        size_t steps = 0;
        for (int ranks = 1; ranks <= 4; ranks += v == 0 ? 1 : 2) {
            snprintf(run, sizeof run, "ranks-%zu-%d", v, ranks);
            train(w, ranks, run, variants[v], 0);
            const size_t found = losses_of(w, run, actual);
            if (ranks == 1) {
                steps = found;
                memcpy(expected, actual, sizeof actual);
            }
            assert_int_equal(found, steps);
            for (size_t i = 0; i < 50; ++i)
                if (fabs(actual[i] / expected[i] - 1) > 1e-4)
                    fail_msg("%s: step %zu: loss %.8g on %d ranks, %.8g on one", variants[v], i + 1, actual[i], ranks,
                             expected[i]);
        }
        assert_true(expected[steps - 1] < expected[0]);
    }
}

static void the_same_run_twice_gives_the_same_bits(void **state)
{
    world *w = *state;
    char left[256], right[256];
    train(w, 2, "once", "", 0);
    train(w, 2, "twice", "", 0);
    snprintf(left, sizeof left, "%s/once/best.h5", w->directory);
    snprintf(right, sizeof right, "%s/twice/best.h5", w->directory);
    assert_true(same_parameters(left, right));
}

/* The newest checkpoint's path. */
static void newest(const world *w, const char *run, char *path, size_t size)
{
    char command[256];
    snprintf(command, sizeof command, "ls %s/%s/checkpoints/step-*.h5 | tail -n 1", w->directory, run);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(path, (int)size, pipe));
    path[strcspn(path, "\n")] = '\0';
    pclose(pipe);
}

/* Starts a run in the background, waits until it has a checkpoint of at least `step` (or has ended), and kills all of it. */
static void kill_at_step(const world *w, const char *run, const char *options, long step)
{
    char command[2048], pattern[256];
    snprintf(command, sizeof command, "%s 2 %s/srtrain %s --set data.path=%s --output %s/%s %s > /dev/null 2>&1 &", MPIEXEC,
             getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data, w->directory, run, options);
    assert_int_equal(system(command), 0);
    snprintf(pattern, sizeof pattern, "%s/%s/checkpoints/step-*.h5", w->directory, run);
    long newest_step = -1;
    for (int wait = 0; wait < 3000 && newest_step < step; ++wait) {
        glob_t found;
        usleep(10000);
        if (glob(pattern, 0, NULL, &found) == 0) {
            newest_step = strtol(strrchr(found.gl_pathv[found.gl_pathc - 1], '-') + 1, NULL, 10);
            globfree(&found);
        }
    }
    assert_true(newest_step >= step);
    /* The brackets keep pkill's own shell from matching. */
    snprintf(command, sizeof command, "pkill -9 -f -- '--output %s/[%c]%s'; sleep 0.2", w->directory, run[0], run + 1);
    (void)!system(command);
}

static void a_killed_run_that_is_started_again_ends_with_the_same_bits(void **state)
{
    world *w = *state;
    char left[256], right[256];
    static double expected[STEPS], actual[STEPS];
    const char *options = "--set checkpoint.every_steps=7 --set training.early_stopping.patience=0 --set training.epochs=12";
    train(w, 2, "undisturbed", options, 0);
    kill_at_step(w, "killed", options, 21);
    kill_at_step(w, "killed", options, 70);
    train(w, 2, "killed", options, 0);
    assert_says(&w->result, "going on from");
    newest(w, "undisturbed", left, sizeof left);
    newest(w, "killed", right, sizeof right);
    assert_string_equal(strrchr(left, '/'), strrchr(right, '/'));
    assert_true(same_parameters(left, right));
    const size_t steps = losses_of(w, "undisturbed", expected);
    assert_int_equal(losses_of(w, "killed", actual), steps);
    assert_memory_equal(expected, actual, steps * sizeof *expected);
}

static void a_signal_ends_the_run_with_75_and_the_next_one_goes_on(void **state)
{
    world *w = *state;
    /* Long enough that the signal comes while training goes on. */
    char command[2048], left[256], right[256];
    train(w, 1, "whole", "--set training.early_stopping.patience=0 --set training.epochs=30", 0);
    snprintf(command, sizeof command,
             "%s/srtrain %s --set data.path=%s --output %s/stopped --set training.early_stopping.patience=0 --set "
             "training.epochs=30 > /dev/null 2>&1 & "
             "p=$!; "
             "for i in $(seq 400); do [ -s %s/stopped/metrics.jsonl ] && break; sleep 0.02; done; kill -USR1 $p; wait $p",
             getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data, w->directory, w->directory);
    assert_int_equal(system(command) >> 8, 75);
    train(w, 1, "stopped", "--set training.early_stopping.patience=0 --set training.epochs=30", 0);
    assert_says(&w->result, "going on from");
    newest(w, "whole", left, sizeof left);
    newest(w, "stopped", right, sizeof right);
    assert_true(same_parameters(left, right));
}

static void a_finished_run_is_not_trained_again_unless_more_epochs_are_asked_for(void **state)
{
    world *w = *state;
    char first[256], second[256];
    train(w, 2, "done", "--set training.early_stopping.patience=0", 0);
    newest(w, "done", first, sizeof first);
    train(w, 2, "done", "--set training.early_stopping.patience=0", 0);
    newest(w, "done", second, sizeof second);
    assert_string_equal(first, second);
    train(w, 2, "done", "--resume never", 2); /* would write among the checkpoints of another training */
    assert_says(&w->result, "choose another --output");
    train(w, 3, "done", "--set training.early_stopping.patience=0 --set training.epochs=4", 0);
    newest(w, "done", second, sizeof second);
    assert_string_not_equal(first, second);
}

static void evaluation_and_recommendations_do_not_depend_on_the_number_of_ranks(void **state)
{
    world *w = *state;
    char command[1024];
    train(w, 2, "model", "", 0);
    for (int ranks = 1; ranks <= 4; ranks += 3) {
        run_srtrain(&w->result, ranks, "evaluate %s/model/best.h5 --split test --json %s/e%d.json", w->directory, w->directory,
                    ranks);
        assert_code(&w->result, 0);
        assert_says(&w->result, "popularity");
        run_srtrain(&w->result, ranks, "recommend %s/model/best.h5 --top-k 5 --output %s/r%d.tsv", w->directory, w->directory,
                    ranks);
        assert_code(&w->result, 0);
        run_srtrain(&w->result, ranks, "recommend %s/model/best.h5 --top-k 3 --output %s/r%d.h5", w->directory, w->directory,
                    ranks);
        assert_code(&w->result, 0);
    }
    run_srtrain(&w->result, 2,
                "evaluate %s/model/best.h5 --split valid --set 'evaluation.top_k=[7]' --set evaluation.history=exclude",
                w->directory);
    assert_code(&w->result, 0);
    assert_says(&w->result, "hr@7");
    assert_says(&w->result, "history exclude");
    run_srtrain(&w->result, 1, "evaluate %s/model/best.h5 --set training.seed=3", w->directory);
    assert_code(&w->result, 2);
    /* Times differ; everything else is the same text. */
    snprintf(
        command, sizeof command,
        "cd %s && diff e1.json e4.json && cut -f1-3 r1.tsv > a && cut -f1-3 r4.tsv > b && cmp a b && [ $(wc -l < a) -eq 1501 ]",
        w->directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(the_same_run_twice_gives_the_same_bits),
        cmocka_unit_test(a_killed_run_that_is_started_again_ends_with_the_same_bits),
        cmocka_unit_test(a_signal_ends_the_run_with_75_and_the_next_one_goes_on),
        cmocka_unit_test(a_finished_run_is_not_trained_again_unless_more_epochs_are_asked_for),
        cmocka_unit_test(evaluation_and_recommendations_do_not_depend_on_the_number_of_ranks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

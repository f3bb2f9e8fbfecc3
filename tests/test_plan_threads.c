/* srtrain plan takes the threads that training would, and refuses those that training refuses. */
#include "world.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return world_set_up(state,
                        "data: {path: none}\n"
                        "model: {hidden_size: 8, inner_size: 8, max_length: 8}\n"
                        "training: {epochs: 1, batch_size: 8, threads: 3}\n",
                        "--users 40 --items 30 --mean-length 8 --seed 3");
}

static double planned_threads(world *w, const char *options)
{
    run_srtrain(&w->result, 0, "plan %s --ranks 2 --json --set data.path=%s %s 2>/dev/null", w->configuration, w->data,
                options);
    assert_code(&w->result, 0);
    cJSON *object = cJSON_Parse(w->result.output);
    assert_non_null(object);
    const double threads = number_in(object, "threads");
    cJSON_Delete(object);
    return threads;
}

static void the_option_wins_over_file_and_assignments(void **state)
{
    world *w = *state;
    assert_true(planned_threads(w, "") == 3);
    assert_true(planned_threads(w, "--set training.threads=2") == 2);
    assert_true(planned_threads(w, "--threads 4") == 4);
    assert_true(planned_threads(w, "--set training.threads=2 --threads 4") == 4);
    assert_true(planned_threads(w, "--threads 4 --set training.threads=2") == 4);
    run_srtrain(&w->result, 0, "plan --help");
    assert_code(&w->result, 0);
    assert_says(&w->result, "in place of any training.threads");
}

static void what_the_configuration_leaves_open_is_found_as_by_a_run(void **state)
{
    world *w = *state;
    setenv("OMP_NUM_THREADS", "5", 1);
    assert_true(planned_threads(w, "--set training.threads=0") == 5);
    assert_true(planned_threads(w, "") == 3);
    setenv("OMP_NUM_THREADS", "1", 1);
}

static void threads_that_training_refuses_are_refused(void **state)
{
    world *w = *state;
    static const struct {
        const char *options, *training, *part;
    } cases[] = {
        {"--threads 1025", "--set training.threads=1025", "to 1024"},
        {"--threads 2.5", "--set training.threads=2.5", "whole number"},
        {"--threads 2 --set training.threads=-1", "--set training.threads=-1", "from 0 to 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        run_srtrain(&w->result, 0, "plan %s --ranks 2 --set data.path=%s %s", w->configuration, w->data, cases[i].options);
        assert_code(&w->result, 2);
        assert_says(&w->result, cases[i].part);
        run_srtrain(&w->result, 0, "train %s --output %s/refused --set data.path=%s %s", w->configuration, w->directory,
                    w->data, cases[i].training);
        assert_code(&w->result, 2);
        assert_says(&w->result, cases[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_option_wins_over_file_and_assignments),
        cmocka_unit_test(what_the_configuration_leaves_open_is_found_as_by_a_run),
        cmocka_unit_test(threads_that_training_refuses_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}

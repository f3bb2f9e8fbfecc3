#include "life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 16, inner_size: 32, max_length: 12, hidden_dropout: 0.3}\n"
                                    "training: {epochs: 3, batch_size: 64, learning_rate: 0.003}\n"
                                    "evaluation: {top_k: [5, 10]}\n"
                                    "logging: {every_steps: 1}\n";

/* The same without keys that only attention and feed-forward layers have. */
static const char plain_configuration[] =
    "data: {path: none}\n"
    "model: {hidden_size: 16, max_length: 12, hidden_dropout: 0.3, initializer_range: 0.1}\n"
    "training: {epochs: 3, batch_size: 64, learning_rate: 0.003}\n"
    "evaluation: {top_k: [5, 10]}\n"
    "logging: {every_steps: 1}\n";

static const char synthesis[] = "--users 300 --items 120 --mean-length 9 --seed 3 --shards 2";

int life_set_up(void **state)
{
    return world_set_up(state, configuration, synthesis);
}

/* So many items that a step reads few of them. */
int life_set_up_large(void **state)
{
    return world_set_up(state, configuration, "--users 300 --items 2000 --mean-length 9 --seed 3 --shards 2");
}

int life_set_up_plain(void **state)
{
    return world_set_up(state, plain_configuration, synthesis);
}

void train(world *w, int ranks, const char *run, const char *options)
{
    world_train(w, ranks, run, options);
    assert_code(&w->result, 0);
}

size_t lines_of(const world *w, const char *run, train_line lines[STEPS])
{
    char name[64], path[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    world_path(w, name, path);
    const size_t steps = read_train_lines(path, lines, STEPS);
    assert_true(steps >= 50);
    return steps;
}

void assert_same_best(const world *w, const char *left_run, const char *right_run)
{
    world_assert_same_parameters(w, left_run, right_run, "best.h5");
}

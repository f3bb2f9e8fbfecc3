#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

int world_set_up(void **state, const char *configuration, const char *synthesis)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    program_make_directory(w->directory, sizeof w->directory);
    snprintf(w->data, sizeof w->data, "%s/data", w->directory);
    snprintf(w->configuration, sizeof w->configuration, "%s/test.yaml", w->directory);
    program_write(w->configuration, configuration);
    run_srprep(&w->result, "synth %s --output %s", synthesis, w->data);
    assert_code(&w->result, 0);
    *state = w;
    return 0;
}

int world_tear_down(void **state)
{
    world *w = *state;
    program_remove_directory(w->directory);
    free(w);
    return 0;
}

void world_path(const world *w, const char *name, char path[WORLD_PATH_SIZE])
{
    assert_true(snprintf(path, WORLD_PATH_SIZE, "%s/%s", w->directory, name) < WORLD_PATH_SIZE);
}

void world_train(world *w, int ranks, const char *run, const char *options)
{
    run_srtrain(&w->result, ranks, "%s --set data.path=%s --output %s/%s %s", w->configuration, w->data, w->directory, run,
                options);
}

void world_assert_same_parameters(const world *w, const char *left_run, const char *right_run, const char *name)
{
    char left[WORLD_PATH_SIZE], right[WORLD_PATH_SIZE], text[128];
    snprintf(text, sizeof text, "%s/%s", left_run, name);
    world_path(w, text, left);
    snprintf(text, sizeof text, "%s/%s", right_run, name);
    world_path(w, text, right);
    assert_true(same_parameters(left, right));
}

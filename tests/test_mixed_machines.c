/* Programs on processors of several kinds, which SRTRAIN_CPU_LEVEL stands for: the same losses at every CPU level, and ranks
 * that go on with what all of them have. */
#include "cpu_level.h"
#include "world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STEPS = 20, MOST_STEPS = 64 };

/* The model of configs/quickstart.yaml. */
static const char configuration[] =
    "data: {path: none}\n"
    "model: {backbone: sasrec, layers: 2, heads: 2, hidden_size: 64, inner_size: 128, max_length: 30, hidden_dropout: 0.2,\n"
    "        attention_dropout: 0.2}\n"
    "training: {epochs: 1, batch_size: 64, learning_rate: 0.002, compare_ranks_every_steps: 1}\n"
    "evaluation: {top_k: [5, 10]}\n"
    "logging: {every_steps: 1}\n";

#define AC_SASREC "--set calibrators.spatial.order=true --set calibrators.adversarial.combine=fixed "
#define BSAREC "--set calibrators.frequency.cutoff=3 "

static int set_up(void **state)
{
    unsetenv("SRTRAIN_CPU_LEVEL");
    return world_set_up(state, configuration, "--users 120 --items 800 --mean-length 15 --seed 1");
}

static void read_losses(const world *w, const char *run, train_line lines[MOST_STEPS])
{
    char name[96], path[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    world_path(w, name, path);
    assert_true(read_train_lines(path, lines, MOST_STEPS) >= STEPS);
}

static void read_file(const world *w, const char *name, char *text, size_t size)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, name, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void assert_holds(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("there is no \"%s\" in:\n%s", what, text);
}

static void check_losses_at_all_levels(world *w, const char *model, const char *options)
{
    static train_line expected[MOST_STEPS], actual[MOST_STEPS];
    bool has_expected = false;
    for (size_t i = 0; sr_kernels_level_name(i); ++i) {
        const char *level = sr_kernels_level_name(i);
        char run[64];
        snprintf(run, sizeof run, "%s-%s", model, level);
        if (!sr_kernels_choose(level) || strcmp(level, "amx") == 0) /* in fp32 that is avx512 */
            continue;
        assert_int_equal(setenv("SRTRAIN_CPU_LEVEL", level, 1), 0);
        world_train(w, 1, run, options);
        assert_int_equal(unsetenv("SRTRAIN_CPU_LEVEL"), 0);
        assert_code(&w->result, 0);
        read_losses(w, run, has_expected ? actual : expected);
        for (size_t step = 0; has_expected && step < STEPS; ++step)
            if (!(fabs(actual[step].loss / expected[step].loss - 1) <= 1e-5))
                fail_msg("%s: loss of step %zu is %.9g at level %s, %.9g at the lowest", model, step + 1, actual[step].loss,
                         level, expected[step].loss);
        has_expected = true;
    }
}

static void losses_of_ac_sasrec_do_not_depend_on_the_level(void **state)
{
    check_losses_at_all_levels(*state, "ac-sasrec", AC_SASREC);
}

static void losses_of_bsarec_do_not_depend_on_the_level(void **state)
{
    check_losses_at_all_levels(*state, "bsarec", BSAREC);
}

/* Each rank has its own copy, and copies are compared after every step. */
#define COPIES "--set training.reduction=blocking "

static void ranks_on_unequal_machines_stay_equal(void **state)
{
    static char text[1 << 16];
    world *w = *state;
    if (!sr_kernels_choose("avx2"))
        skip();
    run_srtrain_mixed(&w->result, "SRTRAIN_CPU_LEVEL=generic", "%s " COPIES "--set data.path=%s --output %s/mixed",
                      w->configuration, w->data, w->directory);
    assert_code(&w->result, 0);
    assert_says(&w->result, "CPU level generic, limited by SRTRAIN_CPU_LEVEL of rank 0 on ");
    read_file(w, "mixed/train.log", text, sizeof text);
    assert_holds(text, "CPU level generic, limited by SRTRAIN_CPU_LEVEL of rank 0 on ");
    assert_int_equal(setenv("SRTRAIN_CPU_LEVEL", "generic", 1), 0);
    world_train(w, 2, "equal", COPIES);
    assert_int_equal(unsetenv("SRTRAIN_CPU_LEVEL"), 0);
    assert_code(&w->result, 0);
    assert_says(&w->result, "CPU level generic, as SRTRAIN_CPU_LEVEL says");
    world_assert_same_parameters(w, "mixed", "equal", "best.h5");
}

static void the_environment_file_names_what_was_agreed(void **state)
{
    static char text[1 << 16];
    char expected[128];
    world *w = *state;
    world_train(w, 1, "told", "");
    assert_code(&w->result, 0);
    read_file(w, "told/environment.json", text, sizeof text);
    snprintf(expected, sizeof expected, "\"cpu_kernels\":\t\"%s\"", sr_kernels_choose(NULL)->level);
    assert_holds(text, expected);
    assert_holds(text, "\"cpu_kernels_reason\":\t\"the highest of this machine\"");
    assert_holds(text, "\"blas_kernels\":");
    snprintf(expected, sizeof expected, "\"cpu_level\":\t\"%s\"", sr_kernels_choose(NULL)->level);
    assert_holds(text, expected);
}

static void an_unknown_level_is_a_usage_error_of_all_ranks(void **state)
{
    world *w = *state;
    run_srtrain_mixed(&w->result, "SRTRAIN_CPU_LEVEL=avx9", "%s --set data.path=%s --output %s/never", w->configuration,
                      w->data, w->directory);
    assert_code(&w->result, 2);
    assert_says(&w->result, "rank 0 on ");
    assert_says(&w->result, "SRTRAIN_CPU_LEVEL is \"avx9\", which is no CPU level; this machine has generic");
}

static void the_version_tells_the_level(void **state)
{
    world *w = *state;
    assert_int_equal(setenv("SRTRAIN_CPU_LEVEL", "generic", 1), 0);
    run_srtrain(&w->result, 0, "--version");
    assert_int_equal(unsetenv("SRTRAIN_CPU_LEVEL"), 0);
    assert_code(&w->result, 0);
    assert_says(&w->result, "CPU level: generic (");
    assert_says(&w->result, "products of bf16 in fp32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_of_ac_sasrec_do_not_depend_on_the_level),
        cmocka_unit_test(losses_of_bsarec_do_not_depend_on_the_level),
        cmocka_unit_test(ranks_on_unequal_machines_stay_equal),
        cmocka_unit_test(the_environment_file_names_what_was_agreed),
        cmocka_unit_test(an_unknown_level_is_a_usage_error_of_all_ranks),
        cmocka_unit_test(the_version_tells_the_level),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}

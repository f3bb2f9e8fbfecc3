/* Losses do not depend on the number of ranks and threads, and the same run gives the same bits. */
#include "life.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    const char *ranks; /* that are compared with one rank */
    const char *options;
} variant;

static const variant plain_variants[] = {
    {"234", ""},
    {"3", "--set data.samples=window " MODEL("padding=left")},
    /* Half are empty histories, which several ranks share. */
    {"4", "--set data.samples=window " MODEL("max_length=2") TRAINING("batch_size=20")},
    {"3", ALL_TARGETS},
    {"3", TRAINING("loss=bpr") BLOCKING},
    {"3", REFINEMENT("kind=value") REFINEMENT("value=learned") TRAINING("loss=binary_cross_entropy") ALL_TARGETS},
    {"4", STOSA MODEL("mean_update=updated") REFINEMENT("kind=stochastic") ALL_TARGETS},
    {"2", STOSA "--set data.samples=window " MODEL("padding=left")},
    {"3", FREQUENCY "--set data.samples=window " MODEL("padding=left")},
    {"2", FREQUENCY "--set calibrators.frequency.window=sequence "},
    {"4", MODEL("backbone=fmlprec") MODEL("max_length=150") TRAINING("loss=binary_cross_entropy") BLOCKING},
};

static const variant calibrated_variants[] = {
    {"234", ADVERSARIAL("combine=gate")},
    {"3", ADVERSARIAL("penalty=all") ADVERSARIAL("renormalize=softmax") ADVERSARIAL("masked_cells=included")
              ADVERSARIAL("combine=fixed") ADVERSARIAL("two_level=false")},
    {"234", MODEL("backbone=bert4rec") ADVERSARIAL("combine=gate")},
    {"4", MODEL("backbone=bert4rec") ADVERSARIAL("combine=annealing") ADVERSARIAL("annealing_steps=50") ALL_TARGETS},
    {"2", MODEL("backbone=ssept") MODEL("user_hidden_size=4") MODEL("sse_user_probability=0.1")
              MODEL("sse_item_probability=0.1") ADVERSARIAL("renormalize=none")},
    {"4", MODEL("backbone=tisasrec") MODEL("time_unit=3600") MODEL("time_span=64") ADVERSARIAL("renormalize=mass")},
    {"3", ADVERSARIAL("renormalize=mass") ALL_TARGETS BLOCKING},
};

static const variant contrastive_variants[] = {
    {"234", CONTRASTIVE MODEL("padding=left")},
    {"234", CONTRASTIVE FEAREC "--set training.contrastive.spectral_weight=0.2 " MODEL("padding=left")},
    {"4", FEAREC TRAINING("loss=bpr") TRAINING("batch_size=7")},
    {"3", CONTRASTIVE "--set training.contrastive.temperature=3 --set calibrators.spatial.order=true " TRAINING("loss=bpr")
              BLOCKING},
    {"4",
     "--set training.contrastive.weight=0.3 " MODEL("attention_dropout=0.3") MODEL("backbone=ssept") MODEL("user_hidden_size=4")
         MODEL("sse_user_probability=0.1") MODEL("sse_item_probability=0.1") TRAINING("batch_size=3") TRAINING("epochs=1")},
};

/* Backbones without attention and feed-forward layers. */
static const variant variants_without_attention[] = {
    {"3", MODEL("backbone=gru4rec") ALL_TARGETS},
    {"4", MODEL("backbone=gru4rec") MODEL("padding=left") TRAINING("loss=bpr") BLOCKING "--set data.samples=window"},
    {"234", MODEL("backbone=caser") TRAINING("loss=binary_cross_entropy") TRAINING("frobenius_penalty=0.01")},
    {"3", MODEL("backbone=caser") MODEL("padding=left") "--set data.samples=window"},
};

/* Rounding leaves 1e-7. */
static void assert_close(const variant *v, int ranks, size_t step, const char *what, double actual, double expected)
{
    if (!(fabs(actual / expected - 1) <= 1e-5))
        fail_msg("%s: step %zu: %s %.8g on %d ranks, %.8g on one", v->options, step + 1, what, actual, ranks, expected);
}

static void assert_close_lines(const variant *v, int ranks, const train_line *actual, const train_line *expected)
{
    for (size_t i = 0; i < 50; ++i) {
        assert_close(v, ranks, i, "loss", actual[i].loss, expected[i].loss);
        assert_close(v, ranks, i, "attacked_ranking", actual[i].attacked_ranking, expected[i].attacked_ranking);
        assert_close(v, ranks, i, "mask_penalty", actual[i].mask_penalty, expected[i].mask_penalty);
        assert_close(v, ranks, i, "contrastive", actual[i].contrastive, expected[i].contrastive);
        assert_close(v, ranks, i, "spectral", actual[i].spectral, expected[i].spectral);
    }
}

static size_t train_variant(world *w, const char *options, int ranks, train_line lines[STEPS])
{
    static int runs = 0;
    char run[32];
    snprintf(run, sizeof run, "variant-%d", runs++);
    train(w, ranks, run, options);
    return lines_of(w, run, lines);
}

static double mean_loss(const train_line *lines, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
        sum += lines[i].loss;
    return sum / (double)count;
}

static void assert_independent_of_ranks(world *w, const variant *v, bool calibrated)
{
    static train_line expected[STEPS], actual[STEPS];
    char options[1024];
    snprintf(options, sizeof options, TRAINING("epochs=2") "%s%s", calibrated ? CALIBRATED : "", v->options);
    const size_t steps = train_variant(w, options, 1, expected);
    assert_true(mean_loss(expected + steps - 10, 10) < mean_loss(expected, 10));
    assert_int_equal(expected[0].attacked_ranking > 0 && expected[0].mask_penalty > 0, calibrated);
    for (const char *ranks = v->ranks; *ranks; ++ranks) {
        assert_int_equal(train_variant(w, options, *ranks - '0', actual), steps);
        assert_close_lines(v, *ranks - '0', actual, expected);
    }
}

static void losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof plain_variants / sizeof *plain_variants; ++i)
        assert_independent_of_ranks(*state, &plain_variants[i], false);
}

static void losses_without_attention_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof variants_without_attention / sizeof *variants_without_attention; ++i)
        assert_independent_of_ranks(*state, &variants_without_attention[i], false);
}

static void calibrated_losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof calibrated_variants / sizeof *calibrated_variants; ++i)
        assert_independent_of_ranks(*state, &calibrated_variants[i], true);
}

static void contrastive_losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof contrastive_variants / sizeof *contrastive_variants; ++i)
        assert_independent_of_ranks(*state, &contrastive_variants[i], false);
}

static void contrastive_training_brings_views_of_an_example_together(void **state)
{
    static train_line lines[STEPS];
    const size_t steps = train_variant(*state, CONTRASTIVE TRAINING("epochs=4"), 2, lines);
    assert_true(lines[steps - 1].contrastive > 0 && lines[steps - 1].contrastive < 0.8 * lines[0].contrastive);
    assert_true(train_variant(*state, "", 2, lines) > 0 && lines[0].contrastive == -1);
}

/* A thread has its part of the batch as a rank has. */
static void losses_do_not_depend_on_the_number_of_threads(void **state)
{
    static const variant threaded[] = {
        {"12", CALIBRATED MODEL("backbone=bert4rec") ADVERSARIAL("combine=gate")},
        {"2", CONTRASTIVE MODEL("padding=left")},
        {"2",
         "--set calibrators.frequency.cutoff=200 --set data.samples=window " MODEL("max_length=150") MODEL("padding=left")},
        {"1", CONTRASTIVE FEAREC "--set training.contrastive.spectral_weight=0.2 " MODEL("padding=left")},
        {"1", MODEL("backbone=ssept") MODEL("user_hidden_size=4") TRAINING("batch_size=3") TRAINING("epochs=1")},
    };
    static train_line expected[STEPS], actual[STEPS];
    for (size_t i = 0; i < sizeof threaded / sizeof *threaded; ++i) {
        const size_t steps = train_variant(*state, threaded[i].options, 1, expected);
        for (const char *ranks = threaded[i].ranks; *ranks; ++ranks) {
            char options[1024];
            snprintf(options, sizeof options, "%s " TRAINING("threads=%d"), threaded[i].options, *ranks == '1' ? 3 : 2);
            assert_int_equal(train_variant(*state, options, *ranks - '0', actual), steps);
            assert_close_lines(&threaded[i], *ranks - '0', actual, expected);
        }
    }
}

static void the_same_run_with_threads_gives_the_same_bits(void **state)
{
    world *w = *state;
    train(w, 1, "threads", TRAINING("threads=2"));
    train(w, 1, "threads-again", TRAINING("threads=2"));
    assert_same_best(w, "threads", "threads-again");
}

static void the_same_run_twice_gives_the_same_bits(void **state)
{
    world *w = *state;
    train(w, 2, "once", "");
    train(w, 2, "twice", "");
    assert_same_best(w, "once", "twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(calibrated_losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(contrastive_losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(contrastive_training_brings_views_of_an_example_together),
        cmocka_unit_test(losses_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(the_same_run_with_threads_gives_the_same_bits),
        cmocka_unit_test(the_same_run_twice_gives_the_same_bits),
    };
    const struct CMUnitTest plain_tests[] = {
        cmocka_unit_test(losses_without_attention_do_not_depend_on_the_number_of_ranks),
    };
    return cmocka_run_group_tests_name("a life with attention", tests, life_set_up, world_tear_down) +
           cmocka_run_group_tests_name("a life without", plain_tests, life_set_up_plain, world_tear_down);
}

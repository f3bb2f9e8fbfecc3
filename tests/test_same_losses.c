/* Losses and parameters do not depend on the number of ranks and threads, and the same training gives the same bits. */
#include "rank_counts.h"
#include "small_training.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- settings, "section.key=value" with blanks between ---- */

#define BASE                                                                                                   \
    "data.path=none model.hidden_size=16 model.max_length=12 model.hidden_dropout=0.3 training.batch_size=64 " \
    "training.learning_rate=0.003 "
#define WITH_ATTENTION BASE "model.inner_size=32 "
#define WITHOUT_ATTENTION BASE "model.initializer_range=0.1 "

/* Initial weights so large that attention, and with it noise and masks, makes a difference to the losses. */
#define CALIBRATED                                                                                     \
    WITH_ATTENTION "model.initializer_range=0.1 model.hidden_dropout=0.5 model.attention_dropout=0.5 " \
                   "calibrators.spatial.order=true calibrators.adversarial.penalty=visible "

#define WINDOWS "data.samples=window model.padding=left "
#define ALL_TARGETS "training.objective=all training.batch_size=8 " /* an example is a user */
#define STOSA "model.backbone=stosa training.loss=stosa model.activation=elu "
#define FREQUENCY "calibrators.frequency.cutoff=3 "
#define FEAREC "model.backbone=fearec model.topk_factor=3 model.attention_dropout=0.3 "
#define CONTRASTIVE "training.contrastive.weight=0.1 data.samples=window model.attention_dropout=0.3 "
#define SSEPT "model.backbone=ssept model.user_hidden_size=4 model.sse_user_probability=0.1 model.sse_item_probability=0.1 "

typedef struct {
    const char *ranks; /* that are compared with one rank */
    const char *options;
} variant;

static const variant plain_variants[] = {
    {"234", ""},
    {"3", WINDOWS},
    /* Half are empty histories, which several ranks share. */
    {"4", "data.samples=window model.max_length=2 training.batch_size=20"},
    {"3", ALL_TARGETS},
    {"3", "training.loss=bpr training.reduction=blocking"},
    {"234", "training.loss=sampled_softmax training.negatives=20 training.negative_slice=3 training.negative_sampling=mixed"},
    {"3", "training.loss=sampled_softmax training.negatives=9 training.negative_sampling=popularity "
          "training.negative_sharing=target training.history_hits=redraw " ALL_TARGETS},
    {"4", "training.loss=sampled_softmax training.negatives=0 training.negative_sampling=batch " ALL_TARGETS},
    {"2", "training.loss=gbce training.negatives=9 training.negative_sampling=batch"},
    {"3",
     "calibrators.refinement.kind=value calibrators.refinement.value=learned training.loss=binary_cross_entropy " ALL_TARGETS},
    {"4", STOSA "model.mean_update=updated calibrators.refinement.kind=stochastic " ALL_TARGETS},
    {"2", STOSA WINDOWS},
    {"3", FREQUENCY WINDOWS},
    {"2", FREQUENCY "calibrators.frequency.window=sequence"},
    {"3", "model.norm=pre model.residual=gated model.feed_forward=gated model.inner_dropout=0.2 model.initializer=glorot "
          "training.loss=sampled_softmax training.negatives=9 " ALL_TARGETS},
    {"2", "model.norm=query model.output_embedding=separate model.attention_output=false calibrators.adversarial.combine=gate"},
    {"3",
     "model.item_width=5 model.item_vectors=frozen data.item_vectors=file training.weight_decay=0.1 training.clip_norm=0.1"},
    {"4", "model.backbone=fmlprec model.max_length=150 training.loss=binary_cross_entropy training.reduction=blocking"},
};

static const variant calibrated_variants[] = {
    {"234", "calibrators.adversarial.combine=gate"},
    {"3", "calibrators.adversarial.penalty=all calibrators.adversarial.renormalize=softmax "
          "calibrators.adversarial.masked_cells=included calibrators.adversarial.combine=fixed "
          "calibrators.adversarial.two_level=false"},
    {"234", "model.backbone=bert4rec calibrators.adversarial.combine=gate"},
    {"4", "model.backbone=bert4rec calibrators.adversarial.combine=annealing "
          "calibrators.adversarial.annealing_steps=50 " ALL_TARGETS},
    {"2", SSEPT "calibrators.adversarial.renormalize=none"},
    {"4", "model.backbone=tisasrec model.time_unit=3600 model.time_span=64 calibrators.adversarial.renormalize=mass"},
    {"3", "calibrators.adversarial.renormalize=mass training.reduction=blocking " ALL_TARGETS},
};

static const variant contrastive_variants[] = {
    {"234", CONTRASTIVE "model.padding=left"},
    {"234", CONTRASTIVE FEAREC "training.contrastive.spectral_weight=0.2 model.padding=left"},
    {"4", FEAREC "training.loss=bpr training.batch_size=7"},
    {"3", CONTRASTIVE "training.contrastive.temperature=3 calibrators.spatial.order=true training.loss=bpr "
                      "training.reduction=blocking"},
    {"4", "training.contrastive.weight=0.3 model.attention_dropout=0.3 training.batch_size=3 " SSEPT},
};

static const variant variants_without_attention[] = {
    {"3", "model.backbone=gru4rec " ALL_TARGETS},
    {"4", "model.backbone=gru4rec training.loss=bpr training.reduction=blocking " WINDOWS},
    {"234", "model.backbone=caser training.loss=binary_cross_entropy training.frobenius_penalty=0.01"},
    {"3", "model.backbone=caser " WINDOWS},
    {"234", "model.backbone=hstu model.similarity=cosine training.temperature=0.1 " ALL_TARGETS},
    {"2", "model.backbone=hstu model.affine_norms=true model.time_query=own " WINDOWS},
};

/* ---- a training ---- */

enum { MOST_STEPS = 120, SOME_STEPS = 40 };

/* What a training comes to. */
typedef struct {
    sr_terms terms; /* of the last step, for their names */
    double means[MOST_STEPS][SR_TERMS_MAXIMUM];
    sr_real *values; /* the parameters; the first rank alone has them */
    size_t count;
    uint64_t checksum; /* of them */
    size_t memory;     /* of the last step's tensors */
} outcome;

static void note_terms(const sr_step_result *result, size_t step, outcome *found)
{
    found->terms = result->terms;
    for (size_t i = 0; i < result->terms.count; ++i)
        found->means[step][i] = sr_term_mean(&result->terms.list[i], result->targets);
}

/* Which one it is; their number if there is none of that name. */
static size_t find_term(const outcome *found, const char *name)
{
    size_t i = 0;
    while (i < found->terms.count && strcmp(found->terms.list[i].name, name) != 0)
        ++i;
    return i;
}

/* The settings of `options` and, unless it is 0, so many threads. */
static void begin(small_training *t, const shared_dataset *data, const char *options, size_t threads, size_t steps)
{
    enum { MOST = 32 };
    char text[2048], more[64];
    const char *assignments[MOST];
    size_t count = 0;
    snprintf(text, sizeof text, "%s", options);
    for (char *rest = text, *one; (one = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(count < MOST - 1);
        assignments[count++] = one;
    }
    snprintf(more, sizeof more, "training.threads=%zu", threads);
    if (threads > 0)
        assignments[count++] = more;
    small_training_begin(t, data, assignments, count, (int64_t)steps);
}

/* Trains on the ranks of `data`, all of which must have the same parameters at the end. */
static void train_here(const shared_dataset *data, const char *options, size_t threads, size_t steps, outcome *found)
{
    sr_error error = {.message = ""};
    small_training t;
    sr_step_result result;
    begin(&t, data, options, threads, steps);
    for (size_t step = 0; step < steps; ++step) {
        if (small_training_step(&t, (int64_t)step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
        note_terms(&result, step, found);
    }
    const sr_parameters *parameters = sr_model_parameters(t.model);
    found->checksum = sr_parameters_checksum(parameters);
    uint64_t of_first = found->checksum;
    assert_int_equal(sr_parallel_broadcast(data->parallel, &of_first, sizeof of_first, &error), SR_OK);
    assert_true(found->checksum == of_first);
    found->count = parameters->block_size;
    found->memory = sr_stepper_memory(&t.stepper);
    found->values = NULL;
    if (sr_parallel_rank(data->parallel) == 0) {
        found->values = malloc(found->count * sizeof *found->values);
        assert_non_null(found->values);
        memcpy(found->values, parameters->values, found->count * sizeof *found->values);
    }
    small_training_end(&t);
}

/* On the first `ranks` ranks; true on the first of them, which has what was found. */
static bool train(const rank_counts *counts, int ranks, size_t threads, const char *options, size_t steps, outcome *found)
{
    shared_dataset data;
    bool is_first = false;
    assert_true(steps <= MOST_STEPS);
    if (rank_counts_take_part(counts, ranks, &data)) {
        train_here(&data, options, threads, steps, found);
        is_first = sr_parallel_rank(data.parallel) == 0;
    }
    rank_counts_wait(counts);
    return is_first;
}

/* ---- any number of ranks and threads ---- */

/*
 * Rounding leaves 1e-7 of a term's value in the first step. A loss is a difference of scores: training makes the loss small,
 * and not the scores, whose rounding stays.
 */
static void assert_close_terms(const char *options, int ranks, const outcome *actual, const outcome *expected)
{
    assert_int_equal(actual->terms.count, expected->terms.count);
    for (size_t step = 0; step < SOME_STEPS; ++step)
        for (size_t i = 0; i < expected->terms.count; ++i) {
            const double scale = fmax(fabs(expected->means[step][i]), fabs(expected->means[0][i]));
            if (!(fabs(actual->means[step][i] - expected->means[step][i]) <= 1e-5 * scale))
                fail_msg("%s: step %zu: %s %.8g on %d ranks, %.8g on one", options, step + 1, expected->terms.list[i].name,
                         actual->means[step][i], ranks, expected->means[step][i]);
        }
}

/* Rounding leaves 1e-4: where a gradient is small, an optimizer that divides by its size makes more of it. */
static void assert_close(const char *options, int ranks, const outcome *actual, const outcome *expected)
{
    double squares = 0, differences = 0;
    assert_close_terms(options, ranks, actual, expected);
    assert_int_equal(actual->count, expected->count);
    for (size_t i = 0; i < actual->count; ++i) {
        const double difference = (double)actual->values[i] - (double)expected->values[i];
        squares += (double)expected->values[i] * (double)expected->values[i];
        differences += difference * difference;
    }
    if (!(differences <= 1e-6 * squares))
        fail_msg("%s: parameters on %d ranks are %.3g of their length from those on one", options, ranks,
                 sqrt(differences / squares));
}

static double mean_loss(const outcome *found, size_t first)
{
    double sum = 0;
    for (size_t step = first; step < first + 10; ++step)
        sum += found->means[step][0];
    return sum / 10;
}

static void assert_independent_of_ranks(const rank_counts *counts, const variant *v, const char *base)
{
    static outcome expected, actual;
    char options[2048];
    snprintf(options, sizeof options, "%s%s", base, v->options);
    if (train(counts, 1, 0, options, SOME_STEPS, &expected)) {
        assert_true(mean_loss(&expected, SOME_STEPS - 10) < mean_loss(&expected, 0));
        for (size_t i = 0; i < expected.terms.count; ++i)
            assert_true(expected.means[0][i] > 0);
    }
    for (const char *ranks = v->ranks; *ranks; ++ranks)
        if (train(counts, *ranks - '0', 0, options, SOME_STEPS, &actual)) {
            assert_close(v->options, *ranks - '0', &actual, &expected);
            free(actual.values);
        }
    free(expected.values);
    expected.values = NULL;
}

static void losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof plain_variants / sizeof *plain_variants; ++i)
        assert_independent_of_ranks(*state, &plain_variants[i], WITH_ATTENTION);
}

static void losses_without_attention_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof variants_without_attention / sizeof *variants_without_attention; ++i)
        assert_independent_of_ranks(*state, &variants_without_attention[i], WITHOUT_ATTENTION);
}

static void calibrated_losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof calibrated_variants / sizeof *calibrated_variants; ++i)
        assert_independent_of_ranks(*state, &calibrated_variants[i], CALIBRATED);
}

static void contrastive_losses_do_not_depend_on_the_number_of_ranks(void **state)
{
    for (size_t i = 0; i < sizeof contrastive_variants / sizeof *contrastive_variants; ++i)
        assert_independent_of_ranks(*state, &contrastive_variants[i], WITH_ATTENTION);
}

static void contrastive_training_brings_views_of_an_example_together(void **state)
{
    static outcome found;
    if (train(*state, 2, 0, WITH_ATTENTION CONTRASTIVE, MOST_STEPS, &found)) {
        const size_t contrastive = find_term(&found, "contrastive");
        assert_true(contrastive < found.terms.count && found.means[MOST_STEPS - 1][contrastive] > 0);
        assert_true(found.means[MOST_STEPS - 1][contrastive] < 0.8 * found.means[0][contrastive]);
        free(found.values);
    }
    if (train(*state, 2, 0, WITH_ATTENTION, 1, &found)) {
        assert_int_equal(find_term(&found, "contrastive"), found.terms.count);
        free(found.values);
    }
}

/* A thread has its part of the batch as a rank has. */
static void losses_do_not_depend_on_the_number_of_threads(void **state)
{
    static const variant threaded[] = {
        {"12", CALIBRATED "model.backbone=bert4rec calibrators.adversarial.combine=gate"},
        {"2", WITH_ATTENTION CONTRASTIVE "model.padding=left"},
        {"2", WITH_ATTENTION "calibrators.frequency.cutoff=200 model.max_length=150 " WINDOWS},
        {"1", WITH_ATTENTION CONTRASTIVE FEAREC "training.contrastive.spectral_weight=0.2 model.padding=left"},
        {"1", WITH_ATTENTION "model.backbone=ssept model.user_hidden_size=4 training.batch_size=3"},
    };
    static outcome expected, actual;
    for (size_t i = 0; i < sizeof threaded / sizeof *threaded; ++i) {
        train(*state, 1, 0, threaded[i].options, SOME_STEPS, &expected);
        for (const char *ranks = threaded[i].ranks; *ranks; ++ranks)
            if (train(*state, *ranks - '0', *ranks == '1' ? 3 : 2, threaded[i].options, SOME_STEPS, &actual)) {
                assert_close(threaded[i].options, *ranks - '0', &actual, &expected);
                free(actual.values);
            }
        free(expected.values);
        expected.values = NULL;
    }
}

/* ---- part by part ---- */

typedef struct {
    const char *ranks, *options, *micro_batch;
} micro_variant;

/* Batches of 64 in parts of many sizes: negatives of slices and of the whole batch, masks, rows of items that are late, what
 * parameters add to a loss, and empty histories, which share a sequence in each part. */
static void losses_do_not_depend_on_how_much_is_computed_at_a_time(void **state)
{
    static const micro_variant variants[] = {
        {"13", WITH_ATTENTION, "training.micro_batch=7"},
        {"3",
         WITH_ATTENTION "training.loss=sampled_softmax training.negatives=20 training.negative_slice=3 "
                        "training.negative_sampling=mixed",
         "training.micro_batch=5"},
        {"2", WITH_ATTENTION "training.loss=sampled_softmax training.negatives=0 training.negative_sampling=batch " ALL_TARGETS,
         "training.micro_batch=1"},
        {"2", WITH_ATTENTION "model.backbone=bert4rec", "training.micro_batch=9"},
        {"2", WITH_ATTENTION "training.loss=bpr training.item_updates=deferred", "training.micro_batch=8"},
        {"1", WITHOUT_ATTENTION "model.backbone=caser training.loss=binary_cross_entropy training.frobenius_penalty=0.01",
         "training.micro_batch=16"},
        {"4", WITH_ATTENTION "data.samples=window model.max_length=2 training.batch_size=20", "training.micro_batch=2"},
    };
    static outcome expected, actual;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; ++i) {
        const micro_variant *v = &variants[i];
        char options[2048];
        snprintf(options, sizeof options, "%s %s", v->options, v->micro_batch);
        train(*state, 1, 0, v->options, SOME_STEPS, &expected);
        for (const char *ranks = v->ranks; *ranks; ++ranks)
            if (train(*state, *ranks - '0', 0, options, SOME_STEPS, &actual)) {
                assert_close(options, *ranks - '0', &actual, &expected);
                assert_true(actual.memory < expected.memory);
                free(actual.values);
            }
        free(expected.values);
        expected.values = NULL;
    }
}

/* ---- the same once more ---- */

static void assert_same_bits(const rank_counts *counts, int ranks, size_t threads)
{
    static outcome once, twice;
    const bool is_first = train(counts, ranks, threads, WITH_ATTENTION, SOME_STEPS, &once);
    train(counts, ranks, threads, WITH_ATTENTION, SOME_STEPS, &twice);
    if (!is_first)
        return;
    assert_memory_equal(once.values, twice.values, once.count * sizeof *once.values);
    assert_memory_equal(once.means, twice.means, sizeof once.means);
    free(once.values);
    free(twice.values);
}

static void the_same_training_with_threads_gives_the_same_bits(void **state)
{
    assert_same_bits(*state, 1, 2);
}

static void the_same_training_twice_gives_the_same_bits(void **state)
{
    assert_same_bits(*state, 2, 0);
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(losses_without_attention_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(calibrated_losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(contrastive_losses_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(contrastive_training_brings_views_of_an_example_together),
        cmocka_unit_test(losses_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(losses_do_not_depend_on_how_much_is_computed_at_a_time),
        cmocka_unit_test(the_same_training_with_threads_gives_the_same_bits),
        cmocka_unit_test(the_same_training_twice_gives_the_same_bits),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, rank_counts_tear_down);
}

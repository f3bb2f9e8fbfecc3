/* What models of masked items are trained with: which items are masked, and which of them are scored. */
#include "sampler_world.h"
#include "srtrain/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MASK_TOKEN = ITEMS + 1 };

enum { MASKED_LENGTH_MAXIMUM = 32 };

/* A masked sequence as the test sees it. */
typedef struct {
    uint64_t identity;
    size_t length, masked_count, scored_count;
    int32_t original[MASKED_LENGTH_MAXIMUM];
    bool masked[MASKED_LENGTH_MAXIMUM], scored[MASKED_LENGTH_MAXIMUM];
    int32_t negatives[MASKED_LENGTH_MAXIMUM];
} masked_sequence;

typedef void (*masked_function)(void *context, const world *w, const masked_sequence *sequence);

/* Takes sequence `s` of the batch apart, and checks what must hold for every one: items are those of the history or masked, and
 * targets are what was masked. `target` counts the batch's targets. */
static void take_apart(const world *w, const sr_batch *batch, size_t s, size_t *target, masked_sequence *taken)
{
    const size_t begin = batch->layout.offsets[s], length = batch->layout.offsets[s + 1] - begin;
    size_t user = batch->layout.identity[s], prefix;
    if (w->settings.model.objective == SR_OBJECTIVE_ALL)
        prefix = sr_dataset_sequence(w->dataset, user).train_end;
    else
        find_prefix(w, batch->layout.identity[s], &user, &prefix);
    const int32_t *history = sr_dataset_sequence(w->dataset, user).items + prefix - length;
    assert_int_equal(length, prefix < (size_t)w->settings.model.max_length ? prefix : (size_t)w->settings.model.max_length);
    *taken = (masked_sequence){.identity = batch->layout.identity[s], .length = length};
    for (size_t i = 0; i < length; ++i) {
        taken->original[i] = history[i];
        taken->masked[i] = batch->items[begin + i] == MASK_TOKEN;
        taken->masked_count += taken->masked[i];
        if (!taken->masked[i])
            assert_int_equal(batch->items[begin + i], history[i]);
    }
    for (; *target < batch->targets && batch->reads.tokens[batch->target_reads[*target]] < begin + length; ++*target) {
        const size_t i = batch->reads.tokens[batch->target_reads[*target]] - begin;
        assert_true(taken->masked[i]);
        assert_int_equal(batch->target_items[*target], history[i]);
        taken->scored[i] = true;
        ++taken->scored_count;
        if (batch->negatives)
            taken->negatives[i] = batch->negatives->items[*target];
    }
}

/* Hands every sequence of an epoch on, whichever rank has it, and returns the number of targets. */
static size_t visit_epoch(const world *w, const sr_sampler *sampler, size_t epoch, size_t ranks, masked_function visit,
                          void *context)
{
    size_t all_targets = 0;
    for (size_t index = 0; index < sr_sampler_batches(sampler); ++index)
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            sr_totals totals;
            size_t target = 0;
            sr_arena_reset(w->arena);
            assert_int_equal(sr_sampler_batch(sampler, epoch, index, (sr_part){.rank = rank, .ranks = ranks}, w->arena, &batch,
                                              &totals, NULL),
                             SR_OK);
            assert_int_equal(totals.targets, batch.targets);
            for (size_t s = 0; s < batch.layout.sequences; ++s) {
                masked_sequence taken;
                take_apart(w, &batch, s, &target, &taken);
                visit(context, w, &taken);
            }
            assert_int_equal(target, batch.targets);
            all_targets += totals.targets;
        }
    return all_targets;
}

static sr_sampler *make_masked_sampler(world *w, double ratio, const char *masking, int64_t max_length)
{
    w->settings.model.backbone = sr_backbone_number("bert4rec");
    char assignment[64];
    snprintf(assignment, sizeof assignment, "model.mask_ratio=%g", ratio);
    assert_int_equal(sr_settings_assign(&w->settings, assignment, NULL), SR_OK);
    snprintf(assignment, sizeof assignment, "model.masking=%s", masking);
    assert_int_equal(sr_settings_assign(&w->settings, assignment, NULL), SR_OK);
    w->settings.model.max_length = max_length;
    return make_sampler(w);
}

typedef struct {
    size_t sequences, items, masked, scored, limit;
    size_t without_score, over_limit, first_masked, first_scored;
    size_t masked_at[MASKED_LENGTH_MAXIMUM]; /* of sequences with max_length items */
} masking_counts;

static void count_masks(void *context, const world *w, const masked_sequence *sequence)
{
    masking_counts *counts = context;
    ++counts->sequences;
    counts->items += sequence->length;
    counts->masked += sequence->masked_count;
    counts->scored += sequence->scored_count;
    counts->without_score += sequence->scored_count == 0;
    counts->first_masked += sequence->masked[0];
    counts->first_scored += sequence->scored[0];
    counts->over_limit += sequence->masked_count > counts->limit;
    assert_true(sequence->scored_count <= counts->limit);
    size_t later = 0; /* masked items behind this one: only the last ones are scored */
    for (size_t i = sequence->length; i-- > 0;) {
        const bool never = i == 0 && !sr_model_needs_of(&w->settings.model, true).masks_at_least_one;
        assert_int_equal(sequence->scored[i], sequence->masked[i] && later < counts->limit && !never);
        later += sequence->masked[i];
        if (sequence->length == (size_t)w->settings.model.max_length)
            counts->masked_at[i] += sequence->masked[i];
    }
}

static masking_counts count_epochs(const world *w, const sr_sampler *sampler, size_t epochs, size_t limit)
{
    masking_counts counts = {.limit = limit};
    for (size_t epoch = 0; epoch < epochs; ++epoch)
        visit_epoch(w, sampler, epoch, 1, count_masks, &counts);
    return counts;
}

static void items_are_masked_with_the_given_probability(void **state)
{
    enum { EPOCHS = 300, LENGTH = 10 };
    world *w = *state;
    sr_sampler *sampler = make_masked_sampler(w, 0.3, "released", LENGTH);
    const masking_counts counts = count_epochs(w, sampler, EPOCHS, 3);
    assert_int_equal(counts.sequences, EPOCHS * sr_sampler_examples(sampler));
    const double items = (double)counts.items, deviation = sqrt(items * 0.3 * 0.7);
    assert_true(fabs((double)counts.masked - 0.3 * items) < 4 * deviation);
    for (size_t i = 1; i < LENGTH; ++i) /* every place alike */
        assert_true(fabs((double)counts.masked_at[i] - (double)counts.masked_at[0]) < 0.2 * (double)counts.masked_at[0]);
    sr_sampler_free(sampler);
}

static void only_the_last_masked_items_are_scored(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_masked_sampler(w, 0.5, "at_least_one", 6);
    assert_true(count_epochs(w, sampler, 5, 3).over_limit > 0);
    sr_sampler_free(sampler);
    sampler = make_masked_sampler(w, 0.15, "at_least_one", 6); /* int(0.15 * 6) is 0, and one is scored even so */
    assert_true(count_epochs(w, sampler, 20, 1).over_limit > 0);
    sr_sampler_free(sampler);
}

static void at_least_one_item_is_masked_and_scored_unless_as_released(void **state)
{
    enum { EPOCHS = 40 };
    world *w = *state;
    sr_sampler *sampler = make_masked_sampler(w, 0.2, "at_least_one", 6);
    masking_counts counts = count_epochs(w, sampler, EPOCHS, 1);
    assert_int_equal(counts.without_score, 0);
    assert_true(counts.first_scored > 0);
    sr_sampler_free(sampler);
    sampler = make_masked_sampler(w, 0.2, "released", 6);
    counts = count_epochs(w, sampler, EPOCHS, 1);
    assert_true(counts.without_score > 0);
    assert_true(counts.first_masked > 0);
    assert_int_equal(counts.first_scored, 0);
    sr_sampler_free(sampler);
}

static void the_one_item_that_must_be_masked_is_any(void **state)
{
    enum { EPOCHS = 300, LENGTH = 6 };
    world *w = *state;
    sr_sampler *sampler = make_masked_sampler(w, 1e-12, "at_least_one", LENGTH);
    const masking_counts counts = count_epochs(w, sampler, EPOCHS, 1);
    assert_int_equal(counts.masked, counts.sequences);
    size_t sum = 0;
    for (size_t i = 0; i < LENGTH; ++i)
        sum += counts.masked_at[i];
    for (size_t i = 0; i < LENGTH; ++i)
        assert_true(fabs((double)counts.masked_at[i] - (double)sum / LENGTH) < 0.15 * (double)sum / LENGTH);
    sr_sampler_free(sampler);
}

/* What an epoch masks and scores, by example. */
typedef struct {
    uint64_t masked[128], scored[128];
} masking_record;

static void record_masks(void *context, const world *w, const masked_sequence *sequence)
{
    (void)w;
    masking_record *record = context;
    assert_true(sequence->identity < 128);
    for (size_t i = 0; i < sequence->length; ++i) {
        record->masked[sequence->identity] |= (uint64_t)sequence->masked[i] << i;
        record->scored[sequence->identity] |= (uint64_t)sequence->scored[i] << i;
    }
}

static void masks_depend_on_the_epoch_and_not_on_ranks(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_masked_sampler(w, 0.4, "at_least_one", 6);
    masking_record one = {{0}, {0}}, next = {{0}, {0}};
    const size_t targets = visit_epoch(w, sampler, 4, 1, record_masks, &one);
    for (size_t ranks = 2; ranks <= 3; ++ranks) {
        masking_record many = {{0}, {0}};
        assert_int_equal(visit_epoch(w, sampler, 4, ranks, record_masks, &many), targets);
        assert_memory_equal(&one, &many, sizeof one);
    }
    visit_epoch(w, sampler, 5, 1, record_masks, &next);
    assert_memory_not_equal(&one, &next, sizeof one);
    sr_sampler_free(sampler);
}

static void a_masked_model_takes_whole_training_parts_or_non_empty_prefixes(void **state)
{
    world *w = *state;
    size_t window_prefixes = 0, with_items = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t train = sr_dataset_sequence(w->dataset, user).train_end;
        window_prefixes += (train < 6 ? train : 6) - 1;
        with_items += train >= 1;
    }
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    sr_sampler *sampler = make_masked_sampler(w, 0.4, "at_least_one", 6);
    assert_int_equal(sr_sampler_examples(sampler), window_prefixes);
    for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
        sr_batch batch;
        draw(w, sampler, 0, index, 0, 1, &batch);
        for (size_t token = 0; token < batch.layout.offsets[batch.layout.sequences]; ++token)
            assert_int_not_equal(batch.items[token], 0);
    }
    sr_sampler_free(sampler);
    w->settings.data.samples = SR_SAMPLES_SLIDING;
    w->settings.model.objective = SR_OBJECTIVE_ALL;
    sampler = make_masked_sampler(w, 0.4, "at_least_one", 6);
    assert_int_equal(sr_sampler_examples(sampler), with_items);
    assert_int_equal(count_epochs(w, sampler, 1, 2).sequences, with_items); /* with the checks of take_apart() */
    sr_sampler_free(sampler);
}

static void check_negatives(void *context, const world *w, const masked_sequence *sequence)
{
    (void)context;
    (void)w;
    for (size_t i = 0; i < sequence->length; ++i)
        for (size_t j = 0; j < sequence->length && sequence->scored[i]; ++j) {
            assert_in_range(sequence->negatives[i], 1, ITEMS);
            assert_int_not_equal(sequence->negatives[i], sequence->original[j]);
        }
}

static void negatives_of_masked_items_are_not_in_the_history_behind_the_masks(void **state)
{
    world *w = *state;
    w->settings.model.loss = sr_loss_number("bpr");
    sr_sampler *sampler = make_masked_sampler(w, 0.5, "at_least_one", 6);
    assert_true(visit_epoch(w, sampler, 0, 2, check_negatives, NULL) > 0);
    sr_sampler_free(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_are_masked_with_the_given_probability, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(only_the_last_masked_items_are_scored, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(at_least_one_item_is_masked_and_scored_unless_as_released, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(the_one_item_that_must_be_masked_is_any, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(masks_depend_on_the_epoch_and_not_on_ranks, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(a_masked_model_takes_whole_training_parts_or_non_empty_prefixes, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(negatives_of_masked_items_are_not_in_the_history_behind_the_masks, sampler_set_up,
                                        sampler_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

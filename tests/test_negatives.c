/* Sampled negatives: distributions, lists, hits, shares, on any number of ranks. */
#include "data/item_shares.h"
#include "sampled_lists.h"
#include "small_dataset.h"
#include "srtrain/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- distributions ---- */

enum { COLUMNS = 1000 };

/* Occurrences of a skewed popularity, with items that never occur. */
static void make_occurrences(int64_t *occurrences, size_t items)
{
    occurrences[0] = 0;
    for (size_t item = 1; item <= items; ++item)
        occurrences[item] = item % 17 == 5 ? 0 : 1 + (int64_t)(100000 / (item * item % 4099 + 1));
}

static void *table_of(const shares_request *request)
{
    void *table = calloc(1, item_shares_bytes(request));
    assert_non_null(table);
    return table;
}

static void an_alias_table_has_the_probabilities_that_it_was_made_from(void **state)
{
    (void)state;
    static int64_t occurrences[COLUMNS + 1];
    static double shares[COLUMNS];
    make_occurrences(occurrences, COLUMNS);
    static const double exponents[] = {0, 0.5, 0.75, 1, 2};
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; ++e) {
        const sr_negative_settings settings = {
            .count = 1, .sampling = SR_SAMPLING_POPULARITY, .popularity_exponent = exponents[e]};
        const shares_request request = {.settings = &settings, .items = COLUMNS, .occurrences = occurrences};
        void *table = table_of(&request);
        item_shares made = item_shares_of(&request);
        double sum = 0, total = 0;
        item_shares_compute(&request, table);
        item_shares_read(&made, &request, table);
        memset(shares, 0, sizeof shares);
        for (size_t column = 0; column < COLUMNS; ++column) {
            const double threshold = made.alias.thresholds[column];
            assert_true(threshold >= 0 && threshold <= 1);
            shares[column] += threshold / COLUMNS;
            shares[made.alias.aliases[column]] += (1 - threshold) / COLUMNS;
            sum += exponents[e] == 0 ? 1 : pow((double)occurrences[column + 1], exponents[e]);
        }
        for (size_t column = 0; column < COLUMNS; ++column) {
            const double expected = (exponents[e] == 0 ? 1 : pow((double)occurrences[column + 1], exponents[e])) / sum;
            const double share = item_share(&made, (int32_t)column + 1);
            assert_true(fabs(shares[column] - expected) < 1e-12);
            assert_true(fabs(share - expected) < 1e-15);
            assert_true(expected == 0 ? isinf(item_log_share(&made, (int32_t)column + 1))
                                      : fabs(exp(item_log_share(&made, (int32_t)column + 1)) - expected) < 1e-14);
            total += share;
        }
        assert_true(fabs(total - 1) < 1e-12);
        free(table);
    }
}

/* By hand: p = 1/8, 1/8, 1/2, 1/4 of four columns, times 4: .5, .5, 2, 1. The first queue is 0, 1, the second 2, 3. Column 0 is
 * filled up by 2 (left 1.5), 1 by 2 (left 1), which has not fallen; 2 and 3 are left over. */
static void an_alias_table_is_filled_in_ascending_order(void **state)
{
    (void)state;
    double thresholds[] = {0.5, 0.5, 2, 1}, falling[] = {0.25, 1.5, 0.5, 1.75};
    int32_t aliases[4];
    alias_table table = {4, thresholds, aliases};
    alias_table_build(&table);
    const double expected[] = {0.5, 0.5, 1, 1};
    const int32_t expected_aliases[] = {2, 2, 2, 3};
    assert_memory_equal(thresholds, expected, sizeof expected);
    assert_memory_equal(aliases, expected_aliases, sizeof expected_aliases);
    /* 0 takes .75 of 1, which falls to .75 and joins behind 2; 2 takes .5 of 3, then 1 takes .25 of it, and 3 is left. */
    table.thresholds = falling;
    alias_table_build(&table);
    const double falls[] = {0.25, 0.75, 0.5, 1};
    const int32_t falls_to[] = {1, 3, 3, 3};
    assert_memory_equal(falling, falls, sizeof falls);
    assert_memory_equal(aliases, falls_to, sizeof falls_to);
}

/* ---- lists ---- */

static sr_sampling sampling_with(const world *w, const sr_negative_settings *sampled)
{
    sr_sampling sampling = sr_settings_sampling(&w->settings);
    sampling.negatives = true;
    sampling.reads_shares = sampled->history_hits != SR_HITS_REDRAW_ALL;
    sampling.sampled = *sampled;
    return sampling;
}

/* The targets of a user's example, or the only one of a prefix, and what goes before it. */
static void describe_example(const world *w, bool all, uint64_t identity, listed_target *target)
{
    const size_t longest = (size_t)w->settings.model.max_length;
    size_t user = (size_t)identity, length;
    if (!all)
        find_prefix(w, identity, &user, &length);
    const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
    length = all ? sequence.train_end - 1 : length;
    const size_t used = length < longest ? length : longest;
    target->identity = identity;
    target->history_length = length;
    target->window_length = used;
    target->example_targets = all ? used : 1;
    for (size_t i = 0; i < length; ++i)
        target->history[i] = sequence.items[i];
    for (size_t i = 0; i < used; ++i)
        target->window[i] = sequence.items[length - used + i];
    for (size_t i = 0; i < target->example_targets; ++i)
        target->of_example[i] = sequence.items[length + 1 - target->example_targets + i];
}

static void share_targets(const world *w, bool all, double shares[ITEMS + 1])
{
    const size_t longest = (size_t)w->settings.model.max_length;
    double total = 0;
    memset(shares, 0, (ITEMS + 1) * sizeof *shares);
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        const size_t targets = sequence.train_end - 1;
        for (size_t i = all && targets > longest ? targets - longest : 0; i < targets; ++i, ++total)
            shares[sequence.items[i + 1]] += 1;
    }
    for (size_t item = 0; item <= ITEMS; ++item)
        shares[item] /= total;
}

static void assert_listed(const sr_batch *batch, size_t list, size_t target, const listed_negatives *expected)
{
    const sr_negatives *n = batch->negatives;
    const size_t begin = n->hit_offsets ? n->hit_offsets[target] : 0, end = n->hit_offsets ? n->hit_offsets[target + 1] : 0;
    assert_memory_equal(n->items + list * n->length, expected->items, n->length * sizeof *n->items);
    assert_int_equal(end - begin, expected->hit_count);
    if (expected->hit_count > 0)
        assert_memory_equal(n->hits + begin, expected->hits, expected->hit_count * sizeof *n->hits);
    if (!n->log_q)
        return;
    for (size_t place = 0; place < n->length; ++place)
        assert_true(fabs(n->log_q[list * n->length + place] - expected->log_q[place]) < 1e-6);
    assert_true(fabs(n->target_log_q[target] - expected->target_log_q) < 1e-6);
    assert_true(fabs(n->excluded_share[target] - expected->excluded_share) < 1e-12);
}

/* What one rank has of a batch, target by target. */
typedef struct {
    size_t targets;
    uint64_t identity[128];
    size_t number[128], position[128];
    int32_t items[128];
} batch_list;

static size_t sequence_of(const sr_batch *batch, size_t target)
{
    size_t sequence = 0;
    while (batch->layout.offsets[sequence + 1] <= batch->reads.tokens[batch->target_reads[target]])
        ++sequence;
    return sequence;
}

static void list_batch(const sr_batch *batch, batch_list *list)
{
    list->targets = batch->targets;
    assert_true(batch->targets <= 128);
    for (size_t t = 0; t < batch->targets; ++t) {
        const size_t sequence = sequence_of(batch, t);
        list->identity[t] = batch->layout.identity[sequence];
        list->number[t] = sequence;
        list->position[t] = batch->reads.tokens[batch->target_reads[t]] - batch->layout.offsets[sequence];
        list->items[t] = batch->target_items[t];
    }
}

/* Every target of a rank's part against the definition; returns how many there are. */
static size_t check_part(const world *w, const sr_sampling *sampling, const sr_batch *part, const batch_list *whole,
                         listed_target *target)
{
    const sr_negatives *n = part->negatives;
    size_t list = 0;
    assert_non_null(n);
    assert_int_equal(n->first_target[n->lists], part->targets);
    for (size_t t = 0; t < part->targets; ++t) {
        const size_t sequence = sequence_of(part, t);
        const uint64_t identity = part->layout.identity[sequence];
        const size_t token = part->reads.tokens[part->target_reads[t]] - part->layout.offsets[sequence];
        size_t same = 0;
        while (whole->identity[same] != identity || whole->position[same] != token)
            ++same;
        listed_negatives expected;
        describe_example(w, sampling->every_position, identity, target);
        target->number = whole->number[same];
        target->position = sampling->every_position ? target->history_length - target->window_length + token : 0;
        target->item = whole->items[same];
        assert_int_equal(part->target_items[t], target->item);
        list_negatives(target, &expected);
        while (n->first_target[list + 1] <= t)
            ++list;
        assert_listed(part, list, t, &expected);
    }
    return part->targets;
}

static void check_batch(const world *w, const sr_sampler *sampler, const sr_sampling *sampling, size_t epoch, size_t index)
{
    static const size_t numbers[] = {1, 2, 3, 4, 150};
    double shares[ITEMS + 1];
    batch_list whole;
    sr_batch batch;
    draw(w, sampler, epoch, index, 0, 1, &batch);
    list_batch(&batch, &whole);
    share_targets(w, sampling->every_position, shares);
    const sr_batch_targets targets = {whole.items, whole.targets};
    listed_target target = {.sampling = sampling,
                            .dataset = w->dataset,
                            .epoch = epoch,
                            .index = index,
                            .batches = sr_sampler_batches(sampler),
                            .batch = &targets,
                            .target_shares = shares};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        size_t found = 0;
        for (size_t rank = 0; rank < numbers[i]; ++rank) {
            draw(w, sampler, epoch, index, rank, numbers[i], &batch);
            found += check_part(w, sampling, &batch, &whole, &target);
        }
        assert_int_equal(found, whole.targets);
    }
    sr_arena_reset(w->arena);
}

static void check_sampling(world *w, const sr_negative_settings *sampled)
{
    for (int all = 0; all < 2; ++all) {
        sr_sampler *sampler;
        sr_error error;
        w->settings.model.objective = all ? SR_OBJECTIVE_ALL : SR_OBJECTIVE_LAST;
        w->settings.training.batch_size = all ? 5 : 8;
        const sr_sampling sampling = sampling_with(w, sampled);
        if (sr_sampler_create(&sampler, w->dataset, &sampling, &error) != SR_OK)
            fail_msg("%s", error.message);
        check_batch(w, sampler, &sampling, 0, 0);
        check_batch(w, sampler, &sampling, 2, sr_sampler_batches(sampler) - 1); /* a smaller one */
        sr_sampler_free(sampler);
    }
}

static void every_rank_draws_what_the_definition_says(void **state)
{
    world *w = *state;
    for (int sharing = SR_SHARING_TARGET; sharing <= SR_SHARING_BATCH; ++sharing)
        for (int sampling = SR_SAMPLING_UNIFORM; sampling <= SR_SAMPLING_MIXED; ++sampling)
            for (int hits = 0; hits < 5; ++hits) {
                static const sr_negative_hits of_target[] = {SR_HITS_KEEP, SR_HITS_MASK, SR_HITS_MASK, SR_HITS_REDRAW,
                                                             SR_HITS_REDRAW};
                static const sr_negative_hits of_history[] = {SR_HITS_KEEP, SR_HITS_KEEP, SR_HITS_MASK, SR_HITS_KEEP,
                                                              SR_HITS_REDRAW};
                const bool redraws = of_target[hits] == SR_HITS_REDRAW;
                if (redraws && (sharing >= SR_SHARING_SLICE || sampling == SR_SAMPLING_BATCH))
                    continue;
                check_sampling(w, &(sr_negative_settings){.count = 1 + 12 * (hits % 2) + 3 * sharing,
                                                          .sharing = (sr_negative_sharing)sharing,
                                                          .slice = 3,
                                                          .sampling = (sr_negative_sampling)sampling,
                                                          .popularity_exponent = 0.75,
                                                          .batch_share = 0.4,
                                                          .target_hits = of_target[hits],
                                                          .history_hits = of_history[hits]});
            }
}

static void all_targets_of_the_batch_can_be_the_list(void **state)
{
    check_sampling(*state, &(sr_negative_settings){
                               .sharing = SR_SHARING_BATCH, .sampling = SR_SAMPLING_BATCH, .target_hits = SR_HITS_MASK});
}

static void losses_of_one_negative_draw_what_they_always_drew(void **state)
{
    check_sampling(*state, &SR_ONE_NEGATIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_table_has_the_probabilities_that_it_was_made_from),
        cmocka_unit_test(an_alias_table_is_filled_in_ascending_order),
        cmocka_unit_test_setup_teardown(every_rank_draws_what_the_definition_says, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(all_targets_of_the_batch_can_be_the_list, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(losses_of_one_negative_draw_what_they_always_drew, sampler_set_up, sampler_tear_down),
    };
    return cmocka_run_group_tests_name("negatives", tests, NULL, NULL);
}

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
    sampling.reads_shares = true;
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

static void check_sampling(world *w, const sr_negative_settings *sampled, size_t batch_size)
{
    for (int all = 0; all < 2; ++all) {
        sr_sampler *sampler;
        sr_error error;
        w->settings.model.objective = all ? SR_OBJECTIVE_ALL : SR_OBJECTIVE_LAST;
        w->settings.training.batch_size = (int64_t)(batch_size ? batch_size : all ? 5 : 8);
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
                check_sampling(w,
                               &(sr_negative_settings){.count = 1 + 12 * (hits % 2) + 3 * sharing,
                                                       .sharing = (sr_negative_sharing)sharing,
                                                       .slice = 3,
                                                       .sampling = (sr_negative_sampling)sampling,
                                                       .popularity_exponent = 0.75,
                                                       .batch_share = 0.4,
                                                       .target_hits = of_target[hits],
                                                       .history_hits = of_history[hits]},
                               0);
            }
}

static void all_targets_of_the_batch_can_be_the_list(void **state)
{
    check_sampling(
        *state,
        &(sr_negative_settings){.sharing = SR_SHARING_BATCH, .sampling = SR_SAMPLING_BATCH, .target_hits = SR_HITS_MASK}, 0);
}

static void losses_of_one_negative_draw_what_they_always_drew(void **state)
{
    sr_negative_settings more = SR_ONE_NEGATIVE;
    check_sampling(*state, &more, 0);
    more.count = 12;
    check_sampling(*state, &more, 0);
    more.sharing = SR_SHARING_EXAMPLE;
    check_sampling(*state, &more, 0);
}

/* In a batch of one example of one target, that target is all that can be drawn from the batch. */
static void what_cannot_be_drawn_again_is_masked(void **state)
{
    static const double shares[] = {0.5, 1};
    for (size_t i = 0; i < 2 * sizeof shares / sizeof *shares; ++i)
        for (int sharing = SR_SHARING_TARGET; sharing <= SR_SHARING_EXAMPLE; ++sharing)
            check_sampling(*state,
                           &(sr_negative_settings){.count = 6,
                                                   .sharing = (sr_negative_sharing)sharing,
                                                   .sampling = SR_SAMPLING_MIXED,
                                                   .batch_share = shares[i / 2],
                                                   .target_hits = SR_HITS_REDRAW,
                                                   .history_hits = i % 2 ? SR_HITS_REDRAW : SR_HITS_KEEP},
                           1);
}

/* ---- small catalogues ---- */

static size_t the_item(size_t user, size_t i)
{
    (void)user;
    (void)i;
    return 0;
}

static size_t one_of_two(size_t user, size_t i)
{
    return (user + i) % 2;
}

static sr_status sampler_of(const world *w, const char *name, const equal_sequences *sequences, sr_negative_sampling sampling,
                            sr_sampler **sampler, sr_dataset **dataset, sr_error *error)
{
    char path[80];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    small_dataset_write_equal(path, sequences);
    assert_int_equal(sr_dataset_open(dataset, path, error), SR_OK);
    sr_negative_settings sampled = SR_ONE_NEGATIVE;
    sampled.sampling = sampling;
    const sr_sampling made = sampling_with(w, &sampled);
    return sr_sampler_create(sampler, *dataset, &made, error);
}

static void a_catalogue_without_a_negative_is_refused(void **state)
{
    world *w = *state;
    static const char *const names[] = {"one", "one-occurs", "two"};
    for (size_t i = 0; i < 3; ++i) {
        sr_sampler *sampler;
        sr_dataset *dataset;
        sr_error error;
        const equal_sequences sequences = {
            .users = 4, .items = i == 0 ? 1 : 2, .length = 6, .shards = 1, .item_of = i == 2 ? one_of_two : the_item};
        const sr_negative_sampling sampling = i == 1 ? SR_SAMPLING_POPULARITY : SR_SAMPLING_UNIFORM;
        const sr_status status = sampler_of(w, names[i], &sequences, sampling, &sampler, &dataset, &error);
        if (i < 2) {
            assert_int_equal(status, SR_ERROR_DATA);
            assert_null(sampler);
            assert_non_null(strstr(error.message, "no target has a negative"));
        } else {
            sr_batch batch;
            assert_int_equal(status, SR_OK);
            draw(w, sampler, 0, 0, 0, 1, &batch);
            for (size_t t = 0; t < batch.targets; ++t)
                assert_int_equal(batch.negatives->items[t], 3 - batch.target_items[t]);
            assert_null(batch.negatives->hit_offsets);
        }
        sr_sampler_free(sampler);
        sr_dataset_close(dataset);
    }
}

/* ---- many draws ---- */

/* How often each item is drawn in lists of whole batches, and the share of it that the loss is told. */
static void count_draws(world *w, const sr_negative_settings *sampled, size_t batch_size, size_t batches,
                        double counts[ITEMS + 1], double shares[ITEMS + 1])
{
    sr_sampler *sampler;
    w->settings.training.batch_size = (int64_t)batch_size;
    const sr_sampling sampling = sampling_with(w, sampled);
    assert_int_equal(sr_sampler_create(&sampler, w->dataset, &sampling, NULL), SR_OK);
    const size_t of_epoch = sr_sampler_batches(sampler);
    memset(counts, 0, (ITEMS + 1) * sizeof *counts);
    memset(shares, 0, (ITEMS + 1) * sizeof *shares);
    for (size_t b = 0; b < batches; ++b) {
        sr_batch batch;
        draw(w, sampler, b / of_epoch, b % of_epoch, 0, 1, &batch);
        const sr_negatives *n = batch.negatives;
        assert_int_equal(n->lists, 1);
        for (size_t place = 0; place < n->length; ++place) {
            assert_in_range(n->items[place], 1, ITEMS);
            double *share = &shares[n->items[place]];
            counts[n->items[place]] += 1;
            if (*share == 0)
                *share = exp((double)n->log_q[place]);
        }
        sr_arena_reset(w->arena);
    }
    sr_sampler_free(sampler);
}

/* Chi-square of ITEMS - 1 = 39 degrees of freedom: above 86 once in 50,000. Draws are the same every time. */
static void draws_have_the_shares_that_losses_are_told(void **state)
{
    enum { BATCHES = 20, LENGTH = 100000, LARGEST = 86 };
    world *w = *state;
    for (int sampling = SR_SAMPLING_UNIFORM; sampling <= SR_SAMPLING_MIXED; ++sampling) {
        double counts[ITEMS + 1], shares[ITEMS + 1], square = 0, sum = 0;
        const sr_negative_settings sampled = {.count = LENGTH,
                                              .sharing = SR_SHARING_BATCH,
                                              .sampling = (sr_negative_sampling)sampling,
                                              .popularity_exponent = 0.75,
                                              .batch_share = 0.3,
                                              .target_hits = SR_HITS_MASK};
        count_draws(w, &sampled, 1000, BATCHES, counts, shares); /* one batch an epoch: its targets are those of the epoch */
        for (size_t item = 1; item <= ITEMS; ++item) {
            const double expected = shares[item] * BATCHES * LENGTH;
            sum += shares[item];
            if (shares[item] > 0) /* else it has not been drawn */
                square += (counts[item] - expected) * (counts[item] - expected) / expected;
        }
        assert_true(fabs(sum - 1) < 1e-6);
        if (square > LARGEST)
            fail_msg("sampling %d: chi-square is %g", sampling, square);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_table_has_the_probabilities_that_it_was_made_from),
        cmocka_unit_test(an_alias_table_is_filled_in_ascending_order),
        cmocka_unit_test_setup_teardown(every_rank_draws_what_the_definition_says, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(draws_have_the_shares_that_losses_are_told, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_drawn_again_is_masked, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(a_catalogue_without_a_negative_is_refused, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(all_targets_of_the_batch_can_be_the_list, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(losses_of_one_negative_draw_what_they_always_drew, sampler_set_up, sampler_tear_down),
    };
    return cmocka_run_group_tests_name("negatives", tests, NULL, NULL);
}

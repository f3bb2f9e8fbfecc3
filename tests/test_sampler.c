/* Training examples, their order over an epoch, and their division among ranks. */
#include "optional.h"
#include "small_dataset.h"
#include "srtrain/model.h"
#include "srtrain/sampler.h"

#include "data/same_target.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 7, ITEMS = 40, MASK_TOKEN = ITEMS + 1 };

typedef struct {
    char directory[64];
    sr_dataset *dataset, *timeless;
    sr_settings settings;
    sr_arena *arena;
} world;

/* User u has 2 + 3 u interactions with items five apart. */
static void write_data(const char *directory, bool with_times)
{
    int64_t offsets[USERS + 1] = {0}, times[200];
    int32_t items[200], train_end[USERS], valid_end[USERS];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = 2 + 3 * user;
        for (size_t i = 0; i < length; ++i) {
            times[count] = (int64_t)(1000 * user + i);
            items[count++] = 1 + (int32_t)((user + 5 * i) % ITEMS);
        }
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)(length >= 3 ? length - 2 : length);
        valid_end[user] = (int32_t)(length >= 3 ? length - 1 : length);
    }
    small_dataset_write(directory, &(small_dataset){.users = USERS,
                                                    .items = ITEMS,
                                                    .shards = 2,
                                                    .offsets = offsets,
                                                    .item_ids = items,
                                                    .times = with_times ? times : NULL,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
}

static sr_dataset *make_data(const char *directory, const char *name, bool with_times)
{
    char path[80];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    write_data(path, with_times);
    sr_dataset *dataset;
    sr_error error;
    if (sr_dataset_open(&dataset, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    return dataset;
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    w->dataset = make_data(w->directory, "data", true);
    w->timeless = make_data(w->directory, "timeless", false);
    sr_settings_default(&w->settings);
    w->settings.model.max_length = 6;
    w->settings.training.batch_size = 8;
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    char command[128];
    sr_dataset_close(w->dataset);
    sr_dataset_close(w->timeless);
    sr_arena_free(w->arena);
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    const int result = system(command);
    free(w);
    return result;
}

static sr_sampler *make_sampler(const world *w)
{
    sr_sampler *sampler;
    assert_int_equal(sr_sampler_create(&sampler, w->dataset, &w->settings, NULL), SR_OK);
    return sampler;
}

static void draw(const world *w, const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks,
                 sr_batch *batch)
{
    size_t targets, examples;
    assert_int_equal(sr_sampler_batch(sampler, epoch, index, rank, ranks, w->arena, batch, &targets, &examples, NULL), SR_OK);
}

static void sliding_gives_every_nonempty_prefix(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_sampler(w);
    size_t expected = 0;
    for (size_t user = 0; user < USERS; ++user)
        expected += sr_dataset_sequence(w->dataset, user).train_end - 1;
    assert_int_equal(sr_sampler_examples(sampler), expected);
    assert_int_equal(sr_sampler_batches(sampler), (expected + 7) / 8);
    sr_sampler_free(sampler);
}

static void window_gives_the_last_items_only_and_the_empty_prefix(void **state)
{
    world *w = *state;
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    sr_sampler *sampler = make_sampler(w);
    size_t expected = 0, empty = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t train = sr_dataset_sequence(w->dataset, user).train_end;
        expected += train < 6 ? train : 6;
    }
    assert_int_equal(sr_sampler_examples(sampler), expected);
    for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
        sr_batch batch;
        draw(w, sampler, 0, index, 0, 1, &batch);
        for (size_t t = 0; t < batch.targets; ++t) {
            const size_t token = batch.reads.tokens[batch.target_reads[t]];
            empty += batch.items[token] == 0;
        }
    }
    assert_int_equal(empty, USERS);
    sr_sampler_free(sampler);
}

static void every_target_follows_its_history(void **state)
{
    world *w = *state;
    for (int window = 0; window < 2; ++window) {
        w->settings.data.samples = window ? SR_SAMPLES_WINDOW : SR_SAMPLES_SLIDING;
        sr_sampler *sampler = make_sampler(w);
        for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
            sr_batch batch;
            draw(w, sampler, 3, index, 0, 1, &batch);
            for (size_t t = 0; t < batch.targets; ++t) {
                const int32_t last = batch.items[batch.reads.tokens[batch.target_reads[t]]];
                if (last != 0) /* items of a user are five apart */
                    assert_int_equal(batch.target_items[t], 1 + (last - 1 + 5) % ITEMS);
            }
        }
        sr_sampler_free(sampler);
    }
}

static void an_epoch_visits_every_example_once_in_an_order_of_its_own(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_sampler(w);
    const size_t examples = sr_sampler_examples(sampler);
    uint64_t first_order[2] = {0, 0};
    for (size_t epoch = 0; epoch < 2; ++epoch) {
        char *seen = calloc(examples, 1);
        for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
            sr_batch batch;
            draw(w, sampler, epoch, index, 0, 1, &batch);
            for (size_t s = 0; s < batch.layout.sequences; ++s) {
                assert_true(batch.layout.identity[s] < examples);
                assert_false(seen[batch.layout.identity[s]]);
                seen[batch.layout.identity[s]] = 1;
            }
            if (index == 0)
                first_order[epoch] = batch.layout.identity[0] * 1000 + batch.layout.identity[1];
        }
        for (size_t i = 0; i < examples; ++i)
            assert_true(seen[i]);
        free(seen);
    }
    assert_true(first_order[0] != first_order[1]);
    sr_sampler_free(sampler);
}

static void ranks_divide_the_same_batch_without_overlap(void **state)
{
    world *w = *state;
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    w->settings.model.loss = sr_loss_number("bpr");
    sr_sampler *sampler = make_sampler(w);
    /* More ranks than examples as well, and so many that they form groups. */
    for (size_t ranks = 1; ranks <= 150; ranks = ranks == 12 ? 64 : ranks == 65 ? 150 : ranks + 1) {
        size_t total = 0, sum = 0, negative_sum = 0;
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            size_t targets, examples;
            assert_int_equal(sr_sampler_batch(sampler, 1, 2, rank, ranks, w->arena, &batch, &targets, &examples, NULL), SR_OK);
            assert_int_equal(targets, 8);
            assert_int_equal(examples, 8);
            total += batch.targets;
            for (size_t t = 0; t < batch.targets; ++t) {
                sum += (size_t)batch.target_items[t];
                negative_sum += (size_t)batch.negative_items[t] * (size_t)batch.target_items[t];
                assert_int_not_equal(batch.negative_items[t], batch.target_items[t]);
            }
        }
        static size_t expected_sum, expected_negatives;
        if (ranks == 1) {
            expected_sum = sum;
            expected_negatives = negative_sum;
        }
        assert_int_equal(total, 8);
        assert_int_equal(sum, expected_sum);
        assert_int_equal(negative_sum, expected_negatives);
    }
    sr_sampler_free(sampler);
}

static void all_positions_gives_one_example_a_user_with_the_next_items_as_targets(void **state)
{
    world *w = *state;
    w->settings.model.objective = SR_OBJECTIVE_ALL;
    sr_sampler *sampler = make_sampler(w);
    assert_int_equal(sr_sampler_examples(sampler), USERS); /* even the shortest has two training items */
    sr_batch batch;
    size_t targets, examples, expected = 0;
    assert_int_equal(sr_sampler_batch(sampler, 0, 0, 0, 1, w->arena, &batch, &targets, &examples, NULL), SR_OK);
    for (size_t user = 0; user < USERS; ++user) {
        const size_t pairs = sr_dataset_sequence(w->dataset, user).train_end - 1;
        expected += pairs < 6 ? pairs : 6;
    }
    assert_int_equal(batch.targets, expected);
    assert_int_equal(targets, expected);
    sr_sampler_free(sampler);
}

static void every_target_has_a_negative_outside_its_history_with_the_losses_that_compare_two_items(void **state)
{
    world *w = *state;
    static const char *const losses[] = {"bpr", "binary_cross_entropy", "stosa"};
    for (size_t i = 0; i < 2 * sizeof losses / sizeof *losses; ++i) {
        w->settings.model.loss = sr_loss_number(losses[i / 2]);
        w->settings.model.objective = i % 2 ? SR_OBJECTIVE_ALL : SR_OBJECTIVE_LAST;
        sr_sampler *sampler = make_sampler(w);
        sr_batch batch;
        draw(w, sampler, 0, 0, 0, 1, &batch);
        assert_true(batch.targets > 0);
        assert_non_null(batch.negative_items);
        for (size_t t = 0; t < batch.targets; ++t) {
            const int32_t negative = batch.negative_items[t];
            size_t sequence = 0;
            while (batch.layout.offsets[sequence + 1] <= batch.reads.tokens[batch.target_reads[t]])
                ++sequence;
            assert_in_range(negative, 1, ITEMS);
            assert_int_not_equal(negative, batch.target_items[t]);
            for (size_t token = batch.layout.offsets[sequence]; token < batch.layout.offsets[sequence + 1]; ++token)
                assert_int_not_equal(negative, batch.items[token]);
        }
        sr_sampler_free(sampler);
    }
    w->settings.model.loss = sr_loss_number("cross_entropy");
    sr_sampler *sampler = make_sampler(w);
    sr_batch batch;
    draw(w, sampler, 0, 0, 0, 1, &batch);
    assert_null(batch.negative_items);
    sr_sampler_free(sampler);
}

/* ---- users and times ---- */

/* The user and the length of prefix number `number` of all non-empty ones (samples sliding, objective last). */
static void find_prefix(const world *w, uint64_t number, size_t *user, size_t *length)
{
    for (*user = 0;; ++*user) {
        const size_t prefixes = sr_dataset_sequence(w->dataset, *user).train_end - 1;
        if (number < prefixes)
            break;
        number -= prefixes;
    }
    *length = (size_t)number + 1;
}

static void models_get_the_users_and_times_that_they_need(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "ssept", "tisasrec"};
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
        w->settings.model.backbone = sr_backbone_number(backbones[b]);
        sr_sampler *sampler = make_sampler(w);
        for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
            sr_batch batch;
            draw(w, sampler, 2, index, 0, 1, &batch);
            assert_int_equal(batch.users != NULL, strcmp(backbones[b], "ssept") == 0);
            assert_int_equal(batch.times != NULL, strcmp(backbones[b], "tisasrec") == 0);
            for (size_t s = 0; s < batch.layout.sequences; ++s) {
                size_t user, length;
                find_prefix(w, batch.layout.identity[s], &user, &length);
                for (size_t token = batch.layout.offsets[s]; token < batch.layout.offsets[s + 1]; ++token) {
                    if (batch.users)
                        assert_int_equal(batch.users[token], user + 1);
                    if (batch.times)
                        assert_int_equal(batch.times[token], 1000 * user + length - (batch.layout.offsets[s + 1] - token));
                }
            }
        }
        sr_sampler_free(sampler);
    }
}

static void empty_prefixes_of_users_are_sequences_of_their_own_on_any_rank(void **state)
{
    world *w = *state;
    w->settings.model.backbone = sr_backbone_number("ssept");
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    w->settings.training.batch_size = 1000;
    sr_sampler *sampler = make_sampler(w);
    for (size_t ranks = 1; ranks <= 3; ++ranks) {
        bool seen[USERS + 1] = {false};
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            size_t empty = 0;
            draw(w, sampler, 0, 0, rank, ranks, &batch);
            for (size_t s = 0; s < batch.layout.sequences; ++s)
                if (batch.layout.leading[s] > 0) {
                    const int32_t user = batch.users[batch.layout.offsets[s]];
                    assert_false(seen[user]);
                    seen[user] = true;
                    ++empty;
                }
            assert_true(ranks == 1 || empty < USERS); /* nothing binds them to one rank */
        }
        for (size_t user = 1; user <= USERS; ++user)
            assert_true(seen[user]);
    }
    sr_sampler_free(sampler);
}

static void a_model_of_times_is_refused_data_without_them(void **state)
{
    world *w = *state;
    sr_sampler *sampler;
    sr_error error;
    assert_int_equal(sr_sampler_create(&sampler, w->timeless, &w->settings, &error), SR_OK);
    sr_sampler_free(sampler);
    w->settings.model.backbone = sr_backbone_number("tisasrec");
    assert_int_equal(sr_sampler_create(&sampler, w->timeless, &w->settings, &error), SR_ERROR_USAGE);
    assert_null(sampler);
    assert_non_null(strstr(error.message, sr_dataset_directory(w->timeless)));
    assert_non_null(strstr(error.message, "has no time stamps, but model.backbone tisasrec needs them"));
    assert_non_null(strstr(error.message, "use another backbone"));
}

/* ---- masking ---- */

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
        if (batch->negative_items)
            taken->negatives[i] = batch->negative_items[*target];
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
            size_t targets, examples, target = 0;
            sr_arena_reset(w->arena);
            assert_int_equal(sr_sampler_batch(sampler, epoch, index, rank, ranks, w->arena, &batch, &targets, &examples, NULL),
                             SR_OK);
            assert_int_equal(targets, batch.targets);
            for (size_t s = 0; s < batch.layout.sequences; ++s) {
                masked_sequence taken;
                take_apart(w, &batch, s, &target, &taken);
                visit(context, w, &taken);
            }
            assert_int_equal(target, batch.targets);
            all_targets += targets;
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

/* ---- examples with the same target ---- */

enum { MOST_EXAMPLES = 128, MOST_ITEMS = 16 };

/* A history as a model sees it, and what follows it. */
typedef struct {
    int32_t items[MOST_ITEMS];
    size_t length;
    int32_t target;
} short_history;

static bool same_items(const short_history *left, const short_history *right)
{
    return left->length == right->length && memcmp(left->items, right->items, left->length * sizeof *left->items) == 0;
}

/* Every example by its number, straight from the data; returns how many. */
static size_t list_examples(const world *w, short_history *list)
{
    const size_t longest = (size_t)w->settings.model.max_length;
    const bool window = w->settings.data.samples == SR_SAMPLES_WINDOW;
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        const size_t first = window && sequence.train_end > longest ? sequence.train_end - longest : 0;
        for (size_t target = first + !window; target < sequence.train_end; ++target) {
            const size_t length = target - first < longest ? target - first : longest;
            assert_true(count < MOST_EXAMPLES && length <= MOST_ITEMS);
            list[count] = (short_history){.length = length, .target = sequence.items[target]};
            memcpy(list[count++].items, sequence.items + target - length, length * sizeof(int32_t));
        }
    }
    return count;
}

/* The history of sequence `s` of a view, in which every example has one. */
static short_history history_of(const sr_batch *batch, size_t s)
{
    const sr_layout *layout = &batch->layout;
    const size_t begin = layout->offsets[s] + layout->leading[s], end = layout->offsets[s + 1] - layout->trailing[s];
    short_history history = {.length = end - begin};
    assert_true(history.length <= MOST_ITEMS);
    memcpy(history.items, batch->items + begin, history.length * sizeof *history.items);
    return history;
}

/* Draws an epoch on `ranks` ranks into alike[number of the example], and checks that views hold the examples of their batch. */
static void draw_alike(const world *w, size_t epoch, size_t ranks, const short_history *list, short_history *alike)
{
    sr_sampler *sampler = make_sampler(w);
    bool seen[MOST_EXAMPLES] = {false};
    for (size_t index = sr_sampler_batches(sampler); index-- > 0;) /* any batch can be drawn directly */
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            sr_arena_reset(w->arena);
            draw(w, sampler, epoch, index, rank, ranks, &batch);
            assert_int_equal(batch.again->examples, batch.examples);
            assert_int_equal(batch.alike->examples, batch.examples);
            assert_int_equal(batch.again->targets + batch.alike->targets, 0);
            assert_int_equal(batch.again->layout.sequences, batch.examples);
            assert_int_equal(batch.alike->layout.sequences, batch.examples);
            for (size_t e = 0; e < batch.examples; ++e) {
                const uint64_t number = batch.again->layout.identity[e];
                const short_history again = history_of(batch.again, e);
                assert_false(seen[number]);
                seen[number] = true;
                assert_true(batch.alike->layout.identity[e] == number);
                assert_true(same_items(&again, &list[number]));
                assert_int_equal(batch.target_items[e], list[number].target);
                alike[number] = history_of(batch.alike, e);
            }
        }
    for (size_t number = 0; number < sr_sampler_examples(sampler); ++number)
        assert_true(seen[number]);
    sr_sampler_free(sampler);
}

static const sr_samples every_samples[] = {SR_SAMPLES_SLIDING, SR_SAMPLES_WINDOW};

static void an_example_meets_another_history_with_the_same_target_where_there_is_one(void **state)
{
    world *w = *state;
    static short_history list[MOST_EXAMPLES], alike[MOST_EXAMPLES];
    w->settings.model.contrastive.in_use = true;
    for (size_t s = 0; s < 2; ++s) {
        w->settings.data.samples = every_samples[s];
        const size_t count = list_examples(w, list);
        size_t alone = 0, with_others = 0;
        for (size_t epoch = 0; epoch < 20; ++epoch) {
            draw_alike(w, epoch, 1, list, alike);
            for (size_t e = 0; e < count; ++e) {
                size_t different = 0, found = 0;
                for (size_t other = 0; other < count; ++other)
                    if (list[other].target == list[e].target && !same_items(&list[other], &list[e])) {
                        ++different;
                        found += same_items(&list[other], &alike[e]);
                    }
                alone += different == 0;
                with_others += different > 0;
                assert_true(different > 0 ? found > 0 : same_items(&list[e], &alike[e]));
            }
        }
        assert_true(alone > 0 && with_others > 0);
    }
}

static void other_histories_are_drawn_uniformly_and_anew_in_every_epoch(void **state)
{
    enum { EPOCHS = 1200 };
    world *w = *state;
    static short_history list[MOST_EXAMPLES], alike[MOST_EXAMPLES];
    static unsigned met[MOST_EXAMPLES][MOST_EXAMPLES];
    w->settings.model.contrastive.in_use = true;
    w->settings.training.batch_size = 1000;
    const size_t count = list_examples(w, list);
    for (size_t epoch = 0; epoch < EPOCHS; ++epoch) {
        draw_alike(w, epoch, 1, list, alike);
        for (size_t e = 0; e < count; ++e)
            for (size_t other = 0; other < count; ++other)
                met[e][other] += same_items(&alike[e], &list[other]);
    }
    size_t widest = 0;
    for (size_t e = 0; e < count; ++e) {
        size_t different = 0;
        for (size_t other = 0; other < count; ++other)
            different += list[other].target == list[e].target && !same_items(&list[other], &list[e]);
        widest = different > widest ? different : widest;
        for (size_t other = 0; other < count && different > 0; ++other) {
            if (list[other].target != list[e].target || same_items(&list[other], &list[e]))
                continue;
            size_t copies = 0; /* what several examples have in common is met more often */
            for (size_t third = 0; third < count; ++third)
                copies += list[third].target == list[e].target && same_items(&list[third], &list[other]);
            const double share = (double)copies / (double)different, expected = EPOCHS * share;
            assert_true(fabs(met[e][other] - expected) <= 5 * sqrt(expected * (1 - share)));
        }
    }
    assert_true(widest >= 3);
}

static void other_histories_depend_on_the_seed_and_not_on_ranks(void **state)
{
    world *w = *state;
    static short_history list[MOST_EXAMPLES], one[MOST_EXAMPLES], many[MOST_EXAMPLES];
    w->settings.model.contrastive.in_use = true;
    for (size_t s = 0; s < 2; ++s) {
        w->settings.data.samples = every_samples[s];
        const size_t count = list_examples(w, list);
        draw_alike(w, 4, 1, list, one);
        for (size_t ranks = 2; ranks <= 9; ++ranks) { /* more ranks than examples as well */
            draw_alike(w, 4, ranks, list, many);
            assert_memory_equal(one, many, count * sizeof *one);
        }
        ++w->settings.training.seed;
        draw_alike(w, 4, 1, list, many);
        if (s == 0) /* few examples of a window have a choice */
            assert_memory_not_equal(one, many, count * sizeof *one);
    }
}

/* A group in which nearly all histories are the same one, which is too often drawn in vain: item 1 is followed by item 3 in
 * each example, except for two that start with item 2; item 4 follows item 1 alone. */
enum { CROWD = 1000, CROWD_EXAMPLES = CROWD + 4 };
static const int32_t crowd_histories[2] = {1, 2};
static const int32_t crowd_targets[CROWD_EXAMPLES] = {[CROWD + 2] = 4, [CROWD + 3] = 4};

static const int32_t *targets_of_crowd(const void *context, size_t user, size_t *count)
{
    (void)user;
    *count = CROWD_EXAMPLES;
    return context;
}

static sr_example example_of_crowd(const void *context, size_t number)
{
    const int32_t *targets = context;
    const bool different = number == 17 || number == CROWD + 1;
    return (sr_example){.items = crowd_histories + different, .length = 1, .identity = number, .targets = targets + number};
}

static void rare_histories_are_found_in_a_crowd_of_equal_ones(void **state)
{
    (void)state;
    enum { DRAWS = 2000 };
    int32_t targets[CROWD_EXAMPLES];
    for (size_t i = 0; i < CROWD_EXAMPLES; ++i)
        targets[i] = crowd_targets[i] ? crowd_targets[i] : 3;
    same_target_index index;
    const target_source all = {1, targets_of_crowd, targets};
    const example_source source = {example_of_crowd, targets, 6};
    assert_int_equal(same_target_index_make(&index, 5, CROWD_EXAMPLES, &all, NULL), SR_OK);
    size_t first = 0, own = 0;
    for (uint64_t i = 0; i < DRAWS; ++i) {
        const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, i);
        const uint64_t drawn = same_target_draw(&index, &source, stream, 5).identity;
        assert_true(drawn == 17 || drawn == CROWD + 1);
        first += drawn == 17;
        own += same_target_draw(&index, &source, stream, CROWD + 3).identity == CROWD + 3; /* both of item 4 are the same */
        assert_int_equal(same_target_draw(&index, &source, stream, 17).items[0], 1);
    }
    assert_true(fabs((double)first - DRAWS / 2.0) < 5 * sqrt(DRAWS / 4.0));
    assert_int_equal(own, DRAWS);
    same_target_index_free(&index);
}

static void more_examples_than_the_index_can_number_are_refused(void **state)
{
    (void)state;
    same_target_index index;
    const target_source none = {0, targets_of_crowd, NULL};
    sr_error error;
    assert_int_equal(same_target_index_make(&index, 5, (size_t)1 << 32, &none, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "4294967296 training examples"));
}

/* ---- dividing work ---- */

static void work_is_divided_nearly_equally(void **state)
{
    (void)state;
    enum { PIECES = 200, RANKS = 7 };
    size_t work[PIECES], loads[RANKS] = {0}, total = 0, largest = 0;
    uint32_t owners[PIECES];
    for (size_t i = 0; i < PIECES; ++i) {
        work[i] = 4 + i * i % 53;
        total += work[i];
    }
    assert_int_equal(sr_divide_work(work, PIECES, RANKS, owners, NULL), SR_OK);
    for (size_t i = 0; i < PIECES; ++i)
        loads[owners[i]] += work[i];
    for (size_t rank = 0; rank < RANKS; ++rank)
        largest = loads[rank] > largest ? loads[rank] : largest;
    assert_true(largest <= total / RANKS + 5);
    assert_int_equal(sr_divide_work(work, 2, RANKS, owners, NULL), SR_OK);
    assert_int_not_equal(owners[0], owners[1]);
    assert_int_equal(sr_divide_work(work, 0, RANKS, owners, NULL), SR_OK);
}

static void groups_of_ranks_have_nearly_equal_work_and_sum_the_targets_of_whole_sequences(void **state)
{
    world *w = *state;
    enum { RANKS = 130 };
    size_t loads[RANKS], largest = 0, work = 0, targets, examples, sum = 0, expected;
    sr_batch batch;
    w->settings.training.batch_size = 2000;
    sr_sampler *sampler = make_sampler(w);
    const size_t count = sr_sampler_examples(sampler);
    assert_true(count < 2000);
    assert_int_equal(sr_sampler_loads(sampler, 1, 0, RANKS, w->arena, loads, NULL), SR_OK);
    for (size_t rank = 0; rank < RANKS; ++rank) {
        work += loads[rank];
        largest = loads[rank] > largest ? loads[rank] : largest;
    }
    assert_true(largest <= 2 * (work / RANKS + 10)); /* an example is at most 10 */
    assert_false(sr_sampler_sums_targets(sampler, RANKS));
    assert_int_equal(sr_sampler_batch(sampler, 1, 0, 129, RANKS, w->arena, &batch, &targets, &examples, NULL), SR_OK);
    assert_int_equal(targets, count);
    assert_int_equal(examples, count);
    sr_sampler_free(sampler);
    w->settings.model.objective = SR_OBJECTIVE_ALL;
    sampler = make_sampler(w);
    assert_int_equal(sr_sampler_batch(sampler, 1, 0, 0, 1, w->arena, &batch, &expected, &examples, NULL), SR_OK);
    assert_false(sr_sampler_sums_targets(sampler, 16));
    assert_true(sr_sampler_sums_targets(sampler, 17));
    assert_true(sr_sampler_sums_targets(sampler, RANKS));
    for (size_t rank = 0; rank < RANKS; ++rank) {
        assert_int_equal(sr_sampler_batch(sampler, 1, 0, rank, RANKS, w->arena, &batch, &targets, &examples, NULL), SR_OK);
        assert_int_equal(targets, batch.targets);
        sum += targets;
    }
    assert_int_equal(sum, expected);
    sr_sampler_free(sampler);
}

/* Takes the pages of a shard out of memory; false where that does not work. */
static bool evict(const char *directory)
{
    char path[160];
    snprintf(path, sizeof path, "%s/shard-00000.h5", directory);
    const int descriptor = open(path, O_RDWR);
    assert_true(descriptor >= 0);
    const bool worked = fsync(descriptor) == 0 && posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0;
    close(descriptor);
    return worked;
}

static bool is_in_memory(const void *address)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char state = 0;
    assert_int_equal(mincore((void *)((uintptr_t)address / page * page), 1, &state), 0);
    return state & 1;
}

/* All batches of an epoch on three ranks; behind the last one there is nothing to do. */
static void prefetch_all(sr_sampler *sampler, size_t last)
{
    for (size_t index = 0; index <= last + 1; ++index)
        for (size_t rank = 0; rank < 3; ++rank)
            sr_sampler_prefetch(sampler, 0, index, rank, 3);
}

static size_t item_of_many(size_t user, size_t i)
{
    return user + i;
}

static void what_the_next_batch_reads_comes_into_memory_and_nothing_else(void **state)
{
    world *w = *state;
    enum { MANY = 40, LENGTH = 20000 }; /* 80 kB a user */
    char directory[128];
    snprintf(directory, sizeof directory, "%s/large", w->directory);
    small_dataset_write_equal(
        directory, &(equal_sequences){.users = MANY, .items = 7, .length = LENGTH, .shards = 1, .item_of = item_of_many});
    sr_dataset *dataset;
    sr_sampler *sampler;
    sr_batch batch;
    size_t targets, examples, present = 0;
    const bool evicted = evict(directory);
    assert_int_equal(sr_dataset_open(&dataset, directory, NULL), SR_OK);
    w->settings.data.prefetch = SR_PREFETCH_ALWAYS;
    w->settings.data.samples = SR_SAMPLES_WINDOW; /* the last items of training parts only */
    assert_int_equal(sr_sampler_create(&sampler, dataset, &w->settings, NULL), SR_OK);
    for (size_t user = 0; user < MANY; ++user)
        present += is_in_memory(sr_dataset_sequence(dataset, user).items + LENGTH / 2);
    if (!evicted || present > MANY / 2) {
        sr_sampler_free(sampler);
        sr_dataset_close(dataset);
        skip_because("the file system of %s keeps its files in memory", directory);
    }
    const size_t last = sr_sampler_batches(sampler) - 1;
    prefetch_all(sampler, last);
    for (size_t user = 0; user < MANY; ++user) {
        const int32_t *read = sr_dataset_sequence(dataset, user).items + LENGTH - 4;
        for (int waited = 1; !is_in_memory(read) && waited < 20000; ++waited) {
            usleep(1000);
            if (waited % 500 == 0) /* a busy system may drop what it was advised to do */
                prefetch_all(sampler, last);
        }
        assert_true(is_in_memory(read));
    }
    size_t middle = 0;
    for (size_t user = 0; user < MANY; ++user)
        middle += is_in_memory(sr_dataset_sequence(dataset, user).items + LENGTH / 2);
    assert_true(middle <= present);
    assert_int_equal(sr_sampler_batch(sampler, 0, 0, 0, 1, w->arena, &batch, &targets, &examples, NULL), SR_OK);
    assert_int_equal(targets, 8);
    sr_sampler_free(sampler);
    sr_dataset_close(dataset);
}

/* The default model packs nothing but items, and without empty histories there is nothing to share. */
static void loads_are_the_tokens_and_examples_of_the_parts(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_sampler(w);
    for (size_t ranks = 1; ranks <= 12; ++ranks) {
        size_t loads[12];
        assert_int_equal(sr_sampler_loads(sampler, 1, 2, ranks, w->arena, loads, NULL), SR_OK);
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            draw(w, sampler, 1, 2, rank, ranks, &batch);
            assert_int_equal(loads[rank], batch.layout.offsets[batch.layout.sequences] + 4 * batch.examples);
        }
    }
    sr_sampler_free(sampler);
}

/* How many ranks compute the sequence that empty histories share; what they score together. */
static size_t ranks_with_empty_histories(const world *w, const sr_sampler *sampler, size_t ranks, size_t *targets, size_t *sum)
{
    size_t with = 0;
    *targets = *sum = 0;
    for (size_t rank = 0; rank < ranks; ++rank) {
        sr_batch batch;
        draw(w, sampler, 0, 0, rank, ranks, &batch);
        bool has = false;
        for (size_t s = 0; s < batch.layout.sequences; ++s)
            has = has || batch.layout.identity[s] == SR_IDENTITY_EMPTY;
        with += has;
        *targets += batch.targets;
        for (size_t t = 0; t < batch.targets; ++t)
            *sum += (size_t)batch.target_items[t] * (size_t)batch.target_items[t];
    }
    return with;
}

/* Windows of two items: half of the examples are empty histories, which count 2 + 4 * 7 of 65 tokens. */
static void empty_histories_are_divided_where_they_are_too_many_for_one_rank(void **state)
{
    world *w = *state;
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    w->settings.model.max_length = 2;
    w->settings.training.batch_size = 1000;
    sr_sampler *sampler = make_sampler(w);
    size_t targets, sum, expected, loads[4], most = 0;
    assert_int_equal(ranks_with_empty_histories(w, sampler, 1, &targets, &expected), 1);
    assert_int_equal(targets, 2 * USERS);
    assert_int_equal(ranks_with_empty_histories(w, sampler, 2, &targets, &sum), 1); /* 30 of 65: no more than its share */
    assert_true(ranks_with_empty_histories(w, sampler, 4, &targets, &sum) > 1);
    assert_int_equal(targets, 2 * USERS);
    assert_int_equal(sum, expected);
    assert_int_equal(sr_sampler_loads(sampler, 0, 0, 4, w->arena, loads, NULL), SR_OK);
    for (size_t rank = 0; rank < 4; ++rank)
        most = loads[rank] > most ? loads[rank] : most;
    assert_true(most < 24);
    assert_true(ranks_with_empty_histories(w, sampler, 100, &targets, &sum) <= USERS);
    assert_int_equal(targets, 2 * USERS);
    sr_sampler_free(sampler);
    w->settings.model.calibrators[sr_calibrator_number("adversarial")] =
        true; /* its penalty counts the cells of the sequence */
    sampler = make_sampler(w);
    assert_int_equal(ranks_with_empty_histories(w, sampler, 4, &targets, &sum), 1);
    assert_int_equal(sum, expected);
    sr_sampler_free(sampler);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sliding_gives_every_nonempty_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(window_gives_the_last_items_only_and_the_empty_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_target_follows_its_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_visits_every_example_once_in_an_order_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ranks_divide_the_same_batch_without_overlap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_next_batch_reads_comes_into_memory_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_of_ranks_have_nearly_equal_work_and_sum_the_targets_of_whole_sequences, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_positions_gives_one_example_a_user_with_the_next_items_as_targets, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_target_has_a_negative_outside_its_history_with_the_losses_that_compare_two_items,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(models_get_the_users_and_times_that_they_need, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_prefixes_of_users_are_sequences_of_their_own_on_any_rank, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_model_of_times_is_refused_data_without_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(items_are_masked_with_the_given_probability, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_last_masked_items_are_scored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_least_one_item_is_masked_and_scored_unless_as_released, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_one_item_that_must_be_masked_is_any, set_up, tear_down),
        cmocka_unit_test_setup_teardown(masks_depend_on_the_epoch_and_not_on_ranks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_masked_model_takes_whole_training_parts_or_non_empty_prefixes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(negatives_of_masked_items_are_not_in_the_history_behind_the_masks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_example_meets_another_history_with_the_same_target_where_there_is_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_histories_are_drawn_uniformly_and_anew_in_every_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_histories_depend_on_the_seed_and_not_on_ranks, set_up, tear_down),
        cmocka_unit_test(rare_histories_are_found_in_a_crowd_of_equal_ones),
        cmocka_unit_test(more_examples_than_the_index_can_number_are_refused),
        cmocka_unit_test(work_is_divided_nearly_equally),
        cmocka_unit_test_setup_teardown(empty_histories_are_divided_where_they_are_too_many_for_one_rank, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loads_are_the_tokens_and_examples_of_the_parts, set_up, tear_down),
    };
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, NULL, NULL);
}

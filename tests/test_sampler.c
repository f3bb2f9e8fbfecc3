/* Training examples, their order over an epoch, and their division among ranks. */
#include "optional.h"
#include "sampler_world.h"
#include "small_dataset.h"
#include "srtrain/model.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

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
            sr_totals totals;
            assert_int_equal(
                sr_sampler_batch(sampler, 1, 2, (sr_part){.rank = rank, .ranks = ranks}, w->arena, &batch, &totals, NULL),
                SR_OK);
            assert_int_equal(totals.targets, 8);
            assert_int_equal(totals.examples, 8);
            total += batch.targets;
            for (size_t t = 0; t < batch.targets; ++t) {
                sum += (size_t)batch.target_items[t];
                negative_sum += (size_t)batch.negatives->items[t] * (size_t)batch.target_items[t];
                assert_int_not_equal(batch.negatives->items[t], batch.target_items[t]);
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
    sr_totals totals;
    size_t expected = 0;
    assert_int_equal(sr_sampler_batch(sampler, 0, 0, (sr_part){.rank = 0, .ranks = 1}, w->arena, &batch, &totals, NULL), SR_OK);
    for (size_t user = 0; user < USERS; ++user) {
        const size_t pairs = sr_dataset_sequence(w->dataset, user).train_end - 1;
        expected += pairs < 6 ? pairs : 6;
    }
    assert_int_equal(batch.targets, expected);
    assert_int_equal(totals.targets, expected);
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
        assert_non_null(batch.negatives);
        assert_int_equal(batch.negatives->length, 1);
        for (size_t t = 0; t < batch.targets; ++t) {
            const int32_t negative = batch.negatives->items[t];
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
    assert_null(batch.negatives);
    sr_sampler_free(sampler);
}

/* ---- users and times ---- */

static void models_get_the_users_and_times_that_they_need(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "ssept", "tisasrec", "hstu"};
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
        w->settings.model.backbone = sr_backbone_number(backbones[b]);
        const bool is_hstu = strcmp(backbones[b], "hstu") == 0;
        sr_sampler *sampler = make_sampler(w);
        for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
            sr_batch batch;
            draw(w, sampler, 2, index, 0, 1, &batch);
            assert_int_equal(batch.users != NULL, strcmp(backbones[b], "ssept") == 0);
            assert_int_equal(batch.times != NULL, strcmp(backbones[b], "tisasrec") == 0 || is_hstu);
            assert_int_equal(batch.next_times != NULL, is_hstu);
            for (size_t s = 0; s < batch.layout.sequences; ++s) {
                size_t user, length;
                find_prefix(w, batch.layout.identity[s], &user, &length);
                for (size_t token = batch.layout.offsets[s]; token < batch.layout.offsets[s + 1]; ++token) {
                    if (batch.users)
                        assert_int_equal(batch.users[token], user + 1);
                    if (batch.times)
                        assert_int_equal(batch.times[token], 1000 * user + length - (batch.layout.offsets[s + 1] - token));
                    if (batch.next_times)
                        assert_int_equal(batch.next_times[token], batch.times[token] + 1);
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
    assert_int_equal(sr_settings_sampler(&sampler, w->timeless, &w->settings, &error), SR_OK);
    sr_sampler_free(sampler);
    w->settings.model.backbone = sr_backbone_number("tisasrec");
    assert_int_equal(sr_settings_sampler(&sampler, w->timeless, &w->settings, &error), SR_ERROR_USAGE);
    assert_null(sampler);
    assert_non_null(strstr(error.message, sr_dataset_directory(w->timeless)));
    assert_non_null(strstr(error.message, "has no time stamps, but model.backbone tisasrec needs them"));
    assert_non_null(strstr(error.message, "use another backbone"));
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
    size_t loads[RANKS], largest = 0, work = 0, sum = 0;
    sr_totals totals;
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
    assert_int_equal(sr_sampler_batch(sampler, 1, 0, (sr_part){.rank = 129, .ranks = RANKS}, w->arena, &batch, &totals, NULL),
                     SR_OK);
    assert_int_equal(totals.targets, count);
    assert_int_equal(totals.examples, count);
    sr_sampler_free(sampler);
    w->settings.model.objective = SR_OBJECTIVE_ALL;
    sampler = make_sampler(w);
    assert_int_equal(sr_sampler_batch(sampler, 1, 0, (sr_part){.rank = 0, .ranks = 1}, w->arena, &batch, &totals, NULL), SR_OK);
    const size_t expected = totals.targets;
    assert_false(sr_sampler_sums_targets(sampler, 16));
    assert_true(sr_sampler_sums_targets(sampler, 17));
    assert_true(sr_sampler_sums_targets(sampler, RANKS));
    for (size_t rank = 0; rank < RANKS; ++rank) {
        assert_int_equal(
            sr_sampler_batch(sampler, 1, 0, (sr_part){.rank = rank, .ranks = RANKS}, w->arena, &batch, &totals, NULL), SR_OK);
        assert_int_equal(totals.targets, batch.targets);
        sum += totals.targets;
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
    sr_totals totals;
    size_t present = 0;
    const bool evicted = evict(directory);
    assert_int_equal(sr_dataset_open(&dataset, directory, NULL), SR_OK);
    w->settings.data.prefetch = SR_PREFETCH_ALWAYS;
    w->settings.data.samples = SR_SAMPLES_WINDOW; /* the last items of training parts only */
    assert_int_equal(sr_settings_sampler(&sampler, dataset, &w->settings, NULL), SR_OK);
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
    assert_int_equal(sr_sampler_batch(sampler, 0, 0, (sr_part){.rank = 0, .ranks = 1}, w->arena, &batch, &totals, NULL), SR_OK);
    assert_int_equal(totals.targets, 8);
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

/* Where scoring takes nearly all the time ranks score equally many states, of which all empty histories have one. */
static void states_to_be_scored_are_divided_evenly_where_scoring_takes_long(void **state)
{
    world *w = *state;
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    w->settings.training.batch_size = 1000;
    sr_sampling sampling = sr_settings_sampling(&w->settings);
    assert_true(sampling.tokens_an_item > 0);
    sampling.tokens_an_item = 1000;
    sr_sampler *sampler;
    assert_int_equal(sr_sampler_create(&sampler, w->dataset, &sampling, NULL), SR_OK);
    size_t least = SIZE_MAX, most = 0;
    for (size_t rank = 0; rank < 4; ++rank) {
        sr_batch batch;
        draw(w, sampler, 0, 0, rank, 4, &batch);
        const size_t states = batch.layout.sequences;
        least = states < least ? states : least;
        most = states > most ? states : most;
    }
    assert_true(most <= least + 1);
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
        cmocka_unit_test_setup_teardown(sliding_gives_every_nonempty_prefix, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(window_gives_the_last_items_only_and_the_empty_prefix, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(every_target_follows_its_history, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_visits_every_example_once_in_an_order_of_its_own, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(ranks_divide_the_same_batch_without_overlap, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(what_the_next_batch_reads_comes_into_memory_and_nothing_else, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(groups_of_ranks_have_nearly_equal_work_and_sum_the_targets_of_whole_sequences,
                                        sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(all_positions_gives_one_example_a_user_with_the_next_items_as_targets, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(every_target_has_a_negative_outside_its_history_with_the_losses_that_compare_two_items,
                                        sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(models_get_the_users_and_times_that_they_need, sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(empty_prefixes_of_users_are_sequences_of_their_own_on_any_rank, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(a_model_of_times_is_refused_data_without_them, sampler_set_up, sampler_tear_down),
        cmocka_unit_test(work_is_divided_nearly_equally),
        cmocka_unit_test_setup_teardown(states_to_be_scored_are_divided_evenly_where_scoring_takes_long, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(empty_histories_are_divided_where_they_are_too_many_for_one_rank, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(loads_are_the_tokens_and_examples_of_the_parts, sampler_set_up, sampler_tear_down),
    };
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, NULL, NULL);
}

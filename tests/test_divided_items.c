/* An item table that is divided among workers trains like one that every rank has. */
#include "model/backbone.h"
#include "model/divided_items.h"
#include "rank_counts.h"
#include "small_training.h"
#include "srtrain/row_blocks.h"
#include "step/item_rows.h"
#include "tensor/bf16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Steps that rows may miss before all of them catch up. */
static size_t most_missed = SR_MISSED_STEPS_MOST;

enum { STEPS = 25, MOST_OPTIONS = 32 };

#define BASE                                                                                                  \
    "data.path=none model.hidden_size=8 model.max_length=10 model.hidden_dropout=0.3 training.batch_size=48 " \
    "training.learning_rate=0.003 training.adam_epsilon=1e-5 "
#define ATTENTION "model.inner_size=16 "
#define ALL_TARGETS "training.objective=all training.batch_size=8 "

/* Ranks, then a digit of threads each, that divide what one rank has. */
typedef struct {
    const char *workers, *options;
} variant;

static const variant variants[] = {
    {"11 21 31 41 22", ATTENTION "training.loss=bpr"},
    {"21 12 41 22", ATTENTION "training.loss=cross_entropy"},
    {"31", ATTENTION "training.loss=cross_entropy training.optimizer=sgd " ALL_TARGETS},
    {"21 31", ATTENTION "model.similarity=cosine training.temperature=0.2"},
    {"22", ATTENTION "training.loss=gbce model.similarity=cosine training.temperature=0.2"},
    {"21 22", ATTENTION "training.loss=sampled_softmax training.negatives=16 training.negative_slice=8 "
                        "training.negative_sampling=mixed"},
    {"31", ATTENTION "training.loss=sampled_softmax training.negatives=9 training.negative_sampling=popularity " ALL_TARGETS},
    {"31 22", ATTENTION "training.loss=binary_cross_entropy training.weight_decay=0.1 training.clip_norm=0.05 " ALL_TARGETS},
    {"41", ATTENTION "training.loss=bpr training.reduction=blocking training.contrastive.weight=0.1 data.samples=window "
                     "model.attention_dropout=0.3"},
    {"22", ATTENTION "model.backbone=bert4rec"},
    {"31", "model.backbone=gru4rec training.loss=bpr model.initializer_range=0.1"},
    {"21", ATTENTION "model.backbone=fmlprec training.loss=bpr"},
    {"31", ATTENTION "model.backbone=fearec model.topk_factor=3 training.loss=binary_cross_entropy"},
    {"21", ATTENTION "model.backbone=tisasrec model.time_unit=3600 model.time_span=64 training.loss=bpr"},
    {"41", ATTENTION "model.backbone=ssept model.user_hidden_size=4 model.sse_item_probability=0.2 training.loss=bpr"},
    {"22 31", "model.backbone=caser training.loss=bpr training.frobenius_penalty=0.1 model.initializer_range=0.1"},
    {"31", "model.backbone=caser training.frobenius_penalty=0.1 model.initializer_range=0.1"},
    {"21 41", ATTENTION "model.backbone=stosa training.loss=stosa model.activation=elu " ALL_TARGETS},
    {"31", ATTENTION "calibrators.adversarial.combine=gate model.initializer_range=0.1"},
    {"31", "model.backbone=hstu training.loss=sampled_softmax training.negatives=9 " ALL_TARGETS},
    {"22", ATTENTION "model.output_embedding=separate model.norm=query"},
    {"22", ATTENTION "model.item_width=12"},
    {"31", ATTENTION "model.item_width=4 training.loss=bpr training.weight_decay=0.1"},
    {"21", ATTENTION "model.item_width=12 model.item_vectors=frozen data.item_vectors=file training.clip_norm=0.05"},
    {"31", ATTENTION "model.item_vectors=frozen data.item_vectors=file training.loss=bpr training.weight_decay=0.1 "
                     "training.clip_norm=0.05"},
    {"31", ATTENTION "model.output_embedding=separate training.loss=gbce training.negatives=9 model.norm=pre"},
};

/* ---- a training ---- */

typedef struct {
    double losses[STEPS], norms[STEPS];
    sr_real *table[ITEM_PARTS_MAXIMUM]; /* in the order of ids; on the first rank */
    size_t sizes[ITEM_PARTS_MAXIMUM];
    double squares; /* of the other parameters */
} outcome;

static void begin(small_training *t, const shared_dataset *data, const char *options, size_t threads, bool is_divided)
{
    char text[2048], more[96];
    const char *assignments[MOST_OPTIONS];
    size_t count = 0;
    snprintf(text, sizeof text, "%s%s", BASE, options);
    for (char *rest = text, *one; (one = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(count < MOST_OPTIONS - 2);
        if (!strstr(options, "sgd") || strncmp(one, "training.adam", 13) != 0)
            assignments[count++] = one;
    }
    snprintf(more, sizeof more, "training.threads=%zu", threads);
    assignments[count++] = more;
    assignments[count++] = is_divided ? "model.item_table=divided" : "model.item_table=replicated";
    small_training_begin(t, data, assignments, count, STEPS);
}

/* The whole of a part, summed up from those who have its rows. */
static void collect_part(const shared_dataset *data, const small_training *t, size_t part, outcome *found)
{
    const sr_item_table *table = &t->model->item_table;
    const sr_parameters *parameters = sr_model_parameters(t->model);
    const size_t count = found->sizes[part] = table->rows * table->parts[part].width;
    found->table[part] = calloc(count, sizeof(sr_real));
    double *sums = calloc(count, sizeof *sums);
    assert_true(found->table[part] && sums);
    if (parameters->row_block_count > 0) {
        sr_row_blocks_get(parameters, part, SIZE_MAX, 0, count, found->table[part]);
        for (size_t i = 0; i < count; ++i)
            sums[i] = (double)found->table[part][i];
        assert_int_equal(sr_parallel_sum_double(data->parallel, sums, count, NULL), SR_OK);
        for (size_t i = 0; i < count; ++i)
            found->table[part][i] = (sr_real)sums[i];
    } else {
        memcpy(found->table[part], parameters->values + parameters->list[table->parts[part].parameter].offset,
               count * sizeof(sr_real));
    }
    free(sums);
}

static void train_here(const shared_dataset *data, const char *options, size_t threads, bool is_divided, outcome *found)
{
    small_training t;
    sr_error error = {.message = ""};
    begin(&t, data, options, threads, is_divided);
    item_rows_remember_at_most(&t.stepper, most_missed);
    for (int64_t step = 0; step < STEPS; ++step) {
        sr_step_result result;
        if (small_training_step(&t, step, &result, &error) != SR_OK)
            fail_msg("%s: %s", options, error.message);
        found->losses[step] = sr_terms_total(&result.terms, SR_PARAMETERS_EVERY, result.targets);
        found->norms[step] = result.gradient_norm;
    }
    assert_int_equal(sr_stepper_settle(&t.stepper, NULL), SR_OK);
    for (size_t part = 0; part < t.model->item_table.part_count; ++part)
        collect_part(data, &t, part, found);
    const sr_parameters *parameters = sr_model_parameters(t.model);
    found->squares = 0;
    for (size_t i = 0; i < parameters->count; ++i)
        for (size_t k = 0; !strstr(parameters->list[i].name, "item_") && !strstr(parameters->list[i].name, "output_") &&
                           k < parameters->list[i].size;
             ++k)
            found->squares += pow((double)parameters->values[parameters->list[i].offset + k], 2);
    small_training_end(&t);
}

static void forget(outcome *found)
{
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM; ++part) {
        free(found->table[part]);
        found->table[part] = NULL;
    }
}

/* True on the first rank, which has what was found. */
static bool train(const rank_counts *counts, int ranks, size_t threads, const char *options, bool is_divided, outcome *found)
{
    shared_dataset data;
    bool is_first = false;
    *found = (outcome){.squares = 0};
    if (rank_counts_take_part(counts, ranks, &data)) {
        train_here(&data, options, threads, is_divided, found);
        is_first = sr_parallel_rank(data.parallel) == 0;
    }
    rank_counts_wait(counts);
    if (!is_first)
        forget(found);
    return is_first;
}

static void assert_close(const char *name, const char *workers, const outcome *found, const outcome *expected)
{
    for (size_t step = 0; step < STEPS; ++step)
        if (!(fabs(found->losses[step] - expected->losses[step]) <= 1e-5 * fabs(expected->losses[step])) ||
            !(fabs(found->norms[step] - expected->norms[step]) <= 1e-4 * expected->norms[step]))
            fail_msg("%s on %.2s: step %zu has loss %.9g and norm %.9g instead of %.9g and %.9g", name, workers, step + 1,
                     found->losses[step], found->norms[step], expected->losses[step], expected->norms[step]);
    assert_true(fabs(found->squares - expected->squares) <= 1e-5 * expected->squares);
    for (size_t part = 0; part < ITEM_PARTS_MAXIMUM && expected->table[part]; ++part) {
        double squares = 0, differences = 0;
        assert_int_equal(found->sizes[part], expected->sizes[part]);
        for (size_t i = 0; i < expected->sizes[part]; ++i) {
            squares += pow((double)expected->table[part][i], 2);
            differences += pow((double)found->table[part][i] - (double)expected->table[part][i], 2);
        }
        if (!(differences <= 1e-7 * squares))
            fail_msg("%s on %.2s: part %zu of the item table is %.3g of its length away", name, workers, part,
                     sqrt(differences / squares));
    }
}

static void a_divided_table_is_trained_like_a_replicated_one(void **state)
{
    for (size_t v = 0; v < sizeof variants / sizeof *variants; ++v) {
        outcome expected, found;
        train(*state, 1, 1, variants[v].options, false, &expected);
        for (const char *workers = variants[v].workers;; workers += 3) {
            if (train(*state, workers[0] - '0', (size_t)(workers[1] - '0'), variants[v].options, true, &found)) {
                assert_close(variants[v].options, workers, &found, &expected);
                forget(&found);
            }
            if (workers[2] == '\0')
                break;
        }
        forget(&expected);
    }
}

static void rows_catch_up_before_too_many_steps_are_remembered(void **state)
{
    static const char options[] = ATTENTION "training.loss=bpr training.weight_decay=0.1";
    outcome expected, found;
    train(*state, 1, 1, options, false, &expected);
    most_missed = 4;
    if (train(*state, 2, 2, options, true, &found)) {
        assert_close(options, "22", &found, &expected);
        forget(&found);
    }
    most_missed = SR_MISSED_STEPS_MOST;
    forget(&expected);
}

#define SAMPLED ATTENTION "training.loss=sampled_softmax training.negatives=16 "

static void the_same_training_gives_the_same_bits(void **state)
{
    static const char *const options[] = {ATTENTION "training.loss=bpr", ATTENTION "training.loss=cross_entropy",
                                          SAMPLED "training.row_precision=bf16"};
    for (size_t v = 0; v < sizeof options / sizeof *options; ++v) {
        outcome once, twice;
        const bool is_first = train(*state, 2, 2, options[v], true, &once);
        train(*state, 2, 2, options[v], true, &twice);
        if (is_first) {
            assert_memory_equal(once.losses, twice.losses, sizeof once.losses);
            assert_memory_equal(once.norms, twice.norms, sizeof once.norms);
            assert_memory_equal(once.table[0], twice.table[0], once.sizes[0] * sizeof(sr_real));
            forget(&once);
            forget(&twice);
        }
    }
}

/* ---- rows that travel as bf16 ---- */

static double largest_difference(const outcome *found, const outcome *expected)
{
    double largest = 0;
    for (size_t step = 0; step < STEPS; ++step)
        largest = fmax(largest, fabs(found->losses[step] - expected->losses[step]) / expected->losses[step]);
    return largest;
}

static void rounded_rows_train_nearly_alike(void **state)
{
    static const char *const workers[] = {"21", "41", "22"};
    outcome exact, found;
    train(*state, 1, 1, SAMPLED, true, &exact);
    if (train(*state, 1, 1, SAMPLED "training.row_precision=bf16", true, &found)) { /* nothing travels */
        assert_memory_equal(exact.losses, found.losses, sizeof exact.losses);
        assert_memory_equal(exact.table[0], found.table[0], exact.sizes[0] * sizeof(sr_real));
        forget(&found);
    }
    for (size_t i = 0; i < sizeof workers / sizeof *workers; ++i)
        if (train(*state, workers[i][0] - '0', (size_t)(workers[i][1] - '0'), SAMPLED "training.row_precision=bf16", true,
                  &found)) {
            const double difference = largest_difference(&found, &exact);
            if (!(difference > 1e-7 && difference < 1e-3)) /* numbers have 8 bits, and errors of many nearly cancel */
                fail_msg("with rounded rows on %s losses are %.3g of them away", workers[i], difference);
            forget(&found);
        }
    forget(&exact);
}

/* ---- failures ---- */

/* A rank whose batch cannot be made, or whose passes fail. */
typedef struct {
    bool in_fetch;
    const char *options;
} failure;

static sr_status run_failing(const small_training *t, sr_ranks *ranks, bool in_fetch, bool fails, sr_error *error)
{
    sr_arena *arena;
    sr_batch batch;
    sr_totals totals;
    sr_worker *worker = &t->stepper.workers[0];
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(
        sr_sampler_batch(t->sampler, 0, 0, (sr_part){.rank = ranks->rank, .ranks = ranks->count}, arena, &batch, &totals, NULL),
        SR_OK);
    const sr_pass pass = {.training = true, .seed = 1, .ranks = ranks};
    sr_tape_reset(worker->tape);
    sr_status status = SR_OK;
    if (fails)
        status = sr_fail(error, SR_ERROR_RUNTIME, "this rank has failed");
    if (in_fetch) {
        status = sr_model_fetch_items(t->model, worker->tape, &batch, &pass, status, error);
    } else {
        assert_int_equal(sr_model_fetch_items(t->model, worker->tape, &batch, &pass, SR_OK, NULL), SR_OK);
        status = sr_model_hand_back_items(t->model, status, error);
    }
    sr_arena_free(arena);
    return status;
}

/* What this worker reads of a batch, [rows, width]: the caller releases it. */
static sr_real *read_rows(const shared_dataset *data, const small_training *t, bool rounds, size_t *count)
{
    sr_ranks ranks = sr_parallel_ranks(data->parallel);
    ranks.rounds_rows = rounds;
    assert_int_equal(run_failing(t, &ranks, true, false, NULL), SR_OK);
    const divided *d = t->model->item_table.memory;
    *count = d->ids.count * t->model->item_table.parts[ITEM_VECTORS].width;
    sr_real *rows = malloc(*count * sizeof *rows);
    assert_non_null(rows);
    memcpy(rows, d->parts[ITEM_VECTORS].read.values, *count * sizeof *rows);
    return rows;
}

/* Evaluation does not ask for it. */
static void rows_are_rounded_for_who_asks_for_it(void **state)
{
    shared_dataset data;
    assert_true(rank_counts_take_part(*state, MOST_RANKS, &data));
    small_training t;
    size_t count, same, rounded = 0;
    begin(&t, &data, SAMPLED "training.row_precision=bf16", 1, true);
    assert_false(sr_parallel_ranks(data.parallel).rounds_rows);
    sr_real *exact = read_rows(&data, &t, false, &count), *found = read_rows(&data, &t, true, &same);
    assert_int_equal(same, count);
    for (size_t i = 0; i < count; ++i) {
        assert_true(found[i] == bf16_round(exact[i]));
        rounded += found[i] != exact[i];
    }
    assert_true(rounded > count / 2);
    free(exact);
    free(found);
    small_training_end(&t);
}

static void a_rank_that_fails_ends_fetching_and_handing_back_on_all(void **state)
{
    for (int in_fetch = 0; in_fetch < 2; ++in_fetch) {
        shared_dataset data;
        assert_true(rank_counts_take_part(*state, MOST_RANKS, &data));
        small_training t;
        sr_error error = {.message = ""};
        begin(&t, &data, variants[0].options, 1, true);
        sr_ranks ranks = sr_parallel_ranks(data.parallel);
        assert_int_equal(run_failing(&t, &ranks, in_fetch, ranks.rank == 2, &error), SR_ERROR_RUNTIME);
        assert_non_null(strstr(error.message, "this rank has failed"));
        assert_int_equal(run_failing(&t, &ranks, in_fetch, false, &error), SR_OK);
        small_training_end(&t);
    }
}

/* Else every rank would ask the owner of that row for one row more in every step. */
static void padding_is_fetched_where_it_is_read(void **state)
{
    static const char *const options[] = {ATTENTION "training.loss=bpr", "model.backbone=caser training.loss=bpr"};
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i) {
        shared_dataset data;
        assert_true(rank_counts_take_part(*state, MOST_RANKS, &data));
        small_training t;
        begin(&t, &data, options[i], 1, true);
        sr_ranks ranks = sr_parallel_ranks(data.parallel);
        assert_int_equal(run_failing(&t, &ranks, true, false, NULL), SR_OK);
        const divided *d = t.model->item_table.memory;
        const int32_t place = (int32_t)sr_row_placement_place(d->placement, 0);
        assert_true(d->touched.count > 0);
        if (ranks.rank == sr_row_placement_owner(d->placement, 0))
            assert_true((id_map_find(&d->touched, place) != SIZE_MAX) == (i == 1));
        small_training_end(&t);
    }
}

static void passes_of_others_than_the_owners_are_refused(void **state)
{
    shared_dataset data;
    assert_true(rank_counts_take_part(*state, MOST_RANKS, &data));
    small_training t;
    sr_error error = {.message = ""};
    begin(&t, &data, variants[0].options, 1, true);
    const sr_pass pass = {.training = false};
    assert_int_equal(sr_model_fetch_items(t.model, t.stepper.workers[0].tape, NULL, &pass, SR_OK, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "divided among 4 workers"));
    small_training_end(&t);
}

/* The row is that of item 2, which one of four ranks has. */
static void all_ranks_name_the_table_when_a_row_of_one_is_not_finite(void **state)
{
    shared_dataset data;
    assert_true(rank_counts_take_part(*state, MOST_RANKS, &data));
    small_training t;
    sr_step_result result;
    sr_error error = {.message = ""};
    size_t place;
    begin(&t, &data, variants[0].options, 1, true);
    const sr_row_block *block = sr_row_blocks_find(sr_model_parameters(t.model), 2, &place);
    const divided *d = t.model->item_table.memory;
    assert_true((block != NULL) == ((size_t)sr_parallel_rank(data.parallel) == sr_row_placement_owner(d->placement, 2)));
    if (block)
        *sr_row_block_row(block, ITEM_VECTORS, SIZE_MAX, place) = NAN;
    sr_status status = SR_OK;
    for (int64_t step = 0; step < STEPS && status == SR_OK; ++step) /* one of them reads it */
        status = small_training_step(&t, step, &result, &error);
    assert_int_equal(status, SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "the first parameter whose values are not finite is item_embedding.weight"));
    small_training_end(&t);
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_divided_table_is_trained_like_a_replicated_one),
        cmocka_unit_test(the_same_training_gives_the_same_bits),
        cmocka_unit_test(rows_catch_up_before_too_many_steps_are_remembered),
        cmocka_unit_test(rounded_rows_train_nearly_alike),
        cmocka_unit_test(rows_are_rounded_for_who_asks_for_it),
        cmocka_unit_test(a_rank_that_fails_ends_fetching_and_handing_back_on_all),
        cmocka_unit_test(padding_is_fetched_where_it_is_read),
        cmocka_unit_test(passes_of_others_than_the_owners_are_refused),
        cmocka_unit_test(all_ranks_name_the_table_when_a_row_of_one_is_not_finite),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, rank_counts_tear_down);
}

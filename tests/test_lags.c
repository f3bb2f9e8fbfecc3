/* FEARec's lags where values of the auto-correlation are equal by definition: rounding chooses nothing, so that engines, ranks
 * and threads choose the same. In single precision, as in training. */
#include "small_training.h"
#include "model/backbones/fearec.h"
#include "srtrain/batch.h"
#include "cpu_level.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/settings.h"
#include "transforms.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 40, ITEMS = 30, LENGTH = 26, L = 24, WIDTH = 20, KAPPA = 7, MOST_LAYERS = 13, EXAMPLES = 17, ENGINES = 2 };

static const sr_fourier_engine engines[ENGINES] = {SR_FOURIER_FFTW, SR_FOURIER_PROJECTION};

/* Thirteen layers in a window of 24 see a bin each: 12, 11, .. 0. */
static const char single_bins[] = "model.layers=13";

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i + i * i / 3;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

/* ---- a model and its lags ---- */

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
} world;

static void open_world(world *w, sr_fourier_engine engine, const char *option, const char *another)
{
    const char *const assignments[] = {"data.path=none",
                                       "model.backbone=fearec",
                                       "model.hidden_size=20",
                                       "model.inner_size=8",
                                       "model.heads=2",
                                       "model.max_length=24",
                                       "model.topk_factor=2.3",
                                       "model.global_ratio=0.01",
                                       "model.padding=left",
                                       "model.initializer_range=0.3",
                                       "model.hidden_dropout=0",
                                       "model.attention_dropout=0",
                                       option,
                                       another};
    sr_error error = {.message = ""};
    if (sr_settings_parse(&w->settings, "data:\n", "test", assignments, sizeof assignments / sizeof *assignments, &error) !=
        SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, 3, NULL), SR_OK);
    use_transforms(w->model, engine);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    sr_parameters *parameters = sr_model_parameters(w->model);
    sr_parameters_draw(parameters, 5);
    for (size_t i = 0; i < parameters->count; ++i) /* biases too */
        for (size_t k = 0; k < parameters->list[i].size; ++k)
            parameters->values[parameters->list[i].offset + k] += (sr_real)(0.2 * sin((double)(7 * i + 3 * k)));
}

static void close_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_arena_free(w->arena);
}

/* Examples first, first + stride, ..: histories of 0 to 24 items. */
static void build_part(const world *w, bool training, size_t first, size_t stride, sr_batch *batch)
{
    static int32_t items[EXAMPLES][L];
    sr_example examples[EXAMPLES];
    size_t count = 0;
    for (size_t e = first; e < EXAMPLES; e += stride, ++count) {
        for (size_t i = 0; i < L; ++i)
            items[e][i] = 1 + (int32_t)(item_of(e, i) % ITEMS);
        examples[count] = (sr_example){.items = items[e], .length = 5 * e % (L + 1), .identity = e};
    }
    assert_int_equal(sr_batch_build(batch, w->arena, &w->settings.model, SR_OBJECTIVE_LAST, training, examples, count, NULL),
                     SR_OK);
}

/* A pass whose lags are kept: [layers][KAPPA] in training, [layers][sequences * KAPPA] in evaluation, until the next one. */
static void run_pass(world *w, const sr_batch *batch, sr_pass pass, sr_trace *trace, sr_encoding *encoding)
{
    memset(trace, 0, sizeof *trace);
    pass.trace = trace;
    sr_tape_reset(w->tape);
    sr_model_encode(w->model, w->tape, batch, &pass, encoding);
    assert_int_equal(sr_tape_status(w->tape, NULL), SR_OK);
    assert_int_equal(trace->lag_count, KAPPA);
}

static void assert_smallest(const size_t *lags)
{
    for (size_t i = 0; i < KAPPA; ++i)
        assert_int_equal(lags[i], i);
}

static bool is_chosen(const size_t *lags, size_t lag)
{
    for (size_t i = 0; i < KAPPA; ++i)
        if (lags[i] == lag)
            return true;
    return false;
}

/* Of lags that are a multiple of `period` apart, which are equal, the smallest are taken. */
static void assert_smallest_of_each_class(const size_t *lags, size_t period)
{
    for (size_t i = 0; i < KAPPA; ++i)
        if (lags[i] >= period)
            assert_true(is_chosen(lags, lags[i] - period));
}

static size_t greatest_common_divisor(size_t a, size_t b)
{
    return b ? greatest_common_divisor(b, a % b) : a;
}

/* Layer l of thirteen sees bin 12 - l alone, and so a period of 24 / gcd(12 - l, 24) lags. */
static void assert_lags_of_single_bins(const sr_trace *trace, size_t sequences)
{
    for (size_t layer = 0; layer < MOST_LAYERS; ++layer)
        for (size_t s = 0; s < sequences; ++s)
            assert_smallest_of_each_class(trace->lags[layer] + s * KAPPA, L / greatest_common_divisor(12 - layer, L));
    for (size_t s = 0; s < sequences; ++s)
        assert_smallest(trace->lags[MOST_LAYERS - 1] + s * KAPPA); /* bin 0 */
}

/* ---- tests ---- */

static void each_layer_of_thirteen_sees_one_bin(void **state)
{
    (void)state;
    world w;
    open_world(&w, engines[0], single_bins, "training.seed=1");
    for (size_t layer = 0; layer < MOST_LAYERS; ++layer) {
        const sr_band band = fearec_band(&w.settings.model, layer);
        assert_int_equal(band.first, 12 - layer);
        assert_int_equal(band.last, 13 - layer);
    }
    close_world(&w);
}

static void in_bands_of_one_bin_each_sequence_keeps_the_smallest_of_equal_lags(void **state)
{
    (void)state;
    static size_t lags[ENGINES][MOST_LAYERS][EXAMPLES * KAPPA];
    for (size_t engine = 0; engine < ENGINES; ++engine) {
        world w;
        sr_batch batch;
        sr_trace trace;
        sr_encoding encoding;
        open_world(&w, engines[engine], single_bins, "training.seed=1");
        build_part(&w, false, 0, 1, &batch);
        run_pass(&w, &batch, (sr_pass){.step = 1}, &trace, &encoding);
        assert_lags_of_single_bins(&trace, EXAMPLES);
        for (size_t layer = 0; layer < MOST_LAYERS; ++layer)
            memcpy(lags[engine][layer], trace.lags[layer], sizeof lags[engine][layer]);
        close_world(&w);
    }
    assert_memory_equal(lags[0], lags[1], sizeof lags[0]);
}

static sr_status sum_over_ranks(void *context, double *values, size_t count, sr_error *error)
{
    sr_parallel *parallel = context;
    assert_int_equal(count, L + 1);
    return sr_parallel_sum_double(parallel, values, count, error);
}

/* All ranks together, each a part of the batch, and each rank alone with the whole batch. */
static void in_training_ranks_and_engines_choose_the_lags_of_the_whole_batch(void **state)
{
    const shared_dataset *data = *state;
    const size_t rank = (size_t)sr_parallel_rank(data->parallel), ranks = (size_t)sr_parallel_size(data->parallel);
    static size_t lags[2 * ENGINES][MOST_LAYERS][KAPPA];
    static sr_real whole_states[EXAMPLES * WIDTH];
    for (size_t i = 0; i < 2 * ENGINES; ++i) {
        const bool together = i % 2;
        world w;
        sr_batch batch;
        sr_trace trace;
        sr_encoding encoding;
        open_world(&w, engines[i / 2], single_bins, "training.seed=1");
        build_part(&w, true, together ? rank : 0, together ? ranks : 1, &batch);
        sr_ranks all = {.rank = rank, .count = ranks, .context = data->parallel, .sum = sum_over_ranks};
        const sr_pass pass = {.training = true, .step = 1, .ranks = together ? &all : NULL};
        run_pass(&w, &batch, pass, &trace, &encoding);
        assert_lags_of_single_bins(&trace, 1);
        for (size_t layer = 0; layer < MOST_LAYERS; ++layer)
            memcpy(lags[i][layer], trace.lags[layer], sizeof lags[i][layer]);
        for (size_t e = 0; e < batch.examples; ++e) {
            const sr_real *own = encoding.representation->values + batch.example_reads[e] * WIDTH;
            sr_real *whole = whole_states + (together ? rank + e * ranks : e) * WIDTH;
            if (i == 0)
                memcpy(whole, own, WIDTH * sizeof *own);
            for (size_t c = 0; c < WIDTH; ++c)
                assert_true(fabs((double)own[c] - (double)whole[c]) < 1e-4);
        }
        assert_memory_equal(lags[i], lags[0], sizeof lags[0]);
        close_world(&w);
    }
}

/* Queries and keys are constant along the window then: r is 0 in a band without bin 0, and constant in the others. */
static void an_empty_history_without_positions_keeps_the_smallest_lags(void **state)
{
    (void)state;
    static const int32_t nothing[1];
    static const char *const layers[] = {single_bins, "model.layers=2"};
    for (size_t i = 0; i < 4 * ENGINES; ++i) {
        world w;
        sr_batch batch;
        sr_trace trace;
        sr_encoding encoding;
        open_world(&w, engines[i / 4], layers[i / 2 % 2], "model.positions=none");
        const bool training = i % 2;
        const sr_example example = {.items = nothing, .identity = 3};
        assert_int_equal(sr_batch_build(&batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, training, &example, 1, NULL),
                         SR_OK);
        run_pass(&w, &batch, (sr_pass){.training = training, .step = 1}, &trace, &encoding);
        for (size_t layer = 0; layer < (size_t)w.settings.model.layers; ++layer)
            assert_smallest(trace.lags[layer]);
        close_world(&w);
    }
}

/* Equal queries and keys: r[lag] = r[L - lag], and an odd number of lags is 0 (the largest) and pairs, an even one cuts a pair.
 */
static void of_two_lags_that_are_equal_by_symmetry_the_smaller_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ENGINES; ++i) {
        world w;
        sr_batch batch;
        sr_trace trace;
        sr_encoding encoding;
        open_world(&w, engines[i / 2], "model.layers=2", i % 2 ? "model.topk_factor=2.3" : "model.topk_factor=1.9");
        sr_parameters *parameters = sr_model_parameters(w.model);
        for (size_t p = 0; p < parameters->count; ++p) {
            char name[SR_PARAMETER_NAME_SIZE];
            snprintf(name, sizeof name, "%s", parameters->list[p].name);
            char *query = strstr(name, "query");
            if (!query)
                continue;
            char rest[SR_PARAMETER_NAME_SIZE];
            snprintf(rest, sizeof rest, "%s", query + strlen("query"));
            snprintf(query, sizeof name - (size_t)(query - name), "key%s", rest);
            const size_t key = sr_parameters_find(parameters, name);
            assert_int_not_equal(key, SIZE_MAX);
            memcpy(parameters->values + parameters->list[key].offset, parameters->values + parameters->list[p].offset,
                   parameters->list[p].size * sizeof *parameters->values);
        }
        build_part(&w, false, 0, 1, &batch);
        memset(&trace, 0, sizeof trace);
        const sr_pass pass = {.step = 1, .trace = &trace};
        sr_model_encode(w.model, w.tape, &batch, &pass, &encoding);
        assert_int_equal(sr_tape_status(w.tape, NULL), SR_OK);
        for (size_t layer = 0; layer < 2; ++layer)
            for (size_t s = 0; s < EXAMPLES; ++s) {
                const size_t *lags = trace.lags[layer] + s * trace.lag_count;
                for (size_t k = 0; k < trace.lag_count; ++k) {
                    bool mirrored = lags[k] <= L / 2;
                    for (size_t j = 0; j < trace.lag_count && !mirrored; ++j)
                        mirrored = lags[j] == L - lags[k];
                    assert_true(mirrored);
                }
            }
        close_world(&w);
    }
}

/* ---- steps ---- */

enum { STEPS = 2 };

static void losses_of_steps(const shared_dataset *data, sr_fourier_engine engine, const char *threads, double losses[STEPS])
{
    const char *const assignments[] = {"data.path=none",
                                       "model.backbone=fearec",
                                       "model.hidden_size=20",
                                       "model.inner_size=8",
                                       "model.max_length=24",
                                       "model.topk_factor=2.3",
                                       "model.global_ratio=0.01",
                                       "model.padding=left",
                                       "model.initializer_range=0.3",
                                       "training.batch_size=29",
                                       "training.contrastive.weight=0.1",
                                       single_bins,
                                       threads};
    small_training t;
    sr_step_result result;
    sr_error error = {.message = ""};
    small_training_begin(&t, data, assignments, sizeof assignments / sizeof *assignments, STEPS);
    for (size_t thread = 0; thread < t.stepper.threads; ++thread)
        use_transforms(t.stepper.workers[thread].model, engine);
    for (int64_t step = 0; step < STEPS; ++step) {
        if (small_training_step(&t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
        losses[step] = sr_step_loss(&result);
    }
    small_training_end(&t);
}

static void engines_and_threads_train_alike_in_bands_of_one_bin(void **state)
{
    static const char *const threads[] = {"training.threads=1", "training.threads=3"};
    double expected[STEPS], found[STEPS];
    losses_of_steps(*state, engines[0], threads[0], expected);
    for (size_t i = 1; i < 2 * ENGINES; ++i) {
        losses_of_steps(*state, engines[i / 2], threads[i % 2], found);
        for (size_t step = 0; step < STEPS; ++step)
            if (!(fabs(found[step] - expected[step]) < 1e-5 * expected[step]))
                fail_msg("engine %d, %s: the loss of step %zu is %.9g instead of %.9g", (int)engines[i / 2], threads[i % 2],
                         step, found[step], expected[step]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_of_thirteen_sees_one_bin),
        cmocka_unit_test(in_bands_of_one_bin_each_sequence_keeps_the_smallest_of_equal_lags),
        cmocka_unit_test(in_training_ranks_and_engines_choose_the_lags_of_the_whole_batch),
        cmocka_unit_test(an_empty_history_without_positions_keeps_the_smallest_lags),
        cmocka_unit_test(of_two_lags_that_are_equal_by_symmetry_the_smaller_is_taken),
        cmocka_unit_test(engines_and_threads_train_alike_in_bands_of_one_bin),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}

/* FEARec against its definition, computed from the parameters by loops over positions; what its passes ask of other ranks; and
 * the distance of spectra. */
#include "model/backbones/fearec.h"
#include "cpu_level.h"
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/operations.h"
#include "srtrain/settings.h"
#include "transforms.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 11, L = 6, D = 8, HEADS = 2, HALF = D / HEADS, INNER = 10, SEQUENCES = 4, LAYERS = 2 };
static const double pi = 3.14159265358979323846;

/* One longer than the window, one empty. */
static const int32_t histories[SEQUENCES][8] = {{3, 1, 4, 1, 5}, {9}, {5, 3, 5, 8, 9, 7, 9, 3}, {0}};
static const size_t lengths[SEQUENCES] = {5, 1, 8, 0};

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
} world;

static void open_world(world *w, const char *option)
{
    const char *const assignments[] = {"data.path=none",
                                       "model.backbone=fearec",
                                       "model.hidden_size=8",
                                       "model.heads=2",
                                       "model.inner_size=10",
                                       "model.max_length=6",
                                       "model.topk_factor=2.3",
                                       "model.hidden_dropout=0",
                                       "model.attention_dropout=0",
                                       "model.padding=left",
                                       "model.spatial_ratio=0.3",
                                       "model.initializer_range=0.5",
                                       option};
    sr_error error = {.message = ""};
    if (sr_settings_parse(&w->settings, "data:\n", "test", assignments, sizeof assignments / sizeof *assignments, &error) !=
        SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, 3, NULL), SR_OK);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    sr_parameters *parameters = sr_model_parameters(w->model);
    sr_parameters_draw(parameters, 5);
    for (size_t i = 0; i < parameters->count; ++i) /* biases too */
        for (size_t k = 0; k < parameters->list[i].size; ++k)
            parameters->values[parameters->list[i].offset + k] += 0.1 * sin((double)(7 * i + 3 * k));
    sr_example examples[SEQUENCES];
    for (size_t s = 0; s < SEQUENCES; ++s)
        examples[s] = (sr_example){.items = histories[s], .length = lengths[s], .identity = s};
    assert_int_equal(
        sr_batch_build(&w->batch, w->arena, &w->settings.model, SR_OBJECTIVE_LAST, true, examples, SEQUENCES, NULL), SR_OK);
}

static void close_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_arena_free(w->arena);
}

/* ---- the definition ---- */

typedef double state[L][D];

static const sr_real *values_of(const world *w, const char *name, size_t layer)
{
    char full[SR_PARAMETER_NAME_SIZE];
    snprintf(full, sizeof full, name, layer);
    const sr_parameters *parameters = sr_model_parameters(w->model);
    const size_t index = sr_parameters_find(parameters, full);
    if (index == SIZE_MAX)
        fail_msg("there is no %s", full);
    return parameters->values + parameters->list[index].offset;
}

static void linear(const double *in, size_t columns, const sr_real *weight, const sr_real *bias, double *out, size_t count)
{
    for (size_t o = 0; o < count; ++o) {
        out[o] = bias[o];
        for (size_t i = 0; i < columns; ++i)
            out[o] += weight[o * columns + i] * in[i];
    }
}

static void normalise(double *x, const sr_real *gain, const sr_real *bias)
{
    double mean = 0, variance = 0;
    for (size_t c = 0; c < D; ++c)
        mean += x[c] / D;
    for (size_t c = 0; c < D; ++c)
        variance += (x[c] - mean) * (x[c] - mean) / D;
    for (size_t c = 0; c < D; ++c)
        x[c] = gain[c] * (x[c] - mean) / sqrt(variance + 1e-12) + bias[c];
}

/* Only the bins [first, last) of the transform along the positions stay. */
static void project(state in, state out, size_t first, size_t last)
{
    for (size_t t = 0; t < L; ++t)
        for (size_t c = 0; c < D; ++c) {
            out[t][c] = 0;
            for (size_t s = 0; s < L; ++s)
                for (size_t k = first; k < last; ++k)
                    out[t][c] += (k == 0 || 2 * k == L ? 1 : 2) * cos(2 * pi * (double)k * ((double)t - (double)s) / L) / L *
                                 in[s][c];
        }
}

/* One layer's tensors of one sequence. */
typedef struct {
    state q, k, v, r_of;
    double r[L];
} layer_tensors;

static void prepare_layer(const world *w, size_t layer, size_t first, size_t last, state x, layer_tensors *out)
{
    static const char *const names[] = {"query", "key", "value"};
    state projections[3];
    for (size_t p = 0; p < 3; ++p)
        for (size_t t = 0; t < L; ++t) {
            char weight[64], bias[64];
            snprintf(weight, sizeof weight, "layers.%%zu.attention.%s.weight", names[p]);
            snprintf(bias, sizeof bias, "layers.%%zu.attention.%s.bias", names[p]);
            linear(x[t], D, values_of(w, weight, layer), values_of(w, bias, layer), projections[p][t], D);
        }
    memcpy(out->r_of, projections[2], sizeof out->r_of); /* values that are not band-limited */
    project(projections[0], out->q, first, last);
    project(projections[1], out->k, first, last);
    project(projections[2], out->v, first, last);
    for (size_t lag = 0; lag < L; ++lag) {
        out->r[lag] = 0;
        for (size_t t = 0; t < L; ++t)
            for (size_t c = 0; c < D; ++c)
                out->r[lag] += out->q[(t + lag) % L][c] * projections[1][t][c] / D;
    }
}

/* Marks the largest `count` of the values. */
static void mark_largest(const double *values, size_t count, bool *kept)
{
    memset(kept, 0, L * sizeof *kept);
    for (size_t i = 0; i < count; ++i) {
        size_t best = SIZE_MAX;
        for (size_t lag = 0; lag < L; ++lag)
            if (!kept[lag] && (best == SIZE_MAX || values[lag] > values[best]))
                best = lag;
        kept[best] = true;
    }
}

static void attend(const layer_tensors *in, size_t padding, state out)
{
    memset(out, 0, sizeof(state));
    for (size_t head = 0; head < HEADS; ++head)
        for (size_t t = 0; t < L; ++t) {
            double scores[L], sum = 0;
            for (size_t j = 0; j < L; ++j) {
                scores[j] = 0;
                for (size_t c = head * HALF; c < (head + 1) * HALF; ++c)
                    scores[j] += in->q[t][c] * in->k[j][c] / sqrt(HALF);
                const bool visible = t < padding || (j >= padding && j <= t); /* padding sees everything */
                scores[j] = visible ? exp(scores[j]) : 0;
                sum += scores[j];
            }
            for (size_t j = 0; j < L; ++j)
                for (size_t c = head * HALF; c < (head + 1) * HALF; ++c)
                    out[t][c] += scores[j] / sum * in->v[j][c];
        }
}

static void finish_layer(const world *w, size_t layer, const layer_tensors *in, const bool *kept, size_t padding, state x)
{
    const double share = 0.3; /* model.spatial_ratio */
    double weights[L], sum = 0;
    state attended;
    attend(in, padding, attended);
    for (size_t lag = 0; lag < L; ++lag)
        sum += weights[lag] = kept[lag] ? exp(in->r[lag]) : 0;
    for (size_t t = 0; t < L; ++t) {
        double mixed[D], outcome[D], inner[INNER];
        for (size_t c = 0; c < D; ++c) {
            mixed[c] = share * attended[t][c];
            for (size_t lag = 0; lag < L; ++lag)
                mixed[c] += (1 - share) * weights[lag] / sum * in->r_of[(t + lag) % L][c];
        }
        linear(mixed, D, values_of(w, "layers.%zu.attention.output.weight", layer),
               values_of(w, "layers.%zu.attention.output.bias", layer), outcome, D);
        for (size_t c = 0; c < D; ++c)
            x[t][c] += outcome[c];
        normalise(x[t], values_of(w, "layers.%zu.attention.norm.weight", layer),
                  values_of(w, "layers.%zu.attention.norm.bias", layer));
        linear(x[t], D, values_of(w, "layers.%zu.ffn.inner.weight", layer), values_of(w, "layers.%zu.ffn.inner.bias", layer),
               inner, INNER);
        for (size_t i = 0; i < INNER; ++i)
            inner[i] = 0.5 * inner[i] * (1 + erf(inner[i] / sqrt(2)));
        linear(inner, INNER, values_of(w, "layers.%zu.ffn.outer.weight", layer),
               values_of(w, "layers.%zu.ffn.outer.bias", layer), outcome, D);
        for (size_t c = 0; c < D; ++c)
            x[t][c] += outcome[c];
        normalise(x[t], values_of(w, "layers.%zu.ffn.norm.weight", layer), values_of(w, "layers.%zu.ffn.norm.bias", layer));
    }
}

/* All states of the last layer; in training the lags are chosen by the mean over the batch. */
static void define_states(const world *w, bool training, const size_t bands[LAYERS][2], size_t lags, state x[SEQUENCES])
{
    size_t padding[SEQUENCES];
    for (size_t s = 0; s < SEQUENCES; ++s) {
        const size_t length = lengths[s] < L ? lengths[s] : L;
        padding[s] = L - length;
        for (size_t t = 0; t < L; ++t) {
            const size_t item = t < padding[s] ? 0 : (size_t)histories[s][lengths[s] - L + t];
            for (size_t c = 0; c < D; ++c)
                x[s][t][c] = values_of(w, "item_embedding.weight", 0)[item * D + c] +
                             values_of(w, "position_embedding.weight", 0)[t * D + c];
            normalise(x[s][t], values_of(w, "input_norm.weight", 0), values_of(w, "input_norm.bias", 0));
        }
    }
    for (size_t layer = 0; layer < LAYERS; ++layer) {
        layer_tensors tensors[SEQUENCES];
        double mean[L] = {0};
        bool kept[L];
        for (size_t s = 0; s < SEQUENCES; ++s) {
            prepare_layer(w, layer, bands[layer][0], bands[layer][1], x[s], &tensors[s]);
            for (size_t lag = 0; lag < L; ++lag)
                mean[lag] += tensors[s].r[lag] / SEQUENCES;
        }
        for (size_t s = 0; s < SEQUENCES; ++s) {
            mark_largest(training ? mean : tensors[s].r, lags, kept);
            finish_layer(w, layer, &tensors[s], kept, padding[s], x[s]);
        }
    }
}

static void check_states(const world *w, const sr_pass *pass, const size_t bands[LAYERS][2], size_t lags)
{
    static state expected[SEQUENCES];
    sr_encoding encoding;
    define_states(w, pass->training, bands, lags, expected);
    sr_tape_reset(w->tape);
    sr_model_encode(w->model, w->tape, &w->batch, pass, &encoding);
    assert_int_equal(sr_tape_status(w->tape, NULL), SR_OK);
    for (size_t s = 0; s < SEQUENCES; ++s) {
        const sr_real *read = encoding.representation->values + w->batch.example_reads[s] * D;
        for (size_t c = 0; c < D; ++c)
            assert_true(fabs(read[c] - expected[s][L - 1][c]) < 1e-11);
    }
    if (!pass->every_row) {
        assert_null(encoding.states);
        return;
    }
    for (size_t i = 0; i < SEQUENCES * L * D; ++i)
        assert_true(fabs(encoding.states->values[i] - expected[i / (L * D)][i / D % L][i % D]) < 1e-11);
}

/* M = 4 bins, two layers, a share of 0.6: s = floor(4 * 0.4) = 1, so [int(1.6), 4) and [int(0.6), 3). */
static void states_follow_their_definition(void **test)
{
    (void)test;
    static const size_t bands[LAYERS][2] = {{1, 4}, {0, 3}}, halves[LAYERS][2] = {{2, 4}, {0, 2}};
    static const sr_fourier_engine engines[] = {SR_FOURIER_FFTW, SR_FOURIER_PROJECTION};
    world w;
    for (size_t i = 0; i < 8; ++i) {
        open_world(&w, "training.seed=1");
        use_transforms(w.model, engines[i / 4]);
        const sr_pass pass = {.training = i % 2, .every_row = i / 2 % 2};
        check_states(&w, &pass, bands, 4); /* int(2.3 ln 6) */
        close_world(&w);
    }
    open_world(&w, "model.global_ratio=0.4"); /* below 1 / layers: halves */
    const sr_pass pass = {.training = false, .every_row = true};
    check_states(&w, &pass, halves, 4);
    close_world(&w);
}

/* ---- bands ---- */

static void assert_band(sr_band band, size_t first, size_t last)
{
    assert_int_equal(band.first, first);
    assert_int_equal(band.last, last);
}

static void bands_and_lags_are_those_of_the_released_sizes(void **test)
{
    (void)test;
    sr_settings settings;
    sr_settings_default(&settings);
    assert_true(settings.model.max_length == 50 && settings.model.layers == 2);
    assert_int_equal(fearec_lags(&settings.model), 39);
    assert_band(fearec_band(&settings.model, 0), 10, 26);
    assert_band(fearec_band(&settings.model, 1), 0, 16);
    settings.model.layers = 1; /* everything */
    assert_band(fearec_band(&settings.model, 0), 0, 26);
    settings.model.layers = 3;
    assert_int_equal(sr_settings_assign(&settings, "model.global_ratio=0.1", NULL), SR_OK); /* thirds of 26 */
    const size_t expected[] = {17, 8, 0};
    for (size_t layer = 0; layer < 3; ++layer) {
        assert_band(fearec_band(&settings.model, layer), expected[layer], layer ? expected[layer - 1] : 26);
    }
}

/* ---- sums over ranks ---- */

typedef struct {
    size_t calls, others; /* how many ranks besides this one have the same sums */
    bool opposite;        /* another rank turns the choice round */
} other_ranks;

static sr_status add_other_ranks(void *context, double *values, size_t count, sr_error *error)
{
    (void)error;
    other_ranks *other = context;
    assert_int_equal(count, L + 1); /* the last is the scale */
    ++other->calls;
    for (size_t i = 0; i < count; ++i)
        values[i] = other->opposite && i < L ? -values[i] : values[i] * (1 + (double)other->others);
    return SR_OK;
}

static void lags_of_training_are_chosen_by_the_sums_of_all_ranks(void **test)
{
    (void)test;
    world w;
    open_world(&w, "training.seed=1");
    sr_real alone[SEQUENCES * D], together[SEQUENCES * D];
    other_ranks other = {.others = 2};
    sr_pass pass = {.training = true};
    sr_encoding encoding;
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
    memcpy(alone, encoding.representation->values, sizeof alone);
    pass.ranks = &(sr_ranks){.count = 3, .context = &other, .sum = add_other_ranks};
    sr_tape_reset(w.tape);
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
    assert_int_equal(other.calls, LAYERS);
    assert_memory_equal(alone, encoding.representation->values, sizeof alone);
    other.opposite = true;
    sr_tape_reset(w.tape);
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
    memcpy(together, encoding.representation->values, sizeof together);
    assert_memory_not_equal(alone, together, sizeof alone);
    close_world(&w);
}

static void a_rank_that_failed_or_has_nothing_to_do_takes_part_in_every_sum(void **test)
{
    (void)test;
    static const size_t no_offsets[] = {0};
    world w;
    open_world(&w, "training.seed=1");
    other_ranks other = {.others = 0};
    sr_ranks ranks = {.count = 1, .context = &other, .sum = add_other_ranks};
    const sr_pass pass = {.training = true, .ranks = &ranks};
    const sr_batch empty = {.layout = {.offsets = no_offsets, .window = L, .causal = true}, .reads = {.offsets = no_offsets}};
    sr_encoding encoding;
    sr_model_encode(w.model, w.tape, &empty, &pass, &encoding);
    assert_int_equal(other.calls, LAYERS);
    assert_int_equal(encoding.representation->rows, 0);
    assert_int_equal(sr_tape_status(w.tape, NULL), SR_OK);
    sr_tape_fail(w.tape, &(sr_error){.status = SR_ERROR_RUNTIME, .message = "no memory"});
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
    assert_int_equal(other.calls, 2 * LAYERS);
    assert_int_not_equal(sr_tape_status(w.tape, NULL), SR_OK);
    close_world(&w);
}

/* ---- the distance of spectra ---- */

static void the_distance_of_spectra_follows_its_definition(void **test)
{
    (void)test;
    world w;
    open_world(&w, "training.seed=1");
    sr_encoding left, right;
    const sr_pass pass = {.training = true, .every_row = true}, evaluation = {.every_row = true};
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &left);
    sr_model_encode(w.model, w.tape, &w.batch, &evaluation, &right);
    double expected = 0;
    for (size_t s = 0; s < SEQUENCES; ++s)
        for (size_t k = 0; k <= L / 2; ++k)
            for (size_t c = 0; c < D; ++c) {
                double real = 0, imaginary = 0;
                for (size_t t = 0; t < L; ++t) {
                    const size_t at = (s * L + t) * D + c;
                    const double difference = left.states->values[at] - right.states->values[at];
                    real += difference * cos(2 * pi * (double)(k * t) / L) / sqrt(L);
                    imaginary -= difference * sin(2 * pi * (double)(k * t) / L) / sqrt(L);
                }
                expected += sqrt(real * real + imaginary * imaginary);
            }
    const sr_tensor *found = sr_model_state_distance(w.model, w.tape, &w.batch, left.states, right.states, 3);
    expected /= 3.0 * (L / 2 + 1) * D;
    assert_true(expected > 1e-3 && fabs(found->values[0] - expected) < 1e-10);
    /* Of equal states it is 0, and so is its gradient. */
    sr_tensor *same = sr_model_state_distance(w.model, w.tape, &w.batch, left.states, left.states, 1);
    assert_true(same->values[0] == 0);
    assert_int_equal(sr_tape_backward(w.tape, same, SR_PARAMETERS_EVERY, NULL), SR_OK);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    for (size_t i = 0; i < parameters->block_size; ++i)
        assert_true(parameters->gradients[i] == 0);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_follow_their_definition),
        cmocka_unit_test(bands_and_lags_are_those_of_the_released_sizes),
        cmocka_unit_test(lags_of_training_are_chosen_by_the_sums_of_all_ranks),
        cmocka_unit_test(a_rank_that_failed_or_has_nothing_to_do_takes_part_in_every_sum),
        cmocka_unit_test(the_distance_of_spectra_follows_its_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Analyses of known matrices, and of a small model against naive loops on 1 to 4 ranks. */
#include "cpu_level.h"
#include "shared_dataset.h"
#include "srtrain/analysis.h"

#include "evaluate/attention_sums.h"
#include "evaluate/frequency_response.h"
#include "evaluate/state_sums.h"
#include "srtrain/settings.h"
#include "tensor/symmetric.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void assert_near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance))
        fail_msg("%.17g instead of %.17g", actual, expected);
}

/* ---- states ---- */

enum { WIDTH = 4 };

typedef struct {
    double block[WIDTH * WIDTH + WIDTH + 16];
    double singular_values[WIDTH];
    state_numbers numbers;
} state_case;

static state_sums open_case(state_case *c)
{
    assert_true(state_sums_size(WIDTH) <= sizeof c->block / sizeof *c->block);
    memset(c->block, 0, sizeof c->block);
    return state_sums_view(c->block, WIDTH);
}

static void finish_case(state_case *c, const state_sums *sums)
{
    assert_int_equal(state_sums_finish(sums, c->singular_values, &c->numbers, NULL), SR_OK);
}

static void equal_states_have_one_singular_value_and_cosine_1(void **state)
{
    (void)state;
    const double states[3 * WIDTH] = {1, 2, 0, 2, 1, 2, 0, 2, 1, 2, 0, 2};
    state_case c;
    const state_sums sums = open_case(&c);
    state_sums_add_last(&sums, states, 2);
    state_sums_add_last(&sums, states, 1); /* another batch */
    finish_case(&c, &sums);
    assert_near(c.singular_values[0], sqrt(27), 1e-12);
    for (size_t i = 1; i < WIDTH; ++i)
        assert_near(c.singular_values[i], 0, 1e-6); /* roots of rounding errors */
    assert_near(c.numbers.effective_rank, 1, 1e-5);
    assert_near(c.numbers.cosine, 1, 1e-12);
    assert_near(c.numbers.published_cosine, 6.0 / 9, 1e-12);
    assert_true(isnan(c.numbers.position_cosine));
}

static void orthonormal_states_have_full_rank_and_cosine_0(void **state)
{
    (void)state;
    double states[WIDTH * WIDTH] = {0};
    for (size_t i = 0; i < WIDTH; ++i)
        states[i * WIDTH + i] = i % 2 ? -1 : 1;
    state_case c;
    const state_sums sums = open_case(&c);
    state_sums_add_last(&sums, states, WIDTH);
    finish_case(&c, &sums);
    for (size_t i = 0; i < WIDTH; ++i)
        assert_near(c.singular_values[i], 1, 1e-12);
    assert_near(c.numbers.effective_rank, WIDTH, 1e-12);
    assert_near(c.numbers.cosine, 0, 1e-12);
}

static void singular_values_are_in_descending_order(void **state)
{
    (void)state;
    const double states[2 * WIDTH] = {0, 3, 0, 0, 0, 0, 0, 5};
    state_case c;
    const state_sums sums = open_case(&c);
    state_sums_add_last(&sums, states, 2);
    finish_case(&c, &sums);
    const double expected[WIDTH] = {5, 3, 0, 0};
    for (size_t i = 0; i < WIDTH; ++i)
        assert_near(c.singular_values[i], expected[i], 1e-7);
    const double p = 5.0 / 8, q = 3.0 / 8;
    assert_near(c.numbers.effective_rank, exp(-p * log(p) - q * log(q)), 1e-6);
}

static void a_state_of_length_0_is_orthogonal_to_all(void **state)
{
    (void)state;
    const double states[3 * WIDTH] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    state_case c;
    const state_sums sums = open_case(&c);
    state_sums_add_last(&sums, states, 3);
    finish_case(&c, &sums);
    assert_near(c.numbers.cosine, 2.0 / 6, 1e-12);
}

static void similarity_of_positions_is_averaged_over_sequences(void **state)
{
    (void)state;
    const sr_real constant[3 * WIDTH] = {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4};
    const sr_real alternating[4 * WIDTH] = {1, 0, 0, 0, -1, 0, 0, 0, 1, 0, 0, 0, -1, 0, 0, 0};
    double scratch[2 * WIDTH];
    state_case c;
    const state_sums sums = open_case(&c);
    state_sums_add_sequence(&sums, constant, 3, scratch);
    state_sums_add_sequence(&sums, alternating, 4, scratch);
    state_sums_add_sequence(&sums, constant, 1, scratch); /* no pairs */
    finish_case(&c, &sums);
    assert_near(c.numbers.sequences_with_pairs, 2, 0);
    assert_near(c.numbers.position_cosine, (1 - 1.0 / 3) / 2, 1e-6); /* 6 pairs: 2 alike, 4 opposite */
    assert_near(c.numbers.high_frequency_share, (0 + 1) / 2.0, 1e-6);
}

static void eigenvalues_of_numbers_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    double matrix[4] = {1, (double)NAN, 0, 1}, values[2];
    sr_error error;
    assert_int_equal(sr_symmetric_eigenvalues(matrix, 2, values, &error), SR_ERROR_RUNTIME);
}

/* ---- attention ---- */

static void even_attention_keeps_the_mean_alone(void **state)
{
    (void)state;
    enum { N = 10 };
    double even[N * N], gain[N / 2 + 1], spectrum[N * N];
    for (size_t i = 0; i < N * N; ++i)
        even[i] = 1.0 / N;
    assert_int_equal(frequency_response(even, N, gain, spectrum, NULL), SR_OK);
    for (size_t k = 0; k <= N / 2; ++k)
        assert_near(gain[k], k == 0, 1e-6);
    for (size_t i = 0; i < N * N; ++i)
        assert_near(spectrum[i], i == 0, 1e-6);
}

static void attention_to_oneself_keeps_every_frequency(void **state)
{
    (void)state;
    enum { N = 7 };
    double identity[N * N] = {0}, gain[N / 2 + 1], spectrum[N * N];
    for (size_t i = 0; i < N; ++i)
        identity[i * N + i] = 1;
    assert_int_equal(frequency_response(identity, N, gain, spectrum, NULL), SR_OK);
    for (size_t k = 0; k <= N / 2; ++k)
        assert_near(gain[k], 1, 1e-6);
    for (size_t i = 0; i < N * N; ++i)
        assert_near(spectrum[i], i % (N + 1) == 0, 1e-6);
}

/* Against the definition, with a matrix without any symmetry. */
static void gains_and_spectrum_are_those_of_the_definition(void **state)
{
    (void)state;
    enum { N = 6 };
    double attention[N * N], gain[N / 2 + 1], spectrum[N * N];
    const double turn = 2 * acos(-1) / N;
    for (size_t i = 0; i < N * N; ++i)
        attention[i] = (double)((i * i * 7 + 3 * i) % 11) / 11;
    assert_int_equal(frequency_response(attention, N, gain, spectrum, NULL), SR_OK);
    for (size_t k = 0; k < N; ++k) {
        double real[N] = {0}, imaginary[N] = {0}, square = 0;
        for (size_t row = 0; row < N; ++row) {
            for (size_t t = 0; t < N; ++t) {
                real[row] += attention[row * N + t] * cos(turn * (double)(k * t)) / sqrt(N);
                imaginary[row] += attention[row * N + t] * sin(turn * (double)(k * t)) / sqrt(N);
            }
            square += real[row] * real[row] + imaginary[row] * imaginary[row];
        }
        if (k <= N / 2)
            assert_near(gain[k], sqrt(square), 1e-5);
        for (size_t out = 0; out < N; ++out) {
            double a = 0, b = 0;
            for (size_t row = 0; row < N; ++row) {
                const double c = cos(turn * (double)(out * row)), s = -sin(turn * (double)(out * row));
                a += (real[row] * c - imaginary[row] * s) / sqrt(N);
                b += (real[row] * s + imaginary[row] * c) / sqrt(N);
            }
            assert_near(spectrum[out * N + k], hypot(a, b), 1e-5);
        }
    }
}

static void even_attention_attends_to_all_its_keys(void **state)
{
    (void)state;
    const sr_real even[5] = {1, 1, 1, 1, 1}, one[3] = {0, 2, 0}, none[2] = {0, 0}, signed_weights[2] = {0.5, -0.5};
    assert_near(effective_keys(even, 5), 5, 1e-6); /* and need not sum to 1 */
    assert_near(effective_keys(one, 3), 1, 1e-6);
    assert_near(effective_keys(none, 2), 0, 0);
    assert_near(effective_keys(signed_weights, 2), 2, 1e-6);
    assert_near(effective_keys(NULL, 0), 0, 0);
}

/* ---- a model against naive loops ---- */

enum { USERS = 23, ITEMS = 17, LENGTH = 5 };

typedef struct {
    shared_dataset data;
    sr_parallel *parallel; /* of the data set */
    sr_dataset *dataset;
    sr_model *model;
} world;

/* User u has u % 9 + 1 interactions, all but the last two for training: the first of every nine has no history before its test
 * interaction. */
static void write_data(const char *directory)
{
    int64_t offsets[USERS + 1] = {0}, times[USERS * 9];
    int32_t items[USERS * 9], train_end[USERS], valid_end[USERS];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = user % 9 + 1;
        for (size_t i = 0; i < length; ++i) {
            times[count] = (int64_t)(i * i + user % 3 * i);
            items[count++] = 1 + (int32_t)((user * 7 + i * 5) % ITEMS);
        }
        offsets[user + 1] = (int64_t)count;
        train_end[user] = length > 2 ? (int32_t)length - 2 : 0;
        valid_end[user] = (int32_t)length - 1;
    }
    small_dataset_write(directory, &(small_dataset){.users = USERS,
                                                    .items = ITEMS,
                                                    .shards = 2,
                                                    .offsets = offsets,
                                                    .item_ids = items,
                                                    .times = times,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    shared_dataset_open(&w->data, write_data);
    w->parallel = w->data.parallel;
    w->dataset = w->data.dataset;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    const int result = shared_dataset_close(&w->data);
    free(w);
    return result;
}

static void make_model(world *w, const char *const *assignments, size_t count)
{
    const char *all[16] = {"data.path=none",      "model.hidden_size=8", "model.heads=2",
                           "model.inner_size=10", "model.max_length=5",  "model.initializer_range=0.4"};
    for (size_t i = 0; i < count; ++i)
        all[6 + i] = assignments[i];
    sr_settings settings;
    sr_error error;
    if (sr_settings_parse(&settings, "data:\n", "test", all, 6 + count, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_create(&w->model, &settings.model, ITEMS, USERS, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 3);
}

/* What one pass over one user's sequence gives, kept as plain matrices in the frame of its n tokens. */
typedef struct {
    size_t n, layers, heads, width;
    double *states;                         /* [layers + 1, n, width] */
    double *weights[SR_CALIBRATION_STAGES]; /* [layers, heads, n, n] */
    size_t visible;                         /* keys of the last query */
} one_pass;

static void run_pass(world *w, size_t user, size_t length, one_pass *out)
{
    const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
    const sr_example example = {.items = sequence.items,
                                .times = sequence.times,
                                .length = length,
                                .user = (int32_t)user + 1,
                                .mask_token = sr_model_mask_token(w->model)};
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
    sr_trace trace = {.layers = 0};
    const sr_pass pass = {.every_row = true, .trace = &trace};
    sr_encoding encoding;
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&tape, tested_kernels(), false, NULL), SR_OK);
    assert_int_equal(
        sr_batch_build(&batch, arena, sr_model_configuration(w->model), SR_OBJECTIVE_LAST, false, &example, 1, NULL), SR_OK);
    sr_model_encode(w->model, tape, &batch, &pass, &encoding);
    assert_int_equal(sr_tape_status(tape, NULL), SR_OK);
    const size_t n = batch.layout.offsets[1];
    *out = (one_pass){.n = n, .layers = trace.layers, .heads = 2, .width = trace.states[0]->columns, .visible = n};
    out->states = calloc((out->layers + 1) * n * out->width, sizeof *out->states);
    for (size_t layer = 0; layer <= out->layers; ++layer)
        for (size_t i = 0; i < n * out->width; ++i)
            out->states[layer * n * out->width + i] = trace.states[layer]->values[i];
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
        const sr_tensor *const *weights = stage ? trace.attention : trace.uncalibrated;
        out->weights[stage] = calloc(out->layers * 2 * n * n, sizeof(double));
        for (size_t layer = 0; layer < out->layers; ++layer)
            for (size_t cell = 0; cell < 2 * n * n; ++cell)
                out->weights[stage][layer * 2 * n * n + cell] = weights[layer]->values[cell];
    }
    sr_tape_free(tape);
    sr_arena_free(arena);
}

static void free_pass(one_pass *one)
{
    free(one->states);
    free(one->weights[0]);
    free(one->weights[1]);
}

static double cosine(const double *left, const double *right, size_t width)
{
    double product = 0, left_square = 0, right_square = 0;
    for (size_t i = 0; i < width; ++i) {
        product += left[i] * right[i];
        left_square += left[i] * left[i];
        right_square += right[i] * right[i];
    }
    return product / sqrt(left_square * right_square);
}

static double mean_pair_cosine(const double *rows, size_t n, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j)
            sum += i == j ? 0 : cosine(rows + i * width, rows + j * width, width);
    return sum / (double)(n * (n - 1));
}

static double high_frequency_share(const double *rows, size_t n, size_t width)
{
    double all = 0, rest = 0;
    for (size_t i = 0; i < width; ++i) {
        double mean = 0;
        for (size_t row = 0; row < n; ++row)
            mean += rows[row * width + i] / (double)n;
        for (size_t row = 0; row < n; ++row) {
            all += rows[row * width + i] * rows[row * width + i];
            rest += pow(rows[row * width + i] - mean, 2);
        }
    }
    return rest / all;
}

static void check_states(const sr_state_analysis *states, const one_pass *passes, size_t count)
{
    const size_t width = passes[0].width;
    double *last = calloc(count * width, sizeof *last);
    assert_int_equal(states->count, passes[0].layers + 1);
    assert_int_equal(states->width, width);
    for (size_t layer = 0; layer < states->count; ++layer) {
        double cosines = 0, shares = 0, squares = 0, expected_squares = 0, fourths = 0, expected_fourths = 0;
        size_t sequences = 0;
        for (size_t s = 0; s < count; ++s) {
            const double *rows = passes[s].states + layer * passes[s].n * width;
            memcpy(last + s * width, rows + (passes[s].n - 1) * width, width * sizeof *last);
            if (passes[s].n < 2)
                continue;
            cosines += mean_pair_cosine(rows, passes[s].n, width);
            shares += high_frequency_share(rows, passes[s].n, width);
            ++sequences;
        }
        assert_int_equal(states->sequences_with_pairs, sequences);
        assert_near(states->position_cosine[layer], cosines / (double)sequences, 1e-5);
        assert_near(states->high_frequency_share[layer], shares / (double)sequences, 1e-5);
        const double pairs = mean_pair_cosine(last, count, width);
        assert_near(states->cosine[layer], pairs, 1e-5);
        assert_near(states->published_cosine[layer], pairs * (double)(count - 1) / (double)count, 1e-5);
        /* tr(G) and tr(G G), G the Gram matrix, are sums of the second and fourth powers. */
        for (size_t i = 0; i < width; ++i) {
            squares += pow(states->singular_values[layer * width + i], 2);
            fourths += pow(states->singular_values[layer * width + i], 4);
            for (size_t j = 0; j < width; ++j) {
                double cell = 0;
                for (size_t s = 0; s < count; ++s)
                    cell += last[s * width + i] * last[s * width + j];
                expected_squares += i == j ? cell : 0;
                expected_fourths += cell * cell;
            }
        }
        assert_near(squares / expected_squares, 1, 1e-5);
        assert_near(fourths / expected_fourths, 1, 1e-5);
    }
    free(last);
}

static double keys_of(const double *row, size_t count)
{
    double sum = 0, entropy = 0;
    for (size_t i = 0; i < count; ++i)
        sum += row[i];
    for (size_t i = 0; i < count; ++i)
        entropy -= row[i] > 0 ? row[i] / sum * log(row[i] / sum) : 0;
    return exp(entropy);
}

static void check_attention(const sr_attention_analysis *a, const one_pass *passes, size_t count)
{
    assert_int_equal(a->layers, passes[0].layers);
    assert_int_equal(a->heads, 2);
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
        for (size_t i = 0; i < a->layers * a->heads; ++i) {
            double keys = 0, sums = 0, visible = 0;
            int64_t full = 0;
            double *mean = calloc(a->length * a->length, sizeof *mean);
            for (size_t s = 0; s < count; ++s) {
                const size_t n = passes[s].n;
                const double *cells = passes[s].weights[stage] + i * n * n, *row = cells + (n - 1) * n;
                keys += keys_of(row, n) / (double)count;
                visible += (double)passes[s].visible / (double)count;
                for (size_t j = 0; j < n; ++j)
                    sums += row[j] / (double)count;
                full += n == a->length;
                for (size_t cell = 0; n == a->length && cell < n * n; ++cell)
                    mean[cell] += cells[cell];
            }
            assert_int_equal(a->sequences, full);
            assert_near(a->effective_keys[stage][i], keys, 1e-4);
            assert_near(a->row_sum[stage][i], sums, 1e-5);
            assert_near(a->visible_keys[stage][i / a->heads], visible, 1e-9);
            for (size_t cell = 0; cell < a->length * a->length; ++cell)
                assert_near(a->mean[stage][i * a->length * a->length + cell], mean[cell] / (double)full, 1e-5);
            free(mean);
        }
}

static void check_example(const sr_attention_example *example, const one_pass *one)
{
    assert_int_equal(example->tokens, one->n);
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
        for (size_t cell = 0; cell < one->layers * one->heads * one->n * one->n; ++cell)
            assert_near(example->weights[stage][cell], one->weights[stage][cell], 1e-5);
}

/* Four sequences at a time. */
static sr_analysis_request request_of(const world *w, sr_split split, const size_t *users, size_t user_count)
{
    return (sr_analysis_request){.dataset = w->dataset,
                                 .split = split,
                                 .batch_size = 4,
                                 .kernels = tested_kernels(),
                                 .users = users,
                                 .user_count = user_count};
}

typedef struct {
    const char *assignments[8];
    bool changed; /* by calibration */
} variant;

static const variant variants[] = {
    {{"model.backbone=sasrec"}, false},
    {{"calibrators.spatial.order=true", "calibrators.adversarial.renormalize=none"}, true},
    {{"model.backbone=bert4rec", "calibrators.refinement.kind=simple"}, true},
    {{"model.backbone=stosa", "training.loss=stosa", "model.activation=elu"}, false},
    {{"model.backbone=tisasrec", "model.time_span=20", "model.padding=left"}, false},
};

static void check_variant(world *w, const variant *v, sr_split split)
{
    size_t count = 0, asked[2] = {8, 16}; /* the longest history, and one like it */
    while (count < 8 && v->assignments[count])
        ++count;
    make_model(w, v->assignments, count);
    one_pass passes[USERS], of_asked = {.n = 0};
    sr_analysis analysis;
    sr_error error;
    size_t sequences = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        const size_t begin = split == SR_SPLIT_TEST ? sequence.valid_end : sequence.train_end;
        if (begin > 0)
            run_pass(w, user, begin, &passes[sequences++]);
        if (user == asked[1])
            of_asked = passes[sequences - 1];
    }
    const sr_analysis_request request = request_of(w, split, asked, 2);
    if (sr_analyze(w->parallel, w->model, &request, &analysis, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(analysis.sequences, sequences);
    assert_int_equal(analysis.left_out, USERS - sequences);
    check_states(&analysis.states, passes, sequences);
    check_attention(&analysis.attention, passes, sequences);
    assert_true(analysis.attention.full_length);
    const size_t cells = analysis.attention.length * analysis.attention.length * 2 * analysis.attention.layers;
    double difference = 0;
    for (size_t cell = 0; cell < cells; ++cell)
        difference = fmax(difference, fabs(analysis.attention.mean[0][cell] - analysis.attention.mean[1][cell]));
    assert_int_equal(difference > 1e-4, v->changed);
    assert_int_equal(analysis.example_count, sr_parallel_rank(w->parallel) == 0 ? 2 : 0);
    if (analysis.example_count)
        check_example(&analysis.examples[1], &of_asked);
    sr_analysis_free(&analysis);
    for (size_t s = 0; s < sequences; ++s)
        free_pass(&passes[s]);
    sr_model_free(w->model);
}

static void numbers_are_those_of_naive_loops(void **state)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; ++i)
        check_variant(*state, &variants[i], i % 2 ? SR_SPLIT_VALID : SR_SPLIT_TEST);
}

static void a_user_without_a_sequence_is_refused_on_every_rank(void **state)
{
    world *w = *state;
    const char *const assignments[] = {"model.backbone=sasrec"};
    const size_t user = 9; /* one interaction */
    sr_analysis analysis;
    sr_error error;
    make_model(w, assignments, 1);
    const sr_analysis_request request = request_of(w, SR_SPLIT_TEST, &user, 1);
    assert_int_equal(sr_analyze(w->parallel, w->model, &request, &analysis, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "n9"));
    sr_model_free(w->model);
}

/* The history of median length is 4 of 1 to 8 items, cut to 5. */
static void the_example_is_the_first_user_with_a_history_of_median_length(void **state)
{
    world *w = *state;
    const char *const assignments[] = {"model.backbone=sasrec"};
    sr_analysis analysis;
    make_model(w, assignments, 1);
    const sr_analysis_request request = request_of(w, SR_SPLIT_TEST, NULL, 0);
    assert_int_equal(sr_analyze(w->parallel, w->model, &request, &analysis, NULL), SR_OK);
    if (sr_parallel_rank(w->parallel) == 0) {
        assert_int_equal(analysis.example_count, 1);
        assert_int_equal(analysis.examples[0].user, 4);
        assert_int_equal(analysis.examples[0].tokens, 4);
        assert_int_equal(analysis.examples[0].items[0], sr_dataset_sequence(w->dataset, 4).items[0]);
    }
    sr_analysis_free(&analysis);
    sr_model_free(w->model);
}

/* Histories of 1 to 8 items in a window of 12: of no length are there ten, so that the longest counts. */
static void without_full_windows_attention_is_that_of_the_longest_sequences(void **state)
{
    world *w = *state;
    const char *const assignments[] = {"model.max_length=12"};
    sr_analysis analysis;
    make_model(w, assignments, 1);
    const sr_analysis_request request = request_of(w, SR_SPLIT_TEST, NULL, 0);
    assert_int_equal(sr_analyze(w->parallel, w->model, &request, &analysis, NULL), SR_OK);
    assert_false(analysis.attention.full_length);
    assert_int_equal(analysis.attention.length, 8);
    assert_int_equal(analysis.attention.bins, 5);
    assert_int_equal(analysis.attention.sequences, 2);
    for (size_t head = 0; head < 2 * analysis.attention.layers; ++head)
        assert_near(analysis.attention.gain[SR_BEFORE_CALIBRATION][head * 5], 1, 1e-5);
    sr_analysis_free(&analysis);
    sr_model_free(w->model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_states_have_one_singular_value_and_cosine_1),
        cmocka_unit_test(orthonormal_states_have_full_rank_and_cosine_0),
        cmocka_unit_test(singular_values_are_in_descending_order),
        cmocka_unit_test(a_state_of_length_0_is_orthogonal_to_all),
        cmocka_unit_test(similarity_of_positions_is_averaged_over_sequences),
        cmocka_unit_test(eigenvalues_of_numbers_that_are_not_finite_are_refused),
        cmocka_unit_test(even_attention_keeps_the_mean_alone),
        cmocka_unit_test(attention_to_oneself_keeps_every_frequency),
        cmocka_unit_test(gains_and_spectrum_are_those_of_the_definition),
        cmocka_unit_test(even_attention_attends_to_all_its_keys),
        cmocka_unit_test(numbers_are_those_of_naive_loops),
        cmocka_unit_test(a_user_without_a_sequence_is_refused_on_every_rank),
        cmocka_unit_test(the_example_is_the_first_user_with_a_history_of_median_length),
        cmocka_unit_test(without_full_windows_attention_is_that_of_the_longest_sequences),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Running a model over every sequence of a split and turning its inner values into the numbers of an analysis. */
#include "srtrain/analysis.h"

#include "evaluate/attention_sums.h"
#include "evaluate/frequency_response.h"
#include "evaluate/scorer.h"
#include "evaluate/state_sums.h"
#include "srtrain/memory.h"
#include "srtrain/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where no sequence fills the window, attention is averaged over sequences of one shorter length: the longest that so many
 * have. */
enum { SEQUENCES_OF_A_LENGTH = 10 };

typedef struct {
    sr_parallel *parallel;
    sr_ranks ranks; /* the same, as models see them */
    sr_model *model;
    const sr_dataset *dataset;
    sr_split split;
    size_t batch_size;
    sr_arena *arena;
    sr_tape *tape;
    scored_history *histories; /* [batch_size] */
    /* Of the sequences encoded last: */
    sr_batch batch;
    sr_trace trace;
    const sr_tensor *representation;
    /* What every batch has in common: */
    size_t states;  /* layers of them */
    size_t width;   /* of the widest */
    bool of_tokens; /* every token has a state */
    size_t length;  /* items of the sequences whose attention is averaged */
    double *block;  /* all sums, to be reduced at once */
    size_t block_size;
    state_sums *state_sums; /* [states] */
    attention_sums attention_sums;
    double *rows, *scratch; /* [batch_size, width], [2 width] */
} analyser;

/* ---- sequences ---- */

/* The sequence of a user; of length 0 for one who is left out. */
static scored_history history_of(const analyser *a, size_t user)
{
    const sr_sequence sequence = sr_dataset_sequence(a->dataset, user);
    const size_t begin = a->split == SR_SPLIT_VALID ? sequence.train_end : sequence.valid_end;
    const size_t end = a->split == SR_SPLIT_VALID ? sequence.valid_end : sequence.length;
    return scored_history_of(a->dataset, user, begin < end ? begin : 0);
}

static size_t window_of(const analyser *a)
{
    return (size_t)sr_model_configuration(a->model)->max_length;
}

/* Items of the sequence that fit the window. */
static size_t length_of(const analyser *a, size_t user)
{
    const size_t length = history_of(a, user).length;
    return length < window_of(a) ? length : window_of(a);
}

/* How many sequences of each length [window + 1] there are, of all ranks. */
static sr_status count_lengths(const analyser *a, int64_t *counts, sr_error *error)
{
    const size_t users = sr_dataset_users(a->dataset), rank = (size_t)sr_parallel_rank(a->parallel);
    for (size_t user = rank; user < users; user += (size_t)sr_parallel_size(a->parallel))
        ++counts[length_of(a, user)];
    return sr_parallel_sum_int64(a->parallel, counts, window_of(a) + 1, error);
}

static size_t median_length(const int64_t *counts, size_t window, int64_t sequences)
{
    int64_t shorter = 0;
    for (size_t length = 1; length <= window; ++length) {
        shorter += counts[length];
        if (2 * shorter >= sequences)
            return length;
    }
    return window;
}

/* The length of sequences whose attention is averaged. */
static size_t common_length(const int64_t *counts, size_t window)
{
    size_t longest = 0;
    if (counts[window] > 0)
        return window;
    for (size_t length = window; length > 0; --length) {
        if (counts[length] >= SEQUENCES_OF_A_LENGTH)
            return length;
        if (counts[length] > 0 && longest == 0)
            longest = length;
    }
    return longest;
}

/* Counts sequences and chooses an example user and the length for frequency responses. */
static sr_status survey(analyser *a, sr_analysis *analysis, size_t *example, sr_error *error)
{
    const size_t window = window_of(a);
    int64_t *counts = NULL;
    sr_status status = SR_ALLOCATE_ZERO(&counts, window + 1, "counts of lengths", error);
    status = sr_parallel_agree(a->parallel, status, error);
    if (status == SR_OK)
        status = count_lengths(a, counts, error);
    if (status == SR_OK) {
        analysis->left_out = counts[0];
        analysis->sequences = (int64_t)sr_dataset_users(a->dataset) - counts[0];
        a->length = common_length(counts, window);
        analysis->attention.full_length = a->length == window;
        const size_t median = median_length(counts, window, analysis->sequences);
        for (*example = 0; *example < sr_dataset_users(a->dataset) && length_of(a, *example) != median;)
            ++*example;
    }
    free(counts);
    if (status == SR_OK && analysis->sequences == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: no user has a %s interaction with something before it",
                       sr_dataset_directory(a->dataset), sr_split_name(a->split));
    return status;
}

/* ---- encoding ---- */

/* Encodes the first `count` histories; 0 are none. Where the item table is divided among ranks all of them call it equally
 * often, also one that has failed already, with `status`. */
static sr_status encode(analyser *a, size_t count, sr_status status, sr_error *error)
{
    sr_arena_reset(a->arena);
    sr_tape_reset(a->tape);
    if (status == SR_OK && count > 0)
        status = scored_batch_build(&a->batch, a->arena, a->model, a->histories, count, error);
    const bool has_batch = status == SR_OK && count > 0;
    a->trace = (sr_trace){.layers = 0};
    const sr_pass pass = {.step = (uint64_t)sr_model_step(a->model),
                          .every_row = true,
                          .trace = &a->trace,
                          .ranks = sr_item_table_is_divided(sr_model_item_table(a->model)) ? &a->ranks : NULL};
    sr_encoding encoding;
    SR_TRY(sr_model_fetch_items(a->model, a->tape, has_batch ? &a->batch : NULL, &pass, status, error));
    if (!has_batch)
        return SR_OK;
    sr_model_encode(a->model, a->tape, &a->batch, &pass, &encoding);
    SR_TRY(sr_tape_status(a->tape, error));
    a->representation = encoding.representation;
    return SR_OK;
}

static const sr_tensor *states_of(const analyser *a, size_t layer)
{
    return a->trace.state_count ? a->trace.states[layer] : a->representation;
}

/* Whether a layer has a state for every token, and not only for those that are read. */
static bool has_every_token(const analyser *a, const sr_tensor *states)
{
    return a->trace.state_count && states->rows == a->batch.layout.offsets[a->batch.layout.sequences];
}

/* What the inner values of any batch look like, from those of one sequence. */
static sr_status look_at(analyser *a, size_t user, sr_status status, sr_error *error)
{
    a->histories[0] = history_of(a, user);
    SR_TRY(encode(a, 1, status, error));
    a->states = a->trace.state_count ? a->trace.state_count : 1;
    a->width = 0;
    a->of_tokens = true;
    for (size_t layer = 0; layer < a->states; ++layer) {
        const sr_tensor *states = states_of(a, layer);
        a->width = states->columns > a->width ? states->columns : a->width;
        a->of_tokens = a->of_tokens && has_every_token(a, states);
    }
    return SR_OK;
}

static sr_status allocate_sums(analyser *a, sr_error *error)
{
    const size_t layers = a->trace.pointwise ? 0 : a->trace.layers, heads = layers ? a->trace.maps[0]->heads : 0;
    const size_t of_states = a->states * state_sums_size(a->width), items = a->length + (sr_model_mask_token(a->model) ? 1 : 0);
    a->block_size = of_states + attention_sums_size(layers, heads, items);
    SR_TRY(SR_ALLOCATE_ZERO(&a->block, a->block_size, "the sums of an analysis", error));
    SR_TRY(SR_ALLOCATE(&a->state_sums, a->states, "the sums of an analysis", error));
    for (size_t layer = 0; layer < a->states; ++layer)
        a->state_sums[layer] = state_sums_view(a->block + layer * state_sums_size(a->width), states_of(a, layer)->columns);
    a->attention_sums = attention_sums_view(a->block + of_states, layers, heads, items);
    SR_TRY(SR_ALLOCATE(&a->rows, a->batch_size * a->width, "states", error));
    return SR_ALLOCATE(&a->scratch, 2 * a->width, "states", error);
}

/* ---- sums ---- */

static void add_states(analyser *a, size_t layer)
{
    const sr_tensor *states = states_of(a, layer);
    const size_t width = states->columns;
    const sr_layout *layout = &a->batch.layout;
    const bool every_token = has_every_token(a, states);
    for (size_t example = 0; example < a->batch.examples; ++example) {
        const size_t read = a->batch.example_reads[example];
        const sr_real *state = states->values + (every_token ? a->batch.reads.tokens[read] : read) * width;
        for (size_t i = 0; i < width; ++i)
            a->rows[example * width + i] = (double)state[i];
    }
    state_sums_add_last(&a->state_sums[layer], a->rows, a->batch.examples);
    for (size_t s = 0; a->of_tokens && s < layout->sequences; ++s) {
        const size_t first = layout->offsets[s] + layout->leading[s], end = layout->offsets[s + 1] - layout->trailing[s];
        state_sums_add_sequence(&a->state_sums[layer], states->values + first * width, end - first, a->scratch);
    }
}

static void add_batch(analyser *a)
{
    for (size_t layer = 0; layer < a->states; ++layer)
        add_states(a, layer);
    attention_sums_add(&a->attention_sums, &a->trace, &a->batch.reads);
}

/* Users are dealt to ranks in blocks of one batch, round robin, so that batches are the same for any number of ranks. Every
 * rank goes through equally many, some of them empty. */
static sr_status add_users(analyser *a, sr_status status, sr_error *error)
{
    const size_t users = sr_dataset_users(a->dataset);
    const size_t rank = (size_t)sr_parallel_rank(a->parallel), ranks = (size_t)sr_parallel_size(a->parallel);
    for (size_t round = 0; round < users; round += ranks * a->batch_size) {
        const size_t first = round + rank * a->batch_size;
        size_t count = 0;
        for (size_t user = first; status == SR_OK && user < users && user < first + a->batch_size; ++user) {
            a->histories[count] = history_of(a, user);
            count += a->histories[count].length > 0;
        }
        status = encode(a, count, status, error);
        if (status == SR_OK && count > 0)
            add_batch(a);
    }
    return status;
}

/* ---- numbers ---- */

static sr_status finish_states(const analyser *a, sr_state_analysis *states, sr_error *error)
{
    *states = (sr_state_analysis){.count = a->states, .width = a->width, .of_tokens = a->of_tokens};
    double **const numbers[] = {&states->effective_rank, &states->cosine, &states->published_cosine, &states->position_cosine,
                                &states->high_frequency_share};
    SR_TRY(SR_ALLOCATE(&states->singular_values, a->states * a->width, "singular values", error));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        SR_TRY(SR_ALLOCATE(numbers[i], a->states, "numbers of layers", error));
    for (size_t layer = 0; layer < a->states; ++layer) {
        state_numbers of_layer;
        double *singular_values = states->singular_values + layer * a->width;
        SR_TRY(state_sums_finish(&a->state_sums[layer], singular_values, &of_layer, error));
        for (size_t i = a->state_sums[layer].width; i < a->width; ++i)
            singular_values[i] = (double)NAN;
        states->effective_rank[layer] = of_layer.effective_rank;
        states->cosine[layer] = of_layer.cosine;
        states->published_cosine[layer] = of_layer.published_cosine;
        states->position_cosine[layer] = of_layer.position_cosine;
        states->high_frequency_share[layer] = of_layer.high_frequency_share;
        states->sequences_with_pairs = (int64_t)of_layer.sequences_with_pairs;
    }
    return SR_OK;
}

/* sums / count into a new array. */
static sr_status average(double **means, const double *sums, size_t size, double count, sr_error *error)
{
    SR_TRY(SR_ALLOCATE(means, size, "means of attention", error));
    for (size_t i = 0; i < size; ++i)
        (*means)[i] = count > 0 ? sums[i] / count : (double)NAN;
    return SR_OK;
}

/* Gains of each head's mean attention, and gains and spectrum of the mean over heads. */
static sr_status respond(sr_attention_analysis *attention, size_t stage, sr_error *error)
{
    const size_t layers = attention->layers, heads = attention->heads, n = attention->length, bins = attention->bins;
    double *mean;
    SR_TRY(SR_ALLOCATE(&attention->gain[stage], layers * heads * bins, "gains", error));
    SR_TRY(SR_ALLOCATE(&attention->gain_of_mean[stage], layers * bins, "gains", error));
    SR_TRY(SR_ALLOCATE(&attention->spectrum_of_mean[stage], layers * n * n, "spectra", error));
    SR_TRY(SR_ALLOCATE(&mean, n * n, "attention", error));
    sr_status status = SR_OK;
    for (size_t layer = 0; layer < layers && status == SR_OK; ++layer) {
        memset(mean, 0, n * n * sizeof *mean);
        for (size_t head = layer * heads; head < (layer + 1) * heads && status == SR_OK; ++head) {
            const double *cells = attention->mean[stage] + head * n * n;
            for (size_t cell = 0; cell < n * n; ++cell)
                mean[cell] += cells[cell] / (double)heads;
            status = frequency_response(cells, n, attention->gain[stage] + head * bins, NULL, error);
        }
        if (status == SR_OK)
            status = frequency_response(mean, n, attention->gain_of_mean[stage] + layer * bins,
                                        attention->spectrum_of_mean[stage] + layer * n * n, error);
    }
    free(mean);
    return status;
}

static sr_status finish_attention(const analyser *a, sr_attention_analysis *attention, sr_error *error)
{
    const attention_sums *sums = &a->attention_sums;
    const double rows = sums->counts[ATTENTION_ROWS_READ], sequences = sums->counts[ATTENTION_SEQUENCES];
    const size_t heads = sums->layers * sums->heads;
    attention->layers = sums->layers;
    attention->heads = sums->heads;
    attention->length = sums->length;
    attention->bins = sums->length / 2 + 1;
    attention->sequences = (int64_t)sequences;
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES && sums->layers; ++stage) {
        SR_TRY(average(&attention->mean[stage], sums->cells[stage], heads * sums->length * sums->length, sequences, error));
        SR_TRY(average(&attention->effective_keys[stage], sums->keys[stage], heads, rows, error));
        SR_TRY(average(&attention->row_sum[stage], sums->row_sums[stage], heads, rows, error));
        SR_TRY(average(&attention->visible_keys[stage], sums->visible[stage], sums->layers, rows, error));
        SR_TRY(respond(attention, stage, error));
    }
    return SR_OK;
}

static sr_status finish(const analyser *a, sr_analysis *analysis, sr_error *error)
{
    SR_TRY(finish_states(a, &analysis->states, error));
    SR_TRY(finish_attention(a, &analysis->attention, error));
    SR_TRY(filter_response(a->model, SR_FILTER_CALIBRATOR, &analysis->rescaler, error));
    return filter_response(a->model, SR_FILTER_BACKBONE, &analysis->filter, error);
}

/* ---- examples ---- */

static sr_status check_users(const analyser *a, const size_t *users, size_t count, sr_error *error)
{
    for (size_t i = 0; i < count; ++i) {
        size_t length;
        const char *name = sr_dataset_user_name(a->dataset, users[i], &length);
        if (length_of(a, users[i]) == 0)
            return sr_fail(error, SR_ERROR_USAGE, "user %.*s has no %s interaction with something before it", (int)length, name,
                           sr_split_name(a->split));
    }
    return SR_OK;
}

/* Of the history encoded last. */
static sr_status make_example(const analyser *a, sr_attention_example *example, size_t user, sr_error *error)
{
    const size_t layers = a->attention_sums.layers, heads = a->attention_sums.heads;
    const size_t tokens = a->batch.layout.offsets[1];
    *example = (sr_attention_example){.user = user, .tokens = tokens};
    SR_TRY(SR_ALLOCATE(&example->items, tokens, "an example", error));
    SR_TRY(SR_ALLOCATE(&example->columns, tokens, "an example", error));
    memcpy(example->items, a->batch.items, tokens * sizeof *example->items);
    memcpy(example->columns, a->batch.layout.columns, tokens * sizeof *example->columns);
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
        SR_TRY(SR_ALLOCATE_ZERO(&example->weights[stage], layers * heads * tokens * tokens, "an example", error));
        for (size_t i = 0; i < layers * heads; ++i) {
            const sr_attention_map *map;
            const sr_tensor *weights = traced_weights(&a->trace, i / heads, (sr_calibration_stage)stage, &map);
            add_attention_between(weights, map, 0, i % heads, 0, tokens, example->weights[stage] + i * tokens * tokens);
        }
    }
    return SR_OK;
}

/* On rank 0; the others take part in encoding. */
static sr_status make_examples(analyser *a, sr_analysis *analysis, const size_t *users, size_t count, sr_status status,
                               sr_error *error)
{
    const bool is_root = sr_parallel_rank(a->parallel) == 0;
    if (a->attention_sums.layers == 0)
        return status;
    if (status == SR_OK && is_root)
        status = SR_ALLOCATE_ZERO(&analysis->examples, count, "examples", error);
    if (status == SR_OK && is_root)
        analysis->example_count = count;
    for (size_t i = 0; i < count; ++i) {
        if (is_root)
            a->histories[0] = history_of(a, users[i]);
        status = encode(a, is_root ? 1 : 0, status, error);
        if (status == SR_OK && is_root)
            status = make_example(a, &analysis->examples[i], users[i], error);
    }
    return status;
}

/* ---- all of it ---- */

static sr_status create(analyser *a, const sr_kernels *kernels, sr_error *error)
{
    SR_TRY(sr_check_times(a->dataset, sr_model_needs_of(sr_model_configuration(a->model), false).times,
                          sr_model_name(sr_model_configuration(a->model)), error));
    SR_TRY(SR_ALLOCATE(&a->histories, a->batch_size, "sequences", error));
    SR_TRY(sr_arena_create(&a->arena, (size_t)1 << 20, error));
    return sr_tape_create(&a->tape, kernels, false, error);
}

static sr_status run(analyser *a, const size_t *users, size_t user_count, sr_analysis *analysis, sr_error *error)
{
    sr_parallel *parallel = a->parallel;
    const bool is_root = sr_parallel_rank(parallel) == 0;
    size_t example = 0;
    SR_TRY(survey(a, analysis, &example, error));
    sr_status status = is_root ? check_users(a, users, user_count, error) : SR_OK;
    status = look_at(a, example, status, error);
    if (status == SR_OK)
        status = allocate_sums(a, error);
    status = add_users(a, status, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    SR_TRY(sr_parallel_sum_double(parallel, a->block, a->block_size, error));
    status = finish(a, analysis, error);
    status = make_examples(a, analysis, user_count ? users : &example, user_count ? user_count : 1, status, error);
    return sr_parallel_agree(parallel, status, error);
}

sr_status sr_analyze(sr_parallel *parallel, sr_model *model, const sr_analysis_request *request, sr_analysis *analysis,
                     sr_error *error)
{
    *analysis = (sr_analysis){.split = request->split};
    analyser a = {.parallel = parallel,
                  .ranks = sr_parallel_ranks(parallel),
                  .model = model,
                  .dataset = request->dataset,
                  .split = request->split,
                  .batch_size = request->batch_size};
    sr_status status = sr_parallel_agree(parallel, create(&a, request->kernels, error), error);
    if (status == SR_OK)
        status = run(&a, request->users, request->user_count, analysis, error);
    free(a.histories);
    free(a.block);
    free(a.state_sums);
    free(a.rows);
    free(a.scratch);
    sr_arena_free(a.arena);
    sr_tape_free(a.tape);
    if (status != SR_OK)
        sr_analysis_free(analysis);
    return status;
}

static void free_filter(sr_filter_analysis *filter)
{
    free(filter->response);
    free(filter->mean);
    free(filter->quantile);
    free(filter->factor);
}

void sr_analysis_free(sr_analysis *analysis)
{
    sr_state_analysis *states = &analysis->states;
    sr_attention_analysis *attention = &analysis->attention;
    double *const of_states[] = {states->singular_values,  states->effective_rank,  states->cosine,
                                 states->published_cosine, states->position_cosine, states->high_frequency_share};
    for (size_t i = 0; i < sizeof of_states / sizeof *of_states; ++i)
        free(of_states[i]);
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
        double *const of_stage[] = {attention->mean[stage],           attention->gain[stage],
                                    attention->gain_of_mean[stage],   attention->spectrum_of_mean[stage],
                                    attention->effective_keys[stage], attention->row_sum[stage],
                                    attention->visible_keys[stage]};
        for (size_t i = 0; i < sizeof of_stage / sizeof *of_stage; ++i)
            free(of_stage[i]);
    }
    free_filter(&analysis->rescaler);
    free_filter(&analysis->filter);
    for (size_t i = 0; i < analysis->example_count; ++i) {
        free(analysis->examples[i].items);
        free(analysis->examples[i].columns);
        for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
            free(analysis->examples[i].weights[stage]);
    }
    free(analysis->examples);
    *analysis = (sr_analysis){.sequences = 0};
}

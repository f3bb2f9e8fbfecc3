#include "commands/analysis_pictures.h"

#include "srtrain/compare_doubles.h"
#include "srtrain/memory.h"
#include "evaluate/analysis_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const sr_analysis *analysis;
    const sr_dataset *dataset;
    picture_writer writer;
} painter;

/* ---- states ---- */

static sr_status draw_singular_values(painter *p, sr_error *error)
{
    const sr_state_analysis *states = &p->analysis->states;
    SR_TRY(picture_begin(&p->writer, error, "singular-values"));
    fprintf(p->writer.data,
            "# i, s_i / s_1 of the last-position states; one block a layer, the first is what the first layer reads\n");
    for (size_t layer = 0; layer < states->count; ++layer) {
        const double *values = states->singular_values + layer * states->width;
        for (size_t i = 0; i < states->width; ++i)
            fprintf(p->writer.data, "%zu %.9g\n", i + 1, values[0] > 0 ? values[i] / values[0] : 0);
        fprintf(p->writer.data, "\n\n");
    }
    picture_set(&p->writer, "layers", states->count - 1);
    return picture_draw(&p->writer, "singular-values", error);
}

static sr_status draw_smoothing(painter *p, sr_error *error)
{
    const sr_state_analysis *states = &p->analysis->states;
    SR_TRY(picture_begin(&p->writer, error, "layers"));
    fprintf(p->writer.data, "# layer, cosine, published cosine, effective rank, cosine of positions, high-frequency share\n");
    for (size_t layer = 0; layer < states->count; ++layer)
        fprintf(p->writer.data, "%zu %.9g %.9g %.9g %.9g %.9g\n", layer, states->cosine[layer], states->published_cosine[layer],
                states->effective_rank[layer], states->of_tokens ? states->position_cosine[layer] : (double)NAN,
                states->of_tokens ? states->high_frequency_share[layer] : (double)NAN);
    picture_set(&p->writer, "layers", states->count - 1);
    picture_set(&p->writer, "of_positions", states->of_tokens && states->sequences_with_pairs);
    return picture_draw(&p->writer, "layers", error);
}

/* ---- attention ---- */

static void set_attention(const painter *p)
{
    picture_set(&p->writer, "layers", p->analysis->attention.layers);
    picture_set(&p->writer, "heads", p->analysis->attention.heads);
    picture_set(&p->writer, "items", p->analysis->attention.length);
}

static sr_status draw_gains(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    SR_TRY(picture_begin(&p->writer, error, "attention-gain"));
    set_attention(p);
    fprintf(p->writer.data,
            "# frequency, gain before and after calibration; for each layer one block a head, then one of the mean over "
            "heads\n");
    for (size_t layer = 0; layer < a->layers; ++layer)
        for (size_t head = 0; head <= a->heads; ++head) {
            const double *gains[SR_CALIBRATION_STAGES];
            for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
                gains[stage] = head < a->heads ? a->gain[stage] + (layer * a->heads + head) * a->bins
                                               : a->gain_of_mean[stage] + layer * a->bins;
            for (size_t k = 0; k < a->bins; ++k)
                fprintf(p->writer.data, "%zu %.9g %.9g\n", k, gains[SR_BEFORE_CALIBRATION][k], gains[SR_AFTER_CALIBRATION][k]);
            fprintf(p->writer.data, "\n\n");
        }
    return picture_draw(&p->writer, "attention-gain", error);
}

static sr_status draw_spectra(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    const size_t n = a->length;
    SR_TRY(picture_begin(&p->writer, error, "attention-spectrum"));
    set_attention(p);
    fprintf(p->writer.data,
            "# log10 of |F A F^-1|, A the mean over heads, frequency 0 in the middle; for each layer one matrix before and "
            "one after calibration\n");
    for (size_t layer = 0; layer < a->layers; ++layer)
        for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
            const double *spectrum = a->spectrum_of_mean[stage] + layer * n * n;
            for (size_t row = 0; row < n; ++row) {
                for (size_t column = 0; column < n; ++column)
                    fprintf(p->writer.data, "%.4f ",
                            log10(fmax(spectrum[(row + n - n / 2) % n * n + (column + n - n / 2) % n], 1e-6)));
                fprintf(p->writer.data, "\n");
            }
            fprintf(p->writer.data, "\n\n");
        }
    return picture_draw(&p->writer, "attention-spectrum", error);
}

static sr_status draw_keys(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    SR_TRY(picture_begin(&p->writer, error, "attended-keys"));
    set_attention(p);
    fprintf(p->writer.data, "# layer.head, effective number of attended keys before and after calibration, visible keys\n");
    for (size_t i = 0; i < a->layers * a->heads; ++i)
        fprintf(p->writer.data, "%zu.%zu %.9g %.9g %.9g\n", i / a->heads + 1, i % a->heads + 1,
                a->effective_keys[SR_BEFORE_CALIBRATION][i], a->effective_keys[SR_AFTER_CALIBRATION][i],
                a->visible_keys[SR_AFTER_CALIBRATION][i / a->heads]);
    return picture_draw(&p->writer, "attended-keys", error);
}

/* ---- filters ---- */

static sr_status draw_filter(painter *p, const sr_filter_analysis *filter, const char *name, const char *what, sr_error *error)
{
    SR_TRY(picture_begin(&p->writer, error, "%s", name));
    picture_set(&p->writer, "layers", filter->layers);
    fprintf(p->writer.script, "what = '%s'\n", what);
    fprintf(p->writer.data, "# frequency, mean over channels, quantiles 0.05, 0.25, 0.5, 0.75, 0.95; one block a layer\n");
    for (size_t layer = 0; layer < filter->layers; ++layer) {
        for (size_t bin = 0; bin < filter->bins; ++bin) {
            fprintf(p->writer.data, "%zu %.9g", bin, filter->mean[layer * filter->bins + bin]);
            for (size_t q = 0; q < SR_ANALYSIS_QUANTILES; ++q)
                fprintf(p->writer.data, " %.9g", filter->quantile[(layer * filter->bins + bin) * SR_ANALYSIS_QUANTILES + q]);
            fprintf(p->writer.data, "\n");
        }
        fprintf(p->writer.data, "\n\n");
    }
    return picture_draw(&p->writer, "response", error);
}

/* Beta of every channel, each layer's in ascending order. */
static sr_status draw_beta(painter *p, sr_error *error)
{
    const sr_filter_analysis *rescaler = &p->analysis->rescaler;
    const size_t channels = rescaler->channels;
    double *sorted;
    SR_TRY(picture_begin(&p->writer, error, "rescaler-beta"));
    picture_set(&p->writer, "layers", rescaler->layers);
    SR_TRY(SR_ALLOCATE(&sorted, channels, "beta", error));
    fprintf(p->writer.data, "# place in ascending order, beta; one block a layer\n");
    for (size_t layer = 0; layer < rescaler->layers; ++layer) {
        memcpy(sorted, rescaler->factor + layer * channels, channels * sizeof *sorted);
        qsort(sorted, channels, sizeof *sorted, sr_compare_doubles);
        for (size_t i = 0; i < channels; ++i)
            fprintf(p->writer.data, "%zu %.9g\n", i + 1, sorted[i]);
        fprintf(p->writer.data, "\n\n");
    }
    free(sorted);
    return picture_draw(&p->writer, "rescaler-beta", error);
}

/* ---- examples ---- */

/* Bytes of a text that are shown: cut, but within no character of UTF-8. */
static size_t shown(const char *text, size_t length)
{
    enum { LONGEST = 24 };
    if (length <= LONGEST)
        return length;
    size_t end = LONGEST;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        --end;
    return end;
}

/* A text as gnuplot reads it between single quotes, cut. */
static void print_quoted(FILE *script, const char *text, size_t length)
{
    fputc('\'', script);
    for (size_t i = 0; i < shown(text, length); ++i) {
        if (text[i] == '\'')
            fputc('\'', script);
        fputc((unsigned char)text[i] < ' ' || text[i] == '\\' ? '?' : text[i], script);
    }
    fputc('\'', script);
}

static size_t longest_name(const painter *p, const sr_attention_example *example)
{
    size_t longest = 0;
    for (size_t i = 0; i < example->tokens; ++i) {
        size_t length;
        const char *name = sr_analysis_token_name(p->dataset, example->items[i], &length);
        longest = shown(name, length) > longest ? shown(name, length) : longest;
    }
    return longest;
}

static void print_tics(const painter *p, const char *axis, const sr_attention_example *example)
{
    fprintf(p->writer.script, "set %s (", axis);
    for (size_t i = 0; i < example->tokens; ++i) {
        size_t length;
        const char *name = sr_analysis_token_name(p->dataset, example->items[i], &length);
        fputs(i ? ", " : "", p->writer.script);
        print_quoted(p->writer.script, name, length);
        fprintf(p->writer.script, " %zu", i);
    }
    fputs(")\n", p->writer.script);
}

static sr_status draw_example(painter *p, size_t index, size_t layer, sr_error *error)
{
    const sr_attention_example *example = &p->analysis->examples[index];
    const size_t heads = p->analysis->attention.heads, n = example->tokens;
    size_t length;
    const char *user = sr_dataset_user_name(p->dataset, example->user, &length);
    SR_TRY(picture_begin(&p->writer, error, "attention-user-%zu-layer-%zu", index + 1, layer + 1));
    picture_set(&p->writer, "heads", heads);
    picture_set(&p->writer, "tokens", n);
    picture_set(&p->writer, "layer", layer + 1);
    picture_set(&p->writer, "letters", longest_name(p, example));
    fputs("user = ", p->writer.script);
    print_quoted(p->writer.script, user, length);
    fputc('\n', p->writer.script);
    print_tics(p, "xtics rotate", example);
    print_tics(p, "ytics", example);
    fprintf(p->writer.data, "# rows: queries, columns: keys; for each head one matrix before and one after calibration\n");
    for (size_t block = 0; block < 2 * heads; ++block) {
        const double *weights = example->weights[block % 2] + (layer * heads + block / 2) * n * n;
        for (size_t cell = 0; cell < n * n; ++cell)
            fprintf(p->writer.data, "%.6g%c", weights[cell], (cell + 1) % n ? ' ' : '\n');
        fprintf(p->writer.data, "\n\n");
    }
    return picture_draw(&p->writer, "attention-map", error);
}

/* ---- all pictures ---- */

static sr_status draw_attention(painter *p, sr_error *error)
{
    SR_TRY(draw_gains(p, error));
    SR_TRY(draw_spectra(p, error));
    SR_TRY(draw_keys(p, error));
    for (size_t i = 0; i < p->analysis->example_count; ++i)
        for (size_t layer = 0; layer < p->analysis->attention.layers; ++layer)
            SR_TRY(draw_example(p, i, layer, error));
    return SR_OK;
}

static sr_status draw_all(painter *p, sr_error *error)
{
    const sr_analysis *analysis = p->analysis;
    SR_TRY(draw_singular_values(p, error));
    SR_TRY(draw_smoothing(p, error));
    if (analysis->attention.layers)
        SR_TRY(draw_attention(p, error));
    if (analysis->rescaler.layers) {
        SR_TRY(draw_filter(p, &analysis->rescaler, "rescaler-response", "Response of the frequency rescaler", error));
        SR_TRY(draw_beta(p, error));
    }
    if (analysis->filter.layers)
        SR_TRY(draw_filter(p, &analysis->filter, "filter-response", "Modulus of the learned filters", error));
    return SR_OK;
}

sr_status analysis_pictures_draw(const char *directory, picture_format format, const sr_analysis *analysis,
                                 const sr_dataset *dataset, sr_log *log, sr_error *failed, sr_error *error)
{
    painter p = {.analysis = analysis, .dataset = dataset};
    if (format == PICTURES_NONE)
        return SR_OK;
    sr_status status = picture_writer_create(&p.writer, directory, format, log, failed, error);
    if (status == SR_OK && p.writer.files)
        status = draw_all(&p, error);
    picture_writer_free(&p.writer);
    return status;
}

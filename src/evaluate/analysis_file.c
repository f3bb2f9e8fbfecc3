#include "evaluate/analysis_file.h"

#include "srtrain/memory.h"
#include "srtrain/output_file.h"
#include "storage/hdf5_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stage_names[SR_CALIBRATION_STAGES] = {"before", "after"};

/* ---- datasets that explain themselves ---- */

static sr_status describe(const sr_hdf5_file *file, const char *name, const char *dimensions, const char *meaning,
                          sr_error *error)
{
    SR_TRY(sr_hdf5_write_text(file, name, "dimensions", dimensions, error));
    return sr_hdf5_write_text(file, name, "meaning", meaning, error);
}

typedef struct {
    const char *name; /* with a %s in it: once for each stage of calibration */
    const double *values[SR_CALIBRATION_STAGES];
    size_t shape[SR_HDF5_RANK_MAXIMUM], rank;
    const char *dimensions, *meaning;
} table;

static sr_status write_table(const sr_hdf5_file *file, const table *t, sr_error *error)
{
    const size_t stages = strstr(t->name, "%s") ? SR_CALIBRATION_STAGES : 1;
    for (size_t stage = 0; stage < stages; ++stage) {
        char name[128];
        const char *split = strstr(t->name, "%s");
        if (split)
            snprintf(name, sizeof name, "%.*s%s%s", (int)(split - t->name), t->name, stage_names[stage], split + 2);
        else
            snprintf(name, sizeof name, "%s", t->name);
        SR_TRY(sr_hdf5_write_block(file, name, H5T_IEEE_F64LE, t->shape, t->rank, t->values[stage], error));
        SR_TRY(describe(file, name, t->dimensions, t->meaning, error));
    }
    return SR_OK;
}

static sr_status write_tables(const sr_hdf5_file *file, const table *tables, size_t count, sr_error *error)
{
    for (size_t i = 0; i < count; ++i)
        SR_TRY(write_table(file, &tables[i], error));
    return SR_OK;
}

/* ---- states ---- */

static sr_status write_states(const sr_hdf5_file *file, const sr_state_analysis *states, sr_error *error)
{
    const size_t count = states->count, width = states->width;
    SR_TRY(sr_hdf5_create_group(file, "/states", error));
    double *relative;
    SR_TRY(SR_ALLOCATE(&relative, count * width, "singular values", error));
    for (size_t i = 0; i < count * width; ++i) {
        const double largest = states->singular_values[i / width * width];
        relative[i] = largest > 0 ? states->singular_values[i] / largest : 0;
    }
    const char *by_layer = "layer (0: what the first layer reads)";
    const table tables[] = {
        {"/states/singular_values",
         {states->singular_values},
         {count, width},
         2,
         "layer (0: what the first layer reads), descending (NaN beyond the width of a narrower layer)",
         "singular values of the matrix of last-position states, one row a sequence"},
        {"/states/relative_singular_values",
         {relative},
         {count, width},
         2,
         "layer (0: what the first layer reads), descending (NaN beyond the width of a narrower layer)",
         "singular values divided by the largest one"},
        {"/states/effective_rank",
         {states->effective_rank},
         {count},
         1,
         by_layer,
         "exp of the entropy of the singular values, divided by their sum"},
        {"/states/cosine",
         {states->cosine},
         {count},
         1,
         by_layer,
         "mean cosine similarity of the last-position states of two different sequences"},
        {"/states/published_cosine",
         {states->published_cosine},
         {count},
         1,
         by_layer,
         "the same sum over pairs divided by n^2 instead of n (n - 1), n sequences: the published curve"},
        {"/states/position_cosine",
         {states->position_cosine},
         {count},
         1,
         by_layer,
         "mean cosine similarity of two different positions of a sequence, averaged over sequences of two items or more"},
        {"/states/high_frequency_share",
         {states->high_frequency_share},
         {count},
         1,
         by_layer,
         "1 - |P x|^2 / |x|^2, P the mean over the positions of a sequence, averaged like position_cosine"}};
    const size_t all = sizeof tables / sizeof *tables;
    const sr_status status = write_tables(file, tables, states->of_tokens ? all : all - 2, error);
    free(relative);
    SR_TRY(status);
    SR_TRY(sr_hdf5_write_integer(file, "/states", "every_token_has_a_state", states->of_tokens, error));
    return sr_hdf5_write_integer(file, "/states", "sequences_with_pairs", states->sequences_with_pairs, error);
}

/* ---- attention ---- */

static sr_status write_attention(const sr_hdf5_file *file, const sr_attention_analysis *a, sr_error *error)
{
    SR_TRY(sr_hdf5_create_group(file, "/attention", error));
    const char *by_head = "layer, head";
#define STAGES(member)                                                    \
    {                                                                     \
        a->member[SR_BEFORE_CALIBRATION], a->member[SR_AFTER_CALIBRATION] \
    }
    const table tables[] = {
        {"/attention/mean_%s",
         STAGES(mean),
         {a->layers, a->heads, a->length, a->length},
         4,
         "layer, head, query position, key position",
         "attention weights averaged over the sequences of attribute items of /attention"},
        {"/attention/gain_%s",
         STAGES(gain),
         {a->layers, a->heads, a->bins},
         3,
         "layer, head, frequency",
         "|A f_k|: A the mean attention, f_k the unitary Fourier vector of k periods in the sequence"},
        {"/attention/gain_of_mean_%s",
         STAGES(gain_of_mean),
         {a->layers, a->bins},
         2,
         "layer, frequency",
         "|A f_k|, A averaged over heads too"},
        {"/attention/spectrum_of_mean_%s",
         STAGES(spectrum_of_mean),
         {a->layers, a->length, a->length},
         3,
         "layer, frequency that comes out, frequency that goes in",
         "|F A F^-1|, F the unitary Fourier matrix, A averaged over heads too"},
        {"/attention/effective_keys_%s",
         STAGES(effective_keys),
         {a->layers, a->heads},
         2,
         by_head,
         "exp of the entropy of the last position's weights, each divided by their sum; mean over sequences"},
        {"/attention/row_sum_%s",
         STAGES(row_sum),
         {a->layers, a->heads},
         2,
         by_head,
         "sum of the last position's weights, mean over sequences"},
        {"/attention/visible_keys_%s",
         STAGES(visible_keys),
         {a->layers},
         1,
         "layer",
         "keys that the last position may attend to, mean over sequences"}};
#undef STAGES
    SR_TRY(write_tables(file, tables, sizeof tables / sizeof *tables, error));
    SR_TRY(sr_hdf5_write_integer(file, "/attention", "items", (int64_t)a->length, error));
    SR_TRY(sr_hdf5_write_integer(file, "/attention", "items_fill_the_window", a->full_length, error));
    return sr_hdf5_write_integer(file, "/attention", "sequences", a->sequences, error);
}

/* ---- filters ---- */

static sr_status write_filter(const sr_hdf5_file *file, const char *group, const char *meaning, const sr_filter_analysis *f,
                              sr_error *error)
{
    char response[64], mean[64], quantile[64], quantile_of[64], factor[64];
    const size_t quantiles = SR_ANALYSIS_QUANTILES;
    snprintf(response, sizeof response, "%s/response", group);
    snprintf(mean, sizeof mean, "%s/mean", group);
    snprintf(quantile, sizeof quantile, "%s/quantile", group);
    snprintf(quantile_of, sizeof quantile_of, "%s/quantile_of", group);
    snprintf(factor, sizeof factor, "%s/beta", group);
    SR_TRY(sr_hdf5_create_group(file, group, error));
    const table tables[] = {
        {response, {f->response}, {f->layers, f->bins, f->channels}, 3, "layer, frequency, channel", meaning},
        {mean, {f->mean}, {f->layers, f->bins}, 2, "layer, frequency", "mean of response over channels"},
        {quantile,
         {f->quantile},
         {f->layers, f->bins, quantiles},
         3,
         "layer, frequency, quantile",
         "quantiles of response over channels"},
        {quantile_of, {sr_analysis_quantiles}, {quantiles}, 1, "quantile", "which quantiles those are"},
        {factor, {f->factor}, {f->layers, f->channels}, 2, "layer, channel", "response in bins that are not kept as they are"}};
    const size_t all = sizeof tables / sizeof *tables;
    return write_tables(file, tables, f->factor ? all : all - 1, error);
}

/* ---- examples ---- */

const char *sr_analysis_token_name(const sr_dataset *dataset, int32_t item, size_t *length)
{
    if (item >= 1 && (size_t)item <= sr_dataset_items(dataset))
        return sr_dataset_item_name(dataset, (size_t)item, length);
    const char *name = item == 0 ? "[padding]" : "[mask]";
    *length = strlen(name);
    return name;
}

static sr_status write_token_names(const sr_hdf5_file *file, const char *name, const sr_attention_example *example,
                                   const sr_dataset *dataset, sr_error *error)
{
    size_t longest = 1, length;
    for (size_t i = 0; i < example->tokens; ++i) {
        (void)sr_analysis_token_name(dataset, example->items[i], &length);
        longest = length > longest ? length : longest;
    }
    char *names;
    SR_TRY(sr_allocate_zero((void **)&names, example->tokens, longest, "names of items", error));
    for (size_t i = 0; i < example->tokens; ++i) {
        const char *token = sr_analysis_token_name(dataset, example->items[i], &length);
        memcpy(names + i * longest, token, length);
    }
    sr_status status = SR_OK;
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, longest) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", name);
    if (status == SR_OK)
        status = sr_hdf5_write_array(file, name, type, example->tokens, names, error);
    if (type >= 0)
        H5Tclose(type);
    free(names);
    return status;
}

static sr_status write_example(const sr_hdf5_file *file, const sr_analysis *analysis, size_t index, const sr_dataset *dataset,
                               sr_error *error)
{
    const sr_attention_example *example = &analysis->examples[index];
    const size_t n = example->tokens;
    char group[64], items[96], columns[96], weights[96], *user;
    size_t length;
    snprintf(group, sizeof group, "/examples/%zu", index + 1);
    snprintf(items, sizeof items, "%s/items", group);
    snprintf(columns, sizeof columns, "%s/columns", group);
    snprintf(weights, sizeof weights, "%s/attention_%%s", group);
    const char *name = sr_dataset_user_name(dataset, example->user, &length);
    if (asprintf(&user, "%.*s", (int)length, name) < 0)
        return sr_fail_memory(error, length + 1, "the name of a user");
    sr_status status = sr_hdf5_create_group(file, group, error);
    if (status == SR_OK)
        status = sr_hdf5_write_text(file, group, "user", user, error);
    free(user);
    SR_TRY(status);
    SR_TRY(write_token_names(file, items, example, dataset, error));
    SR_TRY(describe(file, items, "position", "identifiers in the raw data; [mask] and [padding] are no items", error));
    SR_TRY(sr_hdf5_write_array(file, columns, H5T_STD_I32LE, n, example->columns, error));
    SR_TRY(describe(file, columns, "position", "columns of the window", error));
    const table attention = {weights,
                             {example->weights[SR_BEFORE_CALIBRATION], example->weights[SR_AFTER_CALIBRATION]},
                             {analysis->attention.layers, analysis->attention.heads, n, n},
                             4,
                             "layer, head, query position, key position",
                             "before calibration: softmax of the scores; after: the weights that multiply the values"};
    return write_table(file, &attention, error);
}

static sr_status write_examples(const sr_hdf5_file *file, const sr_analysis *analysis, const sr_dataset *dataset,
                                sr_error *error)
{
    SR_TRY(sr_hdf5_create_group(file, "/examples", error));
    for (size_t i = 0; i < analysis->example_count; ++i)
        SR_TRY(write_example(file, analysis, i, dataset, error));
    return SR_OK;
}

/* ---- the file ---- */

static sr_status write_origin(const sr_hdf5_file *file, const sr_analysis *analysis, const sr_analysis_origin *origin,
                              const sr_dataset *dataset, sr_error *error)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"format", "srtrain-analysis-1"},
                 {"program_version", origin->program_version},
                 {"checkpoint", origin->checkpoint},
                 {"backbone", origin->backbone},
                 {"split", sr_split_name(analysis->split)},
                 {"data", sr_dataset_directory(dataset)},
                 {"data_fingerprint", sr_dataset_fingerprint(dataset)}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i)
        SR_TRY(sr_hdf5_write_text(file, "/", texts[i].name, texts[i].text, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", "step", origin->step, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", "sequences", analysis->sequences, error));
    return sr_hdf5_write_integer(file, "/", "users_left_out", analysis->left_out, error);
}

static sr_status write_all(const sr_hdf5_file *file, const sr_analysis *analysis, const sr_analysis_origin *origin,
                           const sr_dataset *dataset, sr_error *error)
{
    SR_TRY(write_origin(file, analysis, origin, dataset, error));
    SR_TRY(write_states(file, &analysis->states, error));
    if (analysis->attention.layers) {
        SR_TRY(write_attention(file, &analysis->attention, error));
        SR_TRY(write_examples(file, analysis, dataset, error));
    }
    if (analysis->rescaler.layers)
        SR_TRY(
            write_filter(file, "/rescaler", "1 in bins that are kept, else beta of the channel", &analysis->rescaler, error));
    if (analysis->filter.layers)
        SR_TRY(write_filter(file, "/filter", "|w_k|: modulus of the learned filter", &analysis->filter, error));
    return SR_OK;
}

sr_status sr_analysis_write(const char *path, const sr_analysis *analysis, const sr_analysis_origin *origin,
                            const sr_dataset *dataset, sr_error *error)
{
    sr_output_file output;
    sr_hdf5_file file;
    SR_TRY(sr_output_file_open(&output, path, error));
    sr_status status = sr_hdf5_create(&file, output.place, error); /* HDF5 writes to the file by itself */
    if (status == SR_OK) {
        status = write_all(&file, analysis, origin, dataset, error);
        const sr_status closed = sr_hdf5_close(&file, status == SR_OK ? error : NULL);
        status = status == SR_OK ? closed : status;
    }
    return sr_output_file_close(&output, status, error);
}

/* Rows of the item table that start with vectors of a file (data.item_vectors): lines of an identifier and numbers. A process
 * reads the file for the rows that it has, and keeps no more of it than a line. */
#include "run/run_state.h"

#include "base/lines.h"
#include "base/names.h"
#include "base/units.h"
#include "srtrain/file_work.h"
#include "srtrain/memory.h"
#include "srtrain/row_blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    run *r;
    size_t width;
    name_table own;
    int32_t *rows;   /* [own.count]: the row of each identifier */
    bool *found;     /* likewise: whether the file has it */
    size_t known;    /* how many it has */
    sr_real *vector; /* [width] */
    lines *file;
} vector_reading;

/* ---- which rows ---- */

static sr_status enter_row(vector_reading *v, int32_t row, sr_error *error)
{
    size_t length;
    uint32_t number;
    if (row == 0 || (size_t)row > sr_dataset_items(v->r->dataset))
        return SR_OK;
    const char *name = sr_dataset_item_name(v->r->dataset, (size_t)row, &length);
    SR_TRY(names_number(&v->own, name, length, &number, error));
    v->rows[number] = row;
    return SR_OK;
}

/* All that this process has, or those of `taken` that are fresh. */
static sr_status enter_rows(vector_reading *v, const sr_row_search *here, const sr_row_moves *taken, sr_error *error)
{
    size_t room = taken ? taken->fresh_count : 0;
    for (size_t part = 0; !taken && part < here->parts; ++part)
        room += here->here[part].count;
    SR_TRY(names_create(&v->own, error));
    SR_TRY(SR_ALLOCATE(&v->rows, room, "rows of identifiers", error));
    SR_TRY(SR_ALLOCATE_ZERO(&v->found, room, "rows of identifiers", error));
    SR_TRY(SR_ALLOCATE(&v->vector, v->width, "the vector of an item", error));
    for (size_t i = 0; taken && i < taken->fresh_count; ++i)
        SR_TRY(enter_row(v, taken->fresh[i], error));
    for (size_t part = 0; !taken && part < here->parts; ++part)
        for (size_t place = 0; place < here->here[part].count; ++place)
            SR_TRY(enter_row(v, sr_row_number(&here->here[part], place), error));
    return SR_OK;
}

static sr_real *values_of_row(const vector_reading *v, size_t row)
{
    const sr_parameters *parameters = sr_model_parameters(v->r->model);
    size_t place;
    const sr_row_block *block = sr_row_blocks_find(parameters, row, &place);
    if (block)
        return sr_row_block_row(block, 0, SIZE_MAX, place);
    size_t index = 0;
    while (parameters->list[index].rows_of != SR_ROWS_OF_ITEMS)
        ++index;
    return parameters->values + parameters->list[index].offset + row * v->width;
}

/* ---- lines ---- */

static const char separators[] = " \t,";

static sr_status read_value(const vector_reading *v, const char *line, const char *word, size_t length, sr_real *value,
                            sr_error *error)
{
    char text[64];
    double number;
    snprintf(text, sizeof text, "%.*s", (int)length, word);
    if (length >= sizeof text || !sr_read_number(text, &number))
        return lines_fail(v->file, line, error, "\"%.40s\" is not a number", text);
    *value = (sr_real)number;
    return SR_OK;
}

/* The numbers behind the identifier. */
static sr_status read_vector(const vector_reading *v, const char *line, const char *at, sr_error *error)
{
    size_t count = 0, length;
    for (const char *word; (word = lines_word(&at, separators, &length)) != NULL; ++count)
        if (count < v->width)
            SR_TRY(read_value(v, line, word, length, &v->vector[count], error));
    return count == v->width ? SR_OK
                             : lines_fail(v->file, line, error, "the vector has %zu numbers, but rows of items have %zu (%s)",
                                          count, v->width,
                                          v->r->settings->model.encoder.item_width > 0
                                              ? "model.item_width"
                                              : "model.hidden_size; model.item_width lets them have others");
}

/* An identifier ends at the first tab, or where there is none at the first blank. */
static sr_status read_line(vector_reading *v, const char *line, sr_error *error)
{
    const size_t length = strchr(line, '\t') ? strcspn(line, "\t") : strcspn(line, " ");
    if (!*line)
        return SR_OK;
    SR_TRY(lines_check_identifier(v->file, line, "item", length, error));
    SR_TRY(read_vector(v, line, line + length, error));
    const uint32_t number = names_find(&v->own, line, length);
    if (number == NAMES_NONE)
        return SR_OK;
    if (v->found[number])
        return lines_fail(v->file, line, error, "item \"%.*s\" has a vector already", (int)(length < 64 ? length : 64), line);
    v->found[number] = true;
    ++v->known;
    memcpy(values_of_row(v, (size_t)v->rows[number]), v->vector, v->width * sizeof *v->vector);
    return SR_OK;
}

static sr_status read_file(vector_reading *v, sr_error *error)
{
    const char *line;
    sr_status status;
    SR_TRY(lines_open(&v->file, v->r->settings->data.item_vectors, error));
    while ((status = lines_next(v->file, &line, error)) == SR_OK && line) {
        sr_file_work_step();
        SR_TRY(read_line(v, line, error));
    }
    return status;
}

/* ---- together ---- */

static sr_status read_own(vector_reading *v, const sr_row_search *here, const sr_row_moves *taken, sr_error *error)
{
    SR_TRY(enter_rows(v, here, taken, error));
    const sr_status status = v->own.count > 0 ? read_file(v, error) : SR_OK;
    lines_close(v->file);
    return status;
}

/* What rank 0 has read of rows that lie among other parameters. */
static sr_status share(run *r, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(r->model);
    const size_t bytes = parameters->block_size * sizeof *parameters->values;
    sr_node *node = r->stepper.node;
    if (parameters->row_block_count > 0)
        return SR_OK;
    return node ? sr_node_broadcast(node, parameters->values, bytes, error)
                : sr_parallel_broadcast(r->parallel, parameters->values, bytes, error);
}

static sr_status report(run *r, const vector_reading *v, sr_error *error)
{
    int64_t sums[] = {(int64_t)v->known, (int64_t)v->own.count};
    const char *path = r->settings->data.item_vectors;
    SR_TRY(sr_parallel_sum_int64(r->parallel, sums, 2, error));
    if (sums[0] == 0 && sums[1] > 0 && !r->takes)
        return sr_fail(error, SR_ERROR_DATA, "%s has a vector of none of the %lld items of %s: they have other identifiers",
                       path, (long long)sums[1], sr_dataset_directory(r->dataset));
    sr_log_information(r->log, "vectors of %lld of %lld %sitems are from %s", (long long)sums[0], (long long)sums[1],
                       r->takes ? "new " : "", path);
    if (sums[0] < sums[1])
        sr_log_warning(r->log, "%lld items have no vector in %s: they start at random%s", (long long)(sums[1] - sums[0]), path,
                       r->settings->model.encoder.item_vectors == SR_ITEM_VECTORS_FROZEN ? ", and stay so" : "");
    return SR_OK;
}

sr_status run_fill_item_vectors(run *r, const sr_row_moves *taken, sr_error *error)
{
    vector_reading v = {.r = r};
    sr_row_search here = {.parts = 0};
    bool found;
    if (r->settings->model.encoder.item_vectors == SR_ITEM_VECTORS_DRAWN)
        return SR_OK;
    if (r->stepper.node)
        SR_TRY(sr_node_wait(r->stepper.node, r->parallel, error)); /* until all have drawn their parts */
    sr_file_work_begin_reading(r->settings->data.item_vectors, sr_file_work_bytes_of(r->settings->data.item_vectors));
    sr_status status = run_list_rows(r, SR_ROWS_OF_ITEMS, sr_dataset_items(r->dataset), &here, &found, error);
    v.width = sr_item_table_width(sr_model_item_table(r->model));
    if (status == SR_OK)
        status = read_own(&v, &here, taken, error);
    status = sr_parallel_agree(r->parallel, status, error);
    if (status == SR_OK)
        status = share(r, error);
    sr_file_work_end();
    if (status == SR_OK)
        status = report(r, &v, error);
    names_free(&v.own);
    free(v.rows);
    free(v.found);
    free(v.vector);
    free((void *)here.here);
    return status;
}

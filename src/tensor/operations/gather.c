/* Rows taken out of a matrix: embeddings and selections. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <assert.h>
#include <string.h>

typedef struct {
    sr_tensor *table;
    const int32_t *ids;
    bool padding_row;
} embedding_state;

/* dtable[ids[t]] += dout[t], except into the padding row */
static void embedding_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const embedding_state *state = saved;
    const size_t width = out->columns;
    for (size_t t = 0; t < out->rows; ++t) {
        const size_t id = (size_t)state->ids[t];
        if (id == 0 && state->padding_row)
            continue;
        sr_tape_kernels(tape)->accumulate(state->table->gradient + id * width, out->gradient + t * width, width);
    }
}

sr_tensor *sr_embedding(sr_tape *tape, sr_tensor *table, const int32_t *ids, size_t count, bool padding_row)
{
    if (!table)
        return NULL;
    embedding_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (embedding_state){table, ids, padding_row};
    const size_t width = table->columns;
    sr_tensor *out = sr_tape_record(tape, count, width, &table, 1, embedding_backward, state);
    if (!out)
        return NULL;
    for (size_t t = 0; t < count; ++t) {
        assert(ids[t] >= 0 && (size_t)ids[t] < table->rows);
        memcpy(out->values + t * width, table->values + (size_t)ids[t] * width, width * sizeof *out->values);
    }
    return out;
}

typedef struct {
    sr_tensor *x;
    const size_t *rows;
} select_state;

/* dx[rows[i]] += dout[i] */
static void select_rows_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const select_state *state = saved;
    const size_t width = out->columns;
    for (size_t i = 0; i < out->rows; ++i)
        sr_tape_kernels(tape)->accumulate(state->x->gradient + state->rows[i] * width, out->gradient + i * width, width);
}

sr_tensor *sr_select_rows(sr_tape *tape, sr_tensor *x, const size_t *rows, size_t count)
{
    if (!x)
        return NULL;
    select_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (select_state){x, rows};
    const size_t width = x->columns;
    sr_tensor *out = sr_tape_record(tape, count, width, &x, 1, select_rows_backward, state);
    if (!out)
        return NULL;
    for (size_t i = 0; i < count; ++i) {
        assert(rows[i] < x->rows);
        memcpy(out->values + i * width, x->values + rows[i] * width, width * sizeof *out->values);
    }
    return out;
}

/* Inverted dropout with counter-based masks: a factor depends on (stream, sequence, row, column) alone, so that any number of
 * ranks drops the same cells. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/dropout.h"

#include <assert.h>

typedef struct {
    sr_tensor *x;
    sr_real *factors;
} dropout_state;

/* dx += factors dout */
static void dropout_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const dropout_state *state = saved;
    sr_tape_kernels(tape)->accumulate_product(state->x->gradient, state->factors, out->gradient, out->rows * out->columns);
}

/* Random rows: element i of row r is cell offsets[r] + i, keyed by (row_words[r], identities[r]). */
typedef struct {
    size_t count;
    size_t *offsets;      /* [count + 1] */
    uint32_t *row_words;  /* [count] */
    uint64_t *identities; /* [count] */
} random_rows;

static bool take_random_rows(sr_tape *tape, random_rows *rows, size_t count)
{
    rows->count = count;
    rows->offsets = sr_tape_take(tape, count + 1, sizeof *rows->offsets);
    rows->row_words = sr_tape_take(tape, count, sizeof *rows->row_words);
    rows->identities = sr_tape_take(tape, count, sizeof *rows->identities);
    return rows->offsets && rows->row_words && rows->identities;
}

static sr_tensor *apply(sr_tape *tape, sr_tensor *x, const random_rows *rows, const sr_dropout_site *site)
{
    dropout_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *factors = sr_tape_take(tape, x->rows * x->columns, sizeof *factors);
    if (!state || !factors)
        return NULL;
    *state = (dropout_state){x, factors};
    sr_tensor *out = sr_tape_record(tape, x->rows, x->columns, &x, 1, dropout_backward, state);
    if (!out)
        return NULL;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    kernels->dropout_factors(factors, rows->count, rows->offsets, rows->row_words, rows->identities, site->stream.key,
                             dropout_keep_steps(site));
    kernels->multiply(out->values, x->values, factors, x->rows * x->columns);
    return out;
}

sr_tensor *sr_dropout(sr_tape *tape, sr_tensor *x, const sr_layout *layout, const size_t *tokens, const sr_dropout_site *site)
{
    if (!x || site->probability <= 0)
        return x;
    random_rows rows;
    if (!take_random_rows(tape, &rows, x->rows))
        return NULL;
    size_t s = 0;
    for (size_t i = 0; i < x->rows; ++i) {
        const size_t token = tokens ? tokens[i] : i;
        while (token >= layout->offsets[s + 1])
            ++s;
        rows.offsets[i] = i * x->columns;
        rows.row_words[i] = (uint32_t)layout->columns[token];
        rows.identities[i] = layout->identity[s];
    }
    rows.offsets[x->rows] = x->rows * x->columns;
    return apply(tape, x, &rows, site);
}

sr_tensor *sr_table_dropout(sr_tape *tape, sr_tensor *table, const sr_dropout_site *site)
{
    if (!table || site->probability <= 0)
        return table;
    random_rows rows;
    if (!take_random_rows(tape, &rows, table->rows))
        return NULL;
    for (size_t row = 0; row < table->rows; ++row) {
        rows.offsets[row] = row * table->columns;
        rows.row_words[row] = (uint32_t)row;
        rows.identities[row] = 0; /* no sequence: all of them share the table */
    }
    rows.offsets[table->rows] = table->rows * table->columns;
    return apply(tape, table, &rows, site);
}

sr_tensor *sr_attention_dropout(sr_tape *tape, sr_tensor *weights, const sr_attention_map *map, const sr_dropout_site *site)
{
    if (!weights || site->probability <= 0)
        return weights;
    const sr_layout *layout = map->layout;
    const sr_rows *queries = map->queries;
    random_rows rows;
    if (!take_random_rows(tape, &rows, queries->offsets[layout->sequences] * map->heads))
        return NULL;
    size_t row = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
        size_t cell = map->offsets[s];
        for (size_t head = 0; head < map->heads; ++head)
            for (size_t q = queries->offsets[s]; q < queries->offsets[s + 1]; ++q, ++row, cell += keys) {
                rows.offsets[row] = cell;
                /* Columns stay below 2^16 (model.max_length), so that head and column do not meet. */
                rows.row_words[row] = (uint32_t)head << 16 | (uint32_t)layout->columns[queries->tokens[q]];
                rows.identities[row] = layout->identity[s];
            }
    }
    assert(row == rows.count);
    rows.offsets[row] = weights->rows;
    return apply(tape, weights, &rows, site);
}

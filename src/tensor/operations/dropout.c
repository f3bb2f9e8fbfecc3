/* Inverted dropout with counter-based masks: what is kept depends on (stream, sequence, row, column) alone, so that
 * any number of ranks drops the same cells. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/dropout.h"

#include <assert.h>
#include <string.h>

/* ---- masks ---- */

/* Random rows on their way to the kernel, a few at a time: element i of row r is element offsets[r] + i of the
 * tensor, keyed by (row_words[r], identities[r]). Rows follow each other without gaps. */
enum { PIECE = 256 };
typedef struct {
    const sr_kernels *kernels;
    const sr_dropout_site *site;
    uint8_t *kept;
    size_t count;
    size_t offsets[PIECE + 1];
    uint32_t row_words[PIECE];
    uint64_t identities[PIECE];
} mask_rows;

static void draw_piece(mask_rows *rows)
{
    const size_t end = rows->offsets[rows->count];
    rows->kernels->dropout_mask(rows->kept, rows->count, rows->offsets, rows->row_words, rows->identities,
                                rows->site->stream.key, dropout_keep_steps(rows->site));
    rows->count = 0;
    rows->offsets[0] = end;
}

static void add_row(mask_rows *rows, size_t length, uint32_t row_word, uint64_t identity)
{
    rows->row_words[rows->count] = row_word;
    rows->identities[rows->count] = identity;
    rows->offsets[rows->count + 1] = rows->offsets[rows->count] + length;
    if (++rows->count == PIECE)
        draw_piece(rows);
}

/* What is kept of rows of tokens. */
static void draw_tokens(mask_rows *rows, size_t count, size_t width, const sr_layout *layout, const size_t *tokens)
{
    for (size_t i = 0, s = 0; i < count; ++i) {
        const size_t token = tokens ? tokens[i] : i;
        while (token >= layout->offsets[s + 1])
            ++s;
        add_row(rows, width, (uint32_t)layout->columns[token], layout->identity[s]);
    }
    draw_piece(rows);
}

/* What is kept of the rows of a table, which belong to no sequence. */
static void draw_table(mask_rows *rows, size_t count, size_t width)
{
    for (size_t row = 0; row < count; ++row)
        add_row(rows, width, (uint32_t)row, 0);
    draw_piece(rows);
}

/* What is kept of the cells of a map. */
static void draw_cells(mask_rows *rows, const sr_attention_map *map)
{
    const sr_layout *layout = map->layout;
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
        for (size_t head = 0; head < map->heads; ++head)
            for (size_t query = map->queries->offsets[s]; query < map->queries->offsets[s + 1]; ++query)
                add_row(rows, keys, attention_dropout_word(head, layout->columns[map->queries->tokens[query]]),
                        layout->identity[s]);
    }
    draw_piece(rows);
}

/* ---- operations ---- */

typedef struct {
    sr_tensor *x;
    sr_tensor *residual; /* or NULL */
    uint8_t *kept;       /* one byte an element */
    sr_real factor;
} dropout_state;

/* dx += kept factor dout,  dresidual += dout */
static void dropout_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const dropout_state *state = saved;
    const size_t count = out->rows * out->columns;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    sr_tensor *x = state->x, *residual = state->residual;
    if (x->wants_gradient && x->gradient_is_new)
        kernels->drop(x->gradient, out->gradient, state->kept, state->factor, count);
    else if (x->wants_gradient)
        kernels->accumulate_kept(x->gradient, out->gradient, state->kept, state->factor, count);
    if (residual && residual->wants_gradient && residual->gradient_is_new)
        memcpy(residual->gradient, out->gradient, count * sizeof *out->gradient);
    else if (residual && residual->wants_gradient)
        kernels->accumulate(residual->gradient, out->gradient, count);
}

static const sr_operation dropout_operation = {.name = "dropout", .backward = dropout_backward, .stores = true};

/* The operation and the rows that its mask is drawn for. Values are not computed yet. */
static sr_tensor *record(sr_tape *tape, sr_tensor *x, sr_tensor *residual, const sr_dropout_site *site, dropout_state **made,
                         mask_rows *rows)
{
    dropout_state *state = sr_tape_take(tape, 1, sizeof *state);
    uint8_t *kept = sr_tape_take(tape, x->rows * x->columns, sizeof *kept);
    if (!state || !kept)
        return NULL;
    *state = (dropout_state){x, residual, kept, dropout_factor(site)};
    *made = state;
    rows->kernels = sr_tape_kernels(tape);
    rows->site = site;
    rows->kept = kept;
    rows->count = 0;
    rows->offsets[0] = 0;
    sr_tensor *inputs[] = {x, residual};
    return sr_tape_record(tape, x->rows, x->columns, inputs, residual ? 2 : 1, &dropout_operation, state);
}

static sr_tensor *apply(sr_tape *tape, sr_tensor *out, const dropout_state *state)
{
    const size_t count = out->rows * out->columns;
    if (state->residual)
        sr_tape_kernels(tape)->add_dropped(out->values, state->residual->values, state->x->values, state->kept, state->factor,
                                           count);
    else
        sr_tape_kernels(tape)->drop(out->values, state->x->values, state->kept, state->factor, count);
    return out;
}

/* Dropout of rows of tokens, beside a residual or alone. */
static sr_tensor *drop_tokens(sr_tape *tape, sr_tensor *residual, sr_tensor *x, const sr_layout *layout, const size_t *tokens,
                              const sr_dropout_site *site)
{
    mask_rows rows;
    dropout_state *state;
    sr_tensor *out = record(tape, x, residual, site, &state, &rows);
    if (!out)
        return NULL;
    draw_tokens(&rows, x->rows, x->columns, layout, tokens);
    return apply(tape, out, state);
}

sr_tensor *sr_dropout(sr_tape *tape, sr_tensor *x, const sr_layout *layout, const size_t *tokens, const sr_dropout_site *site)
{
    return !x || site->probability <= 0 ? x : drop_tokens(tape, NULL, x, layout, tokens, site);
}

sr_tensor *sr_add_dropped(sr_tape *tape, sr_tensor *residual, sr_tensor *x, const sr_layout *layout, const size_t *tokens,
                          const sr_dropout_site *site)
{
    if (!residual || !x)
        return NULL;
    assert(residual->rows == x->rows && residual->columns == x->columns);
    return site->probability <= 0 ? sr_add(tape, residual, x) : drop_tokens(tape, residual, x, layout, tokens, site);
}

sr_tensor *sr_table_dropout(sr_tape *tape, sr_tensor *table, const sr_dropout_site *site)
{
    if (!table || site->probability <= 0)
        return table;
    mask_rows rows;
    dropout_state *state;
    sr_tensor *out = record(tape, table, NULL, site, &state, &rows);
    if (!out)
        return NULL;
    draw_table(&rows, table->rows, table->columns);
    return apply(tape, out, state);
}

sr_tensor *sr_attention_dropout(sr_tape *tape, sr_tensor *weights, const sr_attention_map *map, const sr_dropout_site *site)
{
    if (!weights || site->probability <= 0)
        return weights;
    assert(weights->rows == sr_attention_map_cells(map) && weights->columns == 1);
    mask_rows rows;
    dropout_state *state;
    sr_tensor *out = record(tape, weights, NULL, site, &state, &rows);
    if (!out)
        return NULL;
    draw_cells(&rows, map);
    return apply(tape, out, state);
}

/* Rows and columns taken out of matrices or put side by side: embeddings, selections, concatenation. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"

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

static sr_graph_value describe_embedding(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const embedding_state *state = saved;
    return SR_GRAPH_WITH(description_graph(to), "Gather", "axis", 0, described(to, state->table),
                         described_array(to, state->ids));
}

static const sr_operation embedding_operation = {
    .name = "embedding", .backward = embedding_backward, .describe = describe_embedding};

sr_tensor *sr_embedding(sr_tape *tape, sr_tensor *table, const int32_t *ids, size_t count, bool padding_row)
{
    if (!table)
        return NULL;
    embedding_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (embedding_state){table, ids, padding_row};
    const size_t width = table->columns;
    sr_tensor *out = sr_tape_record(tape, count, width, &table, 1, &embedding_operation, state);
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

static sr_graph_value describe_select_rows(sr_description *to, const sr_tensor *output, const void *saved)
{
    const select_state *state = saved;
    const sr_graph_value x = described(to, state->x);
    if (output->rows == 1 && state->x->rows == 1) /* a row of each sequence already */
        return x;
    if (are_read(to, state->rows))
        return described_read_rows(to, x);
    return description_refuse(to, "its operation select_rows takes other rows than those that are read");
}

static const sr_operation select_rows_operation = {
    .name = "select_rows", .backward = select_rows_backward, .describe = describe_select_rows};

sr_tensor *sr_select_rows(sr_tape *tape, sr_tensor *x, const size_t *rows, size_t count)
{
    if (!x)
        return NULL;
    select_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (select_state){x, rows};
    const size_t width = x->columns;
    sr_tensor *out = sr_tape_record(tape, count, width, &x, 1, &select_rows_operation, state);
    if (!out)
        return NULL;
    for (size_t i = 0; i < count; ++i) {
        assert(rows[i] < x->rows);
        memcpy(out->values + i * width, x->values + rows[i] * width, width * sizeof *out->values);
    }
    return out;
}

typedef struct {
    sr_tensor *const *parts;
    size_t count;
} stack_state;

/* dpart += its rows of dout */
static void stack_rows_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const stack_state *state = saved;
    const sr_real *gradient = out->gradient;
    for (size_t i = 0; i < state->count; ++i) {
        const size_t size = state->parts[i]->rows * out->columns;
        if (state->parts[i]->wants_gradient && state->parts[i]->gradient_is_new)
            memcpy(state->parts[i]->gradient, gradient, size * sizeof *gradient);
        else if (state->parts[i]->wants_gradient)
            sr_tape_kernels(tape)->accumulate(state->parts[i]->gradient, gradient, size);
        gradient += size;
    }
}

static const sr_operation stack_rows_operation = {.name = "stack_rows", .backward = stack_rows_backward, .stores = true};

sr_tensor *sr_stack_rows(sr_tape *tape, sr_tensor *const *parts, size_t count)
{
    size_t rows = 0;
    for (size_t i = 0; i < count; ++i) {
        if (!parts[i])
            return NULL;
        assert(parts[i]->columns == parts[0]->columns);
        rows += parts[i]->rows;
    }
    stack_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (stack_state){parts, count};
    sr_tensor *out = sr_tape_record(tape, rows, parts[0]->columns, parts, count, &stack_rows_operation, state);
    if (!out)
        return NULL;
    sr_real *values = out->values;
    for (size_t i = 0; i < count; values += parts[i++]->rows * out->columns)
        memcpy(values, parts[i]->values, parts[i]->rows * out->columns * sizeof *values);
    return out;
}

/* A block of columns of a matrix with rows `stride` apart. */
typedef struct {
    sr_real *first;
    size_t stride;
} column_block;

static column_block columns_from(sr_real *values, const sr_tensor *x, size_t first)
{
    return (column_block){values + first, x->columns};
}

static void copy_block(column_block to, column_block from, size_t rows, size_t width)
{
    for (size_t row = 0; row < rows; ++row)
        memcpy(to.first + row * to.stride, from.first + row * from.stride, width * sizeof *to.first);
}

static void accumulate_block(sr_tape *tape, column_block to, column_block from, size_t rows, size_t width)
{
    for (size_t row = 0; row < rows; ++row)
        sr_tape_kernels(tape)->accumulate(to.first + row * to.stride, from.first + row * from.stride, width);
}

typedef struct {
    sr_tensor *left, *right;
} concatenate_state;

/* dleft += the left columns of dout,  dright += the right ones */
static void concatenate_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const concatenate_state *state = saved;
    sr_tensor *left = state->left, *right = state->right;
    if (left->wants_gradient)
        accumulate_block(tape, columns_from(left->gradient, left, 0), columns_from(out->gradient, out, 0), out->rows,
                         left->columns);
    if (right->wants_gradient)
        accumulate_block(tape, columns_from(right->gradient, right, 0), columns_from(out->gradient, out, left->columns),
                         out->rows, right->columns);
}

static sr_graph_value describe_concatenate(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const concatenate_state *state = saved;
    return SR_GRAPH_WITH(description_graph(to), "Concat", "axis", -1, described(to, state->left), described(to, state->right));
}

static const sr_operation concatenate_operation = {
    .name = "concatenate_columns", .backward = concatenate_backward, .describe = describe_concatenate};

sr_tensor *sr_concatenate_columns(sr_tape *tape, sr_tensor *left, sr_tensor *right)
{
    if (!left || !right)
        return NULL;
    assert(left->rows == right->rows);
    concatenate_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (concatenate_state){left, right};
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = sr_tape_record(tape, left->rows, left->columns + right->columns, inputs, 2, &concatenate_operation, state);
    if (!out)
        return NULL;
    copy_block(columns_from(out->values, out, 0), columns_from(left->values, left, 0), out->rows, left->columns);
    copy_block(columns_from(out->values, out, left->columns), columns_from(right->values, right, 0), out->rows, right->columns);
    return out;
}

typedef struct {
    sr_tensor *x;
    size_t first;
} select_columns_state;

/* dx's selected columns += dout */
static void select_columns_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const select_columns_state *state = saved;
    accumulate_block(tape, columns_from(state->x->gradient, state->x, state->first), columns_from(out->gradient, out, 0),
                     out->rows, out->columns);
}

static sr_graph_value describe_select_columns(sr_description *to, const sr_tensor *output, const void *saved)
{
    const select_columns_state *state = saved;
    return sr_graph_slice(description_graph(to), described(to, state->x), -1, (int64_t)state->first,
                          (int64_t)(state->first + output->columns));
}

static const sr_operation select_columns_operation = {
    .name = "select_columns", .backward = select_columns_backward, .describe = describe_select_columns};

sr_tensor *sr_select_columns(sr_tape *tape, sr_tensor *x, size_t first, size_t count)
{
    if (!x)
        return NULL;
    assert(first <= x->columns && count <= x->columns - first);
    select_columns_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (select_columns_state){x, first};
    sr_tensor *out = sr_tape_record(tape, x->rows, count, &x, 1, &select_columns_operation, state);
    if (out)
        copy_block(columns_from(out->values, out, 0), columns_from(x->values, x, first), out->rows, count);
    return out;
}

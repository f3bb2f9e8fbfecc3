/* Describing passes; tensor/description.h says how values follow from tensors. */
#include "tensor/description.h"

#include "srtrain/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const void *of; /* a tensor, or an array */
    sr_graph_value value;
} known_value;

struct sr_description {
    sr_graph *graph;
    described_pass pass;
    known_value *known;
    size_t known_count, known_room;
    sr_graph_value columns, items, read_columns, visible, visible_to_read; /* once somebody has asked for them */
};

sr_status description_create(sr_description **description, sr_graph *graph, const described_pass *pass, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(description, 1, "a description", error));
    (*description)->graph = graph;
    (*description)->pass = *pass;
    return SR_OK;
}

void description_free(sr_description *description)
{
    if (!description)
        return;
    free(description->known);
    free(description);
}

sr_graph *description_graph(const sr_description *description)
{
    return description->graph;
}

const described_pass *description_pass(const sr_description *description)
{
    return &description->pass;
}

sr_graph_value description_refuse(sr_description *description, const char *format, ...)
{
    sr_error refusal = {.status = SR_ERROR_USAGE};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal.message, sizeof refusal.message, format, arguments);
    va_end(arguments);
    sr_graph_fail(description->graph, &refusal);
    return 0;
}

/* ---- values of tensors ---- */

void description_bind(sr_description *d, const void *array, sr_graph_value value)
{
    sr_error error = {.status = SR_OK};
    if (SR_GROW(&d->known, &d->known_room, d->known_count + 1, "a description", &error) != SR_OK) {
        sr_graph_fail(d->graph, &error);
        return;
    }
    d->known[d->known_count++] = (known_value){array, value};
}

static sr_graph_value find(const sr_description *d, const void *of)
{
    for (size_t i = 0; i < d->known_count; ++i)
        if (d->known[i].of == of)
            return d->known[i].value;
    return 0;
}

/* The parameter whose values these are; NULL: they are those of none. */
static const sr_parameter *parameter_of(const sr_description *d, const sr_tensor *tensor)
{
    const sr_parameters *parameters = d->pass.parameters;
    for (size_t i = 0; i < parameters->count; ++i)
        if (parameters->values + parameters->list[i].offset == tensor->values &&
            parameters->list[i].size == tensor->rows * tensor->columns)
            return &parameters->list[i];
    return NULL;
}

static sr_graph_value copy_numbers(sr_description *d, const sr_tensor *tensor, const size_t *sizes, size_t rank)
{
    const size_t count = tensor->rows * tensor->columns;
    double *values;
    sr_error error = {.status = SR_OK};
    if (SR_ALLOCATE(&values, count, "numbers of a graph", &error) != SR_OK) {
        sr_graph_fail(d->graph, &error);
        return 0;
    }
    for (size_t i = 0; i < count; ++i)
        values[i] = (double)tensor->values[i];
    const sr_graph_value made = sr_graph_floats(d->graph, sizes, rank, values);
    free(values);
    return made;
}

/* A parameter is stored under its name, and once however many tensors read it. */
static sr_graph_value describe_parameter(sr_description *d, const sr_tensor *tensor, const sr_parameter *parameter)
{
    const sr_graph_value there = find(d, parameter);
    if (there)
        return there;
#ifdef SR_REAL_IS_DOUBLE
    const sr_graph_value made = copy_numbers(d, tensor, parameter->shape, parameter->rank);
#else
    sr_graph_shape shape = {.rank = parameter->rank};
    for (size_t i = 0; i < parameter->rank; ++i)
        shape.sizes[i] = (int64_t)parameter->shape[i];
    const sr_graph_value made = sr_graph_array(d->graph, parameter->name, &shape, tensor->values);
#endif
    description_bind(d, parameter, made);
    return made;
}

/* What no operation computed: a parameter, or a row that is the same for all batches. */
static sr_graph_value describe_leaf(sr_description *d, const sr_tensor *tensor)
{
    const sr_parameter *parameter = parameter_of(d, tensor);
    if (parameter)
        return describe_parameter(d, tensor, parameter);
    if (tensor->rows != 1)
        return description_refuse(d, "numbers of a batch do not follow from operations that have a form in ONNX");
    return copy_numbers(d, tensor, &tensor->columns, 1);
}

static sr_graph_value describe_operation(sr_description *d, const sr_operation *operation, const sr_tensor *output,
                                         const void *state)
{
    if (!operation->describe)
        return description_refuse(d, "its operation %s has no form in ONNX", operation->name);
    const char *before = sr_graph_name_nodes(d->graph, operation->name);
    const sr_graph_value value = operation->describe(d, output, state);
    sr_graph_name_nodes(d->graph, before);
    return value;
}

/* The value of what is known, or was made on the tape; 0: neither. */
static sr_graph_value describe_made(sr_description *d, const void *of, const sr_tensor *output)
{
    const sr_operation *operation;
    const void *state;
    sr_graph_value value = find(d, of);
    if (value || !sr_tape_origin(d->pass.tape, of, &operation, &state))
        return value;
    value = describe_operation(d, operation, output, state);
    description_bind(d, of, value);
    return value;
}

sr_graph_value described(sr_description *d, const sr_tensor *tensor)
{
    if (!tensor || sr_graph_status(d->graph, NULL) != SR_OK)
        return 0;
    const sr_graph_value made = describe_made(d, tensor, tensor);
    return made || sr_graph_status(d->graph, NULL) != SR_OK ? made : describe_leaf(d, tensor);
}

sr_graph_value described_array(sr_description *d, const void *array)
{
    if (sr_graph_status(d->graph, NULL) != SR_OK)
        return 0;
    if (array == d->pass.layout->columns)
        return described_columns(d);
    const sr_graph_value made = describe_made(d, array, NULL);
    if (!made && sr_graph_status(d->graph, NULL) == SR_OK)
        return description_refuse(d, "an operation reads numbers of the batch that have no form in ONNX");
    return made;
}

/* ---- columns ---- */

static size_t window_of(const sr_description *d)
{
    return d->pass.layout->window;
}

sr_graph_value described_columns(sr_description *d)
{
    if (d->columns)
        return d->columns;
    int64_t *columns;
    sr_error error = {.status = SR_OK};
    if (SR_ALLOCATE(&columns, window_of(d), "columns of a window", &error) != SR_OK) {
        sr_graph_fail(d->graph, &error);
        return 0;
    }
    for (size_t i = 0; i < window_of(d); ++i)
        columns[i] = (int64_t)i;
    d->columns = sr_graph_list(d->graph, columns, window_of(d));
    free(columns);
    return d->columns;
}

sr_graph_value described_items(sr_description *d)
{
    sr_graph *g = d->graph;
    if (!d->items)
        d->items = SR_GRAPH(g, "Not", SR_GRAPH(g, "Equal", d->pass.items, sr_graph_integer(g, 0)));
    return d->items;
}

/* How many items each sequence has, [batch, 1]. */
static sr_graph_value count_items(sr_description *d)
{
    return sr_graph_sum(d->graph, SR_GRAPH_WITH(d->graph, "Cast", "to", SR_GRAPH_INT64, described_items(d)), 1);
}

sr_graph_value described_tokens(sr_description *d)
{
    sr_graph *g = d->graph;
    const sr_graph_value is_empty = SR_GRAPH(g, "Equal", count_items(d), sr_graph_integer(g, 0));
    if (d->pass.whole_window)
        return SR_GRAPH(g, "GreaterOrEqual", d->pass.items, sr_graph_integer(g, 0));
    return SR_GRAPH(g, "Or", described_items(d), is_empty);
}

/* Of an empty history the last of its slots is read. */
sr_graph_value described_read_columns(sr_description *d)
{
    sr_graph *g = d->graph;
    if (d->read_columns)
        return d->read_columns;
    const int64_t last = (int64_t)window_of(d) - 1;
    if (d->pass.pads_left) {
        d->read_columns = sr_graph_integers(g, (const size_t[]){1, 1}, 2, &last);
        return d->read_columns;
    }
    const sr_graph_value count = count_items(d);
    d->read_columns = SR_GRAPH(g, "Where", SR_GRAPH(g, "Equal", count, sr_graph_integer(g, 0)), sr_graph_integer(g, last),
                               SR_GRAPH(g, "Sub", count, sr_graph_integer(g, 1)));
    return d->read_columns;
}

static sr_graph_value take_last(sr_description *d, sr_graph_value value, int64_t axis)
{
    const int64_t last = (int64_t)window_of(d) - 1;
    return SR_GRAPH_WITH(d->graph, "Gather", "axis", axis, value, sr_graph_list(d->graph, &last, 1));
}

sr_graph_value described_read_rows(sr_description *d, sr_graph_value rows)
{
    if (d->pass.pads_left)
        return take_last(d, rows, 1);
    const sr_graph_value places = sr_graph_add_axis(d->graph, described_read_columns(d), -1);
    return SR_GRAPH_WITH(d->graph, "GatherND", "batch_dims", 1, rows, places);
}

sr_graph_value described_read_queries(sr_description *d, sr_graph_value cells)
{
    const int64_t exchanged[] = {0, 2, 1, 3};
    if (d->pass.pads_left)
        return take_last(d, cells, 2);
    return sr_graph_transpose(d->graph, described_read_rows(d, sr_graph_transpose(d->graph, cells, exchanged, 4)), exchanged,
                              4);
}

bool are_read(const sr_description *d, const size_t *tokens)
{
    return tokens == d->pass.reads->tokens;
}

/* ---- maps ---- */

/* A query sees the items up to its own column; where there are none it sees the whole window, like sr_visible_keys().
 */
static sr_graph_value visible_to_all(sr_description *d)
{
    sr_graph *g = d->graph;
    if (d->visible)
        return d->visible;
    const char *before = sr_graph_name_nodes(g, "visible");
    sr_graph_value seen = sr_graph_add_axis(g, sr_graph_add_axis(g, described_items(d), 1), 1); /* [batch, 1, 1, window] */
    const sr_graph_value columns = described_columns(d), queries = sr_graph_add_axis(g, columns, 1);
    if (d->pass.layout->causal)
        seen = SR_GRAPH(g, "And", seen, SR_GRAPH(g, "LessOrEqual", columns, queries));
    else
        seen = SR_GRAPH(g, "And", seen, SR_GRAPH(g, "GreaterOrEqual", queries, sr_graph_integer(g, 0)));
    const sr_graph_value count = sr_graph_sum(g, SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, seen), 3);
    d->visible = SR_GRAPH(g, "Or", seen, SR_GRAPH(g, "Equal", count, sr_graph_integer(g, 0)));
    sr_graph_name_nodes(g, before);
    return d->visible;
}

sr_graph_value described_visible(sr_description *d, const sr_attention_map *map)
{
    const sr_graph_value visible = visible_to_all(d);
    if (!are_read(d, map->queries->tokens))
        return visible;
    if (!d->visible_to_read)
        d->visible_to_read = described_read_queries(d, visible);
    return d->visible_to_read;
}

sr_graph_value described_masked(sr_description *d, const sr_attention_map *map, sr_graph_value cells, double number)
{
    if (map->whole)
        return cells;
    return SR_GRAPH(d->graph, "Where", described_visible(d, map), cells, sr_graph_number(d->graph, number));
}

sr_graph_value described_by_columns(sr_description *d, const sr_attention_map *map, sr_graph_value matrix)
{
    if (!are_read(d, map->queries->tokens))
        return matrix;
    return sr_graph_add_axis(d->graph, SR_GRAPH_WITH(d->graph, "Gather", "axis", 0, matrix, described_read_columns(d)), 1);
}

static sr_graph_value split(sr_description *d, sr_graph_value rows, size_t heads, const int64_t *order)
{
    const int64_t sizes[] = {0, 0, (int64_t)heads, -1};
    return sr_graph_transpose(d->graph, sr_graph_reshape(d->graph, rows, sizes, 4), order, 4);
}

sr_graph_value described_heads(sr_description *d, sr_graph_value rows, size_t heads)
{
    return split(d, rows, heads, (const int64_t[]){0, 2, 1, 3});
}

sr_graph_value described_heads_transposed(sr_description *d, sr_graph_value rows, size_t heads)
{
    return split(d, rows, heads, (const int64_t[]){0, 2, 3, 1});
}

sr_graph_value described_merged(sr_description *d, sr_graph_value heads)
{
    const int64_t exchanged[] = {0, 2, 1, 3}, sizes[] = {0, 0, -1};
    return sr_graph_reshape(d->graph, sr_graph_transpose(d->graph, heads, exchanged, 4), sizes, 3);
}

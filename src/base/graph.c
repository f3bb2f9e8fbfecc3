/* Graphs as lists of what stands in them; srtrain/graph.h says what is promised. */
#include "srtrain/graph.h"

#include "srtrain/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char name[SR_GRAPH_NAME_SIZE];
    bool computed; /* by a node */
} named_value;

struct sr_graph {
    sr_arena *arena; /* numbers that were copied, and inputs of nodes */
    sr_error failure, growth;
    const char *what; /* nodes are made for */
    named_value *values;
    sr_graph_port *inputs, *outputs;
    sr_graph_initializer *initializers;
    sr_graph_value *initializer_values;
    sr_graph_step *steps;
    size_t value_count, input_count, output_count, initializer_count, step_count;
    size_t value_room, input_room, output_room, initializer_room, initializer_value_room, step_room;
};

enum { ARENA_BLOCK = 1 << 16 };

sr_status sr_graph_create(sr_graph **graph, sr_error *error)
{
    sr_graph *made;
    *graph = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a graph", error));
    made->what = "value";
    const sr_status status = sr_arena_create(&made->arena, ARENA_BLOCK, error);
    if (status != SR_OK) {
        free(made);
        return status;
    }
    *graph = made;
    return SR_OK;
}

void sr_graph_free(sr_graph *graph)
{
    if (!graph)
        return;
    sr_arena_free(graph->arena);
    free(graph->values);
    free(graph->inputs);
    free(graph->outputs);
    free(graph->initializers);
    free(graph->initializer_values);
    free(graph->steps);
    free(graph);
}

sr_status sr_graph_status(const sr_graph *graph, sr_error *error)
{
    if (graph->failure.status != SR_OK && error)
        *error = graph->failure;
    return graph->failure.status;
}

void sr_graph_fail(sr_graph *graph, const sr_error *failure)
{
    if (graph->failure.status == SR_OK)
        graph->failure = *failure;
}

const char *sr_graph_name_nodes(sr_graph *graph, const char *what)
{
    const char *before = graph->what;
    graph->what = what;
    return before;
}

/* ---- values ---- */

static void *take(sr_graph *graph, size_t bytes)
{
    void *memory = sr_arena_take(graph->arena, bytes);
    if (!memory) {
        sr_error error;
        sr_fail_memory(&error, bytes, "a graph");
        sr_graph_fail(graph, &error);
    }
    return memory;
}

/* Whether a list of the graph has got room for one more. */
static bool has_room(sr_graph *graph, sr_status status)
{
    if (status != SR_OK)
        sr_graph_fail(graph, &graph->growth);
    return graph->failure.status == SR_OK;
}

#define MAKE_ROOM(graph, list, room, count) \
    has_room((graph), SR_GROW(&(graph)->list, &(graph)->room, (graph)->count + 1, "a graph", &(graph)->growth))

/* Values are numbered from 1. */
static sr_graph_value add_value(sr_graph *graph, const char *name, bool computed)
{
    if (!MAKE_ROOM(graph, values, value_room, value_count))
        return 0;
    named_value *value = &graph->values[graph->value_count++];
    *value = (named_value){.computed = computed};
    if (name)
        snprintf(value->name, sizeof value->name, "%s", name);
    else
        snprintf(value->name, sizeof value->name, "%s.%zu", graph->what, graph->value_count);
    return (sr_graph_value)graph->value_count;
}

const char *sr_graph_value_name(const sr_graph *graph, sr_graph_value value)
{
    return graph->values[value - 1].name;
}

static sr_graph_port port_of(const char *name, sr_graph_type type, const sr_graph_shape *shape)
{
    sr_graph_port port = {.type = type, .shape = *shape};
    snprintf(port.name, sizeof port.name, "%s", name);
    return port;
}

sr_graph_value sr_graph_input(sr_graph *graph, const char *name, sr_graph_type type, const sr_graph_shape *shape)
{
    if (!MAKE_ROOM(graph, inputs, input_room, input_count))
        return 0;
    graph->inputs[graph->input_count++] = port_of(name, type, shape);
    return add_value(graph, name, false);
}

void sr_graph_output(sr_graph *graph, sr_graph_value value, const char *name, sr_graph_type type, const sr_graph_shape *shape)
{
    if (value && !graph->values[value - 1].computed)
        value = SR_GRAPH(graph, "Identity", value);
    if (!value || !MAKE_ROOM(graph, outputs, output_room, output_count))
        return;
    graph->outputs[graph->output_count++] = port_of(name, type, shape);
    named_value *named = &graph->values[value - 1];
    snprintf(named->name, sizeof named->name, "%s", name);
}

/* ---- numbers ---- */

static size_t element_size(sr_graph_type type)
{
    return type == SR_GRAPH_FLOAT ? sizeof(float) : sizeof(int64_t);
}

/* The same numbers, if they are there already and have no name of their own; else 0. */
static sr_graph_value find_equal(const sr_graph *graph, const sr_graph_initializer *wanted)
{
    for (size_t i = 0; i < graph->initializer_count; ++i) {
        const sr_graph_initializer *there = &graph->initializers[i];
        if (there->type == wanted->type && there->rank == wanted->rank && there->bytes == wanted->bytes &&
            memcmp(there->sizes, wanted->sizes, wanted->rank * sizeof *wanted->sizes) == 0 &&
            strncmp(there->name, "number.", 7) == 0 && memcmp(there->data, wanted->data, wanted->bytes) == 0)
            return graph->initializer_values[i];
    }
    return 0;
}

static sr_graph_value add_initializer(sr_graph *graph, const char *name, const sr_graph_initializer *initializer)
{
    if (!MAKE_ROOM(graph, initializers, initializer_room, initializer_count) ||
        !MAKE_ROOM(graph, initializer_values, initializer_value_room, initializer_count))
        return 0;
    char own[SR_GRAPH_NAME_SIZE];
    snprintf(own, sizeof own, "number.%zu", graph->initializer_count + 1);
    sr_graph_initializer *added = &graph->initializers[graph->initializer_count];
    *added = *initializer;
    snprintf(added->name, sizeof added->name, "%s", name ? name : own);
    const sr_graph_value value = add_value(graph, added->name, false);
    graph->initializer_values[graph->initializer_count++] = value;
    return value;
}

static sr_graph_initializer describe_numbers(sr_graph_type type, const size_t *sizes, size_t rank)
{
    sr_graph_initializer made = {.type = type, .rank = rank, .bytes = element_size(type)};
    assert(rank <= SR_GRAPH_RANK_MAXIMUM);
    for (size_t i = 0; i < rank; ++i) {
        made.sizes[i] = sizes[i];
        made.bytes *= sizes[i];
    }
    return made;
}

/* Numbers in memory of the graph, once. */
static sr_graph_value add_numbers(sr_graph *graph, sr_graph_initializer *numbers)
{
    const sr_graph_value there = find_equal(graph, numbers);
    return there ? there : add_initializer(graph, NULL, numbers);
}

sr_graph_value sr_graph_array(sr_graph *graph, const char *name, const sr_graph_shape *shape, const float *values)
{
    size_t sizes[SR_GRAPH_RANK_MAXIMUM] = {0};
    for (size_t i = 0; i < shape->rank; ++i)
        sizes[i] = (size_t)shape->sizes[i];
    sr_graph_initializer made = describe_numbers(SR_GRAPH_FLOAT, sizes, shape->rank);
    made.data = values;
    return add_initializer(graph, name, &made);
}

sr_graph_value sr_graph_floats(sr_graph *graph, const size_t *sizes, size_t rank, const double *values)
{
    sr_graph_initializer made = describe_numbers(SR_GRAPH_FLOAT, sizes, rank);
    float *copy = take(graph, made.bytes);
    for (size_t i = 0; copy && i < made.bytes / sizeof *copy; ++i)
        copy[i] = (float)values[i];
    made.data = copy;
    return copy ? add_numbers(graph, &made) : 0;
}

sr_graph_value sr_graph_integers(sr_graph *graph, const size_t *sizes, size_t rank, const int64_t *values)
{
    sr_graph_initializer made = describe_numbers(SR_GRAPH_INT64, sizes, rank);
    int64_t *copy = take(graph, made.bytes);
    if (!copy)
        return 0;
    memcpy(copy, values, made.bytes);
    made.data = copy;
    return add_numbers(graph, &made);
}

sr_graph_value sr_graph_number(sr_graph *graph, double value)
{
    return sr_graph_floats(graph, NULL, 0, &value);
}

sr_graph_value sr_graph_double(sr_graph *graph, double value)
{
    sr_graph_initializer made = describe_numbers(SR_GRAPH_DOUBLE, NULL, 0);
    double *copy = take(graph, sizeof *copy);
    if (!copy)
        return 0;
    *copy = value;
    made.data = copy;
    return add_numbers(graph, &made);
}

sr_graph_value sr_graph_integer(sr_graph *graph, int64_t value)
{
    return sr_graph_integers(graph, NULL, 0, &value);
}

sr_graph_value sr_graph_list(sr_graph *graph, const int64_t *values, size_t count)
{
    return sr_graph_integers(graph, &count, 1, values);
}

/* ---- nodes ---- */

sr_graph_value sr_graph_node(sr_graph *graph, const char *operation, const sr_graph_attribute *attributes,
                             const sr_graph_value *inputs, size_t input_count, size_t outputs)
{
    for (size_t i = 0; i < input_count; ++i)
        if (!inputs[i])
            return 0;
    sr_graph_value *kept = take(graph, (input_count + 1) * sizeof *kept);
    if (!kept || !MAKE_ROOM(graph, steps, step_room, step_count))
        return 0;
    memcpy(kept, inputs, input_count * sizeof *inputs);
    sr_graph_step *step = &graph->steps[graph->step_count];
    *step = (sr_graph_step){.operation = operation, .inputs = kept, .input_count = input_count, .outputs = outputs};
    for (; attributes && attributes->kind != SR_GRAPH_NO_MORE; ++attributes) {
        assert(step->attribute_count < SR_GRAPH_ATTRIBUTES_MAXIMUM);
        step->attributes[step->attribute_count++] = *attributes;
    }
    for (size_t i = 0; i < outputs; ++i) {
        const sr_graph_value value = add_value(graph, NULL, true);
        if (!value)
            return 0;
        if (i == 0)
            step->first_output = value;
    }
    return graph->steps[graph->step_count++].first_output;
}

sr_graph_value sr_graph_transpose(sr_graph *graph, sr_graph_value value, const int64_t *order, size_t rank)
{
    sr_graph_attribute attributes[] = {{.name = "perm", .kind = SR_GRAPH_INTEGERS, .count = rank}, {.kind = SR_GRAPH_NO_MORE}};
    memcpy(attributes[0].integers, order, rank * sizeof *order);
    return sr_graph_node(graph, "Transpose", attributes, &value, 1, 1);
}

sr_graph_value sr_graph_reshape(sr_graph *graph, sr_graph_value value, const int64_t *sizes, size_t rank)
{
    return SR_GRAPH(graph, "Reshape", value, sr_graph_list(graph, sizes, rank));
}

sr_graph_value sr_graph_add_axis(sr_graph *graph, sr_graph_value value, int64_t axis)
{
    return SR_GRAPH(graph, "Unsqueeze", value, sr_graph_list(graph, &axis, 1));
}

sr_graph_value sr_graph_drop_axis(sr_graph *graph, sr_graph_value value, int64_t axis)
{
    return SR_GRAPH(graph, "Squeeze", value, sr_graph_list(graph, &axis, 1));
}

sr_graph_value sr_graph_sum(sr_graph *graph, sr_graph_value value, int64_t axis)
{
    return SR_GRAPH(graph, "ReduceSum", value, sr_graph_list(graph, &axis, 1));
}

sr_graph_value sr_graph_slice(sr_graph *graph, sr_graph_value value, int64_t axis, int64_t begin, int64_t end)
{
    return SR_GRAPH(graph, "Slice", value, sr_graph_list(graph, &begin, 1), sr_graph_list(graph, &end, 1),
                    sr_graph_list(graph, &axis, 1));
}

sr_graph_value sr_graph_scaled(sr_graph *graph, sr_graph_value value, double factor)
{
    return SR_GRAPH(graph, "Mul", value, sr_graph_number(graph, factor));
}

/* ---- reading ---- */

sr_graph_content sr_graph_read(const sr_graph *graph)
{
    return (sr_graph_content){.inputs = graph->inputs,
                              .outputs = graph->outputs,
                              .input_count = graph->input_count,
                              .output_count = graph->output_count,
                              .initializers = graph->initializers,
                              .initializer_count = graph->initializer_count,
                              .steps = graph->steps,
                              .step_count = graph->step_count};
}

/* A model as a graph for other programs: from padded histories to states and scores. */
#include "model/backbone.h"
#include "srtrain/batch.h"
#include "srtrain/memory.h"
#include "tensor/description.h"

#include <stdlib.h>
#include <string.h>

/* One pass over a history that fills the window. */
typedef struct {
    sr_model *model;
    sr_graph *graph;
    sr_arena *arena;
    sr_tape *tape;
    sr_description *description;
    sr_batch batch;
} model_description;

/* ---- inputs ---- */

static sr_graph_value integers_input(sr_graph *graph, const char *name, size_t columns)
{
    const sr_graph_shape shape = {.rank = columns ? 2 : 1, .sizes = {-1, (int64_t)columns}, .names = {"batch"}};
    return sr_graph_input(graph, name, SR_GRAPH_INT64, &shape);
}

/* The items with one column more, in which the mask token stands behind the last item. */
static sr_graph_value add_mask_token(const model_description *d, sr_graph_value items)
{
    sr_graph *g = d->graph;
    const int64_t one_behind[] = {0, 0, 0, 1}, columns = (int64_t)d->batch.layout.window;
    const sr_graph_value mask = sr_graph_integer(g, sr_model_mask_token(d->model)), more = sr_graph_list(g, one_behind, 4);
    if (d->model->settings.padding == SR_PADDING_LEFT)
        return SR_GRAPH(g, "Pad", items, more, mask);
    const sr_graph_value is_item = SR_GRAPH(g, "Greater", items, sr_graph_integer(g, 0));
    const sr_graph_value count = sr_graph_sum(g, SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, is_item), 1);
    const sr_graph_value range = SR_GRAPH(g, "Range", sr_graph_integer(g, 0), sr_graph_integer(g, columns),
                                          sr_graph_integer(g, 1));
    return SR_GRAPH(g, "Where", SR_GRAPH(g, "Equal", range, count), mask, SR_GRAPH(g, "Pad", items, more));
}

/* The time of the event that follows each item; behind the last one that is the moment which is asked for. */
static sr_graph_value times_that_follow(const model_description *d, sr_graph_value times)
{
    sr_graph *g = d->graph;
    const int64_t columns = (int64_t)d->batch.layout.window, one_behind[] = {0, 0, 0, 1};
    const sr_graph_value moment = sr_graph_add_axis(g, integers_input(g, "next_time", 0), 1);
    const sr_graph_value next = SR_GRAPH(g, "Pad", sr_graph_slice(g, times, 1, 1, columns), sr_graph_list(g, one_behind, 4));
    const sr_graph_value is_last = SR_GRAPH(g, "Equal", described_columns(d->description),
                                            described_read_columns(d->description));
    return SR_GRAPH(g, "Where", is_last, moment, next);
}

/* The arrays of the batch that operations read. */
static void bind_arrays(const model_description *d, sr_graph_value items)
{
    sr_graph *g = d->graph;
    const sr_batch *batch = &d->batch;
    description_bind(d->description, batch->items, items);
    if (batch->users) {
        const sr_graph_value users = sr_graph_add_axis(g, integers_input(g, "users", 0), 1);
        description_bind(d->description, batch->users, SR_GRAPH(g, "Expand", users, SR_GRAPH(g, "Shape", items)));
    }
    if (batch->times) {
        const sr_graph_value times = integers_input(g, "times", batch->layout.window);
        description_bind(d->description, batch->times, times);
        if (batch->next_times)
            description_bind(d->description, batch->next_times, times_that_follow(d, times));
    }
}

static sr_status begin_graph(model_description *d, sr_error *error)
{
    const sr_model_settings *settings = &d->model->settings;
    const char *before = sr_graph_name_nodes(d->graph, "inputs");
    sr_graph_value items = integers_input(d->graph, "items", (size_t)settings->max_length);
    if (sr_model_mask_token(d->model))
        items = add_mask_token(d, items);
    const described_pass pass = {.tape = d->tape,
                                 .parameters = &d->model->parameters,
                                 .layout = &d->batch.layout,
                                 .reads = &d->batch.reads,
                                 .pads_left = settings->padding == SR_PADDING_LEFT,
                                 .whole_window = sr_model_needs_of(settings, false).whole_window,
                                 .items = items};
    SR_TRY(description_create(&d->description, d->graph, &pass, error));
    bind_arrays(d, items);
    sr_graph_name_nodes(d->graph, before);
    return sr_graph_status(d->graph, error);
}

/* ---- the pass ---- */

/* A batch of one history that fills the window. */
static sr_status build_batch(model_description *d, sr_error *error)
{
    const sr_model_settings *settings = &d->model->settings;
    const size_t length = (size_t)settings->max_length;
    int32_t *items = sr_arena_take(d->arena, length * sizeof *items);
    int64_t *times = sr_arena_take(d->arena, length * sizeof *times);
    if (!items || !times)
        return sr_fail_memory(error, length * sizeof *times, "a history");
    memset(times, 0, length * sizeof *times);
    for (size_t i = 0; i < length; ++i)
        items[i] = 1;
    const sr_example example = {
        .items = items, .times = times, .length = length, .user = 1, .mask_token = sr_model_mask_token(d->model)};
    return sr_batch_build(&d->batch, d->arena, settings, SR_OBJECTIVE_LAST, false, &example, 1, error);
}

static sr_status encode(model_description *d, sr_encoding *encoding, sr_error *error)
{
    const sr_pass pass = {.step = (uint64_t)d->model->step};
    sr_tape_keep_all(d->tape);
    *encoding = (sr_encoding){.representation = NULL};
    d->model->backbone->encode(d->model, d->tape, &d->batch, &pass, encoding);
    encoding->representation = adapted_states(d->model, d->tape, encoding->representation);
    return sr_tape_status(d->tape, error);
}

/* ---- outputs ---- */

static void add_outputs(model_description *d, const sr_encoding *encoding)
{
    sr_graph *g = d->graph;
    const int64_t width = (int64_t)encoding->representation->columns, items = (int64_t)d->model->items;
    const sr_graph_value states = sr_graph_drop_axis(g, described(d->description, encoding->representation), 1);
    const sr_graph_shape of_states = {.rank = 2, .sizes = {-1, width}, .names = {"batch"}},
                         of_scores = {.rank = 2, .sizes = {-1, items + 1}, .names = {"batch"}};
    sr_graph_name_nodes(g, "scores");
    const sr_graph_value scores = catalogue_describe(d->model, d->tape, d->description, states);
    sr_graph_output(g, states, "states", SR_GRAPH_FLOAT, &of_states);
    sr_graph_output(g, scores, "scores", SR_GRAPH_FLOAT, &of_scores);
}

static sr_status describe(model_description *d, sr_error *error)
{
    sr_encoding encoding;
    SR_TRY(build_batch(d, error));
    SR_TRY(encode(d, &encoding, error));
    SR_TRY(begin_graph(d, error));
    add_outputs(d, &encoding);
    return sr_graph_status(d->graph, error);
}

sr_status sr_model_describe(sr_model *model, const sr_kernels *kernels, sr_graph *graph, sr_error *error)
{
    model_description d = {.model = model, .graph = graph};
    sr_status status = sr_arena_create(&d.arena, 1 << 16, error);
    if (status == SR_OK)
        status = sr_tape_create(&d.tape, kernels, true, error);
    if (status == SR_OK)
        status = describe(&d, error);
    description_free(d.description);
    sr_tape_free(d.tape);
    sr_arena_free(d.arena);
    return status;
}

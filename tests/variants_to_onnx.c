/* variants_to_onnx DIRECTORY: each model of model_world.c as a graph, and what it computes itself of its histories.
 *
 * DIRECTORY/N.onnx, and of the same number a directory N with items, users, times, next_time, states and scores as
 * .npy; numbers are floats there. Prints a line for each: its number and its name. */
#include "model_world.h"

#include "srtrain/kernels.h"
#include "storage/onnx_file.h"
#include "storage/tensor_files.h"

#include "cpu_level.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WINDOW = 8, STEP = 3 };

typedef struct {
    float items[EXAMPLES * MOST_WINDOW], times[EXAMPLES * MOST_WINDOW], users[EXAMPLES], next_time[EXAMPLES];
    float scores[EXAMPLES * (ITEMS + 1)];
    sr_real *states;
    size_t window, width;
} variant_arrays;

/* The inputs of a graph: the latest items, padded. */
static void fill_inputs(const world *w, variant_arrays *a)
{
    const bool left = w->settings.model.padding == SR_PADDING_LEFT;
    a->window = (size_t)w->settings.model.max_length;
    for (size_t e = 0; e < EXAMPLES; ++e) {
        const size_t used = lengths[e] < a->window ? lengths[e] : a->window, first = left ? a->window - used : 0;
        for (size_t i = 0; i < used; ++i) {
            a->items[e * a->window + first + i] = (float)histories[e][lengths[e] - used + i];
            a->times[e * a->window + first + i] = (float)example_times[e][lengths[e] - used + i];
        }
        a->users[e] = (float)example_user(e);
        a->next_time[e] = (float)example_next_time(e);
    }
}

/* -infinity for padding, as graphs have it. */
static void fill_scores(const world *w, variant_arrays *a)
{
    const sr_score_tile *tiles;
    size_t count;
    sr_catalogue *catalogue;
    assert_int_equal(sr_catalogue_create(&catalogue, w->model, tested_kernels(), NULL), SR_OK);
    sr_catalogue_tiles(catalogue, &tiles, &count);
    assert_int_equal(count, 1);
    assert_int_equal(sr_catalogue_take_states(catalogue, a->states, EXAMPLES, NULL), SR_OK);
    sr_catalogue_score(catalogue, &(sr_score_part){.states = EXAMPLES, .items = ITEMS + 1}, a->scores);
    sr_catalogue_free(catalogue);
    for (size_t e = 0; e < EXAMPLES; ++e)
        a->scores[e * (ITEMS + 1)] = -INFINITY;
}

static void fill_outputs(world *w, variant_arrays *a)
{
    const sr_pass pass = {.step = STEP};
    build_batch(w, false, EXAMPLES);
    const sr_tensor *found = encode(w, &w->batch, &pass);
    a->width = found->columns;
    a->states = calloc(EXAMPLES * a->width, sizeof *a->states);
    assert_non_null(a->states);
    for (size_t e = 0; e < EXAMPLES; ++e)
        memcpy(a->states + e * a->width, found->values + w->batch.example_reads[e] * a->width, a->width * sizeof *a->states);
    fill_scores(w, a);
}

static void write_graph(const world *w, const char *path)
{
    static const char *const no_metadata[] = {NULL};
    sr_error error = {.message = ""};
    sr_graph *graph;
    bool beside;
    assert_int_equal(sr_graph_create(&graph, &error), SR_OK);
    if (sr_model_describe(w->model, tested_kernels(), graph, &error) != SR_OK ||
        onnx_write(path, graph, no_metadata, ONNX_LARGEST, &beside, &error) != SR_OK)
        fprintf(stderr, "%s: %s\n", path, error.message);
    sr_graph_free(graph);
}

static void write_variant(const char *directory, size_t number)
{
    char path[4096];
    world w;
    variant_arrays a = {.states = NULL};
    create_world(&w, &variants[number]);
    sr_model_set_step(w.model, STEP);
    fill_inputs(&w, &a);
    fill_outputs(&w, &a);
    const tensor_array arrays[] = {{.name = "items", .shape = {EXAMPLES, a.window}, .rank = 2, .data = a.items},
                                   {.name = "times", .shape = {EXAMPLES, a.window}, .rank = 2, .data = a.times},
                                   {.name = "users", .shape = {EXAMPLES}, .rank = 1, .data = a.users},
                                   {.name = "next_time", .shape = {EXAMPLES}, .rank = 1, .data = a.next_time},
                                   {.name = "states", .shape = {EXAMPLES, a.width}, .rank = 2, .data = a.states},
                                   {.name = "scores", .shape = {EXAMPLES, ITEMS + 1}, .rank = 2, .data = a.scores}};
    snprintf(path, sizeof path, "%s/%zu", directory, number);
    assert_int_equal(npy_write(path, true, arrays, sizeof arrays / sizeof *arrays, NULL), SR_OK);
    snprintf(path, sizeof path, "%s/%zu.onnx", directory, number);
    write_graph(&w, path);
    printf("%zu %s\n", number, variants[number].name);
    free(a.states);
    free_world(&w);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: variants_to_onnx DIRECTORY\n");
        return SR_ERROR_USAGE;
    }
    for (size_t i = 0; i < variant_count; ++i)
        write_variant(argv[1], i);
    return 0;
}

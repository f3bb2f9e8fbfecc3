/* The face of the item table (model/item_table.h), by plain loops, and models over a table whose rows lie in no order. */
#include "model/backbone.h"
#include "scattered_items.h"
#include "srtrain/objective.h"
#include "srtrain/settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 11, ROWS = ITEMS + 1, WIDTH = 8, LENGTH = 6, EXAMPLES = 4, STATES = 5 };

/* ---- models ---- */

typedef struct {
    const char *name;
    const char *assignments[4];
} variant;

static const variant plain = {"plain", {"model.backbone=sasrec"}};

/* Every backbone and loss: each reads the table in its own way. Batches of those with lists have a list of negatives for
 * several targets, and one for each of the others. */
static const variant variants[] = {
    {"sasrec", {"training.objective=all"}},
    {"sasrec and bpr", {"training.loss=bpr"}},
    {"sasrec and binary cross entropy", {"training.loss=binary_cross_entropy"}},
    {"sasrec and cross entropy of cosines", {"model.similarity=cosine", "training.temperature=0.3"}},
    {"sasrec and bpr of cosines", {"model.similarity=cosine", "training.loss=bpr"}},
    {"sasrec and sampled softmax with lists",
     {"training.loss=sampled_softmax", "training.log_q=none", "training.objective=all"}},
    {"sasrec and gbce of cosines with lists", {"training.loss=gbce", "model.similarity=cosine", "training.temperature=0.3"}},
    {"sasrec, contrastive", {"training.contrastive.weight=0.3"}},
    {"ssept, contrastive",
     {"model.backbone=ssept", "model.user_hidden_size=4", "model.sse_item_probability=0.5", "training.contrastive.weight=0.3"}},
    {"bert4rec", {"model.backbone=bert4rec"}},
    {"gru4rec", {"model.backbone=gru4rec", "model.padding=left"}},
    {"fmlprec", {"model.backbone=fmlprec"}},
    {"fearec", {"model.backbone=fearec", "model.topk_factor=2"}},
    {"tisasrec", {"model.backbone=tisasrec", "training.loss=bpr"}},
    {"ssept", {"model.backbone=ssept", "model.user_hidden_size=4", "model.sse_item_probability=0.5", "training.loss=bpr"}},
    {"caser", {"model.backbone=caser", "training.frobenius_penalty=0.1"}},
    {"stosa", {"model.backbone=stosa", "training.loss=stosa"}},
    {"hstu", {"model.backbone=hstu", "training.objective=all"}},
    {"two tables", {"model.output_embedding=separate", "training.objective=all"}},
    {"two tables of cosines and bpr",
     {"model.output_embedding=separate", "model.similarity=cosine", "training.loss=bpr", "training.temperature=0.3"}},
    {"two tables and gbce with lists", {"model.output_embedding=separate", "training.loss=gbce"}},
};

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch, again, alike;
    bool lists;
} world;

static bool has(const variant *v, const char *text)
{
    return strstr(v->name, text) != NULL;
}

static void create_world(world *w, const variant *v)
{
    const char *assignments[16] = {"model.hidden_size=8", "model.max_length=6", "model.initializer_range=0.4"};
    size_t count = 3;
    sr_error error = {.message = ""};
    w->lists = has(v, "with lists");
    if (!has(v, "gru4rec") && !has(v, "caser") && !has(v, "hstu"))
        assignments[count++] = "model.inner_size=10";
    for (size_t i = 0; i < 4 && v->assignments[i]; ++i)
        assignments[count++] = v->assignments[i];
    if (sr_settings_parse(&w->settings, "data: {path: none}\n", "test", assignments, count, &error) != SR_OK)
        fail_msg("%s: %s", v->name, error.message);
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, EXAMPLES, NULL), SR_OK);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, sr_kernels_choose(NULL), true, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 5);
}

static void free_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_arena_free(w->arena);
}

/* The first list serves all targets but the last two. */
static void build_lists(world *w)
{
    static const int32_t items[] = {2, 7, 7, 10, 1, 3, 7, 9, 11};
    const size_t targets = w->batch.targets;
    sr_negatives *lists = sr_arena_take(w->arena, sizeof *lists);
    size_t *first_target = sr_arena_take(w->arena, 4 * sizeof *first_target);
    assert_true(lists && first_target && targets > 2);
    for (size_t list = 0; list < 4; ++list)
        first_target[list] = list == 0 ? 0 : targets - 3 + list;
    *lists = (sr_negatives){.lists = 3, .length = 3, .items = items, .first_target = first_target};
    w->batch.negatives = lists;
}

/* The same examples without targets, and others in their place. */
static void build_views(world *w, sr_example *examples)
{
    static const int32_t others[EXAMPLES][LENGTH] = {{10, 9, 7}, {1, 2, 3, 4, 5}, {11}, {6, 7}};
    static const size_t lengths[EXAMPLES] = {3, 5, 1, 2};
    sr_batch *const views[] = {&w->again, &w->alike};
    for (size_t view = 0; view < 2; ++view) {
        for (size_t e = 0; e < EXAMPLES; ++e) {
            examples[e].targets = examples[e].negatives = NULL;
            examples[e].own_sequence = true;
            examples[e].items = view == 0 ? examples[e].items : others[e];
            examples[e].length = view == 0 ? examples[e].length : lengths[e];
        }
        assert_int_equal(sr_batch_build(views[view], w->arena, &w->settings.model, w->settings.model.objective, true, examples,
                                        EXAMPLES, NULL),
                         SR_OK);
    }
    w->batch.again = &w->again;
    w->batch.alike = &w->alike;
}

/* Histories of different length, one of them empty; of masked models, some items are masked. */
static void build_batch(world *w)
{
    static const int32_t histories[EXAMPLES][LENGTH] = {{3, 1, 4, 1, 5}, {9}, {2, 6, 5, 3, 5, 8}, {0}};
    static const int32_t masked[EXAMPLES][LENGTH] = {{3, 12, 4, 1, 12}, {12}, {2, 6, 12, 3, 12, 8}, {12}};
    static const int32_t behind_masks[EXAMPLES][LENGTH] = {{0, 1, 0, 0, 5}, {9}, {0, 0, 5, 0, 5, 0}, {7}};
    static const int32_t next_items[EXAMPLES][LENGTH] = {{1, 4, 1, 5, 9}, {2}, {6, 5, 3, 5, 8, 11}, {10}};
    static const int32_t negatives[EXAMPLES][LENGTH] = {{7, 7, 8, 2, 6}, {1}, {4, 4, 1, 1, 2, 2}, {3}};
    static const int64_t times[EXAMPLES][LENGTH] = {{1, 4, 9, 11, 30}, {7}, {1, 2, 3, 5, 8, 13}, {0}};
    static const size_t lengths[EXAMPLES] = {5, 1, 6, 0};
    const sr_model_needs needs = sr_model_needs_of(&w->settings.model, true);
    const sr_objective objective = w->settings.model.objective;
    sr_example examples[EXAMPLES];
    for (size_t e = 0; e < EXAMPLES; ++e) {
        const size_t first = objective == SR_OBJECTIVE_ALL || needs.masked || lengths[e] == 0 ? 0 : lengths[e] - 1;
        examples[e] = (sr_example){.items = needs.masked ? masked[e] : histories[e],
                                   .times = times[e],
                                   .next_time = 40,
                                   .length = needs.masked && lengths[e] == 0 ? 1 : lengths[e],
                                   .user = (int32_t)e + 1,
                                   .identity = 100 + e,
                                   .targets = (needs.masked ? behind_masks[e] : next_items[e]) + first,
                                   .negatives = needs.negatives ? negatives[e] + first : NULL};
    }
    assert_int_equal(sr_batch_build(&w->batch, w->arena, &w->settings.model, objective, true, examples, EXAMPLES, NULL), SR_OK);
    if (w->lists)
        build_lists(w);
    if (w->settings.model.contrastive.in_use)
        build_views(w, examples);
}

/* A step's loss and its gradients, with dropout. */
static double differentiate(world *w, sr_model *model)
{
    sr_parameters *parameters = sr_model_parameters(model);
    const sr_objective_request request = {.model = model,
                                          .tape = w->tape,
                                          .batch = &w->batch,
                                          .pass = {.training = true, .seed = 3, .step = 7},
                                          .targets = (double)w->batch.targets};
    sr_outcome outcome;
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    sr_tape_reset(w->tape);
    assert_int_equal(sr_objective_run(&request, SR_OK, &outcome, NULL), SR_OK);
    return sr_terms_total(&outcome.terms, SR_PARAMETERS_EVERY, outcome.targets);
}

static void assert_close(const char *name, const sr_real *found, const sr_real *expected, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (!(fabs((double)(found[i] - expected[i])) <= 1e-12 * (1 + fabs((double)expected[i]))))
            fail_msg("%s[%zu] is %.15g instead of %.15g", name, i, (double)found[i], (double)expected[i]);
}

static void models_cannot_tell_where_rows_lie(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; ++v) {
        world w;
        create_world(&w, &variants[v]);
        build_batch(&w);
        sr_model *scattered = scattered_model(w.model);
        const sr_parameters *expected = sr_model_parameters(w.model), *found = sr_model_parameters(scattered);
        const double loss = differentiate(&w, w.model), other = differentiate(&w, scattered);
        if (!(fabs(loss - other) <= 1e-12 * fabs(loss)))
            fail_msg("%s: the loss is %.15g instead of %.15g", variants[v].name, other, loss);
        for (size_t i = 0; i < found->count; ++i) {
            const size_t same = sr_parameters_find(expected, found->list[i].name);
            assert_close(found->list[i].name, found->gradients + found->list[i].offset,
                         expected->gradients + expected->list[same].offset, found->list[i].size);
        }
        for (size_t part = 0; part < scattered->item_table.part_count; ++part) {
            sr_real gradients[(ROWS + 1) * WIDTH];
            const sr_parameter *table = &expected->list[w.model->item_table.parts[part].parameter];
            scattered_gradients(&scattered->item_table, (item_part)part, gradients);
            assert_close(table->name, gradients, expected->gradients + table->offset, table->size);
        }
        sr_model_free(scattered);
        free_world(&w);
    }
}

static void shares_read_the_same_rows(void **state)
{
    world w;
    (void)state;
    create_world(&w, &plain);
    build_batch(&w);
    sr_model *scattered = scattered_model(w.model), *share;
    const double loss = differentiate(&w, scattered);
    assert_int_equal(sr_model_share(&share, scattered, true, NULL), SR_OK);
    assert_true(sr_model_item_table(share) != sr_model_item_table(scattered));
    assert_true(differentiate(&w, share) == loss);
    sr_model_free(share);
    sr_model_free(scattered);
    free_world(&w);
}

/* ---- the face by itself ---- */

/* A function of the table in which every way of reading it has a part. */
static const int32_t read_ids[STATES] = {4, 0, 11, 4, 7}, target_ids[STATES] = {1, 11, 2, 5, 8},
                     rival_ids[STATES] = {2, 3, 1, 1, 9};
static const sr_real state_values[STATES * WIDTH] = {
    0.3,  -0.2, 0.9, 0.1,  -0.7, 0.4,  0.2, 1.1, -0.5, 0.8, 0.6,  -0.9, 0.3, 0.1,  -0.4, 0.2, 0.7, -0.6, 0.5, 0.4,
    -0.3, 1.2,  0.1, -0.8, 0.2,  -0.1, 0.6, 0.9, 0.4,  0.5, -0.7, 0.3,  0.8, -0.2, 0.1,  0.6, 0.9, 0.2,  0.7, -1.0};

typedef struct {
    sr_tensor *read, *scores, *cross_entropy, *norm, *total;
} faces;

static const sr_scoring products = {.temperature = 1};

static faces compute_faces(sr_item_table *table, sr_tape *tape)
{
    static sr_real states[STATES * WIDTH];
    const sr_item_reads reads = {.lists = {{read_ids, STATES}, {target_ids, STATES}, {rival_ids, STATES}}, .count = 3};
    faces f;
    memcpy(states, state_values, sizeof states);
    sr_tape_reset(tape);
    if (table->kind->fetch)
        assert_int_equal(table->kind->fetch(table, &reads, NULL, SR_OK, NULL), SR_OK);
    sr_tensor *fixed = sr_tape_constant(tape, states, STATES, WIDTH);
    f.read = item_table_read(table, tape, ITEM_VECTORS, read_ids, STATES, true);
    f.scores = item_table_scores(table, tape, f.read, target_ids);
    f.cross_entropy = item_table_cross_entropy(table, tape, fixed, &(sr_row_targets){target_ids, NULL}, &products, 0.4);
    f.norm = item_table_norm(table, tape, ITEM_VECTORS);
    sr_tensor *pairs = sr_bpr_loss(tape, f.scores, item_table_scores(table, tape, fixed, rival_ids), 0.7);
    f.total = sr_weighted_add(tape, sr_add(tape, pairs, f.cross_entropy), 1, f.norm, 0.3);
    assert_int_equal(sr_tape_status(tape, NULL), SR_OK);
    return f;
}

static double dot(const sr_real *left, const sr_real *right)
{
    double sum = 0;
    for (size_t i = 0; i < WIDTH; ++i)
        sum += (double)left[i] * (double)right[i];
    return sum;
}

/* `values` are those of the table in the order of ids. */
static void check_values(sr_item_table *table, sr_tape *tape, const sr_real *values)
{
    const faces f = compute_faces(table, tape);
    const sr_tensor *padding = item_table_padding(table, tape, ITEM_VECTORS);
    double cross_entropy = 0, squares = 0;
    for (size_t i = 0; i < ROWS * WIDTH; ++i)
        squares += (double)values[i] * (double)values[i];
    for (size_t s = 0; s < STATES; ++s) {
        double sum = 0;
        assert_memory_equal(f.read->values + s * WIDTH, values + (size_t)read_ids[s] * WIDTH, WIDTH * sizeof *values);
        assert_true(fabs((double)f.scores->values[s] -
                         dot(values + (size_t)read_ids[s] * WIDTH, values + (size_t)target_ids[s] * WIDTH)) < 1e-14);
        for (size_t item = 0; item < ROWS; ++item)
            sum += exp(dot(state_values + s * WIDTH, values + item * WIDTH));
        cross_entropy += log(sum) - dot(state_values + s * WIDTH, values + (size_t)target_ids[s] * WIDTH);
    }
    assert_true(fabs((double)f.cross_entropy->values[0] - 0.4 * cross_entropy) < 1e-13);
    assert_true(fabs((double)f.norm->values[0] - sqrt(squares)) < 1e-13);
    assert_memory_equal(padding->values, values, WIDTH * sizeof *values);
}

static void rows_scores_and_losses_are_those_of_plain_loops(void **state)
{
    world w;
    sr_real values[ROWS * WIDTH];
    (void)state;
    create_world(&w, &plain);
    sr_model *scattered = scattered_model(w.model);
    scattered_values(&scattered->item_table, ITEM_VECTORS, values);
    assert_memory_equal(values, sr_model_parameters(w.model)->values, sizeof values);
    check_values(sr_model_item_table(w.model), w.tape, values);
    check_values(sr_model_item_table(scattered), w.tape, values);
    sr_model_free(scattered);
    free_world(&w);
}

typedef void (*set_function)(sr_item_table *table, item_part part, size_t id, size_t column, sr_real value);

static void set_replicated(sr_item_table *table, item_part part, size_t id, size_t column, sr_real value)
{
    sr_parameters *parameters = table->parameters;
    parameters->values[parameters->list[table->parts[part].parameter].offset + id * WIDTH + column] = value;
}

static void check_gradients(sr_item_table *table, sr_tape *tape, set_function set, const sr_real *values,
                            const sr_real *gradients)
{
    const double step = 1e-5;
    for (size_t id = 1; id < ROWS; ++id) /* the row of padding is read without getting a gradient from it */
        for (size_t column = 0; column < WIDTH; ++column) {
            const double value = values[id * WIDTH + column], found = gradients[id * WIDTH + column];
            set(table, ITEM_VECTORS, id, column, (sr_real)(value + step));
            const double above = compute_faces(table, tape).total->values[0];
            set(table, ITEM_VECTORS, id, column, (sr_real)(value - step));
            const double below = compute_faces(table, tape).total->values[0];
            set(table, ITEM_VECTORS, id, column, (sr_real)value);
            const double expected = (above - below) / (2 * step);
            if (!(fabs(found - expected) <= 1e-8 * (1 + fabs(expected))))
                fail_msg("row %zu, column %zu: gradient %.10g, finite differences %.10g", id, column, found, expected);
        }
}

static void gradients_are_those_of_finite_differences(void **state)
{
    world w;
    sr_real values[ROWS * WIDTH], gradients[ROWS * WIDTH];
    (void)state;
    create_world(&w, &plain);
    sr_model *scattered = scattered_model(w.model);
    sr_item_table *tables[] = {sr_model_item_table(w.model), sr_model_item_table(scattered)};
    memcpy(values, sr_model_parameters(w.model)->values, sizeof values);
    for (size_t t = 0; t < 2; ++t) {
        const faces f = compute_faces(tables[t], w.tape);
        assert_int_equal(sr_tape_backward(w.tape, f.total, SR_PARAMETERS_EVERY, NULL), SR_OK);
        assert_int_equal(sr_model_hand_back_items(t == 0 ? w.model : scattered, SR_OK, NULL), SR_OK);
        if (t == 0)
            memcpy(gradients, sr_model_parameters(w.model)->gradients, sizeof gradients);
        else
            scattered_gradients(tables[t], ITEM_VECTORS, gradients);
        check_gradients(tables[t], w.tape, t == 0 ? set_replicated : scattered_set, values, gradients);
    }
    sr_model_free(scattered);
    free_world(&w);
}

static double expected_score(const world *w, const sr_real *state, const sr_real *row)
{
    if (w->settings.model.similarity == SR_SIMILARITY_DOT)
        return dot(state, row);
    return dot(state, row) / sqrt(dot(state, state) * dot(row, row));
}

/* The scores of some states for the items of a tile, a part of `width` items after the other. */
static void check_tile(const world *w, const sr_catalogue *catalogue, const sr_score_tile *tile, size_t number, size_t width)
{
    const sr_real *values = sr_model_parameters(w->model)->values;
    for (size_t first = 0; first < tile->items.count; first += width) {
        const size_t items = tile->items.count - first < width ? tile->items.count - first : width;
        const sr_score_part part = {
            .first_state = 1, .states = STATES - 1, .tile = number, .first_item = first, .items = items};
        sr_real scores[STATES * ROWS];
        sr_catalogue_score(catalogue, &part, scores);
        for (size_t s = 0; s < part.states; ++s)
            for (size_t i = 0; i < items; ++i) {
                const size_t item = (size_t)sr_row_number(&tile->items, first + i);
                const double expected = expected_score(w, state_values + (1 + s) * WIDTH, values + item * WIDTH);
                assert_true(fabs((double)scores[s * items + i] - expected) < 1e-14);
            }
    }
}

static void check_scores(const world *w, const sr_model *model, bool in_order)
{
    sr_catalogue *catalogue;
    const sr_score_tile *tiles;
    size_t tile_count, found = 0, out_of_order = 0;
    assert_int_equal(sr_catalogue_create(&catalogue, model, sr_tape_kernels(w->tape), NULL), SR_OK);
    assert_int_equal(sr_catalogue_columns(catalogue), ROWS);
    assert_int_equal(sr_catalogue_width(catalogue), WIDTH);
    assert_int_equal(sr_catalogue_take_states(catalogue, state_values, STATES, NULL), SR_OK);
    sr_catalogue_tiles(catalogue, &tiles, &tile_count);
    for (size_t i = 0; i < tile_count; ++i) {
        for (size_t place = 0; place < tiles[i].items.count; ++place, ++found)
            out_of_order += (size_t)sr_row_number(&tiles[i].items, place) != tiles[i].begin + place;
        check_tile(w, catalogue, &tiles[i], i, ROWS);
        check_tile(w, catalogue, &tiles[i], i, 2);
    }
    assert_int_equal(found, ROWS);
    assert_true(in_order ? out_of_order == 0 : out_of_order > ROWS / 2);
    sr_catalogue_free(catalogue);
}

static void scores_are_found_by_the_tiles_of_their_items(void **state)
{
    static const variant cosine = {"cosines", {"model.similarity=cosine"}};
    const variant *const both[] = {&plain, &cosine};
    (void)state;
    for (size_t v = 0; v < 2; ++v) {
        world w;
        create_world(&w, both[v]);
        sr_model *scattered = scattered_model(w.model);
        check_scores(&w, w.model, true);
        check_scores(&w, scattered, false);
        sr_model_free(scattered);
        free_world(&w);
    }
}

/* ---- what is said of a model ---- */

static void cosines_without_a_low_temperature_are_worth_a_warning(void **state)
{
    static const variant warm = {"", {"model.similarity=cosine"}},
                         cold = {"", {"model.similarity=cosine", "training.temperature=0.5"}},
                         sampled = {"",
                                    {"model.similarity=cosine", "training.temperature=0.51", "training.loss=sampled_softmax",
                                     "training.log_q=none"}},
                         pairs = {"", {"model.similarity=cosine", "training.loss=bpr"}};
    world w;
    (void)state;
    create_world(&w, &plain);
    char text[512];
    assert_false(sr_model_training_warning(&w.settings.model, 1860, text, sizeof text));
    free_world(&w);
    create_world(&w, &warm);
    assert_true(sr_model_training_warning(&w.settings.model, 1860, text, sizeof text));
    assert_non_null(
        strstr(text, "training.temperature of 1, the loss stays above 5.53, where guessing gives 7.53, and no item"));
    free_world(&w);
    create_world(&w, &sampled);
    assert_true(sr_model_training_warning(&w.settings.model, 1860, text, sizeof text));
    assert_non_null(strstr(text, "stays above 1.8, where guessing gives 5.55"));
    free_world(&w);
    create_world(&w, &pairs);
    assert_true(sr_model_training_warning(&w.settings.model, 1860, text, sizeof text));
    assert_non_null(strstr(text, "temperature of 1, no item"));
    free_world(&w);
    create_world(&w, &cold);
    assert_false(sr_model_training_warning(&w.settings.model, 1860, text, sizeof text));
    free_world(&w);
}

static void gbce_has_fewer_negatives_than_the_catalogue_has_items(void **state)
{
    static const variant gbce = {"", {"training.loss=gbce", "training.negatives=20"}};
    sr_error error = {.message = ""};
    world w;
    (void)state;
    create_world(&w, &gbce);
    assert_int_equal(sr_model_check_items(&w.settings.model, 21, &error), SR_OK);
    assert_int_equal(sr_model_check_items(&w.settings.model, 20, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "training.negatives is 20, but the data set has 20 items"));
    assert_non_null(strstr(error.message, "use at most 19"));
    free_world(&w);
    create_world(&w, &plain);
    assert_int_equal(sr_model_check_items(&w.settings.model, 1, &error), SR_OK);
    free_world(&w);
}

static void a_batch_names_what_it_reads(void **state)
{
    world w;
    (void)state;
    create_world(&w, &variants[1]);
    build_batch(&w);
    sr_item_reads reads = sr_batch_item_reads(&w.batch);
    assert_int_equal(reads.count, 3);
    assert_ptr_equal(reads.lists[0].ids, w.batch.items);
    assert_int_equal(reads.lists[0].count, w.batch.layout.offsets[w.batch.layout.sequences]);
    assert_ptr_equal(reads.lists[1].ids, w.batch.target_items);
    assert_ptr_equal(reads.lists[2].ids, w.batch.negatives->items);
    w.batch.negatives = NULL;
    w.again = w.batch;
    w.batch.again = &w.again;
    reads = sr_batch_item_reads(&w.batch);
    assert_int_equal(reads.count, 4);
    assert_int_equal(sr_batch_item_reads(NULL).count, 0);
    free_world(&w);
}

/* Parameters whose rows a step may leave alone. */
static void tables_that_lie_elsewhere_are_no_parameters(void **state)
{
    world w;
    (void)state;
    create_world(&w, &variants[1]);
    sr_model *scattered = scattered_model(w.model);
    assert_int_equal(sr_model_item_tables(w.model).count, 1);
    assert_int_equal(sr_model_item_tables(scattered).count, 0);
    assert_int_equal(sr_model_parameters(scattered)->count + 1, sr_model_parameters(w.model)->count);
    assert_int_equal(sr_item_table_rows(sr_model_item_table(scattered)), ROWS);
    assert_int_equal(sr_item_table_bytes(sr_model_item_table(w.model)), ROWS * WIDTH * sizeof(sr_real));
    assert_int_equal(sr_item_table_bytes(sr_model_item_table(scattered)), ROWS * WIDTH * sizeof(sr_real));
    sr_model_free(scattered);
    free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_scores_and_losses_are_those_of_plain_loops),
        cmocka_unit_test(gradients_are_those_of_finite_differences),
        cmocka_unit_test(scores_are_found_by_the_tiles_of_their_items),
        cmocka_unit_test(cosines_without_a_low_temperature_are_worth_a_warning),
        cmocka_unit_test(gbce_has_fewer_negatives_than_the_catalogue_has_items),
        cmocka_unit_test(a_batch_names_what_it_reads),
        cmocka_unit_test(tables_that_lie_elsewhere_are_no_parameters),
        cmocka_unit_test(models_cannot_tell_where_rows_lie),
        cmocka_unit_test(shares_read_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

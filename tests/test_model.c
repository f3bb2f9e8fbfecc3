/* Whole small models in double precision: what they compute of a batch, and how they start. */
#include "model_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The penalty counts every query's row of every layer, whatever rows of the last one somebody reads. */
static void the_mask_penalty_does_not_depend_on_which_rows_are_read(void **state)
{
    (void)state;
#define WITHOUT_DROPOUT "model.hidden_dropout=0", "model.attention_dropout=0"
#define SOFTMAX "calibrators.adversarial.renormalize=softmax"
    static const variant padded[] = {
        {"right", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX}},
        {"left", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX, "model.padding=left"}},
        {"left, noise on masked cells", {AC_RELEASED, WITHOUT_DROPOUT, "model.padding=left"}},
        {"left, rescaled", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX, "model.padding=left", FREQUENCY}},
        {"left, refined", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX, "model.padding=left", REFINEMENT("simple")}},
        {"left, visible cells", {AC, WITHOUT_DROPOUT, "model.padding=left"}}};
    for (size_t v = 0; v < sizeof padded / sizeof *padded; ++v) {
        double squares[2][SR_LAYERS_MAXIMUM];
        world w;
        create_world(&w, &padded[v]);
        for (size_t every = 0; every < 2; ++every) {
            const sr_pass pass = {.training = true, .seed = 3, .step = 7, .every_row = every == 1};
            sr_encoding encoding;
            build_batch(&w, true, EXAMPLES);
            sr_tape_reset(w.tape);
            sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
            assert_int_equal(encoding.mask_count, w.settings.model.layers);
            memcpy(squares[every], encoding.mask_square_sums, sizeof squares[every]);
        }
        for (size_t layer = 0; layer < (size_t)w.settings.model.layers; ++layer) {
            if (!(fabs(squares[0][layer] - squares[1][layer]) < 1e-9))
                fail_msg("padding %s, layer %zu: %.12g of the rows that are read, %.12g of all", padded[v].name, layer,
                         squares[0][layer], squares[1][layer]);
        }
        free_world(&w);
    }
}

/* The padding in front of the items is read with padding left alone: row 0 of the item table is padding. */
static void recurrent_units_run_over_padding_in_front_of_the_items_alone(void **state)
{
    (void)state;
    static const variant sides[] = {{"right", {GRU4REC}}, {"left", {GRU4REC, "model.padding=left"}}};
    for (size_t side = 0; side < 2; ++side) {
        world w;
        create_world(&w, &sides[side]);
        const sr_example example = {.items = histories[0], .length = 5, .identity = 1};
        const sr_pass pass = {.training = false};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, false, &example, 1, NULL),
                         SR_OK);
        assert_int_equal(w.batch.layout.offsets[1], side == 0 ? 5 : LENGTH);
        const double before = encode(&w, &w.batch, &pass)->values[0];
        sr_model_parameters(w.model)->values[0] += 1; /* of the first parameter, the item table */
        const double after = encode(&w, &w.batch, &pass)->values[0];
        assert_int_equal(before == after, side == 0);
        free_world(&w);
    }
}

/* Of the released code: a window is padded to max_length with row 0 of the item table, on either side. */
static void convolutions_see_the_padding_of_the_window(void **state)
{
    (void)state;
    static const variant sides[] = {{"right", {CASER}}, {"left", {CASER, "model.padding=left"}}};
    for (size_t side = 0; side < 2; ++side) {
        world w;
        create_world(&w, &sides[side]);
        const int32_t items[LENGTH] = {3, 1, 4, 0, 0, 0}, padded[LENGTH] = {0, 0, 0, 3, 1, 4};
        /* The same window with padding given as if it were items. */
        const sr_example examples[] = {{.items = items, .length = 3, .user = 2, .identity = 1},
                                       {.items = side == 0 ? items : padded, .length = LENGTH, .user = 2, .identity = 2}};
        const sr_pass pass = {.training = false};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, false, examples, 2, NULL),
                         SR_OK);
        assert_int_equal(w.batch.layout.offsets[2], 3 + LENGTH);
        const sr_tensor *states = encode(&w, &w.batch, &pass);
        double size = 0;
        for (size_t i = 0; i < 8; ++i) {
            assert_true(fabs(states->values[i] - states->values[8 + i]) < 1e-12);
            size += fabs(states->values[i]);
        }
        assert_true(size > 0.1);
        free_world(&w);
    }
}

static double largest_of(const sr_parameters *parameters, const char *name)
{
    const size_t index = sr_parameters_find(parameters, name);
    assert_true(index != SIZE_MAX);
    double largest = 0;
    for (size_t i = 0; i < parameters->list[index].size; ++i)
        largest = fmax(largest, fabs((double)parameters->values[parameters->list[index].offset + i]));
    return largest;
}

/* Every bound is reached to a tenth by the largest of many weights, and never passed. */
static void recurrent_units_and_convolutions_start_as_released(void **state)
{
    (void)state;
    static const struct {
        variant of;
        struct {
            const char *name;
            double bound;
        } weights[4];
    } cases[] = {{{"gru4rec", {GRU4REC, "model.gru_hidden_size=25"}},
                  {{"layers.0.gru.input.weight", 0.26884},  /* sqrt(6 / (75 + 8)) */
                   {"layers.0.gru.hidden.weight", 0.24495}, /* sqrt(6 / (75 + 25)) */
                   {"layers.1.gru.input.weight", 0.2},
                   {"layers.1.gru.hidden.weight", 0.2}}},
                 {{"caser", {CASER, "model.vertical_filters=20", "model.horizontal_filters=20"}},
                  {{"vertical.weight", 0.40825}, /* 1 / sqrt(6) */
                   {"vertical.bias", 0.40825},
                   {"horizontal.2.weight", 0.25}, /* 1 / sqrt(2 * 8) */
                   {"horizontal.2.bias", 0.25}}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        world w;
        create_world(&w, &cases[i].of);
        for (size_t k = 0; k < 4; ++k) {
            const double largest = largest_of(sr_model_parameters(w.model), cases[i].weights[k].name);
            if (largest > cases[i].weights[k].bound + 1e-5 || largest < 0.9 * cases[i].weights[k].bound)
                fail_msg("%s starts with weights up to %g", cases[i].weights[k].name, largest);
        }
        assert_true(largest_of(sr_model_parameters(w.model), "item_embedding.weight") > 0.8); /* normal, 0.4 */
        free_world(&w);
    }
}

static void the_attacked_branch_exists_in_training_only(void **state)
{
    (void)state;
    world w;
    const variant calibrated = {"calibrated", {AC}};
    create_world(&w, &calibrated);
    sr_encoding encoding;
    const sr_pass training = {.training = true}, evaluation = {.training = false};
    build_batch(&w, true, EXAMPLES);
    sr_model_encode(w.model, w.tape, &w.batch, &training, &encoding);
    assert_non_null(encoding.attacked);
    assert_int_equal(encoding.mask_count, 2);
    build_batch(&w, false, EXAMPLES);
    sr_tape_reset(w.tape);
    sr_model_encode(w.model, w.tape, &w.batch, &evaluation, &encoding);
    assert_null(encoding.attacked);
    assert_int_equal(encoding.mask_count, 0);
    free_world(&w);
}

static const sr_real *values_of(const sr_parameters *parameters, const char *name)
{
    const size_t index = sr_parameters_find(parameters, name);
    assert_true(index != SIZE_MAX);
    return parameters->values + parameters->list[index].offset;
}

static void calibrators_start_as_published(void **state)
{
    (void)state;
    world w;
    const variant drawn = {"drawn", {AC, ONE_LEVEL, "calibrators.adversarial.rich_combine=trainable"}};
    create_world(&w, &drawn);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    const double scale = values_of(parameters, "layers.0.attention.distance.scale")[0];
    assert_true(scale != 0 && scale != 1);
    assert_true(values_of(parameters, "layers.1.attention.distance.scale")[0] == scale);
    assert_true(values_of(parameters, "layers.1.mix_ratio")[0] == 0.5);
    assert_true(values_of(parameters, "layers.0.attention.order.weight")[0] !=
                values_of(parameters, "layers.1.attention.order.weight")[0]);
    free_world(&w);
    const variant one = {"one", {SPATIAL, "calibrators.spatial.distance_scale=one"}};
    create_world(&w, &one);
    assert_true(values_of(sr_model_parameters(w.model), "layers.1.attention.distance.scale")[0] == 1);
    free_world(&w);
}

/* As in the published code, which draws linear maps and tables by rules of its own, and nothing else. */
static void the_mean_of_initial_weights_is_that_of_linear_maps_and_tables_alone(void **state)
{
    (void)state;
    static const struct {
        variant drawn;
        const char *centred, *shifted;
    } cases[] = {{{"spatial", {SPATIAL}}, "layers.0.attention.distance.scale", "layers.0.attention.order.weight"},
                 {{"frequency", {FREQUENCY}}, "layers.1.frequency.sqrt_beta", "item_embedding.weight"},
                 {{"fmlprec", {FMLPREC}}, "layers.1.filter.weight", "layers.1.ffn.inner.weight"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        double centred[2], shifted[2];
        for (size_t mean = 0; mean < 2; ++mean) {
            variant drawn = cases[i].drawn;
            drawn.assignments[1] = mean ? "model.initializer_mean=0.5" : NULL;
            world w;
            create_world(&w, &drawn);
            centred[mean] = values_of(sr_model_parameters(w.model), cases[i].centred)[0];
            shifted[mean] = values_of(sr_model_parameters(w.model), cases[i].shifted)[0];
            free_world(&w);
        }
        assert_true(centred[0] != 0 && centred[1] == centred[0]);
        assert_true(fabs(shifted[1] - shifted[0] - 0.5) < 1e-12);
    }
}

/* With probability (almost) 1 every id is drawn anew: only then, and only in training, the state forgets the history. */
static void shared_embeddings_replace_ids_in_training_only(void **state)
{
    (void)state;
    world plain, shared;
    const variant without = {"without", {SSEPT, "model.hidden_dropout=0", "model.attention_dropout=0"}};
    const variant with = {"with",
                          {SSEPT, "model.hidden_dropout=0", "model.attention_dropout=0", "model.sse_user_probability=0.99",
                           "model.sse_item_probability=0.99"}};
    create_world(&plain, &without);
    create_world(&shared, &with);
    build_batch(&plain, false, EXAMPLES);
    build_batch(&shared, false, EXAMPLES);
    const sr_pass training = {.training = true, .seed = 3}, evaluation = {.training = false};
    const size_t count = plain.batch.reads.offsets[plain.batch.layout.sequences] * 5;
    assert_memory_equal(encode(&plain, &plain.batch, &evaluation)->values, encode(&shared, &shared.batch, &evaluation)->values,
                        count * sizeof(sr_real));
    const sr_real *kept = encode(&plain, &plain.batch, &training)->values;
    const sr_real *replaced = encode(&shared, &shared.batch, &training)->values;
    assert_memory_not_equal(kept, replaced, count * sizeof(sr_real));
    free_world(&plain);
    free_world(&shared);
}

static void an_example_does_not_depend_on_the_others_in_its_batch(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    const sr_pass pass = {.training = true, .seed = 3, .step = 7}; /* dropout included: it is keyed by the example */
    sr_real together[EXAMPLES][8];
    build_batch(&w, false, EXAMPLES);
    const sr_tensor *states = encode(&w, &w.batch, &pass);
    for (size_t e = 0; e < EXAMPLES; ++e)
        memcpy(together[e], states->values + w.batch.example_reads[e] * 8, sizeof together[e]);
    for (size_t e = 0; e < EXAMPLES; ++e) {
        const sr_example example = {.items = histories[e], .length = lengths[e], .identity = 100 + e};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, false, &example, 1, NULL),
                         SR_OK);
        const sr_tensor *alone = encode(&w, &w.batch, &pass);
        for (size_t i = 0; i < 8; ++i)
            assert_true(fabs(alone->values[i] - together[e][i]) < 1e-12);
    }
    free_world(&w);
}

/* Keeping inner values changes nothing, and they are those of the pass: the last layer's states are what is read. */
static void check_trace(const variant *v)
{
    world w;
    create_world(&w, v);
    build_batch(&w, false, EXAMPLES);
    const sr_pass plain = {.step = 5};
    const sr_tensor *expected = encode(&w, &w.batch, &plain);
    const size_t rows = expected->rows, columns = expected->columns;
    sr_real *copy = malloc(rows * columns * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, expected->values, rows * columns * sizeof *copy);
    sr_trace trace = {.layers = 0};
    const sr_pass traced = {.step = 5, .every_row = true, .trace = &trace};
    const sr_tensor *actual = encode(&w, &w.batch, &traced);
    const sr_layout *layout = &w.batch.layout;
    const size_t layers = (size_t)w.settings.model.layers;
    assert_int_equal(actual->rows * actual->columns, rows * columns);
    for (size_t i = 0; i < rows * columns; ++i)
        assert_true(fabs(actual->values[i] - copy[i]) < 1e-12);
    if (trace.state_count) {
        assert_int_equal(trace.state_count, layers + 1);
        for (size_t layer = 0; layer <= layers; ++layer)
            assert_int_equal(trace.states[layer]->rows, layout->offsets[layout->sequences]);
        const sr_tensor *last = trace.states[layers];
        /* What is read is a map of it, or its norm. */
        const bool mapped = w.settings.model.backbone == sr_backbone_number("gru4rec") || w.settings.model.encoder.final_norm ||
                            w.settings.model.encoder.item_width > 0;
        for (size_t row = 0; row < rows && !mapped; ++row)
            assert_memory_equal(last->values + w.batch.reads.tokens[row] * last->columns, actual->values + row * columns,
                                columns * sizeof *copy);
    }
    for (size_t layer = 0; layer < trace.layers; ++layer) {
        const sr_attention_map *map = trace.maps[layer];
        assert_int_equal(trace.pointwise, w.settings.model.backbone == sr_backbone_number("hstu"));
        if (trace.pointwise)
            continue;
        assert_int_equal(trace.uncalibrated[layer]->rows, sr_attention_map_cells(map));
        assert_int_equal(trace.attention[layer]->rows, sr_attention_map_cells(trace.attention_maps[layer]));
        double sum = 0; /* of rows that each sum to 1 */
        for (size_t cell = 0; cell < sr_attention_map_cells(map); ++cell)
            sum += trace.uncalibrated[layer]->values[cell];
        assert_true(fabs(sum / (double)(map->heads * sr_rows_count(map->queries, layout)) - 1) < 1e-12);
    }
    free(copy);
    free_world(&w);
}

/* The root of the mean square of a parameter's values. */
static double deviation_of(const sr_parameters *parameters, const char *name, size_t *rows, size_t *columns)
{
    const sr_parameter *parameter = &parameters->list[sr_parameters_find(parameters, name)];
    double squares = 0;
    for (size_t i = 0; i < parameter->size; ++i)
        squares += (double)parameters->values[parameter->offset + i] * (double)parameters->values[parameter->offset + i];
    *rows = parameter->shape[0];
    *columns = parameter->shape[1];
    return sqrt(squares / (double)parameter->size);
}

static void matrices_begin_as_the_initializer_says(void **state)
{
    (void)state;
    static const char *const names[] = {"item_embedding.weight",           "output_embedding.weight",
                                        "position_embedding.weight",       "layers.0.attention.residual_gate.weight",
                                        "layers.0.attention.key.weight",   "layers.0.ffn.multiplier.weight",
                                        "layers.0.refinement.query.weight"};
    static const variant glorot = {"glorot",
                                   {LIGR, SEPARATE, "model.hidden_size=64", "model.inner_size=48", "model.max_length=50",
                                    "model.initializer=glorot", "calibrators.refinement.rank=40"}};
    world w;
    create_world(&w, &glorot);
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        size_t rows, columns;
        const double found = deviation_of(sr_model_parameters(w.model), names[i], &rows, &columns);
        /* Of at least 600 numbers. */
        assert_true(fabs(found / sqrt(2 / (double)(rows + columns)) - 1) < 0.1);
    }
    free_world(&w);
}

static void a_traced_pass_keeps_states_and_attention_of_every_layer(void **state)
{
    (void)state;
    for (size_t i = 0; i < variant_count; ++i)
        check_trace(&variants[i]);
    world w;
    create_world(&w, &variants[0]);
    build_batch(&w, false, EXAMPLES);
    sr_trace trace = {.layers = 0};
    const sr_pass pass = {.trace = &trace};
    encode(&w, &w.batch, &pass);
    assert_int_equal(trace.layers, w.settings.model.layers);
    assert_int_equal(trace.state_count, w.settings.model.layers + 1);
    free_world(&w);
}

static void a_batch_holds_the_latest_items_and_one_sequence_for_all_empty_histories(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[2]); /* left padding */
    const int32_t items[] = {1, 2, 3, 4, 5, 6, 7, 8}, target = 9;
    const sr_example examples[] = {{.items = items, .length = 8, .identity = 1, .targets = &target},
                                   {.items = items, .length = 0, .identity = 2, .targets = &target},
                                   {.items = items, .length = 2, .identity = 3, .targets = &target},
                                   {.items = items, .length = 0, .identity = 4, .targets = &target}};
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, true, examples, 4, NULL), SR_OK);
    const sr_layout *layout = &w.batch.layout;
    assert_int_equal(layout->sequences, 3);
    assert_int_equal(layout->offsets[3], LENGTH + LENGTH + 2);
    assert_int_equal(w.batch.items[0], 3); /* the window holds 3..8 */
    assert_int_equal(layout->leading[1], LENGTH);
    assert_int_equal(layout->columns[layout->offsets[2]], LENGTH - 2);
    assert_int_equal(w.batch.targets, 4);
    assert_int_equal(w.batch.target_reads[1], w.batch.target_reads[3]);
    assert_int_equal(w.batch.example_reads[1], w.batch.example_reads[3]);
    free_world(&w);
}

static void examples_that_ask_for_it_have_a_sequence_of_their_own_and_passes_their_own_dropout(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    const sr_example examples[] = {{.items = histories[0], .length = 0, .identity = 1, .own_sequence = true},
                                   {.items = histories[0], .length = 0, .identity = 2},
                                   {.items = histories[0], .length = 0, .identity = 3, .own_sequence = true},
                                   {.items = histories[0], .length = 0, .identity = 4}};
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, true, examples, 4, NULL), SR_OK);
    const sr_layout *layout = &w.batch.layout;
    assert_int_equal(layout->sequences, 3);
    assert_int_equal(layout->offsets[3], 3 * LENGTH);
    assert_int_equal(w.batch.example_reads[1], w.batch.example_reads[3]);
    const sr_packing packing = sr_model_packing(&w.settings.model, SR_OBJECTIVE_LAST, true);
    assert_true(sr_example_work(&examples[0], &packing) >= sr_example_work(&examples[1], &packing) + LENGTH);
    sr_pass pass = {.training = true, .seed = 3, .step = 7};
    sr_real first[3 * 8], second[3 * 8];
    memcpy(first, encode(&w, &w.batch, &pass)->values, sizeof first);
    assert_memory_not_equal(first, first + 8, 8 * sizeof *first);
    assert_memory_not_equal(first, first + 16, 8 * sizeof *first);
    pass.view = 1;
    memcpy(second, encode(&w, &w.batch, &pass)->values, sizeof second);
    for (size_t row = 0; row < 3; ++row)
        assert_memory_not_equal(first + row * 8, second + row * 8, 8 * sizeof *first);
    free_world(&w);
}

static void heads_that_do_not_divide_the_width_are_refused(void **state)
{
    (void)state;
    sr_settings settings;
    sr_model *model;
    sr_error error;
    sr_settings_default(&settings);
    settings.model.heads = 3;
    assert_int_equal(sr_model_create(&model, &settings.model, ITEMS, USERS, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "not divisible"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mask_penalty_does_not_depend_on_which_rows_are_read),
        cmocka_unit_test(recurrent_units_run_over_padding_in_front_of_the_items_alone),
        cmocka_unit_test(convolutions_see_the_padding_of_the_window),
        cmocka_unit_test(recurrent_units_and_convolutions_start_as_released),
        cmocka_unit_test(the_attacked_branch_exists_in_training_only),
        cmocka_unit_test(calibrators_start_as_published),
        cmocka_unit_test(the_mean_of_initial_weights_is_that_of_linear_maps_and_tables_alone),
        cmocka_unit_test(shared_embeddings_replace_ids_in_training_only),
        cmocka_unit_test(an_example_does_not_depend_on_the_others_in_its_batch),
        cmocka_unit_test(matrices_begin_as_the_initializer_says),
        cmocka_unit_test(a_traced_pass_keeps_states_and_attention_of_every_layer),
        cmocka_unit_test(a_batch_holds_the_latest_items_and_one_sequence_for_all_empty_histories),
        cmocka_unit_test(examples_that_ask_for_it_have_a_sequence_of_their_own_and_passes_their_own_dropout),
        cmocka_unit_test(heads_that_do_not_divide_the_width_are_refused),
    };
    return cmocka_run_group_tests_name("models and batches", tests, NULL, NULL);
}

/* The block of named parameters. */
#include "srtrain/parameters.h"
#include "srtrain/row_blocks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void declare(sr_parameters *parameters, const char *name, size_t rows, size_t columns, sr_initial initial, double scale)
{
    sr_error error;
    const size_t shape[] = {rows, columns};
    if (sr_parameters_declare(parameters, name, shape, 2, (sr_initial_values){initial, scale}, SR_PARAMETERS_ORDINARY, NULL,
                              &error) != SR_OK)
        fail_msg("%s", error.message);
}

static void parameters_lie_one_after_the_other_at_aligned_offsets(void **state)
{
    (void)state;
    sr_error error;
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    declare(&parameters, "item_embedding.weight", 5, 3, SR_INITIAL_NORMAL, 0.02);
    const size_t shape[] = {2, 3, 4};
    size_t index = 0;
    assert_int_equal(sr_parameters_declare(&parameters, "layer.0.bias", shape, 3, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ATTACK, &index, &error),
                     SR_OK);
    assert_int_equal(index, 1);
    assert_int_equal(parameters.list[0].size, 15);
    assert_int_equal(parameters.list[1].size, 24);
    assert_int_equal(parameters.list[1].offset, 16);
    assert_int_equal(parameters.list[1].set, SR_PARAMETERS_ATTACK);
    assert_int_equal(parameters.block_size, 48);
    assert_int_equal(sr_parameters_find(&parameters, "layer.0.bias"), 1);
    assert_true(sr_parameters_find(&parameters, "layer.0") == SIZE_MAX);
    assert_int_equal(sr_parameters_allocate(&parameters, &error), SR_OK);
    for (size_t i = 0; i < parameters.block_size; ++i)
        assert_true(parameters.values[i] == 0 && parameters.gradients[i] == 0);
    sr_parameters_free(&parameters);
    assert_null(parameters.values);
}

static void who_only_computes_has_no_gradients(void **state)
{
    (void)state;
    sr_error error;
    sr_parameters parameters;
    sr_row_block block, *list[] = {&block};
    sr_row_block_initialise(&block, (sr_row_numbers){.count = 4, .step = 1}, 4);
    declare(&block.parameters, "item_embedding.weight", 4, 3, SR_INITIAL_ZERO, 0);
    block.dense = true;
    for (size_t gradients = 0; gradients < 2; ++gradients) {
        sr_parameters_initialise(&parameters);
        declare(&parameters, "weight", 5, 3, SR_INITIAL_ZERO, 0);
        parameters.row_blocks = list;
        parameters.row_block_count = 1;
        assert_int_equal((gradients ? sr_parameters_allocate : sr_parameters_allocate_values)(&parameters, &error), SR_OK);
        assert_true(parameters.values && block.parameters.values);
        assert_true((parameters.gradients != NULL) == gradients && (block.parameters.gradients != NULL) == gradients);
        sr_parameters_withdraw(&block.parameters);
        sr_parameters_free(&parameters);
    }
    sr_row_block_free(&block);
}

static void impossible_declarations_are_refused(void **state)
{
    (void)state;
    sr_error error;
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    declare(&parameters, "weight", 2, 2, SR_INITIAL_CONSTANT, 1);
    const size_t shape[] = {2, 2}, empty[] = {4, 0}, huge[] = {SIZE_MAX / 8, 16};
    char longest[SR_PARAMETER_NAME_SIZE + 1];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const struct {
        const char *name;
        const size_t *shape;
        const char *says;
    } cases[] = {{"weight", shape, "\"weight\" is declared twice"},
                 {longest, shape, "longer than 95 bytes"},
                 {"empty", empty, "dimension 1 is 0"},
                 {"huge", huge, "too large"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        assert_int_equal(sr_parameters_declare(&parameters, cases[i].name, cases[i].shape, 2,
                                               (sr_initial_values){SR_INITIAL_CONSTANT, 1}, SR_PARAMETERS_ORDINARY, NULL,
                                               &error),
                         SR_ERROR_RUNTIME);
        assert_non_null(strstr(error.message, cases[i].says));
    }
    assert_int_equal(parameters.count, 1);
    assert_int_equal(parameters.block_size, 16);
    sr_parameters_free(&parameters);
}

static void initial_values_have_the_declared_distribution(void **state)
{
    (void)state;
    sr_error error;
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    declare(&parameters, "normal", 400, 250, SR_INITIAL_NORMAL, 0.5);
    declare(&parameters, "one", 1, 5, SR_INITIAL_CONSTANT, 1);
    declare(&parameters, "zero", 1, 5, SR_INITIAL_ZERO, 0);
    assert_int_equal(sr_parameters_allocate(&parameters, &error), SR_OK);
    memset(parameters.values + parameters.list[2].offset, 1, 5 * sizeof(sr_real));
    sr_parameters_draw(&parameters, 7);
    const size_t count = parameters.list[0].size;
    double sum = 0, squares = 0, beyond = 0;
    for (size_t i = 0; i < count; ++i) {
        const double value = (double)parameters.values[i] / 0.5;
        sum += value;
        squares += value * value;
        beyond += fabs(value) > 1.959964;
    }
    /* Five standard errors of each estimate. */
    assert_true(fabs(sum / (double)count) < 5 / sqrt((double)count));
    assert_true(fabs(squares / (double)count - 1) < 5 * sqrt(2 / (double)count));
    assert_true(fabs(beyond / (double)count - 0.05) < 5 * sqrt(0.05 * 0.95 / (double)count));
    for (size_t i = 0; i < 5; ++i) {
        assert_true(parameters.values[parameters.list[1].offset + i] == 1);
        assert_true(parameters.values[parameters.list[2].offset + i] == 0);
    }
    sr_parameters_free(&parameters);
}

static void uniform_values_fill_their_range_evenly(void **state)
{
    (void)state;
    enum { BINS = 10, COUNT = 100000 };
    sr_error error;
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    declare(&parameters, "uniform", 400, 250, SR_INITIAL_UNIFORM, 0.25);
    assert_int_equal(sr_parameters_allocate(&parameters, &error), SR_OK);
    parameters.normal_mean = 3; /* of normal parameters alone */
    sr_parameters_draw(&parameters, 7);
    size_t counts[BINS] = {0};
    for (size_t i = 0; i < COUNT; ++i) {
        const double share = (double)parameters.values[i] / 0.5 + 0.5;
        assert_true(share >= 0 && share <= 1);
        ++counts[share < 1 ? (size_t)(share * BINS) : BINS - 1];
    }
    for (size_t bin = 0; bin < BINS; ++bin) /* five standard errors */
        assert_true(fabs((double)counts[bin] / COUNT - 0.1) < 5 * sqrt(0.1 * 0.9 / COUNT));
    sr_parameters_free(&parameters);
}

static void parts_are_drawn_as_the_whole_is(void **state)
{
    (void)state;
    enum { PARTS = 5 };
    sr_error error;
    sr_parameters whole, parts;
    sr_parameters *both[] = {&whole, &parts};
    for (size_t i = 0; i < 2; ++i) {
        sr_parameters_initialise(both[i]);
        declare(both[i], "normal", 9, 7, SR_INITIAL_NORMAL, 1);
        declare(both[i], "same", 7, 9, SR_INITIAL_ZERO, 0);
        declare(both[i], "identity", 11, 11, SR_INITIAL_IDENTITY, 1);
        declare(both[i], "one", 1, 3, SR_INITIAL_CONSTANT, 1);
        sr_parameters_start_same(both[i], 1, 0);
        assert_int_equal(sr_parameters_allocate(both[i], &error), SR_OK);
    }
    sr_parameters_draw(&whole, 7);
    /* The last part first: what starts like another is drawn without it. */
    for (size_t part = PARTS; part-- > 0;)
        sr_parameters_draw_part(&parts, 7, sr_part_of_range((sr_element_range){0, parts.block_size}, part, PARTS));
    assert_memory_equal(whole.values, parts.values, whole.block_size * sizeof *whole.values);
    const sr_parameter *first = whole.list;
    assert_memory_equal(whole.values + first[0].offset, whole.values + first[1].offset, first->size * sizeof *whole.values);
    for (size_t i = 0; i < 2; ++i)
        sr_parameters_free(both[i]);
}

/* The first element of "b" and the checksum of both. */
static uint64_t draw(const char *first, const char *second, uint64_t seed, sr_real *element)
{
    sr_error error;
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    declare(&parameters, first, 3, 7, SR_INITIAL_NORMAL, 1);
    declare(&parameters, second, 3, 7, SR_INITIAL_NORMAL, 1);
    assert_int_equal(sr_parameters_allocate(&parameters, &error), SR_OK);
    sr_parameters_draw(&parameters, seed);
    *element = parameters.values[parameters.list[sr_parameters_find(&parameters, "b")].offset];
    const uint64_t checksum = sr_parameters_checksum(&parameters);
    sr_parameters_free(&parameters);
    return checksum;
}

static void initial_values_depend_on_seed_and_name_alone(void **state)
{
    (void)state;
    sr_real first, second, third, fourth;
    const uint64_t same = draw("a", "b", 1, &first);
    assert_true(draw("a", "b", 1, &second) == same);
    assert_true(first == second);
    (void)draw("b", "other", 1, &third); /* elsewhere in the block, beside another parameter */
    assert_true(first == third);
    assert_true(draw("a", "b", 2, &fourth) != same);
    assert_true(first != fourth);
}

static void the_checksum_sees_every_bit_of_the_values(void **state)
{
    (void)state;
    sr_error error;
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    declare(&parameters, "weight", 9, 9, SR_INITIAL_NORMAL, 1);
    assert_int_equal(sr_parameters_allocate(&parameters, &error), SR_OK);
    sr_parameters_draw(&parameters, 1);
    const uint64_t before = sr_parameters_checksum(&parameters);
    for (size_t i = 0; i < parameters.list[0].size; ++i) {
        unsigned char *byte = (unsigned char *)&parameters.values[i];
        *byte ^= 1;
        assert_true(sr_parameters_checksum(&parameters) != before);
        *byte ^= 1;
    }
    parameters.gradients[0] = 1;
    assert_true(sr_parameters_checksum(&parameters) == before);
    sr_parameters_free(&parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_lie_one_after_the_other_at_aligned_offsets),
        cmocka_unit_test(who_only_computes_has_no_gradients),
        cmocka_unit_test(impossible_declarations_are_refused),
        cmocka_unit_test(parts_are_drawn_as_the_whole_is),
        cmocka_unit_test(initial_values_have_the_declared_distribution),
        cmocka_unit_test(uniform_values_fill_their_range_evenly),
        cmocka_unit_test(initial_values_depend_on_seed_and_name_alone),
        cmocka_unit_test(the_checksum_sees_every_bit_of_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

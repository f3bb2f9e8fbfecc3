#include "operation_world.h"

#include "cpu_level.h"
#include "srtrain/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* One sequence of four items whose stamps are as far apart as they can be. */
static const size_t four_offsets[] = {0, 4};
static const uint32_t no_padding[] = {0};
static const int32_t four_columns[] = {0, 1, 2, 3};
static const uint64_t identity[] = {11};
static const int64_t four_times[] = {INT64_MIN, INT64_MAX, 59, 0};
const sr_layout four = {.sequences = 1,
                        .offsets = four_offsets,
                        .leading = no_padding,
                        .trailing = no_padding,
                        .columns = four_columns,
                        .identity = identity,
                        .window = 4,
                        .causal = true};
const sr_intervals four_intervals = {.times = four_times, .unit = 60, .span = SPAN};

int operation_set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_parameters_initialise(&w->parameters);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    *state = w;
    return 0;
}

int operation_tear_down(void **state)
{
    world *w = *state;
    sr_tape_free(w->tape);
    sr_parameters_free(&w->parameters);
    free(w);
    return 0;
}

/* The only parameter of a test, drawn at random. */
sr_tensor *parameter(world *w, size_t rows, size_t columns)
{
    const size_t shape[] = {rows, columns};
    assert_int_equal(sr_parameters_declare(&w->parameters, "x", shape, 2, (sr_initial_values){SR_INITIAL_NORMAL, 0.8},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&w->parameters, NULL), SR_OK);
    sr_parameters_draw(&w->parameters, 17);
    return sr_tape_parameter(w->tape, &w->parameters, 0);
}

sr_tensor *filled(world *w, size_t rows, size_t columns, sr_real value)
{
    sr_real *values = sr_tape_take(w->tape, rows * columns, sizeof *values);
    for (size_t i = 0; i < rows * columns; ++i)
        values[i] = value;
    return sr_tape_constant(w->tape, values, rows, columns);
}

/* Backward from the sum of all elements. */
void backward(world *w, sr_tensor *x)
{
    sr_tensor *weights = filled(w, x->rows, x->columns, 1);
    sr_tensor *loss = sr_weighted_sum(w->tape, x, weights->values);
    assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
}

sr_dropout_site half_site(void)
{
    return (sr_dropout_site){sr_random_open(1, SR_RANDOM_TEST, 1), 0.5};
}

const sr_attention_map *map_of(world *w, const sr_layout *layout, size_t heads)
{
    const sr_rows *all = sr_rows_all(w->tape, layout);
    return sr_attention_map_make(w->tape, layout, all, all, heads);
}

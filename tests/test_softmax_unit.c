/* The loss over the catalogue by a matrix unit, emulated and, where there is one, real: against plain loops in double
 * precision, within what rounding to bf16 may change. */
#include "cpu_level.h"
#include "srtrain/operations.h"
#include "tensor/gemm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* src/tensor/softmax_amx.c over the instructions of amx_emulated.h. */
extern const sr_softmax_unit softmax_amx_emulated;

enum { MOST_ROWS = 290, MOST_ITEMS = 1010, MOST_WIDTH = 64 };

typedef struct {
    size_t rows, items, width;
    sr_scoring scoring;
    size_t kept_bytes;
    bool shares; /* every third row has two targets, every third none */
} shape;

typedef struct {
    double loss;
    double gradients[(MOST_ROWS + MOST_ITEMS) * MOST_WIDTH]; /* of x, then of the items */
} outcome;

/* Of all rows together there are no more targets than rows. */
static void find_targets_of(const shape *s, int32_t targets[MOST_ROWS], size_t first[MOST_ROWS + 1])
{
    size_t count = 0;
    for (size_t row = 0; row < s->rows; ++row) {
        static const size_t shared[] = {1, 0, 2};
        first[row] = count;
        for (size_t i = 0; i < (s->shares ? shared[row % 3] : 1); ++i, ++count)
            targets[count] = (int32_t)((row * row * 7 + i * 31) % s->items);
    }
    first[s->rows] = count;
}

/* Parameters x and items. */
static void declare(sr_parameters *parameters, const shape *s)
{
    const size_t x[] = {s->rows, s->width}, items[] = {s->items, s->width};
    const sr_initial_values values = {SR_INITIAL_NORMAL, 0.3};
    sr_parameters_initialise(parameters);
    assert_int_equal(sr_parameters_declare(parameters, "x", x, 2, values, SR_PARAMETERS_ORDINARY, NULL, NULL), SR_OK);
    assert_int_equal(sr_parameters_declare(parameters, "items", items, 2, values, SR_PARAMETERS_ORDINARY, NULL, NULL), SR_OK);
    assert_int_equal(sr_parameters_allocate(parameters, NULL), SR_OK);
    sr_parameters_draw(parameters, 3);
}

static void compute(const sr_kernels *kernels, const shape *s, outcome *made)
{
    sr_parameters parameters;
    sr_tape *tape;
    int32_t targets[MOST_ROWS];
    size_t first[MOST_ROWS + 1];
    declare(&parameters, s);
    assert_int_equal(sr_tape_create(&tape, kernels, true, NULL), SR_OK);
    sr_tape_set_precision(tape, SR_PRECISION_BF16);
    sr_tape_set_kept_bytes(tape, s->kept_bytes);
    find_targets_of(s, targets, first);
    sr_tensor *items = sr_tape_parameter(tape, &parameters, 1);
    const sr_slab all = {.rows = items, .numbers = {.count = s->items}};
    sr_tensor *loss = sr_slabs_cross_entropy(tape, sr_tape_parameter(tape, &parameters, 0), &all, 1,
                                             &(sr_row_targets){targets, s->shares ? first : NULL}, &s->scoring,
                                             1.0 / (double)s->rows);
    assert_int_equal(sr_tape_backward(tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    made->loss = (double)loss->values[0];
    for (size_t i = 0; i < 2; ++i) {
        const sr_parameter *of = &parameters.list[i];
        for (size_t j = 0; j < of->size; ++j)
            made->gradients[(i == 0 ? 0 : s->rows * s->width) + j] = (double)parameters.gradients[of->offset + j];
    }
    sr_tape_free(tape);
    sr_parameters_free(&parameters);
}

static void assert_alike(const shape *s, const outcome *actual, const outcome *expected, double tolerance)
{
    const size_t of_x = s->rows * s->width, count = of_x + s->items * s->width;
    const size_t first[] = {0, of_x, count};
    if (!(fabs(actual->loss - expected->loss) <= tolerance * fabs(expected->loss)))
        fail_msg("%zu x %zu x %zu: the loss is %g instead of %g", s->rows, s->items, s->width, actual->loss, expected->loss);
    for (size_t part = 0; part < 2; ++part) {
        double largest = 0;
        for (size_t i = first[part]; i < first[part + 1]; ++i)
            largest = fmax(largest, fabs(expected->gradients[i]));
        for (size_t i = first[part]; i < first[part + 1]; ++i)
            if (!(fabs(actual->gradients[i] - expected->gradients[i]) <= tolerance * largest))
                fail_msg("%zu x %zu x %zu: gradient %zu is %g instead of %g, the largest being %g", s->rows, s->items, s->width,
                         i, actual->gradients[i], expected->gradients[i], largest);
    }
}

static const shape shapes[] = {
    {64, 1010, 64, {.temperature = 1}, 1 << 24, false}, /* two tiles beside each other */
    {70, 990, 40, {.temperature = 0.5}, 0, false},      /* nothing fills a tile, nothing is kept */
    {MOST_ROWS, 97, 33, {.temperature = 1}, 100000, false},
    {45, 130, 48, {.unit_rows = true, .temperature = 0.2}, 1 << 24, false},
    {260, 1000, 34, {.temperature = 1}, 1 << 24, true},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The same kernels with the emulated unit, and without any. */
typedef struct {
    sr_products with_unit, without;
    sr_kernels emulated, plain;
} kernel_tables;

static void make_tables(kernel_tables *tables)
{
    const sr_kernels *kernels = sr_kernels_choose("generic");
    tables->with_unit = tables->without = *kernels->products[SR_PRECISION_FP32];
    tables->with_unit.softmax = &softmax_amx_emulated;
    tables->emulated = tables->plain = *kernels;
    tables->emulated.products[SR_PRECISION_BF16] = &tables->with_unit;
    tables->plain.products[SR_PRECISION_BF16] = &tables->without;
}

static void losses_by_an_emulated_unit_are_those_of_full_precision_within_rounding(void **state)
{
    static outcome expected, actual;
    kernel_tables tables;
    (void)state;
    make_tables(&tables);
    for (size_t i = 0; i < SHAPES; ++i) {
        compute(&tables.plain, &shapes[i], &expected);
        compute(&tables.emulated, &shapes[i], &actual);
        assert_alike(&shapes[i], &actual, &expected, 1e-2);
        assert_true(actual.loss != expected.loss);
    }
}

static void they_have_the_same_bits_whatever_is_kept(void **state)
{
    static outcome expected, actual;
    static const size_t kept_bytes[] = {1, 100000, 150000, 1 << 24};
    kernel_tables tables;
    (void)state;
    make_tables(&tables);
    shape s = {40, 1010, 32, {.temperature = 1}, 0, false};
    compute(&tables.emulated, &s, &expected);
    for (size_t i = 0; i < sizeof kept_bytes / sizeof *kept_bytes; ++i) {
        s.kept_bytes = kept_bytes[i];
        compute(&tables.emulated, &s, &actual);
        assert_memory_equal(&actual, &expected, sizeof actual);
    }
}

static void few_states_are_left_to_products(void **state)
{
    static outcome expected, actual;
    kernel_tables tables;
    (void)state;
    make_tables(&tables);
    for (size_t i = 0; i < 2; ++i) {
        const shape s = {i ? 31 : 32, 100, i ? 32 : 31, {.temperature = 1}, 1 << 24, false};
        compute(&tables.plain, &s, &expected);
        compute(&tables.emulated, &s, &actual);
        assert_memory_equal(&actual, &expected, sizeof actual);
    }
}

static void units_give_what_their_emulation_gives(void **state)
{
    static outcome expected, actual;
    kernel_tables tables;
    const sr_kernels *unit = sr_kernels_choose("amx");
    (void)state;
    if (!unit) {
        print_message("no matrix unit here\n");
        skip();
    }
    make_tables(&tables);
    for (size_t i = 0; i < SHAPES; ++i) {
        compute(&tables.emulated, &shapes[i], &expected);
        compute(unit, &shapes[i], &actual);
        assert_alike(&shapes[i], &actual, &expected, 1e-3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_by_an_emulated_unit_are_those_of_full_precision_within_rounding),
        cmocka_unit_test(they_have_the_same_bits_whatever_is_kept),
        cmocka_unit_test(few_states_are_left_to_products),
        cmocka_unit_test(units_give_what_their_emulation_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

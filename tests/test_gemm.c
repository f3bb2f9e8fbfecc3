/* Matrix products of every shape that takes a path of its own, against plain loops in double precision. */
#include "cpu_level.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"
#include "tensor/bf16.h"
#include "tensor/gemm.h"
#include "tensor/product.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* src/tensor/product_amx.c over the instructions of amx_emulated.h. */
multiply_function multiply_amx_emulated;

typedef struct {
    bool transpose_a, transpose_b;
    size_t m, n, k;
    sr_real alpha, beta;
    size_t padding; /* of the rows of each matrix */
} shape;

typedef struct {
    sr_real *a, *b, *c;
    size_t a_stride, b_stride, c_stride, c_size;
} matrices;

static size_t rows_of_a(const shape *s)
{
    return s->transpose_a ? s->k : s->m;
}

static size_t rows_of_b(const shape *s)
{
    return s->transpose_b ? s->n : s->k;
}

static void fill(sr_real *values, size_t count, uint64_t index)
{
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, index);
    for (size_t i = 0; i < count; ++i)
        values[i] = (sr_real)sr_random_normal(stream, i, 0);
}

static matrices make(const shape *s)
{
    matrices made = {.a_stride = (s->transpose_a ? s->m : s->k) + s->padding,
                     .b_stride = (s->transpose_b ? s->k : s->n) + s->padding,
                     .c_stride = s->n + s->padding};
    made.c_size = s->m * made.c_stride;
    assert_int_equal(SR_ALLOCATE(&made.a, rows_of_a(s) * made.a_stride, "a", NULL), SR_OK);
    assert_int_equal(SR_ALLOCATE(&made.b, rows_of_b(s) * made.b_stride, "b", NULL), SR_OK);
    assert_int_equal(SR_ALLOCATE(&made.c, made.c_size, "c", NULL), SR_OK);
    fill(made.a, rows_of_a(s) * made.a_stride, 1);
    fill(made.b, rows_of_b(s) * made.b_stride, 2);
    fill(made.c, made.c_size, 3);
    return made;
}

static void release(matrices *made)
{
    free(made->a);
    free(made->b);
    free(made->c);
}

/* Which numbers of a and b count: themselves, or rounded to bf16. */
typedef sr_real number_function(sr_real value);

static sr_real itself(sr_real value)
{
    return value;
}

/* Elements of c that are not the product's must be what they were. With beta 0 c is not read: it holds what is not a number. */
static void check(const shape *s, const matrices *made, const sr_real *before, number_function *number)
{
    for (size_t i = 0; i < s->m; ++i)
        for (size_t j = 0; j < made->c_stride; ++j) {
            const size_t at = i * made->c_stride + j;
            double expected = (double)before[at], size = 1;
            if (j < s->n) {
                double sum = 0;
                for (size_t p = 0; p < s->k; ++p) {
                    const double a = (double)number(made->a[s->transpose_a ? p * made->a_stride + i : i * made->a_stride + p]);
                    const double b = (double)number(made->b[s->transpose_b ? j * made->b_stride + p : p * made->b_stride + j]);
                    sum += a * b;
                    size += fabs(a * b);
                }
                expected = (double)s->alpha * sum + (s->beta == 0 ? 0 : (double)s->beta * (double)before[at]);
            }
            if (!(fabs((double)made->c[at] - expected) <= 1e-6 * size))
                fail_msg("%zu x %zu x %zu (transposed: %d, %d): element %zu, %zu is %g instead of %g", s->m, s->n, s->k,
                         s->transpose_a, s->transpose_b, i, j, (double)made->c[at], expected);
        }
}

static void check_gemm(const sr_kernels *kernels, const shape *s)
{
    matrices made = make(s);
    sr_real *before;
    assert_int_equal(SR_ALLOCATE(&before, made.c_size, "c", NULL), SR_OK);
    for (size_t i = 0; i < s->m && s->beta == 0; ++i)
        for (size_t j = 0; j < s->n; ++j)
            made.c[i * made.c_stride + j] = (sr_real)NAN;
    memcpy(before, made.c, made.c_size * sizeof *before);
    sr_gemm(kernels, (sr_product_size){s->m, s->n, s->k}, s->alpha, (sr_operand){made.a, made.a_stride, s->transpose_a},
            (sr_operand){made.b, made.b_stride, s->transpose_b}, s->beta, made.c, made.c_stride);
    check(s, &made, before, itself);
    free(before);
    release(&made);
}

/* Small, tall over small, and narrow products: each with sizes that fill vectors, tiles and panels, and with such that do not.
 */
static void products_agree_with_plain_loops(void **state)
{
    const sr_kernels *kernels = *state;
    static const size_t sizes[][3] = {{1, 1, 1},      {5, 64, 50},    {300, 64, 64},  {130, 256, 64},  {70, 64, 256},
                                      {64, 64, 900},  {64, 256, 300}, {256, 838, 64}, {256, 1024, 64}, {77, 333, 61},
                                      {256, 64, 838}, {65, 50, 1000}, {838, 64, 256}, {1030, 70, 129}, {64, 129, 1000}};
    static const sr_real factors[][2] = {{1, 0}, {1, 1}, {(sr_real)-0.5, 1}, {2, (sr_real)0.25}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (int transposed = 0; transposed < 4; ++transposed) {
            const sr_real *f = factors[(i + (size_t)transposed) % 4];
            const shape s = {.transpose_a = transposed & 1,
                             .transpose_b = transposed >> 1,
                             .m = sizes[i][0],
                             .n = sizes[i][1],
                             .k = sizes[i][2],
                             .alpha = f[0],
                             .beta = f[1],
                             .padding = i % 3 == 2 ? 5 : 0};
            check_gemm(kernels, &s);
        }
}

static void nothing_is_written_for_an_empty_product(void **state)
{
    const sr_kernels *kernels = *state;
    sr_real c[] = {7};
    const sr_real one[] = {1};
    sr_gemm(kernels, (sr_product_size){0, 1, 1}, 1, sr_plain(one, 1), sr_plain(one, 1), 0, c, 1);
    sr_gemm(kernels, (sr_product_size){1, 0, 1}, 1, sr_plain(one, 1), sr_plain(one, 1), 0, c, 1);
    assert_true(c[0] == 7);
}

static matrix_product product_of(const shape *s, const matrices *made)
{
    return (matrix_product){.transpose_a = s->transpose_a,
                            .transpose_b = s->transpose_b,
                            .m = s->m,
                            .n = s->n,
                            .k = s->k,
                            .alpha = s->alpha,
                            .a = made->a,
                            .a_stride = made->a_stride,
                            .b = made->b,
                            .b_stride = made->b_stride,
                            .beta = s->beta,
                            .c = made->c,
                            .c_stride = made->c_stride};
}

static void check_engine(multiply_function *multiply, number_function *number, const shape *s)
{
    matrices made = make(s);
    sr_real *before;
    assert_int_equal(SR_ALLOCATE(&before, made.c_size, "c", NULL), SR_OK);
    memcpy(before, made.c, made.c_size * sizeof *before);
    const matrix_product product = product_of(s, &made);
    multiply(&product);
    check(s, &made, before, number);
    free(before);
    release(&made);
}

static void blas(const matrix_product *product)
{
    sr_gemm_by(SR_GEMM_BLAS, NULL, product);
}

static void blas_tiles(const matrix_product *product)
{
    sr_gemm_by(SR_GEMM_BLAS_TILES, NULL, product);
}

/* Every number of rows and vectors of a block, columns that do not fill a vector, several panels and pieces of the depth. */
static void check_every_shape(multiply_function *multiply, number_function *number)
{
    static const size_t sizes[][3] = {{1, 16, 1},  {7, 16, 3},   {6, 32, 128}, {13, 48, 129}, {97, 64, 200}, {100, 112, 300},
                                      {2, 17, 20}, {3, 5, 33},   {4, 50, 64},  {5, 63, 7},    {9, 9, 32},    {50, 50, 50},
                                      {8, 70, 64}, {10, 31, 31}, {11, 1, 16},  {12, 47, 65},  {1, 2, 3},     {103, 129, 257}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (int transposed = 0; transposed < 4; ++transposed) {
            const shape s = {.transpose_a = transposed & 1,
                             .transpose_b = transposed >> 1,
                             .m = sizes[i][0],
                             .n = sizes[i][1],
                             .k = sizes[i][2],
                             .alpha = i % 4 == 3 ? 2 : 1,
                             .beta = (sr_real)(i % 2),
                             .padding = i % 5};
            check_engine(multiply, number, &s);
        }
}

/* Also for shapes for which sr_gemm() would not choose it. */
static void the_own_engine_agrees_with_plain_loops(void **state)
{
    const sr_kernels *kernels = *state;
    check_every_shape(kernels->products[SR_PRECISION_FP32]->multiply, itself);
}

/* A part of a product of a and the transpose of b by itself, to the bit. */
static void check_part(multiply_function *multiply, const matrix_product *whole, size_t row, size_t rows, size_t column,
                       size_t columns)
{
    sr_real *c;
    assert_int_equal(SR_ALLOCATE(&c, rows * columns, "c", NULL), SR_OK);
    matrix_product part = *whole;
    part.m = rows;
    part.n = columns;
    part.a += row * whole->a_stride;
    part.b += column * whole->b_stride;
    part.c = c;
    part.c_stride = columns;
    multiply(&part);
    for (size_t i = 0; i < rows; ++i)
        assert_memory_equal(c + i * columns, whole->c + (row + i) * whole->c_stride + column, columns * sizeof *c);
    free(c);
}

/* What scores count on: sr_catalogue_score(). */
static void a_number_has_the_same_bits_whatever_is_multiplied_with_it(void **state)
{
    const sr_kernels *kernels = *state;
    multiply_function *multiply = kernels->products[SR_PRECISION_FP32]->multiply;
    static const size_t depths[] = {1, 7, 16, 50, 64, 100, 256, 257, 530};
    enum { ROWS = 31, COLUMNS = 151 };
    for (size_t d = 0; d < sizeof depths / sizeof *depths; ++d) {
        const shape s = {.transpose_b = true, .m = ROWS, .n = COLUMNS, .k = depths[d], .alpha = (sr_real)(1 + d % 2)};
        matrices made = make(&s);
        const matrix_product whole = product_of(&s, &made);
        multiply(&whole);
        for (size_t rows = 1; rows <= ROWS; rows += rows < 8 ? 1 : 22)
            for (size_t columns = 1; columns <= COLUMNS; columns += columns < 18 ? 1 : 19) {
                check_part(multiply, &whole, 0, rows, 0, columns);
                check_part(multiply, &whole, ROWS - rows, rows, COLUMNS - columns, columns);
                check_part(multiply, &whole, (ROWS - rows) / 2, rows, (COLUMNS - columns) / 3, columns);
            }
        release(&made);
    }
}

/* Several pieces of the depth, of the rows and of the columns that are laid out at a time. */
static void check_large_shape(multiply_function *multiply, number_function *number)
{
    check_engine(multiply, number, &(shape){.m = 131, .n = 259, .k = 1030, .alpha = 1, .beta = (sr_real)0.5});
}

static bool has_matrix_unit(const sr_kernels *kernels)
{
    return strcmp(kernels->level, "amx") == 0;
}

/* Element i, j of a factor or of a result of [queries, keys]. */
static bool is_seen(size_t query, size_t key, size_t diagonal)
{
    return key <= query + diagonal;
}

/* Clears what no query sees of a [queries, keys]. */
static void clear_unseen(sr_real *a, size_t stride, size_t queries, size_t keys, size_t diagonal)
{
    for (size_t i = 0; i < queries; ++i)
        for (size_t j = 0; j < keys; ++j)
            if (!is_seen(i, j, diagonal))
                a[i * stride + j] = 0;
}

/* The causal product, and the whole one by plain loops. Of a result, what nobody sees is taken from the product itself. */
static void check_causal(const sr_products *products, number_function *number, const shape *s, size_t diagonal)
{
    matrices made = make(s);
    sr_real *before;
    assert_int_equal(SR_ALLOCATE(&before, made.c_size, "c", NULL), SR_OK);
    memcpy(before, made.c, made.c_size * sizeof *before);
    const causal_part part = s->transpose_b ? CAUSAL_RESULT : CAUSAL_FACTOR;
    if (part == CAUSAL_FACTOR)
        clear_unseen(made.a, made.a_stride, rows_of_a(s), s->transpose_a ? s->m : s->k, diagonal);
    const sr_causal_size size = {{s->m, s->n, s->k}, part, diagonal};
    sr_gemm_causal(products, &size, s->alpha, (sr_operand){made.a, made.a_stride, s->transpose_a},
                   (sr_operand){made.b, made.b_stride, s->transpose_b}, s->beta, made.c, made.c_stride);
    sr_real *whole;
    assert_int_equal(SR_ALLOCATE(&whole, made.c_size, "c", NULL), SR_OK);
    memcpy(whole, before, made.c_size * sizeof *whole);
    matrix_product product = product_of(s, &made);
    product.c = whole;
    sr_gemm_by(SR_GEMM_OWN, products, &product);
    for (size_t i = 0; i < s->m && part == CAUSAL_RESULT; ++i)
        for (size_t j = 0; j < s->n; ++j)
            if (!is_seen(i, j, diagonal))
                made.c[i * made.c_stride + j] = whole[i * made.c_stride + j];
    check(s, &made, before, number);
    free(whole);
    free(before);
    release(&made);
}

/* Scores of queries and keys; sums over keys, and over queries. */
static void check_causal_shapes(const sr_products *products, number_function *number)
{
    static const size_t lengths[][2] = {{1, 1},     {5, 5},     {17, 17},  {50, 50}, {3, 40},
                                        {200, 200}, {300, 300}, {60, 300}, {290, 40}};
    enum { WIDTH = 32 };
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; ++l)
        for (size_t i = 0; i < 3; ++i) {
            const size_t queries = lengths[l][0], keys = lengths[l][1];
            const size_t diagonal = keys > queries ? keys - queries : 0;
            const shape scores = {.transpose_b = true, .m = queries, .n = keys, .k = WIDTH},
                        over_keys = {.m = queries, .n = WIDTH, .k = keys},
                        over_queries = {.transpose_a = true, .m = keys, .n = WIDTH, .k = queries};
            shape s = i == 0 ? scores : i == 1 ? over_keys : over_queries;
            s.alpha = l % 2 ? 1 : (sr_real)0.25;
            s.beta = l % 3 == 0 ? 0 : l % 3 == 1 ? 1 : (sr_real)0.5;
            check_causal(products, number, &s, diagonal);
        }
}

/* Those of the matrix unit, also for sizes for which sr_gemm() would not choose it. */
static sr_products products_of_unit(const sr_kernels *kernels)
{
    sr_products products = *kernels->products[SR_PRECISION_BF16];
    products.of_small = NULL;
    return products;
}

static void causal_products_leave_out_what_no_query_sees(void **state)
{
    const sr_kernels *kernels = *state;
    const sr_products unit = products_of_unit(kernels);
    check_causal_shapes(kernels->products[SR_PRECISION_FP32], itself);
    if (has_matrix_unit(kernels))
        check_causal_shapes(&unit, bf16_round);
}

static void check_bias(const sr_products *products, number_function *number)
{
    static const size_t sizes[][3] = {{1, 5, 3}, {7, 64, 64}, {100, 130, 300}, {33, 17, 20}, {64, 96, 1030}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        const shape s = {.transpose_b = i % 2, .m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2], .alpha = 1, .beta = 1};
        matrices made = make(&s);
        sr_real *before;
        assert_int_equal(SR_ALLOCATE(&before, made.c_size, "c", NULL), SR_OK);
        for (size_t row = 1; row < s.m; ++row)
            memcpy(made.c + row * s.n, made.c, s.n * sizeof *made.c);
        memcpy(before, made.c, made.c_size * sizeof *before);
        for (size_t element = 0; element < made.c_size; ++element)
            made.c[element] = (sr_real)NAN;
        sr_gemm_with_bias(products, (sr_product_size){s.m, s.n, s.k}, sr_plain(made.a, made.a_stride),
                          (sr_operand){made.b, made.b_stride, s.transpose_b}, before, made.c, made.c_stride);
        check(&s, &made, before, number);
        free(before);
        release(&made);
    }
}

static void a_bias_is_added_to_every_row(void **state)
{
    const sr_kernels *kernels = *state;
    const sr_products unit = products_of_unit(kernels);
    check_bias(kernels->products[SR_PRECISION_FP32], itself);
    check_bias(&unit, has_matrix_unit(kernels) ? bf16_round : itself);
}

static void products_of_bf16_are_those_of_rounded_numbers_where_a_unit_rounds_them(void **state)
{
    const sr_kernels *kernels = *state;
    number_function *number = has_matrix_unit(kernels) ? bf16_round : itself;
    check_every_shape(kernels->products[SR_PRECISION_BF16]->multiply, number);
    check_large_shape(kernels->products[SR_PRECISION_BF16]->multiply, number);
}

/* Of 32 x n x 64 numbers with n from a little below to a little above the bound. */
static void small_products_are_left_to_full_precision(void **state)
{
    const sr_kernels *kernels = *state;
    for (size_t n = 62; n < 66; ++n) {
        const shape s = {.m = 32, .n = n, .k = 64, .alpha = 1};
        const sr_product_size size = {s.m, s.n, s.k};
        matrices made = make(&s), expected = make(&s);
        sr_gemm_with(kernels->products[SR_PRECISION_BF16], size, 1, sr_plain(made.a, s.k), sr_plain(made.b, s.n), 0, made.c,
                     s.n);
        const matrix_product product = product_of(&s, &expected);
        if (has_matrix_unit(kernels) && 32 * n * 64 >= 130000)
            kernels->products[SR_PRECISION_BF16]->multiply(&product);
        else
            sr_gemm(kernels, size, 1, sr_plain(made.a, s.k), sr_plain(made.b, s.n), 0, expected.c, s.n);
        assert_memory_equal(made.c, expected.c, made.c_size * sizeof *made.c);
        release(&made);
        release(&expected);
    }
    assert_true(sr_gemm_is_small((sr_product_size){31, 1000, 1000}) && sr_gemm_is_small((sr_product_size){1000, 31, 1000}) &&
                sr_gemm_is_small((sr_product_size){1000, 1000, 31}));
}

static void blas_agrees_with_plain_loops(void **state)
{
    (void)state;
    check_every_shape(blas, itself);
    check_every_shape(blas_tiles, itself);
}

static void bf16_rounds_to_the_nearest_and_ties_to_even(void **state)
{
    (void)state;
    static const struct {
        float value, rounded;
    } cases[] = {{1, 1},
                 {0x1.01p0f, 1},             /* halfway, down to even */
                 {0x1.03p0f, 0x1.04p0f},     /* halfway, up to even */
                 {0x1.010002p0f, 0x1.02p0f}, /* a little more than halfway */
                 {-0x1.ff8p3f, -0x1p4f},
                 {0, 0},
                 {INFINITY, INFINITY},
                 {0x1.fffffep127f, INFINITY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        assert_true((float)bf16_round((sr_real)cases[i].value) == cases[i].rounded);
    assert_true(isnan(bf16_round((sr_real)NAN)));
}

static void what_is_denormal_rounds_to_zero(void **state)
{
    (void)state;
    static const float cases[] = {0x1p-149f, 0x1p-127f, 0x1.fffffcp-127f};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        assert_int_equal(bf16_bits(cases[i]), 0);
        assert_int_equal(bf16_bits(-cases[i]), 0x80000000u);
    }
    assert_int_equal(bf16_bits(0x1p-126f), 0x00800000u);
}

static void emulated_matrix_units_multiply_rounded_numbers(void **state)
{
    (void)state;
    static const sr_products products = {.multiply = multiply_amx_emulated, .takes_bias = true};
    check_every_shape(multiply_amx_emulated, bf16_round);
    check_large_shape(multiply_amx_emulated, bf16_round);
    check_causal_shapes(&products, bf16_round);
    check_bias(&products, bf16_round);
}

/* Numbers of very different size, so that the order of a sum shows in its last bits, and so that products and sums of some of
 * them are denormal. */
static void spread(sr_real *values, size_t count, uint64_t index)
{
    const sr_random_stream stream = sr_random_open(2, SR_RANDOM_TEST, index);
    for (size_t i = 0; i < count; ++i) {
        const int exponent = (int)(64 * sr_random_normal(stream, i, 1)) / 8;
        values[i] = ldexpf((float)sr_random_normal(stream, i, 0), i % 7 == 0 ? -70 + exponent : exponent);
    }
    for (size_t i = 0; i < count; i += 29)
        values[i] = ldexpf(values[i] < 0 ? -1 : 1, -127 - (int)(i % 20)); /* denormal */
}

/* Whether the emulation is right, so that tests of it say something about the hardware. */
static void matrix_units_give_what_their_emulation_gives_to_the_bit(void **state)
{
    static const size_t sizes[][3] = {{16, 16, 32},  {16, 16, 31},   {32, 32, 64},  {35, 37, 70},
                                      {64, 50, 257}, {50, 129, 333}, {64, 96, 128}, {131, 259, 1030}};
    const sr_kernels *kernels = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (int transposed = 0; transposed < 4; ++transposed) {
            const shape s = {.transpose_a = transposed & 1,
                             .transpose_b = transposed >> 1,
                             .m = sizes[i][0],
                             .n = sizes[i][1],
                             .k = sizes[i][2],
                             .alpha = 1,
                             .beta = (sr_real)(i % 2)};
            matrices by_unit = make(&s), emulated = make(&s);
            spread(by_unit.a, s.m * s.k, 10 * i);
            spread(by_unit.b, s.n * s.k, 10 * i + 1);
            memcpy(emulated.a, by_unit.a, s.m * s.k * sizeof *by_unit.a);
            memcpy(emulated.b, by_unit.b, s.n * s.k * sizeof *by_unit.b);
            const matrix_product one = product_of(&s, &by_unit), other = product_of(&s, &emulated);
            kernels->products[SR_PRECISION_BF16]->multiply(&one);
            multiply_amx_emulated(&other);
            assert_memory_equal(by_unit.c, emulated.c, by_unit.c_size * sizeof *by_unit.c);
            release(&by_unit);
            release(&emulated);
        }
}

static int test_level(const sr_kernels *kernels)
{
    void *state = (void *)(uintptr_t)kernels;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(products_agree_with_plain_loops, state),
        cmocka_unit_test_prestate(nothing_is_written_for_an_empty_product, state),
        cmocka_unit_test_prestate(the_own_engine_agrees_with_plain_loops, state),
        cmocka_unit_test_prestate(a_number_has_the_same_bits_whatever_is_multiplied_with_it, state),
        cmocka_unit_test_prestate(causal_products_leave_out_what_no_query_sees, state),
        cmocka_unit_test_prestate(a_bias_is_added_to_every_row, state),
        cmocka_unit_test_prestate(products_of_bf16_are_those_of_rounded_numbers_where_a_unit_rounds_them, state),
        cmocka_unit_test_prestate(small_products_are_left_to_full_precision, state),
    };
    return cmocka_run_group_tests_name(kernels->level, tests, NULL, NULL);
}

static int test_matrix_unit(const sr_kernels *kernels)
{
    void *state = (void *)(uintptr_t)kernels;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(matrix_units_give_what_their_emulation_gives_to_the_bit, state),
    };
    return has_matrix_unit(kernels) ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

/* What does not depend on the level. */
static int test_the_rest(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blas_agrees_with_plain_loops),
        cmocka_unit_test(bf16_rounds_to_the_nearest_and_ties_to_even),
        cmocka_unit_test(what_is_denormal_rounds_to_zero),
        cmocka_unit_test(emulated_matrix_units_multiply_rounded_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const sr_kernels *kernels = tested_kernels();
    const bool is_lowest = strcmp(kernels->level, sr_kernels_level_name(0)) == 0;
    return test_level(kernels) + test_matrix_unit(kernels) + (is_lowest ? test_the_rest() : 0);
}

/* The softmax over many classes by AMX; tensor/softmax_unit.h. Factors of rows multiply rows of x and of its gradient, which
 * are narrow, and not the exponentials. The gradient of the classes is computed transposed, (f X)ᵀ P, so that of the
 * exponentials pairs are entwined and nothing is transposed. */
#include "tensor/softmax_unit.h"

#include "tensor/amx.h"
#include "tensor/bf16.h"
#include "tensor/exponentials.h"
#include "tensor/square.h"

#include <string.h>

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

static size_t most(size_t left, size_t right)
{
    return left > right ? left : right;
}

/* ---- room ---- */

/* Numbers from one row to the next, no power of two. */
static size_t line_of(size_t count)
{
    return tiles_over(count, TILE_BLOCK) * TILE_BLOCK + TILE_LINES;
}

static size_t tiles_of(size_t lines, size_t depth)
{
    return tiles_over(lines, TILE_LINES) * tiles_over(depth, TILE_DEPTH);
}

/* Tiles of the classes' rows: [columns, width] for forward, then [width, columns] for backward. */
static size_t tiles_of_classes(size_t columns, size_t width)
{
    return tiles_of(columns, width) + tiles_of(width, columns);
}

/* Tiles of x, [rows, width] forward and [width, rows] backward. */
static size_t tiles_of_x(size_t width)
{
    return most(tiles_of(SOFTMAX_UNIT_ROWS, width), tiles_of(width, SOFTMAX_UNIT_ROWS));
}

static size_t tiles_of_entwined(void)
{
    return tiles_of(TILE_BLOCK, SOFTMAX_UNIT_ROWS);
}

/* [32, columns], [32, width] or [width, 32] */
static size_t numbers_of(size_t columns, size_t width)
{
    return TILE_BLOCK * line_of(most(columns, width));
}

static size_t room_bytes(size_t columns, size_t width)
{
    return (tiles_of_classes(columns, width) + tiles_of_x(width) + tiles_of_entwined()) * sizeof(bf16_tile) +
           numbers_of(columns, width) * sizeof(float);
}

/* A part with its room divided. */
typedef struct {
    size_t rows, columns, width;
    const float *x;
    bf16_tile *exponentials;             /* [rows, columns] as the left operand; tiles below each other come in twos */
    size_t across;                       /* tiles of a row of theirs */
    bf16_tile *classes, *turned_classes; /* for forward and for backward */
    bf16_tile *x_tiles, *entwined;
    float *numbers;
} divided_part;

static divided_part divide(const softmax_part *part)
{
    divided_part divided = {.rows = part->rows,
                            .columns = part->columns,
                            .width = part->width,
                            .x = part->x,
                            .exponentials = part->exponentials,
                            .across = tiles_over(part->columns, TILE_DEPTH),
                            .classes = part->room};
    divided.turned_classes = divided.classes + tiles_of(part->columns, part->width);
    divided.x_tiles = divided.classes + tiles_of_classes(part->columns, part->width);
    divided.entwined = divided.x_tiles + tiles_of_x(part->width);
    divided.numbers = (float *)(void *)(divided.entwined + tiles_of_entwined());
    return divided;
}

static size_t tile_bytes(size_t rows, size_t columns)
{
    return 2 * tiles_over(rows, TILE_BLOCK) * tiles_over(columns, TILE_DEPTH) * sizeof(bf16_tile);
}

static void read_classes(void *room, const sr_real *rows, size_t columns, size_t width, bool backward)
{
    const size_t lines = backward ? width : columns, depth = backward ? columns : width;
    amx_lay_out((bf16_tile *)room + (backward ? tiles_of(columns, width) : 0), tiles_over(depth, TILE_DEPTH), TILES_OF_B,
                &(tile_source){.from = rows, .stride = width, .along = !backward, .lines = lines, .depth = depth});
}

/* ---- forward ---- */

/* Logits of a row become row `line` of tiles; behind `columns` they become zero. Gives the sum. */
#ifdef __AVX512BF16__
static float exponentials_to_tiles(bf16_tile *tiles, size_t line, const float *logits, float maximum, size_t columns)
{
    const __m512 shift = _mm512_set1_ps(maximum);
    __m512 first = _mm512_setzero_ps(), second = first;
    for (size_t j = 0; j < columns; j += TILE_DEPTH, ++tiles) {
        __m512 e = exponential_16(_mm512_sub_ps(_mm512_load_ps(logits + j), shift));
        __m512 f = exponential_16(_mm512_sub_ps(_mm512_load_ps(logits + j + 16), shift));
        if (columns - j < TILE_DEPTH) {
            e = _mm512_maskz_mov_ps(lanes_below(columns - j), e);
            f = _mm512_maskz_mov_ps(lanes_below(columns - j > 16 ? columns - j - 16 : 0), f);
        }
        first = _mm512_add_ps(first, e);
        second = _mm512_add_ps(second, f);
        _mm512_store_si512(tiles->numbers[line], (__m512i)_mm512_cvtne2ps_pbh(f, e));
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(first, second));
}
#else
static float exponentials_to_tiles(bf16_tile *tiles, size_t line, const float *logits, float maximum, size_t columns)
{
    float sum = 0;
    for (size_t j = 0; j < tiles_over(columns, TILE_DEPTH) * TILE_DEPTH; ++j) {
        const float e = j < columns ? exponential(logits[j] - maximum) : 0;
        tiles[j / TILE_DEPTH].numbers[line][j % TILE_DEPTH] = (uint16_t)(bf16_bits(e) >> 16);
        sum += e;
    }
    return sum;
}
#endif

/* 32 rows from `row` on, whose logits are in part->numbers. */
static void finish_rows(const divided_part *part, const softmax_part *of, size_t row, const softmax_findings *findings)
{
    for (size_t i = row; i < least(part->rows, row + TILE_BLOCK); ++i) {
        const float *logits = part->numbers + (i - row) * line_of(part->columns);
        bf16_tile *to = part->exponentials + i / TILE_LINES * part->across;
        find_targets(findings, i, logits);
        of->maxima[i] = maximum_of(logits, part->columns);
        findings->sums[i] = exponentials_to_tiles(to, i % TILE_LINES, logits, of->maxima[i], part->columns);
    }
    for (size_t i = part->rows; i < tiles_over(part->rows, TILE_BLOCK) * TILE_BLOCK && i < row + TILE_BLOCK; ++i)
        for (size_t j = 0; j < part->across; ++j)
            memset(part->exponentials[i / TILE_LINES * part->across + j].numbers[i % TILE_LINES], 0,
                   sizeof part->exponentials->numbers[0]);
}

static void forward(const softmax_part *of, sr_real factor, const softmax_findings *findings)
{
    const divided_part part = divide(of);
    const size_t deep = tiles_over(part.width, TILE_DEPTH);
    amx_lay_out(part.x_tiles, deep, TILES_OF_A,
                &(tile_source){.from = part.x, .stride = part.width, .along = true, .lines = part.rows, .depth = part.width});
    amx_begin();
    for (size_t row = 0; row < part.rows; row += TILE_BLOCK) {
        amx_multiply(&(tile_product){.a = part.x_tiles + row / TILE_LINES * deep,
                                     .b = part.classes,
                                     .a_row = deep,
                                     .b_row = deep,
                                     .m = least(TILE_BLOCK, part.rows - row),
                                     .n = part.columns,
                                     .depth = deep,
                                     .alpha = factor,
                                     .c = part.numbers,
                                     .c_stride = line_of(part.columns)});
        finish_rows(&part, of, row, findings);
    }
    amx_end();
}

/* ---- backward ---- */

/* x_gradient += f P E */
static void add_to_x(const divided_part *part, const sr_real *factors, sr_real *x_gradient)
{
    const size_t line = line_of(part->width);
    for (size_t row = 0; row < part->rows; row += TILE_BLOCK) {
        const size_t rows = least(TILE_BLOCK, part->rows - row);
        amx_multiply(&(tile_product){.a = part->exponentials + row / TILE_LINES * part->across,
                                     .b = part->turned_classes,
                                     .a_row = part->across,
                                     .b_row = part->across,
                                     .m = rows,
                                     .n = part->width,
                                     .depth = part->across,
                                     .alpha = 1,
                                     .c = part->numbers,
                                     .c_stride = line});
        for (size_t i = 0; i < rows; ++i) {
            const float factor = factors[row + i], *restrict sums = part->numbers + i * line;
            float *restrict gradient = x_gradient + (row + i) * part->width;
            for (size_t j = 0; j < part->width; ++j)
                gradient[j] += factor * sums[j];
        }
    }
}

/* (f X)ᵀ becomes tiles [width, rows]. */
static void lay_out_scaled(const divided_part *part, const sr_real *factors)
{
    for (size_t row = 0; row < part->rows; row += TILE_DEPTH) {
        const size_t rows = least(TILE_DEPTH, part->rows - row);
        for (size_t i = 0; i < rows; ++i)
            for (size_t j = 0; j < part->width; ++j)
                part->numbers[i * part->width + j] = factors[row + i] * part->x[(row + i) * part->width + j];
        amx_lay_out(part->x_tiles + row / TILE_DEPTH, tiles_over(part->rows, TILE_DEPTH), TILES_OF_A,
                    &(tile_source){.from = part->numbers, .stride = part->width, .lines = part->width, .depth = rows});
    }
}

/* Two tiles of the left operand below each other, 32 lines by 32 numbers, become two of the right one beside each other whose
 * lines these numbers are. */
static void entwine(bf16_tile *left, bf16_tile *right, const bf16_tile *above, const bf16_tile *below)
{
    enum { HALF = TILE_LINES / 2 };
    for (size_t q = 0; q < HALF; ++q) {
#ifdef __AVX512BF16__
        static const uint16_t numbers[TILE_DEPTH] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                     8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
        const __m512i low = _mm512_loadu_si512(numbers), high = _mm512_add_epi16(low, _mm512_set1_epi16(TILE_LINES));
        const __m512i a = _mm512_load_si512(above->numbers[2 * q]), b = _mm512_load_si512(above->numbers[2 * q + 1]);
        const __m512i c = _mm512_load_si512(below->numbers[2 * q]), d = _mm512_load_si512(below->numbers[2 * q + 1]);
        _mm512_store_si512(left->numbers[q], _mm512_permutex2var_epi16(a, low, b));
        _mm512_store_si512(right->numbers[q], _mm512_permutex2var_epi16(a, high, b));
        _mm512_store_si512(left->numbers[q + HALF], _mm512_permutex2var_epi16(c, low, d));
        _mm512_store_si512(right->numbers[q + HALF], _mm512_permutex2var_epi16(c, high, d));
#else
        for (size_t i = 0; i < TILE_DEPTH; ++i) {
            const size_t first = i / 2, second = first + TILE_LINES;
            left->numbers[q][i] = above->numbers[2 * q + i % 2][first];
            right->numbers[q][i] = above->numbers[2 * q + i % 2][second];
            left->numbers[q + HALF][i] = below->numbers[2 * q + i % 2][first];
            right->numbers[q + HALF][i] = below->numbers[2 * q + i % 2][second];
        }
#endif
    }
}

/* gradient [columns, width] += the transposed of sums [width, 32] */
static void add_transposed(float *gradient, const float *sums, size_t columns, size_t width)
{
    const size_t whole = width / LANES * LANES;
    for (size_t j = 0; j < whole; j += LANES)
        for (size_t i = 0; i < columns; i += LANES) {
            float square[LANES * LANES];
            transpose_square(square, LANES, sums + j * TILE_BLOCK + i, TILE_BLOCK, LANES);
            for (size_t l = 0; l < least(LANES, columns - i); ++l)
                *(loose_vector *)(gradient + (i + l) * width + j) += *(const loose_vector *)(square + l * LANES);
        }
    for (size_t i = 0; i < columns && whole < width; ++i)
        for (size_t j = whole; j < width; ++j)
            gradient[i * width + j] += sums[j * TILE_BLOCK + i];
}

/* class_gradient += (f P)ᵀ X */
static void add_to_classes(const divided_part *part, const sr_real *factors, sr_real *class_gradient)
{
    const size_t down = tiles_over(part->rows, TILE_DEPTH);
    lay_out_scaled(part, factors);
    for (size_t column = 0; column < part->columns; column += TILE_BLOCK) {
        for (size_t i = 0; i < down; ++i) {
            const bf16_tile *above = part->exponentials + 2 * i * part->across + column / TILE_DEPTH;
            entwine(part->entwined + i, part->entwined + down + i, above, above + part->across);
        }
        amx_multiply(&(tile_product){.a = part->x_tiles,
                                     .b = part->entwined,
                                     .a_row = down,
                                     .b_row = down,
                                     .m = part->width,
                                     .n = TILE_BLOCK,
                                     .depth = down,
                                     .alpha = 1,
                                     .c = part->numbers,
                                     .c_stride = TILE_BLOCK});
        add_transposed(class_gradient + column * part->width, part->numbers, least(TILE_BLOCK, part->columns - column),
                       part->width);
    }
}

static void backward(const softmax_part *of, const sr_real *factors, sr_real *x_gradient, sr_real *class_gradient)
{
    const divided_part part = divide(of);
    amx_begin();
    if (x_gradient)
        add_to_x(&part, factors, x_gradient);
    if (class_gradient)
        add_to_classes(&part, factors, class_gradient);
    amx_end();
}

const sr_softmax_unit softmax_amx = {
    .tile_bytes = tile_bytes, .room_bytes = room_bytes, .read_classes = read_classes, .forward = forward, .backward = backward};

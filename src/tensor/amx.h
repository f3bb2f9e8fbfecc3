/* Products of bf16 by AMX, the matrix unit of x86 processors: operands laid out in tiles, and products of them.
 *
 * A tile register holds 16 rows of 64 bytes. For   c [16, 16] += a [16, 32] b [32, 16]   the unit wants
 *
 *   a's tile   row i:  a[i, 0] a[i, 1] ... a[i, 31]                           32 numbers of bf16
 *   b's tile   row q:  b[2q, 0] b[2q + 1, 0]  b[2q, 1] b[2q + 1, 1] ...       16 pairs
 *   c's tile   row i:  c[i, 0] ... c[i, 15]                                   fp32
 *
 * A line is a row of a, or a column of b: 16 lines by 32 numbers of k make a tile of one kilobyte. An operand laid out is
 * tiles [lines / 16, k / 32]; what is missing in the last ones is zero. A tile of a, seen as 16 x 16 pairs, is the transposed
 * of the tile that the same lines have in b. (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
 * chapter 18.) */
#ifndef SRTRAIN_TENSOR_AMX_H
#define SRTRAIN_TENSOR_AMX_H

#include "tensor/product.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TILE_LINES = 16,
    TILE_DEPTH = 32,
    TILE_BLOCK = 32 /* rows and columns of c that are summed up at a time: four tiles */
};

typedef struct {
    uint16_t numbers[TILE_LINES][TILE_DEPTH] __attribute__((aligned(64)));
} bf16_tile;

/* The operand of a product that a matrix is laid out for. */
typedef enum { TILES_OF_A, TILES_OF_B } tile_side;

/* A matrix in single precision that is to be laid out. */
typedef struct {
    const float *from;
    size_t stride;
    bool along; /* numbers of k are neighbours in memory, from[line * stride + k]; else lines are, from[k * stride + line] */
    size_t lines, depth;
} tile_source;

/* c [m, n] = beta c + alpha a b, of operands laid out; or, with a bias [n], each row of c is bias + a b. */
typedef struct {
    const bf16_tile *a, *b;
    size_t a_row, b_row; /* tiles from one line of tiles to the next */
    size_t m, n;
    size_t depth; /* tiles of k */
    float alpha, beta;
    float *c;
    size_t c_stride;
    const float *bias; /* or NULL; alpha is 1 then */
    /* What need not be computed (tensor/product.h). Query i sees no key j > i + diagonal, with queries and keys counted within
     * these operands. */
    causal_part causal;
    bool factor_is_transposed; /* a is [keys, queries] */
    ptrdiff_t diagonal;
} tile_product;

static inline size_t tiles_over(size_t count, size_t side)
{
    return (count + side - 1) / side;
}

/* Whether this processor has AMX for bf16 and the instruction that rounds for it, and the operating system lets this process
 * use it. Asks for that: once a process, before other threads use the unit. */
bool amx_allow(void);

/* What lies between these two in a thread may use the functions below. Tile registers cost 8 KB a switch of threads in
 * between. */
void amx_begin(void);
void amx_end(void);

/* Lays a matrix out, rounded as tensor/bf16.h says; `row`: tiles from one line of tiles to the next. Needs no registers. */
void amx_lay_out(bf16_tile *tiles, size_t row, tile_side side, const tile_source *source);

void amx_multiply(const tile_product *product);

#endif

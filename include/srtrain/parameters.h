/* The parameters of a model: named matrices in one contiguous block, and their gradients in another of the same layout.
 *
 * One block is what the optimizer, the all-reduce and the checkpoint want: each works on ranges of it and needs to know
 * nothing about the model. Names and shapes are those of docs/models.md; checkpoints and fixtures use them too. */
#ifndef SRTRAIN_PARAMETERS_H
#define SRTRAIN_PARAMETERS_H

#include "srtrain/range.h"
#include "srtrain/real.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SR_PARAMETER_NAME_SIZE = 96, SR_PARAMETER_RANK_MAXIMUM = 3 };

/* How a parameter starts. */
typedef enum {
    SR_INITIAL_ZERO,
    SR_INITIAL_CONSTANT, /* scale */
    SR_INITIAL_NORMAL,   /* N(mean of the set, scale^2) */
    SR_INITIAL_CENTRED,  /* N(0, scale^2), whatever the mean of the set */
    SR_INITIAL_UNIFORM,  /* U(-scale, scale) */
    SR_INITIAL_SAME,     /* as the parameter `same_as` */
    SR_INITIAL_IDENTITY  /* 1 on the diagonal of the last two dimensions */
} sr_initial;

typedef struct {
    sr_initial initial;
    double scale; /* 0 where there is none */
} sr_initial_values;

/* Which loss a parameter follows (bits): backward passes are restricted to a set of them. AC-TSR trains its mask
 * generators by another loss than everything else. */
typedef enum {
    SR_PARAMETERS_ORDINARY = 1,
    SR_PARAMETERS_ATTACK = 2,
    SR_PARAMETERS_EVERY = 3,
    SR_PARAMETERS_FROZEN = 4 /* none: they get no gradient, and no optimizer moves them */
} sr_parameter_set;

/* What the rows of an array belong to, which have the numbers of a data set: row n is that of item n, or of user n - 1; row 0
 * is padding, and rows behind the last number are the model's own. */
typedef enum { SR_ROWS_OF_NOBODY, SR_ROWS_OF_ITEMS, SR_ROWS_OF_USERS, SR_ROW_OWNERS } sr_row_owner;

typedef struct {
    char name[SR_PARAMETER_NAME_SIZE];
    size_t shape[SR_PARAMETER_RANK_MAXIMUM];
    size_t rank;   /* dimensions in use */
    size_t size;   /* elements: the product of shape */
    size_t offset; /* first element in the block; a multiple of 16 */
    sr_initial initial;
    double scale;
    size_t same_as; /* SR_INITIAL_SAME: index of an earlier parameter of the same size */
    sr_parameter_set set;
    sr_row_owner rows_of;
} sr_parameter;

typedef struct {
    sr_parameter *list;
    size_t count;
    size_t capacity;
    double normal_mean; /* of every parameter that starts as SR_INITIAL_NORMAL */
    size_t block_size;  /* elements of each block, gaps between parameters included (gaps are 0 and stay 0) */
    sr_real *values;    /* [block_size], NULL until sr_parameters_allocate() */
    sr_real *gradients;
    bool placed; /* both blocks belong to somebody else */
    /* Arrays whose rows lie in blocks of their own, see srtrain/row_blocks.h; they belong to whoever made them. */
    struct sr_row_block *const *row_blocks; /* [row_block_count] */
    size_t row_block_count;
} sr_parameters;

/* ---- tables of which a step touches some rows ----
 *
 * Where the loss is sampled, a step gives a gradient only to those rows of the item tables that its batch names. */

enum { SR_TABLES_MAXIMUM = 2 };

/* Parameters [rows, width], all with equally many rows, in the order of their indices. */
typedef struct {
    size_t index[SR_TABLES_MAXIMUM];
    size_t count; /* 0: none */
} sr_table_list;

/* Which rows of the tables have a gradient in a step. */
typedef struct {
    sr_table_list tables;
    bool every;          /* any row may have one; always so without tables */
    const int32_t *rows; /* [count], each once: else those that may have one; it is 0 in all others */
    size_t count;
    /* Where the gradients of these rows do not lie in the gradient block, but one after the other: of each table [count,
     * width]. All NULL: they do. */
    sr_real *gradients[SR_TABLES_MAXIMUM];
} sr_touched_rows;

/* The elements that may have a gradient whatever the rows: those outside of the tables, or the whole block if `touched` is NULL
 * or says so; but none of what is frozen. Tables and frozen arrays are at most SR_TABLES_MAXIMUM together. Fills ranges
 * [SR_TABLES_MAXIMUM + 1] in ascending order and returns how many there are. */
size_t sr_parameters_dense_ranges(const sr_parameters *parameters, const sr_touched_rows *touched,
                                  sr_element_range ranges[SR_TABLES_MAXIMUM + 1]);

/* How many rows are to be treated one by one: 0 where dense ranges hold everything. */
size_t sr_touched_count(const sr_touched_rows *touched);

/* Sets the gradient to 0 where it may have been given a value. */
void sr_parameters_clear_gradients(sr_parameters *parameters, const sr_touched_rows *touched);

/* ---- what goes with parameters ---- */

/* Named blocks of numbers [block_size] laid out as the parameters are: the state of an optimizer. What keeps, writes and reads
 * state walks the list and knows no name. */
enum { SR_STATE_BLOCKS_MAXIMUM = 4, SR_STATE_NAME_SIZE = 32 };

typedef struct {
    const char *name; /* in checkpoints; shorter than SR_STATE_NAME_SIZE */
    sr_real *values;
} sr_state_block;

typedef struct {
    sr_state_block blocks[SR_STATE_BLOCKS_MAXIMUM];
    size_t count;
} sr_state;

/* ---- making ---- */

/* An empty set; release with sr_parameters_free(). */
void sr_parameters_initialise(sr_parameters *parameters);
void sr_parameters_free(sr_parameters *parameters);

/* Declares one more parameter and returns its index in *index (may be NULL). Only before allocation. `rank` of the sizes
 * in `shape` are read. */
sr_status sr_parameters_declare(sr_parameters *parameters, const char *name, const size_t *shape, size_t rank,
                                sr_initial_values start, sr_parameter_set set, size_t *index, sr_error *error);

/* Lets a declared parameter start with the values that another one, declared before it and of the same size, is drawn with. */
void sr_parameters_start_same(sr_parameters *parameters, size_t index, size_t same_as);

/* Says whose rows a declared parameter has. */
void sr_parameters_assign_rows(sr_parameters *parameters, size_t index, sr_row_owner owner);

/* Allocates both blocks, zero-filled, and what lies in blocks of rows. The second function leaves all gradients out, for those
 * who only compute. */
sr_status sr_parameters_allocate(sr_parameters *parameters, sr_error *error);
sr_status sr_parameters_allocate_values(sr_parameters *parameters, sr_error *error);

/* Lets both blocks lie in memory [block_size] of the caller from now on, with what it holds. The caller takes its memory back
 * with sr_parameters_withdraw(), after which the set has no values. */
void sr_parameters_place(sr_parameters *parameters, sr_real *values, sr_real *gradients);
void sr_parameters_withdraw(sr_parameters *parameters);

/* Draws the initial values, those of blocks of rows too; every element depends on (seed, parameter name, element) alone, so
 * that several workers can each draw a part of one block: elements [part.begin, part.end). */
void sr_parameters_draw(sr_parameters *parameters, uint64_t seed);
void sr_parameters_draw_part(sr_parameters *parameters, uint64_t seed, sr_element_range part);

/* Index of the parameter with this name, or SIZE_MAX. */
size_t sr_parameters_find(const sr_parameters *parameters, const char *name);

/* The initial values of elements [first, first + count) of a parameter, of which `parameters` may have no memory, in `values`.
 */
void sr_parameters_initial_values(const sr_parameters *parameters, size_t index, uint64_t seed, size_t first, size_t count,
                                  sr_real *values);

/* XXH3-64 of the values of every parameter in order: equal on two ranks when they hold equal bits. */
uint64_t sr_parameters_checksum(const sr_parameters *parameters);

#endif

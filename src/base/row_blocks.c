/* Blocks of rows of a table; srtrain/row_blocks.h says what is promised. */
#include "srtrain/row_blocks.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

void sr_row_block_initialise(sr_row_block *block, sr_row_numbers numbers, size_t table_rows)
{
    *block = (sr_row_block){.numbers = numbers, .table_rows = table_rows};
    sr_parameters_initialise(&block->parameters);
}

void sr_row_block_free(sr_row_block *block)
{
    sr_parameters_free(&block->parameters);
}

sr_status sr_row_blocks_allocate(sr_parameters *parameters, sr_error *error)
{
    for (size_t i = 0; i < parameters->row_block_count; ++i) {
        sr_row_block *block = parameters->row_blocks[i];
        sr_parameters *own = &block->parameters;
        SR_TRY(SR_ALLOCATE_ZERO(&own->values, own->block_size, "rows of the item table", error));
        if (block->dense)
            SR_TRY(SR_ALLOCATE_ZERO(&own->gradients, own->block_size, "gradients of the item table", error));
    }
    return SR_OK;
}

void sr_row_block_draw(sr_row_block *block, uint64_t seed)
{
    sr_parameters *own = &block->parameters;
    for (size_t array = 0; array < own->count; ++array) {
        const size_t width = own->list[array].shape[1];
        sr_real *values = own->values + own->list[array].offset;
        for (size_t place = 0; place < block->numbers.count; ++place) {
            const size_t row = (size_t)sr_row_number(&block->numbers, place);
            sr_parameters_initial_values(own, array, seed, row * width, width, values + place * width);
        }
    }
}

size_t sr_row_blocks_rows(const sr_parameters *parameters)
{
    size_t rows = 0;
    for (size_t i = 0; i < parameters->row_block_count; ++i)
        rows += parameters->row_blocks[i]->numbers.count;
    return rows;
}

size_t sr_row_blocks_table_rows(const sr_parameters *parameters)
{
    return parameters->row_block_count > 0 ? parameters->row_blocks[0]->table_rows : 0;
}

const sr_row_block *sr_row_blocks_find(const sr_parameters *parameters, size_t row, size_t *place)
{
    for (size_t i = 0; i < parameters->row_block_count; ++i)
        if (sr_row_place(&parameters->row_blocks[i]->numbers, (int32_t)row, place))
            return parameters->row_blocks[i];
    return NULL;
}

/* Columns [column, column + columns) of a row of an array. */
typedef struct {
    size_t row, column, columns;
} row_piece;

/* Which row element `begin` lies in, and what of it lies before `end`. */
static row_piece piece_at(size_t width, size_t begin, size_t end)
{
    const size_t column = begin % width;
    return (row_piece){begin / width, column, smaller(width - column, end - begin)};
}

/* Where a piece lies; NULL: not here. */
static sr_real *place_of(const sr_parameters *parameters, size_t array, size_t state, const row_piece *piece)
{
    size_t place;
    const sr_row_block *block = sr_row_blocks_find(parameters, piece->row, &place);
    if (!block)
        return NULL;
    const sr_parameter *own = &block->parameters.list[array];
    sr_real *values = state == SIZE_MAX ? block->parameters.values : block->state->blocks[state].values;
    return values + own->offset + place * own->shape[1] + piece->column;
}

static size_t width_of(const sr_parameters *parameters, size_t array)
{
    return parameters->row_blocks[0]->parameters.list[array].shape[1];
}

void sr_row_blocks_get(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count, sr_real *out)
{
    const size_t width = width_of(parameters, array), end = begin + count;
    for (size_t at = begin; at < end;) {
        const row_piece piece = piece_at(width, at, end);
        const sr_real *from = place_of(parameters, array, state, &piece);
        if (from)
            memcpy(out + (at - begin), from, piece.columns * sizeof *out);
        at += piece.columns;
    }
}

void sr_row_blocks_set(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count,
                       const sr_real *in)
{
    const size_t width = width_of(parameters, array), end = begin + count;
    for (size_t at = begin; at < end;) {
        const row_piece piece = piece_at(width, at, end);
        sr_real *to = place_of(parameters, array, state, &piece);
        if (to)
            memcpy(to, in + (at - begin), piece.columns * sizeof *to);
        at += piece.columns;
    }
}

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

sr_status sr_row_blocks_allocate(sr_parameters *parameters, bool gradients, sr_error *error)
{
    for (size_t i = 0; i < parameters->row_block_count; ++i) {
        sr_row_block *block = parameters->row_blocks[i];
        sr_parameters *own = &block->parameters;
        SR_TRY(SR_ALLOCATE_ZERO(&own->values, own->block_size, "rows of the item table", error));
        if (gradients && block->dense)
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

const sr_row_block *sr_row_blocks_find(const sr_parameters *parameters, size_t row, size_t *place)
{
    for (size_t i = 0; i < parameters->row_block_count; ++i)
        if (sr_row_place(&parameters->row_blocks[i]->numbers, (int32_t)row, place))
            return parameters->row_blocks[i];
    return NULL;
}

size_t sr_row_block_between(const sr_row_block *block, size_t first, size_t last, size_t *place)
{
    size_t end;
    if (sr_row_place(&block->numbers, (int32_t)last, &end))
        ++end;
    (void)sr_row_place(&block->numbers, (int32_t)first, place);
    return end - *place;
}

sr_real *sr_row_block_row(const sr_row_block *block, size_t array, size_t state, size_t place)
{
    const sr_parameter *own = &block->parameters.list[array];
    sr_real *values = state == SIZE_MAX ? block->parameters.values : block->state->blocks[state].values;
    return values + own->offset + place * own->shape[1];
}

/* Elements [begin, end) of an array of the whole table, at `values`. */
typedef struct {
    size_t array, state, width, begin, end;
} row_range;

static row_range range_of(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count)
{
    const size_t width = parameters->row_blocks[0]->parameters.list[array].shape[1];
    return (row_range){array, state, width, begin, begin + count};
}

/* What lies in a row of the range: as many elements from *begin of the range on. They begin at the place returned. */
static sr_real *find_in_row(const sr_row_block *block, const row_range *range, size_t place, size_t *begin, size_t *count)
{
    const size_t row = (size_t)sr_row_number(&block->numbers, place) * range->width;
    const size_t from = larger(row, range->begin), end = smaller(row + range->width, range->end);
    *begin = from - range->begin;
    *count = end - from;
    return sr_row_block_row(block, range->array, range->state, place) + (from - row);
}

void sr_row_blocks_get(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count, sr_real *out)
{
    const row_range range = range_of(parameters, array, state, begin, count);
    for (size_t b = 0; b < parameters->row_block_count && count > 0; ++b) {
        const sr_row_block *block = parameters->row_blocks[b];
        size_t place, at, elements;
        for (size_t left = sr_row_block_between(block, begin / range.width, (range.end - 1) / range.width, &place); left > 0;
             --left) {
            const sr_real *row = find_in_row(block, &range, place++, &at, &elements);
            memcpy(out + at, row, elements * sizeof *out);
        }
    }
}

void sr_row_blocks_set(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count,
                       const sr_real *in)
{
    const row_range range = range_of(parameters, array, state, begin, count);
    for (size_t b = 0; b < parameters->row_block_count && count > 0; ++b) {
        const sr_row_block *block = parameters->row_blocks[b];
        size_t place, at, elements;
        for (size_t left = sr_row_block_between(block, begin / range.width, (range.end - 1) / range.width, &place); left > 0;
             --left) {
            sr_real *row = find_in_row(block, &range, place++, &at, &elements);
            memcpy(row, in + at, elements * sizeof *in);
        }
    }
}

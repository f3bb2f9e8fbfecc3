#include "commands/exported_rows.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* Rows of a piece that this process has. */
typedef struct {
    int32_t *numbers; /* [count] */
    sr_real *values;  /* [count, width] */
    size_t count, width;
} owned_rows;

static sr_status take_owned(const exported_rows *e, size_t first, size_t last, owned_rows *own, sr_error *error)
{
    const sr_parameters *parameters = e->parameters;
    size_t room = 0, place;
    for (size_t b = 0; b < parameters->row_block_count; ++b)
        room += sr_row_block_between(parameters->row_blocks[b], first, last, &place);
    SR_TRY(SR_ALLOCATE(&own->numbers, room, "rows of an item table", error));
    SR_TRY(SR_ALLOCATE(&own->values, room * own->width, "rows of an item table", error));
    for (size_t b = 0; b < parameters->row_block_count; ++b) {
        const sr_row_block *block = parameters->row_blocks[b];
        const size_t count = sr_row_block_between(block, first, last, &place);
        for (size_t i = 0; i < count; ++i)
            own->numbers[own->count + i] = sr_row_number(&block->numbers, place + i);
        if (count > 0)
            memcpy(own->values + own->count * own->width, sr_row_block_row(block, e->part, SIZE_MAX, place),
                   count * own->width * sizeof *own->values);
        own->count += count;
    }
    return SR_OK;
}

/* Where each row of the piece has to be. A row that several ranks have is the same on all of them. */
static sr_status put_rows(const int32_t *numbers, const sr_real *values, size_t found, size_t width, size_t first, size_t count,
                          sr_real *rows, sr_error *error)
{
    if (found < count)
        return sr_fail(error, SR_ERROR_RUNTIME, "of rows %zu to %zu of the item table ranks have %zu", first, first + count - 1,
                       found);
    for (size_t i = 0; i < found; ++i)
        memcpy(rows + ((size_t)numbers[i] - first) * width, values + i * width, width * sizeof *rows);
    return SR_OK;
}

sr_status exported_rows_read(void *context, sr_status status, size_t first, size_t count, void *rows, sr_error *error)
{
    const exported_rows *e = context;
    sr_parallel *parallel = e->parallel;
    owned_rows own = {.width = e->parameters->row_blocks[0]->parameters.list[e->part].shape[1]};
    void *numbers = NULL, *values = NULL;
    size_t *ends = NULL, *value_ends = NULL;
    if (status == SR_OK)
        status = take_owned(e, first, first + count - 1, &own, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_gather(parallel, own.numbers, own.count * sizeof *own.numbers, &numbers, &ends, error);
    if (status == SR_OK)
        status = sr_parallel_gather(parallel, own.values, own.count * own.width * sizeof *own.values, &values, &value_ends,
                                    error);
    if (status == SR_OK && numbers)
        status = put_rows(numbers, values, ends[sr_parallel_size(parallel)] / sizeof *own.numbers, own.width, first, count,
                          rows, error);
    free(own.numbers);
    free(own.values);
    free(numbers);
    free(values);
    free(ends);
    free(value_ends);
    return sr_parallel_agree(parallel, status, error);
}

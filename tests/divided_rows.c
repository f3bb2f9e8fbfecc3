#include "divided_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void make_block(sr_row_block *block, sr_state *state, const char *name, const size_t shape[2], sr_row_numbers numbers)
{
    static const char *const names[] = {"first_moment", "second_moment"};
    const size_t own[] = {numbers.count, shape[1]};
    sr_row_block_initialise(block, numbers, shape[0]);
    assert_int_equal(sr_parameters_declare(&block->parameters, name, own, 2, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    *state = (sr_state){.count = sizeof names / sizeof *names};
    for (size_t i = 0; i < state->count; ++i) {
        state->blocks[i] = (sr_state_block){names[i], calloc(block->parameters.block_size, sizeof(sr_real))};
        assert_non_null(state->blocks[i].values);
    }
    block->state = state;
}

void divided_rows_make(divided_rows *rows, sr_parameters *parameters, const char *name, const size_t shape[2], size_t rank,
                       size_t ranks)
{
    const size_t step = ranks * DIVIDED_BLOCKS;
    for (size_t b = 0; b < DIVIDED_BLOCKS; ++b) {
        const size_t first = rank * DIVIDED_BLOCKS + b;
        make_block(&rows->blocks[b], &rows->states[b], name, shape,
                   (sr_row_numbers){.count = (shape[0] + step - 1 - first) / step, .first = first, .step = step});
        rows->list[b] = &rows->blocks[b];
    }
    parameters->row_blocks = rows->list;
    parameters->row_block_count = DIVIDED_BLOCKS;
}

void divided_rows_free(divided_rows *rows, sr_parameters *parameters)
{
    for (size_t b = 0; b < DIVIDED_BLOCKS; ++b) {
        for (size_t i = 0; i < rows->states[b].count; ++i)
            free(rows->states[b].blocks[i].values);
        sr_row_block_free(&rows->blocks[b]);
    }
    parameters->row_block_count = 0;
}

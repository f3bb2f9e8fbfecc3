/* Taking over a checkpoint of a model with other items or users (row_moves.h): rows go where their identifiers are now, and
 * fresh ones start as they are drawn, or as the mean of the old ones. Arrays keep the shapes of the file until their pieces
 * have been read. */
#include "storage/checkpoint_reading.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- which arrays ---- */

static const sr_row_moves *moves_of(const checkpoint_reading *r, size_t array)
{
    return r->taking ? r->taking->moves[r->arrays.all.list[array].rows_of] : NULL;
}

bool checkpoint_take_moves(const checkpoint_reading *r, size_t array)
{
    return moves_of(r, array) != NULL;
}

sr_status checkpoint_take_prepare(checkpoint_reading *r, sr_error *error)
{
    size_t rows[SR_ROW_OWNERS] = {0};
    for (size_t i = 0; i < r->arrays.all.count; ++i)
        if (moves_of(r, i)) {
            rows[r->arrays.all.list[i].rows_of] = moves_of(r, i)->old_rows;
            r->widest = larger(r->widest, r->arrays.all.list[i].shape[1]);
        }
    SR_TRY(checkpoint_arrays_set_rows(&r->arrays, rows, error));
    if (!r->taking->mean)
        return SR_OK;
    return SR_ALLOCATE_ZERO(&r->sums, r->arrays.all.count * r->widest, "means of rows", error);
}

/* ---- means ---- */

void checkpoint_take_add(checkpoint_reading *r, const checkpoint_piece *piece)
{
    if (!r->sums || piece->group != 0)
        return;
    const size_t width = r->arrays.all.list[piece->array].shape[1], last = moves_of(r, piece->array)->old_count;
    double *sums = r->sums + piece->array * r->widest;
    for (size_t i = 0; i < piece->count; ++i) {
        const size_t row = (piece->begin + i) / width;
        if (row >= 1 && row <= last)
            sums[(piece->begin + i) % width] += r->arrays.room[i];
    }
}

/* ---- fresh rows ---- */

/* The first values of a row: of array `index` of `parameters`, which is `array` of the file. */
static void start_row(const checkpoint_reading *r, const sr_parameters *parameters, size_t index, size_t array, size_t row,
                      sr_real *values)
{
    const size_t width = parameters->list[index].shape[1];
    const double count = (double)moves_of(r, array)->old_count, *sums = r->sums + array * r->widest;
    if (r->sums)
        for (size_t i = 0; i < width; ++i)
            values[i] = (sr_real)(sums[i] / count);
    else
        sr_parameters_initial_values(parameters, index, r->taking->seed, row * width, width, values);
}

static void fill_array(const checkpoint_reading *r, size_t array)
{
    const sr_row_moves *moves = moves_of(r, array);
    const sr_parameters *parameters = r->arrays.parameters;
    const size_t index = array < r->arrays.first_row_array ? array : array - r->arrays.row_arrays;
    const size_t width = parameters->list[index].shape[1];
    for (size_t i = 0; i < moves->fresh_count; ++i) {
        const size_t row = (size_t)moves->fresh[i];
        start_row(r, parameters, index, array, row, parameters->values + parameters->list[index].offset + row * width);
    }
}

sr_status checkpoint_take_fill_blocks(checkpoint_reading *r, sr_error *error)
{
    const checkpoint_arrays *arrays = &r->arrays;
    if (arrays->row_arrays == 0)
        return SR_OK;
    if (r->sums)
        SR_TRY(sr_parallel_sum_double(r->parallel, r->sums + arrays->first_row_array * r->widest,
                                      arrays->row_arrays * r->widest, error));
    const sr_row_moves *moves = moves_of(r, arrays->first_row_array);
    for (size_t i = 0; i < moves->fresh_count; ++i)
        for (size_t array = 0; array < arrays->row_arrays; ++array) {
            size_t place;
            const size_t row = (size_t)moves->fresh[i];
            const sr_row_block *block = sr_row_blocks_find(arrays->parameters, row, &place);
            start_row(r, &block->parameters, array, arrays->first_row_array + array, row,
                      sr_row_block_row(block, array, SIZE_MAX, place));
        }
    return SR_OK;
}

/* ---- rows among other parameters ---- */

/* Rows of the piece in the room. */
static void move_rows(const checkpoint_reading *r, const checkpoint_piece *piece)
{
    const size_t width = r->arrays.all.list[piece->array].shape[1];
    sr_real *values = checkpoint_place_of(&r->arrays, piece->group, piece->array);
    size_t count;
    const sr_row_move *moves = checkpoint_rows_moves(moves_of(r, piece->array), piece, width, &count);
    for (size_t i = 0; i < count; ++i) {
        const row_part part = checkpoint_rows_part(piece, width, (size_t)moves[i].from);
        memcpy(values + (size_t)moves[i].to * width + part.first, r->arrays.room + part.at, part.count * sizeof *values);
    }
}

sr_status checkpoint_take_arrays(checkpoint_reading *r, sr_error *error)
{
    const int descriptor = open(r->path, O_RDONLY | O_CLOEXEC);
    sr_status status = SR_OK;
    if (descriptor < 0)
        return sr_fail(error, SR_ERROR_DATA, "cannot open %s: %s", r->path, strerror(errno));
    for (checkpoint_piece piece = {0}; status == SR_OK && checkpoint_next_piece(&r->arrays, &piece);) {
        if (!moves_of(r, piece.array) || checkpoint_lies_in_rows(&r->arrays, piece.array))
            continue;
        status = checkpoint_reading_piece(r, descriptor, &piece, error);
        if (status != SR_OK)
            break;
        checkpoint_take_add(r, &piece);
        move_rows(r, &piece);
    }
    close(descriptor);
    for (size_t array = 0; status == SR_OK && array < r->arrays.all.count; ++array)
        if (moves_of(r, array) && !checkpoint_lies_in_rows(&r->arrays, array))
            fill_array(r, array);
    return status;
}

/* ---- the state of the optimizer ---- */

static sr_status look_at_state(const char *path, const sr_state *state, sr_state_found *found, sr_error *error)
{
    sr_hdf5_file file;
    checkpoint_header header;
    SR_TRY(checkpoint_open(path, &file, &header, error));
    *found = SR_STATE_ABSENT;
    if (header.has_optimizer)
        *found = checkpoint_check_state(&file, state, NULL) == SR_OK ? SR_STATE_FITS : SR_STATE_OTHER;
    sr_checkpoint_free(&header.contents);
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    return SR_OK;
}

sr_status sr_checkpoint_look_at_state(sr_parallel *parallel, const char *path, const sr_state *state, sr_state_found *found,
                                      sr_error *error)
{
    sr_status status = SR_OK;
    *found = SR_STATE_ABSENT;
    if (sr_parallel_rank(parallel) == 0)
        status = look_at_state(path, state, found, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return sr_parallel_broadcast(parallel, found, sizeof *found, error);
}

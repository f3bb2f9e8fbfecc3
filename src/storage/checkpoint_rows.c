#include "storage/checkpoint_rows.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static sr_status make_parcels(row_parcels *parcels, size_t ranks, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&parcels->rows, ranks + 1, "offsets of rows", error));
    return SR_ALLOCATE_ZERO(&parcels->elements, ranks + 1, "offsets of rows", error);
}

static void free_parcels(row_parcels *parcels)
{
    free(parcels->rows);
    free(parcels->elements);
    free(parcels->numbers);
    free(parcels->values);
}

sr_status checkpoint_rows_make(checkpoint_rows *rows, sr_parallel *parallel, const checkpoint_arrays *arrays, sr_error *error)
{
    *rows = (checkpoint_rows){.parallel = parallel, .arrays = arrays};
    if (arrays->row_arrays == 0)
        return SR_OK;
    rows->rank = (size_t)sr_parallel_rank(parallel);
    rows->ranks = (size_t)sr_parallel_size(parallel);
    SR_TRY(SR_ALLOCATE_ZERO(&rows->pieces, rows->ranks, "pieces of a checkpoint", error));
    SR_TRY(SR_ALLOCATE_ZERO(&rows->counts, 2 * rows->ranks, "numbers of rows", error));
    SR_TRY(make_parcels(&rows->here, rows->ranks, error));
    return make_parcels(&rows->there, rows->ranks, error);
}

void checkpoint_rows_free(checkpoint_rows *rows)
{
    free(rows->pieces);
    free(rows->counts);
    free_parcels(&rows->here);
    free_parcels(&rows->there);
    *rows = (checkpoint_rows){.ranks = 0};
}

/* ---- pieces and rows ---- */

static size_t width_of(const checkpoint_rows *rows, const checkpoint_piece *piece)
{
    return rows->arrays->all.list[piece->array].shape[1];
}

row_span checkpoint_rows_span(const checkpoint_piece *piece, size_t width)
{
    return (row_span){piece->begin / width, (piece->begin + piece->count - 1) / width};
}

static row_span span_of(const checkpoint_rows *rows, const checkpoint_piece *piece)
{
    return checkpoint_rows_span(piece, width_of(rows, piece));
}

row_part checkpoint_rows_part(const checkpoint_piece *piece, size_t width, size_t row)
{
    const size_t begin = row * width, from = larger(begin, piece->begin);
    const size_t end = smaller(begin + width, piece->begin + piece->count);
    return (row_part){from - begin, from - piece->begin, end - from};
}

/* How many moves are of rows before `row`. */
static size_t moves_before(const sr_row_moves *moves, size_t row)
{
    size_t begin = 0, end = moves->count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if ((size_t)moves->list[middle].from < row)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

const sr_row_move *checkpoint_rows_moves(const sr_row_moves *moves, const checkpoint_piece *piece, size_t width, size_t *count)
{
    *count = 0;
    if (piece->count == 0)
        return NULL;
    const row_span span = checkpoint_rows_span(piece, width);
    const size_t first = moves_before(moves, span.first);
    *count = moves_before(moves, span.last + 1) - first;
    return *count > 0 ? moves->list + first : NULL;
}

/* Rows of a piece that lie here, one after the other in a block. */
typedef struct {
    const sr_row_block *block;
    size_t place, count;
} row_run;

static row_run run_in(const checkpoint_rows *rows, const checkpoint_piece *piece, size_t block)
{
    const row_span span = span_of(rows, piece);
    row_run run = {.block = rows->arrays->parameters->row_blocks[block]};
    if (piece->count > 0)
        run.count = sr_row_block_between(run.block, span.first, span.last, &run.place);
    return run;
}

static size_t count_rows(const checkpoint_rows *rows, const checkpoint_piece *piece)
{
    size_t count = 0;
    if (rows->moves)
        (void)checkpoint_rows_moves(rows->moves, piece, piece->count > 0 ? width_of(rows, piece) : 1, &count);
    for (size_t b = 0; !rows->moves && b < rows->arrays->parameters->row_block_count; ++b)
        count += run_in(rows, piece, b).count;
    return count;
}

/* ---- meetings ---- */

/* Where the rows of each rank begin, whose numbers are counted; in elements, where whole rows travel. `own` is the piece that
 * all rows are of; NULL: those of each rank are of its piece. */
static void place_parcels(const checkpoint_rows *rows, row_parcels *parcels, const size_t *counts, const checkpoint_piece *own)
{
    for (size_t r = 0; r < rows->ranks; ++r) {
        const checkpoint_piece *piece = own ? own : &rows->pieces[r];
        parcels->rows[r + 1] = parcels->rows[r] + counts[r];
        parcels->elements[r + 1] = parcels->elements[r] + (counts[r] > 0 ? counts[r] * width_of(rows, piece) : 0);
    }
}

static sr_status grow_parcels(row_parcels *parcels, size_t ranks, sr_error *error)
{
    SR_TRY(SR_GROW(&parcels->numbers, &parcels->number_room, parcels->rows[ranks], "rows of a checkpoint", error));
    return SR_GROW(&parcels->values, &parcels->value_room, parcels->elements[ranks], "rows of a checkpoint", error);
}

/* Rows that this process wants of the piece of each rank, by their numbers in the file. */
static void list_moved_rows(checkpoint_rows *rows)
{
    int32_t *number = rows->here.numbers;
    for (size_t r = 0; r < rows->ranks; ++r) {
        const checkpoint_piece *piece = &rows->pieces[r];
        size_t count;
        const sr_row_move *moves = checkpoint_rows_moves(rows->moves, piece, piece->count > 0 ? width_of(rows, piece) : 1,
                                                         &count);
        for (size_t i = 0; i < count; ++i)
            *number++ = moves[i].from;
    }
}

static void list_rows(checkpoint_rows *rows)
{
    int32_t *number = rows->here.numbers;
    if (rows->moves) {
        list_moved_rows(rows);
        return;
    }
    for (size_t r = 0; r < rows->ranks; ++r)
        for (size_t b = 0; b < rows->arrays->parameters->row_block_count; ++b) {
            const row_run run = run_in(rows, &rows->pieces[r], b);
            for (size_t i = 0; i < run.count; ++i)
                *number++ = sr_row_number(&run.block->numbers, run.place + i);
        }
}

static sr_status check_rows(const checkpoint_rows *rows, size_t found, sr_error *error)
{
    const checkpoint_piece *piece = &rows->pieces[rows->rank];
    if (piece->count == 0 || rows->moves) /* of which some may be nobody's */
        return SR_OK;
    const row_span span = span_of(rows, piece);
    if (found > span.last - span.first)
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE, "all ranks together have %zu of rows %zu to %zu of %s, which a checkpoint must hold",
                   found, span.first, span.last, rows->arrays->all.list[piece->array].name);
}

static sr_status prepare_parcels(checkpoint_rows *rows, sr_error *error)
{
    const size_t *sent = rows->counts, *received = rows->counts + rows->ranks;
    place_parcels(rows, &rows->here, sent, NULL);
    place_parcels(rows, &rows->there, received, &rows->pieces[rows->rank]);
    SR_TRY(check_rows(rows, rows->there.rows[rows->ranks], error));
    SR_TRY(grow_parcels(&rows->here, rows->ranks, error));
    return grow_parcels(&rows->there, rows->ranks, error);
}

sr_status checkpoint_rows_meet(checkpoint_rows *rows, sr_status status, sr_error *error)
{
    size_t *sent = rows->counts, *received = rows->counts + rows->ranks;
    for (size_t r = 0; r < rows->ranks; ++r)
        sent[r] = count_rows(rows, &rows->pieces[r]);
    if (rows->ranks == 1)
        return status == SR_OK ? check_rows(rows, sent[0], error) : status;
    SR_TRY(sr_parallel_exchange_counts(rows->parallel, status, sent, received, error));
    SR_TRY(sr_parallel_agree(rows->parallel, prepare_parcels(rows, error), error));
    list_rows(rows);
    return sr_parallel_exchange_elements(rows->parallel, rows->here.numbers, rows->here.rows, rows->there.numbers,
                                         rows->there.rows, sizeof *rows->here.numbers, error);
}

/* ---- rows between blocks, parcels and the room ---- */

static size_t state_of(const checkpoint_piece *piece)
{
    return piece->group == 0 ? SIZE_MAX : piece->group - 1;
}

static sr_real *first_of(const checkpoint_rows *rows, const checkpoint_piece *piece, const row_run *run)
{
    return sr_row_block_row(run->block, piece->array - rows->arrays->first_row_array, state_of(piece), run->place);
}

/* Whole rows of the blocks here into parcels for the holders of their pieces. */
static void pack_blocks(checkpoint_rows *rows)
{
    sr_real *to = rows->here.values;
    for (size_t r = 0; r < rows->ranks; ++r)
        for (size_t b = 0; b < rows->arrays->parameters->row_block_count; ++b) {
            const checkpoint_piece *piece = &rows->pieces[r];
            const row_run run = run_in(rows, piece, b);
            if (run.count == 0)
                continue;
            const size_t elements = run.count * width_of(rows, piece);
            memcpy(to, first_of(rows, piece, &run), elements * sizeof *to);
            to += elements;
        }
}

/* Of the rows that have come, what belongs to their pieces. */
static void unpack_blocks(checkpoint_rows *rows)
{
    const sr_real *from = rows->here.values;
    for (size_t r = 0; r < rows->ranks; ++r)
        for (size_t b = 0; b < rows->arrays->parameters->row_block_count; ++b) {
            const checkpoint_piece *piece = &rows->pieces[r];
            const row_run run = run_in(rows, piece, b);
            if (run.count == 0)
                continue;
            const size_t width = width_of(rows, piece);
            sr_real *row = first_of(rows, piece, &run);
            for (size_t i = 0; i < run.count; ++i, row += width, from += width) {
                const row_part part = checkpoint_rows_part(piece, width,
                                                           (size_t)sr_row_number(&run.block->numbers, run.place + i));
                memcpy(row + part.first, from + part.first, part.count * sizeof *row);
            }
        }
}

/* Where a row of a piece goes. */
static sr_real *place_of_move(const checkpoint_rows *rows, const checkpoint_piece *piece, const sr_row_move *move)
{
    size_t place;
    const sr_row_block *block = sr_row_blocks_find(rows->arrays->parameters, (size_t)move->to, &place);
    return sr_row_block_row(block, piece->array - rows->arrays->first_row_array, state_of(piece), place);
}

/* Likewise, of rows that become others. */
static void unpack_moves(checkpoint_rows *rows)
{
    const sr_real *from = rows->here.values;
    for (size_t r = 0; r < rows->ranks; ++r) {
        const checkpoint_piece *piece = &rows->pieces[r];
        const size_t width = piece->count > 0 ? width_of(rows, piece) : 1;
        size_t count;
        const sr_row_move *moves = checkpoint_rows_moves(rows->moves, piece, width, &count);
        for (size_t i = 0; i < count; ++i, from += width) {
            const row_part part = checkpoint_rows_part(piece, width, (size_t)moves[i].from);
            memcpy(place_of_move(rows, piece, &moves[i]) + part.first, from + part.first, part.count * sizeof *from);
        }
    }
}

/* From the room to rows of this process, which is the only one. */
static void move_from_room(checkpoint_rows *rows)
{
    const checkpoint_piece *piece = &rows->pieces[0];
    const size_t width = width_of(rows, piece);
    size_t count;
    const sr_row_move *moves = checkpoint_rows_moves(rows->moves, piece, width, &count);
    for (size_t i = 0; i < count; ++i) {
        const row_part part = checkpoint_rows_part(piece, width, (size_t)moves[i].from);
        memcpy(place_of_move(rows, piece, &moves[i]) + part.first, rows->arrays->room + part.at, part.count * sizeof(sr_real));
    }
}

/* From the room into parcels for those who have the rows. What a cut row has outside of the piece is 0. */
static void pack_room(checkpoint_rows *rows)
{
    const checkpoint_piece *piece = &rows->pieces[rows->rank];
    const size_t width = width_of(rows, piece), count = rows->there.rows[rows->ranks];
    for (size_t i = 0; i < count; ++i) {
        const row_part part = checkpoint_rows_part(piece, width, (size_t)rows->there.numbers[i]);
        sr_real *row = rows->there.values + i * width;
        if (part.count < width)
            memset(row, 0, width * sizeof *row);
        memcpy(row + part.first, rows->arrays->room + part.at, part.count * sizeof *row);
    }
}

static void unpack_room(checkpoint_rows *rows)
{
    const checkpoint_piece *piece = &rows->pieces[rows->rank];
    const size_t width = width_of(rows, piece), count = rows->there.rows[rows->ranks];
    for (size_t i = 0; i < count; ++i) {
        const row_part part = checkpoint_rows_part(piece, width, (size_t)rows->there.numbers[i]);
        memcpy(rows->arrays->room + part.at, rows->there.values + i * width + part.first, part.count * sizeof(sr_real));
    }
}

sr_status checkpoint_rows_collect(checkpoint_rows *rows, sr_error *error)
{
    const checkpoint_piece *own = &rows->pieces[0];
    if (rows->ranks == 1) {
        sr_row_blocks_get(rows->arrays->parameters, own->array - rows->arrays->first_row_array, state_of(own), own->begin,
                          own->count, rows->arrays->room);
        return SR_OK;
    }
    pack_blocks(rows);
    SR_TRY(sr_parallel_exchange_elements(rows->parallel, rows->here.values, rows->here.elements, rows->there.values,
                                         rows->there.elements, sizeof(sr_real), error));
    unpack_room(rows);
    return SR_OK;
}

sr_status checkpoint_rows_spread(checkpoint_rows *rows, sr_error *error)
{
    const checkpoint_piece *own = &rows->pieces[0];
    if (rows->ranks == 1 && rows->moves) {
        move_from_room(rows);
        return SR_OK;
    }
    if (rows->ranks == 1) {
        sr_row_blocks_set(rows->arrays->parameters, own->array - rows->arrays->first_row_array, state_of(own), own->begin,
                          own->count, rows->arrays->room);
        return SR_OK;
    }
    pack_room(rows);
    SR_TRY(sr_parallel_exchange_elements(rows->parallel, rows->there.values, rows->there.elements, rows->here.values,
                                         rows->here.elements, sizeof(sr_real), error));
    if (rows->moves)
        unpack_moves(rows);
    else
        unpack_blocks(rows);
    return SR_OK;
}

/* Step 2 of writing a checkpoint: all ranks write the large arrays, each a stretch of the file.
 *
 * A rank hashes the blocks that begin in its part. So it needs all elements of these, though it may write some of them only:
 * where two parts meet in a block, both ranks have elements of it. Rows that lie in blocks come from their owners first, a
 * piece for each rank a round. */
#include "base/sizes.h"
#include "srtrain/durable.h"
#include "storage/checkpoint_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    SHARED_SIZE = 16384, /* elements from which on an array is written by all ranks; smaller ones by rank 0 */
    CUT = 1 << 16        /* bytes: the largest page of any processor */
};

#define BLOCK_BYTES (CHECKPOINT_BLOCK * sizeof(sr_real))

/* The bytes of a file are those of memory. */
_Static_assert(sizeof(sr_real) == 4 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "checkpoints hold 32-bit little-endian floats");

bool checkpoint_is_shared(const checkpoint_writer *w, size_t array)
{
    return w->arrays.all.list[array].size >= SHARED_SIZE || checkpoint_lies_in_rows(&w->arrays, array);
}

bool checkpoint_next_shared(const checkpoint_writer *w, size_t *index, checkpoint_array_place *array)
{
    const size_t count = w->arrays.all.count;
    for (; *index < w->arrays.groups * count; ++*index) {
        const sr_parameter *parameter = &w->arrays.all.list[*index % count];
        if (!checkpoint_is_shared(w, *index % count))
            continue;
        *array = (checkpoint_array_place){.name = parameter->name,
                                          .group = *index / count,
                                          .array = *index % count,
                                          .first_block = w->first_blocks[*index],
                                          .place = w->places[*index],
                                          .bytes = parameter->size * sizeof(sr_real)};
        ++*index;
        return true;
    }
    return false;
}

/* ---- parts, and what a rank holds at once of its own ---- */

/* A stretch of the file. */
typedef struct {
    uint64_t first, end;
} byte_range;

/* All shared arrays. */
static byte_range range_of_arrays(const checkpoint_writer *w)
{
    checkpoint_array_place array;
    byte_range range = {UINT64_MAX, 0};
    for (size_t i = 0; checkpoint_next_shared(w, &i, &array);) {
        range.first = smaller(range.first, array.place);
        range.end = larger(range.end, array.place + array.bytes);
    }
    return range;
}

/* The bytes of a range are cut into one part a rank. A cut lies on a multiple of CUT, so that no two ranks write into the same
 * page. */
static uint64_t cut_before(const checkpoint_writer *w, const byte_range *range, size_t rank)
{
    const uint64_t each = (range->end - range->first) / w->ranks;
    const uint64_t cut = (range->first + each * rank + CUT - 1) / CUT * CUT;
    if (rank == 0)
        return range->first;
    return rank == w->ranks || cut > range->end ? range->end : cut;
}

/* Elements of one block that a rank holds, and the bytes of the file that it writes of them. */
typedef struct {
    checkpoint_piece piece;
    const char *name; /* of the array */
    byte_range written;
    uint64_t place; /* of the first element in the file */
    bool whole;     /* all elements of the block, which is hashed then */
} chunk;

/* What comes next in a part of the file; false behind its end. */
static bool next_chunk(const checkpoint_writer *w, const byte_range *part, checkpoint_cursor *cursor, chunk *next)
{
    const checkpoint_array_place *array = &cursor->array;
    while (cursor->at >= cursor->stop) {
        if (!checkpoint_next_shared(w, &cursor->next, &cursor->array))
            return false;
        cursor->at = larger(array->place, part->first);
        cursor->stop = smaller(array->place + array->bytes, part->end);
    }
    const uint64_t offset = cursor->at - array->place, block = offset / BLOCK_BYTES;
    const uint64_t block_end = smaller((block + 1) * BLOCK_BYTES, array->bytes);
    next->name = array->name;
    next->whole = offset == block * BLOCK_BYTES;
    next->written = (byte_range){cursor->at, smaller(array->place + block_end, cursor->stop)};
    const uint64_t held = next->whole ? block_end : next->written.end - array->place;
    const size_t begin = offset / sizeof(sr_real), end = (held + sizeof(sr_real) - 1) / sizeof(sr_real);
    next->place = array->place + begin * sizeof(sr_real);
    next->piece = (checkpoint_piece){.group = array->group,
                                     .array = array->array,
                                     .begin = begin,
                                     .count = end - begin,
                                     .index = array->first_block + block};
    cursor->at = next->written.end;
    return true;
}

/* Lets the system begin to bring what was written to the disk, while this rank goes on. Whether that works the sync at the end
 * tells. */
static void start_writing_back(int descriptor, const byte_range *written)
{
#ifdef SYNC_FILE_RANGE_WRITE
    (void)sync_file_range(descriptor, (off_t)written->first, (off_t)(written->end - written->first), SYNC_FILE_RANGE_WRITE);
#else
    (void)descriptor;
    (void)written;
#endif
}

static sr_status write_chunk(const checkpoint_writer *w, int descriptor, const chunk *own)
{
    const sr_real *values = checkpoint_values(&w->arrays, &own->piece);
    const char *bytes = (const char *)values + (own->written.first - own->place);
    if (own->whole)
        checkpoint_hash_values(values, own->piece.count, &w->checksums[own->piece.index]);
    if (!sr_durable_write(descriptor, bytes, own->written.end - own->written.first, own->written.first))
        return sr_fail(w->error, SR_ERROR_RUNTIME, "%s: cannot write %s: %s", w->temporary, own->name, strerror(errno));
    start_writing_back(descriptor, &own->written);
    return SR_OK;
}

/* ---- with rows in memory that is here ---- */

static sr_status write_part(const checkpoint_writer *w, int descriptor, const byte_range *range)
{
    const byte_range part = {cut_before(w, range, w->rank), cut_before(w, range, w->rank + 1)};
    chunk own;
    while (next_chunk(w, &part, &w->cursors[w->rank], &own))
        SR_TRY(write_chunk(w, descriptor, &own));
    return SR_OK;
}

/* ---- with rows that others may have ---- */

/* What each rank does in the next round: this one, in *own, and the pieces of rows that all need. False when no rank has
 * anything left. */
static bool next_round(checkpoint_writer *w, const byte_range *range, chunk *own, bool *of_rows)
{
    bool any = false;
    *of_rows = false;
    own->piece.count = 0;
    for (size_t r = 0; r < w->ranks; ++r) {
        const byte_range part = {cut_before(w, range, r), cut_before(w, range, r + 1)};
        chunk next;
        w->rows.pieces[r].count = 0;
        if (!next_chunk(w, &part, &w->cursors[r], &next))
            continue;
        any = true;
        if (r == w->rank)
            *own = next;
        if (checkpoint_lies_in_rows(&w->arrays, next.piece.array)) {
            w->rows.pieces[r] = next.piece;
            *of_rows = true;
        }
    }
    return any;
}

/* A rank that has failed tells the others when they meet next: nobody waits for it in vain. */
static sr_status write_rounds(checkpoint_writer *w, int descriptor, const byte_range *range, sr_status status)
{
    chunk own;
    bool of_rows;
    while (next_round(w, range, &own, &of_rows)) {
        if (of_rows) {
            SR_TRY(checkpoint_rows_meet(&w->rows, status, w->error));
            SR_TRY(checkpoint_rows_collect(&w->rows, w->error));
        }
        if (status == SR_OK && own.piece.count > 0)
            status = write_chunk(w, descriptor, &own);
    }
    return status;
}

/* ---- together ---- */

/* What a rank has written lies in the cache of its node, and only that node can bring it to the disk. */
sr_status checkpoint_fill(checkpoint_writer *w)
{
    const byte_range range = range_of_arrays(w);
    const int descriptor = open(w->temporary, O_WRONLY | O_CLOEXEC);
    sr_status status = SR_OK;
    if (descriptor < 0)
        status = sr_fail(w->error, SR_ERROR_RUNTIME, "cannot write %s, which rank 0 has made: %s", w->temporary,
                         strerror(errno));
    if (w->arrays.row_arrays > 0)
        status = write_rounds(w, descriptor, &range, status);
    else if (status == SR_OK && range.end > 0)
        status = write_part(w, descriptor, &range);
    if (status == SR_OK && fsync(descriptor) != 0)
        status = sr_fail(w->error, SR_ERROR_RUNTIME, "%s: cannot bring it to the disk: %s", w->temporary, strerror(errno));
    if (descriptor >= 0 && close(descriptor) != 0 && status == SR_OK) /* some file systems tell of a full disk no earlier */
        status = sr_fail(w->error, SR_ERROR_RUNTIME, "%s: cannot write: %s", w->temporary, strerror(errno));
    return status;
}

#include "storage/striped_file.h"

#include "srtrain/durable.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1 << 16 }; /* bytes: the largest page of any processor */

/* Where things begin in the file in a round, each [ranks + 1]: the bytes that each rank brings, and those that it writes. */
typedef struct {
    uint64_t *brought, *written;
    uint64_t end;            /* of all that is brought */
    size_t *sent, *received; /* [ranks + 1]: the same as offsets of an exchange */
} round_places;

static void free_places(round_places *places)
{
    free(places->brought);
    free(places->written);
    free(places->sent);
    free(places->received);
}

static sr_status allocate_places(round_places *places, size_t ranks, sr_error *error)
{
    SR_TRY(SR_ALLOCATE(&places->brought, ranks + 1, "stripes", error));
    SR_TRY(SR_ALLOCATE(&places->written, ranks + 1, "stripes", error));
    SR_TRY(SR_ALLOCATE(&places->sent, ranks + 1, "stripes", error));
    return SR_ALLOCATE(&places->received, ranks + 1, "stripes", error);
}

static uint64_t between(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : (value > most ? most : value);
}

/* Whole pages are shared out; rank 0 has the part of a page that a stretch begins with. */
static void place_stripes(const striped_file *file, size_t ranks, round_places *places)
{
    const uint64_t first_page = (file->begin + PAGE - 1) / PAGE, end_page = places->end / PAGE;
    const uint64_t pages = end_page > first_page ? end_page - first_page : 0;
    const uint64_t last = end_page >= first_page ? end_page * PAGE : file->begin;
    places->written[0] = file->begin;
    for (size_t rank = 1; rank < ranks; ++rank)
        places->written[rank] = between((first_page + pages * rank / ranks) * PAGE, file->begin, last);
    places->written[ranks] = last;
}

static sr_status place_round(const striped_file *file, size_t count, round_places *places, sr_error *error)
{
    const size_t ranks = (size_t)sr_parallel_size(file->parallel), own = (size_t)sr_parallel_rank(file->parallel);
    void *gathered;
    size_t *offsets;
    SR_TRY(sr_parallel_gather_all(file->parallel, SR_OK, &count, 1, sizeof count, &gathered, &offsets, error));
    const size_t *counts = gathered;
    places->end = file->end;
    for (size_t rank = 0; rank < ranks; ++rank) {
        places->brought[rank] = rank == 0 ? file->begin : places->end;
        places->end += counts[rank];
    }
    places->brought[ranks] = places->end;
    free(gathered);
    free(offsets);
    place_stripes(file, ranks, places);
    for (size_t rank = 0; rank <= ranks; ++rank) {
        places->sent[rank] = between(places->written[rank], places->brought[own], places->brought[own + 1]) -
                             places->brought[own];
        places->received[rank] = between(places->brought[rank], places->written[own], places->written[own + 1]) -
                                 places->written[own];
    }
    return SR_OK;
}

static sr_status write_at(const striped_file *file, const char *bytes, size_t count, uint64_t place, sr_error *error)
{
    if (sr_durable_write(file->descriptor, bytes, count, place))
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
}

/* What this rank brings goes to those who write it. */
static sr_status exchange(striped_file *file, const char *bytes, const round_places *places, char **stripe, sr_error *error)
{
    const size_t ranks = (size_t)sr_parallel_size(file->parallel), own = (size_t)sr_parallel_rank(file->parallel);
    SR_TRY(SR_PARALLEL_ALLOCATE(file->parallel, stripe, places->received[ranks] + 1, "a stripe of a file", error));
    SR_TRY(sr_parallel_exchange_elements(file->parallel, bytes, places->sent, *stripe, places->received, 1, error));
    SR_TRY(sr_parallel_agree(file->parallel, write_at(file, *stripe, places->received[ranks], places->written[own], error),
                             error));
    void *rest;
    size_t *offsets;
    const uint64_t brought = places->brought[own + 1] - places->brought[own];
    SR_TRY(
        sr_parallel_gather(file->parallel, bytes + places->sent[ranks], brought - places->sent[ranks], &rest, &offsets, error));
    free(offsets);
    free(file->waiting);
    file->waiting = rest;
    file->begin = places->written[ranks];
    file->end = places->end;
    return SR_OK;
}

/* On rank 0 what has been waiting comes before what is new. */
static sr_status join(const striped_file *file, const char **bytes, size_t count, char **joined, sr_error *error)
{
    const size_t before = (size_t)(file->end - file->begin);
    if (sr_parallel_rank(file->parallel) != 0 || before == 0)
        return SR_OK;
    SR_TRY(SR_ALLOCATE(joined, before + count, "a stripe of a file", error));
    memcpy(*joined, file->waiting, before);
    if (count)
        memcpy(*joined + before, *bytes, count);
    *bytes = *joined;
    return SR_OK;
}

sr_status striped_file_append(striped_file *file, sr_status status, const char *bytes, size_t count, sr_error *error)
{
    round_places places = {.brought = NULL};
    char *joined = NULL, *stripe = NULL;
    bytes = bytes ? bytes : "";
    if (status == SR_OK)
        status = join(file, &bytes, count, &joined, error);
    if (status == SR_OK)
        status = allocate_places(&places, (size_t)sr_parallel_size(file->parallel), error);
    status = sr_parallel_agree(file->parallel, status, error);
    if (status == SR_OK)
        status = place_round(file, count, &places, error);
    if (status == SR_OK)
        status = exchange(file, bytes, &places, &stripe, error);
    free(joined);
    free(stripe);
    free_places(&places);
    return status;
}

sr_status striped_file_end(striped_file *file, sr_error *error)
{
    sr_status status = SR_OK;
    if (sr_parallel_rank(file->parallel) == 0 && file->waiting)
        status = write_at(file, file->waiting, (size_t)(file->end - file->begin), file->begin, error);
    return sr_parallel_agree(file->parallel, status, error);
}

striped_file striped_file_at(sr_parallel *parallel, const char *path, int descriptor, uint64_t begin)
{
    return (striped_file){.parallel = parallel, .path = path, .descriptor = descriptor, .begin = begin, .end = begin};
}

void striped_file_free(striped_file *file)
{
    free(file->waiting);
    file->waiting = NULL;
}

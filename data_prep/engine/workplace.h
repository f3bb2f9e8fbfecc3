/* Where the engine works: its ranks, its memory, its temporary files. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_WORKPLACE_H
#define SRTRAIN_DATA_PREP_ENGINE_WORKPLACE_H

#include "engine/store.h"
#include "srtrain/parallel.h"

typedef struct {
    sr_parallel *parallel;
    size_t rank, ranks;
    uint64_t memory; /* bytes that this process may use */
    uint64_t range;  /* items that a table has room for; 0: as many as fit into an eighth of the memory. Others are for tests */
    char *base;      /* the directory for temporary files stands in this one, */
    char *directory; /* and is made when it is needed; NULL until then */
} workplace;

/* `temporary` NULL: beside `output`. `memory` 0: half of what the job may use on a node, shared by its ranks. Collective. */
sr_status workplace_open(workplace *place, sr_parallel *parallel, const char *temporary, const char *output, uint64_t memory,
                         sr_error *error);

/* Makes the directory for temporary files, for all ranks. Collective; nothing when it is there. */
sr_status workplace_make_directory(workplace *place, sr_error *error);

/* A temporary file of this rank, or a store in memory when `memory` is set. A shared file has the rank's number behind its
 * name. Local; workplace_make_directory() comes first, except for a single process. */
sr_status workplace_store(workplace *place, store *s, const char *name, bool shared, sr_error *error);

/* The shared file `name` of another rank. Local. */
sr_status workplace_open_store(const workplace *place, store *s, const char *name, size_t rank, sr_error *error);

/* A new file that all ranks share: rank 0 makes it. Of one rank alone it is like any other. Collective. */
sr_status workplace_common_store(workplace *place, store *s, const char *name, sr_error *error);

/* Removes the directory with all that is in it, when all ranks are here. Collective. */
void workplace_close(workplace *place);

/* The size of each of `count` buffers that share half of the memory, within 4 KiB to 1 MiB. SR_ERROR_RUNTIME when there are too
 * many.
 */
sr_status workplace_buffer(const workplace *place, size_t count, size_t *size, sr_error *error);

/* How many of `all` elements of `size` bytes an eighth of the memory has room for, at least one: the same number on all ranks,
 * by the one with the least memory. Tables of items are made for so many at a time. Collective. */
sr_status workplace_range(const workplace *place, size_t size, uint64_t all, uint64_t *range, sr_error *error);

/* Which rank an identifier with this hash belongs to. */
static inline size_t workplace_owner(const workplace *place, uint64_t hash)
{
    return (size_t)((hash >> 32) * place->ranks >> 32);
}

/* Sums 32-bit counts over ranks; sums that do not fit stay at the largest number. Collective. */
sr_status workplace_sum(const workplace *place, uint32_t *counts, size_t count, sr_error *error);

/* The number of every rank, one after the other, on every rank: numbers [ranks]. Collective. */
sr_status workplace_share(const workplace *place, uint64_t own, uint64_t *numbers, sr_error *error);

#endif

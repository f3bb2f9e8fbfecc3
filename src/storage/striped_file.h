/* A stretch of a file that all ranks write together, each a stripe of it. What they write comes in rounds. In each round the
 * bytes of rank 0 are first, then come those of rank 1, and so on.
 *
 * No two ranks write into one page, as a file system over a network may write whole pages. So stripes begin where pages begin,
 * and what is left of the last page of a round waits on rank 0. Rank 0 also writes the first page and the last one: stretches
 * may follow each other in a file. Everything is collective unless it says "local". */
#ifndef SRTRAIN_STORAGE_STRIPED_FILE_H
#define SRTRAIN_STORAGE_STRIPED_FILE_H

#include "srtrain/parallel.h"

typedef struct {
    sr_parallel *parallel;
    const char *path; /* for messages; belongs to the caller */
    int descriptor;   /* open for writing on every rank; belongs to the caller */
    uint64_t begin;   /* of what no rank has written yet */
    uint64_t end;     /* of all that was appended */
    char *waiting;    /* rank 0: bytes [begin, end) */
} striped_file;

/* The stretch begins at the place `begin` of the file. Local. Release with striped_file_free(). */
striped_file striped_file_at(sr_parallel *parallel, const char *path, int descriptor, uint64_t begin);
void striped_file_free(striped_file *file); /* local */

/* A round: `count` bytes of this rank, any number. A rank that has failed already takes part with its status. */
sr_status striped_file_append(striped_file *file, sr_status status, const char *bytes, size_t count, sr_error *error);

/* What is waiting is written. */
sr_status striped_file_end(striped_file *file, sr_error *error);

#endif

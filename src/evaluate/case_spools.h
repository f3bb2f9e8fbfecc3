/* What is known of each test case until it is written: records in files without a name, one for each thread of a rank, beside
 * the output. So memory does not grow with the number of cases. */
#ifndef SRTRAIN_EVALUATE_CASE_SPOOLS_H
#define SRTRAIN_EVALUATE_CASE_SPOOLS_H

#include "srtrain/parallel.h"

#include <stdio.h>

typedef struct {
    uint64_t number; /* of the case */
    uint32_t user;
    uint32_t at;   /* which interaction of the user the target is: as many are before it */
    uint32_t rank; /* of the target, from 1; 0: it has none */
    float score;
    int32_t list[]; /* [top_k]: the best items, the best first; 0 where there are no more */
} case_record;

typedef struct {
    sr_parallel *parallel;
    size_t top_k, record_bytes;
    FILE **spools;      /* [threads] */
    case_record **next; /* [threads]: read ahead; number UINT64_MAX: none */
    size_t threads;
} case_spools;

/* Makes the spools of this rank, "PLACE-RANK-THREAD" until their names are taken away. Local. Release with case_spools_free(),
 * also after a failure. */
sr_status case_spools_create(case_spools *spools, sr_parallel *parallel, const char *place, size_t top_k, sr_error *error);
void case_spools_free(case_spools *spools);

/* Appends a record to a thread's spool, in the order of numbers. Whether that succeeded is asked later. Local. */
void case_spools_add(case_spools *spools, size_t thread, const case_record *record);

/* Goes to the beginning. SR_ERROR_RUNTIME where a record could not be written. Local. */
sr_status case_spools_rewind(case_spools *spools, sr_error *error);

/* The records of the cases [first, end) are dealt to ranks: `share` of them to each, in order. *dealt (release with free()) are
 * those of this rank, *count of them, in the order of numbers. Called with consecutive ranges. Collective. */
sr_status case_spools_deal(case_spools *spools, uint64_t first, uint64_t end, size_t share, char **dealt, size_t *count,
                           sr_error *error);

#endif

/* Test cases in order: users, and of each what is held out, oldest first. They are numbered from 0, and dealt in batches, round
 * robin: which cases are computed together does not depend on the number of ranks. Local. */
#ifndef SRTRAIN_EVALUATE_CASE_CURSOR_H
#define SRTRAIN_EVALUATE_CASE_CURSOR_H

#include "srtrain/evaluate.h"

typedef struct {
    const sr_dataset *dataset;
    sr_split split;
    size_t batch, others; /* cases in a batch, and in the batches of others between two of ours */
    size_t user, done;    /* the next case is that user's held-out interaction number `done` */
    uint64_t number;      /* of the next case */
} case_cursor;

/* A test case: interaction `at` of a user. */
typedef struct {
    size_t user, at;
} test_case;

/* For member `own` of `members`. */
case_cursor case_cursor_at(const sr_evaluation *evaluation, size_t own, size_t members);

/* The next batch into cases [batch], and the number of its first case; returns how many it has, 0 at the end. */
size_t case_cursor_take(case_cursor *cursor, test_case *cases, uint64_t *first);

#endif

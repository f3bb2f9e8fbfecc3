/* The cases that two files have in common. Local. */
#ifndef SRTRAIN_EVALUATE_CASE_PAIRS_H
#define SRTRAIN_EVALUATE_CASE_PAIRS_H

#include "evaluate/case_table.h"

typedef struct {
    uint32_t user;
    uint32_t left, right; /* ranks of the target, from 1; 0: none */
    bool repeat;
    int64_t length, popularity;
} case_pair;

typedef struct {
    case_pair *pairs; /* [count], those of a user one after the other */
    size_t count;
    size_t only_left, only_right, without_list;
    size_t longest_list;                         /* of a file of lists; 0 without one */
    bool has_length, has_popularity, has_repeat; /* whether one of the files says them */
} case_pairs;

/* A case is a user, a target and, where both files say it, the length of the history; else the first, second, ... case of a
 * user with that target. Release with case_pairs_free(), also after a failure. */
sr_status case_pairs_read(case_pairs *pairs, const char *left, const char *right, sr_error *error);
void case_pairs_free(case_pairs *pairs);

#endif

/* What tests of several ranks start from. */
#ifndef SRTRAIN_TESTS_RANK_WORLD_H
#define SRTRAIN_TESTS_RANK_WORLD_H

#include "srtrain/parallel.h"

typedef struct {
    sr_parallel *parallel;
    int rank, size;
} world;

/* CMocka's set-up and tear-down of a group; *state is a world. */
int rank_world_set_up(void **state);
int rank_world_tear_down(void **state);

#endif

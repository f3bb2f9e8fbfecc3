/* A small data set that every rank of a test has open. */
#ifndef SRTRAIN_TESTS_SHARED_DATASET_H
#define SRTRAIN_TESTS_SHARED_DATASET_H

#include "small_dataset.h"
#include "srtrain/dataset.h"
#include "srtrain/parallel.h"

typedef struct {
    sr_parallel *parallel;
    char directory[64]; /* the same on every rank, removed at the end */
    sr_dataset *dataset;
} shared_dataset;

/* Starts the ranks, has the first of them write the data set by `write`, and opens it on all; fails the test if it cannot. */
void shared_dataset_open(shared_dataset *shared, void (*write)(const char *directory));

/* Likewise a further data set, in the same directory under `name`; release with sr_dataset_close(). */
sr_dataset *shared_dataset_open_another(const shared_dataset *shared, const char *name, void (*write)(const char *directory));

/* Ends all that, and removes the directory; 0, or what CMocka's tear-down should return. */
int shared_dataset_close(shared_dataset *shared);

/* CMocka's set-up and tear-down of tests that need nothing else: *state is a shared_dataset of these sequences. */
int shared_dataset_set_up(void **state, const equal_sequences *sequences);
int shared_dataset_tear_down(void **state);

#endif

/* A small data set that every rank of a test has open. */
#ifndef SRTRAIN_TESTS_SHARED_DATASET_H
#define SRTRAIN_TESTS_SHARED_DATASET_H

#include "srtrain/dataset.h"
#include "srtrain/parallel.h"

typedef struct {
    sr_parallel *parallel;
    char directory[64]; /* the same on every rank */
    sr_dataset *dataset;
} shared_dataset;

/* Starts the ranks, has the first of them write the data set by `write`, and opens it on all; fails the test if it cannot. */
void shared_dataset_open(shared_dataset *shared, void (*write)(const char *directory));

/* Ends all that, and removes the directory; 0, or what CMocka's tear-down should return. */
int shared_dataset_close(shared_dataset *shared);

#endif

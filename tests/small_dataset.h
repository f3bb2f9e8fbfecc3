/* A small data set on disk for tests of what reads one. */
#ifndef SRTRAIN_TESTS_SMALL_DATASET_H
#define SRTRAIN_TESTS_SMALL_DATASET_H

#include <stddef.h>
#include <stdint.h>

/* What a test decides about its sequences; arrays as in sr_dataset_contents. */
typedef struct {
    size_t users, items, shards;
    const int64_t *offsets;
    const int32_t *item_ids;
    const int64_t *times; /* or NULL */
    const int32_t *train_end, *valid_end;
} small_dataset;

/* Writes it into `directory`, or fails the test. Users are named n0, n1, ..., and so are items, from id 1 on. */
void small_dataset_write(const char *directory, const small_dataset *data);

/* The same with sequences of one length: the last two interactions of each are for validation and test. `item_of` gives the
 * item, counted from 0, and `time_of` (or NULL: without times) the time of interaction `i` of a user. */
typedef struct {
    size_t users, items, length, shards;
    size_t (*item_of)(size_t user, size_t i); /* taken modulo `items` */
    int64_t (*time_of)(size_t user, size_t i);
} equal_sequences;

void small_dataset_write_equal(const char *directory, const equal_sequences *data);

#endif

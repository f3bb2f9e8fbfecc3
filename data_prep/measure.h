/* What a data set looks like: for the reports of convert, synth and info. */
#ifndef SRTRAIN_DATA_PREP_MEASURE_H
#define SRTRAIN_DATA_PREP_MEASURE_H

#include "srtrain/dataset.h"

#include <cjson/cJSON.h>

enum { MEASURE_QUANTILES = 7, MEASURE_BUCKETS = 64 };

typedef struct {
    size_t lengths[MEASURE_QUANTILES]; /* quantiles: see measure.c */
    size_t histogram[MEASURE_BUCKETS]; /* lengths in [2^k, 2^(k + 1)) */
    size_t valid_cases, test_cases;
    double top_1, top_10;              /* shares of the interactions that the most popular 1 % and 10 % of the items have */
    double gini;                       /* of interactions over items: 0 for equal shares */
    int64_t first_time, last_time;     /* with time stamps */
    size_t unseen_users;               /* without an interaction for training */
    size_t unseen_items, unseen_cases; /* items that do not occur in training, and their interactions */
    size_t cold_valid, cold_test;      /* cases whose item does not occur in training */
    size_t cold_user_valid, cold_user_test; /* cases of users without an interaction for training */
} measures;

/* Looks at all users and items; takes 8 bytes of memory for each possible length and for each item with 65536 interactions or
 * more. */
sr_status measure(const sr_dataset *dataset, measures *found, sr_error *error);

/* Counts, the split, lengths with a picture, popularity, the time range, on standard output. */
void measures_print(const sr_dataset *dataset, const measures *found);

/* The same into a JSON object. False when memory is short. */
bool measures_add_json(const sr_dataset *dataset, const measures *found, cJSON *object);

#endif

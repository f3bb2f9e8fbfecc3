/* Interactions in memory, between reading and writing. */
#ifndef SRTRAIN_DATA_PREP_INTERACTIONS_H
#define SRTRAIN_DATA_PREP_INTERACTIONS_H

#include "base/names.h"

#include <stdbool.h>

typedef struct {
    uint32_t user, item; /* numbers of names, in order of first appearance */
    int64_t time;        /* 0 without time stamps */
    uint64_t order;      /* of the input, over all files */
    float rating;        /* 0 without ratings */
} numbered;

typedef struct {
    name_table users, items;
    numbered *list;
    size_t count, room;
    bool has_times, has_ratings;
} interactions;

sr_status interactions_create(interactions *all, sr_error *error);
void interactions_free(interactions *all);

/* Appends one; `order` is set. */
sr_status interactions_add(interactions *all, const char *user, size_t user_length, const char *item, size_t item_length,
                           int64_t time, float rating, sr_error *error);

#endif

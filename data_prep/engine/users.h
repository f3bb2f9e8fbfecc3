/* What is done to the interactions of one user after the other: duplicates, counts that are too large, the core. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_USERS_H
#define SRTRAIN_DATA_PREP_ENGINE_USERS_H

#include "engine/gather.h"

typedef enum { DEDUPLICATE_NONE, DEDUPLICATE_FIRST, DEDUPLICATE_LAST, DEDUPLICATE_CONSECUTIVE } deduplication;

typedef struct {
    deduplication duplicates;
    uint64_t min_user, min_item; /* 0 and 0: no core */
    uint64_t max_user, max_item; /* 0: any */
    uint64_t max_length;         /* 0: any */
    bool has_times;
    const uint8_t *given; /* the given_part of each part of the input, in which sequences run; NULL: by time alone */
    bool one_line_a_user; /* a user with several lines is an error */
    const char *const
        *part_paths; /* for its message: the file of each part, and the lines in front of the part; NULL: unknown */
    const uint64_t *part_lines;
} user_rules;

/* What went, over all ranks. */
typedef struct {
    uint64_t duplicates, capped, core, core_rounds, too_long;
} user_counts;

/* Puts the interactions of given files behind each other, which no time stamp may contradict (SR_ERROR_DATA). Removes
 * duplicates, then users with more than `max_user` and items with more than `max_item` interactions, and repeats the core:
 * users with fewer than `min_user` and items with fewer than `min_item` interactions, both counted at the start of a round, go
 * until a round changes nothing. Rewrites `g->events` in place and sets `g->event_count`. Takes an eighth of the memory for
 * counts of a range of items, and a bit for each item. Collective. */
sr_status reduce_users(workplace *place, gathered *g, const user_rules *rules, user_counts *counts, sr_error *error);

/* The identifier of a user of this rank in a message: "WHERE: user "U" WHAT", SR_ERROR_DATA. Local. */
sr_status fail_with_user(const gathered *g, uint32_t user, const char *where, const char *what, sr_error *error);

/* Called with the events of each user, which may be changed: *count of them stay, in front. */
typedef sr_status (*user_function)(void *context, event *events, size_t *count, sr_error *error);

/* Calls the function for each user in turn; with `rewrite` what stays replaces the events. Local. */
sr_status for_each_user(const workplace *place, gathered *g, user_function function, void *context, bool rewrite,
                        sr_error *error);

#endif

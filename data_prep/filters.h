/* From raw interactions to those that stay, in their final order. The steps, in this order: rating threshold, sorting,
 * duplicates, k-core, order of users. */
#ifndef SRTRAIN_DATA_PREP_FILTERS_H
#define SRTRAIN_DATA_PREP_FILTERS_H

#include "interactions.h"

typedef enum { DEDUPLICATE_NONE, DEDUPLICATE_FIRST, DEDUPLICATE_LAST } deduplication;

/* What the filters dropped. */
typedef struct {
    size_t low_rating, duplicates, core;
    unsigned core_rounds; /* passes of the k-core, the last one, which changes nothing, included */
} filter_report;

/* Drops interactions rated below `minimum`. */
void filter_ratings(interactions *all, double minimum, filter_report *report);

/* Sorts by (user, time, place in the input); users by first appearance in the input. */
sr_status sort_interactions(interactions *all, sr_error *error);

/* Keeps one of several interactions of a user with the same item: the first or the last in time. On sorted interactions. */
sr_status remove_duplicates(interactions *all, deduplication which, filter_report *report, sr_error *error);

/* Drops users with fewer than `min_user` and items with fewer than `min_item` interactions, both counted at the start of a
 * pass, until a pass changes nothing. Keeps the order. */
sr_status repeat_core(interactions *all, size_t min_user, size_t min_item, filter_report *report, sr_error *error);

/* Puts users in the order in which their remaining interactions first appear in the input: filters may have dropped those that
 * gave the users their numbers. On sorted interactions; the order within users stays. */
sr_status order_users(interactions *all, sr_error *error);

/* Users' interactions that share their time stamp with the one before, on sorted interactions. */
size_t count_ties(const interactions *all);

#endif

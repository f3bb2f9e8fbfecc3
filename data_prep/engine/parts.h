/* Which part of each sequence is for training, validation and test, and what is left out of it for that. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_PARTS_H
#define SRTRAIN_DATA_PREP_ENGINE_PARTS_H

#include "engine/users.h"
#include "split.h"

/* What is left out of validation and test parts. */
typedef enum { COLD_KEEP, COLD_DROP, COLD_ITEMS, COLD_USERS } cold_rule;

/* What went for that, over all ranks. */
typedef struct {
    uint64_t items, users; /* interactions with items, and of users, that training does not know */
} cold_counts;

typedef struct {
    split_rule rule; /* with moments where it had quantiles */
    cold_rule cold;
    const user_rules *users;
    const uint64_t *part_starts; /* interactions in front of each part of the input */
    bool has_times;
    uint64_t *trained;   /* a bit for each item that occurs in training; NULL unless items are left out */
    cold_counts dropped; /* on this rank */
} part_plan;

/* The place of an interaction among all that were read. */
static inline uint64_t place_in_input(const uint64_t *part_starts, uint64_t order)
{
    const uint64_t part = order >> ORDER_PART_SHIFT;
    return part_starts[part] + (order - (part << ORDER_PART_SHIFT));
}

/* Finds out what the rule needs to know of all interactions: the moments of quantiles, and which items occur in training. Takes
 * a few passes over them. Release with parts_free(), also after a failure. Collective. */
sr_status parts_settle(part_plan *parts, workplace *place, gathered *g, sr_error *error);
void parts_free(part_plan *parts);

/* Where the parts of a user's sequence end; of his `events` *count stay, the last of them, without those that are left out.
 * *kept is where they begin. Local. */
void parts_of_user(part_plan *parts, event *events, size_t *count, event **kept, uint32_t *train_end, uint32_t *valid_end);

#endif

/* Users from a source, dealt to ranks round by round.
 *
 * Users that are encoded together form a unit. Units are cut by rank 0 from the stream of users alone, and a rank gets whole
 * units: so the arithmetic of a user's scores, down to rounding, does not depend on the number of ranks. */
#ifndef SRTRAIN_EVALUATE_USER_ROUNDS_H
#define SRTRAIN_EVALUATE_USER_ROUNDS_H

#include "evaluate/scorer.h"
#include "srtrain/evaluate.h"

/* Bytes that grow. */
typedef struct {
    char *bytes;
    size_t used, room;
} byte_buffer;

/* What is dealt of a user besides the history. */
typedef struct {
    uint64_t index; /* in the source, from 1 */
    uint64_t length;
    int32_t number; /* as the model knows the user, or 0 */
    int32_t opens_unit;
    uint64_t candidates;
    uint64_t first_candidate; /* among those of this rank's part */
} user_record;

typedef struct {
    sr_parallel *parallel;
    const sr_user_source *source;
    bool with_times;
    int64_t next_time;      /* when users are recommended to, for models that ask */
    size_t unit_users;      /* at most so many users in a unit */
    size_t units_of_a_rank; /* in a round */
    /* Rank 0: the users of a round. */
    byte_buffer records, items, times, candidates, names, name_ends;
    size_t *unit_begins; /* [units_of_a_rank * ranks + 1]: the first user of each unit */
    size_t units, users_so_far;
    bool ended;
    /* This rank's part of the round. */
    user_record *part;
    int32_t *part_items;
    int64_t *part_times;
    int32_t *part_candidates;
    size_t part_users;
} user_rounds;

/* Release with user_rounds_free(), also after a failure. Collective, like user_rounds_next(). */
sr_status user_rounds_create(user_rounds *rounds, sr_parallel *parallel, const sr_user_source *source, bool with_times,
                             size_t unit_users, size_t units_of_a_rank, sr_error *error);
void user_rounds_free(user_rounds *rounds);

/* Deals the next round, or says that there is none. */
sr_status user_rounds_next(user_rounds *rounds, bool *more, sr_error *error);

/* The unit of this rank's part that begins with its user `first`, whose history begins at item `first_item`: fills `histories`
 * [unit_users], and returns how many users it has. Local. */
size_t user_rounds_unit(const user_rounds *rounds, size_t first, size_t first_item, scored_history *histories);

/* On rank 0: the number of users in the round, and the name of one of them. */
size_t user_rounds_users(const user_rounds *rounds);
const char *user_rounds_name(const user_rounds *rounds, size_t user, size_t *length);

#endif

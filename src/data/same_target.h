/* Which examples predict the same item: the other view of an example in contrastive training (DuoRec, Qiu et al. 2022). */
#ifndef SRTRAIN_DATA_SAME_TARGET_H
#define SRTRAIN_DATA_SAME_TARGET_H

#include "srtrain/batch.h"
#include "srtrain/random.h"

/* Numbers of examples grouped by target: 4 bytes an example and 8 an item, on every rank. */
typedef struct {
    size_t *offsets;   /* [items + 2]: item i is the target of members[offsets[i]] .. members[offsets[i + 1]] */
    uint32_t *members; /* [examples], ascending within a group */
} same_target_index;

/* The targets of the examples of all users, in the order of examples: those of one user at a time. */
typedef struct {
    size_t users;
    /* The targets of a user's examples, *count of them. */
    const int32_t *(*targets)(const void *context, size_t user, size_t *count);
    const void *context;
} target_source;

/* Release with same_target_index_free(). SR_ERROR_RUNTIME for memory and for more than 2^32 examples. Local. */
sr_status same_target_index_make(same_target_index *index, size_t items, size_t examples, const target_source *source,
                                 sr_error *error);
size_t same_target_index_memory(size_t items, size_t examples); /* in bytes */
void same_target_index_free(same_target_index *index);          /* all zero is allowed */

/* How to look at an example by its number. */
typedef struct {
    sr_example (*at)(const void *context, size_t number);
    const void *context;
    size_t longest; /* the latest items of a history that count */
} example_source;

/* An example with the same target as example `number`, uniform among those whose history differs from its own within the latest
 * `longest` items; the example itself where there is none. A function of (stream, number) alone. */
sr_example same_target_draw(const same_target_index *index, const example_source *source, sr_random_stream stream,
                            size_t number);

#endif

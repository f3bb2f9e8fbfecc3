/* The last sorting: users' sequences in the order of the first of their remaining interactions in the input. Sequences that do
 * not fit into memory go to sorted runs; with several ranks each takes over a contiguous range of the final order. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_SEQUENCES_H
#define SRTRAIN_DATA_PREP_ENGINE_SEQUENCES_H

#include "engine/collect.h"

/* One user's sequence; the pointers are valid until the next one. */
typedef struct {
    const char *user;
    size_t user_length, length;
    uint32_t train_end, valid_end; /* where its parts end */
    const uint32_t *items;         /* [length] */
    const int64_t *times;          /* [length], or NULL */
} sequence;

/* How much there is, and what of it is this rank's. */
typedef struct {
    uint64_t users, interactions;           /* of all ranks */
    uint64_t first_user, first_interaction; /* of this rank */
    uint64_t own_users, own_interactions;
    uint64_t user_width; /* bytes of the longest identifier of a user */
} sequence_totals;

typedef struct {
    workplace *place;
    bool has_times;
    uint64_t memory, key_count;
    char *bytes; /* sequences, one after the other */
    uint64_t used, room;
    void *keys; /* of sort_key: key and place of each sequence */
    size_t count, keys_room;
    bool spilled;
    store file;
    store_writer writer;
    uint64_t *bounds; /* [runs, buckets + 1]: where the sequences of each bucket of keys begin in the file */
    size_t runs, buckets;
    int64_t *histogram; /* [2, buckets]: users and interactions */
    sequence_totals totals;
    /* while they are taken out */
    size_t next;
    struct sequence_source *sources;
    size_t source_count, *order, heap_count;
    store *files;
    uint32_t *items;
    int64_t *times;
    size_t longest;
} sequences;

/* Keys are below `key_count`; `memory` bytes may be used. Release with sequences_free(). Local. */
sr_status sequences_create(sequences *s, workplace *place, bool has_times, uint64_t key_count, uint64_t memory,
                           sr_error *error);
void sequences_free(sequences *s);

/* A sequence that is added. */
typedef struct {
    uint64_t key; /* those of users differ */
    const char *user;
    size_t user_length;
    const event *events; /* [count], in its order */
    size_t count;
    uint32_t train_end, valid_end;
} added_sequence;

/* Adds the sequence of a user. Local. */
sr_status sequences_add(sequences *s, const added_sequence *added, sr_error *error);

/* After the last one: sets `s->totals`. Collective. */
sr_status sequences_finish(sequences *s, sr_error *error);

/* The sequences of this rank in their final order; *one.length is 0 after the last. Local. */
sr_status sequences_next(void *sequences_of_rank, sequence *one, sr_error *error);

#endif

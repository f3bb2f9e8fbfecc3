/* An open data set: shared by the files that open it, verify it and read from it. */
#ifndef SRTRAIN_STORAGE_DATASET_INTERNAL_H
#define SRTRAIN_STORAGE_DATASET_INTERNAL_H

#include "srtrain/dataset.h"
#include "storage/mapped_file.h"

typedef struct {
    sr_mapped_file file;
    size_t first_user, users, interactions;
    const int64_t *offsets; /* [users + 1] into items */
    const int32_t *items;
    const int64_t *times; /* NULL if there are none */
    const int32_t *train_end, *valid_end;
} sr_shard;

/* A shard whose items have other numbers now. */
typedef struct {
    int64_t *offsets;
    int32_t *items;
    int64_t *times;
    int32_t *train_end, *valid_end;
} translated_shard;

typedef struct dataset_translation dataset_translation;
void dataset_translation_free(dataset_translation *translation); /* NULL is allowed */

struct sr_dataset {
    char *directory;
    sr_mapped_file index;
    size_t users, items, interactions, shard_count, longest;
    bool has_times;
    char *split, *fingerprint;
    const sr_mapped_array *user_ids, *item_ids;
    const int64_t *popularity;        /* [items + 1] */
    const int64_t *item_interactions; /* [items + 1] */
    const int64_t *first_user;        /* [shards] */
    sr_shard *shards;
    dataset_translation *translation; /* NULL: items have the numbers that the files say */
};

#endif

/* The names in the files of a data set, in one place. docs/formats.md says what they mean. */
#ifndef SRTRAIN_STORAGE_DATASET_FORMAT_H
#define SRTRAIN_STORAGE_DATASET_FORMAT_H

#define SR_DATASET_FORMAT "srtrain-data-1"

/* Files */
#define SR_DATASET_INDEX_FILE "index.h5"
#define SR_DATASET_SHARD_FILE "shard-%05zu.h5"

/* Attributes of the index file's root; format, fingerprint and users are in the shards as well */
#define SR_ATTRIBUTE_FORMAT "format"
#define SR_ATTRIBUTE_USERS "users"
#define SR_ATTRIBUTE_ITEMS "items"
#define SR_ATTRIBUTE_INTERACTIONS "interactions"
#define SR_ATTRIBUTE_SHARDS "shards"
#define SR_ATTRIBUTE_HAS_TIMES "has_times"
#define SR_ATTRIBUTE_SPLIT "split"
#define SR_ATTRIBUTE_FINGERPRINT "fingerprint"
#define SR_ATTRIBUTE_ORIGIN "origin"
#define SR_ATTRIBUTE_LONGEST "longest"

/* Attributes of a shard's root */
#define SR_ATTRIBUTE_INDEX "index"
#define SR_ATTRIBUTE_FIRST_USER "first_user"

/* Datasets of the index file */
#define SR_INDEX_USER_ID "/users/id"
#define SR_INDEX_ITEM_ID "/items/id"
#define SR_INDEX_POPULARITY "/items/popularity"
#define SR_INDEX_INTERACTIONS "/items/interactions"
#define SR_INDEX_FIRST_USER "/shards/first_user"

/* Datasets of a shard */
#define SR_SHARD_OFFSETS "/offsets"
#define SR_SHARD_ITEMS "/items"
#define SR_SHARD_TIMES "/times"
#define SR_SHARD_TRAIN_END "/train_end"
#define SR_SHARD_VALID_END "/valid_end"

/* All numbers are stored in little-endian order and used in place. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "data sets are mapped into memory: a little-endian machine is needed");

#endif

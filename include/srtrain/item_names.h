/* The identifiers of a model's items in the raw data: those of a data set, or those that a checkpoint carries. Local. */
#ifndef SRTRAIN_ITEM_NAMES_H
#define SRTRAIN_ITEM_NAMES_H

#include "srtrain/checkpoint.h"
#include "srtrain/dataset.h"
#include "srtrain/status.h"

typedef struct sr_item_names sr_item_names;

/* Identifiers of a checkpoint whose header has been read from `path`; *names is NULL where it carries none: older files, and
 * those of catalogues whose identifiers take more than SR_ITEM_NAMES_MAXIMUM bytes. Verifies their checksum. Release with
 * sr_item_names_free(). */
sr_status sr_item_names_of_checkpoint(sr_item_names **names, const char *path, const sr_checkpoint *checkpoint,
                                      sr_error *error);

/* Those of a data set, which must live as long. */
sr_status sr_item_names_of_dataset(sr_item_names **names, const sr_dataset *dataset, sr_error *error);

/* The same of users: number n is that of user n - 1. Files carry them where the model has vectors of users. */
sr_status sr_user_names_of_checkpoint(sr_item_names **names, const char *path, const sr_checkpoint *checkpoint,
                                      sr_error *error);
sr_status sr_user_names_of_dataset(sr_item_names **names, const sr_dataset *dataset, sr_error *error);

/* Identifiers of a checkpoint, those of `users` or of items, or else those of the data set that it was trained on: *trained_on,
 * which is opened for that, unless it is open, and closed by the caller when the names are gone. */
sr_status sr_names_find(sr_item_names **names, sr_dataset **trained_on, const char *path, const sr_checkpoint *checkpoint,
                        bool users, sr_error *error);
void sr_item_names_free(sr_item_names *names); /* NULL is allowed */

/* That of item 1 to sr_item_names_count(): *length bytes, not null-terminated, which belong to the names. None is longer than
 * sr_item_names_width(). */
const char *sr_item_name(const sr_item_names *names, size_t item, size_t *length);
size_t sr_item_names_count(const sr_item_names *names);
size_t sr_item_names_width(const sr_item_names *names);

/* Takes the pages of those that have been looked at out of this process's memory. */
void sr_item_names_let_go(const sr_item_names *names);

/* Where they are from, for messages. */
const char *sr_item_names_origin(const sr_item_names *names);

/* ---- data sets with other items ---- */

enum { SR_TRANSLATION_SHOWN_SIZE = 320 };

/* What of a data set a model does not know. */
typedef struct {
    size_t items, unknown_items;
    size_t interactions, unknown_interactions; /* of all parts */
    size_t unknown_held_out;                   /* of the parts for validation and test */
    char shown[SR_TRANSLATION_SHOWN_SIZE];     /* the identifiers of the first unknown items */
} sr_translation;

/* Turns an open data set into one of the items that `names` has, with their numbers: interactions with other items are left
 * out, popularity is that of the data set. It takes as much memory as its interactions. The names must live as long as the data
 * set. SR_ERROR_DATA where it has none of the items. */
sr_status sr_dataset_translate(sr_dataset *dataset, const sr_item_names *names, sr_translation *found, sr_error *error);

#endif

/* Test cases as `srtrain evaluate --cases` writes them, or lists of recommended items of any program, read from a file. Local.
 *
 * FILE.h5 has datasets, any other file lines of fields that tabs separate, or commas where the first line has no tab. The first
 * line names the columns. With `target` the file has cases: user, target and rank, and length, popularity and repeat where it
 * has them. With `item` in its place it has lists: user, item, and the rank of the item, or else items in order. */
#ifndef SRTRAIN_EVALUATE_CASE_TABLE_H
#define SRTRAIN_EVALUATE_CASE_TABLE_H

#include "base/names.h"

typedef struct {
    uint32_t user, item; /* numbers of names; the item is the target, or one of a list */
    uint32_t rank;       /* from 1; 0: none */
    bool repeat;
    int64_t length, popularity;
} case_row;

typedef struct {
    const char *path;
    bool is_lists;
    bool has_length, has_popularity, has_repeat;
    case_row *rows; /* [count] */
    size_t count, room;
} case_table;

/* Users and items are numbered by `users` and `items`, which several tables share. `path` must outlive the table. SR_ERROR_DATA
 * with the place of what is wrong. Release with case_table_free(), also after a failure. */
sr_status case_table_read(case_table *table, const char *path, name_table *users, name_table *items, sr_error *error);
void case_table_free(case_table *table);

#endif

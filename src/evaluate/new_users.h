/* New users: a file with one history a line, "user item item ...", oldest item first, in original identifiers. Words are
 * separated by blanks or, in a line that holds a tab, by tabs, so that identifiers may hold blanks. Where the model needs
 * times, each word is ITEM:TIME; the time stands behind the last colon.
 *
 * The file is read twice: once to its end, so that everything that is wrong with it is found before anything is computed, and
 * once more as a source of users, line by line. For rank 0 only; everything is local. */
#ifndef SRTRAIN_EVALUATE_NEW_USERS_H
#define SRTRAIN_EVALUATE_NEW_USERS_H

#include "srtrain/evaluate.h"
#include "srtrain/item_names.h"

typedef struct new_users new_users;

enum { NEW_USERS_SHOWN_SIZE = 320 };

/* What the file holds. */
typedef struct {
    size_t users, interactions;
    size_t unknown;                           /* interactions with items that the data set does not have */
    size_t unknown_lines;                     /* lines with such items */
    char unknown_shown[NEW_USERS_SHOWN_SIZE]; /* the first of each of the first lines */
    size_t empty;                             /* users without any known item */
    char empty_shown[NEW_USERS_SHOWN_SIZE];
    size_t longest_name;
} new_users_report;

/* Reads the file once. Items are looked up for as many lines at a time as `memory` bytes have room for their identifiers, with
 * one pass over those of the data set for each time; nothing is kept for the other items. Users without any known item are kept
 * with an empty history if `keeps_empty`, else left out. Release with new_users_close(). SR_ERROR_DATA for a line that does not
 * fit, a user that has had a line before (both lines are named), a file without any user, an identifier that two items have;
 * SR_ERROR_USAGE for what is no regular file and cannot be read twice. */
typedef struct {
    const char *path;
    const sr_item_names *names;
    bool keeps_empty, has_times;
    uint64_t memory;
} new_users_request;

sr_status new_users_open(new_users **opened, const new_users_request *request, sr_error *error);
void new_users_close(new_users *users); /* NULL is allowed */

const new_users_report *new_users_found(const new_users *users);

/* An sr_user_source's `next`; `users` is a new_users. */
sr_status new_users_next(void *users, sr_recommended_user *user, sr_error *error);

#endif

/* Files that name items by their identifiers: items that are all alike, one a line, or candidates of each user. Local. */
#ifndef SRTRAIN_EVALUATE_ITEM_LISTS_H
#define SRTRAIN_EVALUATE_ITEM_LISTS_H

#include "srtrain/evaluate.h"
#include "srtrain/item_names.h"

enum { ITEM_LISTS_SHOWN_SIZE = 320 };

/* What a file names that nobody knows. */
typedef struct {
    size_t named, unknown; /* different items */
    char shown[ITEM_LISTS_SHOWN_SIZE];
} item_lists_report;

/* Marks the items that a file names, one a line: marks[item] is set for each, [items + 1]. Where it names no item that
 * there is, SR_ERROR_DATA if one is needed. */
sr_status item_marks_read(const char *path, const sr_item_names *names, bool needs_one, uint8_t *marks,
                          item_lists_report *report, sr_error *error);

/* Candidates of users: lines "user item item ...", separated as histories are (new_users.h). */
typedef struct candidate_lists candidate_lists;

/* Reads all lists. Release with candidate_lists_free(). SR_ERROR_DATA for a user with two lines, and where no item is known. */
sr_status candidate_lists_read(candidate_lists **lists, const char *path, const sr_item_names *names, item_lists_report *report,
                               sr_error *error);
void candidate_lists_free(candidate_lists *lists); /* NULL is allowed */

/* A source of those users of another one that have candidates, with them. `lists` and `users` must live as long. */
sr_user_source candidate_lists_source(candidate_lists *lists, const sr_user_source *users);

/* Users of lists that the source has not had so far. */
size_t candidate_lists_unused(const candidate_lists *lists);

#endif

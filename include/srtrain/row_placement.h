/* Who owns which row of a table that is divided among owners.
 *
 * Rows go to their owners in turn: row r to owner r mod W of W. As many rows as there are owners, from a multiple of W
 * on, are a group. Some rows are far more popular than others, and chance gives some owners more of them. So the most
 * popular ones change places with others of their groups, each to the owner that is asked least so far. Hence
 *
 * - every owner has one row of each group, so that it has as many rows as any other, or one more;
 * - the place of a row among those of its owner is the number of its group, whoever the owner is; numbers ascend there;
 * - all that has to be kept are some thousand rows that are not where their turn is.
 *
 * A placement is a function of the number of rows, the number of owners and the popularity of rows, and of nothing else: all
 * processes make the same one. */
#ifndef SRTRAIN_ROW_PLACEMENT_H
#define SRTRAIN_ROW_PLACEMENT_H

#include "srtrain/row_numbers.h"
#include "srtrain/status.h"

typedef struct sr_row_placement sr_row_placement;

/* The most popular rows that are placed. */
enum { SR_PLACED_ROWS = 4096 };

/* Rows 0 .. rows - 1 of a table are to be placed. */
typedef struct {
    size_t rows, owners;
    const int64_t *popularity; /* [counted]: how often each row is read, in proportion. NULL: all go in turn */
    size_t counted;            /* at most `rows` */
} sr_placement_request;

/* Takes one pass over popularity, of which nothing is kept, and memory for the popular rows alone. Local. Release with
 * sr_row_placement_free(). */
sr_status sr_row_placement_create(sr_row_placement **placement, const sr_placement_request *request, sr_error *error);
void sr_row_placement_free(sr_row_placement *placement); /* NULL is allowed */

size_t sr_row_placement_owners(const sr_row_placement *placement);

/* The owner of a row, and its place among the rows of that owner. */
size_t sr_row_placement_owner(const sr_row_placement *placement, int32_t row);
size_t sr_row_placement_place(const sr_row_placement *placement, int32_t row);

/* The rows of an owner, at their places. They point into the placement. */
sr_row_numbers sr_row_placement_rows(const sr_row_placement *placement, size_t owner);

#endif

/* Rows that one model takes over from another one, which has other items or users: a row goes where the row of the same
 * identifier is. Which rows these are is found here; sr_checkpoint_take() reads them. */
#ifndef SRTRAIN_ROW_MOVES_H
#define SRTRAIN_ROW_MOVES_H

#include "srtrain/item_names.h"
#include "srtrain/node.h"
#include "srtrain/parallel.h"
#include "srtrain/parameters.h"
#include "srtrain/row_numbers.h"

/* Row `from` of the other table becomes row `to`. */
typedef struct {
    int32_t from, to;
} sr_row_move;

/* The rows of this process. */
typedef struct {
    sr_row_move *list; /* [count], in ascending order of `from` */
    size_t count;
    int32_t *fresh; /* [fresh_count]: rows of identifiers that the other table does not have */
    size_t fresh_count;
    size_t kept;      /* moves of identifiers: all but padding and what lies behind the last identifier */
    size_t old_count; /* identifiers of the other table, */
    size_t old_rows;  /* and its rows */
} sr_row_moves;

/* What sr_row_moves_find() goes by. */
typedef struct {
    const sr_item_names *before, *now; /* identifiers of the rows of the other table, and of this one */
    size_t more;                       /* rows that both have behind the last identifier */
    const sr_row_numbers *here;        /* [parts]: the rows of this table that this process asks for */
    size_t parts;
} sr_row_search;

/* Needs memory in proportion to the rows that are asked for, and reads all identifiers once. Local. Release with
 * sr_row_moves_free(), also after a failure. SR_ERROR_DATA where two rows have the same identifier. */
sr_status sr_row_moves_find(sr_row_moves *moves, const sr_row_search *search, sr_error *error);
void sr_row_moves_free(sr_row_moves *moves);

/* What the state of the optimizer in a file is good for. */
typedef enum {
    SR_STATE_ABSENT, /* the file has none */
    SR_STATE_OTHER,  /* it is another optimizer's */
    SR_STATE_FITS
} sr_state_found;

/* Which it is, for `state`. Collective: rank 0 looks, all learn it. */
sr_status sr_checkpoint_look_at_state(sr_parallel *parallel, const char *path, const sr_state *state, sr_state_found *found,
                                      sr_error *error);

/* How rows are taken over. */
typedef struct {
    sr_node *node; /* whose processes share parameters and state, as in sr_checkpoint_read_shared_state(); or NULL */
    /* By the owner of rows (sr_row_owner); all ranks know old_count and old_rows. What lies in blocks of rows is moved by
     * the process that has it, all else by rank 0. NULL where no array has such rows. */
    const sr_row_moves *moves[SR_ROW_OWNERS];
    bool mean;     /* fresh rows start as the mean of the other table's; else as they are drawn */
    uint64_t seed; /* of these draws */
} sr_taking;

/* sr_checkpoint_read_state() for a model with other items or users: rows move, all else must have the shapes of the file.
 * Without `state`, NULL, parameters alone are taken. What the state of fresh rows holds stays as it is. Collective. */
sr_status sr_checkpoint_take(sr_parallel *parallel, const char *path, const sr_taking *taking, sr_parameters *parameters,
                             const sr_state *state, sr_error *error);

#endif

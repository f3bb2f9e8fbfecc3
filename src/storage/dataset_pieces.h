/* Going through the columns of a data set that need not fit into memory. Called by what plans and what writes its files. */
#ifndef SRTRAIN_STORAGE_DATASET_PIECES_H
#define SRTRAIN_STORAGE_DATASET_PIECES_H

#include "srtrain/dataset.h"

/* Bytes of an element of a column. */
size_t dataset_element_size(const sr_dataset_source *source, sr_dataset_column column);

/* Gets elements [first, first + count) of a column. */
typedef sr_status dataset_piece_function(void *context, const void *values, size_t first, size_t count, sr_error *error);

/* Calls the function for one piece of elements [first, end) after the other; stops at the first failure. */
sr_status dataset_for_pieces(const sr_dataset_source *source, sr_dataset_column column, size_t first, size_t end,
                             dataset_piece_function *function, void *context, sr_error *error);

/* Columns of users side by side: one piece after the other. */
typedef struct {
    int32_t *length, *train_end, *valid_end; /* [count] */
    size_t first, count;
} user_piece;

/* Release with user_piece_free(), also after a failure. */
sr_status user_piece_allocate(user_piece *piece, sr_error *error);
void user_piece_free(user_piece *piece);

/* Reads the piece behind the last one; its count is 0 at the end. */
sr_status user_piece_next(user_piece *piece, const sr_dataset_source *source, sr_error *error);

#endif

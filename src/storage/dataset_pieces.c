#include "storage/dataset_pieces.h"

#include "srtrain/memory.h"

#include <stdlib.h>

enum { PIECE_BYTES = 1 << 18, USER_PIECE = 1 << 15 };

size_t dataset_element_size(const sr_dataset_source *source, sr_dataset_column column)
{
    return column == SR_COLUMN_USER_NAME   ? source->user_width
           : column == SR_COLUMN_ITEM_NAME ? source->item_width
           : column == SR_COLUMN_TIME      ? sizeof(int64_t)
                                           : sizeof(int32_t);
}

sr_status dataset_for_pieces(const sr_dataset_source *source, sr_dataset_column column, size_t first, size_t end,
                             dataset_piece_function *function, void *context, sr_error *error)
{
    const size_t size = dataset_element_size(source, column), piece = size < PIECE_BYTES ? PIECE_BYTES / size : 1;
    void *values;
    SR_TRY(sr_allocate(&values, piece, size, "a piece of a data set", error));
    sr_status status = SR_OK;
    for (size_t done = first; done < end && status == SR_OK; done += piece) {
        const size_t here = end - done < piece ? end - done : piece;
        status = source->read(source->context, column, done, here, values, error);
        if (status == SR_OK)
            status = function(context, values, done, here, error);
    }
    free(values);
    return status;
}

void user_piece_free(user_piece *piece)
{
    free(piece->length);
    free(piece->train_end);
    free(piece->valid_end);
}

sr_status user_piece_allocate(user_piece *piece, sr_error *error)
{
    const char *what = "a piece of a data set";
    *piece = (user_piece){.count = 0};
    SR_TRY(SR_ALLOCATE(&piece->length, (size_t)USER_PIECE, what, error));
    SR_TRY(SR_ALLOCATE(&piece->train_end, (size_t)USER_PIECE, what, error));
    return SR_ALLOCATE(&piece->valid_end, (size_t)USER_PIECE, what, error);
}

sr_status user_piece_next(user_piece *piece, const sr_dataset_source *source, sr_error *error)
{
    piece->first += piece->count;
    const size_t left = source->users - piece->first;
    piece->count = left < USER_PIECE ? left : (size_t)USER_PIECE;
    if (piece->count == 0)
        return SR_OK;
    SR_TRY(source->read(source->context, SR_COLUMN_LENGTH, piece->first, piece->count, piece->length, error));
    SR_TRY(source->read(source->context, SR_COLUMN_TRAIN_END, piece->first, piece->count, piece->train_end, error));
    return source->read(source->context, SR_COLUMN_VALID_END, piece->first, piece->count, piece->valid_end, error);
}

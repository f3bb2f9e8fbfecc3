/* Arrays for other programs: one .safetensors file, or a directory of .npy files.
 *
 * Arrays may be larger than the memory of a rank: of such ones rows are asked for a piece at a time. All ranks call, with the
 * same arrays. */
#ifndef SRTRAIN_STORAGE_TENSOR_FILES_H
#define SRTRAIN_STORAGE_TENSOR_FILES_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { TENSOR_RANK_MAXIMUM = 3, TENSOR_NAME_SIZE = 96 };

/* Writes rows [first, first + count) of an array that no rank has as a whole to `rows` on the rank that writes; NULL on others.
 * Collective. A rank that passes a `status` other than SR_OK takes part without data; then all fail together. */
typedef sr_status (*tensor_rows_function)(void *context, sr_status status, size_t first, size_t count, void *rows,
                                          sr_error *error);

/* Numbers of 32 bits, or texts in fields of `width` bytes that are padded with zero bytes. */
typedef struct {
    char name[TENSOR_NAME_SIZE];
    size_t shape[TENSOR_RANK_MAXIMUM];
    size_t rank;
    size_t width;              /* of texts, at least 1; 0: numbers */
    const void *data;          /* where the whole array is in memory of the rank that writes */
    tensor_rows_function read; /* else where its rows come from */
    void *context;
} tensor_array;

/* The rank that `writes` writes `path`, as a file that appears whole. Texts are arrays of U8 with one dimension more: their
 * bytes. `metadata` are pairs of a name and a text, ending with NULL. */
sr_status safetensors_write(const char *path, bool writes, const tensor_array *arrays, size_t count,
                            const char *const *metadata, sr_error *error);

/* The rank that `writes` writes DIRECTORY/NAME.npy for each array, and makes the directory if it is missing. Each file appears
 * whole. */
sr_status npy_write(const char *directory, bool writes, const tensor_array *arrays, size_t count, sr_error *error);

#endif

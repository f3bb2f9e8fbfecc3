/* Arrays for other programs: one .safetensors file, or a directory of .npy files. Local. */
#ifndef SRTRAIN_STORAGE_TENSOR_FILES_H
#define SRTRAIN_STORAGE_TENSOR_FILES_H

#include "srtrain/status.h"

#include <stddef.h>

enum { TENSOR_RANK_MAXIMUM = 3, TENSOR_NAME_SIZE = 96 };

/* Numbers of 32 bits, or texts in fields of `width` bytes that are padded with zero bytes. */
typedef struct {
    char name[TENSOR_NAME_SIZE];
    size_t shape[TENSOR_RANK_MAXIMUM];
    size_t rank;
    size_t width; /* of texts, at least 1; 0: numbers */
    const void *data;
} tensor_array;

/* Writes `path`, as a file that appears whole. Texts are arrays of U8 with one dimension more: their bytes. `metadata` are
 * pairs of a name and a text, ending with NULL. */
sr_status safetensors_write(const char *path, const tensor_array *arrays, size_t count, const char *const *metadata,
                            sr_error *error);

/* Writes DIRECTORY/NAME.npy for each array, and makes the directory if it is missing. Each file appears whole. */
sr_status npy_write(const char *directory, const tensor_array *arrays, size_t count, sr_error *error);

#endif

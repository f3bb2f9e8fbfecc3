/* The seal at the end of a file: a checksum of all that lies between its arrays. Local. */
#ifndef SRTRAIN_STORAGE_SEAL_H
#define SRTRAIN_STORAGE_SEAL_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a file. */
typedef struct {
    uint64_t place, bytes;
} file_range;

/* Appends a seal over all bytes but `arrays` [count], which is sorted, and flushes the file to disk. */
sr_status seal_append(const char *path, file_range *arrays, size_t count, sr_error *error);

/* Before HDF5 opens a file: whether it ends in a seal, and SR_ERROR_DATA if that does not fit. A file that cannot be read is
 * left to HDF5. */
sr_status seal_check(const char *path, bool *sealed, sr_error *error);

#endif

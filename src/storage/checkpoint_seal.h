/* The seal at the end of a checkpoint. Local. */
#ifndef SRTRAIN_STORAGE_CHECKPOINT_SEAL_H
#define SRTRAIN_STORAGE_CHECKPOINT_SEAL_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a file. */
typedef struct {
    uint64_t place, bytes;
} file_range;

/* Appends a seal over all bytes but `arrays` [count], which is sorted. */
sr_status checkpoint_seal_append(const char *path, file_range *arrays, size_t count, sr_error *error);

/* SR_ERROR_DATA if there is no seal, or if it does not fit. */
sr_status checkpoint_seal_check(const char *path, file_range *arrays, size_t count, sr_error *error);

#endif

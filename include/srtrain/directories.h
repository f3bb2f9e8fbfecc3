/* Making directories. */
#ifndef SRTRAIN_DIRECTORIES_H
#define SRTRAIN_DIRECTORIES_H

#include "srtrain/status.h"

/* Makes `path` and every directory above it that is missing; one that exists is no error. A new one is on the disk
 * (durable.h). SR_ERROR_RUNTIME names the one that cannot be made. */
sr_status sr_make_directories(const char *path, sr_error *error);

/* Makes the directories above `path`, not `path` itself. */
sr_status sr_make_parent_directories(const char *path, sr_error *error);

/* Makes `path`, in room for `size` bytes, one that means the same in every working directory. Links stay links. One that would
 * be too long, or whose working directory is not known, stays as it is. Local. */
void sr_make_path_absolute(char *path, size_t size);

#endif

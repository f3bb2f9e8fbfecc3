/* States of histories as an HDF5 file: "user" (strings) and "states" [users, width]. Rank 0 writes it. Local. */
#ifndef SRTRAIN_EVALUATE_STATE_FILE_H
#define SRTRAIN_EVALUATE_STATE_FILE_H

#include "srtrain/real.h"
#include "srtrain/status.h"

#include <stddef.h>

typedef struct state_file state_file;

/* Names of users have at most so many bytes. What comes gathers on the disk beside the output, not in memory.
 * SR_ERROR_USAGE for a name that does not end in .h5. Release with state_file_close(). */
sr_status state_file_open(state_file **file, const char *path, size_t longest_user, sr_error *error);

/* An sr_state_function; `file` is a state_file. */
sr_status state_file_add(void *file, const char *user, size_t user_length, const sr_real *state, size_t width, sr_error *error);

/* Ends what was begun, and returns `status` or, where that is SR_OK, the failure to write. Without a failure the file
 * appears; *users is how many it has. */
sr_status state_file_close(state_file *file, sr_status status, size_t *users, sr_error *error);

/* SR_ERROR_USAGE as above, before anything is computed. */
sr_status state_file_check_path(const char *path, sr_error *error);

#endif

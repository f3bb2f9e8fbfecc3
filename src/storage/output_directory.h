/* A directory that appears complete or not at all: its files are written into a temporary sibling, which takes the final name
 * at the end. */
#ifndef SRTRAIN_STORAGE_OUTPUT_DIRECTORY_H
#define SRTRAIN_STORAGE_OUTPUT_DIRECTORY_H

#include "srtrain/status.h"

typedef struct {
    char *path;      /* the final name */
    char *temporary; /* where files are written until then */
} sr_output_directory;

/* Whether `path` may become a new directory: it must not exist, or be an empty directory. SR_ERROR_USAGE if not. */
sr_status sr_output_directory_check(const char *path, sr_error *error);

/* Makes the temporary directory, and the parents of `path` where they are missing. Ends with one of commit or discard. */
sr_status sr_output_directory_begin(sr_output_directory *output, const char *path, sr_error *error);

/* Gives the directory, whose files are already on disk, its final name. After a failure nothing is left. */
sr_status sr_output_directory_commit(sr_output_directory *output, sr_error *error);

/* Removes the temporary directory with its files. */
void sr_output_directory_discard(sr_output_directory *output);

#endif

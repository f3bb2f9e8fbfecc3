/* Files that appear complete or not at all: written under a temporary name, they get their own at the end. */
#ifndef SRTRAIN_OUTPUT_FILE_H
#define SRTRAIN_OUTPUT_FILE_H

#include "srtrain/status.h"

#include <stdio.h>

typedef struct {
    FILE *stream; /* to write to; NULL: not open */
    char *path;   /* the final name */
    char *place;  /* where the bytes go until then; `path` itself where nothing is renamed */
} sr_output_file;

/* Opens a file for writing and makes the directories above it that are missing. One that exists keeps its contents until the
 * new ones are complete; a link stays one. What is no plain file (/dev/stdout, a pipe) is written to as it is, NULL is standard
 * output. One process at a time may write a file: a second one is refused. SR_ERROR_RUNTIME names what cannot be made; nothing
 * is to be closed then. Local. */
sr_status sr_output_file_open(sr_output_file *file, const char *path, sr_error *error);

/* Ends what was begun, and returns `status` or, where that is SR_OK, the failure to write, which `error` describes. Without a
 * failure the file reaches the disk and gets its name; else it is removed. A file that is not open is no error. Local. */
sr_status sr_output_file_close(sr_output_file *file, sr_status status, sr_error *error);

/* Both, and between them a text and a line end. */
sr_status sr_output_file_write(const char *path, const char *text, sr_error *error);

#endif

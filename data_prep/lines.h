/* Lines of a text file that may be compressed: plain, gzip and zstd are told apart by their first bytes, "-" is standard input.
 * Skips a byte-order mark, takes LF and CRLF, lines of any length, and a last line without newline. */
#ifndef SRTRAIN_DATA_PREP_LINES_H
#define SRTRAIN_DATA_PREP_LINES_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lines lines;

/* Release with lines_close(). SR_ERROR_RUNTIME when the file cannot be read, SR_ERROR_DATA when it is no text. */
sr_status lines_open(lines **opened, const char *path, sr_error *error);
void lines_close(lines *file); /* NULL is allowed */

/* The next line, null-terminated, without its line end; valid until the next call, and writable. *text is NULL at the end of
 * the file. */
sr_status lines_next(lines *file, char **text, sr_error *error);

/* Lengthens the line returned last by the line after it, with the line end between them: for quoted fields that hold one. *text
 * is the whole line, which must not have been written to, or NULL when the file or all patience (1 MiB) is at its end.
 * lines_number() stays at the first. */
sr_status lines_continue(lines *file, char **text, sr_error *error);

const char *lines_path(const lines *file);
size_t lines_number(const lines *file); /* of the line returned last, from 1 */

/* sr_fail(SR_ERROR_DATA) with "FILE:LINE: " in front and the (shortened) line returned last behind, unless `line` is NULL. */
sr_status lines_fail(const lines *file, const char *line, sr_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

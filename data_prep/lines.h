/* Lines of a text file that may be compressed: plain, gzip and zstd are told apart by their first bytes, "-" is standard input. Skips a byte-order mark,
 * takes LF and CRLF, lines of any length, and a last line without newline. */
#ifndef SRTRAIN_DATA_PREP_LINES_H
#define SRTRAIN_DATA_PREP_LINES_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lines lines;

/* Release with lines_close(). SR_ERROR_DATA when the file cannot be read. */
sr_status lines_open(lines **opened, const char *path, sr_error *error);
void lines_close(lines *file); /* NULL is allowed */

/* The next line, null-terminated, without its line end; valid until the next call, and writable. *text is NULL at the end of the file. */
sr_status lines_next(lines *file, char **text, sr_error *error);

const char *lines_path(const lines *file);
size_t lines_number(const lines *file); /* of the line returned last, from 1 */

/* sr_fail(SR_ERROR_DATA) with "FILE:LINE: " in front and the (shortened) line behind. `line` may be NULL. */
sr_status lines_fail(const lines *file, const char *line, sr_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

/* Lines of a text file that may be compressed: plain, gzip and zstd are told apart by their first bytes, "-" is standard input.
 * Skips a byte-order mark, takes LF and CRLF, lines of up to 64 MiB, and a last line without newline. */
#ifndef SRTRAIN_BASE_LINES_H
#define SRTRAIN_BASE_LINES_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lines lines;

/* Release with lines_close(). SR_ERROR_RUNTIME when the file cannot be read, SR_ERROR_DATA when it is no text. */
sr_status lines_open(lines **opened, const char *path, sr_error *error);
void lines_close(lines *file); /* NULL is allowed */

/* The lines of a plain file that start at byte `begin` or later and before `end`, so that parts with common bounds share out a
 * file. Lines are counted from 1 in each part; only lines_fail() says the number within the file, for which it reads what is in
 * front of the part. Fails for compressed files, and for standard input unless the part is all of it (0 to UINT64_MAX). */
sr_status lines_open_part(lines **opened, const char *path, uint64_t begin, uint64_t end, sr_error *error);

/* Whether a path may be opened more than once: not standard input, and no pipe. */
bool lines_may_be_opened_again(const char *path);

/* The bytes of a plain file, or 0 for one that cannot be read in parts: compressed, standard input, a pipe. */
sr_status lines_divisible_size(const char *path, uint64_t *size, sr_error *error);

/* The next line, null-terminated, without its line end; valid until the next call. *text is NULL at the end of the file. A null
 * byte in the line is SR_ERROR_DATA. */
sr_status lines_next(lines *file, const char **text, sr_error *error);

/* The same with its length, and with any null bytes that it holds. */
sr_status lines_take(lines *file, const char **text, size_t *length, sr_error *error);

/* Lengthens the line returned last by the line after it, with the line end between them: for quoted fields that hold one. *text
 * is the whole line, or NULL when the file or all patience (1 MiB) is at its end. lines_number() stays at the first. */
sr_status lines_continue(lines *file, const char **text, size_t *length, sr_error *error);

/* Takes back all lengthening: the line returned last is the first one again, and those after it come again. */
void lines_take_back(lines *file);

/* For a look at what comes: after lines_mark() only the lines that start within the next `bytes` come, until lines_return()
 * goes back to where the mark was set. */
void lines_mark(lines *file, size_t bytes);
void lines_return(lines *file);

/* The next word of a line at or after *at, words being separated by any number of the characters in `separators`, or NULL; *at
 * moves behind it. */
const char *lines_word(const char **at, const char *separators, size_t *length);

/* An identifier has at most this many bytes: data sets store them in fields as wide as the longest. */
enum { LINES_IDENTIFIER_MAXIMUM = 1024 };

/* Fails like lines_fail() unless the identifier of a `role` ("user", "item") has 1 to LINES_IDENTIFIER_MAXIMUM bytes. */
sr_status lines_check_identifier(const lines *file, const char *line, const char *role, size_t length, sr_error *error);

const char *lines_path(const lines *file);
size_t lines_number(const lines *file); /* of the line returned last, from 1 */

/* The beginning of the line returned last, for messages: what no terminal should be sent becomes a question mark, and "..."
 * stands for what is left out. */
enum { LINES_SHOWN_SIZE = 128 };
void lines_shown(const lines *file, char shown[LINES_SHOWN_SIZE]);

/* sr_fail(SR_ERROR_DATA) with "FILE:LINE: " in front and the (shortened) line returned last behind, unless `line` is NULL. */
sr_status lines_fail(const lines *file, const char *line, sr_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

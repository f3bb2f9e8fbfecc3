/* Where a key was given, and messages that point there; and YAML text turned into a document. */
#ifndef SRTRAIN_CONFIG_PLACE_H
#define SRTRAIN_CONFIG_PLACE_H

#include "srtrain/status.h"

#include <libfyaml.h>
#include <stdbool.h>

/* A spot in a file, or a --set assignment. */
typedef struct {
    const char *file;       /* NULL: an assignment */
    const char *text;       /* the whole file */
    const char *assignment; /* the whole assignment */
    int line, column;       /* from 0; line -1: in the file as a whole */
} place;

/* Whether a key whose place this is was given at all: a default has the place of the file as a whole. */
bool place_is_given(const place *at);

/* Room for a key or an assignment in a message. */
enum { PLACE_SHOWN_SIZE = 256 };

/* SR_ERROR_USAGE with "FILE:LINE:COLUMN: error: ..." above the source line and a caret, or "--set KEY=VALUE: error: ...". Long
 * lines and assignments are cut, and control characters shown as question marks. */
sr_status place_fail(const place *at, sr_error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Moves `at` to a node of its file: to its scalar, or to the first scalar within it. No change for an assignment. */
void place_move(place *at, struct fy_node *node);

/* The only document in `text`, which must outlive it; *document is NULL when the text holds nothing but comments. Release
 * with fy_document_destroy(). Text that is not UTF-8, not YAML, or holds a second document fails at that place. */
sr_status place_build_document(const char *text, const place *at, struct fy_document **document, sr_error *error);

#endif

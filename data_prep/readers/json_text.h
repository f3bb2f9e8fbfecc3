/* One line of JSON, or of what Python writes for the same, as a list of nodes. Digits of numbers stay as they are, which no
 * double could keep. Beyond JSON, NaN and Infinity are read, which many programs write, and control characters in texts. */
#ifndef SRTRAIN_DATA_PREP_READERS_JSON_TEXT_H
#define SRTRAIN_DATA_PREP_READERS_JSON_TEXT_H

#include "numbers.h"
#include "srtrain/status.h"

typedef enum {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_TEXT,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_NOT_A_NUMBER /* or infinite */
} json_kind;

/* The children of an object are a text, which is the key, and the value, for each key. */
typedef struct {
    json_kind kind;
    bool is_escaped;        /* a text that holds escapes */
    uint32_t begin, length; /* in the line: of a text without its quotes, of any other value as it stands */
    uint32_t after;         /* the node behind this one and all that is in it */
} json_node;

typedef struct {
    bool python;
    const char *text;
    size_t length;
    json_node *nodes; /* [count]; the first is the outer value */
    size_t count, room;
    char *scratch; /* [length + a number's size for each node]: unescaped texts and rewritten numbers, each at its place */
    size_t scratch_room;
    const char *wrong; /* what is wrong with a line, and where; NULL for nothing */
    size_t wrong_at;
} json_text;

/* Reads a line, which is null-terminated and has to stay. What is no JSON is no failure: j->wrong says what it is. */
sr_status json_text_read(json_text *j, const char *line, size_t length, sr_error *error);
void json_text_free(json_text *j);

/* The value of a key in the object `node`, or 0: of the whole path, or of its beginning up to a dot. *used is how much of the
 * path that is. */
size_t json_text_find(json_text *j, size_t node, const char *path, size_t *used);

/* What a text, number, true, false, null or NaN is as text. NULL when it fits, or else what is wrong with it. Whole numbers
 * keep all digits; with `raw`, any number is as it stands. */
const char *json_text_value(json_text *j, size_t node, bool raw, field *value);

#endif

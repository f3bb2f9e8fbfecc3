/* The schema: one row for each configuration key, one for each section. Everything in src/config walks these tables. */
#ifndef SRTRAIN_CONFIG_SCHEMA_H
#define SRTRAIN_CONFIG_SCHEMA_H

#include "srtrain/config.h"

typedef enum { SCHEMA_BOOLEAN, SCHEMA_INTEGER, SCHEMA_NUMBER, SCHEMA_TEXT, SCHEMA_CHOICE, SCHEMA_INTEGER_LIST } schema_type;

typedef struct {
    const char *name; /* as in YAML; NULL ends a list of choices */
    int value;        /* of the enum in srtrain/config.h */
    const char *help; /* or NULL */
} schema_choice;

typedef struct {
    const char *section; /* path of the section, as "training" or "training.early_stopping" */
    const char *key;
    schema_type type;
    size_t offset; /* of the field in sr_settings */
    size_t size;   /* of a text field in bytes; of a list its offset of the count field */
    double minimum, maximum;
    bool open; /* the ends of the range are excluded: minimum if it is 0, maximum if it is 1 */
    const schema_choice *choices;
    const char *standard; /* the default as in YAML; NULL: the key is required */
    const char *help;
} schema_row;

typedef struct {
    const char *path; /* parents come before children, in the order in which they are written */
    const char *help;
} schema_section;

extern const schema_section schema_sections[];
extern const size_t schema_section_count;
extern const schema_row schema_rows[];
extern const size_t schema_row_count;

/* The row of a key in a section, or NULL. */
const schema_row *schema_find(const char *section, const char *key);

/* Whether a section with this path exists. */
bool schema_has_section(const char *path);

/* What a row allows, in words: "a whole number in digits from 1 to 64", "one of last, all". */
void schema_allowed(const schema_row *row, char *text, size_t size);

/* Room for any value as YAML: a text whose every byte is written as \xNN, in quotes. */
enum { SCHEMA_VALUE_SIZE = 4 * SR_PATH_SIZE + 8 };

/* The value of the row in `settings` as YAML; `size` is at least SCHEMA_VALUE_SIZE unless the row is known to need less. */
void schema_format(const schema_row *row, const sr_settings *settings, char *text, size_t size);

/* Whether a text is a decimal number with or without fraction and exponent: 256, 0.5, 5.0e-4, 1e-3. */
bool schema_is_number(const char *text);

/* Puts values given as text into the field. A list has `count` values, everything else one. Returns false when they are not of
 * the row's type or out of its range; the field is unchanged then. */
bool schema_assign(const schema_row *row, sr_settings *settings, const char *const *values, size_t count);

#endif

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
    bool above, below; /* of a number: the minimum itself, or the maximum itself, is not allowed */
    const schema_choice *choices;
    const char *standard; /* the default as in YAML; NULL: the key is required */
    const char *help;
    unsigned backbones;    /* those that have the key, bits 1 << sr_backbone; 0: all */
    const char *companion; /* path of the section without which the key has no meaning, beside its own; NULL: none */
} schema_row;

typedef struct {
    const char *path; /* parents come before children, in the order in which they are written */
    const char *help;
    size_t in_use;      /* offset of the bool in sr_settings that says whether the section is named; 0: it always counts */
    unsigned backbones; /* those that can have the section, as in schema_row; 0: all */
} schema_section;

extern const schema_section schema_sections[];
extern const size_t schema_section_count;
extern const schema_row schema_rows[];
extern const size_t schema_row_count;

/* The row of a key in a section, or NULL. */
const schema_row *schema_find(const char *section, const char *key);

/* The section with this path, or NULL. */
const schema_section *schema_find_section(const char *path);

/* Whether a section counts: it is one of those that always do, or it was named. */
bool schema_section_in_use(const schema_section *section, const sr_settings *settings);

/* Marks a section as named; nothing for those that always count. */
void schema_use_section(const schema_section *section, sr_settings *settings);

/* Whether the row's key belongs to the backbone of `settings`. */
bool schema_fits_backbone(const schema_row *row, const sr_settings *settings);

/* Whether the row's key has a meaning in `settings`: its section and its companion are in use, and the backbone has it. */
bool schema_applies(const schema_row *row, const sr_settings *settings);

/* Whether the backbone of `settings` can have the section. */
bool schema_section_fits_backbone(const schema_section *section, const sr_settings *settings);

/* A set of backbones in words: "bert4rec", "ssept, tisasrec"; empty for the set 0, which stands for all. */
void schema_backbones(unsigned backbones, char *text, size_t size);

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

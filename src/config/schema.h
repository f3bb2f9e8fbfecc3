/* Inside src/config: looking up what a schema holds, and values as text. */
#ifndef SRTRAIN_CONFIG_SCHEMA_H
#define SRTRAIN_CONFIG_SCHEMA_H

#include "srtrain/config.h"

/* The row of a key in a section, or NULL; the same by its path. */
const sr_schema_key *schema_find(const sr_schema *schema, const char *section, const char *name);
const sr_schema_key *schema_find_path(const sr_schema *schema, const char *path);

/* What is said about a key, and a value of it, that is gone; NULL: it is not. The value NULL stands for any. */
const sr_gone_key *schema_find_gone(const sr_schema *schema, const char *path, const char *value);

/* The section with this path, or NULL. */
const sr_section *schema_find_section(const sr_schema *schema, const char *path);

/* Whether a section counts: it is one of those that always do, or it was named. */
bool schema_section_in_use(const sr_section *section, const void *settings);

/* Marks a section as named; nothing for those that always count. */
void schema_use_section(const sr_section *section, void *settings);

/* Whether a key has a meaning in its scope, and whether it has one in all: its section is in use as well. */
bool schema_in_scope(const sr_schema_key *row, const void *settings);
bool schema_applies(const sr_schema *schema, const sr_schema_key *row, const void *settings);

/* Whether a section may be in use. */
bool schema_section_in_scope(const sr_section *section, const void *settings);

/* Whether the settings break a rule that holds for them. */
bool schema_breaks(const sr_schema_rule *row, const void *settings);

/* Whose a key, a rule or a section is, in words; empty where it is everybody's. */
void schema_owners(const sr_schema_key *row, char *text, size_t size);
void schema_rule_owners(const sr_schema_rule *row, char *text, size_t size);
void schema_section_owners(const sr_section *section, char *text, size_t size);

/* Choice `index` of a key; its name is NULL behind the last. */
sr_choice schema_choice_at(const sr_key *key, size_t index);

/* What a key allows, in words: "a whole number in digits from 1 to 64", "one of last, all". */
void schema_allowed(const sr_key *key, char *text, size_t size);

/* Room for any value as YAML: a text whose every byte is written as \xNN, in quotes. */
enum { SCHEMA_VALUE_SIZE = 4 * SR_PATH_SIZE + 8 };

/* The value of the key in `settings` as YAML; `size` is at least SCHEMA_VALUE_SIZE unless the key is known to need less. */
void schema_format(const sr_schema_key *row, const void *settings, char *text, size_t size);

/* Whether a text is a decimal number with or without fraction and exponent: 256, 0.5, 5.0e-4, 1e-3. */
bool schema_is_number(const char *text);

/* Whether a text stands for a number other than 0 that single precision cannot tell from 0, and the key is one of numbers. */
bool schema_vanishes(const sr_key *key, const char *text);

/* Puts values given as text into the field. A list has `count` values, everything else one. Returns false when they are not of
 * the key's type or out of its range; the field is unchanged then. */
bool schema_assign(const sr_schema_key *row, void *settings, const char *const *values, size_t count);

/* Copies the field of the key, whatever its type. */
void schema_copy_value(const sr_schema_key *row, void *to, const void *from);

/* SR_ERROR_RUNTIME when `file` has an error. */
sr_status schema_check_stream(FILE *file, const char *what, sr_error *error);

#endif

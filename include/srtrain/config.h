/* The mechanics of configurations: YAML files and "section.key=value" assignments in, typed settings out.
 *
 * Nothing here knows a key. Settings are a struct of the caller. Whoever owns a part of it describes that part by keys,
 * sections and rules; a schema lists them all. Reading, checking, defaults, writing, documentation, manual and completion come
 * from the schema, so that they cannot drift apart.
 *
 * A setting is known by its path, as "training.batch_size": the path of its section, a dot, and the name of the key. */
#ifndef SRTRAIN_CONFIG_H
#define SRTRAIN_CONFIG_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SR_PATH_SIZE = 1024, SR_NAME_SIZE = 64, SR_LIST_MAXIMUM = 16 };

/* ---- what owners describe ---- */

typedef enum {
    SR_KEY_BOOLEAN,     /* bool */
    SR_KEY_INTEGER,     /* int64_t */
    SR_KEY_NUMBER,      /* double */
    SR_KEY_TEXT,        /* char [size] */
    SR_KEY_CHOICE,      /* int: the value of the choice */
    SR_KEY_INTEGER_LIST /* int64_t [SR_LIST_MAXIMUM], with a size_t that counts them */
} sr_key_type;

typedef struct {
    const char *name; /* as in YAML; NULL: there is no such choice */
    int value;
    const char *help; /* or NULL */
} sr_choice;

/* One key, and the field that holds its value. */
typedef struct {
    const char *section; /* path of the section, as "training" or "training.early_stopping" */
    const char *name;
    sr_key_type type;
    size_t offset; /* of the field in the struct of the key's group */
    size_t size;   /* of a text field in bytes; of a list the offset of its count */
    double minimum, maximum;
    bool above, below;                    /* of a number: the minimum itself, or the maximum itself, is not allowed */
    const sr_choice *choices;             /* ends with a name of NULL; or */
    sr_choice (*choice_at)(size_t index); /* choices from a list of rows */
    const char *standard;                 /* the default as in YAML; NULL: the key is required */
    const char *help;
    unsigned scope; /* bits that the scope of the key's group understands; 0: the key has a meaning wherever the group has */
    bool free_to_change; /* it may differ between a checkpoint and the run that goes on from it */
} sr_key;

/* Where keys and sections have a meaning. */
typedef struct sr_scope {
    /* Whether those with these bits have one, given the part of the settings at `at`. NULL: everywhere. */
    bool (*holds)(const struct sr_scope *scope, unsigned bits, const void *part);
    /* Whose they are, in words: the names of models. */
    void (*owners)(const struct sr_scope *scope, unsigned bits, char *text, size_t size);
    const void *context;
    size_t at;
    const char *decided_by; /* path of the key or section that decides */
} sr_scope;

/* Two settings that do not go together, or one, named twice, whose value says nothing. The reason is printed in the message and
 * in the documentation. */
typedef struct {
    const char *first, *second; /* paths of keys, or of sections that are in use */
    /* Whether the settings break the rule; `part` is what the rule's group says. */
    bool (*broken)(const void *part);
    const char *reason; /* what is wrong and what helps: part of a sentence */
    /* What a message says before the reason: the numbers in settings that break the rule. NULL: nothing. */
    void (*explain)(const void *part, char *text, size_t size);
    unsigned scope; /* as of a key: where the rule holds */
} sr_rule;

/* What earlier versions had: a key, or a value of a key. Whoever names it is told. */
typedef struct {
    const char *path;      /* of the key */
    const char *value;     /* as in YAML; NULL: every value */
    const char *was;       /* what it did: part of a sentence behind "it" */
    const char *now;       /* what happens now: part of a sentence behind "now" */
    const char *instead;   /* what to write: part of a sentence */
    const char *continued; /* the value with which a stored configuration goes on; NULL: the key is gone as a whole */
    bool ends_training;    /* a stored configuration cannot be trained on: what it was trained by does not exist any more */
} sr_gone_key;

/* What one owner adds to a schema. Its rules hold where its scope has a meaning. */
typedef struct {
    const sr_key *keys;
    size_t key_count;
    size_t keys_at; /* offset in the settings of the struct whose fields they are */
    sr_scope scope;
    const sr_rule *rules;
    size_t rule_count;
    size_t rules_at; /* offset in the settings of what broken() gets */
    const sr_gone_key *gone;
    size_t gone_count;
} sr_key_group;

typedef struct {
    const char *path; /* parents come before children, in the order in which they are written */
    const char *help;
    size_t in_use; /* offset in the settings of the bool that says whether it is named; SR_ALWAYS_IN_USE: it always counts */
    sr_scope scope;
    unsigned scope_bits;
    /* Why it cannot be used outside of its scope: part of a sentence, before "; use one of ...". Needed where it has a scope.
     */
    const char *refusal;
    const char *contents; /* what is in it, for messages about what is unknown there; NULL: keys */
    bool free_to_change;  /* as of a key, of all of the section's */
} sr_section;

#define SR_ALWAYS_IN_USE SIZE_MAX

/* ---- the schema ---- */

enum { SR_SECTIONS_MAXIMUM = 32, SR_KEYS_MAXIMUM = 256, SR_RULES_MAXIMUM = 96, SR_GONE_MAXIMUM = 64 };

typedef struct {
    const sr_key *key;
    size_t at; /* offset of its field in the settings */
    sr_scope scope;
} sr_schema_key;

typedef struct {
    const sr_rule *rule;
    size_t at;
    sr_scope scope;
} sr_schema_rule;

/* Which keys were given, and where; known while settings are read. */
typedef struct sr_given sr_given;

typedef struct {
    size_t settings_size;
    sr_section sections[SR_SECTIONS_MAXIMUM];
    sr_schema_key keys[SR_KEYS_MAXIMUM];
    sr_schema_rule rules[SR_RULES_MAXIMUM];
    const sr_gone_key *gone[SR_GONE_MAXIMUM];
    size_t section_count, key_count, rule_count, gone_count;
    bool overflowed; /* more was added than there is room for, or its owner has no room for its settings: reading fails */
    /* Defaults that depend on other keys; called before rules are checked. NULL: none. */
    void (*settle)(void *settings, const sr_given *given);
    const char *introduction; /* of the documentation, in Markdown */
} sr_schema;

/* An empty schema of settings of `size` bytes. */
void sr_schema_begin(sr_schema *schema, size_t size);

/* Sections, keys and rules are documented, and rules checked, in the order in which they are added. Keys of one section need
 * not come together. What is pointed to must outlive the schema. */
void sr_schema_add_section(sr_schema *schema, const sr_section *section);
void sr_schema_add_group(sr_schema *schema, const sr_key_group *group);

/* Whether the key with this path was given, rather than left to its default. */
bool sr_is_given(const sr_given *given, const char *path);

/* ---- settings ---- */

/* Every default. */
void sr_schema_defaults(const sr_schema *schema, void *settings);

/* How a configuration is read that a program has stored, perhaps an earlier one. */
typedef struct {
    bool trains;                                   /* it is to be trained on */
    void (*tell)(void *context, const char *line); /* gets a line for each thing that is gone; NULL: nobody listens */
    void *context;
} sr_stored_reading;

/* Reads YAML text over the defaults, then applies `assignment_count` assignments "section.key=value" (nested keys with more
 * dots; values in YAML, so that lists work), then checks each value and every rule. `name` stands for the file in messages.
 *
 * `stored` NULL: the text is a user's. What is gone is an error that tells what to write instead. Otherwise a program has
 * stored the text. What is gone is told, and reading goes on without it, unless training would not be the same: that is
 * SR_ERROR_USAGE where the settings are to be trained on. In assignments it is an error, as ever.
 *
 * Errors: SR_ERROR_RUNTIME for want of memory or of room in the schema; else SR_ERROR_USAGE, in the form "FILE:LINE:COLUMN:
 * error: ..." with the source line and a caret where the YAML is at fault. The message names the key, what was found, what is
 * allowed and, for an unknown key or choice, the nearest known one. Assignments are named as "--set section.key=value". */
sr_status sr_schema_parse(const sr_schema *schema, void *settings, const char *text, const char *name,
                          const char *const *assignments, size_t assignment_count, const sr_stored_reading *stored,
                          sr_error *error);

/* A whole file as text for sr_schema_parse(); release with free(). SR_ERROR_USAGE when it cannot be a configuration. */
sr_status sr_config_read_file(const char *path, char **text, sr_error *error);

/* Changes one setting and checks its value alone, no rule. */
sr_status sr_schema_assign(const sr_schema *schema, void *settings, const char *assignment, sr_error *error);

/* Copies the fields of the keys that `which` says yes to, and whether their sections are in use. */
void sr_schema_copy(const sr_schema *schema, void *to, const void *from,
                    bool (*which)(const sr_section *section, const sr_key *key));

/* Calls `differs` for every key in which two settings differ, with both values as in YAML; "(none)" is the value of a key that
 * has no meaning in one of them. Of a section that only one has, the section is the key. */
typedef void (*sr_difference_function)(void *context, const char *path, const char *left, const char *right);
void sr_schema_compare(const sr_schema *schema, const void *left, const void *right, sr_difference_function differs,
                       void *context);

/* Writes settings as YAML that reads back to the same, each key with its help as a comment if `with_help`. */
sr_status sr_schema_write(const sr_schema *schema, const void *settings, FILE *file, bool with_help, sr_error *error);

/* The same into a string; release with free(). */
sr_status sr_schema_text(const sr_schema *schema, const void *settings, char **text, sr_error *error);

/* ---- documentation ---- */

/* Every key with type, range or choices, default and help, as plain text or Markdown; Markdown has the rules too. */
sr_status sr_schema_describe(const sr_schema *schema, FILE *file, bool markdown, sr_error *error);

/* The keys as a section of a manual page, in roff. */
void sr_schema_manual(const sr_schema *schema, FILE *file);

/* Lines for the completion of bash: _srtrain_choices[section.key]="..." for every key, with its choices if it has any. */
void sr_schema_completion(const sr_schema *schema, FILE *file);

/* The name of a choice, as it stands in YAML. NULL if there is none. */
const char *sr_schema_choice(const sr_schema *schema, const char *path, int value);

/* ---- tables of keys ----
 *
 * One row a key, for a struct type `type`. The help comes last; fields that few rows have may follow it, as `.below = true`. */
#define SR_KEY(path, label, kind, type_, field, text, ...)                                                                    \
    {                                                                                                                         \
        .section = path, .name = label, .type = kind, .offset = offsetof(type_, field), .standard = text, .help = __VA_ARGS__ \
    }
#define SR_BOOLEAN(path, label, type_, field, text, ...) SR_KEY(path, label, SR_KEY_BOOLEAN, type_, field, text, __VA_ARGS__)
#define SR_INTEGER(path, label, type_, field, least, most, text, ...) \
    SR_KEY(path, label, SR_KEY_INTEGER, type_, field, text, __VA_ARGS__, .minimum = least, .maximum = most)
#define SR_NUMBER(path, label, type_, field, least, most, text, ...) \
    SR_KEY(path, label, SR_KEY_NUMBER, type_, field, text, __VA_ARGS__, .minimum = least, .maximum = most)
#define SR_TEXT(path, label, type_, field, text, ...) \
    SR_KEY(path, label, SR_KEY_TEXT, type_, field, text, __VA_ARGS__, .size = sizeof(((type_ *)0)->field))
#define SR_CHOICE(path, label, type_, field, table, text, ...) \
    SR_KEY(path, label, SR_KEY_CHOICE, type_, field, text, __VA_ARGS__, .choices = table)

/* One row a rule. The reason comes last; `.explain = function` may follow it. */
#define SR_RULE(first_path, second_path, function, ...)                                       \
    {                                                                                         \
        .first = first_path, .second = second_path, .broken = function, .reason = __VA_ARGS__ \
    }

/* Tables of keys, of rules and of what is gone with their lengths, for an sr_key_group and for whatever hands its tables to
 * one. */
#define SR_KEYS(table) .keys = (table), .key_count = sizeof(table) / sizeof *(table)
#define SR_RULES(table) .rules = (table), .rule_count = sizeof(table) / sizeof *(table)
#define SR_GONE(table) .gone = (table), .gone_count = sizeof(table) / sizeof *(table)

#endif

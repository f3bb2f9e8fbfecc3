/* The schema as documentation: plain text, Markdown, a manual page, completion. */
#include "config/schema.h"

#include "srtrain/command_line.h"

#include <ctype.h>
#include <string.h>

enum { ALLOWED_SIZE = 512, OWNERS_SIZE = 160, SCOPE_SIZE = 256, PARAGRAPH_SIZE = 1024 };

static bool has_keys(const sr_schema *schema, const char *section)
{
    for (size_t i = 0; i < schema->key_count; ++i)
        if (strcmp(schema->keys[i].key->section, section) == 0)
            return true;
    return false;
}

/* "; with KEY OWNERS only", or nothing. The deciding key goes without its section where that is this one. */
static void describe_scope(const char *section, const char *decided_by, const char *owners, char *text, size_t size)
{
    const size_t length = strlen(section);
    if (*owners && strncmp(decided_by, section, length) == 0 && decided_by[length] == '.')
        decided_by += length + 1;
    snprintf(text, size, "%s%s%s%s%s", *owners ? "; with " : "", *owners ? decided_by : "", *owners ? " " : "", owners,
             *owners ? " only" : "");
}

/* Keys within the section that decides say nothing. */
static void describe_scope_of_key(const sr_schema *schema, const sr_schema_key *row, char *text, size_t size)
{
    char owners[OWNERS_SIZE];
    const char *decided_by = row->scope.decided_by, *section = row->key->section;
    schema_owners(row, owners, sizeof owners);
    if (!*owners || schema_find_path(schema, decided_by))
        describe_scope(section, decided_by, owners, text, size);
    else if (strcmp(section, decided_by) == 0)
        *text = '\0';
    else
        snprintf(text, size, "; with %s only", decided_by);
}

static void describe_scope_of_section(const sr_section *section, char *text, size_t size)
{
    char owners[OWNERS_SIZE];
    schema_section_owners(section, owners, sizeof owners);
    describe_scope(section->path, section->scope.decided_by, owners, text, size);
}

static const char *standard_of(const sr_key *key, const char *none)
{
    return key->standard ? key->standard : none;
}

/* ---- plain text and Markdown ---- */

static void describe_key_plain(const sr_schema *schema, FILE *file, const sr_schema_key *row)
{
    const sr_key *key = row->key;
    char allowed[ALLOWED_SIZE], scope[SCOPE_SIZE];
    schema_allowed(key, allowed, sizeof allowed);
    describe_scope_of_key(schema, row, scope, sizeof scope);
    fprintf(file, "  %-26s %s%s\n  %26s   %s; default %s\n", key->name, key->help, scope, "", allowed,
            standard_of(key, "none, required"));
    for (size_t i = 0; schema_choice_at(key, i).name; ++i)
        if (schema_choice_at(key, i).help)
            fprintf(file, "  %26s   %s: %s\n", "", schema_choice_at(key, i).name, schema_choice_at(key, i).help);
}

static void describe_key_markdown(const sr_schema *schema, FILE *file, const sr_schema_key *row)
{
    const sr_key *key = row->key;
    char allowed[ALLOWED_SIZE], scope[SCOPE_SIZE];
    schema_allowed(key, allowed, sizeof allowed);
    describe_scope_of_key(schema, row, scope, sizeof scope);
    fprintf(file, "| `%s` | %s | %s | %s%s", key->name, standard_of(key, "required"), allowed, key->help, scope);
    for (size_t i = 0; schema_choice_at(key, i).name; ++i)
        if (schema_choice_at(key, i).help)
            fprintf(file, "<br>`%s`: %s", schema_choice_at(key, i).name, schema_choice_at(key, i).help);
    fputs(" |\n", file);
}

/* A paragraph in lines that end before column 120. */
static void write_paragraph(FILE *file, const char *text)
{
    enum { WIDTH = 118 };
    size_t column = 0;
    for (const char *word = text; *word;) {
        const size_t length = strcspn(word, " ");
        const bool breaks = column > 0 && column + 1 + length > WIDTH;
        fprintf(file, "%s%.*s", column == 0 ? "" : breaks ? "\n" : " ", (int)length, word);
        column = column == 0 || breaks ? length : column + 1 + length;
        word += length + strspn(word + length, " ");
    }
    fputc('\n', file);
}

static void describe_section(const sr_schema *schema, const sr_section *section, FILE *file, bool markdown)
{
    char scope[SCOPE_SIZE];
    describe_scope_of_section(section, scope, sizeof scope);
    if (markdown) {
        char text[PARAGRAPH_SIZE];
        snprintf(text, sizeof text, "%c%s%s.", toupper((unsigned char)*section->help), section->help + 1, scope);
        fprintf(file, "\n## `%s`\n\n", section->path);
        write_paragraph(file, text);
    } else {
        fprintf(file, "\n%s: %s%s\n", section->path, section->help, scope);
    }
    if (markdown && has_keys(schema, section->path))
        fputs("\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n", file);
    for (size_t i = 0; i < schema->key_count; ++i)
        if (strcmp(schema->keys[i].key->section, section->path) == 0)
            (markdown ? describe_key_markdown : describe_key_plain)(schema, file, &schema->keys[i]);
}

/* The reasons that the rules' messages give. */
static void describe_rules(const sr_schema *schema, FILE *file)
{
    fputs("\n## Values that do not go together\n\n| settings | why |\n| --- | --- |\n", file);
    for (size_t i = 0; i < schema->section_count; ++i)
        if (schema->sections[i].scope.holds && schema->sections[i].refusal) {
            char owners[OWNERS_SIZE];
            schema_section_owners(&schema->sections[i], owners, sizeof owners);
            fprintf(file, "| `%s`, `%s` | %s; use one of %s |\n", schema->sections[i].path,
                    schema->sections[i].scope.decided_by, schema->sections[i].refusal, owners);
        }
    for (size_t i = 0; i < schema->rule_count; ++i) {
        const sr_rule *rule = schema->rules[i].rule;
        char owners[OWNERS_SIZE];
        schema_rule_owners(&schema->rules[i], owners, sizeof owners);
        fprintf(file, "| `%s`", rule->first);
        if (strcmp(rule->first, rule->second) != 0)
            fprintf(file, ", `%s`", rule->second);
        fprintf(file, " | %s%s%s |\n", owners, *owners ? ": " : "", rule->reason);
    }
}

/* What an older configuration may still say. */
static void describe_gone(const sr_schema *schema, FILE *file)
{
    if (schema->gone_count > 0)
        fputs(
            "\n## Keys and values that are gone\n\nIn a configuration they are errors. A checkpoint that was trained with them "
            "can be used, and the log\ntells.\n\n| setting | what it did | what happens now | write |\n| --- | --- | --- | --- "
            "|\n",
            file);
    for (size_t i = 0; i < schema->gone_count; ++i) {
        const sr_gone_key *gone = schema->gone[i];
        fprintf(file, "| `%s%s%s` | it %s | %s%s | %s |\n", gone->path, gone->value ? ": " : "", gone->value ? gone->value : "",
                gone->was, gone->now, gone->ends_training ? "; training does not go on from a checkpoint" : "", gone->instead);
    }
}

sr_status sr_schema_describe(const sr_schema *schema, FILE *file, bool markdown, sr_error *error)
{
    if (markdown)
        fputs(schema->introduction, file);
    else
        fputs("Every option of a configuration (srtrain config CONFIG.yaml prints a resolved one)\n", file);
    for (size_t i = 0; i < schema->section_count; ++i)
        describe_section(schema, &schema->sections[i], file, markdown);
    if (markdown)
        describe_rules(schema, file);
    if (markdown)
        describe_gone(schema, file);
    return schema_check_stream(file, "documentation", error);
}

/* ---- manual ---- */

static void manual_key(const sr_schema *schema, FILE *file, const sr_schema_key *row)
{
    const sr_key *key = row->key;
    char allowed[ALLOWED_SIZE], scope[SCOPE_SIZE];
    schema_allowed(key, allowed, sizeof allowed);
    describe_scope_of_key(schema, row, scope, sizeof scope);
    fputs(".TP\n.B ", file);
    sr_manual_text(file, key->name);
    fputs("\n", file);
    sr_manual_text(file, key->help);
    sr_manual_text(file, scope);
    fputs(".\nAllowed: ", file);
    sr_manual_text(file, allowed);
    fputs("; default: ", file);
    sr_manual_text(file, standard_of(key, "none, required"));
    fputs(".\n", file);
    for (size_t i = 0; schema_choice_at(key, i).name; ++i)
        if (schema_choice_at(key, i).help) {
            fputs(".br\n", file);
            sr_manual_text(file, schema_choice_at(key, i).name);
            fputs(": ", file);
            sr_manual_text(file, schema_choice_at(key, i).help);
            fputs("\n", file);
        }
}

void sr_schema_manual(const sr_schema *schema, FILE *file)
{
    for (size_t s = 0; s < schema->section_count; ++s) {
        const sr_section *section = &schema->sections[s];
        char scope[SCOPE_SIZE];
        describe_scope_of_section(section, scope, sizeof scope);
        fprintf(file, ".SS %s\n", section->path);
        sr_manual_text(file, section->help);
        sr_manual_text(file, scope);
        fputs(".\n", file);
        for (size_t i = 0; i < schema->key_count; ++i)
            if (strcmp(schema->keys[i].key->section, section->path) == 0)
                manual_key(schema, file, &schema->keys[i]);
    }
}

/* ---- completion ---- */

void sr_schema_completion(const sr_schema *schema, FILE *file)
{
    for (size_t i = 0; i < schema->key_count; ++i) {
        const sr_key *key = schema->keys[i].key;
        fprintf(file, "_srtrain_choices[%s.%s]=\"", key->section, key->name);
        if (key->type == SR_KEY_BOOLEAN)
            fputs("true false", file);
        for (size_t c = 0; schema_choice_at(key, c).name; ++c)
            fprintf(file, "%s%s", c == 0 ? "" : " ", schema_choice_at(key, c).name);
        fputs("\"\n", file);
    }
}

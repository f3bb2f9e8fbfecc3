/* What a schema holds. */
#include "config/schema.h"

#include <errno.h>
#include <string.h>

/* ---- making ---- */

void sr_schema_begin(sr_schema *schema, size_t size)
{
    memset(schema, 0, sizeof *schema);
    schema->settings_size = size;
}

void sr_schema_add_section(sr_schema *schema, const sr_section *section)
{
    if (schema->section_count == SR_SECTIONS_MAXIMUM)
        schema->overflowed = true;
    else
        schema->sections[schema->section_count++] = *section;
}

void sr_schema_add_group(sr_schema *schema, const sr_key_group *group)
{
    if (group->key_count > SR_KEYS_MAXIMUM - schema->key_count || group->rule_count > SR_RULES_MAXIMUM - schema->rule_count ||
        group->gone_count > SR_GONE_MAXIMUM - schema->gone_count) {
        schema->overflowed = true;
        return;
    }
    for (size_t i = 0; i < group->key_count; ++i)
        schema->keys[schema->key_count++] = (sr_schema_key){&group->keys[i], group->keys_at + group->keys[i].offset,
                                                            group->scope};
    for (size_t i = 0; i < group->rule_count; ++i)
        schema->rules[schema->rule_count++] = (sr_schema_rule){&group->rules[i], group->rules_at, group->scope};
    for (size_t i = 0; i < group->gone_count; ++i)
        schema->gone[schema->gone_count++] = &group->gone[i];
}

/* ---- finding ---- */

const sr_schema_key *schema_find(const sr_schema *schema, const char *section, const char *name)
{
    for (size_t i = 0; i < schema->key_count; ++i)
        if (strcmp(schema->keys[i].key->section, section) == 0 && strcmp(schema->keys[i].key->name, name) == 0)
            return &schema->keys[i];
    return NULL;
}

const sr_schema_key *schema_find_path(const sr_schema *schema, const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < schema->key_count; ++i) {
        const sr_key *key = schema->keys[i].key;
        const size_t length = (size_t)(dot - path);
        if (strlen(key->section) == length && strncmp(key->section, path, length) == 0 && strcmp(key->name, dot + 1) == 0)
            return &schema->keys[i];
    }
    return NULL;
}

const sr_section *schema_find_section(const sr_schema *schema, const char *path)
{
    for (size_t i = 0; i < schema->section_count; ++i)
        if (strcmp(schema->sections[i].path, path) == 0)
            return &schema->sections[i];
    return NULL;
}

const sr_gone_key *schema_find_gone(const sr_schema *schema, const char *path, const char *value)
{
    for (size_t i = 0; i < schema->gone_count; ++i) {
        const sr_gone_key *gone = schema->gone[i];
        if (strcmp(gone->path, path) == 0 && (!gone->value || !value || strcmp(gone->value, value) == 0))
            return gone;
    }
    return NULL;
}

sr_choice schema_choice_at(const sr_key *key, size_t index)
{
    if (key->choice_at)
        return key->choice_at(index);
    return key->choices ? key->choices[index] : (sr_choice){.name = NULL};
}

const char *sr_schema_choice(const sr_schema *schema, const char *path, int value)
{
    const sr_schema_key *row = schema_find_path(schema, path);
    for (size_t i = 0; row && schema_choice_at(row->key, i).name; ++i)
        if (schema_choice_at(row->key, i).value == value)
            return schema_choice_at(row->key, i).name;
    return NULL;
}

/* ---- what is in use ---- */

bool schema_section_in_use(const sr_section *section, const void *settings)
{
    return section->in_use == SR_ALWAYS_IN_USE || *((const bool *)settings + section->in_use);
}

void schema_use_section(const sr_section *section, void *settings)
{
    if (section->in_use != SR_ALWAYS_IN_USE)
        *((bool *)settings + section->in_use) = true;
}

static bool holds(const sr_scope *scope, unsigned bits, const void *settings)
{
    return !scope->holds || scope->holds(scope, bits, (const char *)settings + scope->at);
}

bool schema_in_scope(const sr_schema_key *row, const void *settings)
{
    return holds(&row->scope, row->key->scope, settings);
}

bool schema_section_in_scope(const sr_section *section, const void *settings)
{
    return holds(&section->scope, section->scope_bits, settings);
}

bool schema_applies(const sr_schema *schema, const sr_schema_key *row, const void *settings)
{
    return schema_section_in_use(schema_find_section(schema, row->key->section), settings) && schema_in_scope(row, settings);
}

bool schema_breaks(const sr_schema_rule *row, const void *settings)
{
    return holds(&row->scope, row->rule->scope, settings) && row->rule->broken((const char *)settings + row->at);
}

static void owners(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    text[0] = '\0';
    if (scope->owners)
        scope->owners(scope, bits, text, size);
}

void schema_owners(const sr_schema_key *row, char *text, size_t size)
{
    owners(&row->scope, row->key->scope, text, size);
}

void schema_rule_owners(const sr_schema_rule *row, char *text, size_t size)
{
    text[0] = '\0';
    if (row->rule->scope)
        owners(&row->scope, row->rule->scope, text, size);
}

void schema_section_owners(const sr_section *section, char *text, size_t size)
{
    owners(&section->scope, section->scope_bits, text, size);
}

/* ---- the rest ---- */

void sr_schema_copy(const sr_schema *schema, void *to, const void *from,
                    bool (*which)(const sr_section *section, const sr_key *key))
{
    for (size_t i = 0; i < schema->key_count; ++i) {
        const sr_schema_key *row = &schema->keys[i];
        const sr_section *section = schema_find_section(schema, row->key->section);
        if (!which(section, row->key))
            continue;
        schema_copy_value(row, to, from);
        if (section->in_use != SR_ALWAYS_IN_USE)
            *((bool *)to + section->in_use) = *((const bool *)from + section->in_use);
    }
}

sr_status schema_check_stream(FILE *file, const char *what, sr_error *error)
{
    return fflush(file) != 0 || ferror(file)
               ? sr_fail(error, SR_ERROR_RUNTIME, "the %s cannot be written: %s", what, strerror(errno))
               : SR_OK;
}

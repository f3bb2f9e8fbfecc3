/* Checks across keys; each names both settings, their values and where they were given. */
#include "config/rules.h"

#include "base/shown.h"
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

enum { FINDING_SIZE = 256, ORIGIN_SIZE = 32, EXPLANATION_SIZE = 256 };

typedef struct {
    const sr_schema *schema;
    const void *settings;
    const place *places, *sections;
    sr_error *error;
} checker;

/* One of two that do not go together. */
typedef struct {
    const place *at;
    char text[FINDING_SIZE];
} finding;

/* "line 4", "--set" or "default". */
static void describe_origin(const place *at, char *text, size_t size)
{
    if (at->assignment)
        snprintf(text, size, "--set");
    else if (at->line >= 0)
        snprintf(text, size, "line %d", at->line + 1);
    else
        snprintf(text, size, "default");
}

/* "model.heads is 3 (line 4)", or of a section "calibrators.spatial is in use (line 4)". */
static finding find(const checker *c, const char *path)
{
    char value[SCHEMA_VALUE_SIZE] = "in use", origin[ORIGIN_SIZE];
    const sr_schema_key *row = schema_find_path(c->schema, path);
    finding found = {.at = row ? &c->places[row - c->schema->keys]
                               : &c->sections[schema_find_section(c->schema, path) - c->schema->sections]};
    if (row)
        schema_format(row, c->settings, value, sizeof value);
    describe_origin(found.at, origin, sizeof origin);
    char shown[104];
    shown_text(value, strlen(value), shown, sizeof shown);
    snprintf(found.text, sizeof found.text, "%s is %s (%s)", path, shown, origin);
    return found;
}

/* Points at whichever was given last: an assignment, else the first, else the second. */
static sr_status fail_together(const checker *c, const char *first_path, const char *second_path, const char *reason)
{
    const finding first = find(c, first_path), second = find(c, second_path);
    const place *at = first.at;
    if (strcmp(first_path, second_path) == 0) /* a rule of one key alone */
        return place_fail(at, c->error, "%s: %s", first.text, reason);
    if (!place_is_given(at) || (second.at->assignment && !at->assignment))
        at = second.at;
    return place_fail(at, c->error, "%s and %s: %s", first.text, second.text, reason);
}

/* Sections that nobody has in these settings, as calibrators without attention. */
static sr_status check_sections(const checker *c)
{
    for (size_t i = 0; i < c->schema->section_count; ++i) {
        const sr_section *section = &c->schema->sections[i];
        if (!schema_section_in_use(section, c->settings) || schema_section_in_scope(section, c->settings))
            continue;
        char owners[FINDING_SIZE], reason[2 * FINDING_SIZE];
        schema_section_owners(section, owners, sizeof owners);
        snprintf(reason, sizeof reason, "%s; use one of %s, or leave %s out", section->refusal, owners, section->path);
        return fail_together(c, section->path, section->scope.decided_by, reason);
    }
    return SR_OK;
}

/* A key that was given and has no meaning. */
static sr_status fail_without_owner(const checker *c, const sr_schema_key *row)
{
    char origin[ORIGIN_SIZE], owners[FINDING_SIZE], decided[SCHEMA_VALUE_SIZE];
    const place *at = &c->places[row - c->schema->keys];
    const sr_schema_key *deciding = schema_find_path(c->schema, row->scope.decided_by);
    describe_origin(at, origin, sizeof origin);
    schema_owners(row, owners, sizeof owners);
    if (!deciding)
        return place_fail(at, c->error, "%s.%s is given (%s), but %s, to which it belongs, is not in use", row->key->section,
                          row->key->name, origin, row->scope.decided_by);
    schema_format(deciding, c->settings, decided, sizeof decided);
    return place_fail(at, c->error, "%s.%s is given (%s), but %s %s has no use for it; it belongs to %s (%s)",
                      row->key->section, row->key->name, origin, row->scope.decided_by, decided, owners, row->scope.decided_by);
}

static sr_status check_owners(const checker *c)
{
    for (size_t i = 0; i < c->schema->key_count; ++i)
        if (place_is_given(&c->places[i]) && !schema_in_scope(&c->schema->keys[i], c->settings))
            return fail_without_owner(c, &c->schema->keys[i]);
    return SR_OK;
}

sr_status check_rules(const sr_schema *schema, const void *settings, const place *places, const place *sections,
                      sr_error *error)
{
    const checker c = {schema, settings, places, sections, error};
    SR_TRY(check_sections(&c));
    for (size_t i = 0; i < schema->rule_count; ++i) {
        const sr_rule *rule = schema->rules[i].rule;
        if (!schema_breaks(&schema->rules[i], settings))
            continue;
        char explanation[EXPLANATION_SIZE] = "", reason[2 * FINDING_SIZE + EXPLANATION_SIZE];
        if (rule->explain)
            rule->explain((const char *)settings + schema->rules[i].at, explanation, sizeof explanation);
        snprintf(reason, sizeof reason, "%s%s%s", explanation, *explanation ? "; " : "", rule->reason);
        return fail_together(&c, rule->first, rule->second, reason);
    }
    return check_owners(&c); /* last: what two choices contradict often explains it */
}

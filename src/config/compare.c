/* What differs between two settings. */
#include "config/schema.h"

#include <string.h>

/* The value of a key, or that there is none: outside of its scope a key means nothing. */
static void value_of(const sr_schema *schema, const sr_schema_key *row, const void *settings, char value[SCHEMA_VALUE_SIZE])
{
    value[0] = '\0';
    if (schema_applies(schema, row, settings))
        schema_format(row, settings, value, SCHEMA_VALUE_SIZE);
    else
        strcpy(value, "(none)");
}

static void compare_key(const sr_schema *schema, const sr_schema_key *row, const void *left, const void *right,
                        sr_difference_function differs, void *context)
{
    char left_value[SCHEMA_VALUE_SIZE], right_value[SCHEMA_VALUE_SIZE], path[128];
    value_of(schema, row, left, left_value);
    value_of(schema, row, right, right_value);
    if (strcmp(left_value, right_value) == 0)
        return;
    snprintf(path, sizeof path, "%s.%s", row->key->section, row->key->name);
    differs(context, path, left_value, right_value);
}

void sr_schema_compare(const sr_schema *schema, const void *left, const void *right, sr_difference_function differs,
                       void *context)
{
    static const char *const uses[] = {"(not in use)", "(in use)"};
    for (size_t s = 0; s < schema->section_count; ++s) {
        const sr_section *section = &schema->sections[s];
        const bool in_left = schema_section_in_use(section, left), in_right = schema_section_in_use(section, right);
        if (in_left != in_right)
            differs(context, section->path, uses[in_left], uses[in_right]);
        for (size_t i = 0; in_left && in_right && i < schema->key_count; ++i)
            if (strcmp(schema->keys[i].key->section, section->path) == 0)
                compare_key(schema, &schema->keys[i], left, right, differs, context);
    }
}

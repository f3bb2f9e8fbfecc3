/* What differs between two configurations. */
#include "config/schema.h"

#include <string.h>

/* The value of a row, or that there is none: without its companion, or with another backbone, a key means nothing. */
static void value_of(const schema_row *row, const sr_settings *settings, char value[SCHEMA_VALUE_SIZE])
{
    value[0] = '\0';
    if (schema_applies(row, settings))
        schema_format(row, settings, value, SCHEMA_VALUE_SIZE);
    else
        strcpy(value, "(none)");
}

static void compare_row(const schema_row *row, const sr_settings *left, const sr_settings *right,
                        sr_difference_function differs, void *context)
{
    char left_value[SCHEMA_VALUE_SIZE], right_value[SCHEMA_VALUE_SIZE], key[128];
    value_of(row, left, left_value);
    value_of(row, right, right_value);
    if (strcmp(left_value, right_value) == 0)
        return;
    snprintf(key, sizeof key, "%s.%s", row->section, row->key);
    differs(context, key, left_value, right_value);
}

void sr_settings_compare(const sr_settings *left, const sr_settings *right, sr_difference_function differs, void *context)
{
    static const char *const uses[] = {"(not in use)", "(in use)"};
    for (size_t s = 0; s < schema_section_count; ++s) {
        const schema_section *section = &schema_sections[s];
        const bool in_left = schema_section_in_use(section, left), in_right = schema_section_in_use(section, right);
        if (in_left != in_right)
            differs(context, section->path, uses[in_left], uses[in_right]);
        for (size_t i = 0; in_left && in_right && i < schema_row_count; ++i)
            if (strcmp(schema_rows[i].section, section->path) == 0)
                compare_row(&schema_rows[i], left, right, differs, context);
    }
}

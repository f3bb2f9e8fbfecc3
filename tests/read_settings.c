#include "read_settings.h"

#include "config/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void parse_settings(sr_settings *settings, const char *text, const char *const *assignments, size_t count)
{
    sr_error error = {0};
    if (sr_settings_parse(settings, text, "test.yaml", assignments, count, &error) != SR_OK)
        fail_msg("%s", error.message);
}

char *text_of_settings(const sr_settings *settings)
{
    char *text;
    sr_error error;
    assert_int_equal(sr_settings_text(settings, &text, &error), SR_OK);
    return text;
}

void assert_equal_settings(const sr_settings *left, const sr_settings *right)
{
    char *left_text = text_of_settings(left), *right_text = text_of_settings(right);
    assert_string_equal(left_text, right_text);
    free(left_text);
    free(right_text);
}

void assert_setting(const sr_settings *settings, const char *path, const char *value)
{
    sr_schema schema;
    char found[SCHEMA_VALUE_SIZE];
    sr_settings_schema(&schema);
    const sr_schema_key *row = schema_find_path(&schema, path);
    const sr_section *section = schema_find_section(&schema, path);
    if (row)
        schema_format(row, settings, found, sizeof found);
    else if (section)
        snprintf(found, sizeof found, schema_section_in_use(section, settings) ? "in use" : "left out");
    else
        fail_msg("there is no setting %s", path);
    if (strcmp(found, value) != 0)
        fail_msg("%s is %s; expected is %s", path, found, value);
}

void assert_settings(const sr_settings *settings, const known_setting *known)
{
    for (; known->path; ++known)
        assert_setting(settings, known->path, known->value);
}

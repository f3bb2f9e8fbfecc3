/* Settings back to YAML. */
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

static int depth_of(const char *path)
{
    int depth = 0;
    for (const char *at = path; (at = strchr(at, '.')); ++at)
        ++depth;
    return depth;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* Whether nothing stands in a section of these settings. */
static bool is_empty(const sr_schema *schema, const char *path, const void *settings)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < schema->key_count; ++i)
        if (strcmp(schema->keys[i].key->section, path) == 0 && schema_applies(schema, &schema->keys[i], settings))
            return false;
    for (size_t i = 0; i < schema->section_count; ++i) {
        const char *inner = schema->sections[i].path;
        if (strncmp(inner, path, length) == 0 && inner[length] == '.' && schema_section_in_use(&schema->sections[i], settings))
            return false;
    }
    return true;
}

static void write_key(const sr_schema_key *row, const void *settings, int indent, FILE *file, bool with_help)
{
    char value[SCHEMA_VALUE_SIZE] = "", allowed[512];
    schema_format(row, settings, value, sizeof value);
    schema_allowed(row->key, allowed, sizeof allowed);
    fprintf(file, "%*s%s: %s", indent, "", row->key->name, value);
    if (with_help)
        fprintf(file, "  # %s (%s)", row->key->help, allowed);
    fputc('\n', file);
}

sr_status sr_schema_write(const sr_schema *schema, const void *settings, FILE *file, bool with_help, sr_error *error)
{
    for (size_t s = 0; s < schema->section_count; ++s) {
        const sr_section *section = &schema->sections[s];
        const int indent = 2 * depth_of(section->path);
        if (!schema_section_in_use(section, settings))
            continue;
        if (with_help)
            fprintf(file, "%s%*s# %s\n", s && indent == 0 ? "\n" : "", indent, "", section->help);
        fprintf(file, "%*s%s:%s\n", indent, "", last_part(section->path),
                is_empty(schema, section->path, settings) ? " {}" : "");
        for (size_t i = 0; i < schema->key_count; ++i)
            if (strcmp(schema->keys[i].key->section, section->path) == 0 && schema_applies(schema, &schema->keys[i], settings))
                write_key(&schema->keys[i], settings, indent + 2, file, with_help);
    }
    return schema_check_stream(file, "configuration", error);
}

sr_status sr_schema_text(const sr_schema *schema, const void *settings, char **text, sr_error *error)
{
    size_t size;
    *text = NULL;
    FILE *stream = open_memstream(text, &size);
    if (!stream)
        return sr_fail_memory(error, 1, "the text of a configuration");
    sr_status status = sr_schema_write(schema, settings, stream, false, error);
    if (fclose(stream) != 0 && status == SR_OK)
        status = sr_fail_memory(error, 1, "the text of a configuration");
    if (status != SR_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

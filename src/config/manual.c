/* The schema as a page of the manual, and as completion for bash. */
#include "config/schema.h"
#include "srtrain/command_line.h"

#include <errno.h>
#include <string.h>

static void write_row(FILE *file, const schema_row *row)
{
    char allowed[512], owners[128];
    schema_allowed(row, allowed, sizeof allowed);
    schema_backbones(row->backbones, owners, sizeof owners);
    fputs(".TP\n.B ", file);
    sr_manual_text(file, row->key);
    fputs("\n", file);
    sr_manual_text(file, row->help);
    if (*owners) {
        fputs("; ", file);
        sr_manual_text(file, owners);
        fputs(" only", file);
    }
    if (row->companion) {
        fputs("; with ", file);
        sr_manual_text(file, row->companion);
        fputs(" only", file);
    }
    fputs(".\nAllowed: ", file);
    sr_manual_text(file, allowed);
    fputs("; default: ", file);
    sr_manual_text(file, row->standard ? row->standard : "none, required");
    fputs(".\n", file);
    for (const schema_choice *choice = row->choices; choice && choice->name; ++choice)
        if (choice->help) {
            fputs(".br\n", file);
            sr_manual_text(file, choice->name);
            fputs(": ", file);
            sr_manual_text(file, choice->help);
            fputs("\n", file);
        }
}

static void write_section(FILE *file, const schema_section *section)
{
    char owners[128];
    schema_backbones(section->backbones, owners, sizeof owners);
    fprintf(file, ".SS %s\n", section->path);
    sr_manual_text(file, section->help);
    if (*owners) {
        fputs("; ", file);
        sr_manual_text(file, owners);
        fputs(" only", file);
    }
    fputs(".\n", file);
    for (size_t i = 0; i < schema_row_count; ++i)
        if (strcmp(schema_rows[i].section, section->path) == 0)
            write_row(file, &schema_rows[i]);
}

sr_status sr_settings_manual(FILE *file, const char *version, sr_error *error)
{
    fprintf(
        file,
        ".TH SRTRAIN\\-CONFIG 5 \"\" \"srtrain %s\" \"File Formats\"\n"
        ".SH NAME\nsrtrain\\-config \\- configurations of srtrain\n"
        ".SH DESCRIPTION\nA configuration is YAML with the sections below. Every key but data.path has a default.\n"
        "A calibrator is in use when its section is named; the same holds for training.contrastive.\n"
        "An unknown or repeated key, a wrong type, a value out of range, or values that do not go together are errors that\n"
        "name file, line and key.\n"
        ".B srtrain config\nprints a configuration with every default written out.\n"
        ".SH KEYS\n",
        version);
    for (size_t i = 0; i < schema_section_count; ++i)
        write_section(file, &schema_sections[i]);
    fputs(".SH SEE ALSO\n.BR srtrain (1),\n.BR srprep (1)\n", file);
    return fflush(file) != 0 || ferror(file)
               ? sr_fail(error, SR_ERROR_RUNTIME, "the manual cannot be written: %s", strerror(errno))
               : SR_OK;
}

void sr_settings_completion(FILE *file)
{
    for (size_t i = 0; i < schema_row_count; ++i) {
        const schema_row *row = &schema_rows[i];
        fprintf(file, "_srtrain_choices[%s.%s]=\"", row->section, row->key);
        if (row->type == SCHEMA_BOOLEAN)
            fputs("true false", file);
        for (const schema_choice *choice = row->choices; choice && choice->name; ++choice)
            fprintf(file, "%s%s", choice == row->choices ? "" : " ", choice->name);
        fputs("\"\n", file);
    }
}

/* From settings back to YAML, and the schema as documentation. */
#include "config/schema.h"

#include <ctype.h>
#include <errno.h>
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

static bool has_rows(const char *section)
{
    for (size_t i = 0; i < schema_row_count; ++i)
        if (strcmp(schema_rows[i].section, section) == 0)
            return true;
    return false;
}

/* Whether nothing stands in a section of these settings. */
static bool is_empty(const char *path, const sr_settings *settings)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < schema_row_count; ++i)
        if (strcmp(schema_rows[i].section, path) == 0 && schema_applies(&schema_rows[i], settings))
            return false;
    for (size_t i = 0; i < schema_section_count; ++i) {
        const char *inner = schema_sections[i].path;
        if (strncmp(inner, path, length) == 0 && inner[length] == '.' && schema_section_in_use(&schema_sections[i], settings))
            return false;
    }
    return true;
}

static sr_status check_stream(FILE *file, sr_error *error)
{
    return fflush(file) != 0 || ferror(file)
               ? sr_fail(error, SR_ERROR_RUNTIME, "the configuration cannot be written: %s", strerror(errno))
               : SR_OK;
}

static void write_row(const schema_row *row, const sr_settings *settings, int indent, FILE *file, bool with_help)
{
    char value[SCHEMA_VALUE_SIZE] = "", allowed[512];
    schema_format(row, settings, value, sizeof value);
    schema_allowed(row, allowed, sizeof allowed);
    fprintf(file, "%*s%s: %s", indent, "", row->key, value);
    if (with_help)
        fprintf(file, "  # %s (%s)", row->help, allowed);
    fputc('\n', file);
}

sr_status sr_settings_write(const sr_settings *settings, FILE *file, bool with_help, sr_error *error)
{
    for (size_t s = 0; s < schema_section_count; ++s) {
        const char *path = schema_sections[s].path;
        const int indent = 2 * depth_of(path);
        if (!schema_section_in_use(&schema_sections[s], settings))
            continue;
        if (with_help)
            fprintf(file, "%s%*s# %s\n", s && indent == 0 ? "\n" : "", indent, "", schema_sections[s].help);
        fprintf(file, "%*s%s:%s\n", indent, "", last_part(path), is_empty(path, settings) ? " {}" : "");
        for (size_t i = 0; i < schema_row_count; ++i)
            if (strcmp(schema_rows[i].section, path) == 0 && schema_applies(&schema_rows[i], settings))
                write_row(&schema_rows[i], settings, indent + 2, file, with_help);
    }
    return check_stream(file, error);
}

sr_status sr_settings_text(const sr_settings *settings, char **text, sr_error *error)
{
    size_t size;
    *text = NULL;
    FILE *stream = open_memstream(text, &size);
    if (!stream)
        return sr_fail_memory(error, 1, "the text of a configuration");
    sr_status status = sr_settings_write(settings, stream, false, error);
    if (fclose(stream) != 0 && status == SR_OK)
        status = sr_fail_memory(error, 1, "the text of a configuration");
    if (status != SR_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* ---- documentation ---- */

static const char introduction[] =
    "# Configuration\n\n"
    "This page is written from the schema in `src/config/schema.c`; a test fails when the two differ and says how to write it "
    "anew.\n\n"
    "A configuration is YAML with the sections below. Every key but `data.path` has a default, and an empty section keeps its\n"
    "defaults. `srtrain config CONFIG.yaml` prints the resolved configuration, `srtrain models` this page as plain text.\n\n"
    "- A calibrator is in use when its section is named, or when `--set` gives one of its keys; `calibrators: {}` is none. The "
    "same\n"
    "  holds for `training.contrastive`.\n"
    "- Keys that belong to some backbones only, or to a calibrator, are errors without these.\n"
    "- `--set section.key=value` overrides the file; the value is YAML, so that `--set 'evaluation.top_k=[5, 10]'` works. "
    "Several\n"
    "  may follow one `--set`; of the same key the last one counts.\n"
    "- Whole numbers are written in digits alone (`1000`, not `1e3`); numbers as `256`, `0.5`, `5.0e-4` or `1e-3`; truth "
    "values are\n"
    "  `true` and `false`, never `yes` or `on`. Text that looks like one of these needs quotes: `path: \"2024\"`.\n"
    "- An unknown or repeated key, a wrong type, a value out of range, values that do not go together, an alias, a tag or a "
    "second\n"
    "  document is an error (exit code 2) before anything is written. It names file, line, key, what was found, what is "
    "allowed and\n"
    "  the nearest known name:\n\n"
    "```\n"
    "run.yaml:3:3: error: unknown key 'model.haeds', did you mean 'heads'? known in model: backbone, layers, heads, ...\n"
    "    haeds: 2\n"
    "    ^\n"
    "```\n\n"
    "Values that must go together: `model.heads` divides `model.hidden_size`; `training.early_stopping.metric` uses a K of\n"
    "`evaluation.top_k`; `data.samples: window` needs `training.objective: last` and a `model.max_length` of at least 2; with "
    "decoupled\n"
    "weight decay, `training.learning_rate` times `training.weight_decay` is below 1 (also for mask generators, whose learning "
    "rate is\n"
    "`training.attack_learning_rate_ratio` times as large). By backbone:\n\n"
    "- `bert4rec` needs `training.loss: cross_entropy`, and with `model.masking: released` a `model.max_length` of at least "
    "2.\n"
    "- `ssept` needs a `model.user_hidden_size` below `model.hidden_size`.\n"
    "- `tisasrec` has relative positions of its own: `model.positions` is `none`, which is its default there.\n"
    "- `stosa` and `training.loss: stosa` need each other. Its attention is by distances: of the calibrators it takes "
    "`refinement` alone,\n"
    "  and the other backbones do not take its `kind: stochastic`.\n"
    "- `fmlprec`, `gru4rec` and `caser` have no attention, and that of `fearec` is a part among others, so that they take no "
    "calibrator.\n"
    "- `caser` has one state a window and needs `training.objective: last`.\n"
    "- `fearec` needs int(`model.topk_factor` ln(`model.max_length`)) from 1 to `model.max_length`, and a frequency for every "
    "layer.\n"
    "- All but `bert4rec`, which sees both sides anyway: `calibrators.adversarial` with `combine: fixed`, `renormalize: none` "
    "and\n"
    "  `masked_cells: included` gives weight to later items, so that with `training.objective: all` a position would see the "
    "item "
    "it has\n"
    "  to predict.\n"
    "- All: `calibrators.refinement` with `value: learned` needs `kind: value`. `training.contrastive` needs "
    "`training.objective: "
    "last` and\n"
    "  goes neither with `bert4rec` or `stosa` nor with `calibrators.adversarial`.\n";

/* "; bert4rec only", "; with calibrators.adversarial only", or nothing. */
static void describe_scope(const schema_row *row, char *text, size_t size)
{
    char owners[128];
    schema_backbones(row->backbones, owners, sizeof owners);
    snprintf(text, size, "%s%s%s%s%s%s", *owners ? "; " : "", owners, *owners ? " only" : "", row->companion ? "; with " : "",
             row->companion ? row->companion : "", row->companion ? " only" : "");
}

static void describe_row_plain(FILE *file, const schema_row *row)
{
    char allowed[512], scope[256];
    schema_allowed(row, allowed, sizeof allowed);
    describe_scope(row, scope, sizeof scope);
    fprintf(file, "  %-26s %s%s\n  %26s   %s; default %s\n", row->key, row->help, scope, "", allowed,
            row->standard ? row->standard : "none, required");
    for (const schema_choice *choice = row->choices; choice && choice->name; ++choice)
        if (choice->help)
            fprintf(file, "  %26s   %s: %s\n", "", choice->name, choice->help);
}

static void describe_row_markdown(FILE *file, const schema_row *row)
{
    char allowed[512], scope[256];
    schema_allowed(row, allowed, sizeof allowed);
    describe_scope(row, scope, sizeof scope);
    fprintf(file, "| `%s` | %s | %s | %s%s", row->key, row->standard ? row->standard : "required", allowed, row->help, scope);
    for (const schema_choice *choice = row->choices; choice && choice->name; ++choice)
        if (choice->help)
            fprintf(file, "<br>`%s`: %s", choice->name, choice->help);
    fputs(" |\n", file);
}

static void describe_section(FILE *file, const schema_section *section, bool markdown)
{
    char owners[128];
    schema_backbones(section->backbones, owners, sizeof owners);
    const char *before = *owners ? "; " : "", *after = *owners ? " only" : "";
    if (markdown)
        fprintf(file, "\n## `%s`\n\n%c%s%s%s%s.\n", section->path, toupper((unsigned char)*section->help), section->help + 1,
                before, owners, after);
    else
        fprintf(file, "\n%s: %s%s%s%s\n", section->path, section->help, before, owners, after);
    if (markdown && has_rows(section->path))
        fputs("\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n", file);
    for (size_t i = 0; i < schema_row_count; ++i)
        if (strcmp(schema_rows[i].section, section->path) == 0)
            (markdown ? describe_row_markdown : describe_row_plain)(file, &schema_rows[i]);
}

sr_status sr_settings_describe(FILE *file, bool markdown, sr_error *error)
{
    if (markdown)
        fputs(introduction, file);
    else
        fputs("Every option of a configuration (srtrain config CONFIG.yaml prints a resolved one)\n", file);
    for (size_t i = 0; i < schema_section_count; ++i)
        describe_section(file, &schema_sections[i], markdown);
    return check_stream(file, error);
}

const char *sr_settings_choice(const char *key, int value)
{
    for (size_t i = 0; i < schema_row_count; ++i) {
        const schema_row *row = &schema_rows[i];
        const size_t length = strlen(row->section);
        if (strncmp(row->section, key, length) != 0 || key[length] != '.' || strcmp(row->key, key + length + 1) != 0)
            continue;
        for (const schema_choice *choice = row->choices; choice && choice->name; ++choice)
            if (choice->value == value)
                return choice->name;
    }
    return NULL;
}

/* From YAML and assignments to settings, with errors that point at the line. */
#include "config/schema.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

/* ---- places and messages ---- */

/* Where a value was given: in a file, or in a --set assignment. */
typedef struct {
    const char *file;       /* NULL: an assignment */
    const char *text;       /* the whole file */
    const char *assignment; /* the whole assignment */
    int line, column;       /* from 0 */
} place;

typedef struct {
    sr_settings *settings;
    place *places; /* [schema_row_count]: where each key was given; line -1 when it was not */
    sr_error *error;
} reader;

/* The line of a text with this number, with a caret line below the column, or nothing when there is no such line. */
static void quote_line(const place *at, char *text, size_t size)
{
    const char *line = at->text;
    text[0] = '\0';
    for (int i = 0; line && i < at->line; ++i) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (line && at->line >= 0)
        snprintf(text, size, "\n  %.*s\n  %*s^", (int)strcspn(line, "\n"), line, at->column, "");
}

static sr_status fail_at(const reader *r, const place *at, const char *format, ...) __attribute__((format(printf, 3, 4)));

static sr_status fail_at(const reader *r, const place *at, const char *format, ...)
{
    char message[2048], source[1024] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (at->file) {
        quote_line(at, source, sizeof source);
        return sr_fail(r->error, SR_ERROR_USAGE, "%s:%d:%d: error: %s%s", at->file, at->line + 1, at->column + 1, message, source);
    }
    return sr_fail(r->error, SR_ERROR_USAGE, "--set %s: error: %s", at->assignment, message);
}

/* ", did you mean 'x'?" when something near is known. */
static void suggest(const char *name, const char *const *names, size_t count, char *text, size_t size)
{
    const char *nearest = sr_nearest_name(name, names, count);
    text[0] = '\0';
    if (nearest)
        snprintf(text, size, ", did you mean '%s'?", nearest);
}

static sr_status fail_unknown_key(const reader *r, const place *at, const char *section, const char *key)
{
    const char *names[128], *found_section = NULL;
    size_t count = 0;
    char list[1024] = "", hint[128];
    const size_t length = strlen(section);
    for (size_t i = 0; i < schema_row_count && count < 128; ++i) {
        if (strcmp(schema_rows[i].section, section) == 0)
            names[count++] = schema_rows[i].key;
        else if (strcmp(schema_rows[i].key, key) == 0)
            found_section = schema_rows[i].section;
    }
    for (size_t i = 0; i < schema_section_count && count < 128; ++i) {
        const char *path = schema_sections[i].path;
        if (length == 0 && !strchr(path, '.'))
            names[count++] = path;
        else if (length && strncmp(path, section, length) == 0 && path[length] == '.')
            names[count++] = path + length + 1;
    }
    for (size_t i = 0; i < count; ++i)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    if (found_section)
        snprintf(hint, sizeof hint, ", which belongs to section '%s'", found_section);
    else
        suggest(key, names, count, hint, sizeof hint);
    if (strcmp(section, "calibrators") == 0)
        return fail_at(r, at, "unknown calibrator '%s'; no calibrator is available in this version", key);
    return fail_at(r, at, "unknown key '%s' in %s%s%s; known are %s", key, length ? "section " : "the configuration",
                   length ? section : "", hint, list);
}

static sr_status fail_value(const reader *r, const place *at, const schema_row *row, const char *found)
{
    char allowed[512], hint[128] = "";
    const char *names[32];
    size_t count = 0;
    schema_allowed(row, allowed, sizeof allowed);
    if (row->type == SCHEMA_CHOICE) {
        for (const schema_choice *choice = row->choices; choice->name && count < 32; ++choice)
            names[count++] = choice->name;
        suggest(found, names, count, hint, sizeof hint);
    }
    return fail_at(r, at, "%s.%s is %s; allowed is %s%s", row->section, row->key, found, allowed, hint);
}

/* ---- nodes ---- */

/* The place of a node: of its scalar, or of the first scalar within it. */
static void locate(struct fy_node *node, place *at)
{
    while (node && !fy_node_is_scalar(node)) {
        if (fy_node_is_mapping(node)) {
            struct fy_node_pair *pair = fy_node_mapping_get_by_index(node, 0);
            node = pair ? fy_node_pair_key(pair) : NULL;
        } else {
            node = fy_node_sequence_get_by_index(node, 0);
        }
    }
    struct fy_token *token = node ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (mark) {
        at->line = mark->line;
        at->column = mark->column;
    }
}

/* What a node is, in words, when it is not what was wanted. */
static const char *kind_of(struct fy_node *node)
{
    if (!node || fy_node_is_null(node))
        return "empty";
    return fy_node_is_mapping(node) ? "a section" : (fy_node_is_sequence(node) ? "a list" : "a single value");
}

/* A scalar as a string that its node owns, or NULL. A quoted scalar is text, never a number, a truth value or a choice. */
static const char *scalar_text(struct fy_node *node, const schema_row *row)
{
    if (!node || !fy_node_is_scalar(node) || fy_node_is_alias(node) || fy_node_is_null(node))
        return NULL;
    const enum fy_node_style style = fy_node_get_style(node);
    if (row->type != SCHEMA_TEXT && row->type != SCHEMA_CHOICE && style != FYNS_PLAIN)
        return NULL;
    return fy_node_get_scalar0(node);
}

static sr_status assign_node(reader *r, const schema_row *row, struct fy_node *node, const place *key_place)
{
    place at = *key_place;
    const char *values[SR_TOP_K_MAXIMUM + 1];
    size_t count = 0;
    if (at.file)
        locate(node, &at);
    if (row->type == SCHEMA_INTEGER_LIST) {
        if (!node || !fy_node_is_sequence(node))
            return fail_value(r, &at, row, kind_of(node));
        void *position = NULL;
        struct fy_node *element;
        while (count <= SR_TOP_K_MAXIMUM && (element = fy_node_sequence_iterate(node, &position))) {
            values[count] = scalar_text(element, row);
            if (!values[count++])
                return fail_value(r, &at, row, "a list with something else than whole numbers");
        }
    } else {
        values[count++] = scalar_text(node, row);
        if (!values[0] && node && fy_node_is_scalar(node) && !fy_node_is_null(node))
            return fail_value(r, &at, row, "a quoted text");
        if (!values[0])
            return fail_value(r, &at, row, kind_of(node));
    }
    if (!schema_assign(row, r->settings, values, count))
        return fail_value(r, &at, row, row->type == SCHEMA_INTEGER_LIST ? "another list" : values[0]);
    r->places[row - schema_rows] = at;
    return SR_OK;
}

static sr_status read_section(reader *r, const char *path, struct fy_node *node, const place *section_place)
{
    if (fy_node_is_null(node) || !node)
        return SR_OK; /* a section that is named and left empty keeps its defaults */
    if (!fy_node_is_mapping(node))
        return fail_at(r, section_place, "%s is %s; it must be a section of keys and values",
                       *path ? path : "the configuration", kind_of(node));
    void *position = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(node, &position))) {
        place at = *section_place;
        locate(fy_node_pair_key(pair), &at);
        const char *key = fy_node_is_scalar(fy_node_pair_key(pair)) ? fy_node_get_scalar0(fy_node_pair_key(pair)) : NULL;
        if (!key)
            return fail_at(r, &at, "a key of %s is not a single word", *path ? path : "the configuration");
        char inner[128];
        snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key);
        const schema_row *row = schema_find(path, key);
        if (row)
            SR_TRY(assign_node(r, row, fy_node_pair_value(pair), &at));
        else if (schema_has_section(inner))
            SR_TRY(read_section(r, inner, fy_node_pair_value(pair), &at));
        else
            return fail_unknown_key(r, &at, path, key);
    }
    return SR_OK;
}

/* ---- documents ---- */

/* Builds a document, or says why the text is not YAML. */
static sr_status build_document(const reader *r, const char *text, place at, struct fy_document **document)
{
    struct fy_diag_cfg diagnostics_configuration;
    fy_diag_cfg_default(&diagnostics_configuration);
    struct fy_diag *diagnostics = fy_diag_create(&diagnostics_configuration);
    if (!diagnostics)
        return sr_fail_memory(r->error, 1, "reading a configuration");
    fy_diag_set_collect_errors(diagnostics, true);
    const struct fy_parse_cfg configuration = {.flags = FYPCF_QUIET, .diag = diagnostics};
    *document = fy_document_build_from_string(&configuration, text, strlen(text));
    sr_status status = SR_OK;
    if (!*document) {
        void *position = NULL;
        const struct fy_diag_error *first = fy_diag_errors_iterate(diagnostics, &position);
        if (first && first->line >= 0) {
            at.line = first->line;
            at.column = first->column > 0 ? first->column : 0;
        }
        status = fail_at(r, &at, "%s", first && first->msg ? first->msg : "this is not valid YAML");
    }
    fy_diag_destroy(diagnostics);
    return status;
}

static sr_status apply_assignment(reader *r, const char *assignment)
{
    const place at = {.assignment = assignment};
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return fail_at(r, &at, "there is no '='; write --set section.key=value");
    char path[128];
    snprintf(path, sizeof path, "%.*s", (int)(equals - assignment), assignment);
    char *dot = strrchr(path, '.');
    if (!dot)
        return fail_at(r, &at, "there is no section; write --set section.key=value");
    *dot = '\0';
    const schema_row *row = schema_find(path, dot + 1);
    if (!row && !schema_has_section(path)) {
        *strchrnul(path, '.') = '\0';
        return fail_unknown_key(r, &at, "", path);
    }
    if (!row)
        return fail_unknown_key(r, &at, path, dot + 1);
    struct fy_document *document;
    SR_TRY(build_document(r, equals + 1, at, &document));
    const sr_status status = assign_node(r, row, fy_document_root(document), &at);
    fy_document_destroy(document);
    return status;
}

/* ---- combinations of keys ---- */

/* The place where a key was given; a key left at its default has none, then that of `otherwise`. */
static place place_of(const reader *r, const char *section, const char *key, const char *other_section, const char *other_key)
{
    const place first = r->places[schema_find(section, key) - schema_rows];
    return first.line >= 0 || first.assignment ? first : r->places[schema_find(other_section, other_key) - schema_rows];
}

static bool names_a_metric(const sr_settings *settings)
{
    const char *name = settings->training.early_stopping.metric;
    const char *at = strchr(name, '@');
    const size_t length = at ? (size_t)(at - name) : 0;
    if (!at || !((length == 2 && strncmp(name, "hr", 2) == 0) || (length == 4 && strncmp(name, "ndcg", 4) == 0) ||
                 (length == 3 && strncmp(name, "mrr", 3) == 0)))
        return false;
    for (size_t k = 0; k < settings->evaluation.top_k_count; ++k) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)settings->evaluation.top_k[k]);
        if (strcmp(number, at + 1) == 0)
            return true;
    }
    return false;
}

static sr_status check_combinations(reader *r)
{
    const sr_settings *s = r->settings;
    if (s->model.hidden_size % s->model.heads != 0) {
        const place at = place_of(r, "model", "heads", "model", "hidden_size");
        return fail_at(r, &at, "model.heads is %lld, which does not divide model.hidden_size %lld", (long long)s->model.heads,
                       (long long)s->model.hidden_size);
    }
    if (s->training.objective == SR_OBJECTIVE_ALL && s->data.samples == SR_SAMPLES_WINDOW) {
        const place at = place_of(r, "training", "objective", "data", "samples");
        return fail_at(r, &at,
                       "training.objective all does not go with data.samples window: one pass over a user's sequence has no "
                       "example for the empty prefix; use samples sliding");
    }
    if (!names_a_metric(s)) {
        char list[256];
        schema_format(schema_find("evaluation", "top_k"), s, list, sizeof list);
        const place at = place_of(r, "training.early_stopping", "metric", "evaluation", "top_k");
        return fail_at(r, &at,
                       "training.early_stopping.metric is %s; allowed are hr@K, ndcg@K and mrr@K with K one of evaluation.top_k %s",
                       s->training.early_stopping.metric, list);
    }
    return SR_OK;
}

/* ---- entry points ---- */

void sr_settings_default(sr_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < schema_row_count; ++i) {
        const schema_row *row = &schema_rows[i];
        if (!row->standard)
            continue;
        char text[256];
        const char *values[SR_TOP_K_MAXIMUM];
        size_t count = 0;
        snprintf(text, sizeof text, "%s", row->standard);
        char *rest = NULL;
        for (char *word = strtok_r(text, "[], ", &rest); word && count < SR_TOP_K_MAXIMUM; word = strtok_r(NULL, "[], ", &rest))
            values[count++] = word;
        (void)schema_assign(row, settings, values, count); /* that every default is allowed is tested */
    }
}

/* The run's name: the file's, without folders and ".yaml". */
static void name_run(sr_settings *settings, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(settings->name, sizeof settings->name, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(settings->name, '.');
    if (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
        *dot = '\0';
}

static sr_status read_all(reader *r, const char *text, const char *name, const char *const *assignments, size_t assignment_count)
{
    struct fy_document *document;
    const place start = {.file = name, .text = text};
    SR_TRY(build_document(r, text, start, &document));
    const sr_status status = read_section(r, "", fy_document_root(document), &start);
    fy_document_destroy(document);
    SR_TRY(status);
    for (size_t i = 0; i < assignment_count; ++i)
        SR_TRY(apply_assignment(r, assignments[i]));
    if (!*r->settings->data.path)
        return sr_fail(r->error, SR_ERROR_USAGE, "%s: error: data.path is missing: the directory of the data set (write it in section "
                                                 "data, or give --set data.path=DIR)",
                       name);
    return check_combinations(r);
}

sr_status sr_settings_parse(sr_settings *settings, const char *text, const char *name, const char *const *assignments,
                            size_t assignment_count, sr_error *error)
{
    reader r = {.settings = settings, .error = error};
    sr_settings_default(settings);
    name_run(settings, name);
    SR_TRY(SR_ALLOCATE_ZERO(&r.places, schema_row_count, "reading a configuration", error));
    for (size_t i = 0; i < schema_row_count; ++i)
        r.places[i] = (place){.file = name, .text = text, .line = -1};
    const sr_status status = read_all(&r, text, name, assignments, assignment_count);
    free(r.places);
    return status;
}

static sr_status read_file(const char *path, char **text, sr_error *error)
{
    enum { LARGEST = 16 << 20 };
    *text = NULL;
    FILE *file = fopen(path, "rb");
    if (!file)
        return sr_fail(error, SR_ERROR_USAGE, "%s: error: the configuration cannot be read: %s", path, strerror(errno));
    size_t size = 0, room = 65536, got = 1;
    char *buffer = malloc(room + 1);
    while (buffer && got > 0 && size < LARGEST) {
        got = fread(buffer + size, 1, room - size, file);
        size += got;
        if (size == room) {
            room *= 2;
            char *grown = realloc(buffer, room + 1);
            if (!grown)
                free(buffer);
            buffer = grown;
        }
    }
    const bool failed = ferror(file) != 0;
    fclose(file);
    if (!buffer)
        return sr_fail_memory(error, room, "a configuration");
    buffer[size] = '\0';
    if (failed || strlen(buffer) != size) {
        free(buffer);
        return sr_fail(error, SR_ERROR_USAGE, "%s: error: %s", path,
                       failed ? "the configuration cannot be read (is it a directory?)" : "this is not a text file");
    }
    *text = buffer;
    return SR_OK;
}

sr_status sr_settings_read(sr_settings *settings, const char *path, const char *const *assignments, size_t assignment_count,
                           sr_error *error)
{
    char *text;
    SR_TRY(read_file(path, &text, error));
    const sr_status status = sr_settings_parse(settings, text, path, assignments, assignment_count, error);
    free(text);
    return status;
}

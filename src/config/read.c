/* From YAML and assignments to settings, with errors that point at the line. */
#include "config/place.h"
#include "config/rules.h"
#include "config/schema.h"

#include "base/shown.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND_SIZE = 128, LIST_VALUE_SIZE = 24, PATH_SIZE = 128 };

typedef struct {
    const sr_schema *schema;
    void *settings;
    place *places;                   /* [keys]: where each key was given; line -1 and no assignment when it was not */
    place *sections;                 /* [sections]: where each section was first named; likewise */
    const sr_stored_reading *stored; /* NULL: the text is a user's */
    sr_error *error;
} reader;

struct sr_given {
    const reader *r;
};

/* ---- what is said about keys and values ---- */

/* ", did you mean 'x'?" when something near is known. */
static void suggest(const char *name, const char *const *names, size_t count, char *text, size_t size)
{
    const char *nearest = sr_nearest_name(name, names, count);
    text[0] = '\0';
    if (nearest)
        snprintf(text, size, ", did you mean '%s'?", nearest);
}

/* The keys and sections that may stand in a section ("" for the whole configuration). */
static size_t known_names(const sr_schema *schema, const char *section, const char **names, size_t room)
{
    const size_t length = strlen(section);
    size_t count = 0;
    for (size_t i = 0; i < schema->key_count && count < room; ++i)
        if (strcmp(schema->keys[i].key->section, section) == 0)
            names[count++] = schema->keys[i].key->name;
    for (size_t i = 0; i < schema->section_count && count < room; ++i) {
        const char *path = schema->sections[i].path;
        const bool inside = length == 0 || (strncmp(path, section, length) == 0 && path[length] == '.');
        const char *name = inside && length ? path + length + 1 : path;
        if (inside && !strchr(name, '.'))
            names[count++] = name;
    }
    return count;
}

/* The only thing that a key can mean when it stands in the wrong section. */
static const sr_key *find_elsewhere(const sr_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->key_count; ++i)
        if (strcmp(schema->keys[i].key->name, name) == 0)
            return schema->keys[i].key;
    return NULL;
}

static sr_status fail_unknown_key(const reader *r, const place *at, const char *section, const char *key)
{
    enum { ROOM = 128 };
    const char *names[ROOM];
    char shown[FOUND_SIZE];
    shown_text(key, strlen(key), shown, sizeof shown);
    const size_t count = known_names(r->schema, section, names, ROOM);
    const sr_key *elsewhere = find_elsewhere(r->schema, key);
    char list[1024] = "none yet", hint[FOUND_SIZE];
    for (size_t i = 0, used = 0; i < count && used < sizeof list; ++i)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    if (elsewhere)
        snprintf(hint, sizeof hint, ", did you mean '%s.%s'?", elsewhere->section, elsewhere->name);
    else
        suggest(key, names, count, hint, sizeof hint);
    const sr_section *row = schema_find_section(r->schema, section);
    if (row && row->contents)
        return place_fail(at, r->error, "unknown %s '%s'%s; known are: %s", row->contents, shown, hint, list);
    return place_fail(at, r->error, "unknown key '%s%s%s'%s known %s%s: %s", section, *section ? "." : "", shown,
                      *hint ? hint : ";", *section ? "in " : "sections", section, list);
}

/* `vanishes`: the value is a number that would become 0. */
static sr_status fail_value(const reader *r, const place *at, const sr_key *key, const char *found, bool vanishes)
{
    char allowed[512];
    schema_allowed(key, allowed, sizeof allowed);
    return place_fail(at, r->error, "%s.%s is %s; allowed is %s%s", key->section, key->name, found, allowed,
                      vanishes ? "; it is too near to 0 for single precision" : "");
}

static sr_status fail_choice(const reader *r, const place *at, const sr_key *key, const char *found)
{
    enum { ROOM = 32 };
    char allowed[512], hint[FOUND_SIZE];
    const char *names[ROOM];
    size_t count = 0;
    for (; schema_choice_at(key, count).name && count < ROOM; ++count)
        names[count] = schema_choice_at(key, count).name;
    schema_allowed(key, allowed, sizeof allowed);
    suggest(found, names, count, hint, sizeof hint);
    return place_fail(at, r->error, "%s.%s is %s%s; allowed is %s", key->section, key->name, found, hint, allowed);
}

/* ---- what is gone ---- */

/* A user writes what is right today. What a program has stored goes on, where it can. */
static sr_status meet_gone(reader *r, const sr_gone_key *gone, const place *at)
{
    const char *gap = gone->value ? " " : "", *value = gone->value ? gone->value : "";
    if (!r->stored || at->assignment)
        return place_fail(at, r->error, "%s%s%s is gone: it %s; now %s; %s", gone->path, gap, value, gone->was, gone->now,
                          gone->instead);
    if (gone->ends_training && r->stored->trains)
        return place_fail(at, r->error,
                          "%s%s%s is gone: it %s; now %s. Training cannot go on as it began: go on with the version that began "
                          "it, or train anew. Its parameters can still be evaluated",
                          gone->path, gap, value, gone->was, gone->now);
    char line[1024];
    snprintf(line, sizeof line, "%s: %s%s%s is gone: it %s; now %s", at->file, gone->path, gap, value, gone->was, gone->now);
    if (r->stored->tell)
        r->stored->tell(r->stored->context, line);
    const sr_schema_key *row = gone->continued ? schema_find_path(r->schema, gone->path) : NULL;
    if (row) {
        (void)schema_assign(row, r->settings, &gone->continued, 1); /* that it is allowed is tested */
        r->places[row - r->schema->keys] = *at;
    }
    return SR_OK;
}

/* ---- nodes ---- */

/* What a plain scalar stands for in YAML when it is not text, or NULL. */
static const char *plain_meaning(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return "a truth value";
    if (strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        return "nothing";
    return schema_is_number(text) ? "a number" : NULL;
}

/* What a node is, in words, when it is not what was wanted. */
static void describe_node(struct fy_node *node, char *text, size_t size)
{
    char shown[64];
    if (node && fy_node_get_tag_token(node)) {
        snprintf(text, size, "a value with a tag, which is not supported");
    } else if (!node || fy_node_is_null(node)) {
        snprintf(text, size, "empty");
    } else if (fy_node_is_mapping(node)) {
        snprintf(text, size, "a section of keys");
    } else if (fy_node_is_alias(node)) {
        snprintf(text, size, "an alias, which is not supported");
    } else if (fy_node_is_scalar(node)) {
        const char *value = fy_node_get_scalar0(node);
        const bool plain = fy_node_get_style(node) == FYNS_PLAIN;
        const char *meaning = plain && value ? plain_meaning(value) : "quoted text";
        shown_text(value ? value : "", value ? strlen(value) : 0, shown, sizeof shown);
        snprintf(text, size, "%s%s%s%s", shown, meaning ? " (" : "", meaning ? meaning : "", meaning ? ")" : "");
    } else {
        size_t used = (size_t)snprintf(text, size, "[");
        const int count = fy_node_sequence_item_count(node);
        for (int i = 0; i < count && used < size; ++i) {
            struct fy_node *element = fy_node_sequence_get_by_index(node, i);
            const char *value = element && fy_node_is_scalar(element) ? fy_node_get_scalar0(element) : NULL;
            shown_text(value ? value : "...", value ? strlen(value) : 3, shown, LIST_VALUE_SIZE);
            used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", shown);
        }
        if (used < size)
            snprintf(text + used, size - used, "]");
    }
}

/* A scalar as a string that its node owns, or NULL when it cannot be a value of the row: aliases and tags have no use here,
 * quoted text is never a number or a truth value, and a number or a truth value is text only in quotes. */
static const char *scalar_text(struct fy_node *node, const sr_key *key)
{
    if (!node || !fy_node_is_scalar(node) || fy_node_is_alias(node) || fy_node_is_null(node) || fy_node_get_tag_token(node))
        return NULL;
    const char *text = fy_node_get_scalar0(node);
    if (!text || strlen(text) != fy_node_get_scalar_length(node)) /* "\0" within the text */
        return NULL;
    const bool wants_text = key->type == SR_KEY_TEXT || key->type == SR_KEY_CHOICE;
    if (fy_node_get_style(node) != FYNS_PLAIN)
        return wants_text ? text : NULL;
    return wants_text && plain_meaning(text) ? NULL : text;
}

static sr_status assign_node(reader *r, const sr_schema_key *row, struct fy_node *node, place at)
{
    const sr_key *key = row->key;
    const char *values[SR_LIST_MAXIMUM + 1] = {NULL};
    char found[FOUND_SIZE];
    size_t count = 0;
    bool readable;
    place_move(&at, node);
    describe_node(node, found, sizeof found);
    if (key->type == SR_KEY_INTEGER_LIST) {
        readable = node && fy_node_is_sequence(node) && !fy_node_get_tag_token(node);
        const int length = readable ? fy_node_sequence_item_count(node) : 0;
        for (int i = 0; i < length && readable && count <= SR_LIST_MAXIMUM; ++i) {
            values[count] = scalar_text(fy_node_sequence_get_by_index(node, i), key);
            readable = values[count++] != NULL;
        }
    } else {
        values[count++] = scalar_text(node, key);
        readable = values[0] != NULL;
    }
    if (!readable || !schema_assign(row, r->settings, values, count))
        return key->type == SR_KEY_CHOICE ? fail_choice(r, &at, key, found)
                                          : fail_value(r, &at, key, found, readable && schema_vanishes(key, values[0]));
    r->places[row - r->schema->keys] = at;
    return SR_OK;
}

/* A key with its value; `row` is NULL where there is no such key. *known says whether there is, or was. */
static sr_status read_value(reader *r, const char *path, const sr_schema_key *row, struct fy_node *node, place at, bool *known)
{
    const char *text = node && fy_node_is_scalar(node) ? fy_node_get_scalar0(node) : NULL;
    const sr_gone_key *gone = schema_find_gone(r->schema, path, text ? text : "");
    *known = row || gone;
    if (row && !gone)
        return assign_node(r, row, node, at);
    if (!gone)
        return SR_OK;
    if (row)
        place_move(&at, node);
    return meet_gone(r, gone, &at);
}

/* The pair before `end` with the same key, or NULL. */
static struct fy_node_pair *find_earlier(struct fy_node *mapping, const char *key, int end)
{
    for (int i = 0; i < end; ++i) {
        struct fy_node_pair *pair = fy_node_mapping_get_by_index(mapping, i);
        const char *other = fy_node_get_scalar0(fy_node_pair_key(pair));
        if (other && strcmp(other, key) == 0)
            return pair;
    }
    return NULL;
}

static void use_section(reader *r, const sr_section *section, const place *at)
{
    place *named = &r->sections[section - r->schema->sections];
    if (!place_is_given(named))
        *named = *at;
    schema_use_section(section, r->settings);
}

static sr_status read_section(reader *r, const char *path, struct fy_node *node, const place *section_place);

static sr_status read_pair(reader *r, const char *path, struct fy_node *mapping, int index, place at)
{
    struct fy_node_pair *pair = fy_node_mapping_get_by_index(mapping, index);
    struct fy_node *key_node = fy_node_pair_key(pair);
    place_move(&at, key_node);
    const bool is_word = key_node && fy_node_is_scalar(key_node) && !fy_node_is_alias(key_node);
    const char *key = is_word ? fy_node_get_scalar0(key_node) : NULL;
    if (key_node && fy_node_get_tag_token(key_node))
        return place_fail(&at, r->error, "a key of %s has a tag, which is not supported", *path ? path : "the configuration");
    if (!key || strlen(key) != fy_node_get_scalar_length(key_node)) /* "\0" within the text */
        return place_fail(&at, r->error, "a key of %s is not a single word", *path ? path : "the configuration");
    char inner[PATH_SIZE];
    snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key);
    struct fy_node_pair *earlier = find_earlier(mapping, key, index);
    if (earlier) {
        place first = at;
        place_move(&first, fy_node_pair_key(earlier));
        return place_fail(&at, r->error, "duplicate key '%s', first given in line %d", inner, first.line + 1);
    }
    bool known;
    SR_TRY(read_value(r, inner, schema_find(r->schema, path, key), fy_node_pair_value(pair), at, &known));
    if (known)
        return SR_OK;
    if (schema_find_section(r->schema, inner))
        return read_section(r, inner, fy_node_pair_value(pair), &at);
    return fail_unknown_key(r, &at, path, key);
}

static sr_status read_section(reader *r, const char *path, struct fy_node *node, const place *section_place)
{
    const sr_section *section = schema_find_section(r->schema, path); /* NULL: the whole configuration */
    if (section)
        use_section(r, section, section_place);
    const bool has_tag = node && fy_node_get_tag_token(node);
    if (!has_tag && (!node || fy_node_is_null(node)))
        return SR_OK; /* a section that is named and left empty keeps its defaults */
    if (has_tag || !fy_node_is_mapping(node)) {
        char found[FOUND_SIZE];
        describe_node(node, found, sizeof found);
        return place_fail(section_place, r->error, "%s is %s; it must be a section of keys and values",
                          *path ? path : "the configuration", found);
    }
    const int count = fy_node_mapping_item_count(node);
    for (int i = 0; i < count; ++i)
        SR_TRY(read_pair(r, path, node, i, *section_place));
    return SR_OK;
}

/* ---- assignments ---- */

/* Says which part of a path that names no key is unknown. */
static sr_status fail_assigned_path(const reader *r, const place *at, char *path)
{
    if (!strchr(path, '.') && !schema_find_section(r->schema, path))
        return fail_unknown_key(r, at, "", path);
    if (schema_find_section(r->schema, path))
        return place_fail(at, r->error, "%s is a section; set its keys one by one, as --set %s.KEY=VALUE", path, path);
    for (char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
        *dot = '\0';
        const int length = (int)(dot - path);
        if (schema_find_path(r->schema, path)) {
            *dot = '.';
            return place_fail(at, r->error,
                              "unknown key '%s': %.*s is a key, below which nothing stands; write --set %.*s=VALUE", path,
                              length, path, length, path);
        }
        if (!schema_find_section(r->schema, path)) {
            char *parent_end = strrchr(path, '.');
            if (!parent_end)
                return fail_unknown_key(r, at, "", path);
            *parent_end = '\0';
            return fail_unknown_key(r, at, path, parent_end + 1);
        }
        *dot = '.';
    }
    char *last = strrchr(path, '.');
    *last = '\0';
    return fail_unknown_key(r, at, path, last + 1);
}

static sr_status apply_assignment(reader *r, const char *assignment)
{
    const place at = {.assignment = assignment, .line = -1};
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return place_fail(&at, r->error, "%s; write --set section.key=value",
                          equals ? "there is no key before '='" : "there is no '='");
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%.*s", (int)(equals - assignment), assignment);
    const sr_schema_key *row = schema_find_path(r->schema, path);
    if (!row && !schema_find_gone(r->schema, path, NULL))
        return fail_assigned_path(r, &at, path);
    struct fy_document *document;
    bool known;
    SR_TRY(place_build_document(equals + 1, &at, &document, r->error));
    const sr_status status = read_value(r, path, row, document ? fy_document_root(document) : NULL, at, &known);
    if (document)
        fy_document_destroy(document);
    if (status == SR_OK && !row)
        return fail_assigned_path(r, &at, path);
    if (status == SR_OK)
        use_section(r, schema_find_section(r->schema, row->key->section), &at);
    return status;
}

/* ---- entry points ---- */

void sr_schema_defaults(const sr_schema *schema, void *settings)
{
    memset(settings, 0, schema->settings_size);
    for (size_t i = 0; i < schema->key_count; ++i) {
        const sr_schema_key *row = &schema->keys[i];
        if (!row->key->standard)
            continue;
        char text[256];
        const char *values[SR_LIST_MAXIMUM];
        size_t count = 0;
        snprintf(text, sizeof text, "%s", row->key->standard);
        char *rest = NULL;
        for (char *word = strtok_r(text, "[], ", &rest); word && count < SR_LIST_MAXIMUM; word = strtok_r(NULL, "[], ", &rest))
            values[count++] = word;
        (void)schema_assign(row, settings, values, count); /* that every default is allowed is tested */
    }
}

bool sr_is_given(const sr_given *given, const char *path)
{
    const reader *r = given->r;
    const sr_schema_key *row = schema_find_path(r->schema, path);
    return row && place_is_given(&r->places[row - r->schema->keys]);
}

/* A key without a default that was not given: points at its section, if that is in the file. */
static sr_status check_required(const reader *r)
{
    for (size_t i = 0; i < r->schema->key_count; ++i) {
        const sr_key *key = r->schema->keys[i].key;
        const place *section = &r->sections[schema_find_section(r->schema, key->section) - r->schema->sections];
        if (key->standard || place_is_given(&r->places[i]))
            continue;
        const place *at = section->line >= 0 ? section : &r->places[i];
        return place_fail(at, r->error, "%s.%s is missing; it is the %s: write it in section %s, or give --set %s.%s=...",
                          key->section, key->name, key->help, key->section, key->section, key->name);
    }
    return SR_OK;
}

static sr_status read_document(reader *r, const char *text, const char *name)
{
    struct fy_document *document;
    place start = {.file = name, .text = text};
    SR_TRY(place_build_document(text, &start, &document, r->error));
    if (!document)
        return SR_OK;
    struct fy_node *root = fy_document_root(document);
    place_move(&start, root);
    const sr_status status = read_section(r, "", root, &start);
    fy_document_destroy(document);
    return status;
}

static sr_status read_all(reader *r, const char *text, const char *name, const char *const *assignments,
                          size_t assignment_count)
{
    SR_TRY(read_document(r, text, name));
    for (size_t i = 0; i < assignment_count; ++i)
        SR_TRY(apply_assignment(r, assignments[i]));
    SR_TRY(check_required(r));
    if (r->schema->settle)
        r->schema->settle(r->settings, &(sr_given){r});
    return check_rules(r->schema, r->settings, r->places, r->sections, r->error);
}

/* A reader that has read nothing yet; release its places with free(). */
static sr_status begin(reader *r, const sr_schema *schema, void *settings, const char *text, const char *name, sr_error *error)
{
    *r = (reader){.schema = schema, .settings = settings, .error = error};
    const size_t places = schema->key_count + schema->section_count;
    if (schema->overflowed)
        return sr_fail(error, SR_ERROR_RUNTIME,
                       "the schema of configurations has more keys, sections, rules or settings than it has room for");
    SR_TRY(SR_ALLOCATE_ZERO(&r->places, places, "reading a configuration", error));
    r->sections = r->places + schema->key_count;
    for (size_t i = 0; i < places; ++i)
        r->places[i] = (place){.file = name, .text = text, .line = -1};
    return SR_OK;
}

sr_status sr_schema_parse(const sr_schema *schema, void *settings, const char *text, const char *name,
                          const char *const *assignments, size_t assignment_count, const sr_stored_reading *stored,
                          sr_error *error)
{
    reader r;
    sr_schema_defaults(schema, settings);
    SR_TRY(begin(&r, schema, settings, text, name, error));
    r.stored = stored;
    const sr_status status = read_all(&r, text, name, assignments, assignment_count);
    free(r.places);
    return status;
}

sr_status sr_schema_assign(const sr_schema *schema, void *settings, const char *assignment, sr_error *error)
{
    reader r;
    SR_TRY(begin(&r, schema, settings, NULL, NULL, error));
    const sr_status status = apply_assignment(&r, assignment);
    free(r.places);
    return status;
}

/* What keeps a file from being read, or NULL. */
static const char *unreadable(int descriptor)
{
    struct stat information;
    if (descriptor < 0 || fstat(descriptor, &information) != 0)
        return strerror(errno);
    if (S_ISREG(information.st_mode))
        return NULL;
    return S_ISDIR(information.st_mode) ? strerror(EISDIR)
                                        : "it is a pipe or a device, and each rank reads a regular file; write the text to one";
}

/* Opens a file without waiting: opening a pipe would last until somebody writes to it. */
static sr_status open_regular(const char *path, FILE **file, sr_error *error)
{
    const int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const char *reason = unreadable(descriptor);
    *file = reason ? NULL : fdopen(descriptor, "rb");
    if (*file)
        return SR_OK;
    const sr_status status = sr_fail(error, SR_ERROR_USAGE, "%s: error: the configuration cannot be read: %s", path,
                                     reason ? reason : strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
    return status;
}

sr_status sr_config_read_file(const char *path, char **text, sr_error *error)
{
    enum { LARGEST = 1 << 20 };
    *text = NULL;
    FILE *file;
    SR_TRY(open_regular(path, &file, error));
    char *buffer;
    sr_status status = SR_ALLOCATE(&buffer, LARGEST + 1, "a configuration", error);
    if (status == SR_OK) {
        const size_t size = fread(buffer, 1, LARGEST + 1, file);
        if (ferror(file))
            status = sr_fail(error, SR_ERROR_USAGE, "%s: error: the configuration cannot be read: %s", path, strerror(errno));
        else if (size > LARGEST)
            status = sr_fail(error, SR_ERROR_USAGE, "%s: error: the file is larger than %d bytes: this is no configuration",
                             path, LARGEST);
        else if (memchr(buffer, '\0', size))
            status = sr_fail(error, SR_ERROR_USAGE, "%s: error: there is a zero byte in it: this is not a text file", path);
        else
            buffer[size] = '\0';
    }
    fclose(file);
    if (status == SR_OK)
        *text = buffer;
    else
        free(buffer);
    return status;
}

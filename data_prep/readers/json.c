/* Files of one JSON object a line, of which a few keys are wanted. An array on the way to a key stands for all its elements:
 * each makes an interaction of its own. Arrays on the ways to different keys are gone through side by side. */
#include "json_text.h"
#include "reading.h"
#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST_ARRAY = 4, PLACES = ROLES + READER_WHERES };

/* The element of an array that was looked at last: the next one is near. */
typedef struct {
    size_t array, number, element;
} array_cursor;

/* Where a value is looked for. */
typedef struct {
    const char *path; /* keys with dots between them */
    array_cursor cursors[DEEPEST_ARRAY];
} json_place;

struct json_reader {
    json_text text;
    char keys[ROLES][READER_NAME_SIZE]; /* "" for none */
    json_place places[PLACES];          /* of roles, then of --where */
    size_t index[DEEPEST_ARRAY];        /* which elements an interaction is made of */
    size_t depth;                       /* arrays on the way to the item */
};

sr_status json_begin(reading *r, const char *const keys[ROLES], bool python, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&r->json, 1, "a reader of JSON", error));
    json_reader *json = r->json;
    json->text.python = python;
    for (size_t i = 0; i < ROLES; ++i) {
        snprintf(json->keys[i], sizeof json->keys[i], "%s", keys[i]);
        json->places[i].path = json->keys[i];
    }
    for (size_t i = 0; i < r->where_count; ++i)
        json->places[ROLES + i].path = r->where[i].name;
    r->has_keys = true;
    r->has_times = *json->keys[TIME] != '\0';
    r->has_ratings = *json->keys[RATING] != '\0';
    return SR_OK;
}

sr_status json_begin_by_columns(reading *r, bool python, sr_error *error)
{
    column_texts texts;
    SR_TRY(reading_roles(r->options, false, NULL, &texts, error));
    return json_begin(r, (const char *const[ROLES]){texts.one[USER], texts.one[ITEM], texts.one[TIME], texts.one[RATING]},
                      python, error);
}

void json_end(reading *r)
{
    if (r->json)
        json_text_free(&r->json->text);
    free(r->json);
    r->json = NULL;
}

/* ---- finding values ---- */

/* Element `number` of an array, or 0 behind the last one. */
static size_t element_of(const json_text *text, array_cursor *cursor, size_t array, size_t number)
{
    const size_t end = text->nodes[array].after;
    if (cursor->array != array || cursor->number > number)
        *cursor = (array_cursor){array, 0, array + 1};
    for (; cursor->number < number && cursor->element < end; ++cursor->number)
        cursor->element = text->nodes[cursor->element].after;
    return cursor->element < end ? cursor->element : 0;
}

/* What is found at the end of a path. */
typedef struct {
    size_t node;         /* the value; or the array that has an element too few, or the object that lacks a key */
    const char *missing; /* the key that is not there, or what is not there else; NULL for nothing */
} found_value;

static found_value find_value(json_reader *json, json_place *place)
{
    const char *path = place->path;
    size_t node = 0, arrays = 0;
    for (;;) {
        const json_kind kind = json->text.nodes[node].kind;
        if (kind == JSON_ARRAY && arrays < json->depth) {
            const size_t element = element_of(&json->text, &place->cursors[arrays], node, json->index[arrays]);
            if (element == 0)
                return (found_value){node, "an element"};
            node = element;
            ++arrays;
        } else if (kind == JSON_OBJECT && *path) {
            size_t used = 0;
            const size_t value = json_text_find(&json->text, node, path, &used);
            if (value == 0)
                return (found_value){node, path};
            node = value;
            path += used;
        } else {
            return (found_value){node, *path ? path : NULL};
        }
    }
}

/* ---- interactions ---- */

/* Says where in an object of the line, or in the first one of an array, a key is that was looked for outside of it. */
enum { INNER_SIZE = 2 * READER_NAME_SIZE };
static void find_inner_key(json_text *text, const char *path, char found[INNER_SIZE])
{
    *found = '\0';
    for (size_t key = 1; key < text->nodes[0].after && !*found; key = text->nodes[text->nodes[key].after].after) {
        size_t inner = text->nodes[key].after, used;
        if (text->nodes[inner].kind == JSON_ARRAY && text->nodes[inner].after > inner + 1)
            ++inner;
        if (text->nodes[inner].kind == JSON_OBJECT && text->nodes[key].length < READER_NAME_SIZE / 2 &&
            json_text_find(text, inner, path, &used) > 0)
            snprintf(found, INNER_SIZE, ", did you mean \"%.*s.%s\"", (int)text->nodes[key].length,
                     text->text + text->nodes[key].begin, path);
    }
}

/* Drops an object that lacks a key; or one element of it. */
static sr_status drop_without_key(reading *r, const char *path, found_value found, sr_error *error)
{
    json_text *text = &r->json->text;
    const json_node *node = &text->nodes[found.node];
    const char *wanted[ROLES];
    field names[READER_FIELDS];
    char known[NAMES_SIZE];
    size_t count = 0;
    if (node->kind == JSON_ARRAY)
        return reading_drop(r, DROPPED_KEY, error, "the array of \"%s\" has fewer elements than that of \"%s\"", path,
                            r->json->keys[ITEM]);
    if (node->kind != JSON_OBJECT)
        return reading_drop(r, DROPPED_KEY, error, "the key \"%s\" is missing: there is no object in which \"%s\" could be",
                            path, found.missing);
    for (size_t key = found.node + 1; key < node->after && count < READER_FIELDS;
         key = text->nodes[text->nodes[key].after].after)
        names[count++] = (field){text->text + text->nodes[key].begin, text->nodes[key].length};
    for (size_t i = 0; i < ROLES; ++i)
        wanted[i] = r->json->keys[i];
    char inner[INNER_SIZE];
    find_inner_key(text, path, inner);
    reading_describe_names(found.missing, wanted, names, count, known);
    return reading_drop(r, DROPPED_KEY, error, "the key \"%s\" is missing%s%s", path, inner, known);
}

/* What a role's key holds. *fits is false when it was dropped. */
static sr_status take_value(reading *r, role which, field *value, bool *fits, sr_error *error)
{
    json_reader *json = r->json;
    const char *path = json->keys[which];
    const found_value found = find_value(json, &json->places[which]);
    *fits = true;
    *value = (field){"", 0}; /* what is not there counts as empty */
    if (found.missing && reading_is_na(r, *value))
        return SR_OK;
    *fits = false;
    if (found.missing)
        return drop_without_key(r, path, found, error);
    const json_kind kind = json->text.nodes[found.node].kind;
    const char *wrong = json_text_value(&json->text, found.node, which == TIME || which == RATING, value);
    if (kind == JSON_NULL && !reading_is_na(r, *value))
        wrong = "is null; --na-values null leaves out lines where it is";
    if (kind == JSON_OBJECT || kind == JSON_ARRAY || kind == JSON_TRUE || kind == JSON_FALSE)
        wrong = "is neither text nor a number";
    if (wrong)
        return reading_drop(r, DROPPED_KEY, error, "the key \"%s\" %s", path, wrong);
    *fits = true;
    return SR_OK;
}

/* Whether each key of --where has one of its values. One that is not there has none. */
static bool is_chosen(reading *r)
{
    for (size_t i = 0; i < r->where_count; ++i) {
        const found_value found = find_value(r->json, &r->json->places[ROLES + i]);
        field value;
        if (found.missing || json_text_value(&r->json->text, found.node, false, &value) || !where_has(&r->where[i], value))
            return false;
    }
    return true;
}

/* The interaction at r->json->index. */
static sr_status add_interaction(reading *r, sr_error *error)
{
    field values[ROLES] = {{NULL, 0}};
    const bool wanted[ROLES] = {!r->options->no_user, true, r->has_times, r->has_ratings};
    if (!is_chosen(r)) {
        reading_leave_out(r, DROPPED_WHERE);
        return SR_OK;
    }
    for (size_t i = 0; i < ROLES; ++i) {
        bool fits = true;
        if (wanted[i])
            SR_TRY(take_value(r, (role)i, &values[i], &fits, error));
        if (!fits)
            return SR_OK;
    }
    if (r->options->no_user)
        values[USER] = reading_user_of_line(r);
    return reading_add(r, values, error);
}

/* Goes through all arrays on the way from `node` to the item. */
static sr_status add_all(reading *r, size_t node, const char *path, size_t *count, sr_error *error)
{
    json_reader *json = r->json;
    size_t used = 0, value;
    while (json->text.nodes[node].kind == JSON_OBJECT && (value = json_text_find(&json->text, node, path, &used)) > 0) {
        node = value;
        path += used;
    }
    if (json->text.nodes[node].kind != JSON_ARRAY) {
        ++*count;
        return add_interaction(r, error);
    }
    if (json->depth == DEEPEST_ARRAY)
        return reading_drop(r, DROPPED_KEY, error, "the key \"%s\" is in arrays that are more than %d deep", json->keys[ITEM],
                            DEEPEST_ARRAY);
    const size_t depth = json->depth++;
    json->index[depth] = 0;
    for (size_t element = node + 1; element < json->text.nodes[node].after; ++json->index[depth]) {
        SR_TRY(add_all(r, element, path, count, error));
        element = json->text.nodes[element].after;
    }
    json->depth = depth;
    return SR_OK;
}

static sr_status add_object(reading *r, sr_error *error)
{
    json_reader *json = r->json;
    size_t count = 0;
    json->depth = 0;
    for (size_t i = 0; i < ROLES + r->where_count; ++i)
        memset(json->places[i].cursors, 0, sizeof json->places[i].cursors);
    reading_begin_group(r);
    SR_TRY(add_all(r, 0, json->keys[ITEM], &count, error));
    if (count == 0 && !r->group_is_bad)
        reading_leave_out(r, DROPPED_EMPTY_LIST);
    return reading_end_group(r, error);
}

/* ---- lines ---- */

/* What a line may be that is no object by itself, and what helps. */
static const char *advise(const reading *r, const char *line, size_t length)
{
    const json_text *text = &r->json->text;
    const char *first = line + strspn(line, " \t");
    const char *second = *first ? first + 1 + strspn(first + 1, " \t") : first;
    if (text->python)
        return "";
    if (*first == '[')
        return "; this looks like one array, not an object a line: jq -c '.[]' FILE | srprep convert --input - reads its "
               "elements";
    if (*first == '{' && (*second == '\'' || (*second == 'u' && (second[1] == '\'' || second[1] == '"'))))
        return "; this is a Python dictionary: --format python reads it";
    if (*first == '{' && lines_number(r->file) == 1 && text->wrong_at >= length)
        return "; this looks like one document, not an object a line: jq -c '.KEY[]' FILE | srprep convert --input - reads "
               "the array that it has at KEY";
    return "";
}

/* A line, which is null-terminated. */
static sr_status add_line(reading *r, const char *line, size_t length, sr_error *error)
{
    json_text *text = &r->json->text;
    const char *kind = text->python ? "Python" : "JSON";
    if (length == 0)
        return reading_drop(r, DROPPED_EMPTY_LINE, error, "the line is empty");
    SR_TRY(json_text_read(text, line, length, error));
    if (text->wrong)
        return reading_drop(r, DROPPED_JSON, error, "the line is not %s: there is something wrong near column %zu: %s%s", kind,
                            text->wrong_at + 1, text->wrong, advise(r, line, length));
    if (text->nodes[0].kind != JSON_OBJECT)
        return reading_drop(r, DROPPED_JSON, error, "the line is %s, but not an object: expected {...}, one a line%s", kind,
                            advise(r, line, length));
    return add_object(r, error);
}

sr_status json_read(reading *r, sr_error *error)
{
    return reading_lines(r, add_line, error);
}

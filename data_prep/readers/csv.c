/* Delimited files with chosen columns; quoted fields as in RFC 4180: they may hold delimiters, line ends and doubled quotes. */
#include "reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- columns ---- */

/* The name of the header that is nearest to `text`, for messages; "" for none. */
static void suggest(const reading *r, const char *text, size_t header_count, char *suggestion, size_t size)
{
    char names[READER_FIELDS][64];
    const char *list[READER_FIELDS];
    const size_t count = header_count < READER_FIELDS ? header_count : READER_FIELDS;
    for (size_t i = 0; i < count; ++i) {
        snprintf(names[i], sizeof names[i], "%.*s", (int)r->fields[i].length, r->fields[i].text);
        list[i] = names[i];
    }
    const char *nearest = sr_nearest_name(text, list, count);
    snprintf(suggestion, size, "%s%s%s", nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* The number of a column that is given as a number from 0 or as a name of the header, which r->fields holds. */
static sr_status resolve_column(const reading *r, const char *text, size_t header_count, size_t *column, sr_error *error)
{
    char *end, suggestion[128];
    const unsigned long number = strtoul(text, &end, 10);
    *column = number;
    if (*text >= '0' && *text <= '9' && *end == '\0') {
        if (number >= READER_FIELDS)
            return sr_fail(error, SR_ERROR_USAGE, "--columns: column %lu: allowed is from 0 to %d", number, READER_FIELDS - 1);
        return SR_OK;
    }
    if (!r->options->header)
        return sr_fail(error, SR_ERROR_USAGE,
                       "--columns: \"%s\" is a name, which needs --header; without it columns are numbers from 0", text);
    for (size_t i = 0; i < header_count && i < READER_FIELDS; ++i)
        if (r->fields[i].length == strlen(text) && memcmp(r->fields[i].text, text, strlen(text)) == 0) {
            *column = i;
            return SR_OK;
        }
    suggest(r, text, header_count, suggestion, sizeof suggestion);
    return sr_fail(error, SR_ERROR_DATA, "%s:1: the header has no column \"%s\"%s", lines_path(r->file), text, suggestion);
}

/* Reads "user=0,item=1,time=3,rating=2". */
static sr_status choose_columns(reading *r, size_t header_count, sr_error *error)
{
    static const char *const roles[] = {"user", "item", "time", "rating"};
    column_choice *columns = &r->columns;
    size_t *const chosen[] = {&columns->user, &columns->item, &columns->time, &columns->rating};
    *columns = (column_choice){SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    char copy[1024], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", r->options->columns);
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(part, '=');
        size_t role = 0;
        if (equals)
            *equals = '\0';
        while (role < 4 && strcmp(roles[role], part) != 0)
            ++role;
        if (!equals || role == 4)
            return sr_fail(error, SR_ERROR_USAGE,
                           "--columns: \"%s\": allowed are user=, item=, time= and rating=, each with a column", part);
        if (*chosen[role] != SIZE_MAX)
            return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %s= stands there twice", r->options->columns, part);
        SR_TRY(resolve_column(r, equals + 1, header_count, chosen[role], error));
    }
    if (columns->user == SIZE_MAX || columns->item == SIZE_MAX)
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: user= and item= are needed", r->options->columns);
    return SR_OK;
}

/* ---- fields ---- */

static const char *delimiter_of(const reading *r)
{
    return r->options->delimiter ? r->options->delimiter : ",";
}

/* Takes a quoted field off *at, in place: doubled quotes become single ones. False when the quote is not closed or followed by
 * something else. *at becomes NULL at the end of the record. */
static bool take_quoted(char **at, const char *end, const char *delimiter, field *taken)
{
    char *to = *at;
    const char *from = *at + 1;
    taken->text = to;
    for (; from < end; ++from) {
        if (*from == '"' && from + 1 < end && from[1] == '"')
            ++from;
        else if (*from == '"')
            break;
        *to++ = *from;
    }
    if (from >= end)
        return false;
    ++from;
    taken->length = (size_t)(to - taken->text);
    const size_t length = strlen(delimiter), left = (size_t)(end - from);
    if (left > 0 && (left < length || memcmp(from, delimiter, length) != 0))
        return false;
    *at = left > 0 ? *at + (from - *at) + length : NULL;
    return true;
}

/* Splits a record with quoted fields, in place; SIZE_MAX when a quote is wrong. */
static size_t split_quoted(reading *r, char *record, size_t record_length, const char *delimiter)
{
    size_t count = 0;
    const size_t length = strlen(delimiter);
    const char *end = record + record_length;
    for (char *at = record; at; ++count) {
        field taken = {at, 0};
        if (at < end && *at == '"') {
            if (!take_quoted(&at, end, delimiter, &taken))
                return SIZE_MAX;
        } else {
            char *found = memmem(at, (size_t)(end - at), delimiter, length);
            taken.length = (size_t)((found ? found : end) - at);
            at = found ? found + length : NULL;
        }
        if (count < READER_FIELDS)
            r->fields[count] = taken;
    }
    return count;
}

/* Whether `text` ends inside a quoted field; `inside` says whether it begins in one. */
static bool ends_inside_quotes(const char *text, const char *end, const char *delimiter, bool inside)
{
    const size_t length = strlen(delimiter);
    const char *at = text;
    for (bool field_start = !inside;; field_start = true) {
        if (field_start && at < end && *at == '"') {
            inside = true;
            ++at;
        }
        while (inside) {
            const char *quote = memchr(at, '"', (size_t)(end - at));
            if (!quote)
                return true;
            inside = quote + 1 < end && quote[1] == '"';
            at = quote + (inside ? 2 : 1);
        }
        const char *next = memmem(at, (size_t)(end - at), delimiter, length);
        if (!next)
            return false;
        at = next + length;
    }
}

/* A copy of a record, to be written to. */
static sr_status copy_record(reading *r, const char *record, size_t length, sr_error *error)
{
    if (length > r->scratch_room) {
        char *grown = realloc(r->scratch, 2 * length);
        if (!grown)
            return sr_fail_memory(error, 2 * length, "a record");
        r->scratch = grown;
        r->scratch_room = 2 * length;
    }
    memcpy(r->scratch, record, length);
    return SR_OK;
}

/* Puts the fields of the record that begins with `line` into r->fields: a line, or several where quoted fields hold line ends.
 * *wrong says what is wrong with its quotes, or is NULL; only the first line is used up then. */
static sr_status take_fields(reading *r, const char *line, size_t length, size_t *count, const char **wrong, sr_error *error)
{
    const char *delimiter = delimiter_of(r);
    *wrong = NULL;
    if (!memchr(line, '"', length)) {
        *count = reading_split(r, line, length, delimiter);
        return SR_OK;
    }
    size_t looked_at = 0;
    bool inside = false;
    while (line && (inside = ends_inside_quotes(line + looked_at, line + length, delimiter, inside))) {
        looked_at = length;
        SR_TRY(lines_continue(r->file, &line, &length, error));
    }
    if (line) {
        SR_TRY(copy_record(r, line, length, error));
        *count = split_quoted(r, r->scratch, length, delimiter);
    }
    if (!line)
        *wrong = "a quoted field is not closed";
    else if (*count == SIZE_MAX)
        *wrong = "a quoted field is followed by other characters than the delimiter";
    if (*wrong)
        lines_take_back(r->file);
    return SR_OK;
}

/* ---- files ---- */

sr_status begin_csv(reading *r, sr_error *error)
{
    const char *line, *wrong = NULL;
    size_t length, count = 0;
    if (r->options->header) {
        SR_TRY(reading_header(r, &line, &length, error));
        SR_TRY(take_fields(r, line, length, &count, &wrong, error));
        if (wrong)
            return lines_fail(r->file, "", error, "%s", wrong);
    }
    SR_TRY(choose_columns(r, count, error));
    r->facts->has_times = r->columns.time != SIZE_MAX;
    r->facts->has_ratings = r->columns.rating != SIZE_MAX;
    r->column_count = count;
    return SR_OK;
}

/* One record; the number of columns of the first holds for all. */
static sr_status add_record(reading *r, const char *line, size_t length, sr_error *error)
{
    size_t count = 0;
    const char *wrong;
    SR_TRY(take_fields(r, line, length, &count, &wrong, error));
    if (wrong)
        return reading_drop(r, DROPPED_QUOTES, error, "%s", wrong);
    if (r->column_count == 0)
        r->column_count = count;
    if (count != r->column_count)
        return reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, expected %zu as in the first line", count,
                            r->column_count);
    return reading_add_fields(r, count, error);
}

sr_status read_csv(reading *r, sr_error *error)
{
    const char *line;
    size_t length;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        SR_TRY(add_record(r, line, length, error));
    }
}

/* Delimited files with chosen columns; quoted fields as in RFC 4180: they may hold delimiters, line ends and doubled quotes. */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- columns ---- */

/* The number of a column that is given as a number from 0 or as a name of the header. */
static sr_status resolve_column(const lines *file, const char *text, char *const *header, size_t header_count, size_t *column,
                                sr_error *error)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    *column = number;
    if (*text >= '0' && *text <= '9' && *end == '\0') {
        if (number >= READER_FIELDS)
            return sr_fail(error, SR_ERROR_USAGE, "--columns: column %lu: allowed is from 0 to %d", number, READER_FIELDS - 1);
        return SR_OK;
    }
    if (!header)
        return sr_fail(error, SR_ERROR_USAGE,
                       "--columns: \"%s\" is a name, which needs --header; without it columns are numbers from 0", text);
    for (size_t i = 0; i < header_count && i < READER_FIELDS; ++i)
        if (strcmp(header[i], text) == 0) {
            *column = i;
            return SR_OK;
        }
    const char *nearest = sr_nearest_name(text, (const char *const *)header,
                                          header_count < READER_FIELDS ? header_count : READER_FIELDS);
    return sr_fail(error, SR_ERROR_DATA, "%s:1: the header has no column \"%s\"%s%s%s", lines_path(file), text,
                   nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* Reads "user=0,item=1,time=3,rating=2". */
static sr_status choose_columns(const lines *file, const char *text, char *const *header, size_t header_count,
                                column_choice *columns, sr_error *error)
{
    static const char *const roles[] = {"user", "item", "time", "rating"};
    size_t *const fields[] = {&columns->user, &columns->item, &columns->time, &columns->rating};
    *columns = (column_choice){SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    char copy[1024], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
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
        if (*fields[role] != SIZE_MAX)
            return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %s= stands there twice", text, part);
        SR_TRY(resolve_column(file, equals + 1, header, header_count, fields[role], error));
    }
    if (columns->user == SIZE_MAX || columns->item == SIZE_MAX)
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: user= and item= are needed", text);
    return SR_OK;
}

/* ---- fields ---- */

/* Takes a quoted field off *at, in place: doubled quotes become single ones. NULL when the quote is not closed or followed by
 * something else. */
static char *take_quoted(char **at, const char *delimiter)
{
    char *field = *at, *to = *at;
    const char *from = *at + 1;
    for (; *from; ++from) {
        if (*from == '"' && from[1] == '"')
            ++from;
        else if (*from == '"')
            break;
        *to++ = *from;
    }
    if (*from != '"')
        return NULL;
    ++from;
    const size_t length = strlen(delimiter);
    char *next = NULL;
    if (*from) {
        if (strncmp(from, delimiter, length) != 0)
            return NULL;
        next = *at + (from - *at) + length;
    }
    *to = '\0';
    *at = next;
    return field;
}

/* Splits a line with quoted fields; SIZE_MAX when a quote is wrong. */
static size_t split_quoted(char *line, const char *delimiter, char **fields, size_t room)
{
    size_t count = 0;
    const size_t length = strlen(delimiter);
    for (char *at = line; at; ++count) {
        char *field = at;
        if (*at == '"') {
            field = take_quoted(&at, delimiter);
            if (!field)
                return SIZE_MAX;
        } else {
            char *found = strstr(at, delimiter);
            if (found)
                *found = '\0';
            at = found ? found + length : NULL;
        }
        if (count < room)
            fields[count] = field;
    }
    return count;
}

/* Whether `text` ends inside a quoted field; `inside` says whether it begins in one. */
static bool ends_inside_quotes(const char *text, const char *delimiter, bool inside)
{
    const size_t length = strlen(delimiter);
    const char *at = text;
    for (bool field_start = !inside;; field_start = true) {
        if (field_start && *at == '"') {
            inside = true;
            ++at;
        }
        while (inside) {
            const char *quote = strchr(at, '"');
            if (!quote)
                return true;
            inside = quote[1] == '"';
            at = quote + (inside ? 2 : 1);
        }
        const char *next = strstr(at, delimiter);
        if (!next)
            return false;
        at = next + length;
    }
}

/* The fields of the next record: a line, or several where quoted fields hold line ends. */
static sr_status next_fields(lines *file, const char *delimiter, char **line, char **fields, size_t *count, sr_error *error)
{
    SR_TRY(lines_next(file, line, error));
    if (!*line)
        return SR_OK;
    if (!strchr(*line, '"')) {
        *count = reader_split(*line, delimiter, fields, READER_FIELDS);
        return SR_OK;
    }
    char *record = *line;
    size_t looked_at = 0;
    bool inside = false;
    while ((inside = ends_inside_quotes(record + looked_at, delimiter, inside))) {
        looked_at = strlen(record);
        SR_TRY(lines_continue(file, &record, error));
        if (!record)
            return lines_fail(file, *line, error, "a quoted field is not closed");
    }
    *line = record;
    *count = split_quoted(record, delimiter, fields, READER_FIELDS);
    return *count != SIZE_MAX
               ? SR_OK
               : lines_fail(file, *line, error, "a quoted field is followed by other characters than the delimiter");
}

sr_status read_csv(lines *file, const reader_options *options, interactions *all, sr_error *error)
{
    const char *delimiter = options->delimiter ? options->delimiter : ",";
    char *line = NULL, *fields[READER_FIELDS];
    size_t count = 0;
    column_choice columns;
    if (options->header) {
        SR_TRY(next_fields(file, delimiter, &line, fields, &count, error));
        if (!line)
            return sr_fail(error, SR_ERROR_DATA, "%s is empty: expected a header line", lines_path(file));
    }
    SR_TRY(choose_columns(file, options->columns, options->header ? fields : NULL, count, &columns, error));
    all->has_times = columns.time != SIZE_MAX;
    all->has_ratings = columns.rating != SIZE_MAX;
    size_t expected = count; /* that of the first line holds for all */
    for (;;) {
        SR_TRY(next_fields(file, delimiter, &line, fields, &count, error));
        if (!line)
            return SR_OK;
        ++all->lines;
        if (expected == 0)
            expected = count;
        if (count != expected)
            return lines_fail(file, line, error, "found %zu columns, expected %zu as in the first line", count, expected);
        SR_TRY(reader_add_fields(file, line, fields, count, &columns, all, error));
    }
}

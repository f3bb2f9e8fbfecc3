/* Tables: fields between delimiters; quoted fields as in RFC 4180, which may hold delimiters, line ends and doubled quotes. */
#include "reading.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- fields ---- */

size_t reading_split(reading *r, const char *line, size_t length)
{
    const size_t delimiter_length = strlen(r->delimiter);
    const char *at = line, *end = line + length;
    for (size_t count = 0;; ++count) {
        const char *found = delimiter_length == 1 ? memchr(at, *r->delimiter, (size_t)(end - at))
                                                  : memmem(at, (size_t)(end - at), r->delimiter, delimiter_length);
        if (count < READER_FIELDS)
            r->fields[count] = (field){at, (size_t)((found ? found : end) - at)};
        if (!found)
            return count + 1;
        at = found + delimiter_length;
    }
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
static size_t split_quoted(reading *r, char *record, size_t record_length)
{
    size_t count = 0;
    const char *delimiter = r->delimiter, *end = record + record_length;
    const size_t length = strlen(delimiter);
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
    SR_TRY(SR_GROW(&r->scratch, &r->scratch_room, length, "a record", error));
    memcpy(r->scratch, record, length);
    return SR_OK;
}

sr_status table_fields(reading *r, const char *line, size_t length, size_t *count, const char **wrong, sr_error *error)
{
    *wrong = NULL;
    if (r->quotes == QUOTES_NONE || !memchr(line, '"', length)) {
        *count = reading_split(r, line, length);
        return SR_OK;
    }
    size_t looked_at = 0;
    bool inside = false;
    while (line && (inside = ends_inside_quotes(line + looked_at, line + length, r->delimiter, inside))) {
        looked_at = length;
        if (r->quotes == QUOTES_OVER_LINES)
            SR_TRY(lines_continue(r->file, &line, &length, error));
        else
            line = NULL;
    }
    const bool is_text = line && !memchr(line, '\0', length); /* reading_line() has seen to the first line only */
    if (is_text) {
        SR_TRY(copy_record(r, line, length, error));
        *count = split_quoted(r, r->scratch, length);
    }
    if (!line)
        *wrong = "a quoted field is not closed";
    else if (!is_text)
        *wrong = "a quoted field goes on in a line with a null byte";
    else if (*count == SIZE_MAX)
        *wrong = "a quoted field is followed by other characters than the delimiter";
    if (*wrong)
        lines_take_back(r->file);
    return SR_OK;
}

/* ---- tables ---- */

/* Remembers the columns; their number and `expectation` hold for every line. */
static void set_columns(reading *r, const size_t columns[ROLES], size_t count, const char *expectation)
{
    memcpy(r->columns, columns, sizeof r->columns);
    r->column_count = count;
    r->expectation = expectation;
    r->has_times = columns[TIME] != SIZE_MAX;
    r->has_ratings = columns[RATING] != SIZE_MAX;
}

void table_begin_fixed(reading *r, const char *delimiter, quoting quotes, const size_t columns[ROLES], size_t count,
                       const char *expectation)
{
    r->delimiter = delimiter;
    r->quotes = quotes;
    set_columns(r, columns, count, expectation);
}

sr_status table_begin_named(reading *r, const char *delimiter, quoting quotes, const char *const names[ROLES], sr_error *error)
{
    const char *line, *wrong;
    size_t length, count, columns[ROLES];
    r->delimiter = delimiter;
    r->quotes = quotes;
    SR_TRY(reading_header(r, &line, &length, error));
    if (r->is_empty)
        return SR_OK;
    SR_TRY(table_fields(r, line, length, &count, &wrong, error));
    if (wrong)
        return lines_fail(r->file, "", error, "%s", wrong);
    for (size_t i = 0; i < ROLES; ++i) {
        columns[i] = reading_find_column(r, count, names[i]);
        if (columns[i] == SIZE_MAX && (i == USER || i == ITEM)) {
            char suggestion[SUGGESTION_SIZE];
            reading_suggest(r, count, names[i], suggestion);
            return lines_fail(r->file, "", error, "the header has no column \"%s\"%s", names[i], suggestion);
        }
    }
    set_columns(r, columns, count, " as the header has");
    return SR_OK;
}

static sr_status add_fields(reading *r, size_t count, sr_error *error)
{
    field values[ROLES] = {{NULL, 0}};
    if (count != r->column_count)
        return reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, expected %zu%s", count, r->column_count,
                            r->expectation);
    for (size_t i = 0; i < ROLES; ++i)
        if (r->columns[i] != SIZE_MAX)
            values[i] = r->fields[r->columns[i]];
    return reading_add(r, values, error);
}

sr_status table_read(reading *r, sr_error *error)
{
    const char *line, *wrong;
    size_t length, count;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        if (length == 0) {
            SR_TRY(reading_drop(r, DROPPED_EMPTY_LINE, error, "the line is empty"));
            continue;
        }
        SR_TRY(table_fields(r, line, length, &count, &wrong, error));
        if (wrong)
            SR_TRY(reading_drop(r, DROPPED_QUOTES, error, "%s", wrong));
        else
            SR_TRY(add_fields(r, count, error));
    }
}

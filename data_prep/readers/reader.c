/* The table of formats, and what readers share. */
#include "reading.h"

#include "srtrain/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const reader readers[] = {
    {.name = "recbole",
     .help = "RecBole .inter: tab-separated with a typed header (user_id:token item_id:token timestamp:float rating:float)",
     .begin = begin_recbole,
     .records = read_recbole,
     .divisible = true},
    {.name = "movielens-100k",
     .help = "MovieLens u.data: tab-separated user, item, rating, timestamp",
     .begin = begin_movielens_100k,
     .records = read_movielens_100k,
     .divisible = true},
    {.name = "sequences",
     .help = "one line a user: user item item ..., already in order",
     .begin = begin_sequences,
     .records = read_sequences,
     .one_line_a_user = true,
     .divisible = true},
    {.name = "pairs",
     .help = "lines \"user item\", already in order",
     .begin = begin_sequences,
     .records = read_pairs,
     .divisible = true},
    {.name = "csv",
     .help = "any delimited file; --columns, --delimiter, --header say how",
     .begin = begin_csv,
     .records = read_csv},
};
const size_t reader_count = sizeof readers / sizeof *readers;

const reader *reader_find(const char *name)
{
    for (size_t i = 0; i < reader_count; ++i)
        if (strcmp(readers[i].name, name) == 0)
            return &readers[i];
    return NULL;
}

/* ---- lines ---- */

sr_status reading_line(reading *r, const char **line, size_t *length, sr_error *error)
{
    for (;;) {
        SR_TRY(lines_take(r->file, line, length, error));
        if (!*line)
            return SR_OK;
        ++r->report->lines;
        if (!memchr(*line, '\0', *length))
            return SR_OK;
        SR_TRY(reading_drop(r, DROPPED_NULL_BYTE, error, "the line holds a null byte: this is not a text file"));
    }
}

sr_status reading_header(reading *r, const char **line, size_t *length, sr_error *error)
{
    SR_TRY(lines_take(r->file, line, length, error));
    if (!*line)
        return sr_fail(error, SR_ERROR_DATA, "%s is empty: expected a header line", lines_path(r->file));
    return memchr(*line, '\0', *length)
               ? lines_fail(r->file, NULL, error, "the line holds a null byte: this is not a text file")
               : SR_OK;
}

sr_status reading_drop(reading *r, drop_reason reason, sr_error *error, const char *format, ...)
{
    char found[REPORT_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    if (r->strict)
        return lines_fail(r->file, reason != DROPPED_EMPTY_LINE && reason != DROPPED_NULL_BYTE ? "" : NULL, error, "%s", found);
    parse_report_drop(r->report, reason, r->file_number, r->file, found);
    return SR_OK;
}

/* ---- fields ---- */

size_t reading_split(reading *r, const char *line, size_t length, const char *delimiter)
{
    const size_t delimiter_length = strlen(delimiter);
    const char *at = line, *end = line + length;
    for (size_t count = 0;; ++count) {
        const char *found = delimiter_length == 1 ? memchr(at, *delimiter, (size_t)(end - at)) : strstr(at, delimiter);
        if (count < READER_FIELDS)
            r->fields[count] = (field){at, (size_t)((found ? found : end) - at)};
        if (!found)
            return count + 1;
        at = found + delimiter_length;
    }
}

static sr_status check_identifier(reading *r, const char *role, field identifier, bool *dropped, sr_error *error)
{
    *dropped = identifier.length == 0 || identifier.length > LINES_IDENTIFIER_MAXIMUM;
    if (!*dropped)
        return SR_OK;
    if (identifier.length == 0)
        return reading_drop(r, DROPPED_IDENTIFIER, error, "the %s identifier is empty", role);
    return reading_drop(r, DROPPED_IDENTIFIER, error, "the %s identifier has %zu bytes, allowed are at most %d", role,
                        identifier.length, LINES_IDENTIFIER_MAXIMUM);
}

sr_status reading_add(reading *r, field user, field item, int64_t time, float rating, bool *dropped, sr_error *error)
{
    SR_TRY(check_identifier(r, "user", user, dropped, error));
    if (*dropped)
        return SR_OK;
    SR_TRY(check_identifier(r, "item", item, dropped, error));
    if (*dropped)
        return SR_OK;
    const reader_record record = {.user = user.text,
                                  .item = item.text,
                                  .user_length = user.length,
                                  .item_length = item.length,
                                  .time = time,
                                  .rating = rating,
                                  .line = lines_number(r->file),
                                  .file = r->file_number};
    ++r->report->records;
    return r->sink->add(r->sink->context, &record, error);
}

sr_status reading_add_fields(reading *r, size_t count, sr_error *error)
{
    const column_choice *columns = &r->columns;
    const size_t wanted[] = {columns->user, columns->item, columns->time, columns->rating};
    size_t last = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i)
        if (wanted[i] != SIZE_MAX && wanted[i] > last)
            last = wanted[i];
    if (last >= count)
        return reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, expected at least %zu", count, last + 1);
    int64_t time = 0;
    float rating = 0;
    bool dropped;
    if (columns->time != SIZE_MAX) {
        const field text = r->fields[columns->time];
        if (number_scaled(text, 0, &time) != NUMBER_GOOD)
            return reading_drop(r, DROPPED_TIME, error, "the time stamp \"%.*s\" is not a whole number", (int)text.length,
                                text.text);
    }
    if (columns->rating != SIZE_MAX) {
        const field text = r->fields[columns->rating];
        if (!number_float(text, &rating))
            return reading_drop(r, DROPPED_RATING, error, "the rating \"%.*s\" is not a number", (int)text.length, text.text);
    }
    return reading_add(r, r->fields[columns->user], r->fields[columns->item], time, rating, &dropped, error);
}

/* ---- files ---- */

/* The header, for a part that does not begin with it. */
static sr_status begin_elsewhere(const reader *format, reading *r, const reader_part *part, sr_error *error)
{
    SR_TRY(lines_open(&r->file, part->path, error));
    SR_TRY(format->begin(r, error));
    lines_close(r->file);
    r->file = NULL;
    return SR_OK;
}

static sr_status read_part(const reader *format, reading *r, const reader_part *part, sr_error *error)
{
    if (part->begin > 0)
        SR_TRY(begin_elsewhere(format, r, part, error));
    SR_TRY(lines_open_part(&r->file, part->path, part->begin, part->end, error));
    if (part->begin == 0)
        SR_TRY(format->begin(r, error));
    SR_TRY(format->records(r, error));
    r->facts->lines = lines_number(r->file);
    return SR_OK;
}

sr_status reader_read(const reader *format, const reader_options *options, const reader_part *part, bool strict,
                      const reader_sink *sink, parse_report *report, reader_facts *facts, sr_error *error)
{
    reading *r;
    SR_TRY(SR_ALLOCATE_ZERO(&r, 1, "a reader", error));
    *facts = (reader_facts){.lines = 0};
    r->options = options;
    r->sink = sink;
    r->report = report;
    r->facts = facts;
    r->file_number = part->number;
    r->strict = strict;
    const sr_status status = read_part(format, r, part, error);
    lines_close(r->file);
    free(r->scratch);
    free(r);
    return status;
}

sr_status reader_divisible_size(const reader *format, const char *path, uint64_t *size, sr_error *error)
{
    *size = 0;
    return format->divisible ? lines_divisible_size(path, size, error) : SR_OK;
}

/* RecBole atomic files: a tab-separated table whose header names each column with its type, as "timestamp:float". */
#include "reading.h"

#include <string.h>

/* The number of the column with this name (its type is ignored), or SIZE_MAX. */
static size_t find_column(const reading *r, const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < r->column_count && i < READER_FIELDS; ++i) {
        const field column = r->fields[i];
        if (column.length >= length && memcmp(column.text, name, length) == 0 &&
            (column.length == length || column.text[length] == ':'))
            return i;
    }
    return SIZE_MAX;
}

sr_status begin_recbole(reading *r, sr_error *error)
{
    const char *line;
    size_t length;
    SR_TRY(reading_header(r, &line, &length, error));
    r->column_count = reading_split(r, line, length, "\t");
    r->columns = (column_choice){.user = find_column(r, "user_id"),
                                 .item = find_column(r, "item_id"),
                                 .time = find_column(r, "timestamp"),
                                 .rating = find_column(r, "rating")};
    if (r->columns.user == SIZE_MAX || r->columns.item == SIZE_MAX)
        return lines_fail(r->file, line, error, "the header has no column %s",
                          r->columns.user == SIZE_MAX ? "user_id" : "item_id");
    r->facts->has_times = r->columns.time != SIZE_MAX;
    r->facts->has_ratings = r->columns.rating != SIZE_MAX;
    return SR_OK;
}

sr_status read_recbole(reading *r, sr_error *error)
{
    const char *line;
    size_t length;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        const size_t count = reading_split(r, line, length, "\t");
        if (count != r->column_count)
            SR_TRY(reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, the header has %zu", count, r->column_count));
        else
            SR_TRY(reading_add_fields(r, count, error));
    }
}

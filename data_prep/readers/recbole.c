/* RecBole atomic files: a tab-separated table whose header names each column with its type, as "timestamp:float". */
#include "reader.h"

#include <string.h>

/* The number of the column with this name (its type is ignored), or SIZE_MAX. */
static size_t find_column(char *const *fields, size_t count, const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < count && i < READER_FIELDS; ++i)
        if (strncmp(fields[i], name, length) == 0 && (fields[i][length] == ':' || fields[i][length] == '\0'))
            return i;
    return SIZE_MAX;
}

sr_status read_recbole(lines *file, const reader_options *options, interactions *all, sr_error *error)
{
    (void)options;
    char *line, *fields[READER_FIELDS];
    SR_TRY(lines_next(file, &line, error));
    if (!line)
        return sr_fail(error, SR_ERROR_DATA, "%s is empty: expected a header line", lines_path(file));
    const size_t header_count = reader_split(line, "\t", fields, READER_FIELDS);
    const column_choice columns = {.user = find_column(fields, header_count, "user_id"),
                                   .item = find_column(fields, header_count, "item_id"),
                                   .time = find_column(fields, header_count, "timestamp"),
                                   .rating = find_column(fields, header_count, "rating")};
    if (columns.user == SIZE_MAX || columns.item == SIZE_MAX)
        return lines_fail(file, line, error, "the header has no column %s", columns.user == SIZE_MAX ? "user_id" : "item_id");
    all->has_times = columns.time != SIZE_MAX;
    all->has_ratings = columns.rating != SIZE_MAX;
    for (;;) {
        SR_TRY(lines_next(file, &line, error));
        if (!line)
            return SR_OK;
        ++all->lines;
        const size_t count = reader_split(line, "\t", fields, READER_FIELDS);
        if (count != header_count)
            return lines_fail(file, line, error, "found %zu columns, the header has %zu", count, header_count);
        SR_TRY(reader_add_fields(file, line, fields, count, &columns, all, error));
    }
}

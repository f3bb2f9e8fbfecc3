/* MovieLens-100K u.data: user, item, rating, timestamp, tab-separated, no header. */
#include "reader.h"

sr_status read_movielens_100k(lines *file, const reader_options *options, interactions *all, sr_error *error)
{
    (void)options;
    const column_choice columns = {.user = 0, .item = 1, .rating = 2, .time = 3};
    char *line, *fields[READER_FIELDS];
    all->has_times = all->has_ratings = true;
    for (;;) {
        SR_TRY(lines_next(file, &line, error));
        if (!line)
            return SR_OK;
        ++all->lines;
        const size_t count = reader_split(line, "\t", fields, READER_FIELDS);
        if (count != 4)
            return lines_fail(file, line, error, "found %zu tab-separated columns, expected 4: user, item, rating, timestamp",
                              count);
        SR_TRY(reader_add_fields(file, line, fields, count, &columns, all, error));
    }
}

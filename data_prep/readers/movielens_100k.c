/* MovieLens-100K u.data: user, item, rating, timestamp, tab-separated, no header. */
#include "reading.h"

sr_status begin_movielens_100k(reading *r, sr_error *error)
{
    (void)error;
    r->columns = (column_choice){.user = 0, .item = 1, .rating = 2, .time = 3};
    r->facts->has_times = r->facts->has_ratings = true;
    return SR_OK;
}

sr_status read_movielens_100k(reading *r, sr_error *error)
{
    const char *line;
    size_t length;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        const size_t count = reading_split(r, line, length, "\t");
        if (count != 4)
            SR_TRY(reading_drop(r, DROPPED_COLUMNS, error,
                                "found %zu tab-separated columns, expected 4: user, item, rating, timestamp", count));
        else
            SR_TRY(reading_add_fields(r, count, error));
    }
}

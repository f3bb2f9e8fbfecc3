/* MovieLens 20M and later. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const char *const names[ROLES] = {"userId", "movieId", "timestamp", "rating"};
    return table_begin_named(r, ",", QUOTES_ON_A_LINE, names, error);
}

const raw_format movielens_csv_format = {
    .name = "movielens-csv",
    .help = "MovieLens ratings.csv of 20M and later, with a header: userId,movieId,rating,timestamp in any order",
    .files = "ratings.csv",
    .times = "with a column timestamp",
    .takes = TAKES_TIMES | TAKES_WHERE,
    .begin = begin,
    .records = table_read};

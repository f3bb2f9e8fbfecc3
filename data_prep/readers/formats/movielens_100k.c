/* MovieLens 100K. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[USER] = 0, [ITEM] = 1, [RATING] = 2, [TIME] = 3};
    (void)error;
    table_begin_fixed(r, "\t", QUOTES_NONE, columns, 4, ", tab-separated: user, item, rating, time stamp");
    return SR_OK;
}

const raw_format movielens_100k_format = {.name = "movielens-100k",
                                          .help = "MovieLens u.data: tab-separated user, item, rating, time stamp",
                                          .files = "u.data",
                                          .times = "yes",
                                          .takes = TAKES_TIMES | TAKES_WHERE,
                                          .begin = begin,
                                          .records = table_read};

/* MovieLens 1M and 10M. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[USER] = 0, [ITEM] = 1, [RATING] = 2, [TIME] = 3};
    (void)error;
    table_begin_fixed(r, "::", QUOTES_NONE, columns, 4, ", separated by \"::\": user, item, rating, time stamp");
    return SR_OK;
}

const raw_format movielens_1m_format = {.name = "movielens-1m",
                                        .help = "MovieLens ratings.dat of 1M and 10M: user::item::rating::time stamp",
                                        .files = "ratings.dat",
                                        .times = "yes",
                                        .takes = TAKES_TIMES | TAKES_WHERE,
                                        .begin = begin,
                                        .records = table_read};

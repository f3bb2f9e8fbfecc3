/* MovieLens: u.data of 100K, ratings.dat of 1M and 10M, ratings.csv of 20M and later. */
#include "reading.h"

static const size_t user_item_rating_time[ROLES] = {[USER] = 0, [ITEM] = 1, [RATING] = 2, [TIME] = 3};

sr_status begin_movielens_100k(reading *r, sr_error *error)
{
    (void)error;
    table_begin_fixed(r, "\t", QUOTES_NONE, user_item_rating_time, 4, ", tab-separated: user, item, rating, time stamp");
    return SR_OK;
}

sr_status begin_movielens_1m(reading *r, sr_error *error)
{
    (void)error;
    table_begin_fixed(r, "::", QUOTES_NONE, user_item_rating_time, 4, ", separated by \"::\": user, item, rating, time stamp");
    return SR_OK;
}

sr_status begin_movielens_csv(reading *r, sr_error *error)
{
    static const char *const names[ROLES] = {"userId", "movieId", "timestamp", "rating"};
    return table_begin_named(r, ",", QUOTES_ON_A_LINE, names, error);
}

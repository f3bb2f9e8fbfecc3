/* Amazon reviews: ratings as CSV, whose order of columns changed between 2014 and 2018, and reviews as JSON. */
#include "reading.h"

#include <string.h>

sr_status begin_amazon_csv(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[USER] = 0, [ITEM] = 1, [RATING] = 2, [TIME] = 3};
    (void)error;
    table_begin_fixed(r, ",", QUOTES_ON_A_LINE, columns, 4, ": user, item, rating, time stamp");
    return SR_OK;
}

sr_status begin_amazon_csv_2018(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[ITEM] = 0, [USER] = 1, [RATING] = 2, [TIME] = 3};
    (void)error;
    table_begin_fixed(r, ",", QUOTES_ON_A_LINE, columns, 4, ": item, user, rating, time stamp");
    return SR_OK;
}

sr_status begin_amazon_json(reading *r, sr_error *error)
{
    static const char keys[ROLES][64] = {"reviewerID", "asin", "unixReviewTime", "overall"};
    (void)error;
    memcpy(r->keys, keys, sizeof keys);
    r->has_times = r->has_ratings = true;
    return SR_OK;
}

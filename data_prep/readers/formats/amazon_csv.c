/* Amazon ratings of 2014. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[USER] = 0, [ITEM] = 1, [RATING] = 2, [TIME] = 3};
    (void)error;
    table_begin_fixed(r, ",", QUOTES_ON_A_LINE, columns, 4, ": user, item, rating, time stamp");
    return SR_OK;
}

const raw_format amazon_csv_format = {.name = "amazon-csv",
                                      .help = "Amazon ratings of 2014: user,item,rating,time stamp",
                                      .files = "ratings_*.csv",
                                      .times = "yes",
                                      .takes = TAKES_TIMES | TAKES_WHERE,
                                      .begin = begin,
                                      .records = table_read};

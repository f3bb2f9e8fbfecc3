/* Amazon ratings of 2018: the order of columns is another than in 2014. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[ITEM] = 0, [USER] = 1, [RATING] = 2, [TIME] = 3};
    (void)error;
    table_begin_fixed(r, ",", QUOTES_ON_A_LINE, columns, 4, ": item, user, rating, time stamp");
    return SR_OK;
}

const raw_format amazon_csv_2018_format = {
    .name = "amazon-csv-2018",
    .help = "Amazon ratings of 2018: item,user,rating,time stamp",
    .note = "Taken for amazon-csv it still reads, with users and items swapped: look at their counts",
    .times = "yes",
    .takes = TAKES_TIMES | TAKES_WHERE,
    .begin = begin,
    .records = table_read};

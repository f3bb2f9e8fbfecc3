/* Amazon reviews. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const char *const keys[ROLES] = {"reviewerID", "asin", "unixReviewTime", "overall"};
    return json_begin(r, keys, false, error);
}

const raw_format amazon_json_format = {
    .name = "amazon-json",
    .help = "Amazon reviews of 2014 and 2018, a JSON object a line: reviewerID, asin, overall, unixReviewTime",
    .files = "reviews_*.json",
    .times = "yes",
    .takes = TAKES_TIMES | TAKES_WHERE,
    .begin = begin,
    .records = json_read};

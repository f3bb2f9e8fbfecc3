/* Yelp reviews. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const char *const keys[ROLES] = {"user_id", "business_id", "date", "stars"};
    return json_begin(r, keys, false, error);
}

const raw_format yelp_json_format = {.name = "yelp-json",
                                     .help = "Yelp reviews, a JSON object a line: user_id, business_id, stars, date",
                                     .files = "yelp_academic_dataset_review.json",
                                     .times = "yes",
                                     .takes = TAKES_TIMES | TAKES_WHERE,
                                     .begin = begin,
                                     .records = json_read};

/* Lines "user item item ...". */
#include "readers/reading.h"

static sr_status records(reading *r, sr_error *error)
{
    return words_read(r, false, error);
}

const raw_format sequences_format = {.name = "sequences",
                                     .help = "one line a user: user item item ..., separated by blanks, already in order",
                                     .times = "no",
                                     .one_line_a_user = true,
                                     .begin = words_begin,
                                     .records = records};

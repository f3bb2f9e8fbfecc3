/* Lines "user item item ...". */
#include "readers/reading.h"

static sr_status records(reading *r, sr_error *error)
{
    return words_read(r, false, error);
}

const raw_format sequences_format = {
    .name = "sequences",
    .help = "one line a user: user item item ..., separated by blanks, already in order",
    .note = "With --no-user lines hold items alone, with --counted the number of items stands in front "
            "of them",
    .times = "no",
    .takes = TAKES_NO_USER | TAKES_COUNTED | TAKES_COMMENT,
    .one_line_a_user = true,
    .begin = words_begin,
    .records = records};

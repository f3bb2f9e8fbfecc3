/* Lines "user item". */
#include "readers/reading.h"

static sr_status records(reading *r, sr_error *error)
{
    return words_read(r, true, error);
}

const raw_format pairs_format = {
    .name = "pairs",
    .help = "lines \"user item\", separated by blanks, already in order; a user's lines need not be consecutive",
    .times = "no",
    .takes = TAKES_COMMENT,
    .begin = words_begin,
    .records = records};

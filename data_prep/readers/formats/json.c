/* Any file of one JSON object a line; --columns names the keys. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    return json_begin_by_columns(r, false, error);
}

const raw_format json_format = {
    .name = "json",
    .help = "any file of one JSON object a line; --columns says which keys",
    .note = "Keys of objects in the object are written with dots, and an array stands for all its elements, as in "
            "user=session,item=events.aid,time=events.ts",
    .times = "with time=",
    .takes = TAKES_COLUMNS | TAKES_TIMES | TAKES_WHERE | TAKES_NO_USER,
    .needs_columns = "user=user_id,item=item_id,time=t",
    .begin = begin,
    .records = json_read};

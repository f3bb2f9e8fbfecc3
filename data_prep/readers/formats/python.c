/* Any file of one Python dictionary a line, as repr() writes it; --columns names the keys. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    return json_begin_by_columns(r, true, error);
}

const raw_format python_format = {
    .name = "python",
    .help = "any file of one Python dictionary a line, as {u'user': u'a', 'item': 7}; --columns says which keys",
    .note = "Steam's reviews, Google Local and Amazon's metadata of 2014 come so; texts mean what Python 3 takes them for",
    .times = "with time=",
    .takes = TAKES_COLUMNS | TAKES_TIMES | TAKES_WHERE | TAKES_NO_USER,
    .needs_columns = "user=username,item=product_id,time=date",
    .begin = begin,
    .records = json_read};

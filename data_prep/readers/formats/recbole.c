/* RecBole atomic files: a tab-separated table whose header names each column with its type, as "timestamp:float". */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    static const char *const names[ROLES] = {"user_id", "item_id", "timestamp", "rating"};
    const char *line;
    size_t length;
    r->delimiter = "\t";
    r->quotes = QUOTES_NONE;
    SR_TRY(reading_header(r, &line, &length, error));
    if (r->is_empty)
        return SR_OK;
    const size_t count = reading_split(r, line, length);
    for (size_t i = 0; i < count && i < READER_FIELDS; ++i)
        r->fields[i] = reading_without_type(r->fields[i]);
    r->header_is_typed = true;
    return table_begin_header(r, names, count, error);
}

const raw_format recbole_format = {
    .name = "recbole",
    .help = "RecBole .inter: tab-separated with a typed header, as user_id:token item_id:token timestamp:float",
    .note = "Of the columns user_id, item_id, timestamp and rating are read, in any order",
    .files = "*.inter",
    .times = "with a column timestamp",
    .takes = TAKES_TIMES,
    .begin = begin,
    .records = table_read};

/* RecBole atomic files: a tab-separated table whose header names each column with its type, as "timestamp:float". */
#include "reading.h"

#include <string.h>

sr_status begin_recbole(reading *r, sr_error *error)
{
    static const char *const names[ROLES] = {"user_id", "item_id", "timestamp", "rating"};
    const char *line;
    size_t length, columns[ROLES];
    r->delimiter = "\t";
    SR_TRY(reading_header(r, &line, &length, error));
    if (r->is_empty)
        return SR_OK;
    const size_t count = reading_split(r, line, length);
    for (size_t i = 0; i < count && i < READER_FIELDS; ++i) { /* types are not wanted */
        const char *colon = memchr(r->fields[i].text, ':', r->fields[i].length);
        if (colon)
            r->fields[i].length = (size_t)(colon - r->fields[i].text);
    }
    for (size_t i = 0; i < ROLES; ++i) {
        columns[i] = reading_find_column(r, count, names[i]);
        if (columns[i] == SIZE_MAX && (i == USER || i == ITEM))
            return lines_fail(r->file, line, error, "the header has no column %s", names[i]);
    }
    table_begin_fixed(r, "\t", QUOTES_NONE, columns, count, " as the header has");
    return SR_OK;
}

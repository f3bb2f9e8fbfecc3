/* RecBole atomic files: a tab-separated table whose header names each column with its type, as "timestamp:float". */
#include "readers/reading.h"

#include <string.h>

static const char *const names[ROLES] = {"user_id", "item_id", "timestamp", "rating"};

/* A column that only --columns names has to be there. */
static sr_status find_column(reading *r, const char *const wanted[ROLES], role which, size_t count, bool is_needed,
                             size_t *column, sr_error *error)
{
    *column = *wanted[which] ? reading_find_column(r, count, wanted[which]) : SIZE_MAX;
    if (*column != SIZE_MAX || !*wanted[which])
        return SR_OK;
    if (is_needed && which == USER && strcmp(wanted[USER], names[USER]) == 0 &&
        reading_find_column(r, count, "session_id") != SIZE_MAX)
        return lines_fail(r->file, NULL, error,
                          "the header has no column \"user_id\", but one \"session_id\": --columns user=session_id%s",
                          reading_find_column(r, count, "item_id_list") == SIZE_MAX
                              ? " takes that"
                              : ",items=item_id_list,item=item_id takes that, and the lists");
    if (is_needed)
        return reading_fail_column(r, count, wanted, which, error);
    reading_lacks_column(r, count, wanted, which);
    return SR_OK;
}

static sr_status find_columns(reading *r, const column_texts *texts, size_t count, sr_error *error)
{
    const char *const ones[ROLES] = {texts->one[USER], texts->one[ITEM], texts->one[TIME], texts->one[RATING]},
                      *const many[ROLES] = {"", texts->list[ITEM], texts->list[TIME], texts->list[RATING]};
    size_t columns[ROLES], lists[ROLES];
    for (size_t i = 0; i < ROLES; ++i) {
        const bool is_known = strcmp(ones[i], names[i]) == 0;
        SR_TRY(find_column(r, ones, (role)i, count, i <= ITEM || !is_known, &columns[i], error));
        SR_TRY(find_column(r, many, (role)i, count, true, &lists[i], error));
    }
    SR_TRY(reading_keep_header(r, count, columns[USER], columns[ITEM] == SIZE_MAX ? lists[ITEM] : columns[ITEM], error));
    SR_TRY(table_find_where(r, count, error));
    table_begin_fixed(r, "\t", QUOTES_NONE, columns, count, " as the header has");
    table_set_lists(r, lists);
    return SR_OK;
}

/* Names may be given with their types. */
static void take_types_off(column_texts *texts)
{
    for (size_t i = 0; i < ROLES; ++i) {
        texts->one[i][strcspn(texts->one[i], ":")] = '\0';
        texts->list[i][strcspn(texts->list[i], ":")] = '\0';
    }
}

static sr_status begin(reading *r, sr_error *error)
{
    column_texts texts;
    const char *line;
    size_t length;
    r->delimiter = "\t";
    SR_TRY(reading_roles(r->options, true, names, &texts, error));
    take_types_off(&texts);
    SR_TRY(reading_header(r, &line, &length, error));
    if (r->is_empty)
        return SR_OK;
    const size_t count = reading_split(r, line, length);
    for (size_t i = 0; i < count && i < READER_FIELDS; ++i)
        r->fields[i] = reading_without_type(r->fields[i]);
    r->header_is_typed = true;
    return find_columns(r, &texts, count, error);
}

const raw_format recbole_format = {
    .name = "recbole",
    .help = "RecBole .inter: tab-separated with a typed header, as user_id:token item_id:token timestamp:float",
    .note = "Of the columns user_id, item_id, timestamp and rating are read, in any order; --columns names others, as "
            "user=session_id",
    .files = "*.inter",
    .times = "with a column timestamp",
    .takes = TAKES_COLUMNS | TAKES_TIMES | TAKES_WHERE | TAKES_LISTS | TAKES_NO_USER,
    .begin = begin,
    .records = table_read};

/* The Netflix prize: the item stands on a line of its own, "1:", before its ratings, as "1488844,3,2005-09-06". */
#include "readers/reading.h"

#include <string.h>

static const size_t columns[ROLES] = {[USER] = 0, [ITEM] = SIZE_MAX, [RATING] = 1, [TIME] = 2};
enum { FIELDS = 3 };

static sr_status begin(reading *r, sr_error *error)
{
    (void)error;
    table_begin_fixed(r, ",", QUOTES_NONE, columns, FIELDS, ": user, rating, date");
    return SR_OK;
}

static sr_status add_rating(reading *r, field item, const char *line, size_t length, sr_error *error)
{
    const size_t count = reading_split(r, line, length);
    if (count != FIELDS)
        return reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, expected \"user,rating,date\" or \"item:\"", count);
    if (item.length == 0)
        return reading_drop(r, DROPPED_IDENTIFIER, error, "no line \"item:\" stands before the rating");
    const field values[ROLES] = {[USER] = r->fields[0], [ITEM] = item, [RATING] = r->fields[1], [TIME] = r->fields[2]};
    return reading_add(r, values, error);
}

/* A line with an item is no interaction, and no fault. */
static sr_status records(reading *r, sr_error *error)
{
    char item[LINES_IDENTIFIER_MAXIMUM];
    size_t item_length = 0;
    for (;;) {
        const char *line;
        size_t length;
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        const bool is_item = length > 1 && line[length - 1] == ':' && !memchr(line, ',', length);
        if (length == 0) {
            SR_TRY(reading_drop(r, DROPPED_EMPTY_LINE, error, "the line is empty"));
        } else if (is_item && length - 1 > sizeof item) {
            item_length = 0;
            SR_TRY(reading_drop(r, DROPPED_IDENTIFIER, error, "the item identifier has %zu bytes, allowed are at most %d",
                                length - 1, LINES_IDENTIFIER_MAXIMUM));
        } else if (is_item) {
            item_length = length - 1;
            memcpy(item, line, item_length);
            reading_leave_out(r, DROPPED_HEADING);
        } else {
            SR_TRY(add_rating(r, (field){item, item_length}, line, length, error));
        }
    }
}

/* Which item a line belongs to stands above it. */
static bool never(const reader_options *options)
{
    (void)options;
    return false;
}

const raw_format netflix_format = {.name = "netflix",
                                   .help = "the Netflix prize: a line \"item:\" before its lines \"user,rating,date\"",
                                   .files = "combined_data_*.txt",
                                   .times = "yes",
                                   .takes = TAKES_TIMES,
                                   .divisible = never,
                                   .begin = begin,
                                   .records = records};

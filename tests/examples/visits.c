/* Visits of pages in the log of a web server: "time|user|page|status", as in 2017-10-01T03:00:00Z|u7|/index.html|200.
 *
 * What was not delivered (a status of 400 or more) is no visit. */
#include "readers/reading.h"

#include <string.h>

enum { FIELDS = 4, STATUS = 3 };

/* Dates hold colons, and most pages begin with a slash. */
static bool splits_values(const reader_options *options)
{
    return options->delimiter && strpbrk(options->delimiter, ":/");
}

static const raw_format_rule rules[] = {
    {splits_values, "--delimiter: colons and slashes stand in the dates and pages of visits; leave it out for \"|\""},
};

static sr_status begin(reading *r, sr_error *error)
{
    static const size_t columns[ROLES] = {[TIME] = 0, [USER] = 1, [ITEM] = 2, [RATING] = SIZE_MAX};
    const char *delimiter = r->options->delimiter ? r->options->delimiter : "|";
    (void)error;
    table_begin_fixed(r, delimiter, QUOTES_NONE, columns, FIELDS, ": time, user, page, status");
    return SR_OK;
}

/* A line that is no visit is left out by handing nothing on. */
static sr_status add_line(reading *r, const char *line, size_t length, sr_error *error)
{
    const size_t count = reading_split(r, line, length);
    const field *fields = r->fields, values[ROLES] = {[TIME] = fields[0], [USER] = fields[1], [ITEM] = fields[2]};
    if (count != FIELDS)
        return reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, expected time, user, page, status", count);
    if (fields[STATUS].length == 3 && *fields[STATUS].text >= '4')
        return SR_OK;
    return reading_add(r, values, error);
}

static sr_status records(reading *r, sr_error *error)
{
    return reading_lines(r, add_line, error);
}

const raw_format visits_format = {
    .name = "visits",
    .help = "visits in the log of a web server: time|user|page|status",
    .note = "Visits of which the status is 400 or more are left out",
    .files = "visits*.log",
    .times = "yes",
    .takes = TAKES_DELIMITER | TAKES_TIMES,
    .rules = rules,
    .rule_count = sizeof rules / sizeof *rules,
    .begin = begin,
    .records = records,
};

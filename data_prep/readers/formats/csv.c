/* Any delimited file, with columns chosen by --columns: numbers from 0, or names of the header. */
#include "readers/reading.h"

#include "base/units.h"

#include <string.h>

#define DELIMITER_BLANKS "blanks"

enum { COMMENTS_LOOKED_AT = 1 << 24 }; /* bytes in which the first line that is none has to begin */

static bool is_column_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* The number of a role's column, which one of `texts` names. */
static sr_status resolve_column(const reading *r, char (*texts)[READER_NAME_SIZE], role which, size_t count, size_t *column,
                                sr_error *error)
{
    const char *const wanted[ROLES] = {texts[USER], texts[ITEM], texts[TIME], texts[RATING]}, *text = texts[which];
    if (is_column_number(text)) {
        uint64_t number;
        if (!sr_read_whole(text, &number) || number >= READER_FIELDS)
            return sr_fail(error, SR_ERROR_USAGE, "--columns: column %s: allowed is from 0 to %d", text, READER_FIELDS - 1);
        *column = number;
        return SR_OK;
    }
    if (!r->options->header)
        return sr_fail(error, SR_ERROR_USAGE,
                       "--columns: \"%s\" is a name, which needs --header; without it columns are numbers from 0", text);
    *column = reading_find_column(r, count, text);
    return *column != SIZE_MAX ? SR_OK : reading_fail_column(r, count, wanted, which, error);
}

/* A header of which the columns are known by their numbers may be a line of data in truth, and would be lost. Files that were
 * written without names have the numbers of columns for them. */
static sr_status check_names(const reading *r, const size_t columns[ROLES], sr_error *error)
{
    for (size_t i = TIME; i <= RATING; ++i) {
        char number[24];
        if (columns[i] == SIZE_MAX || time_kind_of(&r->options->times, r->fields[columns[i]]) == TIME_IS_NEITHER)
            continue;
        const field name = r->fields[columns[i]];
        const int length = snprintf(number, sizeof number, "%zu", columns[i]);
        if ((size_t)length != name.length || memcmp(number, name.text, name.length) != 0)
            return lines_fail(r->file, "", error,
                              "--header takes this line for names, and it has \"%.*s\" where that of the %s belongs: each file "
                              "begins with a header, or none does",
                              name.length < 60 ? (int)name.length : 60, name.text, role_names[i]);
    }
    return SR_OK;
}

/* What the first line may be that has too few columns, and what helps. */
static const char *advise(const reading *r, size_t count)
{
    const field first = r->fields[0];
    const char begin = first.length > 0 ? *first.text : '\0', end = first.length > 0 ? first.text[first.length - 1] : '\0';
    if (!r->options->comment && begin == '%')
        return "; --comment '%' leaves out lines that begin with one";
    if (!r->options->comment && begin == '#')
        return "; --comment '#' leaves out lines that begin with one";
    if (count == 1 && end == ':')
        return "; --format netflix reads lines \"item:\" before those of its ratings";
    return count == 1 ? "; is another --delimiter needed?" : "";
}

/* The greatest column that is asked for is not there. */
static sr_status fail_number(const reading *r, size_t count, size_t column, sr_error *error)
{
    char names[NAMES_SIZE];
    reading_describe_names("", (const char *const[ROLES]){NULL}, r->fields, count, names);
    return lines_fail(r->file, "", error, "found %zu columns, expected at least %zu%s%s", count, column + 1, advise(r, count),
                      r->options->header ? names : "");
}

/* The number of columns of the first record, be it header or data. */
static sr_status count_columns(reading *r, size_t *count, sr_error *error)
{
    const char *line, *wrong;
    size_t length;
    SR_TRY(reading_header(r, &line, &length, error));
    if (r->is_empty)
        return SR_OK;
    SR_TRY(table_fields(r, line, length, count, &wrong, error));
    return wrong ? lines_fail(r->file, "", error, "%s", wrong) : SR_OK;
}

/* The same of a file without header, whose first record remains to be read. */
static sr_status count_columns_ahead(reading *r, size_t *count, sr_error *error)
{
    lines_mark(r->file, r->options->comment ? (size_t)COMMENTS_LOOKED_AT : 1);
    const sr_status status = count_columns(r, count, error);
    lines_return(r->file);
    return status;
}

/* The columns that `texts` name. */
static sr_status resolve_columns(reading *r, char (*texts)[READER_NAME_SIZE], size_t count, size_t columns[ROLES],
                                 sr_error *error)
{
    for (size_t i = 0; i < ROLES; ++i) {
        columns[i] = SIZE_MAX;
        if (*texts[i] && !r->is_empty)
            SR_TRY(resolve_column(r, texts, (role)i, count, &columns[i], error));
        if (columns[i] != SIZE_MAX && columns[i] >= count && (r->options->header || !r->options->ragged))
            return fail_number(r, count, columns[i], error);
    }
    return SR_OK;
}

static sr_status begin(reading *r, sr_error *error)
{
    column_texts texts;
    size_t count = 0, columns[ROLES], lists[ROLES];
    const bool has_header = r->options->header;
    const char *delimiter = r->options->delimiter ? r->options->delimiter : ",";
    r->splits_at_blanks = strcmp(delimiter, DELIMITER_BLANKS) == 0;
    r->delimiter = r->splits_at_blanks ? " " : delimiter;
    r->quotes = r->options->no_quotes || r->splits_at_blanks ? QUOTES_NONE
                : r->options->multiline_quotes               ? QUOTES_OVER_LINES
                                                             : QUOTES_WITH_DOUBT;
    SR_TRY(reading_roles(r->options, true, NULL, &texts, error));
    SR_TRY(has_header ? count_columns(r, &count, error) : count_columns_ahead(r, &count, error));
    SR_TRY(resolve_columns(r, texts.one, count, columns, error));
    SR_TRY(resolve_columns(r, texts.list, count, lists, error));
    if (has_header && !r->is_empty) {
        SR_TRY(check_names(r, columns, error));
        SR_TRY(reading_keep_header(r, count, columns[USER], columns[ITEM] == SIZE_MAX ? lists[ITEM] : columns[ITEM], error));
        SR_TRY(table_find_where(r, count, error));
    }
    table_begin_fixed(r, r->delimiter, r->quotes, columns, count, has_header ? " as the header has" : " as in the first line");
    table_set_lists(r, lists);
    return SR_OK;
}

/* ---- what does not go together ---- */

static bool has_both_quotes(const reader_options *options)
{
    return options->no_quotes && options->multiline_quotes;
}

static bool is_delimited_by_quotes(const reader_options *options)
{
    return options->delimiter && strchr(options->delimiter, '"');
}

static bool has_quotes_between_blanks(const reader_options *options)
{
    return options->multiline_quotes && options->delimiter && strcmp(options->delimiter, DELIMITER_BLANKS) == 0;
}

static const raw_format_rule rules[] = {
    {has_quotes_between_blanks, "--multiline-quotes: with --delimiter " DELIMITER_BLANKS " quotes are characters"},
    {has_both_quotes, "--no-quotes and --multiline-quotes exclude each other"},
    {is_delimited_by_quotes, "--delimiter: quotes cannot delimit"},
};

/* Whether every line end is the end of a record. */
static bool has_lines_of_its_own(const reader_options *options)
{
    return options->no_quotes || (options->delimiter && strcmp(options->delimiter, DELIMITER_BLANKS) == 0);
}

const raw_format csv_format = {.name = "csv",
                               .help = "any delimited file; --columns, --delimiter, --header say how",
                               .times = "with time=",
                               .takes = TAKES_COLUMNS | TAKES_DELIMITER | TAKES_HEADER | TAKES_QUOTES | TAKES_TIMES |
                                        TAKES_WHERE | TAKES_LISTS | TAKES_NO_USER | TAKES_COMMENT | TAKES_RAGGED,
                               .needs_columns = "user=0,item=1,time=3",
                               .rules = rules,
                               .rule_count = sizeof rules / sizeof *rules,
                               .divisible = has_lines_of_its_own,
                               .begin = begin,
                               .records = table_read};

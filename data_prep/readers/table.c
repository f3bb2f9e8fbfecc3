/* Tables: fields between delimiters; quoted fields as in RFC 4180, which may hold delimiters, line ends and doubled quotes.
 *
 * Many files do not quote at all, and hold quotes as any other character. A field that begins with one then seems to go on up
 * to the next quote, over any number of lines. Lines that are records by themselves tell: see look_for_lines(). */
#include "reading.h"
#include "base/units.h"
#include "srtrain/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- fields ---- */

/* The same at any number of blanks, but not at those in front of everything and behind it. */
static size_t split_at_blanks(reading *r, const char *line, size_t length)
{
    static const char blanks[] = " \t";
    const char *at = line;
    size_t count = 0, taken;
    for (const char *end = line + length; at < end; at += taken) {
        at += strspn(at, blanks);
        taken = strcspn(at, blanks);
        if (taken > 0 && count < READER_FIELDS)
            r->fields[count] = (field){at, taken};
        count += taken > 0;
    }
    return count;
}

size_t reading_split(reading *r, const char *line, size_t length)
{
    if (r->splits_at_blanks)
        return split_at_blanks(r, line, length);
    const size_t delimiter_length = strlen(r->delimiter);
    const char *at = line, *end = line + length;
    for (size_t count = 0;; ++count) {
        const char *found = delimiter_length == 1 ? memchr(at, *r->delimiter, (size_t)(end - at))
                                                  : memmem(at, (size_t)(end - at), r->delimiter, delimiter_length);
        if (count < READER_FIELDS)
            r->fields[count] = (field){at, (size_t)((found ? found : end) - at)};
        if (!found)
            return count + 1;
        at = found + delimiter_length;
    }
}

/* Takes a quoted field off *at, in place: doubled quotes become single ones. False when the quote is not closed or followed by
 * something else. *at becomes NULL at the end of the record. */
static bool take_quoted(char **at, const char *end, const char *delimiter, field *taken)
{
    char *to = *at;
    const char *from = *at + 1;
    taken->text = to;
    for (; from < end; ++from) {
        if (*from == '"' && from + 1 < end && from[1] == '"')
            ++from;
        else if (*from == '"')
            break;
        *to++ = *from;
    }
    if (from >= end)
        return false;
    ++from;
    taken->length = (size_t)(to - taken->text);
    const size_t length = strlen(delimiter), left = (size_t)(end - from);
    if (left > 0 && (left < length || memcmp(from, delimiter, length) != 0))
        return false;
    *at = left > 0 ? *at + (from - *at) + length : NULL;
    return true;
}

/* Splits a record with quoted fields, in place; SIZE_MAX when a quote is wrong. */
static size_t split_quoted(reading *r, char *record, size_t record_length)
{
    size_t count = 0;
    const char *delimiter = r->delimiter, *end = record + record_length;
    const size_t length = strlen(delimiter);
    for (char *at = record; at; ++count) {
        field taken = {at, 0};
        if (at < end && *at == '"') {
            if (!take_quoted(&at, end, delimiter, &taken))
                return SIZE_MAX;
        } else {
            char *found = memmem(at, (size_t)(end - at), delimiter, length);
            taken.length = (size_t)((found ? found : end) - at);
            at = found ? found + length : NULL;
        }
        if (count < READER_FIELDS)
            r->fields[count] = taken;
    }
    return count;
}

/* Whether `text` ends inside a quoted field; `inside` says whether it begins in one. */
static bool ends_inside_quotes(const char *text, const char *end, const char *delimiter, bool inside)
{
    const size_t length = strlen(delimiter);
    const char *at = text;
    for (bool field_start = !inside;; field_start = true) {
        if (field_start && at < end && *at == '"') {
            inside = true;
            ++at;
        }
        while (inside) {
            const char *quote = memchr(at, '"', (size_t)(end - at));
            if (!quote)
                return true;
            inside = quote + 1 < end && quote[1] == '"';
            at = quote + (inside ? 2 : 1);
        }
        const char *next = memmem(at, (size_t)(end - at), delimiter, length);
        if (!next)
            return false;
        at = next + length;
    }
}

/* A copy of a record, to be written to. */
static sr_status copy_record(reading *r, const char *record, size_t length, sr_error *error)
{
    SR_TRY(SR_GROW(&r->scratch, &r->scratch_room, length, "a record", error));
    memcpy(r->scratch, record, length);
    return SR_OK;
}

/* ---- records over several lines ---- */

/* A field without the quotes around it. */
static field without_quotes(field value)
{
    const bool is_quoted = value.length >= 2 && value.text[0] == '"' && value.text[value.length - 1] == '"';
    return is_quoted ? (field){value.text + 1, value.length - 2} : value;
}

/* Whether fields read like a sentence, with blanks behind its commas. Fields of tables that begin so are not quoted either: a
 * quote behind a blank is a character. */
static bool is_sentence(const reading *r, size_t count)
{
    bool any = false;
    for (size_t i = 1; i < count && i < READER_FIELDS && *r->delimiter != '\t'; ++i)
        any = any || (r->fields[i].length > 0 && *r->fields[i].text == ' ');
    return any;
}

/* Whether a record may have as many columns; SIZE_MAX stands for one whose quotes are wrong. */
static bool fits_count(const reading *r, size_t count, size_t expected)
{
    return r->options->ragged ? count >= r->least_columns && count != SIZE_MAX : count == expected;
}

/* Whether the `count` fields in r->fields could be a record, of which something may be missing. Of a header only the number of
 * columns is known. */
static bool could_be_record(const reading *r, size_t count, size_t expected)
{
    const bool has_numbers = r->column_count > 0 && (r->has_times || r->has_ratings);
    if (!fits_count(r, count, expected) || expected < 2 || (!has_numbers && is_sentence(r, count)))
        return false;
    for (size_t i = 0; i < ROLES && r->column_count > 0; ++i) {
        if (r->columns[i] == SIZE_MAX || (i == TIME && !r->has_times))
            continue;
        const field value = without_quotes(r->fields[r->columns[i]]);
        float rating;
        if (value.length == 0 || reading_is_na(r, value))
            continue;
        if ((i == USER || i == ITEM) && value.length > LINES_IDENTIFIER_MAXIMUM)
            return false;
        if ((i == TIME && time_kind_of(&r->options->times, value) == TIME_IS_NEITHER) ||
            (i == RATING && !number_float(value, &rating)))
            return false;
    }
    return true;
}

/* Whether a line could be a record by itself, with its quotes or without. */
static sr_status look_at_line(reading *r, const char *line, size_t length, size_t expected, bool *fits, sr_error *error)
{
    *fits = could_be_record(r, reading_split(r, line, length), expected);
    if (*fits || !memchr(line, '"', length) || ends_inside_quotes(line, line + length, r->delimiter, false))
        return SR_OK;
    SR_TRY(copy_record(r, line, length, error));
    *fits = could_be_record(r, split_quoted(r, r->scratch, length), expected);
    return SR_OK;
}

/* Whether more than half of the lines of a record could be records by themselves. Lines of a text that is quoted hardly ever
 * are: they have another number of columns, and no number where the time stamp belongs. */
static sr_status look_for_lines(reading *r, const char *record, size_t record_length, size_t expected, bool *found,
                                sr_error *error)
{
    size_t line_count = 0, fitting = 0;
    for (const char *at = record, *end = record + record_length; at; ++line_count) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        bool fits;
        length -= newline && length > 0 && at[length - 1] == '\r';
        SR_TRY(look_at_line(r, at, length, expected, &fits, error));
        fitting += fits;
        at = newline ? newline + 1 : NULL;
    }
    *found = 2 * fitting > line_count;
    return SR_OK;
}

/* Says what is wrong with the quotes of a record, and what helps. */
__attribute__((format(printf, 2, 3))) static const char *complain(reading *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(r->reason, sizeof r->reason, format, arguments);
    va_end(arguments);
    snprintf(r->reason + length, sizeof r->reason - (size_t)length, "; %s takes quotes for characters like any other",
             r->quotes == QUOTES_ON_A_LINE ? "--format csv with --no-quotes" : "--no-quotes");
    return r->reason;
}

/* What is wrong with a record over several lines of which it is not sure that its quotes quote, or NULL. */
static sr_status doubt(reading *r, const char *record, size_t length, size_t count, const char **wrong, sr_error *error)
{
    const size_t expected = r->column_count ? r->column_count : count, last = lines_number(r->file) + r->record_lines - 1;
    bool found = false;
    if (!fits_count(r, count, expected)) {
        *wrong = complain(r, "a quoted field goes on to line %zu, and then there are %zu columns, expected %zu%s", last, count,
                          expected, r->expectation);
        return SR_OK;
    }
    SR_TRY(look_for_lines(r, record, length, expected, &found, error));
    if (found)
        *wrong = complain(r,
                          "a quoted field goes on to line %zu, and most lines up to there are records by themselves; "
                          "--multiline-quotes lets it quote them",
                          last);
    return SR_OK;
}

/* The same of a record on one line, which has the right number of columns only if its quotes do not quote. */
static const char *doubt_line(reading *r, const char *line, size_t length, size_t count)
{
    if (r->column_count == 0 || r->options->ragged || count == r->column_count ||
        reading_split(r, line, length) != r->column_count)
        return NULL;
    return complain(r, "found %zu columns with a quoted field, expected %zu%s, as there are without", count, r->column_count,
                    r->expectation);
}

/* Takes a record with quotes apart; *wrong is NULL so far. */
static sr_status take_apart(reading *r, const char *record, size_t length, size_t *count, const char **wrong, sr_error *error)
{
    SR_TRY(copy_record(r, record, length, error));
    *count = split_quoted(r, r->scratch, length);
    if (*count == SIZE_MAX) {
        *wrong = complain(r, "a quoted field is followed by other characters than the delimiter");
        return SR_OK;
    }
    if (r->record_lines == 1) {
        *wrong = doubt_line(r, record, length, *count);
        return SR_OK;
    }
    if (r->quotes == QUOTES_OVER_LINES)
        return SR_OK;
    SR_TRY(doubt(r, record, length, *count, wrong, error));
    SR_TRY(copy_record(r, record, length, error)); /* the look at its lines has used the fields */
    *count = split_quoted(r, r->scratch, length);
    return SR_OK;
}

sr_status table_fields(reading *r, const char *line, size_t length, size_t *count, const char **wrong, sr_error *error)
{
    *wrong = NULL;
    r->record_lines = 1;
    if (r->quotes == QUOTES_NONE || !memchr(line, '"', length)) {
        *count = reading_split(r, line, length);
        return SR_OK;
    }
    size_t looked_at = 0;
    bool inside = false;
    while (line && (inside = ends_inside_quotes(line + looked_at, line + length, r->delimiter, inside))) {
        looked_at = length;
        ++r->record_lines;
        if (r->quotes >= QUOTES_WITH_DOUBT)
            SR_TRY(lines_continue(r->file, &line, &length, error));
        else
            line = NULL;
    }
    if (!line)
        *wrong = complain(r, "a quoted field is not closed");
    else if (memchr(line, '\0', length)) /* reading_line() has seen to the first line only */
        *wrong = "a quoted field goes on in a line with a null byte";
    else
        SR_TRY(take_apart(r, line, length, count, wrong, error));
    if (*wrong) {
        r->record_lines = 1;
        lines_take_back(r->file);
    }
    return SR_OK;
}

/* ---- tables ---- */

/* Remembers the columns; their number and `expectation` hold for every line. */
static void set_columns(reading *r, const size_t columns[ROLES], size_t count, const char *expectation)
{
    memcpy(r->columns, columns, sizeof r->columns);
    r->column_count = count;
    r->expectation = expectation;
    r->has_times = columns[TIME] != SIZE_MAX;
    r->has_ratings = columns[RATING] != SIZE_MAX;
    r->least_columns = 1;
    for (size_t i = 0; i < ROLES; ++i)
        if (columns[i] != SIZE_MAX && columns[i] >= r->least_columns)
            r->least_columns = columns[i] + 1;
}

void table_set_lists(reading *r, const size_t lists[ROLES])
{
    memcpy(r->lists, lists, sizeof r->lists);
    r->has_times = r->has_times || lists[TIME] != SIZE_MAX;
    r->has_ratings = r->has_ratings || lists[RATING] != SIZE_MAX;
    for (size_t i = 0; i < ROLES; ++i)
        if (lists[i] != SIZE_MAX && lists[i] >= r->least_columns)
            r->least_columns = lists[i] + 1;
}

/* The columns of --where are named or numbered. */
sr_status table_find_where(reading *r, size_t count, sr_error *error)
{
    for (size_t i = 0; i < r->where_count; ++i) {
        chosen_values *chosen = &r->where[i];
        uint64_t number;
        chosen->column = reading_find_column(r, count, chosen->name);
        if (chosen->column != SIZE_MAX)
            continue;
        if (sr_read_whole(chosen->name, &number)) {
            chosen->column = number < SIZE_MAX ? (size_t)number : SIZE_MAX - 1;
            continue;
        }
        if (count == 0)
            return sr_fail(error, SR_ERROR_USAGE,
                           "--where: \"%s\" is a name, and the file has no header; columns are numbers from 0", chosen->name);
        char names[NAMES_SIZE];
        reading_describe_names(chosen->name, (const char *const[ROLES]){NULL}, r->fields, count, names);
        return lines_fail(r->file, NULL, error, "--where: the header has no column \"%s\"%s", chosen->name, names);
    }
    return SR_OK;
}

void table_begin_fixed(reading *r, const char *delimiter, quoting quotes, const size_t columns[ROLES], size_t count,
                       const char *expectation)
{
    r->delimiter = delimiter;
    r->quotes = quotes;
    set_columns(r, columns, count, expectation);
}

sr_status table_begin_header(reading *r, const char *const names[ROLES], size_t count, sr_error *error)
{
    size_t columns[ROLES];
    for (size_t i = 0; i < ROLES; ++i) {
        columns[i] = reading_find_column(r, count, names[i]);
        if (columns[i] == SIZE_MAX && (i == USER || i == ITEM))
            return reading_fail_column(r, count, names, (role)i, error);
        if (columns[i] == SIZE_MAX)
            reading_lacks_column(r, count, names, (role)i);
    }
    SR_TRY(reading_keep_header(r, count, columns[USER], columns[ITEM], error));
    set_columns(r, columns, count, " as the header has");
    return table_find_where(r, count, error);
}

sr_status table_begin_named(reading *r, const char *delimiter, quoting quotes, const char *const names[ROLES], sr_error *error)
{
    const char *line, *wrong;
    size_t length, count;
    r->delimiter = delimiter;
    r->quotes = quotes;
    SR_TRY(reading_header(r, &line, &length, error));
    if (r->is_empty)
        return SR_OK;
    SR_TRY(table_fields(r, line, length, &count, &wrong, error));
    if (wrong)
        return lines_fail(r->file, "", error, "%s", wrong);
    return table_begin_header(r, names, count, error);
}

/* ---- headers ---- */

/* Whether two names are the same but for upper case and blanks around them. */
static bool are_same(field left, field right)
{
    return left.length == right.length && strncasecmp(left.text, right.text, left.length) == 0;
}

static field without_blanks(field name)
{
    while (name.length > 0 && *name.text == ' ')
        name = (field){name.text + 1, name.length - 1};
    while (name.length > 0 && name.text[name.length - 1] == ' ')
        --name.length;
    return name;
}

static bool is_in_header(const reading *r, field name)
{
    for (size_t i = 0; i < r->header_count; ++i)
        if (are_same(without_blanks(r->header[i]), name))
            return true;
    return false;
}

/* A name as it would stand in the header: of files that were put together each may begin with a byte-order mark. */
static field header_name(const reading *r, size_t column)
{
    field name = r->fields[column];
    if (column == 0 && name.length >= 3 && memcmp(name.text, "\xEF\xBB\xBF", 3) == 0)
        name = (field){name.text + 3, name.length - 3};
    return without_blanks(r->header_is_typed ? reading_without_type(name) : name);
}

static bool is_at_its_place(const reading *r, size_t column)
{
    return are_same(without_blanks(r->header[column]), header_name(r, column));
}

/* Whether time stamp or rating are read and are numbers, or a date: then a line is data whatever the rest is. */
static bool has_values(const reading *r)
{
    float rating;
    return (r->columns[TIME] != SIZE_MAX && time_kind_of(&r->options->times, r->fields[r->columns[TIME]]) != TIME_IS_NEITHER) ||
           (r->columns[RATING] != SIZE_MAX && number_float(r->fields[r->columns[RATING]], &rating));
}

/* Whether a field begins like a name of the header: most do not, which is soon found out. */
static bool may_be_name(const reading *r, field value)
{
    return value.length > 0 && r->header_begins[(unsigned char)*value.text];
}

/* Whether the record in r->fields is the header again: it has the names of users and items where these belong, and may differ
 * in what is not read. SR_ERROR_DATA if it has the names in another order: what follows is another table. */
static sr_status look_for_header(const reading *r, size_t count, bool *is_header, sr_error *error)
{
    size_t at_place = 0, elsewhere = 0;
    *is_header = false;
    if (count != r->header_count || !may_be_name(r, r->fields[r->header_user]) ||
        !is_in_header(r, header_name(r, r->header_user)) || !is_in_header(r, header_name(r, r->header_item)) || has_values(r))
        return SR_OK;
    for (size_t i = 0; i < count; ++i) {
        at_place += is_at_its_place(r, i);
        elsewhere += !is_at_its_place(r, i) && is_in_header(r, header_name(r, i));
    }
    *is_header = is_at_its_place(r, r->header_user) && is_at_its_place(r, r->header_item) && elsewhere == 0;
    if (*is_header || at_place + elsewhere < count)
        return SR_OK;
    return lines_fail(r->file, "", error,
                      "the names of the header stand here again in another order: what follows is another table; give each "
                      "file by itself");
}

/* Whether each column of --where has one of its values; a column that a ragged line lacks has none. */
static bool is_chosen(const reading *r, size_t count)
{
    for (size_t i = 0; i < r->where_count; ++i)
        if (r->where[i].column >= count || r->where[i].column >= READER_FIELDS ||
            !where_has(&r->where[i], r->fields[r->where[i].column]))
            return false;
    return true;
}

static sr_status add_fields(reading *r, size_t count, sr_error *error)
{
    field values[ROLES] = {{NULL, 0}};
    bool is_header;
    if (!fits_count(r, count, r->column_count))
        return reading_drop(r, DROPPED_COLUMNS, error, "found %zu columns, expected %s%zu%s", count,
                            r->options->ragged ? "at least " : "", r->options->ragged ? r->least_columns : r->column_count,
                            r->options->ragged ? "" : r->expectation);
    SR_TRY(look_for_header(r, count, &is_header, error));
    if (is_header)
        return reading_drop(r, DROPPED_HEADER, error, "this is the header of the file");
    if (!is_chosen(r, count)) {
        reading_leave_out(r, DROPPED_WHERE);
        return SR_OK;
    }
    if (r->lists[ITEM] != SIZE_MAX)
        return lists_add(r, error);
    for (size_t i = 0; i < ROLES; ++i)
        if (r->columns[i] != SIZE_MAX)
            values[i] = r->fields[r->columns[i]];
    if (r->options->no_user)
        values[USER] = reading_user_of_line(r);
    return reading_add(r, values, error);
}

sr_status table_read(reading *r, sr_error *error)
{
    const char *line, *wrong;
    size_t length, count;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        if (length == 0) {
            SR_TRY(reading_drop(r, DROPPED_EMPTY_LINE, error, "the line is empty"));
            continue;
        }
        SR_TRY(table_fields(r, line, length, &count, &wrong, error));
        if (!r->observing)
            r->report->lines += r->record_lines - 1;
        if (wrong)
            SR_TRY(reading_drop(r, DROPPED_QUOTES, error, "%s", wrong));
        else
            SR_TRY(add_fields(r, count, error));
    }
}

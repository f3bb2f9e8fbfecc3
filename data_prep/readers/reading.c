/* What readers share: lines, dropping, fields. */
#include "reading.h"

#include "srtrain/memory.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

static bool is_comment(const reading *r, const char *line)
{
    return r->options->comment && strncmp(line, r->options->comment, strlen(r->options->comment)) == 0;
}

sr_status reading_line(reading *r, const char **line, size_t *length, sr_error *error)
{
    for (;;) {
        r->record_lines = 1;
        SR_TRY(lines_take(r->file, line, length, error));
        if (!*line)
            return SR_OK;
        if (!r->observing)
            ++r->report->lines;
        if (is_comment(r, *line)) {
            reading_leave_out(r, DROPPED_COMMENT);
            continue;
        }
        if (!memchr(*line, '\0', *length))
            return SR_OK;
        SR_TRY(reading_drop(r, DROPPED_NULL_BYTE, error, "the line holds a null byte: this is not a text file"));
    }
}

sr_status reading_lines(reading *r, line_function *add, sr_error *error)
{
    const char *line;
    size_t length;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        SR_TRY(add(r, line, length, error));
    }
}

sr_status reading_header(reading *r, const char **line, size_t *length, sr_error *error)
{
    do {
        SR_TRY(lines_take(r->file, line, length, error));
    } while (*line && is_comment(r, *line));
    r->is_empty = !*line;
    return *line && memchr(*line, '\0', *length)
               ? lines_fail(r->file, NULL, error, "the line holds a null byte: this is not a text file")
               : SR_OK;
}

sr_status reading_drop(reading *r, drop_reason reason, sr_error *error, const char *format, ...)
{
    if (r->observing || (r->grouping && r->group_is_bad && drop_reason_is_bad(reason)))
        return SR_OK;
    r->group_is_bad = r->group_is_bad || drop_reason_is_bad(reason);
    char found[REPORT_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    if (r->options->strict && drop_reason_is_bad(reason))
        return lines_fail(r->file, reason == DROPPED_NULL_BYTE ? NULL : "", error, "%s", found);
    parse_report_drop(r->report, reason, r->file_number, r->file, r->record_lines, found);
    return SR_OK;
}

void reading_leave_out(reading *r, drop_reason reason)
{
    if (!r->observing)
        r->report->dropped[reason] += r->record_lines;
}

/* ---- columns ---- */

size_t reading_find_column(const reading *r, size_t count, const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < count && i < READER_FIELDS; ++i)
        if (r->fields[i].length == length && memcmp(r->fields[i].text, name, length) == 0)
            return i;
    return SIZE_MAX;
}

/* Appends a name as a terminal may see it; false if there is no room. */
static bool append_name(char text[NAMES_SIZE], field name, bool is_first)
{
    enum { MARK = 8 }; /* room for what stands for the rest */
    const size_t used = strlen(text), room = NAMES_SIZE - used, length = name.length + (is_first ? 0 : 2);
    if (length + MARK > room)
        return false;
    char *at = text + used;
    if (!is_first)
        at = stpcpy(at, ", ");
    for (size_t i = 0; i < name.length; ++i) {
        const unsigned char byte = (unsigned char)name.text[i];
        *at++ = (char)(byte < ' ' || byte == 127 ? '?' : byte);
    }
    *at = '\0';
    return true;
}

static bool is_one_of(const char *const *wanted, field name)
{
    for (size_t i = 0; i < ROLES; ++i)
        if (wanted[i] && strlen(wanted[i]) == name.length && memcmp(wanted[i], name.text, name.length) == 0)
            return true;
    return false;
}

void reading_describe_names(const char *name, const char *const *wanted, const field *names, size_t count,
                            char text[NAMES_SIZE])
{
    enum { COPIED = 64 };
    char copies[READER_FIELDS][COPIED];
    const char *list[READER_FIELDS] = {NULL};
    const size_t known = count < READER_FIELDS ? count : READER_FIELDS;
    size_t listed = 0;
    for (size_t i = 0; i < known; ++i) {
        if (is_one_of(wanted, names[i]))
            continue;
        snprintf(copies[i], sizeof copies[i], "%.*s", names[i].length < COPIED ? (int)names[i].length : COPIED - 1,
                 names[i].text);
        list[listed++] = copies[i];
    }
    const char *nearest = sr_nearest_name(name, list, listed);
    snprintf(text, NAMES_SIZE, "%s%s%s", nearest ? ", did you mean \"" : "", nearest ? nearest : "",
             nearest ? "\"? There are " : "; there are ");
    for (size_t i = 0; i < known; ++i)
        if (!append_name(text, names[i], i == 0)) {
            strcat(text, ", ...");
            return;
        }
    if (known == 0)
        strcat(text, "none");
}

sr_status reading_fail_column(const reading *r, size_t count, const char *const wanted[ROLES], role missing, sr_error *error)
{
    char names[NAMES_SIZE];
    reading_describe_names(wanted[missing], wanted, r->fields, count, names);
    return lines_fail(r->file, NULL, error, "the header has no column \"%s\"%s%s", wanted[missing], names,
                      count == 1 && r->options->columns ? ": is another --delimiter needed?" : "");
}

void reading_lacks_column(reading *r, size_t count, const char *const wanted[ROLES], role missing)
{
    char names[NAMES_SIZE];
    reading_describe_names(wanted[missing], wanted, r->fields, count, names);
    snprintf(r->lacks[missing], sizeof r->lacks[missing], ": its header has no column \"%s\"%s", wanted[missing], names);
}

field reading_without_type(field name)
{
    const char *colon = memchr(name.text, ':', name.length);
    return (field){name.text, colon ? (size_t)(colon - name.text) : name.length};
}

static bool is_number(field text)
{
    int decimals;
    return number_decimals(text, &decimals);
}

sr_status reading_keep_header(reading *r, size_t count, size_t user, size_t item, sr_error *error)
{
    const size_t kept = count < READER_FIELDS ? count : READER_FIELDS;
    size_t size = 1;
    user = user == SIZE_MAX ? item : user;
    item = item == SIZE_MAX ? user : item;
    /* Numbers in the place of names are data, or cannot be told from it. */
    if (count > READER_FIELDS || user >= kept || item >= kept || is_number(r->fields[user]) || is_number(r->fields[item]))
        return SR_OK;
    for (size_t i = 0; i < kept; ++i)
        size += r->fields[i].length;
    free(r->header_text);
    r->header_count = 0;
    SR_TRY(SR_ALLOCATE_ZERO(&r->header_text, size, "a header", error));
    char *at = r->header_text;
    for (size_t i = 0; i < kept; ++i) {
        memcpy(at, r->fields[i].text, r->fields[i].length);
        r->header[i] = (field){at, r->fields[i].length};
        const size_t blanks = strspn(at, " ");
        if (blanks < r->fields[i].length) {
            r->header_begins[tolower((unsigned char)at[blanks])] = true;
            r->header_begins[toupper((unsigned char)at[blanks])] = true;
        }
        at += r->fields[i].length;
    }
    r->header_begins[(unsigned char)' '] = r->header_begins[0xEF] = true; /* blanks and a byte-order mark may come first */
    r->header_count = kept;
    r->header_user = user;
    r->header_item = item;
    return SR_OK;
}

/* ---- interactions ---- */

bool reading_is_na(const reading *r, field value)
{
    for (size_t i = 0; i < r->na_count; ++i)
        if (r->na_values[i].length == value.length && memcmp(r->na_values[i].text, value.text, value.length) == 0)
            return true;
    return false;
}

/* How much of a field is shown in messages. */
static int shown_length(field value)
{
    return value.length < 60 ? (int)value.length : 60;
}

/* What helps where a value looks as if it stood for a missing one. */
enum { HINT_SIZE = 96 };
static const char *missing_hint(field value, char hint[HINT_SIZE])
{
    static const char *const usual[] = {"",     "NA",   "N/A",  "na",   "nan",  "NaN", "NAN",
                                        "null", "NULL", "Null", "None", "none", "\\N", "-"};
    *hint = '\0';
    for (size_t i = 0; i < sizeof usual / sizeof *usual; ++i)
        if (strlen(usual[i]) == value.length && memcmp(usual[i], value.text, value.length) == 0)
            snprintf(hint, HINT_SIZE, "; --na-values '%s' leaves out lines where it is missing", usual[i]);
    return hint;
}

/* What helps with a rating that is no number. */
static const char *rating_hint(field value, char hint[HINT_SIZE])
{
    size_t digits = 0, commas = 0;
    for (size_t i = 0; i < value.length; ++i) {
        digits += value.text[i] >= '0' && value.text[i] <= '9';
        commas += value.text[i] == ',';
    }
    missing_hint(value, hint);
    if (commas == 1 && digits > 0 && digits + commas == value.length)
        snprintf(hint, HINT_SIZE, ": decimals stand behind a point, not behind a comma");
    return hint;
}

#define DATE_EXAMPLES "as 2016-07-25 or 2016-07-25T06:28:49Z"

/* What a time stamp is not, by what was asked for or what most of the first ones are. */
static const char *expected_time(const reading *r, field time)
{
    const time_kind kind = time_kind_of(&r->options->times, time);
    const bool is_asked_for = r->options->times.unit != TIME_AUTO;
    if (r->times_unknown && !is_asked_for)
        return kind == TIME_IS_NEITHER ? "is neither a number nor an ISO 8601 date " DATE_EXAMPLES
                                       : "is none of the first ones of the input, among which there is no number and no date";
    if (*r->times.pattern)
        return "is not a date as --time-format says";
    if (r->times.unit == TIME_ISO && kind == TIME_IS_NUMBER)
        return is_asked_for ? "is a number, not a date " DATE_EXAMPLES " as --time-unit iso says"
                            : "is a number, not a date as most of the first ones are";
    if (r->times.unit == TIME_ISO)
        return is_asked_for ? "is not a date " DATE_EXAMPLES " (ISO 8601, by --time-unit iso)" : "is not a date " DATE_EXAMPLES;
    if (kind == TIME_IS_DATE)
        return is_asked_for ? "is a date, not a number as --time-unit says; dates are --time-unit iso"
                            : "is a date, not a number as most of the first ones are";
    return "is not a number";
}

enum { ADVICE_SIZE = DATE_ADVICE_SIZE + 64 };

/* What helps with one that is neither a number nor a date. */
static const char *time_advice(const reading *r, field time, char advice[ADVICE_SIZE])
{
    *advice = '\0';
    if (time_kind_of(&r->options->times, time) != TIME_IS_NEITHER)
        return advice;
    date_advise(time, advice);
    if (!*advice && !*r->times.pattern && (r->times_unknown || r->times.unit == TIME_ISO))
        strcpy(advice, "; --time-format says what dates are like");
    if (*advice && !*r->times.pattern)
        strcat(advice, "; --time-unit none leaves them out");
    return advice;
}

static sr_status drop_time(reading *r, field time, number_kind kind, sr_error *error)
{
    const int length = shown_length(time);
    char hint[HINT_SIZE];
    if (kind == NUMBER_TOO_LARGE)
        return reading_drop(r, DROPPED_TIME, error, "the time stamp \"%.*s\" is too large for a 64-bit integer%s", length,
                            time.text,
                            r->times.decimals ? " with the decimals of the others: --time-decimals says how many to keep" : "");
    if (kind == NUMBER_TOO_FINE)
        return reading_drop(r, DROPPED_DECIMALS, error,
                            "the time stamp \"%.*s\" has more decimals than the first ones of the input, at most %u: "
                            "--time-decimals says how many to keep",
                            length, time.text, r->times.decimals);
    if (time.length == 0)
        return reading_drop(r, DROPPED_TIME, error, "the time stamp is empty%s", missing_hint(time, hint));
    char advice[ADVICE_SIZE];
    return reading_drop(r, DROPPED_TIME, error, "the time stamp \"%.*s\" %s%s%s", length, time.text, expected_time(r, time),
                        time_advice(r, time, advice), missing_hint(time, hint));
}

static sr_status check_identifier(reading *r, role which, field identifier, bool *fits, sr_error *error)
{
    char hint[HINT_SIZE];
    *fits = identifier.length > 0 && identifier.length <= LINES_IDENTIFIER_MAXIMUM;
    if (*fits)
        return SR_OK;
    if (identifier.length == 0)
        return reading_drop(r, DROPPED_IDENTIFIER, error, "the %s identifier is empty%s", role_names[which],
                            missing_hint(identifier, hint));
    return reading_drop(r, DROPPED_IDENTIFIER, error, "the %s identifier has %zu bytes, allowed are at most %d",
                        role_names[which], identifier.length, LINES_IDENTIFIER_MAXIMUM);
}

/* Whether both identifiers fit and no value stands for a missing one. */
static sr_status check_values(reading *r, const field *values, bool *fit, sr_error *error)
{
    *fit = false;
    for (size_t i = 0; i < ROLES && r->na_count; ++i)
        if ((i != TIME || r->has_times) && (i != RATING || r->has_ratings) && reading_is_na(r, values[i]))
            return reading_drop(r, DROPPED_NA, error, "the %s is \"%.*s\"", role_names[i], shown_length(values[i]),
                                values[i].text);
    SR_TRY(check_identifier(r, USER, values[USER], fit, error));
    return *fit ? check_identifier(r, ITEM, values[ITEM], fit, error) : SR_OK;
}

static bool begins_with_mark(field identifier)
{
    return identifier.length >= 3 && memcmp(identifier.text, "\xEF\xBB\xBF", 3) == 0;
}

/* Whether bytes have the form of UTF-8. */
static bool is_utf8(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const unsigned char first = (unsigned char)text[at];
        const size_t size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
        if (size == 0 || size > length - at)
            return false;
        for (size_t i = 1; i < size; ++i)
            if (((unsigned char)text[at + i] & 0xC0) != 0x80)
                return false;
        at += size;
    }
    return true;
}

static void note_span(reading *r, uint64_t line)
{
    parse_report_note(&r->report->spanning, r->file_number, line);
    r->report->continued += r->record_lines - 1;
    r->report->longest = r->record_lines > r->report->longest ? r->record_lines : r->report->longest;
}

static sr_status hand_on(reading *r, const interaction *record, bool is_cut, sr_error *error)
{
    ++r->report->records;
    if (is_cut)
        parse_report_note(&r->report->cut, r->file_number, record->line);
    if (r->record_lines > 1 && !r->grouping)
        note_span(r, record->line);
    if (begins_with_mark((field){record->user, record->user_length}) ||
        begins_with_mark((field){record->item, record->item_length}))
        parse_report_note(&r->report->marked, r->file_number, record->line);
    if (!is_utf8(record->user, record->user_length) || !is_utf8(record->item, record->item_length))
        parse_report_note(&r->report->foreign, r->file_number, record->line);
    return r->sink->add(r->sink->context, record, error);
}

sr_status reading_add(reading *r, const field *values, sr_error *error)
{
    bool fit, is_cut = false;
    char hint[HINT_SIZE];
    SR_TRY(check_values(r, values, &fit, error));
    if (!fit)
        return SR_OK;
    if (r->observing) {
        time_observe(&r->options->times, &r->seen, values[TIME]);
        return SR_OK;
    }
    interaction record = {.user = values[USER].text,
                          .item = values[ITEM].text,
                          .user_length = values[USER].length,
                          .item_length = values[ITEM].length,
                          .line = lines_number(r->file),
                          .file = r->file_number};
    if (r->has_times) {
        const number_kind kind = time_parse(&r->times, values[TIME], &record.time);
        if (kind != NUMBER_GOOD && !(kind == NUMBER_TOO_FINE && r->times.rounds))
            return drop_time(r, values[TIME], kind, error);
        is_cut = kind == NUMBER_TOO_FINE && !r->options->times.has_decimals; /* otherwise it was asked for */
    }
    if (r->has_ratings && !number_float(values[RATING], &record.rating))
        return reading_drop(r, DROPPED_RATING, error, "the rating \"%.*s\" is not a number%s", shown_length(values[RATING]),
                            values[RATING].text, rating_hint(values[RATING], hint));
    if (!r->grouping)
        return hand_on(r, &record, is_cut, error);
    SR_TRY(SR_GROW(&r->group, &r->group_room, r->group_count + 1, "the interactions of a line", error));
    r->group[r->group_count++] = (grouped_interaction){record, is_cut};
    return SR_OK;
}

/* ---- several interactions of a line ---- */

void reading_begin_group(reading *r)
{
    r->grouping = true;
    r->group_is_bad = false;
    r->group_count = 0;
}

sr_status reading_end_group(reading *r, sr_error *error)
{
    sr_status status = SR_OK;
    const size_t count = r->group_is_bad ? 0 : r->group_count;
    for (size_t i = 0; i < count && status == SR_OK; ++i)
        status = hand_on(r, &r->group[i].record, r->group[i].is_cut, error);
    if (count > 0 && r->record_lines > 1)
        note_span(r, r->group[0].record.line);
    r->grouping = false;
    return status;
}

field reading_user_of_line(reading *r)
{
    const int length = r->file_number == 0 ? snprintf(r->user_of_line, sizeof r->user_of_line, "%zu", lines_number(r->file))
                                           : snprintf(r->user_of_line, sizeof r->user_of_line, "%u:%zu", r->file_number + 1,
                                                      lines_number(r->file));
    return (field){r->user_of_line, (size_t)length};
}

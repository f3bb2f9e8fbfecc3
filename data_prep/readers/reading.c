/* What readers share: lines, dropping, fields. */
#include "reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const role_names[ROLES] = {"user", "item", "time", "rating"};

/* ---- lines ---- */

sr_status reading_line(reading *r, const char **line, size_t *length, sr_error *error)
{
    for (;;) {
        SR_TRY(lines_take(r->file, line, length, error));
        if (!*line)
            return SR_OK;
        if (!r->observing)
            ++r->report->lines;
        if (!memchr(*line, '\0', *length))
            return SR_OK;
        SR_TRY(reading_drop(r, DROPPED_NULL_BYTE, error, "the line holds a null byte: this is not a text file"));
    }
}

sr_status reading_header(reading *r, const char **line, size_t *length, sr_error *error)
{
    SR_TRY(lines_take(r->file, line, length, error));
    r->is_empty = !*line;
    return *line && memchr(*line, '\0', *length)
               ? lines_fail(r->file, NULL, error, "the line holds a null byte: this is not a text file")
               : SR_OK;
}

sr_status reading_drop(reading *r, drop_reason reason, sr_error *error, const char *format, ...)
{
    if (r->observing)
        return SR_OK;
    char found[REPORT_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    if (r->options->strict && reason != DROPPED_NA)
        return lines_fail(r->file, reason == DROPPED_NULL_BYTE ? NULL : "", error, "%s", found);
    parse_report_drop(r->report, reason, r->file_number, r->file, found);
    return SR_OK;
}

/* ---- columns ---- */

sr_status reading_roles(const reader_options *options, char texts[ROLES][64], sr_error *error)
{
    memset(texts, 0, ROLES * sizeof *texts);
    for (const char *at = options->columns, *comma; at; at = comma ? comma + 1 : NULL) {
        comma = strchr(at, ',');
        const size_t length = comma ? (size_t)(comma - at) : strlen(at);
        const char *equals = memchr(at, '=', length);
        size_t i = 0;
        while (equals && i < ROLES &&
               (strlen(role_names[i]) != (size_t)(equals - at) || strncmp(role_names[i], at, strlen(role_names[i])) != 0))
            ++i;
        if (!equals || i == ROLES || equals + 1 == at + length || (size_t)(at + length - equals) > sizeof texts[i])
            return sr_fail(error, SR_ERROR_USAGE,
                           "--columns: \"%.*s\": allowed are user=, item=, time= and rating=, each with a column", (int)length,
                           at);
        if (*texts[i])
            return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %s= stands there twice", options->columns, role_names[i]);
        memcpy(texts[i], equals + 1, (size_t)(at + length - equals) - 1);
    }
    if (!*texts[USER] || !*texts[ITEM])
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: user= and item= are needed", options->columns);
    return SR_OK;
}

size_t reading_find_column(const reading *r, size_t count, const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < count && i < READER_FIELDS; ++i)
        if (r->fields[i].length == length && memcmp(r->fields[i].text, name, length) == 0)
            return i;
    return SIZE_MAX;
}

void reading_suggest(const reading *r, size_t count, const char *name, char suggestion[SUGGESTION_SIZE])
{
    char names[READER_FIELDS][64];
    const char *list[READER_FIELDS];
    const size_t known = count < READER_FIELDS ? count : READER_FIELDS;
    for (size_t i = 0; i < known; ++i) {
        snprintf(names[i], sizeof names[i], "%.*s", r->fields[i].length < 63 ? (int)r->fields[i].length : 63,
                 r->fields[i].text);
        list[i] = names[i];
    }
    const char *nearest = sr_nearest_name(name, list, known);
    snprintf(suggestion, SUGGESTION_SIZE, "%s%s%s", nearest ? ", did you mean \"" : "", nearest ? nearest : "",
             nearest ? "\"?" : "");
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

static sr_status drop_time(reading *r, field time, number_kind kind, sr_error *error)
{
    const int length = shown_length(time);
    int decimals = 0, digits;
    if (kind == NUMBER_TOO_LARGE)
        return reading_drop(r, DROPPED_TIME, error, "the time stamp \"%.*s\" is too large for a 64-bit integer%s", length,
                            time.text, r->times.decimals ? " with the decimals of the others" : "");
    if (kind == NUMBER_TOO_FINE) {
        (void)number_digits(time, &decimals, &digits);
        return reading_drop(r, DROPPED_DECIMALS, error,
                            "the time stamp \"%.*s\" has more decimals than the first ones of the input, at most %u: "
                            "--time-decimals says how many to keep",
                            length, time.text, r->times.decimals);
    }
    return reading_drop(r, DROPPED_TIME, error, "the time stamp \"%.*s\" is not %s", length, time.text,
                        r->times.unit == TIME_ISO ? "a date as 2016-07-25 or 2016-07-25T06:28:49Z" : "a number");
}

static sr_status check_identifier(reading *r, role which, field identifier, bool *fits, sr_error *error)
{
    *fits = identifier.length > 0 && identifier.length <= LINES_IDENTIFIER_MAXIMUM;
    if (*fits)
        return SR_OK;
    if (identifier.length == 0)
        return reading_drop(r, DROPPED_IDENTIFIER, error, "the %s identifier is empty", role_names[which]);
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

sr_status reading_add(reading *r, const field *values, sr_error *error)
{
    bool fit;
    SR_TRY(check_values(r, values, &fit, error));
    if (!fit)
        return SR_OK;
    if (r->observing) {
        time_observe(&r->seen, values[TIME]);
        return SR_OK;
    }
    reader_record record = {.user = values[USER].text,
                            .item = values[ITEM].text,
                            .user_length = values[USER].length,
                            .item_length = values[ITEM].length,
                            .line = lines_number(r->file),
                            .file = r->file_number};
    if (r->has_times) {
        const number_kind kind = time_parse(&r->times, values[TIME], &record.time);
        if (kind != NUMBER_GOOD)
            return drop_time(r, values[TIME], kind, error);
    }
    if (r->has_ratings && !number_float(values[RATING], &record.rating))
        return reading_drop(r, DROPPED_RATING, error, "the rating \"%.*s\" is not a number", shown_length(values[RATING]),
                            values[RATING].text);
    ++r->report->records;
    return r->sink->add(r->sink->context, &record, error);
}

/* The table of formats, and what readers share. */
#include "reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const reader readers[] = {
    {"recbole", "RecBole .inter: tab-separated with a typed header (user_id:token item_id:token timestamp:float rating:float)",
     read_recbole},
    {"movielens-100k", "MovieLens u.data: tab-separated user, item, rating, timestamp", read_movielens_100k},
    {"sequences", "one line a user: user item item ..., already in order", read_sequences},
    {"pairs", "lines \"user item\", already in order", read_pairs},
    {"csv", "any delimited file; --columns, --delimiter, --header say how", read_csv},
};
const size_t reader_count = sizeof readers / sizeof *readers;

const reader *reader_find(const char *name)
{
    for (size_t i = 0; i < reader_count; ++i)
        if (strcmp(readers[i].name, name) == 0)
            return &readers[i];
    return NULL;
}

size_t reader_split(char *line, const char *delimiter, char **fields, size_t room)
{
    const size_t length = strlen(delimiter);
    size_t count = 0;
    for (char *at = line; at; ++count) {
        if (count < room)
            fields[count] = at;
        char *found = strstr(at, delimiter);
        if (found)
            *found = '\0';
        at = found ? found + length : NULL;
    }
    return count;
}

/* Up to 18 digits, an int64_t for sure, and nothing else. */
static bool parse_digits(const char *text, int64_t *value)
{
    enum { SAFE_DIGITS = 18 };
    int64_t sum = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; ++at)
        sum = at - text < SAFE_DIGITS ? 10 * sum + (*at - '0') : sum;
    *value = sum;
    return at != text && *at == '\0' && at - text <= SAFE_DIGITS;
}

/* Whether a text is made of what decimal numbers are made of: strtod() alone would take "nan", "0x10" and leading blanks. */
static bool is_decimal(const char *text)
{
    return *text && text[strspn(text, "0123456789+-.eE")] == '\0';
}

/* Whole numbers exactly; fractions and exponents ("978300760.0", "1.39e9") only when they mean a whole number. */
static bool parse_time(const char *text, int64_t *time)
{
    if (parse_digits(text, time))
        return true;
    if (!is_decimal(text))
        return false;
    char *end;
    errno = 0;
    const long long whole = strtoll(text, &end, 10);
    *time = whole;
    if (end != text && *end == '\0')
        return errno == 0;
    const double number = strtod(text, &end);
    *time = fabs(number) < 9e18 ? (int64_t)number : 0;
    return end != text && *end == '\0' && fabs(number) < 9e18 && (double)*time == number;
}

static bool parse_rating(const char *text, float *rating)
{
    int64_t whole;
    if (parse_digits(text, &whole)) {
        *rating = (float)whole;
        return true;
    }
    if (!is_decimal(text))
        return false;
    char *end;
    *rating = strtof(text, &end);
    return end != text && *end == '\0' && isfinite(*rating);
}

sr_status reader_add_fields(const lines *file, const char *line, char *const *fields, size_t count,
                            const column_choice *columns, interactions *all, sr_error *error)
{
    const size_t wanted[] = {columns->user, columns->item, columns->time, columns->rating};
    size_t last = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i)
        if (wanted[i] != SIZE_MAX && wanted[i] > last)
            last = wanted[i];
    if (last >= count)
        return lines_fail(file, line, error, "found %zu columns, expected at least %zu", count, last + 1);
    const char *user = fields[columns->user], *item = fields[columns->item];
    const size_t user_length = strlen(user), item_length = strlen(item);
    SR_TRY(lines_check_identifier(file, line, "user", user_length, error));
    SR_TRY(lines_check_identifier(file, line, "item", item_length, error));
    int64_t time = 0;
    float rating = 0;
    if (columns->time != SIZE_MAX && !parse_time(fields[columns->time], &time))
        return lines_fail(file, line, error, "the time stamp \"%s\" is not a whole number", fields[columns->time]);
    if (columns->rating != SIZE_MAX && !parse_rating(fields[columns->rating], &rating))
        return lines_fail(file, line, error, "the rating \"%s\" is not a number", fields[columns->rating]);
    return interactions_add(all, user, user_length, item, item_length, time, rating, error);
}

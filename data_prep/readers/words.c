/* Lines "user item item ...", and lines "user item": words separated by spaces or tabs, already in order. */
#include "reading.h"

#include "base/units.h"

#include <stdio.h>
#include <string.h>

sr_status words_begin(reading *r, sr_error *error)
{
    (void)r;
    (void)error;
    return SR_OK;
}

/* The next word at or after *at, or one of length 0. */
static field next_word(const char **at, const char *end)
{
    const char *word = *at;
    while (word < end && (*word == ' ' || *word == '\t'))
        ++word;
    *at = word;
    while (*at < end && **at != ' ' && **at != '\t')
        ++*at;
    return (field){word, (size_t)(*at - word)};
}

static field next_user(reading *r, const char **at, const char *end)
{
    return r->options->no_user ? reading_user_of_line(r) : next_word(at, end);
}

/* The count in front of items is what it says. */
static sr_status check_count(reading *r, field count, size_t items, bool *fits, sr_error *error)
{
    char text[32];
    uint64_t number;
    snprintf(text, sizeof text, "%.*s", count.length < sizeof text ? (int)count.length : (int)sizeof text - 1, count.text);
    *fits = count.length < sizeof text && sr_read_whole(text, &number) && number == items;
    return *fits ? SR_OK
                 : reading_drop(r, DROPPED_COLUMNS, error, "found %zu items behind \"%s\", which is their number by --counted",
                                items, text);
}

static const char *expected(const reading *r, bool exactly_one)
{
    return exactly_one ? "a user and an item" : r->options->no_user ? "items" : "a user and items";
}

/* Drops a line that does not fit, before anything of it is handed on. */
static sr_status check_line(reading *r, const char *line, const char *end, bool exactly_one, bool *fits, sr_error *error)
{
    const char *at = line;
    size_t items = 0, longest = 0;
    *fits = false;
    if (line + strspn(line, " \t") == end)
        return reading_drop(r, DROPPED_EMPTY_LINE, error, "the line is empty, expected %s", expected(r, exactly_one));
    const field user = next_user(r, &at, end), count = r->options->counted ? next_word(&at, end) : (field){"", 0};
    for (field item; (item = next_word(&at, end)).length; ++items)
        longest = item.length > longest ? item.length : longest;
    if (exactly_one && items > 1)
        return reading_drop(r, DROPPED_COLUMNS, error, "found more than two words, expected \"user item\"");
    if (r->options->counted) {
        SR_TRY(check_count(r, count, items, fits, error));
        if (!*fits)
            return SR_OK;
        *fits = false;
    }
    if (items == 0 && r->options->counted)
        return reading_drop(r, DROPPED_EMPTY_LIST, error, "no item follows");
    if (items == 0)
        return reading_drop(r, DROPPED_COLUMNS, error, "found a user without any item");
    if (user.length > LINES_IDENTIFIER_MAXIMUM || longest > LINES_IDENTIFIER_MAXIMUM)
        return reading_drop(r, DROPPED_IDENTIFIER, error, "the %s identifier has %zu bytes, allowed are at most %d",
                            user.length > LINES_IDENTIFIER_MAXIMUM ? "user" : "item",
                            user.length > LINES_IDENTIFIER_MAXIMUM ? user.length : longest, LINES_IDENTIFIER_MAXIMUM);
    if (reading_is_na(r, user))
        return reading_drop(r, DROPPED_NA, error, "the user is \"%.*s\"", (int)user.length, user.text);
    *fits = true;
    return SR_OK;
}

/* "user item item ...", or with `exactly_one` "user item". */
static sr_status add_line(reading *r, const char *line, size_t length, bool exactly_one, sr_error *error)
{
    const char *at = line, *end = line + length;
    bool fits;
    SR_TRY(check_line(r, line, end, exactly_one, &fits, error));
    if (!fits)
        return SR_OK;
    field values[ROLES] = {[USER] = next_user(r, &at, end)};
    if (r->options->counted)
        (void)next_word(&at, end);
    while ((values[ITEM] = next_word(&at, end)).length)
        SR_TRY(reading_add(r, values, error));
    return SR_OK;
}

static sr_status add_sequence(reading *r, const char *line, size_t length, sr_error *error)
{
    return add_line(r, line, length, false, error);
}

static sr_status add_pair(reading *r, const char *line, size_t length, sr_error *error)
{
    return add_line(r, line, length, true, error);
}

sr_status words_read(reading *r, bool exactly_one, sr_error *error)
{
    return reading_lines(r, exactly_one ? add_pair : add_sequence, error);
}

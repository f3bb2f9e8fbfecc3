/* Lists in fields: "N1 N0 N7", "1,2,3", "['B0' 'B1']". */
#include "reading.h"

#include <string.h>

typedef struct {
    const char *at, *end, *separator; /* "": blanks */
    bool is_at_end;
} list;

static bool is_blank(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static field trim(field text)
{
    while (text.length > 0 && is_blank(*text.text))
        text = (field){text.text + 1, text.length - 1};
    while (text.length > 0 && is_blank(text.text[text.length - 1]))
        --text.length;
    return text;
}

/* What stands in brackets, if everything does. */
static field without_brackets(field text)
{
    const char first = text.length >= 2 ? *text.text : '\0', last = text.length >= 2 ? text.text[text.length - 1] : '\0';
    const bool is_enclosed = (first == '[' && last == ']') || (first == '(' && last == ')');
    return is_enclosed ? trim((field){text.text + 1, text.length - 2}) : text;
}

static list list_begin(const reading *r, size_t column)
{
    const field text = without_brackets(trim(r->fields[column]));
    return (list){text.text, text.text + text.length, r->options->list_separator ? r->options->list_separator : "",
                  text.length == 0};
}

/* Where the next separator begins, or the end. */
static const char *find_separator(const list *from, const char *at)
{
    const size_t length = strlen(from->separator);
    if (length > 0) {
        const char *found = memmem(at, (size_t)(from->end - at), from->separator, length);
        return found ? found : from->end;
    }
    while (at < from->end && !is_blank(*at))
        ++at;
    return at;
}

/* The next element, without blanks and quotes around it; false behind the last one. */
static bool list_next(list *from, field *element)
{
    if (from->is_at_end)
        return false;
    while (from->at < from->end && is_blank(*from->at))
        ++from->at;
    const char *begin = from->at, quote = begin < from->end ? *begin : '\0';
    const char *closing = (quote == '\'' || quote == '"') ? memchr(begin + 1, quote, (size_t)(from->end - begin - 1)) : NULL;
    const char *behind = find_separator(from, closing ? closing + 1 : begin);
    *element = trim((field){begin, (size_t)(behind - begin)});
    if (closing && element->text + element->length == closing + 1)
        *element = (field){begin + 1, (size_t)(closing - begin) - 1};
    const size_t length = strlen(from->separator);
    from->is_at_end = behind == from->end;
    from->at = behind + (from->is_at_end ? 0 : length);
    while (length == 0 && from->at < from->end && is_blank(*from->at))
        ++from->at;
    from->is_at_end = from->is_at_end || (length == 0 && from->at == from->end);
    return true;
}

/* The lists of a row, side by side. */
static sr_status add_lists(reading *r, field user, size_t *count, sr_error *error)
{
    field values[ROLES] = {[USER] = user};
    list lists[ROLES];
    for (size_t i = ITEM; i < ROLES; ++i)
        if (r->lists[i] != SIZE_MAX)
            lists[i] = list_begin(r, r->lists[i]);
        else if (i != ITEM && r->columns[i] != SIZE_MAX)
            values[i] = r->fields[r->columns[i]];
    for (*count = 0; list_next(&lists[ITEM], &values[ITEM]); ++*count) {
        for (size_t i = TIME; i <= RATING; ++i)
            if (r->lists[i] != SIZE_MAX && !list_next(&lists[i], &values[i]))
                return reading_drop(r, DROPPED_COLUMNS, error, "the list of %ss ends behind %zu, that of items goes on",
                                    role_names[i], *count);
        SR_TRY(reading_add(r, values, error));
    }
    for (size_t i = TIME; i <= RATING; ++i)
        if (r->lists[i] != SIZE_MAX && list_next(&lists[i], &values[i]))
            return reading_drop(r, DROPPED_COLUMNS, error, "the list of items ends behind %zu, that of %ss goes on", *count,
                                role_names[i]);
    return SR_OK;
}

static sr_status add_all(reading *r, sr_error *error)
{
    size_t count;
    field values[ROLES] = {[USER] = r->columns[USER] != SIZE_MAX ? r->fields[r->columns[USER]] : reading_user_of_line(r)};
    SR_TRY(add_lists(r, values[USER], &count, error));
    for (size_t i = ITEM; i < ROLES; ++i)
        if (r->columns[i] != SIZE_MAX)
            values[i] = r->fields[r->columns[i]];
    if (r->columns[ITEM] != SIZE_MAX)
        return reading_add(r, values, error);
    if (count == 0)
        reading_leave_out(r, DROPPED_EMPTY_LIST);
    return SR_OK;
}

sr_status lists_add(reading *r, sr_error *error)
{
    reading_begin_group(r);
    SR_TRY(add_all(r, error));
    return reading_end_group(r, error);
}

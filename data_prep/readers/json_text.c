#include "json_text.h"

#include "srtrain/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 40, DEEPEST = 1000 };

void json_text_free(json_text *j)
{
    free(j->nodes);
    free(j->scratch);
}

/* ---- parsing ---- */

/* A line while it is read. */
typedef struct {
    json_text *j;
    const char *at, *end;
    int depth;
    sr_status status; /* of memory */
    sr_error *error;
} parser;

static bool fail(parser *p, const char *wrong)
{
    if (!p->j->wrong) {
        p->j->wrong = wrong;
        p->j->wrong_at = (size_t)(p->at - p->j->text);
    }
    return false;
}

static bool add_node(parser *p, json_kind kind, const char *begin, const char *end, bool is_escaped)
{
    json_text *j = p->j;
    if (j->count == j->room)
        p->status = SR_GROW(&j->nodes, &j->room, j->count + 1, "a line of JSON", p->error);
    if (p->status != SR_OK)
        return false;
    j->nodes[j->count] = (json_node){kind, is_escaped, (uint32_t)(begin - j->text), (uint32_t)(end - begin),
                                     (uint32_t)j->count + 1};
    ++j->count;
    return true;
}

static void skip_blanks(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        ++p->at;
}

static bool take(parser *p, char character)
{
    const bool is_there = p->at < p->end && *p->at == character;
    p->at += is_there;
    return is_there;
}

static bool take_word(parser *p, const char *word, json_kind kind)
{
    const size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0)
        return false;
    p->at += length;
    return add_node(p, kind, p->at - length, p->at, false);
}

/* The value of `count` hexadecimal digits, or -1. */
static long hexadecimal(const char *at, const char *end, int count)
{
    long value = 0;
    for (int i = 0; i < count; ++i, ++at) {
        if (at >= end)
            return -1;
        const char c = *at;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = 16 * value + digit;
    }
    return value;
}

/* The code point that an escape \uXXXX stands for, with its second half; *at is at the u, and moves behind all. -1 for none. */
static long take_code_point(const char **at, const char *end)
{
    const long first = hexadecimal(*at + 1, end, 4);
    if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF))
        return -1;
    *at += 5;
    if (first < 0xD800 || first > 0xDBFF)
        return first;
    const bool has_second = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u';
    const long second = has_second ? hexadecimal(*at + 2, end, 4) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return -1;
    *at += 6;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

/* Takes the escape behind a backslash at *at: its code point, or -1. `python` has more of them, and leaves those that it does
 * not know as they are: the backslash is then the code point. */
static long take_escape(const char **at, const char *end, bool python)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t", python_names[] = "'\"\\abfnrtv",
                      python_values[] = "'\"\\\a\b\f\n\r\t\v";
    if (*at >= end)
        return -1;
    const char *known = **at ? strchr(python ? python_names : names, **at) : NULL;
    if (known) {
        ++*at;
        return (unsigned char)(python ? python_values[known - python_names] : values[known - names]);
    }
    if (**at == 'u')
        return take_code_point(at, end);
    if (!python)
        return -1;
    if (**at == 'x' || **at == 'U') {
        const int digits = **at == 'x' ? 2 : 8;
        const long value = hexadecimal(*at + 1, end, digits);
        *at += value >= 0 ? 1 + digits : 0;
        return value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF) ? -1 : value;
    }
    if (**at < '0' || **at > '7')
        return '\\';
    long value = 0;
    for (int i = 0; i < 3 && *at < end && **at >= '0' && **at <= '7'; ++i, ++*at)
        value = 8 * value + (**at - '0');
    return value;
}

/* A text; its first quote is at p->at. */
static bool take_text(parser *p)
{
    const char quote = *p->at++, *begin = p->at, *closing = NULL;
    bool is_escaped = false;
    for (;;) {
        if (!closing || closing < p->at)
            closing = memchr(p->at, quote, (size_t)(p->end - p->at));
        const char *escape = closing ? memchr(p->at, '\\', (size_t)(closing - p->at)) : NULL;
        if (!closing) {
            p->at = p->end;
            return fail(p, "a text is not closed");
        }
        if (!escape) {
            p->at = closing + 1;
            return add_node(p, JSON_TEXT, begin, closing, is_escaped);
        }
        is_escaped = true;
        p->at = escape + 1;
        if (take_escape(&p->at, p->end, p->j->python) < 0)
            return fail(p, "an escape is not known");
    }
}

static bool is_digit(const parser *p)
{
    return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

static bool take_number(parser *p)
{
    const char *begin = p->at;
    (void)take(p, '-');
    if (take_word(p, "Infinity", JSON_NOT_A_NUMBER) || (p->j->python && take_word(p, "inf", JSON_NOT_A_NUMBER)))
        return true;
    if (!is_digit(p))
        return fail(p, "a number has no digits");
    while (is_digit(p))
        ++p->at;
    if (take(p, '.'))
        while (is_digit(p))
            ++p->at;
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        ++p->at;
        if (!take(p, '-'))
            (void)take(p, '+');
        if (!is_digit(p))
            return fail(p, "a number has no digits behind its e");
        while (is_digit(p))
            ++p->at;
    }
    const char *end = p->at;
    if (p->j->python)
        (void)take(p, 'L');
    return add_node(p, JSON_NUMBER, begin, end, false);
}

static bool take_value(parser *p);

/* What stands between brackets, with commas between; keys have a colon behind them. */
static bool take_children(parser *p, json_kind kind, char closing)
{
    const size_t own = p->j->count;
    if (!add_node(p, kind, p->at, p->at, false))
        return false;
    ++p->at;
    if (++p->depth > DEEPEST)
        return fail(p, "objects and arrays are more than 1000 deep");
    skip_blanks(p);
    for (bool more = !take(p, closing); more;) {
        if (kind == JSON_OBJECT) {
            const size_t key = p->j->count;
            if (!take_value(p))
                return false;
            if (p->j->nodes[key].kind != JSON_TEXT && !(p->j->python && p->j->nodes[key].kind == JSON_NUMBER))
                return fail(p, "a key is no text");
            skip_blanks(p);
            if (!take(p, ':'))
                return fail(p, "no colon follows a key");
        }
        if (!take_value(p))
            return false;
        skip_blanks(p);
        if (take(p, ',')) {
            skip_blanks(p);
            more = !(p->j->python && take(p, closing));
            continue;
        }
        if (!take(p, closing))
            return fail(p, p->at == p->end ? "it ends too early" : "no comma follows a value");
        more = false;
    }
    --p->depth;
    p->j->nodes[own].after = (uint32_t)p->j->count;
    return true;
}

static bool take_python_value(parser *p)
{
    const char prefix = *p->at;
    if ((prefix == 'u' || prefix == 'b' || prefix == 'U') && p->end - p->at > 1 && (p->at[1] == '\'' || p->at[1] == '"'))
        ++p->at;
    if (*p->at == '\'' || *p->at == '"')
        return take_text(p);
    if (*p->at == '(')
        return take_children(p, JSON_ARRAY, ')');
    return take_word(p, "True", JSON_TRUE) || take_word(p, "False", JSON_FALSE) || take_word(p, "None", JSON_NULL) ||
           take_word(p, "nan", JSON_NOT_A_NUMBER) || take_word(p, "inf", JSON_NOT_A_NUMBER) || fail(p, "this is no value");
}

static bool take_value(parser *p)
{
    skip_blanks(p);
    if (p->at == p->end)
        return fail(p, "it ends too early");
    if (*p->at == '{')
        return take_children(p, JSON_OBJECT, '}');
    if (*p->at == '[')
        return take_children(p, JSON_ARRAY, ']');
    if (*p->at == '-' || is_digit(p))
        return take_number(p);
    if (p->j->python)
        return take_python_value(p);
    if (*p->at == '"')
        return take_text(p);
    return take_word(p, "true", JSON_TRUE) || take_word(p, "false", JSON_FALSE) || take_word(p, "null", JSON_NULL) ||
           take_word(p, "NaN", JSON_NOT_A_NUMBER) || take_word(p, "Infinity", JSON_NOT_A_NUMBER) || fail(p, "this is no value");
}

sr_status json_text_read(json_text *j, const char *line, size_t length, sr_error *error)
{
    parser p = {.j = j, .at = line, .end = line + length, .status = SR_OK, .error = error};
    j->text = line;
    j->length = length;
    j->count = 0;
    j->wrong = NULL;
    if (take_value(&p)) {
        skip_blanks(&p);
        if (p.at < p.end)
            (void)fail(&p, "something stands behind its end");
    }
    SR_TRY(p.status);
    return SR_GROW(&j->scratch, &j->scratch_room, length + j->count * NUMBER_SIZE, "a line of JSON", error);
}

/* ---- texts ---- */

/* Writes a code point as UTF-8, which is never longer than its escape; behind it. */
static char *put_code_point(char *to, long code)
{
    const unsigned long c = (unsigned long)code;
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* A text without its escapes. */
static field text_of(json_text *j, size_t node)
{
    const json_node *n = &j->nodes[node];
    const field text = {j->text + n->begin, n->length};
    if (!n->is_escaped)
        return text;
    char *begin = j->scratch + n->begin, *to = begin;
    for (const char *at = text.text, *end = at + n->length; at < end;) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        ++at;
        to = put_code_point(to, take_escape(&at, end, j->python));
    }
    return (field){begin, (size_t)(to - begin)};
}

/* ---- numbers ---- */

/* Whether digits are the shortest way to write a whole number: "17", "-5", not "007" or "-0". */
static bool is_plain(field number)
{
    const char *at = number.text, *end = at + number.length;
    at += at < end && *at == '-';
    if (at == end || (*at == '0' && number.length > 1))
        return false;
    for (; at < end; ++at)
        if (*at < '0' || *at > '9')
            return false;
    return true;
}

/* Whole numbers as long as a double holds them exactly, others with the fewest digits that mean the same. */
static bool print_number(double number, char text[NUMBER_SIZE])
{
    enum { MOST_DIGITS = 17 };
    const double exact = 9007199254740992; /* 2^53 */
    if (!isfinite(number))
        return false;
    if (number == floor(number)) {
        snprintf(text, NUMBER_SIZE, "%lld", (long long)(fabs(number) <= exact ? number : 0));
        return fabs(number) <= exact;
    }
    for (int digits = MOST_DIGITS - 2; digits <= MOST_DIGITS; ++digits) {
        snprintf(text, NUMBER_SIZE, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return true;
}

static const char *number_of(json_text *j, size_t node, field *value)
{
    char copy[512], *text;
    if (value->length >= sizeof copy)
        return "is a number of more than 511 characters";
    memcpy(copy, value->text, value->length);
    copy[value->length] = '\0';
    text = j->scratch + j->length + node * NUMBER_SIZE;
    if (!print_number(strtod(copy, NULL), text))
        return "is a number beyond 2^53 that is not written with its digits alone";
    *value = (field){text, strlen(text)};
    return NULL;
}

/* ---- use ---- */

size_t json_text_find(json_text *j, size_t node, const char *path, size_t *used)
{
    const size_t whole = strlen(path), first = strcspn(path, ".");
    size_t found = 0;
    for (size_t key = node + 1; key < j->nodes[node].after;) {
        const size_t value = j->nodes[key].after;
        const field name = text_of(j, key);
        if (name.length == whole && memcmp(name.text, path, whole) == 0) {
            *used = whole;
            return value;
        }
        if (!found && first < whole && name.length == first && memcmp(name.text, path, first) == 0) {
            *used = first + 1;
            found = value;
        }
        key = j->nodes[value].after;
    }
    return found;
}

const char *json_text_value(json_text *j, size_t node, bool raw, field *value)
{
    const json_node *n = &j->nodes[node];
    *value = (field){j->text + n->begin, n->length};
    switch (n->kind) {
    case JSON_TEXT:
        *value = text_of(j, node);
        return n->is_escaped && memchr(value->text, '\0', value->length) ? "holds an escaped null character" : NULL;
    case JSON_NUMBER:
        return raw || is_plain(*value) ? NULL : number_of(j, node, value);
    case JSON_TRUE:
        *value = (field){"true", 4};
        return NULL;
    case JSON_FALSE:
        *value = (field){"false", 5};
        return NULL;
    case JSON_NULL:
        *value = (field){"null", 4};
        return NULL;
    case JSON_NOT_A_NUMBER:
        return NULL;
    default:
        return "is an array or an object";
    }
}

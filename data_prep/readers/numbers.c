#include "numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAFE_DIGITS = 18, LONGEST_FLOAT = 63, LARGEST_EXPONENT = 100000 };

/* Up to 18 digits, an int64_t for sure, and nothing else. */
static bool parse_digits(field number, int64_t *value)
{
    if (number.length == 0 || number.length > SAFE_DIGITS)
        return false;
    int64_t sum = 0;
    for (size_t i = 0; i < number.length; ++i) {
        const unsigned digit = (unsigned char)number.text[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        sum = 10 * sum + (int64_t)digit;
    }
    *value = sum;
    return true;
}

/* A decimal number taken apart: the digits from `first` to `last`, of which the point is none, times 10^exponent. */
typedef struct {
    bool negative;
    const char *first, *last; /* significant digits, the last one included; NULL for zero */
    long exponent;            /* of the last digit */
} decimal;

static bool parse_exponent(const char *at, const char *end, long *exponent)
{
    const bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        ++at;
    if (at == end)
        return false;
    long sum = 0;
    for (; at < end; ++at) {
        if (*at < '0' || *at > '9')
            return false;
        sum = sum < LARGEST_EXPONENT ? 10 * sum + (*at - '0') : sum;
    }
    *exponent = negative ? -sum : sum;
    return true;
}

static bool parse_decimal(field number, decimal *parsed)
{
    const char *at = number.text, *end = at + number.length;
    *parsed = (decimal){.negative = at < end && *at == '-'};
    if (at < end && (*at == '-' || *at == '+'))
        ++at;
    bool any = false, point = false;
    long decimals = 0, decimals_at_last = 0;
    for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !point)); ++at) {
        if (*at == '.') {
            point = true;
            continue;
        }
        any = true;
        decimals += point;
        if (*at == '0') { /* zeros count for nothing before the first other digit and after the last; between them see below */
            decimals_at_last -= parsed->first && !point;
            continue;
        }
        if (!parsed->first)
            parsed->first = at;
        parsed->last = at;
        decimals_at_last = decimals;
    }
    if (!any)
        return false;
    long exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        if (!parse_exponent(at + 1, end, &exponent))
            return false;
        at = end;
    }
    parsed->exponent = exponent - decimals_at_last;
    return at == end;
}

/* The digits of a decimal without its point, with `shift` zeros behind them or that many digits less. */
static number_kind shift_digits(const decimal *parsed, long shift, uint64_t *value)
{
    const char *last = parsed->last;
    const bool too_fine = shift < 0;
    for (; shift < 0 && last >= parsed->first; --last)
        shift += *last != '.';
    uint64_t sum = 0;
    for (const char *at = parsed->first; at <= last; ++at)
        if (*at != '.' && (__builtin_mul_overflow(sum, 10U, &sum) || __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum)))
            return NUMBER_TOO_LARGE;
    for (; shift > 0; --shift)
        if (__builtin_mul_overflow(sum, 10U, &sum))
            return NUMBER_TOO_LARGE;
    *value = sum;
    return too_fine ? NUMBER_TOO_FINE : NUMBER_GOOD;
}

number_kind number_scaled(field number, unsigned decimals, int64_t *value)
{
    if (decimals == 0 && parse_digits(number, value))
        return NUMBER_GOOD;
    decimal parsed;
    uint64_t size = 0;
    if (!parse_decimal(number, &parsed))
        return NUMBER_BAD;
    number_kind kind = parsed.first ? shift_digits(&parsed, parsed.exponent + (long)decimals, &size) : NUMBER_GOOD;
    if (size > (uint64_t)INT64_MAX + parsed.negative)
        kind = NUMBER_TOO_LARGE;
    *value = parsed.negative ? (int64_t)(0 - size) : (int64_t)size;
    return kind;
}

bool number_decimals(field number, int *decimals)
{
    enum { MOST = 1000 };
    decimal parsed;
    if (!parse_decimal(number, &parsed))
        return false;
    const long fine = parsed.first ? -parsed.exponent : 0;
    *decimals = (int)(fine < 0 ? 0 : (fine > MOST ? MOST : fine));
    return true;
}

bool number_float(field number, float *value)
{
    int64_t whole;
    decimal parsed;
    if (parse_digits(number, &whole)) {
        *value = (float)whole;
        return true;
    }
    char text[LONGEST_FLOAT + 1];
    if (number.length > LONGEST_FLOAT || !parse_decimal(number, &parsed))
        return false;
    memcpy(text, number.text, number.length);
    text[number.length] = '\0';
    *value = strtof(text, NULL);
    return isfinite(*value);
}

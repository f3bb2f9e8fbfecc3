/* Values of keys: from text to fields and back. */
#include "config/schema.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many values the list of a key holds. */
static size_t *list_count(const sr_schema_key *row, void *settings)
{
    char *part = (char *)settings + row->at - row->key->offset;
    return (size_t *)(void *)(part + row->key->size);
}

/* ---- values as text ---- */

/* The fewest digits that read back as the same number. Exponents get a decimal point ("1.0e-12"), without which YAML 1.1
 * readers, as PyYAML, take them for text. */
static void format_number(double value, char *text, size_t size)
{
    char digits[32];
    for (int count = 1; count <= 17; ++count) {
        snprintf(digits, sizeof digits, "%.*g", count, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    if (fabs(value) >= 1 && fabs(value) < 1e15 && value == floor(value))
        snprintf(digits, sizeof digits, "%.0f", value);
    const char *exponent = strchr(digits, 'e');
    if (exponent && !strchr(digits, '.'))
        snprintf(text, size, "%.*s.0%s", (int)(exponent - digits), digits, exponent);
    else
        snprintf(text, size, "%s", digits);
}

static void format_range(const sr_key *key, const char *what, char *text, size_t size)
{
    char minimum[32], maximum[32];
    format_number(key->minimum, minimum, sizeof minimum);
    format_number(key->maximum, maximum, sizeof maximum);
    if (key->above)
        snprintf(text, size, "%s above %s and %s %s", what, minimum, key->below ? "below" : "up to", maximum);
    else
        snprintf(text, size, "%s from %s to %s%s", what, minimum, key->below ? "below " : "", maximum);
}

void schema_allowed(const sr_key *key, char *text, size_t size)
{
    switch (key->type) {
    case SR_KEY_BOOLEAN:
        snprintf(text, size, "true or false");
        break;
    case SR_KEY_INTEGER:
        format_range(key, "a whole number in digits", text, size);
        break;
    case SR_KEY_NUMBER:
        format_range(key, "a number", text, size);
        break;
    case SR_KEY_TEXT:
        snprintf(text, size, "a text of 1 to %zu bytes", key->size - 1);
        break;
    case SR_KEY_CHOICE:
        snprintf(text, size, "one of");
        for (size_t i = 0; schema_choice_at(key, i).name; ++i)
            snprintf(text + strlen(text), size - strlen(text), "%s %s", i == 0 ? "" : ",", schema_choice_at(key, i).name);
        break;
    case SR_KEY_INTEGER_LIST:
        snprintf(text, size, "a list of 1 to %d ascending whole numbers from %g to %g", SR_LIST_MAXIMUM, key->minimum,
                 key->maximum);
        break;
    }
}

static void format_list(const int64_t *values, size_t count, char *text, size_t size)
{
    snprintf(text, size, "[");
    for (size_t i = 0; i < count; ++i)
        snprintf(text + strlen(text), size - strlen(text), "%s%lld", i ? ", " : "", (long long)values[i]);
    snprintf(text + strlen(text), size - strlen(text), "]");
}

/* A double-quoted YAML scalar. */
static void format_text(const char *value, char *text, size_t size)
{
    size_t used = 0;
    const size_t room = size - 6; /* an escaped character, the closing quote and the end */
    text[used++] = '"';
    for (const char *at = value; *at && used < room; ++at) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < ' ' || byte == 0x7F) {
            used += (size_t)snprintf(text + used, size - used, "\\x%02x", byte);
            continue;
        }
        if (byte == '"' || byte == '\\')
            text[used++] = '\\';
        text[used++] = *at;
    }
    text[used++] = '"';
    text[used] = '\0';
}

static void format_choice(const sr_key *key, const char *field, char *text, size_t size)
{
    int value;
    memcpy(&value, field, sizeof value);
    for (size_t i = 0; schema_choice_at(key, i).name; ++i)
        if (schema_choice_at(key, i).value == value)
            snprintf(text, size, "%s", schema_choice_at(key, i).name);
}

void schema_format(const sr_schema_key *row, const void *settings, char *text, size_t size)
{
    const char *field = (const char *)settings + row->at;
    switch (row->key->type) {
    case SR_KEY_BOOLEAN:
        snprintf(text, size, "%s", *(const bool *)field ? "true" : "false");
        break;
    case SR_KEY_INTEGER:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)(const void *)field);
        break;
    case SR_KEY_NUMBER:
        format_number(*(const double *)(const void *)field, text, size);
        break;
    case SR_KEY_TEXT:
        format_text(field, text, size);
        break;
    case SR_KEY_CHOICE:
        format_choice(row->key, field, text, size);
        break;
    case SR_KEY_INTEGER_LIST:
        format_list((const int64_t *)(const void *)field, *list_count(row, (void *)(uintptr_t)settings), text, size);
        break;
    }
}

/* ---- text to values ---- */

/* Skips digits; false when there is none. */
static bool skip_digits(const char **at)
{
    const size_t length = strspn(*at, "0123456789");
    *at += length;
    return length > 0;
}

bool schema_is_number(const char *text)
{
    text += *text == '-' || *text == '+';
    bool digits = skip_digits(&text);
    if (*text == '.') {
        ++text;
        digits = skip_digits(&text) || digits;
    }
    if (digits && (*text == 'e' || *text == 'E')) {
        ++text;
        text += *text == '-' || *text == '+';
        digits = skip_digits(&text);
    }
    return digits && *text == '\0';
}

/* Digits alone, without an exponent or a leading zero (which YAML 1.1 reads as octal). */
static bool is_integer(const char *text)
{
    text += *text == '-';
    const bool leading_zero = text[0] == '0' && text[1] != '\0';
    return !leading_zero && skip_digits(&text) && *text == '\0';
}

static bool read_integer(const sr_key *key, const char *text, int64_t *value)
{
    errno = 0;
    *value = strtoll(text, NULL, 10);
    return is_integer(text) && errno == 0 && *value >= (int64_t)key->minimum && *value <= (int64_t)key->maximum;
}

bool schema_vanishes(const sr_key *key, const char *text)
{
    if (key->type != SR_KEY_NUMBER || !schema_is_number(text))
        return false;
    const size_t mantissa = strcspn(text, "eE");
    return strcspn(text, "123456789") < mantissa && fabs(strtod(text, NULL)) < FLT_MIN;
}

static bool read_number(const sr_key *key, const char *text, double *value)
{
    if (!schema_is_number(text) || schema_vanishes(key, text))
        return false;
    *value = strtod(text, NULL);
    /* Training computes in single precision, in which the number must not become the end of an open range either. */
    const bool above = key->above ? (float)*value > (float)key->minimum : *value >= key->minimum;
    const bool below = key->below ? (float)*value < (float)key->maximum : *value <= key->maximum;
    return isfinite(*value) && above && below;
}

static bool assign_list(const sr_schema_key *row, void *settings, const char *const *values, size_t count)
{
    int64_t read[SR_LIST_MAXIMUM];
    if (count < 1 || count > SR_LIST_MAXIMUM)
        return false;
    for (size_t i = 0; i < count; ++i)
        if (!read_integer(row->key, values[i], &read[i]) || (i > 0 && read[i] <= read[i - 1]))
            return false;
    memcpy((char *)settings + row->at, read, count * sizeof *read);
    *list_count(row, settings) = count;
    return true;
}

static bool assign_choice(const sr_key *key, char *field, const char *text)
{
    for (size_t i = 0; schema_choice_at(key, i).name; ++i) {
        const sr_choice choice = schema_choice_at(key, i);
        if (strcmp(choice.name, text) == 0) {
            memcpy(field, &choice.value, sizeof choice.value);
            return true;
        }
    }
    return false;
}

bool schema_assign(const sr_schema_key *row, void *settings, const char *const *values, size_t count)
{
    const sr_key *key = row->key;
    char *field = (char *)settings + row->at;
    if (key->type == SR_KEY_INTEGER_LIST)
        return assign_list(row, settings, values, count);
    if (count != 1)
        return false;
    const char *text = values[0];
    int64_t integer;
    double number;
    switch (key->type) {
    case SR_KEY_BOOLEAN:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return false;
        *(bool *)field = strcmp(text, "true") == 0;
        return true;
    case SR_KEY_INTEGER:
        if (!read_integer(key, text, &integer))
            return false;
        memcpy(field, &integer, sizeof integer);
        return true;
    case SR_KEY_NUMBER:
        if (!read_number(key, text, &number))
            return false;
        memcpy(field, &number, sizeof number);
        return true;
    case SR_KEY_TEXT:
        if (!*text || strlen(text) >= key->size)
            return false;
        snprintf(field, key->size, "%s", text);
        return true;
    case SR_KEY_CHOICE:
        return assign_choice(key, field, text);
    case SR_KEY_INTEGER_LIST:
        break;
    }
    return false;
}

static size_t size_of(const sr_key *key)
{
    switch (key->type) {
    case SR_KEY_BOOLEAN:
        return sizeof(bool);
    case SR_KEY_INTEGER:
        return sizeof(int64_t);
    case SR_KEY_NUMBER:
        return sizeof(double);
    case SR_KEY_TEXT:
        return key->size;
    case SR_KEY_CHOICE:
        return sizeof(int);
    case SR_KEY_INTEGER_LIST:
        break;
    }
    return SR_LIST_MAXIMUM * sizeof(int64_t);
}

void schema_copy_value(const sr_schema_key *row, void *to, const void *from)
{
    memcpy((char *)to + row->at, (const char *)from + row->at, size_of(row->key));
    if (row->key->type == SR_KEY_INTEGER_LIST)
        *list_count(row, to) = *list_count(row, (void *)(uintptr_t)from);
}

/* Files of one JSON object a line, of which a few keys are wanted. */
#include "reading.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_begin(reading *r, const char *const keys[ROLES])
{
    for (size_t i = 0; i < ROLES; ++i)
        snprintf(r->keys[i], sizeof r->keys[i], "%s", keys[i]);
    r->has_times = *r->keys[TIME] != '\0';
    r->has_ratings = *r->keys[RATING] != '\0';
}

enum { NUMBER_SIZE = 40 };

/* A number as text: whole ones as long as a double holds them exactly, others with the fewest digits that mean the same. */
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

/* ---- numbers as they stand ---- */

/* Behind the text that begins at `at`. */
static const char *behind_text(const char *at)
{
    for (++at; *at != '"'; ++at)
        at += *at == '\\';
    return at + 1;
}

static const char *behind_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The number that a key of the outer object holds, as it stands in a line that is known to be JSON; false if a key written like
 * this holds no number. cJSON keeps a double, in which the last digits of a time stamp have no room. */
static bool find_number(const char *line, const char *key, field *number)
{
    const size_t key_length = strlen(key);
    int depth = 0;
    for (const char *at = line; *at;) {
        if (*at != '"') {
            depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
            ++at;
            continue;
        }
        const char *text = at + 1, *value;
        at = behind_text(at);
        const bool is_it = depth == 1 && (size_t)(at - text) == key_length + 1 && memcmp(text, key, key_length) == 0;
        value = behind_blanks(at);
        if (!is_it || *value != ':')
            continue;
        value = behind_blanks(value + 1);
        *number = (field){value, strcspn(value, ",} \t\r\n")};
        return *value == '-' || (*value >= '0' && *value <= '9');
    }
    return false;
}

/* ---- objects ---- */

/* Drops an object that lacks a key. */
static sr_status drop_without_key(reading *r, const cJSON *object, const char *key, sr_error *error)
{
    const char *const wanted[ROLES] = {r->keys[USER], r->keys[ITEM], r->keys[TIME], r->keys[RATING]};
    field names[READER_FIELDS];
    char text[NAMES_SIZE];
    size_t count = 0;
    for (const cJSON *child = object->child; child && count < READER_FIELDS; child = child->next)
        names[count++] = (field){child->string, strlen(child->string)};
    reading_describe_names(key, wanted, names, count, text);
    return reading_drop(r, DROPPED_KEY, error, "the key \"%s\" is missing%s", key, text);
}

/* What a key holds, as text. NULL when it fits, or else what is wrong with it. */
static const char *take_value(const reading *r, const cJSON *found, char number[NUMBER_SIZE], field *value)
{
    if (cJSON_IsNumber(found)) {
        *value = (field){number, 0};
        if (!print_number(found->valuedouble, number))
            return "is a number beyond 2^53, which JSON does not hold exactly";
        value->length = strlen(number);
        return NULL;
    }
    if (cJSON_IsString(found)) {
        *value = (field){found->valuestring, strlen(found->valuestring)};
        return NULL;
    }
    *value = (field){"null", 4};
    if (cJSON_IsNull(found))
        return reading_is_na(r, *value) ? NULL : "is null; --na-values null leaves out lines where it is";
    return "is neither text nor a number";
}

static sr_status add_object(reading *r, const char *line, const cJSON *object, sr_error *error)
{
    field values[ROLES] = {{NULL, 0}};
    char numbers[ROLES][NUMBER_SIZE];
    const bool wanted[ROLES] = {true, true, r->has_times, r->has_ratings};
    for (size_t i = 0; i < ROLES; ++i) {
        if (!wanted[i] || (i == TIME && find_number(line, r->keys[i], &values[i])))
            continue;
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, r->keys[i]);
        if (!found && !reading_is_na(r, (field){"", 0}))
            return drop_without_key(r, object, r->keys[i], error);
        values[i] = (field){"", 0}; /* what is not there counts as empty */
        const char *wrong = found ? take_value(r, found, numbers[i], &values[i]) : NULL;
        if (wrong)
            return reading_drop(r, DROPPED_KEY, error, "the key \"%s\" %s", r->keys[i], wrong);
    }
    return reading_add(r, values, error);
}

/* A line, which is null-terminated. */
static sr_status add_line(reading *r, const char *line, size_t length, sr_error *error)
{
    if (length == 0)
        return reading_drop(r, DROPPED_EMPTY_LINE, error, "the line is empty");
    if (strstr(line, "\\u0000")) /* would end an identifier early */
        return reading_drop(r, DROPPED_JSON, error, "the line holds an escaped null character");
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(line, length + 1, &end, true);
    sr_status status;
    if (!object)
        status = reading_drop(r, DROPPED_JSON, error, "the line is not JSON: there is something wrong near column %zu",
                              end ? (size_t)(end - line) + 1 : length + 1);
    else if (!cJSON_IsObject(object))
        status = reading_drop(r, DROPPED_JSON, error, "the line is JSON, but not an object: expected {...}, one a line");
    else
        status = add_object(r, line, object, error);
    cJSON_Delete(object);
    return status;
}

sr_status json_read(reading *r, sr_error *error)
{
    return reading_lines(r, add_line, error);
}

/* Files of one JSON object a line, of which a few keys are wanted. */
#include "reading.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sr_status begin_yelp_json(reading *r, sr_error *error)
{
    static const char keys[ROLES][64] = {"user_id", "business_id", "date", "stars"};
    (void)error;
    memcpy(r->keys, keys, sizeof keys);
    r->has_times = r->has_ratings = true;
    return SR_OK;
}

sr_status begin_json(reading *r, sr_error *error)
{
    SR_TRY(reading_roles(r->options, r->keys, error));
    r->has_times = *r->keys[TIME] != '\0';
    r->has_ratings = *r->keys[RATING] != '\0';
    return SR_OK;
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

/* What a key holds, as text. NULL when it is there and fits, or else what is wrong with it. */
static const char *take_value(const reading *r, const cJSON *object, const char *key, char number[NUMBER_SIZE], field *value)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!found)
        return "is missing";
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
        return reading_is_na(r, *value) ? NULL : "is null";
    return "is neither text nor a number";
}

static sr_status add_object(reading *r, const cJSON *object, sr_error *error)
{
    field values[ROLES] = {{NULL, 0}};
    char numbers[ROLES][NUMBER_SIZE];
    const bool wanted[ROLES] = {true, true, r->has_times, r->has_ratings};
    for (size_t i = 0; i < ROLES; ++i) {
        const char *wrong = wanted[i] ? take_value(r, object, r->keys[i], numbers[i], &values[i]) : NULL;
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
        status = add_object(r, object, error);
    cJSON_Delete(object);
    return status;
}

sr_status json_read(reading *r, sr_error *error)
{
    const char *line;
    size_t length;
    for (;;) {
        SR_TRY(reading_line(r, &line, &length, error));
        if (!line)
            return SR_OK;
        SR_TRY(add_line(r, line, length, error));
    }
}

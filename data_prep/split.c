#include "split.h"

#include "base/units.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static sr_status parse_ratio(const char *text, split_rule *rule, sr_error *error)
{
    size_t at = 0;
    double sum = 0;
    for (size_t i = 0; i < 3; ++i) {
        char number[32];
        const size_t length = strcspn(text + at, ",");
        snprintf(number, sizeof number, "%.*s", (int)length, text + at);
        const bool is_last = text[at + length] == '\0';
        if (length >= sizeof number || !sr_read_number(number, &rule->ratio[i]) || rule->ratio[i] < 0 || is_last != (i == 2))
            return sr_fail(error, SR_ERROR_USAGE, "--split ratio:%s: expected three numbers, as in ratio:0.8,0.1,0.1", text);
        sum += rule->ratio[i];
        at += length + 1;
    }
    if (fabs(sum - 1) > 1e-6 || rule->ratio[0] <= 0)
        return sr_fail(error, SR_ERROR_USAGE, "--split ratio:%s: the parts sum to %g; they must sum to 1, the first above 0",
                       text, sum);
    return SR_OK;
}

static field time_field(const split_rule *rule, size_t which)
{
    return (field){rule->time_texts[which], strcspn(rule->time_texts[which], ",")};
}

/* The first moment is not the later one: equal moments leave nothing for validation. */
static sr_status check_order(const split_rule *rule, sr_error *error)
{
    const field first = time_field(rule, 0), second = time_field(rule, 1);
    return rule->times[0] <= rule->times[1]
               ? SR_OK
               : sr_fail(error, SR_ERROR_USAGE, "--split time: \"%.*s\" is later than \"%.*s\": the earlier one comes first",
                         (int)first.length, first.text, (int)second.length, second.text);
}

static sr_status read_times(split_rule *rule, const time_format *format, sr_error *error)
{
    for (size_t i = 0; i < 2; ++i)
        SR_TRY(time_read_bound(format, time_field(rule, i), "--split time", &rule->times[i], error));
    return check_order(rule, error);
}

/* What the input's time stamps are is not known yet: they may be numbers or dates. */
static sr_status parse_times(const char *text, const time_format *given, split_rule *rule, sr_error *error)
{
    const char *comma = strchr(text, ',');
    if (!comma || strchr(comma + 1, ','))
        return sr_fail(error, SR_ERROR_USAGE, "--split time:%s: expected two time stamps, as in time:1400000000,1405000000",
                       text);
    rule->time_texts[0] = text;
    rule->time_texts[1] = comma + 1;
    if (*given->pattern) {
        time_format dates = *given;
        dates.has_decimals = dates.rounds = true;
        return read_times(rule, &dates, error);
    }
    const time_kind kinds[2] = {time_kind_of(given, time_field(rule, 0)), time_kind_of(given, time_field(rule, 1))};
    if (kinds[0] != TIME_IS_NEITHER && kinds[1] != TIME_IS_NEITHER && kinds[0] != kinds[1])
        return sr_fail(error, SR_ERROR_USAGE, "--split time:%s: one is a number and one a date; expected two of a kind", text);
    return read_times(
        rule, &(time_format){.unit = kinds[0] == TIME_IS_DATE ? TIME_ISO : TIME_NUMBER, .has_decimals = true, .rounds = true},
        error);
}

sr_status split_set_times(split_rule *rule, const time_format *format, sr_error *error)
{
    return rule->kind == SPLIT_TIME ? read_times(rule, format, error) : SR_OK;
}

sr_status split_parse(const char *text, const time_format *format, split_rule *rule, sr_error *error)
{
    *rule = (split_rule){.kind = SPLIT_LEAVE_ONE_OUT};
    if (strcmp(text, "leave-one-out") == 0)
        return SR_OK;
    if (strncmp(text, "ratio:", 6) == 0) {
        rule->kind = SPLIT_RATIO;
        return parse_ratio(text + 6, rule, error);
    }
    if (strncmp(text, "time:", 5) == 0) {
        rule->kind = SPLIT_TIME;
        return parse_times(text + 5, format, rule, error);
    }
    return sr_fail(error, SR_ERROR_USAGE, "--split %s: allowed are leave-one-out, ratio:A,B,C and time:T1,T2", text);
}

/* The number of time stamps before `limit` in an ascending list. */
static size_t count_before(const int64_t *times, size_t length, int64_t limit)
{
    size_t count = 0;
    while (count < length && times[count] < limit)
        ++count;
    return count;
}

void split_sequence(const split_rule *rule, const int64_t *times, size_t length, int32_t *train_end, int32_t *valid_end)
{
    size_t train = length, valid = length;
    switch (rule->kind) {
    case SPLIT_LEAVE_ONE_OUT:
        train = length >= 3 ? length - 2 : length;
        valid = length >= 3 ? length - 1 : length;
        break;
    case SPLIT_RATIO:
        train = (size_t)((double)length * rule->ratio[0] + 1e-9);
        train = train ? train : 1;
        valid = (size_t)((double)length * (rule->ratio[0] + rule->ratio[1]) + 1e-9);
        train = train < length ? train : length; /* the ratios sum to 1 only within rounding */
        valid = valid < train ? train : valid;
        valid = valid < length ? valid : length;
        break;
    case SPLIT_TIME:
        train = count_before(times, length, rule->times[0]);
        valid = count_before(times, length, rule->times[1]);
        break;
    }
    *train_end = (int32_t)train;
    *valid_end = (int32_t)valid;
}

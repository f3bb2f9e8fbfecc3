#include "split.h"

#include "base/units.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static sr_status parse_ratio(const char *name, const char *text, split_rule *rule, sr_error *error)
{
    size_t at = 0;
    double sum = 0;
    for (size_t i = 0; i < 3; ++i) {
        char number[32];
        const size_t length = strcspn(text + at, ",");
        snprintf(number, sizeof number, "%.*s", (int)length, text + at);
        const bool is_last = text[at + length] == '\0';
        if (length >= sizeof number || !sr_read_number(number, &rule->ratio[i]) || rule->ratio[i] < 0 || is_last != (i == 2))
            return sr_fail(error, SR_ERROR_USAGE, "--split %s%s: expected three numbers, as in %s0.8,0.1,0.1", name, text,
                           name);
        sum += rule->ratio[i];
        at += length + 1;
    }
    if (fabs(sum - 1) > 1e-6 || rule->ratio[0] <= 0)
        return sr_fail(error, SR_ERROR_USAGE, "--split %s%s: the parts sum to %g; they must sum to 1, the first above 0", name,
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
    return rule->kind == SPLIT_TIME || rule->kind == SPLIT_SESSIONS_TIME ? read_times(rule, format, error) : SR_OK;
}

bool split_needs_times(const split_rule *rule)
{
    return rule->kind == SPLIT_TIME || rule->kind == SPLIT_TIME_QUANTILE || rule->kind == SPLIT_SESSIONS_TIME;
}

static size_t count_commas(const char *text)
{
    size_t count = 0;
    for (; *text; ++text)
        count += *text == ',';
    return count;
}

sr_status split_parse(const char *text, const time_format *format, split_rule *rule, sr_error *error)
{
    static const struct {
        const char *name;
        split_kind by_shares, by_times; /* SPLIT_GIVEN: none */
    } kinds[] = {{"ratio:", SPLIT_RATIO, SPLIT_GIVEN},
                 {"time:", SPLIT_GIVEN, SPLIT_TIME},
                 {"time-quantile:", SPLIT_TIME_QUANTILE, SPLIT_GIVEN},
                 {"sessions:", SPLIT_SESSIONS, SPLIT_SESSIONS_TIME}};
    *rule = (split_rule){.kind = SPLIT_LEAVE_ONE_OUT, .no_validation = strcmp(text, "leave-one-out:test") == 0};
    if (rule->no_validation || strcmp(text, "leave-one-out") == 0)
        return SR_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
        const size_t length = strlen(kinds[i].name);
        if (strncmp(text, kinds[i].name, length) != 0)
            continue;
        const bool by_times = kinds[i].by_shares == SPLIT_GIVEN || (kinds[i].by_times != SPLIT_GIVEN && count_commas(text) < 2);
        rule->kind = by_times ? kinds[i].by_times : kinds[i].by_shares;
        return by_times ? parse_times(text + length, format, rule, error)
                        : parse_ratio(kinds[i].name, text + length, rule, error);
    }
    return sr_fail(error, SR_ERROR_USAGE,
                   "--split %s: allowed are leave-one-out, leave-one-out:test, ratio:A,B,C, time:T1,T2, time-quantile:A,B,C, "
                   "sessions:A,B,C and sessions:T1,T2",
                   text);
}

/* The number of time stamps before `limit` in an ascending list. */
static size_t count_before(const int64_t *times, size_t length, int64_t limit)
{
    size_t count = 0;
    while (count < length && times[count] < limit)
        ++count;
    return count;
}

static void split_by_ratio(const split_rule *rule, size_t length, size_t *train, size_t *valid)
{
    *train = (size_t)((double)length * rule->ratio[0] + 1e-9);
    *train = *train ? *train : 1;
    *valid = (size_t)((double)length * (rule->ratio[0] + rule->ratio[1]) + 1e-9);
    *train = *train < length ? *train : length; /* the ratios sum to 1 only within rounding */
    *valid = *valid < *train ? *train : *valid;
    *valid = *valid < length ? *valid : length;
}

void split_length(const split_rule *rule, size_t length, uint32_t *train_end, uint32_t *valid_end)
{
    size_t train = length, valid = length;
    if (rule->kind == SPLIT_RATIO) {
        split_by_ratio(rule, length, &train, &valid);
    } else if (rule->kind == SPLIT_LEAVE_ONE_OUT && length >= 3) {
        train = length - (rule->no_validation ? 1 : 2);
        valid = length - 1;
    }
    *train_end = (uint32_t)train;
    *valid_end = (uint32_t)valid;
}

void split_sequence(const split_rule *rule, const int64_t *times, size_t length, uint32_t *train_end, uint32_t *valid_end)
{
    split_length(rule, length, train_end, valid_end);
    if (rule->kind != SPLIT_TIME)
        return;
    *train_end = (uint32_t)count_before(times, length, rule->times[0]);
    *valid_end = (uint32_t)count_before(times, length, rule->times[1]);
}

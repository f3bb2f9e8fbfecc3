#include "split.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static sr_status parse_ratio(const char *text, split_rule *rule, sr_error *error)
{
    const char *at = text;
    double sum = 0;
    for (size_t i = 0; i < 3; ++i) {
        char *end;
        rule->ratio[i] = strtod(at, &end);
        sum += rule->ratio[i];
        if (end == at || *end != (i < 2 ? ',' : '\0') || !(rule->ratio[i] >= 0))
            return sr_fail(error, SR_ERROR_USAGE, "--split ratio:%s: expected three numbers, as in ratio:0.8,0.1,0.1", text);
        at = end + 1;
    }
    if (fabs(sum - 1) > 1e-6 || rule->ratio[0] <= 0)
        return sr_fail(error, SR_ERROR_USAGE, "--split ratio:%s: the parts sum to %g; they must sum to 1, the first above 0",
                       text, sum);
    return SR_OK;
}

static sr_status parse_times(const char *text, split_rule *rule, sr_error *error)
{
    char *end;
    rule->times[0] = strtoll(text, &end, 10);
    const bool first = end != text && *end == ',';
    const char *second = first ? end + 1 : text;
    rule->times[1] = strtoll(second, &end, 10);
    if (!first || end == second || *end != '\0' || rule->times[0] > rule->times[1])
        return sr_fail(error, SR_ERROR_USAGE,
                       "--split time:%s: expected two ascending time stamps, as in time:1400000000,1405000000", text);
    return SR_OK;
}

sr_status split_parse(const char *text, split_rule *rule, sr_error *error)
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
        return parse_times(text + 5, rule, error);
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

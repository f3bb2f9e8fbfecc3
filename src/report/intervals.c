#include "report/intervals.h"

#include "evaluate/case_table.h"
#include "evaluate/paired_tests.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double test_value(const recorded_test *test, const char *metric)
{
    for (size_t i = 0; i < test->count; ++i)
        if (strcmp(test->metrics[i].name, metric) == 0)
            return test->metrics[i].value;
    return NAN;
}

/* ---- cases ---- */

/* What a case adds to a metric; false for metrics that do not follow from the ranks of targets among all items. */
static bool value_of_rank(const char *metric, uint32_t rank, double *value)
{
    char name[8];
    unsigned k;
    int end = 0;
    if (sscanf(metric, "%7[a-z]@%u%n", name, &k, &end) != 2 || metric[end])
        return false;
    const bool hit = rank > 0 && rank <= k;
    if (strcmp(name, "hr") == 0)
        *value = hit;
    else if (strcmp(name, "ndcg") == 0)
        *value = hit ? 1 / log2(rank + 1.0) : 0;
    else if (strcmp(name, "mrr") == 0)
        *value = hit ? 1.0 / rank : 0;
    else
        return false;
    return true;
}

/* Sums over the cases of each user, for the metrics that follow from ranks. */
typedef struct {
    size_t metrics, places[RECORDED_TEST_METRICS]; /* in the test */
    double *sums, *counts;                         /* [users, metrics], [users] */
} case_sums;

static sr_status sum_cases(case_sums *s, const case_table *table, size_t users, const recorded_test *test, sr_error *error)
{
    double value;
    for (size_t i = 0; i < test->count; ++i)
        if (value_of_rank(test->metrics[i].name, 1, &value))
            s->places[s->metrics++] = i;
    SR_TRY(SR_ALLOCATE_ZERO(&s->sums, users * s->metrics, "sums of cases", error));
    SR_TRY(SR_ALLOCATE_ZERO(&s->counts, users, "counts of cases", error));
    for (size_t i = 0; i < table->count; ++i) {
        const case_row *row = &table->rows[i];
        s->counts[row->user] += 1;
        for (size_t m = 0; m < s->metrics; ++m)
            if (value_of_rank(test->metrics[s->places[m]].name, row->rank, &value))
                s->sums[row->user * s->metrics + m] += value;
    }
    return SR_OK;
}

/* Whether these are the cases of the test: then its metrics are their means. */
static bool are_of_test(recorded_run *run, const char *file, const case_sums *s, size_t users, size_t cases)
{
    for (size_t m = 0; m < s->metrics; ++m) {
        const test_metric *metric = &run->test.metrics[s->places[m]];
        double mean = 0;
        for (size_t user = 0; user < users; ++user)
            mean += s->sums[user * s->metrics + m] / (double)cases;
        if (!(fabs(mean - metric->value) < 1e-7)) {
            recorded_note(run, file, 0,
                          "these are not the cases of the run's test (%s is %.6f there, and %.6f here): no intervals",
                          metric->name, metric->value, mean);
            return false;
        }
    }
    return s->metrics > 0;
}

static sr_status bootstrap(recorded_run *run, const char *file, const case_table *table, size_t users,
                           test_intervals *intervals, sr_error *error)
{
    const paired_draws draws = {.seed = 0, .resamples = INTERVAL_RESAMPLES, .confidence = 0.95};
    case_sums s = {.metrics = 0};
    double low[RECORDED_TEST_METRICS], high[RECORDED_TEST_METRICS];
    sr_status status = sum_cases(&s, table, users, &run->test, error);
    if (status == SR_OK && are_of_test(run, file, &s, users, table->count)) {
        const paired_sample sample = {.units = users, .metrics = s.metrics, .sums = s.sums, .counts = s.counts};
        status = paired_bootstrap(&sample, &draws, low, high, error);
        for (size_t m = 0; m < s.metrics && status == SR_OK; ++m) {
            intervals->low[s.places[m]] = low[m];
            intervals->high[s.places[m]] = high[m];
            intervals->any = true;
        }
    }
    free(s.sums);
    free(s.counts);
    return status;
}

/* A file that cannot be read is noted; its message names it. */
static sr_status read_cases(recorded_run *run, const char *file, test_intervals *intervals, sr_error *error)
{
    char path[SR_PATH_SIZE + 64];
    name_table users = {.bytes = NULL}, items = {.bytes = NULL};
    case_table table = {.path = NULL};
    sr_error reason = {.message = ""};
    snprintf(path, sizeof path, "%s/%s", run->directory, file);
    sr_status status = names_create(&users, error);
    if (status == SR_OK)
        status = names_create(&items, error);
    if (status == SR_OK) {
        const sr_status read = case_table_read(&table, path, &users, &items, &reason);
        if (read == SR_OK && !table.is_lists && table.count > 0)
            status = bootstrap(run, file, &table, users.count, intervals, error);
        else
            recorded_note(run, file, 0, "%s", read == SR_OK ? "holds no test cases" : reason.message);
    }
    case_table_free(&table);
    names_free(&users);
    names_free(&items);
    return status;
}

sr_status intervals_of_cases(recorded_run *run, test_intervals *intervals, sr_error *error)
{
    static const char *const files[] = {"cases.h5", "cases.tsv"};
    intervals->any = false;
    for (size_t i = 0; i < RECORDED_TEST_METRICS; ++i)
        intervals->low[i] = intervals->high[i] = NAN;
    for (size_t i = 0; i < sizeof files / sizeof *files && run->test.cases > 0; ++i) {
        char path[SR_PATH_SIZE + 64];
        snprintf(path, sizeof path, "%s/%s", run->directory, files[i]);
        if (access(path, F_OK) == 0)
            return read_cases(run, files[i], intervals, error);
    }
    return SR_OK;
}

/* ---- seeds ---- */

/* What two runs of a group may differ in. */
static void count_difference(void *context, const char *path, const char *left, const char *right)
{
    static const char *const others[] = {"training.seed",
                                         "training.threads",
                                         "training.reduction",
                                         "training.compare_ranks_every_steps",
                                         "training.kept_logits_megabytes",
                                         "training.skip_nonfinite_steps"};
    (void)left;
    (void)right;
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
        if (strcmp(path, others[i]) == 0)
            return;
    if (strncmp(path, "checkpoint", 10) != 0 && strncmp(path, "logging", 7) != 0)
        ++*(size_t *)context;
}

static bool differ_by_seed(const recorded_run *left, const recorded_run *right)
{
    size_t differences = 0;
    if (!left->has_settings || !right->has_settings || left->test.cases <= 0 || right->test.cases <= 0 ||
        left->settings.training.seed == right->settings.training.seed)
        return false;
    sr_settings_compare(&left->settings, &right->settings, count_difference, &differences);
    return differences == 0;
}

size_t intervals_group_seeds(const recorded_run *runs, size_t count, seed_group *groups, size_t most)
{
    size_t found = 0;
    for (size_t run = 0; run < count; ++run) {
        bool taken = false;
        for (size_t i = 0; i < found && !taken; ++i) {
            seed_group *group = &groups[i];
            bool fits = group->count < sizeof group->runs / sizeof *group->runs;
            for (size_t k = 0; k < group->count && fits; ++k)
                fits = differ_by_seed(&runs[group->runs[k]], &runs[run]);
            if (fits)
                group->runs[group->count++] = run;
            taken = fits;
        }
        if (!taken && found < most)
            groups[found++] = (seed_group){.runs = {run}, .count = 1};
    }
    size_t kept = 0;
    for (size_t i = 0; i < found; ++i)
        if (groups[i].count > 1)
            groups[kept++] = groups[i];
    return kept;
}

/* The 0.975 quantile of Student's t distribution. */
static double t_quantile(size_t degrees)
{
    static const double quantiles[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                       2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                       2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
    const size_t count = sizeof quantiles / sizeof *quantiles;
    return degrees <= count ? quantiles[degrees - 1] : 1.960 + 2.45 / (double)degrees;
}

void intervals_of_seeds(const recorded_run *runs, const seed_group *group, const char *metric, double *mean, double *half)
{
    const double count = (double)group->count;
    double squares = 0;
    *mean = 0;
    for (size_t i = 0; i < group->count; ++i)
        *mean += test_value(&runs[group->runs[i]].test, metric) / count;
    for (size_t i = 0; i < group->count; ++i)
        squares += pow(test_value(&runs[group->runs[i]].test, metric) - *mean, 2);
    *half = t_quantile(group->count - 1) * sqrt(squares / (count - 1) / count);
}

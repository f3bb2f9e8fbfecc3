/* srtrain compare CASES-A CASES-B [--by popularity|length|repeat] [--groups N] [--top-k K,K,...] [--resamples N] [--seed S]
 *                 [--confidence SHARE] [--json FILE]
 *
 * Two systems, case by case. The files are those of `srtrain evaluate --cases`, or lists of recommended items of any program.
 */
#include "commands/command.h"

#include "evaluate/comparison.h"
#include "srtrain/output_file.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

typedef struct {
    comparison_request request;
    const char *json;
} compare_options;

/* ---- options ---- */

static sr_status read_cut_offs(comparison_request *request, const char *text, sr_error *error)
{
    const char *at = text;
    for (;;) {
        char *end;
        const unsigned long k = strtoul(at, &end, 10);
        const size_t count = request->top_k_count;
        if (end == at || *at == '-' || k < 1 || k > 100000 || (*end && *end != ',') || count == COMPARISON_CUT_OFFS ||
            (count > 0 && k <= request->top_k[count - 1]))
            return sr_fail(
                error, SR_ERROR_USAGE,
                "srtrain compare: --top-k %s: expected up to %d whole numbers from 1 to 100000, ascending, separated "
                "by commas",
                text, COMPARISON_CUT_OFFS);
        request->top_k[request->top_k_count++] = k;
        if (!*end)
            return SR_OK;
        at = end + 1;
    }
}

static sr_status read_options(const command_context *context, compare_options *o, sr_error *error)
{
    static const char *const groups[] = {[COMPARE_ALL] = "all",
                                         [COMPARE_BY_POPULARITY] = "popularity",
                                         [COMPARE_BY_LENGTH] = "length",
                                         [COMPARE_BY_REPEAT] = "repeat",
                                         NULL};
    const char *operands[2] = {NULL, NULL}, *cut_offs = "5,10";
    int by;
    uint64_t group_count, resamples;
    const sr_option options[] = {
        {.name = "by",
         .choice = &by,
         .choices = groups,
         .standard = "all",
         .help =
             "also compares groups of cases: by the target's popularity, the history's length, or new and repeated targets"},
        {.name = "groups",
         .count = &group_count,
         .least = 2,
         .most = COMPARISON_GROUPS - 1,
         .standard = "4",
         .argument = "N",
         .help = "so many groups of equally many cases, by popularity and length"},
        {.name = "top-k", .value = &cut_offs, .argument = "K,K,...", .help = "cut-offs of the metrics; 5,10 by default"},
        {.name = "resamples",
         .count = &resamples,
         .least = 100,
         .most = 10000000,
         .standard = "10000",
         .argument = "N",
         .help = "draws of the bootstrap and of the randomisation test"},
        {.name = "seed", .count = &o->request.draws.seed, .standard = "0", .argument = "S", .help = "of these draws"},
        {.name = "confidence",
         .number = &o->request.draws.confidence,
         .lowest = 0.5,
         .highest = 0.9999,
         .standard = "0.95",
         .argument = "SHARE",
         .help = "of the intervals"},
        {.name = "json", .file = &o->json, .help = "also writes the comparison as JSON"}};
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, "CASES-A CASES-B", operands, options,
                                sizeof options / sizeof *options, error));
    o->request.left = operands[0];
    o->request.right = operands[1];
    o->request.by = (comparison_groups)by;
    o->request.group_count = (size_t)group_count;
    o->request.draws.resamples = (size_t)resamples;
    return read_cut_offs(&o->request, cut_offs, error);
}

/* ---- output ---- */

static void print_group(const comparison *result, const compared_group *group)
{
    printf("\n%s: %zu cases of %zu users\n%-10s %8s %8s  %9s  %-20s %-9s %-9s %-9s %s\n", group->name, group->cases,
           group->users, "metric", "A", "B", "B - A", "interval", "Wilcoxon", "by Holm", "random", "by Holm");
    for (size_t metric = 0; metric < result->metrics; ++metric) {
        const compared_metric *m = &group->metrics[metric];
        printf("%-10s %8.4f %8.4f  %+9.4f  %+.4f to %+.4f   %-9.3g %-9.3g %-9.3g %.3g\n", m->name, m->left, m->right,
               m->difference, m->low, m->high, m->wilcoxon_p, m->wilcoxon_holm, m->randomisation_p, m->randomisation_holm);
    }
}

static void print_comparison(const comparison *result, const comparison_request *request)
{
    printf("A: %s\nB: %s\n", request->left, request->right);
    if (result->only_left || result->only_right)
        printf("left out: %zu cases that only A has, %zu that only B has\n", result->only_left, result->only_right);
    if (result->without_list)
        printf("without a list: %zu cases, which count as misses\n", result->without_list);
    printf(
        "intervals hold %g %% of %zu resamples of users; p-values are two-sided, and Holm's hold for all metrics of a group\n",
        100 * request->draws.confidence, request->draws.resamples);
    for (size_t group = 0; group < result->groups; ++group)
        print_group(result, &result->group[group]);
}

static bool add_number(cJSON *object, const char *name, double value)
{
    return cJSON_AddNumberToObject(object, name, value) != NULL;
}

static bool add_metric(cJSON *metrics, const compared_metric *m)
{
    cJSON *object = cJSON_AddObjectToObject(metrics, m->name);
    return add_number(object, "a", m->left) && add_number(object, "b", m->right) &&
           add_number(object, "difference", m->difference) && add_number(object, "low", m->low) &&
           add_number(object, "high", m->high) && add_number(object, "users_better", (double)m->better) &&
           add_number(object, "users_worse", (double)m->worse) && add_number(object, "users_equal", (double)m->equal) &&
           add_number(object, "wilcoxon_statistic", m->wilcoxon_statistic) && add_number(object, "wilcoxon_p", m->wilcoxon_p) &&
           add_number(object, "wilcoxon_p_holm", m->wilcoxon_holm) &&
           add_number(object, "randomisation_p", m->randomisation_p) &&
           add_number(object, "randomisation_p_holm", m->randomisation_holm);
}

static bool fill_json(cJSON *root, const comparison *result, const comparison_request *request)
{
    bool complete = cJSON_AddStringToObject(root, "a", request->left) && cJSON_AddStringToObject(root, "b", request->right) &&
                    add_number(root, "only_a", (double)result->only_left) &&
                    add_number(root, "only_b", (double)result->only_right) &&
                    add_number(root, "without_list", (double)result->without_list) &&
                    add_number(root, "resamples", (double)request->draws.resamples) &&
                    add_number(root, "seed", (double)request->draws.seed) &&
                    add_number(root, "confidence", request->draws.confidence);
    cJSON *groups = cJSON_AddArrayToObject(root, "groups");
    for (size_t i = 0; i < result->groups && complete; ++i) {
        const compared_group *group = &result->group[i];
        cJSON *object = cJSON_CreateObject();
        complete = cJSON_AddItemToArray(groups, object) && cJSON_AddStringToObject(object, "group", group->name) &&
                   add_number(object, "cases", (double)group->cases) && add_number(object, "users", (double)group->users);
        cJSON *metrics = cJSON_AddObjectToObject(object, "metrics");
        for (size_t metric = 0; metric < result->metrics && complete; ++metric)
            complete = add_metric(metrics, &group->metrics[metric]);
    }
    return complete;
}

static sr_status write_json(const char *path, const comparison *result, const comparison_request *request, sr_error *error)
{
    cJSON *root = cJSON_CreateObject();
    char *text = root && fill_json(root, result, request) ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return sr_fail_memory(error, 1, "the JSON of a comparison");
    const sr_status status = sr_output_file_write(path, text, error);
    cJSON_free(text);
    return status;
}

sr_status command_compare(command_context *context, sr_error *error)
{
    compare_options options = {.json = NULL};
    comparison *result;
    SR_TRY(read_options(context, &options, error));
    result = calloc(1, sizeof *result);
    if (!result)
        return sr_fail_memory(error, sizeof *result, "a comparison");
    sr_status status = compare_cases(result, &options.request, error);
    if (status == SR_OK) {
        print_comparison(result, &options.request);
        if (options.json)
            status = write_json(options.json, result, &options.request, error);
    }
    free(result);
    return status;
}

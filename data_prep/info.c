/* srprep info: what a data set holds; verifies its checksums. */
#include "commands.h"
#include "srtrain/command_line.h"
#include "srtrain/dataset.h"
#include "srtrain/memory.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUANTILES = 7, BAR = 50 };
static const double quantile_points[QUANTILES] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

typedef struct {
    size_t lengths[QUANTILES];
    size_t histogram[64]; /* lengths in [2^k, 2^(k + 1)) */
    size_t valid_cases, test_cases;
} length_report;

static int compare_sizes(const void *left, const void *right)
{
    const size_t a = *(const size_t *)left, b = *(const size_t *)right;
    return (a > b) - (a < b);
}

static sr_status measure(const sr_dataset *dataset, length_report *report, sr_error *error)
{
    const size_t users = sr_dataset_users(dataset);
    size_t *lengths;
    SR_TRY(SR_ALLOCATE(&lengths, users, "lengths", error));
    for (size_t user = 0; user < users; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        lengths[user] = sequence.length;
        unsigned bucket = 0;
        while (sequence.length >> (bucket + 1))
            ++bucket;
        ++report->histogram[bucket];
        report->valid_cases += sequence.valid_end - sequence.train_end;
        report->test_cases += sequence.length - sequence.valid_end;
    }
    qsort(lengths, users, sizeof *lengths, compare_sizes);
    for (size_t i = 0; i < QUANTILES; ++i)
        report->lengths[i] = lengths[(size_t)(quantile_points[i] * (double)(users - 1) + 0.5)];
    free(lengths);
    return SR_OK;
}

static void print_text(const sr_dataset *dataset, const length_report *report)
{
    const double users = (double)sr_dataset_users(dataset);
    printf("data set      %s, fingerprint %s, checksums verified\n", sr_dataset_directory(dataset),
           sr_dataset_fingerprint(dataset));
    printf("users         %zu\nitems         %zu\ninteractions  %zu\nshards        %zu\n", sr_dataset_users(dataset),
           sr_dataset_items(dataset), sr_dataset_interactions(dataset), sr_dataset_shards(dataset));
    printf("time stamps   %s\nsplit         %s: %zu validation and %zu test cases\n",
           sr_dataset_has_times(dataset) ? "yes" : "no", sr_dataset_split(dataset), report->valid_cases, report->test_cases);
    printf("length        mean %.2f; quantiles", (double)sr_dataset_interactions(dataset) / users);
    for (size_t i = 0; i < QUANTILES; ++i)
        printf(" %g%%: %zu%s", 100 * quantile_points[i], report->lengths[i], i + 1 < QUANTILES ? "," : "\n");
    size_t most = 1;
    for (size_t k = 0; k < 64; ++k)
        most = report->histogram[k] > most ? report->histogram[k] : most;
    for (size_t k = 0; k < 64; ++k) {
        if (report->histogram[k] == 0)
            continue;
        printf("%8llu-%-8llu %8zu ", 1ULL << k, (2ULL << k) - 1, report->histogram[k]);
        for (size_t i = 0; i < (report->histogram[k] * BAR + most - 1) / most; ++i)
            putchar('#');
        putchar('\n');
    }
}

static sr_status print_json(const sr_dataset *dataset, const length_report *report, sr_error *error)
{
    cJSON *root = cJSON_CreateObject();
    bool complete = cJSON_AddStringToObject(root, "directory", sr_dataset_directory(dataset)) &&
                    cJSON_AddStringToObject(root, "fingerprint", sr_dataset_fingerprint(dataset)) &&
                    cJSON_AddNumberToObject(root, "users", (double)sr_dataset_users(dataset)) &&
                    cJSON_AddNumberToObject(root, "items", (double)sr_dataset_items(dataset)) &&
                    cJSON_AddNumberToObject(root, "interactions", (double)sr_dataset_interactions(dataset)) &&
                    cJSON_AddNumberToObject(root, "shards", (double)sr_dataset_shards(dataset)) &&
                    cJSON_AddBoolToObject(root, "has_times", sr_dataset_has_times(dataset)) &&
                    cJSON_AddStringToObject(root, "split", sr_dataset_split(dataset)) &&
                    cJSON_AddNumberToObject(root, "valid_cases", (double)report->valid_cases) &&
                    cJSON_AddNumberToObject(root, "test_cases", (double)report->test_cases);
    cJSON *quantiles = complete ? cJSON_AddObjectToObject(root, "length_quantiles") : NULL;
    for (size_t i = 0; i < QUANTILES && complete; ++i) {
        char name[16];
        snprintf(name, sizeof name, "%g", quantile_points[i]);
        complete = cJSON_AddNumberToObject(quantiles, name, (double)report->lengths[i]);
    }
    char *text = complete ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return sr_fail_memory(error, 1, "JSON");
    puts(text);
    cJSON_free(text);
    return SR_OK;
}

sr_status command_info(int argument_count, char **arguments, sr_error *error)
{
    bool json = false;
    const char *directory = NULL;
    const sr_option options[] = {{.name = "json", .flag = &json}};
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, "DIR", &directory, options, 1, error));
    sr_dataset *dataset;
    length_report report = {.valid_cases = 0};
    SR_TRY(sr_dataset_open(&dataset, directory, error));
    sr_status status = sr_dataset_verify(dataset, 0, 1, error);
    if (status == SR_OK)
        status = measure(dataset, &report, error);
    if (status == SR_OK && json)
        status = print_json(dataset, &report, error);
    else if (status == SR_OK)
        print_text(dataset, &report);
    sr_dataset_close(dataset);
    return status;
}

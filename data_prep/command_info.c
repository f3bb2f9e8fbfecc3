/* srprep info: what a data set holds; verifies its checksums. */
#include "commands.h"
#include "measure.h"
#include "srtrain/command_line.h"

#include <stdio.h>

static void print_text(const sr_dataset *dataset, const measures *found)
{
    printf("data set      %s, fingerprint %s, checksums verified\n", sr_dataset_directory(dataset),
           sr_dataset_fingerprint(dataset));
    printf("shards        %zu\n", sr_dataset_shards(dataset));
    measures_print(dataset, found);
}

static sr_status print_json(const sr_dataset *dataset, const measures *found, sr_error *error)
{
    cJSON *root = cJSON_CreateObject();
    char *text = root && measures_add_json(dataset, found, root) ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return sr_fail_memory(error, 1, "JSON");
    puts(text);
    cJSON_free(text);
    return SR_OK;
}

sr_status command_info(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    bool json = false;
    const char *directory = NULL;
    const sr_option options[] = {{.name = "json", .flag = &json, .help = "writes a JSON object instead of a table"}};
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, "DIR", &directory, options, 1, error));
    if (sr_parallel_rank(parallel) != 0)
        return SR_OK;
    sr_dataset *dataset;
    measures found;
    SR_TRY(sr_dataset_open(&dataset, directory, error));
    sr_status status = sr_dataset_verify(dataset, 0, 1, error);
    if (status == SR_OK)
        status = measure(dataset, &found, error);
    if (status == SR_OK && json)
        status = print_json(dataset, &found, error);
    else if (status == SR_OK)
        print_text(dataset, &found);
    sr_dataset_close(dataset);
    return status;
}

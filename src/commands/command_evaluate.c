/* srtrain evaluate CHECKPOINT [--data DIR] [--split valid|test] [--json FILE] [--set evaluation.key=value ...]
 * [--stall-timeout DURATION|0] */
#include "commands/command.h"
#include "srtrain/evaluate.h"
#include "srtrain/output_file.h"
#include "srtrain/run.h"
#include "run/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    sr_split split;
    sr_ranking_metrics model, popularity;
} evaluation;

/* A dash where there is no such number: the standard error of a single case. */
static void print_number(double value)
{
    if (isnan(value))
        printf("%-6s", "-");
    else
        printf("%.4f", value);
}

static void print_metric(double mean, double error, const char *after)
{
    print_number(mean);
    printf(" +- ");
    print_number(error);
    printf("%s", after);
}

static void print_table(const evaluation *result, const sr_settings *settings)
{
    const sr_ranking_metrics *model = &result->model, *popularity = &result->popularity;
    printf("split %s, history %s, %lld cases, full catalogue; mean and standard error\n", sr_split_name(result->split),
           sr_settings_choice("evaluation.history", (int)settings->evaluation.history), (long long)model->cases);
    printf("%-10s %-20s %s\n", "metric", "model", "popularity");
    const struct {
        const char *name;
        const double *model, *model_error, *popularity, *popularity_error;
    } rows[] = {{"hr", model->hr, model->hr_error, popularity->hr, popularity->hr_error},
                {"ndcg", model->ndcg, model->ndcg_error, popularity->ndcg, popularity->ndcg_error},
                {"mrr", model->mrr, model->mrr_error, popularity->mrr, popularity->mrr_error}};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; ++row)
        for (size_t k = 0; k < model->top_k_count; ++k) {
            char name[32];
            snprintf(name, sizeof name, "%s@%lld", rows[row].name, (long long)model->top_k[k]);
            printf("%-10s ", name);
            print_metric(rows[row].model[k], rows[row].model_error[k], "     ");
            print_metric(rows[row].popularity[k], rows[row].popularity_error[k], "\n");
        }
    printf("%.0f cases/s\n", model->seconds > 0 ? (double)model->cases / model->seconds : 0);
}

static cJSON *make_json(const evaluation *result, const sr_settings *settings, const char *checkpoint)
{
    cJSON *root = cJSON_CreateObject();
    const bool complete = cJSON_AddStringToObject(root, "checkpoint", checkpoint) &&
                          cJSON_AddStringToObject(root, "split", sr_split_name(result->split)) &&
                          cJSON_AddStringToObject(
                              root, "history", sr_settings_choice("evaluation.history", (int)settings->evaluation.history)) &&
                          sr_ranking_metrics_to_json(cJSON_AddObjectToObject(root, "model"), &result->model) &&
                          sr_ranking_metrics_to_json(cJSON_AddObjectToObject(root, "popularity"), &result->popularity);
    if (complete)
        return root;
    cJSON_Delete(root);
    return NULL;
}

/* Whether the file took it is asked when it is closed. */
static sr_status write_json(FILE *file, const evaluation *result, const sr_settings *settings, const char *checkpoint,
                            sr_error *error)
{
    cJSON *root = make_json(result, settings, checkpoint);
    char *text = root ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return sr_fail_memory(error, 1, "the JSON of an evaluation");
    fprintf(file, "%s\n", text);
    cJSON_free(text);
    return SR_OK;
}

/* Evaluates both and says what came of it; `json` is open on rank 0 if it is wanted. */
static sr_status evaluate(command_context *context, checkpointed_model *loaded, const char *checkpoint, evaluation *result,
                          FILE *json, sr_error *error)
{
    const sr_kernels *kernels = context->cpu.kernels;
    const sr_evaluation_settings *settings = &loaded->settings.evaluation;
    SR_TRY(sr_evaluate_model(
        context->parallel, loaded->model,
        &(sr_evaluation){.dataset = loaded->dataset, .settings = settings, .split = result->split, .kernels = kernels},
        &result->model, error));
    if (result->model.cases == 0)
        return sr_fail_without_cases(loaded->dataset, result->split, error);
    SR_TRY(sr_evaluate_popularity(
        context->parallel,
        &(sr_evaluation){.dataset = loaded->dataset, .settings = settings, .split = result->split, .kernels = kernels},
        &result->popularity, error));
    if (sr_parallel_rank(context->parallel) != 0)
        return SR_OK;
    print_table(result, &loaded->settings);
    return json ? write_json(json, result, &loaded->settings, checkpoint, error) : SR_OK;
}

sr_status command_evaluate(command_context *context, sr_error *error)
{
    const char *data = NULL, *json = NULL;
    int split;
    double stall_seconds;
    static const char *const keys[] = {"evaluation.top_k", "evaluation.history", "evaluation.batch_size", NULL};
    evaluation_keys set = {.keys = keys};
    const sr_option options[] = {
        {.name = "data", .directory = &data, .help = "the data set, if it is not where training found it"},
        held_out_option(&split, "which held-out interactions"),
        {.name = "json", .file = &json, .help = "also writes the metrics as JSON"},
        {.name = "set",
         .list = &set.assignments,
         .assignments = true,
         .argument = "section.key=value",
         .help = "overrides evaluation.top_k, evaluation.history or evaluation.batch_size"},
        stall_timeout_option(&stall_seconds)};
    const char *checkpoint = NULL;
    evaluation result = {.split = SR_SPLIT_TEST};
    checkpointed_model loaded;
    SR_TRY(command_line_read(context, "CHECKPOINT", &checkpoint, options, sizeof options / sizeof *options, true, error));
    result.split = (sr_split)split;
    SR_TRY(command_watch(context, stall_seconds, SR_PHASE_EVALUATION, error));
    /* As many threads as this machine has cores for: it is not the one that trained. They may divide the item table. */
    SR_TRY(sr_use_threads(context->parallel, &(sr_training_settings){.threads = 0}, error));
    SR_TRY(checkpointed_model_load(&loaded, context, checkpoint, data, &set, error));
    /* A file that cannot be written is known before the work. */
    sr_output_file file = {.stream = NULL};
    sr_status status = SR_OK;
    if (json && sr_parallel_rank(context->parallel) == 0)
        status = sr_output_file_open(&file, json, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = evaluate(context, &loaded, checkpoint, &result, file.stream, error);
    status = sr_output_file_close(&file, status, error);
    checkpointed_model_free(&loaded);
    return sr_parallel_agree(context->parallel, status, error);
}

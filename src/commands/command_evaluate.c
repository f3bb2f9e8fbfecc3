/* srtrain evaluate CHECKPOINT [--data DIR] [--split valid|test] [--json FILE] [--cases FILE.tsv|FILE.h5]
 * [--cases-top-k K] [--set evaluation.key=value ...] [--stall-timeout DURATION|0] */
#include "commands/command.h"
#include "srtrain/evaluate.h"
#include "srtrain/output_file.h"
#include "srtrain/run.h"
#include "run/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *checkpoint, *data, *json;
    int split;
    sr_case_request cases; /* without a path: none */
    evaluation_keys set;
    double stall_seconds;
} evaluate_options;

typedef struct {
    sr_split split;
    sr_ranking_metrics model, popularity;
    sr_recent_popularity recent;
} evaluation;

/* A dash where there is no such number: the standard error of a single case. */
static void print_number(double value)
{
    if (isnan(value))
        printf("%-6s", "-");
    else
        printf("%.4f", value);
}

/* Rows of the lists have no standard error. */
static void print_metric(const sr_ranking_row *row, size_t k, const char *after)
{
    print_number(row->values[k]);
    printf(row->errors ? " +- " : "    ");
    if (row->errors)
        print_number(row->errors[k]);
    else
        printf("%-6s", "");
    printf("%s", after);
}

/* What the last column is of, or why it is not there. */
static void print_recent(const sr_recent_popularity *recent)
{
    if (recent->measured)
        printf("popularity of the last %lld days of training: %lld interactions after time stamp %lld\n",
               (long long)recent->days, (long long)recent->interactions, (long long)recent->after);
    else if (recent->days > 0)
        printf("popularity of the last %lld days: not known, the data set has no time stamps\n", (long long)recent->days);
}

static void print_table(const evaluation *result, const sr_settings *settings)
{
    const sr_ranking_metrics *model = &result->model;
    sr_ranking_row rows[SR_RANKING_ROWS], popularity[SR_RANKING_ROWS], recent[SR_RANKING_ROWS];
    const size_t count = sr_ranking_rows(model, rows);
    const int width = count > 3 ? 20 : 10;
    const bool has_recent = result->recent.measured;
    char of_days[32] = "";
    (void)sr_ranking_rows(&result->popularity, popularity);
    if (has_recent) {
        (void)sr_ranking_rows(&result->recent.metrics, recent);
        snprintf(of_days, sizeof of_days, "           of %lld days", (long long)result->recent.days);
    }
    printf("split %s, history %s, %lld cases, full catalogue; mean and standard error\n", sr_split_name(result->split),
           sr_settings_choice("evaluation.history", (int)settings->evaluation.history), (long long)model->cases);
    printf("%-*s %-20s %s%s\n", width, "metric", "model", "popularity", of_days);
    for (size_t row = 0; row < count; ++row)
        for (size_t k = 0; k < model->top_k_count; ++k) {
            char name[64];
            snprintf(name, sizeof name, "%.39s@%lld", rows[row].name, (long long)model->top_k[k]);
            printf("%-*s ", width, name);
            print_metric(&rows[row], k, "     ");
            print_metric(&popularity[row], k, has_recent ? "     " : "\n");
            if (has_recent)
                print_metric(&recent[row], k, "\n");
        }
    print_recent(&result->recent);
    printf("%.0f cases/s\n", model->seconds > 0 ? (double)model->cases / model->seconds : 0);
}

/* null where the data set has no time stamps; nothing where it is not asked for. */
static bool add_recent(cJSON *root, const sr_recent_popularity *recent)
{
    if (recent->days == 0)
        return true;
    if (!recent->measured)
        return cJSON_AddNullToObject(root, "recent_popularity") != NULL;
    cJSON *object = cJSON_AddObjectToObject(root, "recent_popularity");
    return sr_recent_popularity_to_json(object, recent) && sr_ranking_metrics_to_json(object, &recent->metrics);
}

static cJSON *make_json(const evaluation *result, const sr_settings *settings, const char *checkpoint)
{
    cJSON *root = cJSON_CreateObject();
    const bool complete = cJSON_AddStringToObject(root, "checkpoint", checkpoint) &&
                          cJSON_AddStringToObject(root, "split", sr_split_name(result->split)) &&
                          cJSON_AddStringToObject(
                              root, "history", sr_settings_choice("evaluation.history", (int)settings->evaluation.history)) &&
                          sr_ranking_metrics_to_json(cJSON_AddObjectToObject(root, "model"), &result->model) &&
                          sr_ranking_metrics_to_json(cJSON_AddObjectToObject(root, "popularity"), &result->popularity) &&
                          add_recent(root, &result->recent);
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
static sr_status evaluate(command_context *context, checkpointed_model *loaded, const evaluate_options *options,
                          evaluation *result, FILE *json, sr_error *error)
{
    sr_evaluation request = {.dataset = loaded->dataset,
                             .settings = &loaded->settings.evaluation,
                             .split = result->split,
                             .kernels = context->cpu.kernels,
                             .cases = options->cases.path ? &options->cases : NULL};
    SR_TRY(sr_evaluate_model(context->parallel, loaded->model, &request, &result->model, error));
    if (result->model.cases == 0)
        return sr_fail_without_cases(loaded->dataset, result->split, error);
    request.cases = NULL;
    SR_TRY(sr_evaluate_popularity(context->parallel, &request, &result->popularity, error));
    SR_TRY(sr_evaluate_recent_popularity(context->parallel, &request, &result->recent, error));
    if (sr_parallel_rank(context->parallel) != 0)
        return SR_OK;
    print_table(result, &loaded->settings);
    return json ? write_json(json, result, &loaded->settings, options->checkpoint, error) : SR_OK;
}

static sr_status read_options(const command_context *context, evaluate_options *options, sr_error *error)
{
    uint64_t top_k;
    const sr_option known[] = {
        {.name = "data",
         .directory = &options->data,
         .help =
             "the data set, if it is not where training found it; or another one, whose items are known by their identifiers"},
        held_out_option(&options->split, "which held-out interactions"),
        {.name = "json", .file = &options->json, .help = "also writes the metrics as JSON"},
        {.name = "cases",
         .file = &options->cases.path,
         .argument = "FILE.tsv|FILE.h5",
         .help = "also writes user, target, rank, score and the best items of every case; all ranks write it together"},
        {.name = "cases-top-k",
         .count = &top_k,
         .most = 1000,
         .standard = "10",
         .argument = "K",
         .help = "with --cases: so many of the best items of each case"},
        {.name = "set",
         .list = &options->set.assignments,
         .assignments = true,
         .argument = "section.key=value",
         .help = "overrides evaluation.top_k, history, batch_size, candidates, list_metrics, recent_days or day"},
        stall_timeout_option(&options->stall_seconds)};
    SR_TRY(command_line_read(context, "CHECKPOINT", &options->checkpoint, known, sizeof known / sizeof *known, true, error));
    options->cases.top_k = (size_t)top_k;
    return options->cases.path ? sr_case_request_check(&options->cases, error) : SR_OK;
}

sr_status command_evaluate(command_context *context, sr_error *error)
{
    static const char *const keys[] = {
        "evaluation.top_k",        "evaluation.history",     "evaluation.batch_size", "evaluation.candidates",
        "evaluation.list_metrics", "evaluation.recent_days", "evaluation.day",        NULL};
    evaluate_options options = {.set = {.keys = keys, .takes_other_data = true}};
    checkpointed_model loaded;
    SR_TRY(read_options(context, &options, error));
    evaluation result = {.split = (sr_split)options.split};
    SR_TRY(command_watch(context, options.stall_seconds, SR_PHASE_EVALUATION, error));
    /* As many threads as this machine has cores for: it is not the one that trained. They may divide the item table. */
    SR_TRY(sr_use_threads(context->parallel, &(sr_training_settings){.threads = 0}, error));
    SR_TRY(checkpointed_model_load(&loaded, context, options.checkpoint, options.data, &options.set, error));
    /* A file that cannot be written is known before the work. */
    sr_output_file file = {.stream = NULL};
    sr_status status = SR_OK;
    if (options.json && sr_parallel_rank(context->parallel) == 0)
        status = sr_output_file_open(&file, options.json, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = evaluate(context, &loaded, &options, &result, file.stream, error);
    status = sr_output_file_close(&file, status, error);
    checkpointed_model_free(&loaded);
    return sr_parallel_agree(context->parallel, status, error);
}

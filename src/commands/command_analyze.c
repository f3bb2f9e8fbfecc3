/* srtrain analyze CHECKPOINT [--data DIR] [--output DIR] [--user NAME ...] [--split valid|test] [--pictures svg|png|none]
 *                            [--set evaluation.batch_size=N] [--stall-timeout DURATION|0]
 *
 * The papers' analyses of a trained model as numbers (analysis.h5) and pictures; docs/analysis.md. */
#include "commands/analysis_pictures.h"
#include "commands/command.h"
#include "srtrain/model.h"
#include "evaluate/analysis_file.h"
#include "storage/output_directory.h"

#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *checkpoint;
    sr_text_list users;
    sr_split split;
    picture_format pictures;
    char *output; /* directory */
} request;

/* analysis/ in the directory of the run: that of best.h5, or the one above checkpoints/. */
static sr_status default_output(const char *checkpoint, char **output, sr_error *error)
{
    char *copy, *copy_of_directory = NULL;
    SR_TRY(sr_copy_string(&copy, checkpoint, error));
    const char *directory = dirname(copy);
    sr_status status = sr_copy_string(&copy_of_directory, directory, error);
    if (status == SR_OK && strcmp(basename(copy_of_directory), "checkpoints") == 0)
        directory = dirname(copy);
    if (status == SR_OK && asprintf(output, "%s/analysis", directory) < 0) {
        *output = NULL;
        status = sr_fail_memory(error, strlen(checkpoint) + sizeof "/analysis", "a file name");
    }
    free(copy_of_directory);
    free(copy);
    return status;
}

/* ---- users ---- */

/* The indices of the users asked for, on rank 0. */
static sr_status find_users(const sr_dataset *dataset, const sr_text_list *names, size_t *users, sr_error *error)
{
    for (size_t i = 0; i < names->count; ++i)
        users[i] = SIZE_MAX;
    for (size_t user = 0; names->count && user < sr_dataset_users(dataset); ++user) {
        size_t length;
        const char *name = sr_dataset_user_name(dataset, user, &length);
        for (size_t i = 0; i < names->count; ++i)
            if (strlen(names->texts[i]) == length && memcmp(name, names->texts[i], length) == 0)
                users[i] = user;
    }
    for (size_t i = 0; i < names->count; ++i)
        if (users[i] == SIZE_MAX)
            return sr_fail(error, SR_ERROR_USAGE, "--user %s: there is no such user in %s", names->texts[i],
                           sr_dataset_directory(dataset));
    return SR_OK;
}

/* ---- the table ---- */

static void print_number(double value)
{
    if (isnan(value))
        printf(" %12s", "-");
    else
        printf(" %12.4f", value);
}

static void print_states(const sr_state_analysis *states)
{
    printf("\n%-6s %12s %12s %12s %12s %12s %12s\n", "layer", "s_2/s_1", "eff. rank", "cosine", "published", "positions",
           "high freq.");
    for (size_t layer = 0; layer < states->count; ++layer) {
        const double *values = states->singular_values + layer * states->width;
        if (states->count > 1)
            printf("%-6zu", layer);
        else
            printf("%-6s", "output");
        print_number(states->width > 1 && values[0] > 0 ? values[1] / values[0] : (double)NAN);
        print_number(states->effective_rank[layer]);
        print_number(states->cosine[layer]);
        print_number(states->published_cosine[layer]);
        print_number(states->of_tokens ? states->position_cosine[layer] : (double)NAN);
        print_number(states->of_tokens ? states->high_frequency_share[layer] : (double)NAN);
        printf("\n");
    }
    if (!states->of_tokens)
        printf("no state for every token: nothing within sequences\n");
}

/* Mean gain of all frequencies but 0. */
static double mean_gain(const double *gains, size_t bins)
{
    double sum = 0;
    for (size_t k = 1; k < bins; ++k)
        sum += gains[k];
    return bins > 1 ? sum / (double)(bins - 1) : (double)NAN;
}

static void print_attention(const sr_attention_analysis *a)
{
    if (a->layers == 0) {
        printf("\nno attention by softmax: no frequency response, attended keys and maps of it\n");
        return;
    }
    printf("\nfrequency response: %lld sequences of %zu items%s\n", (long long)a->sequences, a->length,
           a->full_length ? "" : " (no sequence fills the window)");
    printf("%-6s %-5s %12s %12s %12s %12s %12s %12s\n", "", "", "keys", "", "visible", "row sum", "gain, k > 0", "");
    printf("%-6s %-5s %12s %12s %12s %12s %12s %12s\n", "layer", "head", "before", "after", "keys", "after", "before", "after");
    for (size_t i = 0; i < a->layers * a->heads; ++i) {
        printf("%-6zu %-5zu", i / a->heads + 1, i % a->heads + 1);
        print_number(a->effective_keys[SR_BEFORE_CALIBRATION][i]);
        print_number(a->effective_keys[SR_AFTER_CALIBRATION][i]);
        print_number(a->visible_keys[SR_AFTER_CALIBRATION][i / a->heads]);
        print_number(a->row_sum[SR_AFTER_CALIBRATION][i]);
        print_number(mean_gain(a->gain[SR_BEFORE_CALIBRATION] + i * a->bins, a->bins));
        print_number(mean_gain(a->gain[SR_AFTER_CALIBRATION] + i * a->bins, a->bins));
        printf("\n");
    }
}

static void print_filter(const char *what, const sr_filter_analysis *filter)
{
    if (filter->layers == 0)
        return;
    printf("\n%-6s %12s %12s   %s, mean over channels\n", "layer", "k = 0", "last k", what);
    for (size_t layer = 0; layer < filter->layers; ++layer) {
        printf("%-6zu", layer + 1);
        print_number(filter->mean[layer * filter->bins]);
        print_number(filter->mean[(layer + 1) * filter->bins - 1]);
        printf("\n");
    }
}

static void print_table(const sr_analysis *analysis, const char *output)
{
    printf("split %s, %lld sequences (%lld users have none)\n", sr_split_name(analysis->split), (long long)analysis->sequences,
           (long long)analysis->left_out);
    print_states(&analysis->states);
    print_attention(&analysis->attention);
    print_filter("response of the frequency rescaler", &analysis->rescaler);
    print_filter("modulus of the learned filter", &analysis->filter);
    printf("\nwritten to %s/\n", output);
}

/* ---- the command ---- */

/* On rank 0: everything into the output directory, which appears complete or not at all. Pictures that gnuplot fails to draw do
 * not keep the numbers from being written. */
static sr_status write_results(command_context *context, const request *asked, const checkpointed_model *loaded,
                               const sr_analysis *analysis, sr_error *error)
{
    const sr_analysis_origin origin = {.checkpoint = asked->checkpoint,
                                       .backbone = sr_model_name(&loaded->settings.model),
                                       .program_version = SRTRAIN_PROGRAM_VERSION,
                                       .step = sr_model_step(loaded->model)};
    sr_output_directory directory;
    sr_error failed = {.status = SR_OK};
    char *path;
    SR_TRY(sr_output_directory_begin(&directory, asked->output, error));
    sr_status status = SR_OK;
    if (asprintf(&path, "%s/analysis.h5", directory.temporary) < 0)
        status = sr_fail_memory(error, strlen(directory.temporary) + sizeof "/analysis.h5", "a file name");
    if (status == SR_OK) {
        status = sr_analysis_write(path, analysis, &origin, loaded->dataset, error);
        free(path);
    }
    if (status == SR_OK)
        status = analysis_pictures_draw(directory.temporary, asked->pictures, analysis, loaded->dataset, context->log, &failed,
                                        error);
    if (status != SR_OK) {
        sr_output_directory_discard(&directory);
        return status;
    }
    SR_TRY(sr_output_directory_commit(&directory, error));
    print_table(analysis, asked->output);
    return failed.status == SR_OK ? SR_OK : sr_fail(error, failed.status, "%s", failed.message);
}

static sr_status analyze(command_context *context, const request *asked, checkpointed_model *loaded, sr_error *error)
{
    const bool is_root = sr_parallel_rank(context->parallel) == 0;
    size_t *users = NULL;
    sr_analysis analysis;
    sr_status status = SR_ALLOCATE(&users, asked->users.count, "the users asked for", error);
    if (status == SR_OK && is_root)
        status = find_users(loaded->dataset, &asked->users, users, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = sr_analyze(context->parallel, loaded->model,
                            &(sr_analysis_request){.dataset = loaded->dataset,
                                                   .split = asked->split,
                                                   .batch_size = (size_t)loaded->settings.evaluation.batch_size,
                                                   .kernels = context->cpu.kernels,
                                                   .users = users,
                                                   .user_count = asked->users.count},
                            &analysis, error);
    free(users);
    if (status != SR_OK)
        return status;
    if (is_root)
        status = write_results(context, asked, loaded, &analysis, error);
    sr_analysis_free(&analysis);
    return sr_parallel_agree(context->parallel, status, error);
}

/* Before anything is computed: whether results can go where they are to go. */
static sr_status check_output(command_context *context, request *asked, const char *output, sr_error *error)
{
    sr_status status = output ? sr_copy_string(&asked->output, output, error)
                              : default_output(asked->checkpoint, &asked->output, error);
    if (status == SR_OK && sr_parallel_rank(context->parallel) == 0)
        status = sr_output_directory_check(asked->output, error);
    return sr_parallel_agree(context->parallel, status, error);
}

sr_status command_analyze(command_context *context, sr_error *error)
{
    static const char *const formats[] = {"svg", "png", "none", NULL};
    const char *data = NULL, *output = NULL;
    int split, pictures;
    double stall_seconds;
    static const char *const keys[] = {"evaluation.batch_size", NULL};
    evaluation_keys set = {.keys = keys};
    request asked = {.output = NULL};
    const sr_option options[] = {
        {.name = "data", .directory = &data, .help = "the data set, if it is not where training found it"},
        {.name = "output",
         .directory = &output,
         .help = "where numbers and pictures go; analysis beside the checkpoint by default"},
        {.name = "user",
         .list = &asked.users,
         .argument = "NAME",
         .help = "a user whose attention is written and drawn; may be given several times"},
        held_out_option(&split, "which histories are analysed"),
        {.name = "pictures", .choice = &pictures, .choices = formats, .standard = "svg", .help = "the format of pictures"},
        {.name = "set",
         .list = &set.assignments,
         .assignments = true,
         .argument = "evaluation.batch_size=N",
         .help = "overrides evaluation.batch_size"},
        stall_timeout_option(&stall_seconds)};
    checkpointed_model loaded;
    SR_TRY(command_line_read(context, "CHECKPOINT", &asked.checkpoint, options, sizeof options / sizeof *options, true, error));
    asked.split = (sr_split)split;
    asked.pictures = (picture_format)pictures;
    sr_status status = command_watch(context, stall_seconds, SR_PHASE_ANALYSIS, error);
    if (status == SR_OK)
        status = check_output(context, &asked, output, error);
    if (status == SR_OK)
        status = checkpointed_model_load(&loaded, context, asked.checkpoint, data, &set, error);
    if (status == SR_OK) {
        status = analyze(context, &asked, &loaded, error);
        checkpointed_model_free(&loaded);
    }
    free(asked.output);
    return status;
}

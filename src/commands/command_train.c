/* srtrain [train] CONFIG.yaml [--set section.key=value ...] [--output DIR] [--resume auto|never|PATH]
 * [--from CHECKPOINT.h5] [--time-limit DURATION|auto] [--until-epoch N] [--stall-timeout DURATION|0] */
#include "base/program_commit.h"
#include "commands/command.h"
#include "srtrain/directories.h"
#include "srtrain/run.h"
#include "commands/time_limit.h"

#include <stdio.h>
#include <string.h>

static sr_resume resume_kind(const char *text)
{
    if (strcmp(text, "auto") == 0)
        return SR_RESUME_AUTO;
    return strcmp(text, "never") == 0 ? SR_RESUME_NEVER : SR_RESUME_PATH;
}

sr_status command_train(command_context *context, sr_error *error)
{
    const char *output = NULL, *resume, *from = NULL;
    double limit_seconds = 0, stall_seconds;
    uint64_t until_epoch;
    bool limit_is_automatic = false;
    sr_text_list assignments = {.count = 0};
    const sr_option options[] = {
        {.name = "set",
         .list = &assignments,
         .assignments = true,
         .argument = "section.key=value",
         .help = "overrides a key of the configuration"},
        {.name = "output",
         .directory = &output,
         .help = "directory of the run; runs/NAME by default, NAME being that of the configuration"},
        {.name = "resume",
         .value = &resume,
         .argument = "auto|never|PATH",
         .standard = "auto",
         .help = "goes on from the newest valid checkpoint of the directory (auto), from nothing (never), or from the "
                 "checkpoint PATH"},
        {.name = "from",
         .file = &from,
         .argument = "CHECKPOINT.h5",
         .help =
             "begins with a model that was trained on other data: rows of items and users by their identifiers, all else as "
             "it is; a directory that has a checkpoint goes on from that"},
        {.name = "time-limit",
         .seconds = &limit_seconds,
         .word = "auto",
         .is_word = &limit_is_automatic,
         .argument = "DURATION|auto",
         .help = "ends with a checkpoint and exit code 75 before so much time has passed, as 30m or 2h; auto: before the "
                 "limit of the batch system"},
        {.name = "until-epoch",
         .count = &until_epoch,
         .most = 1000000,
         .standard = "0",
         .argument = "N",
         .help = "ends with a checkpoint and exit code 75 after epoch N and its validation, where training would go on: "
                 "the same command with a larger N, or without it, does (0: it does not end there)"},
        stall_timeout_option(&stall_seconds)};
    sr_time_limit limit;
    const char *path = NULL;
    sr_settings settings;
    SR_TRY(command_line_read(context, "CONFIG.yaml", &path, options, sizeof options / sizeof *options, false, error));
    if (from && resume_kind(resume) == SR_RESUME_PATH)
        return sr_fail(error, SR_ERROR_USAGE,
                       "srtrain train: --from begins a new training, and --resume %s goes on with one: give one of them",
                       resume);
    SR_TRY(sr_parallel_agree(context->parallel, sr_settings_read(&settings, path, assignments.texts, assignments.count, error),
                             error));
    SR_TRY(command_compare_settings(context->parallel, path, &settings, error));
    /* What is stored of it is read in other working directories. */
    sr_make_path_absolute(settings.data.path, sizeof settings.data.path);
    if (sr_data_names_vectors(&settings.data))
        sr_make_path_absolute(settings.data.item_vectors, sizeof settings.data.item_vectors);
    SR_TRY(sr_parallel_agree(context->parallel,
                             sr_time_limit_find(limit_seconds, limit_is_automatic, context->started, &limit, error), error));
    if (!output && strlen(settings.name) + 1 == sizeof settings.name)
        return sr_fail(error, SR_ERROR_USAGE, "%s: the file's name is too long to name the run after it; give --output DIR",
                       path);
    char default_output[SR_NAME_SIZE + 16];
    snprintf(default_output, sizeof default_output, "runs/%s", settings.name);
    if (!output)
        SR_TRY(sr_parallel_compare(context->parallel, default_output, "all ranks need the same directory, give --output DIR",
                                   error));
    const sr_run_options run = {.settings = &settings,
                                .output = output ? output : default_output,
                                .resume = resume_kind(resume),
                                .resume_path = resume,
                                .from = from,
                                .time_limit = limit,
                                .until_epoch = (int64_t)until_epoch,
                                .stall_seconds = stall_seconds,
                                .program_version = SRTRAIN_PROGRAM_VERSION,
                                .program_commit = sr_program_commit,
                                .cpu = &context->cpu,
                                .log = context->log};
    return sr_train_run(context->parallel, &run, error);
}

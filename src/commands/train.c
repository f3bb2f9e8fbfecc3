/* srtrain [train] CONFIG.yaml [--set section.key=value ...] [--output DIR] [--resume auto|never|PATH] */
#include "commands/command.h"
#include "srtrain/train.h"

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
    const char *output = NULL, *resume = "auto";
    sr_text_list assignments = {.count = 0};
    const sr_option options[] = {
        {.name = "set", .list = &assignments}, {.name = "output", .value = &output}, {.name = "resume", .value = &resume}};
    const char *path = NULL;
    sr_settings settings;
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, "CONFIG.yaml", &path, options,
                                sizeof options / sizeof *options, error));
    SR_TRY(sr_parallel_agree(context->parallel, sr_settings_read(&settings, path, assignments.texts, assignments.count, error),
                             error));
    if (!output && strlen(settings.name) + 1 == sizeof settings.name)
        return sr_fail(error, SR_ERROR_USAGE, "%s: the file's name is too long to name the run after it; give --output DIR",
                       path);
    char default_output[SR_NAME_SIZE + 16];
    snprintf(default_output, sizeof default_output, "runs/%s", settings.name);
    const sr_run_options run = {.settings = &settings,
                                .output = output ? output : default_output,
                                .resume = resume_kind(resume),
                                .resume_path = resume,
                                .program_version = SRTRAIN_PROGRAM_VERSION,
                                .log = context->log};
    return sr_train_run(context->parallel, &run, error);
}

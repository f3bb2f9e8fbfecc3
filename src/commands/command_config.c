/* srtrain config CONFIG.yaml [--set section.key=value ...]: the resolved configuration, every default written out. */
#include "commands/command.h"
#include "srtrain/settings.h"

sr_status command_config(command_context *context, sr_error *error)
{
    sr_text_list assignments = {.count = 0};
    const sr_option options[] = {{.name = "set",
                                  .list = &assignments,
                                  .assignments = true,
                                  .argument = "section.key=value",
                                  .help = "overrides a key of the configuration"}};
    const char *path = NULL;
    sr_settings settings;
    SR_TRY(
        sr_command_line_read("srtrain", context->argument_count, context->arguments, "CONFIG.yaml", &path, options, 1, error));
    SR_TRY(sr_settings_read(&settings, path, assignments.texts, assignments.count, error));
    return sr_settings_write(&settings, stdout, true, error);
}

/* srtrain models [--markdown]: the table of backbones, calibrators and their options. */
#include "commands/command.h"
#include "srtrain/config.h"

sr_status command_models(command_context *context, sr_error *error)
{
    bool markdown = false;
    const sr_option options[] = {{.name = "markdown", .flag = &markdown}};
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, NULL, NULL, options, 1, error));
    return sr_settings_describe(stdout, markdown, error);
}

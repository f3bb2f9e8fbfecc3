/* srtrain models [--markdown | --man]: the table of backbones, calibrators and their options. */
#include "commands/command.h"
#include "srtrain/settings.h"

sr_status command_models(command_context *context, sr_error *error)
{
    bool markdown = false, manual = false;
    const sr_option options[] = {{.name = "markdown", .flag = &markdown, .help = "writes docs/configuration.md"},
                                 {.name = "man", .flag = &manual, .help = "writes the page srtrain-config(5) of the manual"}};
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, NULL, NULL, options, 2, error));
    if (manual)
        return sr_settings_manual(stdout, SRTRAIN_PROGRAM_VERSION, error);
    return sr_settings_describe(stdout, markdown, error);
}

/* srtrain models: the table of backbones, calibrators and their options. */
#include "commands/command.h"
#include "srtrain/config.h"

sr_status command_models(command_context *context, sr_error *error)
{
    command_line line;
    SR_TRY(command_line_read(&line, context, NULL, NULL, 0, error));
    return sr_settings_describe(stdout, false, error);
}

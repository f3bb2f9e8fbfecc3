/* srtrain config CONFIG.yaml [--set section.key=value ...]: the resolved configuration, every default written out. */
#include "commands/command.h"
#include "srtrain/config.h"

sr_status command_config(command_context *context, sr_error *error)
{
    const command_option options[] = {{"set", NULL}};
    command_line line;
    sr_settings settings;
    SR_TRY(command_line_read(&line, context, "CONFIG.yaml", options, sizeof options / sizeof *options, error));
    SR_TRY(sr_settings_read(&settings, line.operand, line.assignments, line.assignment_count, error));
    return sr_settings_write(&settings, stdout, true, error);
}

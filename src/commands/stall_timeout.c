/* --stall-timeout, which every command has whose ranks wait for each other for long. */
#include "commands/command.h"
#include "commands/time_limit.h"

#include <string.h>

sr_option stall_timeout_option(const char **value)
{
    *value = "1800";
    return (sr_option){
        .name = "stall-timeout",
        .value = value,
        .argument = "DURATION|0",
        .help = "fails when ranks have waited for another for so long, in seconds or as 30m; 1800 by default, 0: never"};
}

sr_status stall_timeout_read(const char *text, double *seconds, sr_error *error)
{
    *seconds = 0;
    if (strcmp(text, "0") == 0)
        return SR_OK;
    const sr_status status = sr_duration_read(text, seconds, error);
    if (status != SR_OK)
        sr_error_prepend(error, "--stall-timeout: ");
    return status;
}

sr_status command_watch(command_context *context, const char *stall_timeout, sr_phase phase, sr_error *error)
{
    double seconds;
    SR_TRY(stall_timeout_read(stall_timeout, &seconds, error));
    sr_parallel_phase(context->parallel, phase, 0);
    /* No directory is known to be everybody's to write to. Where this one is not, the report says less. */
    const sr_watchdog_options options = {.stall_seconds = seconds, .vote_seconds = seconds, .directory = "."};
    return seconds > 0 ? sr_watchdog_start(&context->watchdog, context->parallel, &options, error) : SR_OK;
}

/* --stall-timeout, which every command has whose ranks wait for each other for long. */
#include "commands/command.h"

sr_option stall_timeout_option(double *seconds)
{
    return (sr_option){.name = "stall-timeout",
                       .seconds = seconds,
                       .may_be_zero = true,
                       .standard = "1800",
                       .help = "fails when ranks have waited for another for so long, in seconds or as 30m; 0: never"};
}

sr_status command_watch(command_context *context, double stall_seconds, sr_phase phase, sr_error *error)
{
    sr_parallel_phase(context->parallel, phase, 0);
    /* No directory is known to be everybody's to write to. Where this one is not, the report says less. */
    const sr_watchdog_options options = {.stall_seconds = stall_seconds, .vote_seconds = stall_seconds, .directory = "."};
    return stall_seconds > 0 ? sr_watchdog_start(&context->watchdog, context->parallel, &options, error) : SR_OK;
}

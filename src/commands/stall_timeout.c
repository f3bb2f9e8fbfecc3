/* --stall-timeout, which every command has whose ranks wait for each other for long. */
#include "commands/command.h"

#include "base/units.h"

#include <string.h>

#define OPTION "--stall-timeout"

sr_option stall_timeout_option(double *seconds)
{
    return (sr_option){.name = "stall-timeout",
                       .seconds = seconds,
                       .may_be_zero = true,
                       .standard = "1800",
                       .help = "fails when ranks have waited for another for so long, in seconds or as 30m; 0: never"};
}

double stall_timeout_look(int argument_count, char *const *arguments)
{
    enum { STANDARD = 1800 };
    double seconds = STANDARD;
    const size_t length = strlen(OPTION);
    for (int i = 1; i < argument_count; ++i) {
        const char *text = strncmp(arguments[i], OPTION, length) == 0 ? arguments[i] + length : "";
        const char *value = *text == '=' ? text + 1 : i + 1 < argument_count ? arguments[i + 1] : "";
        double found;
        if (strncmp(arguments[i], OPTION, length) == 0 && sr_read_duration(value, &found))
            seconds = found;
        else if (strncmp(arguments[i], OPTION, length) == 0 && strcmp(value, "0") == 0)
            seconds = 0;
    }
    return seconds;
}

sr_status command_watch(command_context *context, double stall_seconds, sr_phase phase, sr_error *error)
{
    sr_parallel_phase(context->parallel, phase, 0);
    /* No directory is known to be everybody's to write to. Where this one is not, the report says less. */
    const sr_watchdog_options options = {
        .stall_seconds = stall_seconds, .vote_seconds = stall_seconds, .slowest_files = SR_SLOWEST_FILES, .directory = "."};
    return stall_seconds > 0 ? sr_watchdog_start(&context->watchdog, context->parallel, &options, error) : SR_OK;
}

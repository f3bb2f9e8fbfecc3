/* srprep formats: what raw files can be read. */
#include "commands.h"
#include "readers/reader.h"

sr_status command_formats(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    bool markdown = false;
    const sr_option options[] = {{.name = "markdown", .flag = &markdown, .help = "writes docs/raw-formats.md"}};
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, 1, error));
    if (sr_parallel_rank(parallel) == 0)
        raw_formats_describe(stdout, markdown);
    return SR_OK;
}

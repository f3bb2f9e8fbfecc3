/* Reading the command lines of srtrain and srprep. Local. */
#ifndef SRTRAIN_COMMAND_LINE_H
#define SRTRAIN_COMMAND_LINE_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { SR_TEXT_LIST_MAXIMUM = 4096 };

/* Values of an option that may have several. The texts belong to the command line. */
typedef struct {
    const char *texts[SR_TEXT_LIST_MAXIMUM];
    size_t count;
} sr_text_list;

/* An option "--name"; exactly one of the three pointers is set. */
typedef struct {
    const char *name;   /* without dashes */
    const char **value; /* takes one value: "--name VALUE" or "--name=VALUE"; the last one counts */
    sr_text_list *list; /* collects the value of each occurrence; and, if `greedy`, everything up to the next option */
    bool *flag;         /* takes no value */
    bool greedy;
} sr_option;

/* Reads arguments[1..]; arguments[0] is the command's name, `program` that of the program, both for messages. `operand_name`
 * stands in messages for the single argument that is no option (NULL: the command takes none), which goes to *operand.
 * SR_ERROR_USAGE for an unknown option (with the nearest known one), a missing value, and a missing or superfluous operand. */
sr_status sr_command_line_read(const char *program, int argument_count, char **arguments, const char *operand_name,
                               const char **operand, const sr_option *options, size_t option_count, sr_error *error);

#endif

/* What --help writes of one command; see sr_program in srtrain/command_line.h for whole programs. */
#ifndef SRTRAIN_BASE_COMMAND_HELP_H
#define SRTRAIN_BASE_COMMAND_HELP_H

#include "srtrain/command_line.h"

/* The format that an argument asks for; HELP_NONE if it is not about help. */
typedef enum { HELP_TEXT, HELP_USAGE, HELP_MANUAL, HELP_MARKDOWN, HELP_COMPLETION, HELP_NONE } help_format;
help_format help_format_of(const char *argument);

/* The options of a command, and its operand if it has one, to standard output. */
void help_write(help_format format, const char *program, const char *command, const char *operand_name,
                const sr_option *options, size_t option_count);

/* What the value of an option is, for help: "DIR", "exclude|keep", "SIZE"; made in `text` where no row says it. NULL for
 * flags. */
enum { OPTION_ARGUMENT_SIZE = 128 };
const char *option_argument(const sr_option *option, char text[OPTION_ARGUMENT_SIZE]);

#endif

/* The commands of srprep: one file each. */
#ifndef SRTRAIN_DATA_PREP_COMMANDS_H
#define SRTRAIN_DATA_PREP_COMMANDS_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* arguments[0] is the command's name. */
sr_status command_convert(int argument_count, char **arguments, sr_error *error);
sr_status command_synth(int argument_count, char **arguments, sr_error *error);
sr_status command_info(int argument_count, char **arguments, sr_error *error);

/* Numbers of options: `text` NULL leaves the default in place. SR_ERROR_USAGE names option, text and range. */
sr_status read_count(const char *option, const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value,
                     sr_error *error);
sr_status read_real(const char *option, const char *text, double minimum, double maximum, double *value, sr_error *error);

#endif

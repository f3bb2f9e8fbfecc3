/* The commands of srprep: one file each. */
#ifndef SRTRAIN_DATA_PREP_COMMANDS_H
#define SRTRAIN_DATA_PREP_COMMANDS_H

#include "srtrain/parallel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* arguments[0] is the command's name. Collective: all ranks call the same one. */
sr_status command_convert(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_synth(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_export(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_info(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);

/* Numbers of options: `text` NULL leaves the default in place. SR_ERROR_USAGE names option, text and range. */
sr_status read_count(const char *option, const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value,
                     sr_error *error);
sr_status read_size(const char *option, const char *text, uint64_t *bytes, sr_error *error); /* as "512M" or "8G" */
sr_status read_real(const char *option, const char *text, double minimum, double maximum, double *value, sr_error *error);

#endif

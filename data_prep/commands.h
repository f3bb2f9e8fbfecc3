/* The commands of srprep: one file command_NAME.c each, one row each in the table of main.c. */
#ifndef SRTRAIN_DATA_PREP_COMMANDS_H
#define SRTRAIN_DATA_PREP_COMMANDS_H

#include "srtrain/command_line.h"
#include "srtrain/parallel.h"

#include <stdint.h>

/* arguments[0] is the command's name. Collective: all ranks call the same one. */
sr_status command_convert(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_synth(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_export(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_formats(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
sr_status command_info(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);

/* Options that convert and synth have: --shards, --memory (0: not given) and --temporary. */
sr_option shards_option(uint64_t *shards);
sr_option memory_option(uint64_t *bytes);
sr_option temporary_option(const char **directory);

#endif

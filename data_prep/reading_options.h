/* The options of srprep convert that say how raw files are read. */
#ifndef SRTRAIN_DATA_PREP_READING_OPTIONS_H
#define SRTRAIN_DATA_PREP_READING_OPTIONS_H

#include "readers/reader.h"
#include "srtrain/command_line.h"

#include <cjson/cJSON.h>

/* What stands on the command line; all NULL and false at first. */
typedef struct {
    const char *format, *time_unit, *time_decimals;
    reader_options options;
} reading_texts;

/* Appends the options to a table that has room for READING_OPTIONS more. Returns their number. */
enum { READING_OPTIONS = 10 };
size_t reading_options_list(reading_texts *texts, sr_option *table);

/* Finds the format, and makes texts->options ready. SR_ERROR_USAGE for what is not allowed or does not go together. */
sr_status reading_options_finish(reading_texts *texts, const reader **format, sr_error *error);

/* Adds how the input was read to the description of a data set. */
bool reading_options_describe(cJSON *object, const reader *format, const reader_options *options, const reader_facts *facts);

#endif

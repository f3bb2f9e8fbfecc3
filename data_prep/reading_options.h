/* The options of srprep convert that say how raw files are read. */
#ifndef SRTRAIN_DATA_PREP_READING_OPTIONS_H
#define SRTRAIN_DATA_PREP_READING_OPTIONS_H

#include "readers/reader.h"
#include "srtrain/command_line.h"

#include <cjson/cJSON.h>

/* How files are asked to be read; all zero at first. */
typedef struct {
    const reader *format;
    reader_options options;
    int format_number, time_unit; /* as the options say them */
    uint64_t time_decimals;
    bool has_format, has_time_unit;
    const char *format_names[READERS_MAXIMUM + 1];
} reading_request;

/* Puts the options into a table that has room for READING_OPTIONS. */
enum { READING_OPTIONS = 10 };
void reading_options_list(reading_request *request, sr_option *table);

/* Finds the format, and makes request->options ready. SR_ERROR_USAGE for what does not go together. */
sr_status reading_options_finish(reading_request *request, sr_error *error);

/* Adds how the input was read to the description of a data set. */
bool reading_options_describe(cJSON *object, const reading_request *request, const reader_facts *facts);

#endif

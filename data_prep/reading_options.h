/* The options of srprep convert that say how raw files are read. */
#ifndef SRTRAIN_DATA_PREP_READING_OPTIONS_H
#define SRTRAIN_DATA_PREP_READING_OPTIONS_H

#include "readers/reader.h"
#include "srtrain/command_line.h"

#include <cjson/cJSON.h>

enum { RAW_FORMATS_MAXIMUM = 64 };

/* How files are asked to be read; all zero at first. */
typedef struct {
    const raw_format *format;
    reader_options options;
    int format_number, time_unit; /* as the options say them */
    uint64_t time_decimals;
    bool has_format;
    const char *time_format;
    sr_text_list where;
    const char *format_names[RAW_FORMATS_MAXIMUM + 1];
} reading_request;

/* Puts the options into a table that has room for READING_OPTIONS. */
enum { READING_OPTIONS = 17 };
void reading_options_list(reading_request *request, sr_option *table);

/* Finds the format, and makes request->options ready. SR_ERROR_USAGE for what does not go together; where no format is given,
 * with the one that the names of `inputs` look like. */
sr_status reading_options_finish(reading_request *request, const sr_text_list *inputs, sr_error *error);

/* Adds how the input was read to the description of a data set. */
bool reading_options_describe(cJSON *object, const reading_request *request, const reader_facts *facts);

#endif

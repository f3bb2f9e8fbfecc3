#include "reading_options.h"

#include <stdio.h>
#include <string.h>

void reading_options_list(reading_request *request, sr_option *table)
{
    reader_options *options = &request->options;
    for (size_t i = 0; i < raw_format_count && i < RAW_FORMATS_MAXIMUM; ++i)
        request->format_names[i] = raw_formats[i]->name;
    const sr_option rows[READING_OPTIONS] = {
        {.name = "format",
         .choice = &request->format_number,
         .choices = request->format_names,
         .given = &request->has_format,
         .argument = "FORMAT",
         .help = "how the input is written (srprep formats lists all); required"},
        {.name = "columns",
         .value = &options->columns,
         .argument = "user=..,item=..,time=..,rating=..",
         .help = "of csv: numbers of columns from 0; of json: keys"},
        {.name = "delimiter", .value = &options->delimiter, .argument = "CHARACTER", .help = "of csv; a comma by default"},
        {.name = "header", .flag = &options->header, .help = "of csv: the first line holds names"},
        {.name = "no-quotes", .flag = &options->no_quotes, .help = "of csv: quotes are characters like any other"},
        {.name = "multiline-quotes",
         .flag = &options->multiline_quotes,
         .help = "of csv: a quoted field may go on over lines that look like records themselves"},
        {.name = "time-unit",
         .choice = &request->time_unit,
         .choices = time_unit_names,
         .standard = time_unit_names[TIME_AUTO],
         .help = "how times are written"},
        {.name = "time-decimals",
         .count = &request->time_decimals,
         .most = TIME_DECIMALS_MAXIMUM,
         .given = &options->times.has_decimals,
         .help = "digits behind the point of times that count"},
        {.name = "na-values",
         .value = &options->na_values,
         .may_be_empty = true, /* fields with nothing in them */
         .argument = "TEXT,TEXT",
         .help = "texts that stand for a value that is missing, '' for an empty one; lines with one are left out"},
        {.name = "strict",
         .flag = &options->strict,
         .help = "ends at the first line that does not fit instead of leaving it out"}};
    memcpy(table, rows, sizeof rows);
}

static sr_status check_na_values(const reader_options *options, sr_error *error)
{
    size_t values = 1;
    for (const char *at = options->na_values; at && *at; ++at)
        values += *at == ',';
    return values <= READER_NA_VALUES
               ? SR_OK
               : sr_fail(error, SR_ERROR_USAGE, "--na-values has %zu values, allowed are at most %d", values, READER_NA_VALUES);
}

/* Says which formats there are, and which one the files look like. */
static sr_status fail_without_format(const sr_text_list *inputs, sr_error *error)
{
    char list[512] = "";
    for (size_t i = 0; i < raw_format_count; ++i)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", raw_formats[i]->name);
    for (size_t i = 0; i < inputs->count; ++i) {
        const raw_format *format = raw_format_of_file(inputs->texts[i]);
        if (format)
            return sr_fail(error, SR_ERROR_USAGE,
                           "srprep convert: --format is missing; %s is called like files of %s; known are %s", inputs->texts[i],
                           format->name, list);
    }
    return sr_fail(error, SR_ERROR_USAGE, "srprep convert: --format is missing; known are %s", list);
}

sr_status reading_options_finish(reading_request *request, const sr_text_list *inputs, sr_error *error)
{
    reader_options *options = &request->options;
    if (!request->has_format)
        return fail_without_format(inputs, error);
    request->format = raw_formats[request->format_number];
    if (options->delimiter && strcmp(options->delimiter, "\\t") == 0) /* as it is typed in a shell */
        options->delimiter = "\t";
    options->times.unit = (time_unit)request->time_unit;
    options->times.decimals = (unsigned)request->time_decimals;
    options->times.rounds = options->times.has_decimals;
    SR_TRY(raw_format_check(request->format, options, error));
    SR_TRY(check_na_values(options, error));
    return options->times.unit == TIME_NONE && options->times.has_decimals
               ? sr_fail(error, SR_ERROR_USAGE, "--time-decimals has no use with --time-unit none")
               : SR_OK;
}

bool reading_options_describe(cJSON *object, const reading_request *request, const reader_facts *facts)
{
    const reader_options *options = &request->options;
    bool complete = cJSON_AddStringToObject(object, "format", request->format->name);
    if (options->columns)
        complete = complete && cJSON_AddStringToObject(object, "columns", options->columns);
    if (options->delimiter)
        complete = complete && cJSON_AddStringToObject(object, "delimiter", options->delimiter);
    if (options->header)
        complete = complete && cJSON_AddTrueToObject(object, "header");
    if (options->no_quotes)
        complete = complete && cJSON_AddTrueToObject(object, "no_quotes");
    if (options->multiline_quotes)
        complete = complete && cJSON_AddTrueToObject(object, "multiline_quotes");
    if (options->na_values)
        complete = complete && cJSON_AddStringToObject(object, "na_values", options->na_values);
    if (options->strict)
        complete = complete && cJSON_AddTrueToObject(object, "strict");
    complete = complete &&
               cJSON_AddStringToObject(object, "time_unit", time_unit_names[facts->has_times ? facts->times.unit : TIME_NONE]);
    if (facts->has_times)
        complete = complete && cJSON_AddNumberToObject(object, "time_decimals", facts->times.decimals);
    return complete;
}

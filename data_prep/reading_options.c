#include "reading_options.h"

#include "commands.h"

#include <stdio.h>
#include <string.h>

size_t reading_options_list(reading_texts *texts, sr_option *table)
{
    const sr_option options[READING_OPTIONS] = {
        {.name = "format",
         .value = &texts->format,
         .argument = "FORMAT",
         .help = "how the input is written (srprep --help lists formats); required"},
        {.name = "columns",
         .value = &texts->options.columns,
         .argument = "user=..,item=..,time=..,rating=..",
         .help = "of csv: numbers of columns from 0; of json: keys"},
        {.name = "delimiter",
         .value = &texts->options.delimiter,
         .argument = "CHARACTER",
         .help = "of csv; a comma by default"},
        {.name = "header", .flag = &texts->options.header, .help = "of csv: the first line holds names"},
        {.name = "no-quotes", .flag = &texts->options.no_quotes, .help = "of csv: quotes are characters like any other"},
        {.name = "multiline-quotes",
         .flag = &texts->options.multiline_quotes,
         .help = "of csv: a quoted field may go on over lines that look like records themselves"},
        {.name = "time-unit",
         .value = &texts->time_unit,
         .argument = "auto|none|number|seconds|milliseconds|microseconds|nanoseconds|iso",
         .help = "how times are written; auto by default"},
        {.name = "time-decimals",
         .value = &texts->time_decimals,
         .argument = "N",
         .help = "digits behind the point of times that count"},
        {.name = "na-values",
         .value = &texts->options.na_values,
         .may_be_empty = true, /* fields with nothing in them */
         .argument = "TEXT,TEXT",
         .help = "texts that stand for a value that is missing, '' for an empty one; lines with one are left out"},
        {.name = "strict",
         .flag = &texts->options.strict,
         .help = "ends at the first line that does not fit instead of leaving it out"}};
    memcpy(table, options, sizeof options);
    return READING_OPTIONS;
}

static sr_status find_format(const char *name, const reader **format, sr_error *error)
{
    char list[512] = "";
    const char *names[32];
    for (size_t i = 0; i < reader_count && i < 32; ++i) {
        names[i] = readers[i].name;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    }
    if (!name)
        return sr_fail(error, SR_ERROR_USAGE, "srprep convert: --format is missing; known are %s", list);
    *format = reader_find(name);
    if (*format)
        return SR_OK;
    const char *nearest = sr_nearest_name(name, names, reader_count);
    return sr_fail(error, SR_ERROR_USAGE, "srprep convert: unknown --format %s%s%s%s; known are %s", name,
                   nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "", list);
}

/* Options that only some formats have a use for. */
static sr_status check_use(const reading_texts *texts, const reader *format, sr_error *error)
{
    const reader_options *options = &texts->options;
    if (!format->takes_delimiter && (options->delimiter || options->header || options->no_quotes || options->multiline_quotes))
        return sr_fail(error, SR_ERROR_USAGE,
                       "--delimiter, --header, --no-quotes and --multiline-quotes belong to --format csv, not to %s",
                       format->name);
    if (options->no_quotes && options->multiline_quotes)
        return sr_fail(error, SR_ERROR_USAGE, "--no-quotes and --multiline-quotes exclude each other");
    if (!format->takes_columns && options->columns)
        return sr_fail(error, SR_ERROR_USAGE, "--columns belongs to --format csv and json, not to %s", format->name);
    if (format->takes_columns && !options->columns)
        return sr_fail(error, SR_ERROR_USAGE, "--format %s needs --columns, as in --columns %s: columns cannot be guessed",
                       format->name, format->takes_delimiter ? "user=0,item=1,time=3" : "user=user_id,item=item_id,time=date");
    if (format->has_no_times && (texts->time_unit || texts->time_decimals))
        return sr_fail(error, SR_ERROR_USAGE, "--time-unit and --time-decimals: --format %s has no time stamps", format->name);
    if (options->delimiter && (!*options->delimiter || strchr(options->delimiter, '"')))
        return sr_fail(error, SR_ERROR_USAGE,
                       *options->delimiter ? "--delimiter: quotes cannot delimit" : "--delimiter is empty");
    size_t values = 1;
    for (const char *at = options->na_values; at && *at; ++at)
        values += *at == ',';
    return values <= READER_NA_VALUES
               ? SR_OK
               : sr_fail(error, SR_ERROR_USAGE, "--na-values has %zu values, allowed are at most %d", values, READER_NA_VALUES);
}

static sr_status read_times(const reading_texts *texts, time_format *times, sr_error *error)
{
    uint64_t decimals = 0;
    if (texts->time_unit)
        SR_TRY(time_unit_find(texts->time_unit, &times->unit, error));
    if (!texts->time_decimals)
        return SR_OK;
    if (times->unit == TIME_NONE)
        return sr_fail(error, SR_ERROR_USAGE, "--time-decimals has no use with --time-unit none");
    SR_TRY(read_count("--time-decimals", texts->time_decimals, 0, TIME_DECIMALS_MAXIMUM, &decimals, error));
    times->has_decimals = times->rounds = true;
    times->decimals = (unsigned)decimals;
    return SR_OK;
}

sr_status reading_options_finish(reading_texts *texts, const reader **format, sr_error *error)
{
    reader_options *options = &texts->options;
    SR_TRY(find_format(texts->format, format, error));
    if (options->delimiter && strcmp(options->delimiter, "\\t") == 0) /* as it is typed in a shell */
        options->delimiter = "\t";
    SR_TRY(check_use(texts, *format, error));
    return read_times(texts, &options->times, error);
}

bool reading_options_describe(cJSON *object, const reader *format, const reader_options *options, const reader_facts *facts)
{
    bool complete = cJSON_AddStringToObject(object, "format", format->name);
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
               cJSON_AddStringToObject(object, "time_unit", time_unit_name(facts->has_times ? facts->times.unit : TIME_NONE));
    if (facts->has_times)
        complete = complete && cJSON_AddNumberToObject(object, "time_decimals", facts->times.decimals);
    return complete;
}

#include "reading_options.h"

#include "readers/reading.h"

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
         .help =
             "of tables: numbers of columns from 0, or names; of json and python: keys, with dots between those of objects in "
             "objects. In tables items=.., times=.., ratings=.. are columns of lists"},
        {.name = "no-user",
         .flag = &options->no_user,
         .help = "lines name no user: each line is one, who is called by its number"},
        {.name = "counted", .flag = &options->counted, .help = "of sequences: the number of items stands in front of them"},
        {.name = "list-separator",
         .value = &options->list_separator,
         .argument = "TEXT",
         .help = "what stands between the elements of lists; blanks by default"},
        {.name = "where",
         .list = &request->where,
         .argument = "COLUMN=VALUE[,VALUE...]",
         .help = "keeps the lines that have one of the values in a column (its number or name, or a key); may be given for "
                 "several columns"},
        {.name = "delimiter",
         .value = &options->delimiter,
         .argument = "TEXT|blanks",
         .help = "of csv; a comma by default, blanks are any number of spaces and tabs"},
        {.name = "header", .flag = &options->header, .help = "of csv: the first line holds names"},
        {.name = "ragged",
         .flag = &options->ragged,
         .help = "of csv: columns that are not read may be missing at the end of a line, and others follow"},
        {.name = "comment", .value = &options->comment, .argument = "TEXT", .help = "leaves out lines that begin with this"},
        {.name = "no-quotes", .flag = &options->no_quotes, .help = "of csv: quotes are characters like any other"},
        {.name = "multiline-quotes",
         .flag = &options->multiline_quotes,
         .help = "of csv: a quoted field may go on over lines that look like records themselves"},
        {.name = "time-format",
         .value = &request->time_format,
         .argument = "FORMAT",
         .help = "what dates are like, as strptime has it: '%m/%d/%Y %H:%M'; ISO 8601 by default"},
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

/* A tab may be typed in a shell like this. */
static const char *as_typed(const char *text)
{
    return text && strcmp(text, "\\t") == 0 ? "\t" : text;
}

static sr_status set_time_format(reading_request *request, sr_error *error)
{
    time_format *times = &request->options.times;
    if (!request->time_format)
        return SR_OK;
    const char *fault = date_pattern_fault(request->time_format);
    if (fault)
        return sr_fail(error, SR_ERROR_USAGE, "--time-format '%s' %s; known are %s", request->time_format, fault,
                       date_directives);
    if (times->unit != TIME_AUTO && times->unit != TIME_ISO)
        return sr_fail(error, SR_ERROR_USAGE, "--time-format says what dates are like, but --time-unit %s that there are none",
                       time_unit_names[times->unit]);
    strcpy(times->pattern, request->time_format);
    times->unit = TIME_ISO;
    return SR_OK;
}

static sr_status check_where(const reader_options *options, sr_error *error)
{
    chosen_values chosen[READER_WHERES];
    if (options->where_count > READER_WHERES)
        return sr_fail(error, SR_ERROR_USAGE, "--where is given %zu times, allowed are at most %d", options->where_count,
                       READER_WHERES);
    for (size_t i = 0; i < options->where_count; ++i) {
        SR_TRY(where_parse(options->where[i], &chosen[i], error));
        for (size_t k = 0; k < i; ++k)
            if (strcmp(chosen[k].name, chosen[i].name) == 0)
                return sr_fail(error, SR_ERROR_USAGE,
                               "--where %s: the column \"%s\" was given before; its values go into one --where, with commas "
                               "between them",
                               options->where[i], chosen[i].name);
    }
    return SR_OK;
}

sr_status reading_options_finish(reading_request *request, const sr_text_list *inputs, sr_error *error)
{
    reader_options *options = &request->options;
    if (!request->has_format)
        return fail_without_format(inputs, error);
    request->format = raw_formats[request->format_number];
    options->delimiter = as_typed(options->delimiter);
    options->list_separator = as_typed(options->list_separator);
    options->where = request->where.texts;
    options->where_count = request->where.count;
    options->times.unit = (time_unit)request->time_unit;
    SR_TRY(set_time_format(request, error));
    options->times.decimals = (unsigned)request->time_decimals;
    options->times.rounds = options->times.has_decimals;
    SR_TRY(raw_format_check(request->format, options, error));
    SR_TRY(check_na_values(options, error));
    SR_TRY(check_where(options, error));
    return options->times.unit == TIME_NONE && options->times.has_decimals
               ? sr_fail(error, SR_ERROR_USAGE, "--time-decimals has no use with --time-unit none")
               : SR_OK;
}

/* What says which lines and which parts of them are read. */
static bool describe_lines(cJSON *object, const reader_options *options)
{
    bool complete = true;
    cJSON *where = options->where_count ? cJSON_AddArrayToObject(object, "where") : NULL;
    for (size_t i = 0; i < options->where_count && complete; ++i)
        complete = where && cJSON_AddItemToArray(where, cJSON_CreateString(options->where[i]));
    if (options->no_user)
        complete = complete && cJSON_AddTrueToObject(object, "no_user");
    if (options->counted)
        complete = complete && cJSON_AddTrueToObject(object, "counted");
    if (options->ragged)
        complete = complete && cJSON_AddTrueToObject(object, "ragged");
    if (options->comment)
        complete = complete && cJSON_AddStringToObject(object, "comment", options->comment);
    if (options->list_separator)
        complete = complete && cJSON_AddStringToObject(object, "list_separator", options->list_separator);
    if (*options->times.pattern)
        complete = complete && cJSON_AddStringToObject(object, "time_format", options->times.pattern);
    return complete;
}

bool reading_options_describe(cJSON *object, const reading_request *request, const reader_facts *facts)
{
    const reader_options *options = &request->options;
    bool complete = cJSON_AddStringToObject(object, "format", request->format->name);
    if (options->columns)
        complete = complete && cJSON_AddStringToObject(object, "columns", options->columns);
    if (options->delimiter)
        complete = complete && cJSON_AddStringToObject(object, "delimiter", options->delimiter);
    complete = complete && describe_lines(object, options);
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

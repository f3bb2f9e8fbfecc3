/* The list of raw formats: one row each, in the order of the documentation. */
#include "readers/reader.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <string.h>

extern const raw_format recbole_format, movielens_100k_format, movielens_1m_format, movielens_csv_format, amazon_json_format,
    amazon_csv_format, amazon_csv_2018_format, yelp_json_format, sequences_format, pairs_format, csv_format, json_format,
    python_format, netflix_format;

/* clang-format off */
const raw_format *const raw_formats[] = {
    &recbole_format,
    &movielens_100k_format,
    &movielens_1m_format,
    &movielens_csv_format,
    &amazon_json_format,
    &amazon_csv_format,
    &amazon_csv_2018_format,
    &yelp_json_format,
    &sequences_format,
    &pairs_format,
    &csv_format,
    &json_format,
    &python_format,
    &netflix_format,
};
/* clang-format on */
const size_t raw_format_count = sizeof raw_formats / sizeof *raw_formats;

const raw_format *raw_format_find(const char *name)
{
    for (size_t i = 0; i < raw_format_count; ++i)
        if (strcmp(raw_formats[i]->name, name) == 0)
            return raw_formats[i];
    return NULL;
}

/* Cuts an ending off. */
static void cut(char *name, const char *ending)
{
    const size_t length = strlen(name), end = strlen(ending);
    if (length > end && strcmp(name + length - end, ending) == 0)
        name[length - end] = '\0';
}

const raw_format *raw_format_of_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[256];
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    cut(name, ".gz");
    cut(name, ".zst");
    for (size_t i = 0; i < raw_format_count; ++i)
        if (raw_formats[i]->files && fnmatch(raw_formats[i]->files, name, 0) == 0)
            return raw_formats[i];
    return NULL;
}

/* ---- options ---- */

static bool has_columns(const reader_options *options)
{
    return options->columns != NULL;
}

static bool has_delimiter(const reader_options *options)
{
    return options->delimiter != NULL;
}

static bool has_header(const reader_options *options)
{
    return options->header;
}

static bool has_no_quotes(const reader_options *options)
{
    return options->no_quotes;
}

static bool has_multiline_quotes(const reader_options *options)
{
    return options->multiline_quotes;
}

static bool has_where(const reader_options *options)
{
    return options->where_count > 0;
}

static bool has_list_separator(const reader_options *options)
{
    return options->list_separator != NULL;
}

static bool has_no_user(const reader_options *options)
{
    return options->no_user;
}

static bool is_counted(const reader_options *options)
{
    return options->counted;
}

static bool has_comment(const reader_options *options)
{
    return options->comment != NULL;
}

static bool is_ragged(const reader_options *options)
{
    return options->ragged;
}

static bool has_time_format(const reader_options *options)
{
    return *options->times.pattern;
}

static bool has_time_unit(const reader_options *options)
{
    return options->times.unit != TIME_AUTO;
}

static bool has_time_decimals(const reader_options *options)
{
    return options->times.has_decimals;
}

static const struct {
    const char *name;
    unsigned flag;
    bool (*is_given)(const reader_options *options);
} options_of_some[] = {{"--columns", TAKES_COLUMNS, has_columns},
                       {"--delimiter", TAKES_DELIMITER, has_delimiter},
                       {"--header", TAKES_HEADER, has_header},
                       {"--no-quotes", TAKES_QUOTES, has_no_quotes},
                       {"--multiline-quotes", TAKES_QUOTES, has_multiline_quotes},
                       {"--where", TAKES_WHERE, has_where},
                       {"--list-separator", TAKES_LISTS, has_list_separator},
                       {"--no-user", TAKES_NO_USER, has_no_user},
                       {"--counted", TAKES_COUNTED, is_counted},
                       {"--comment", TAKES_COMMENT, has_comment},
                       {"--ragged", TAKES_RAGGED, is_ragged},
                       {"--time-format", TAKES_TIMES, has_time_format},
                       {"--time-unit", TAKES_TIMES, has_time_unit},
                       {"--time-decimals", TAKES_TIMES, has_time_decimals}};
enum { OPTIONS_OF_SOME = sizeof options_of_some / sizeof *options_of_some };

/* The formats that take an option: "csv and json". */
static void list_formats(unsigned flag, char *text, size_t size)
{
    size_t all = 0, used = 0;
    for (size_t i = 0; i < raw_format_count; ++i)
        all += (raw_formats[i]->takes & flag) != 0;
    for (size_t i = 0, listed = 0; i < raw_format_count && used < size; ++i)
        if (raw_formats[i]->takes & flag) {
            const char *between = listed == 0 ? "" : listed + 1 == all ? " and " : ", ";
            used += (size_t)snprintf(text + used, size - used, "%s%s", between, raw_formats[i]->name);
            ++listed;
        }
}

static sr_status fail_foreign_option(const raw_format *format, const char *option, unsigned flag, sr_error *error)
{
    char list[512] = "";
    if (flag == TAKES_TIMES)
        return sr_fail(error, SR_ERROR_USAGE, "%s: --format %s has no time stamps", option, format->name);
    list_formats(flag, list, sizeof list);
    return sr_fail(error, SR_ERROR_USAGE, "%s belongs to --format %s, not to %s", option, list, format->name);
}

#define NEEDS_COLUMNS "--format %s needs --columns, as in --columns %s: columns cannot be guessed"

sr_status raw_format_check(const raw_format *format, const reader_options *options, sr_error *error)
{
    for (size_t i = 0; i < OPTIONS_OF_SOME; ++i)
        if (options_of_some[i].is_given(options) && !(format->takes & options_of_some[i].flag))
            return fail_foreign_option(format, options_of_some[i].name, options_of_some[i].flag, error);
    if (format->needs_columns && !options->columns)
        return sr_fail(error, SR_ERROR_USAGE, NEEDS_COLUMNS, format->name, format->needs_columns);
    for (size_t i = 0; i < format->rule_count; ++i)
        if (format->rules[i].breaks(options))
            return sr_fail(error, SR_ERROR_USAGE, "%s", format->rules[i].reason);
    return SR_OK;
}

/* ---- documentation ---- */

/* An element of a list, in lines that end before column 120. */
__attribute__((format(printf, 2, 3))) static void write_element(FILE *file, const char *format, ...)
{
    enum { WIDTH = 118 };
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t column = 1;
    fputc('-', file);
    for (const char *word = text; *word;) {
        const size_t length = strcspn(word, " ");
        const bool breaks = column + 1 + length > WIDTH;
        fprintf(file, "%s%.*s", breaks ? "\n  " : " ", (int)length, word);
        column = breaks ? 2 + length : column + 1 + length;
        word += length + strspn(word + length, " ");
    }
    fputc('\n', file);
}

static void describe_options(const raw_format *format, FILE *file)
{
    char names[512] = "";
    for (size_t i = 0; i < OPTIONS_OF_SOME; ++i)
        if (format->takes & options_of_some[i].flag & ~(unsigned)TAKES_TIMES) {
            const size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s `%s`", used > 0 ? "," : "", options_of_some[i].name);
        }
    if (*names)
        write_element(file, "Options of its own:%s.", names);
}

static void describe_format(const raw_format *format, FILE *file)
{
    fprintf(file, "\n## %s\n\n", format->name);
    write_element(file, "Lines: %s.", format->help);
    if (format->note)
        write_element(file, "%s.", format->note);
    if (format->files)
        write_element(file, "Files: `%s`.", format->files);
    write_element(file, "Time stamps: %s.", format->times);
    describe_options(format, file);
    if (format->needs_columns)
        write_element(file, "Refused: " NEEDS_COLUMNS ".", format->name, format->needs_columns);
    for (size_t rule = 0; rule < format->rule_count; ++rule)
        write_element(file, "Refused: %s.", format->rules[rule].reason);
}

void raw_formats_describe(FILE *file, bool markdown)
{
    if (markdown)
        fputs("# Raw formats\n\n"
              "<!-- Written by \"srprep formats --markdown\" from the rows of the formats. -->\n\n"
              "`srprep convert --format FORMAT` reads these. [data.md](data.md) says what holds for all of them.\n"
              "\"Refused\" are the messages to options that do not go together.\n",
              file);
    for (size_t i = 0; i < raw_format_count; ++i)
        if (markdown)
            describe_format(raw_formats[i], file);
        else
            fprintf(file, "  %-16s %s\n", raw_formats[i]->name, raw_formats[i]->help);
}

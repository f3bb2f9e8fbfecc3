/* srprep export: the sequences of a data set as text, in the identifiers of the raw data. Converting the text again gives the
 * same sequences. */
#include "commands.h"
#include "srtrain/command_line.h"
#include "srtrain/dataset.h"
#include "srtrain/output_file.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *directory, *output;
    bool csv, parts;
} export_options;

static sr_status read_options(int argument_count, char **arguments, export_options *o, sr_error *error)
{
    static const char *const formats[] = {"sequences", "csv", NULL};
    int format;
    const sr_option options[] = {
        {.name = "output", .file = &o->output, .help = "where the text goes; standard output by default"},
        {.name = "format",
         .choice = &format,
         .choices = formats,
         .standard = "sequences",
         .help = "a user a line (sequences), or an interaction a line"},
        {.name = "parts", .flag = &o->parts, .help = "of csv: a further column, which says train, valid or test"}};
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, "DIR", &o->directory, options,
                                sizeof options / sizeof *options, error));
    o->csv = format == 1;
    if (o->parts && !o->csv)
        return sr_fail(error, SR_ERROR_USAGE, "--parts belongs to --format csv");
    if (o->output && access(o->output, F_OK) == 0)
        return sr_fail(error, SR_ERROR_USAGE, "--output %s: exists already; name another file, or delete it first", o->output);
    return SR_OK;
}

/* ---- identifiers ---- */

/* An identifier as one word, as format `sequences` reads it. */
static sr_status put_word(const sr_dataset *dataset, const char *text, size_t length, FILE *to, sr_error *error)
{
    for (size_t i = 0; i < length; ++i)
        if (strchr(" \t\r\n", text[i]))
            return sr_fail(error, SR_ERROR_DATA,
                           "%s: the identifier \"%.*s\" holds blanks or line ends, which format sequences cannot show; use "
                           "--format csv",
                           sr_dataset_directory(dataset), (int)length, text);
    fwrite(text, 1, length, to);
    return SR_OK;
}

/* An identifier as a field of RFC 4180. */
static void put_field(const char *text, size_t length, FILE *to)
{
    bool quoted = false;
    for (size_t i = 0; i < length; ++i)
        quoted = quoted || strchr(",\"\r\n", text[i]);
    if (!quoted) {
        fwrite(text, 1, length, to);
        return;
    }
    putc('"', to);
    for (size_t i = 0; i < length; ++i) {
        if (text[i] == '"')
            putc('"', to);
        putc(text[i], to);
    }
    putc('"', to);
}

/* ---- formats ---- */

static sr_status write_sequences(const sr_dataset *dataset, FILE *to, sr_error *error)
{
    for (size_t user = 0; user < sr_dataset_users(dataset) && !ferror(to); ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        size_t length;
        const char *name = sr_dataset_user_name(dataset, user, &length);
        if (user == 0 && length >= 3 && memcmp(name, "\xEF\xBB\xBF", 3) == 0)
            return sr_fail(error, SR_ERROR_DATA,
                           "%s: the first identifier begins with a byte-order mark, which readers skip; use --format csv",
                           sr_dataset_directory(dataset));
        SR_TRY(put_word(dataset, name, length, to, error));
        for (size_t i = 0; i < sequence.length; ++i) {
            putc(' ', to);
            name = sr_dataset_item_name(dataset, (size_t)sequence.items[i], &length);
            SR_TRY(put_word(dataset, name, length, to, error));
        }
        putc('\n', to);
    }
    return SR_OK;
}

static void write_csv(const sr_dataset *dataset, bool parts, FILE *to)
{
    const bool times = sr_dataset_has_times(dataset);
    fprintf(to, "user,item%s%s\n", times ? ",time" : "", parts ? ",part" : "");
    for (size_t user = 0; user < sr_dataset_users(dataset) && !ferror(to); ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        size_t user_length, item_length;
        const char *name = sr_dataset_user_name(dataset, user, &user_length);
        for (size_t i = 0; i < sequence.length; ++i) {
            const char *item = sr_dataset_item_name(dataset, (size_t)sequence.items[i], &item_length);
            put_field(name, user_length, to);
            putc(',', to);
            put_field(item, item_length, to);
            if (times)
                fprintf(to, ",%" PRId64, sequence.times[i]);
            if (parts)
                fputs(i < sequence.train_end ? ",train" : i < sequence.valid_end ? ",valid" : ",test", to);
            putc('\n', to);
        }
    }
}

static sr_status write_text(const export_options *o, const sr_dataset *dataset, sr_error *error)
{
    sr_output_file file;
    SR_TRY(sr_output_file_open(&file, o->output, error));
    sr_status status = SR_OK;
    if (o->csv)
        write_csv(dataset, o->parts, file.stream);
    else
        status = write_sequences(dataset, file.stream, error);
    return sr_output_file_close(&file, status, error);
}

sr_status command_export(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    export_options options = {.directory = NULL};
    sr_dataset *dataset;
    SR_TRY(read_options(argument_count, arguments, &options, error));
    if (sr_parallel_rank(parallel) != 0)
        return SR_OK;
    SR_TRY(sr_dataset_open(&dataset, options.directory, error));
    sr_status status = sr_dataset_verify(dataset, 0, 1, error);
    if (status == SR_OK)
        status = write_text(&options, dataset, error);
    sr_dataset_close(dataset);
    return status;
}

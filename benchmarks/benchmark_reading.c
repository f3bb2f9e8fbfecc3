/* benchmark_reading: how fast raw files are parsed on one core. For each format it writes a file of made-up interactions, reads
 * it several times into a sink that only adds up, and prints medians. */
#include "base/units.h"
#include "readers/reader.h"
#include "srtrain/clock.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_REPETITIONS = 99 };

/* One interaction of the made-up data. */
typedef struct {
    uint64_t user, item, time;
    unsigned rating;
} row;

typedef struct {
    const char *label, *format;
    reader_options options;
    const char *header;
    void (*write)(FILE *file, const row *one, uint64_t number);
    unsigned rows_divisor; /* long lines: so many times fewer */
} measured_format;

static void write_pair(FILE *file, const row *one, uint64_t number)
{
    (void)number;
    fprintf(file, "%" PRIu64 " %" PRIu64 "\n", one->user, one->item);
}

static void write_double_colon(FILE *file, const row *one, uint64_t number)
{
    (void)number;
    fprintf(file, "%" PRIu64 "::%" PRIu64 "::%u::%" PRIu64 "\n", one->user, one->item, one->rating, one->time);
}

static void write_comma(FILE *file, const row *one, uint64_t number)
{
    (void)number;
    fprintf(file, "A%013" PRIu64 ",B%09" PRIu64 ",%u.0,%" PRIu64 "\n", one->user, one->item, one->rating, one->time);
}

static void write_quoted(FILE *file, const row *one, uint64_t number)
{
    (void)number;
    fprintf(file, "\"A%013" PRIu64 "\",\"B%09" PRIu64 "\",%u.0,\"a \"\"title\"\", and more\",%" PRIu64 "\n", one->user,
            one->item, one->rating, one->time);
}

static void write_date(FILE *file, const row *one, uint64_t number)
{
    (void)number;
    fprintf(file, "A%013" PRIu64 ",B%09" PRIu64 ",%u.0,20%02d-%02d-%02dT%02d:%02d:%02d.%03dZ\n", one->user, one->item,
            one->rating, (int)(one->time % 25), (int)(one->time % 12) + 1, (int)(one->time % 28) + 1, (int)(one->time % 24),
            (int)(one->time % 60), (int)(one->time / 60 % 60), (int)(one->time % 1000));
}

/* Some 700 bytes, as a review has in the mean. */
static void write_review(FILE *file, const row *one, uint64_t number)
{
    static const char words[] = "Bought this for my daughter and she has used it every day since; it holds its tune well, "
                                "though the \\\"case\\\" that comes with it is "
                                "thin. The strings needed replacing after a month. For the price there is nothing better, and "
                                "shipping was quick. I would buy it "
                                "again, and I have told friends to. Five stars for value, four for the finish: a little glue "
                                "shows at the neck, which nobody will "
                                "see from the front row anyway. ";
    fprintf(
        file,
        "{\"reviewerID\": \"A%013" PRIu64 "\", \"asin\": \"B%09" PRIu64
        "\", \"reviewerName\": \"Somebody\", \"helpful\": [%u, 3], \"reviewText\": \"%s%.*s\", \"overall\": %u.0, \"summary\": "
        "\"Good for the price\", \"unixReviewTime\": %" PRIu64 ", \"reviewTime\": \"02 28, 2014\"}\n",
        one->user, one->item, one->rating % 3, words, (int)(number % 80), words, one->rating, one->time);
}

static const measured_format formats[] = {
    {.label = "pairs", .format = "pairs", .write = write_pair},
    {.label = "movielens-1m", .format = "movielens-1m", .write = write_double_colon},
    {.label = "amazon-csv", .format = "amazon-csv", .write = write_comma},
    {.label = "csv",
     .format = "csv",
     .options = {.columns = "user=user,item=item,rating=rating,time=time", .header = true},
     .header = "user,item,rating,time\n",
     .write = write_comma},
    {.label = "csv with quotes",
     .format = "csv",
     .options = {.columns = "user=0,item=1,rating=2,time=4"},
     .write = write_quoted},
    {.label = "csv with dates", .format = "csv", .options = {.columns = "user=0,item=1,rating=2,time=3"}, .write = write_date},
    {.label = "amazon-json", .format = "amazon-json", .write = write_review, .rows_divisor = 8},
};

static sr_status write_file(const measured_format *format, const char *path, uint64_t rows, sr_error *error)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be written", path);
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, 0);
    fputs(format->header ? format->header : "", file);
    for (uint64_t i = 0; i < rows; ++i) {
        const row one = {.user = sr_random_below(stream, i, 0, 5000000),
                         .item = sr_random_below(stream, i, 1, 300000),
                         .time = 1300000000 + sr_random_below(stream, i, 2, 100000000),
                         .rating = 1 + (unsigned)sr_random_below(stream, i, 3, 5)};
        format->write(file, &one, i);
    }
    const bool failed = ferror(file) != 0;
    return fclose(file) != 0 || failed ? sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be written", path) : SR_OK;
}

/* Takes an interaction as cheaply as can be without its being optimised away. */
static sr_status add_up(void *context, const reader_record *record, sr_error *error)
{
    (void)error;
    *(uint64_t *)context += (uint64_t)record->time + record->user_length + record->item_length + (uint64_t)record->rating;
    return SR_OK;
}

static sr_status measure(const measured_format *format, const char *path, uint64_t rows, size_t repetitions, sr_error *error)
{
    double seconds[MOST_REPETITIONS];
    uint64_t sum = 0, size = 0;
    const reader_sink sink = {add_up, &sum};
    for (size_t i = 0; i < repetitions; ++i) {
        static parse_report report;
        memset(&report, 0, sizeof report);
        reader_facts facts = {.known = false};
        reader_part part = {.path = path, .end = UINT64_MAX};
        const double start = sr_seconds();
        SR_TRY(reader_read(raw_format_find(format->format), &format->options, &part, &sink, &report, &facts, error));
        seconds[i] = sr_seconds() - start;
        if (report.records != rows)
            return sr_fail(error, SR_ERROR_RUNTIME, "%s: %" PRIu64 " interactions were read of %" PRIu64, format->label,
                           report.records, rows);
    }
    SR_TRY(lines_divisible_size(path, &size, error));
    qsort(seconds, repetitions, sizeof *seconds, sr_compare_doubles);
    const double median = seconds[repetitions / 2];
    printf("%-16s %10" PRIu64 " %12.0f %18.2f %18.2f %12.0f\n", format->label, rows, (double)size / (double)rows,
           (double)rows / median / 1e6, (double)rows / seconds[0] / 1e6, (double)size / median / 1e6);
    return SR_OK;
}

/* A whole number from 1 to `most`, or 0. */
static uint64_t read_number(const char *text, uint64_t most)
{
    uint64_t number = 0;
    return sr_read_whole(text, &number) && number <= most ? number : 0;
}

int main(int argument_count, char **arguments)
{
    const uint64_t rows = argument_count > 1 ? read_number(arguments[1], 1000000000) : 2000000;
    const uint64_t repetitions = argument_count > 2 ? read_number(arguments[2], MOST_REPETITIONS) : 5;
    if (argument_count > 3 || rows < 8 || repetitions == 0) {
        fprintf(stderr, "usage: benchmark_reading [INTERACTIONS [REPETITIONS]]\n");
        return SR_ERROR_USAGE;
    }
    sr_error error = {.status = SR_OK};
    char path[256];
    snprintf(path, sizeof path, "%s/srtrain-reading-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    printf("parsing alone, one core, plain files from the page cache; median of %" PRIu64 "\n", repetitions);
    printf("%-16s %10s %12s %18s %18s %12s\n", "format", "lines", "bytes a line", "million lines/s", "fastest", "MB/s");
    for (size_t i = 0; i < sizeof formats / sizeof *formats && error.status == SR_OK; ++i) {
        const uint64_t count = formats[i].rows_divisor ? rows / formats[i].rows_divisor : rows;
        if (write_file(&formats[i], path, count, &error) == SR_OK)
            (void)measure(&formats[i], path, count, (size_t)repetitions, &error);
        unlink(path);
    }
    if (error.status != SR_OK)
        fprintf(stderr, "%s\n", error.message);
    return (int)error.status;
}

#include "check_reader.h"

#include "readers/reading.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

/* Everything that was read from a file, in few numbers. */
typedef struct {
    parse_report report;
    reader_facts facts;
    uint64_t count;
    uint64_t hash; /* of all interactions, in their order */
    sr_status status;
    const char *wrong; /* the first thing that did not hold */
} outcome;

static void demand(outcome *all, bool holds, const char *what)
{
    if (!holds && !all->wrong)
        all->wrong = what;
}

static sr_status collect(void *context, const interaction *record, sr_error *error)
{
    outcome *all = context;
    (void)error;
    demand(all, record->user_length > 0 && record->user_length <= LINES_IDENTIFIER_MAXIMUM, "length of the user");
    demand(all, record->item_length > 0 && record->item_length <= LINES_IDENTIFIER_MAXIMUM, "length of the item");
    demand(all, !memchr(record->user, '\0', record->user_length), "no null bytes in the user");
    demand(all, !memchr(record->item, '\0', record->item_length), "no null bytes in the item");
    demand(all, record->line > 0, "number of the line");
    demand(all, record->rating - record->rating == 0, "rating is finite");
    const uint64_t parts[] = {XXH3_64bits(record->user, record->user_length), XXH3_64bits(record->item, record->item_length),
                              (uint64_t)record->time, (uint64_t)record->file};
    ++all->count;
    all->hash = XXH3_64bits_withSeed(parts, sizeof parts, all->hash);
    all->hash = XXH3_64bits_withSeed(&record->rating, sizeof record->rating, all->hash);
    return SR_OK;
}

static void read_part(const raw_format *format, const reader_options *options, const char *path, uint64_t begin, uint64_t end,
                      outcome *all)
{
    const reader_sink sink = {collect, all};
    reader_part part = {.path = path, .begin = begin, .end = end};
    sr_error error = {.status = SR_OK};
    all->status = reader_read(format, options, &part, &sink, &all->report, &all->facts, &error);
    demand(all, all->status == error.status, "an error has its status");
    demand(all, all->status == SR_OK || *error.message, "an error has a message");
    demand(all, memchr(error.message, '\0', sizeof error.message), "a message ends");
}

/* Whether a line may hold several interactions, of which some may be left out. */
static bool has_long_lines(const raw_format *format, const reader_options *options)
{
    return !(format->takes & TAKES_TIMES) || format->records == json_read ||
           (options->columns && strstr(options->columns, "items="));
}

static void check_counts(const raw_format *format, const reader_options *options, outcome *all)
{
    const parse_report *report = &all->report;
    demand(all, all->count == report->records, "records are counted");
    uint64_t accounted = report->records + report->continued;
    for (size_t reason = 0; reason < DROP_REASONS; ++reason)
        accounted += report->dropped[reason];
    if (all->status == SR_OK && !has_long_lines(format, options))
        demand(all, report->lines == accounted, "each line is a record, continues one or is dropped");
    if (all->status == SR_OK)
        demand(all, report->lines <= accounted, "each line holds records, continues one or is dropped");
    for (size_t reason = 0; reason < DROP_REASONS; ++reason)
        for (size_t i = 0; i < report->example_count[reason]; ++i)
            demand(all, memchr(report->examples[reason][i].found, '\0', REPORT_TEXT_SIZE), "an example ends");
    const char *paths[] = {"file"};
    sr_error error = {.status = SR_OK};
    demand(all, parse_report_judge(report, paths, &error) == error.status, "the judgement has its status");
}

static bool same_facts(const reader_facts *left, const reader_facts *right)
{
    return left->known == right->known && left->has_times == right->has_times && left->has_ratings == right->has_ratings &&
           left->times.unit == right->times.unit && left->times.decimals == right->times.decimals;
}

/* A file that is read in two parts gives the same. */
static void check_parts(const raw_format *format, const reader_options *options, const char *path, uint64_t size,
                        outcome *whole, uint64_t cut)
{
    outcome all = {.facts = whole->facts};
    reader_facts facts = {.known = false};
    uint64_t divisible = 0;
    sr_error error;
    demand(whole, reader_divisible_size(format, options, path, &divisible, &error) == SR_OK, "the size can be found out");
    if (divisible == 0)
        return;
    demand(whole, divisible == size, "the size is the size");
    demand(whole, reader_prepare(format, options, &path, 1, &facts, &error) == SR_OK, "what can be read can be looked at");
    demand(whole, same_facts(&facts, &whole->facts), "a look tells the facts");
    read_part(format, options, path, 0, cut, &all);
    demand(whole, all.status == SR_OK, "the first part can be read");
    read_part(format, options, path, cut, UINT64_MAX, &all);
    demand(whole, all.status == SR_OK, "the second part can be read");
    demand(whole, all.count == whole->count && all.hash == whole->hash, "parts have the same records");
    demand(whole, all.report.lines == whole->report.lines, "parts have the same lines");
    demand(whole, memcmp(all.report.dropped, whole->report.dropped, sizeof all.report.dropped) == 0,
           "parts drop the same lines");
    demand(whole, all.report.cut.count == whole->report.cut.count, "parts cut the same time stamps");
    demand(whole, all.report.marked.count == whole->report.marked.count, "parts have the same marks");
    demand(whole, !all.wrong, "parts have nothing wrong of their own");
}

/* Which lines are read, and which parts of them. */
static void choose_lines(const raw_format *format, size_t count, reader_options *options)
{
    static const char *const chosen[] = {"0=a,u,v", "u=a,u,v,1", "e.k=x,true"};
    static const char *const lists[] = {"user=0,items=1", "user=u,items=i,times=t", "items=1,item=0,time=2",
                                        "user=u,items=i,item=r"};
    if (format->takes & TAKES_WHERE && count % 4 == 1) {
        options->where = &chosen[format->records == json_read ? 1 + count / 4 % 2 : options->header];
        options->where_count = 1;
    }
    if (format->takes & TAKES_LISTS && format->needs_columns && count % 3 == 1) {
        options->columns = lists[count / 3 % 2 * 2 + options->header];
        options->list_separator = count % 2 ? "," : NULL;
    }
    options->no_user = format->takes & TAKES_NO_USER && !(options->columns && strstr(options->columns, "user=")) &&
                       (options->columns || count % 5 == 1);
    options->counted = format->takes & TAKES_COUNTED && count % 3 == 0;
    options->comment = format->takes & TAKES_COMMENT && count % 5 == 2 ? "#" : NULL;
    options->ragged = format->takes & TAKES_RAGGED && count % 2 == 1;
    if (format->records == json_read && format->needs_columns && count % 2 == 0)
        options->columns = "user=u,item=e.i,time=e.t";
    if (format->takes & TAKES_DELIMITER && count % 7 == 3) {
        options->delimiter = "blanks";
        options->multiline_quotes = false;
    }
}

/* What is asked for depends on the size of the file, so that a file needs nothing but its bytes. */
static reader_options choose_options(const raw_format *format, size_t count)
{
    static const char *const columns[] = {"user=0,item=1", "user=1,item=0,time=2,rating=3", "user=u,item=i,time=t",
                                          "user=i,item=u,rating=r"};
    static const char *const patterns[] = {"%Y-%m-%d", "%d/%m/%y %I:%M %p", "%Y %j", "%a %b %e %T.%f %z %Y"};
    static const char *const delimiters[] = {NULL, "::", "\t", ";"};
    reader_options options = {.strict = count % 11 == 3, .na_values = count % 3 == 1 ? "NA,,null" : NULL};
    if (format->takes & TAKES_COLUMNS)
        options.columns = format->needs_columns ? columns[format->takes & TAKES_DELIMITER ? count % 4 : 2 + count % 2] : NULL;
    if (format->takes & TAKES_DELIMITER) {
        options.delimiter = delimiters[count / 4 % 4];
        options.header = count % 4 >= 2 || count % 5 == 0;
        options.no_quotes = count % 7 == 6;
        options.multiline_quotes = count % 7 == 5;
    }
    if (format->takes & TAKES_TIMES) {
        options.times.unit = count % 13 == 5 ? TIME_NONE : (count % 13 == 7 ? TIME_SECONDS : TIME_AUTO);
        options.times.has_decimals = options.times.rounds = count % 13 == 9;
        options.times.decimals = options.times.has_decimals ? 2 : 0;
        if (count % 13 == 11) {
            options.times.unit = TIME_ISO;
            strcpy(options.times.pattern, patterns[count / 13 % 4]);
        }
    }
    if (count / 16 % 2 == 1)
        choose_lines(format, count / 32, &options);
    return options;
}

/* Some hundred bytes of zlib or zstd can stand for megabytes of lines. They take a fuzzer seconds, in which it learns nothing
 * new. */
static bool grows_too_much(const char *path)
{
    enum { ENOUGH_BYTES = 1 << 16 };
    sr_error error;
    lines *file = NULL;
    size_t all = 0;
    if (lines_open(&file, path, &error) != SR_OK)
        return false;
    const char *text = NULL;
    size_t length = 0;
    while (all < ENOUGH_BYTES && lines_take(file, &text, &length, &error) == SR_OK && text)
        all += length + 1;
    lines_close(file);
    return all >= ENOUGH_BYTES;
}

const char *check_reader(const char *name, const void *bytes, size_t count)
{
    const raw_format *format = raw_format_find(name);
    if (!format)
        return "the format is known";
    const reader_options options = choose_options(format, count);
    const int descriptor = memfd_create("raw", 0);
    if (descriptor < 0 || write(descriptor, bytes, count) != (ssize_t)count)
        return "a file can be made";
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    if (grows_too_much(path)) {
        close(descriptor);
        return NULL;
    }
    outcome whole = {.count = 0};
    read_part(format, &options, path, 0, UINT64_MAX, &whole);
    check_counts(format, &options, &whole);
    if (whole.status == SR_OK && count > 1 && count % 3 != 0)
        check_parts(format, &options, path, count, &whole, 1 + (count * 7919) % (count - 1));
    close(descriptor);
    return whole.wrong;
}

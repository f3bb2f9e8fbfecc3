/* One log of interactions, written in every raw format, becomes the same data set. */
#include "program.h"
#include "srtrain/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { ROWS = 3000, USERS = 90, ITEMS = 70 };

typedef struct {
    unsigned user, item;
    int64_t time;
    double rating; /* a multiple of 0.5 */
} row;

typedef struct {
    char directory[128];
    row rows[ROWS];
    program_result result;
} world;

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    uint64_t random = 7;
    *state = w;
    if (!w)
        return -1;
    program_make_directory(w->directory, sizeof w->directory);
    for (size_t i = 0; i < ROWS; ++i)
        w->rows[i] = (row){.user = next_random(&random) % USERS,
                           .item = next_random(&random) % ITEMS,
                           .time = 1400000000 + next_random(&random) % 5000, /* with ties */
                           .rating = 0.5 * (1 + next_random(&random) % 10)};
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    program_remove_directory(w->directory);
    free(w);
    return 0;
}

/* ---- writing ---- */

/* Identifiers of several kinds: leading zeros, a leading dash, bytes beyond ASCII, and what others take for a missing value. */
static const char *user_name(unsigned user, char name[32])
{
    static const char *const kinds[] = {"%u", "0%u", "-u_%u", "\xC3\xA9%u", "NA%u"};
    snprintf(name, 32, kinds[user % 5], user);
    return name;
}

static const char *item_name(unsigned item, char name[32])
{
    snprintf(name, 32, item % 2 ? "B%07u" : "%09u", item);
    return name;
}

static void print_date(FILE *file, int64_t moment, const char *format)
{
    const time_t time = (time_t)moment;
    struct tm parts;
    char text[64];
    assert_non_null(gmtime_r(&time, &parts));
    assert_true(strftime(text, sizeof text, format, &parts) > 0);
    fputs(text, file);
}

/* Writes a row by a pattern: %U, %I, %R, %T stand for user, item, rating, time; %D and %Z for the time as a date and in ISO
 * 8601 with an offset, %M for milliseconds, %F for a number with decimals. */
static void write_row(FILE *file, const row *one, const char *pattern)
{
    char name[32];
    for (const char *at = pattern; *at; ++at) {
        if (*at != '%') {
            fputc(*at, file);
            continue;
        }
        switch (*++at) {
        case 'U':
            fputs(user_name(one->user, name), file);
            break;
        case 'I':
            fputs(item_name(one->item, name), file);
            break;
        case 'R':
            fprintf(file, "%.1f", one->rating);
            break;
        case 'T':
            fprintf(file, "%lld", (long long)one->time);
            break;
        case 'F':
            fprintf(file, "%lld.000", (long long)one->time);
            break;
        case 'M':
            fprintf(file, "%lld000", (long long)one->time);
            break;
        case 'D':
            print_date(file, one->time, "%Y-%m-%d %H:%M:%S");
            break;
        case 'Z':
            print_date(file, one->time + 5400, "%Y-%m-%dT%H:%M:%S+01:30");
            break;
        default:
            fail_msg("\"%s\" has an unknown place", pattern);
        }
    }
}

/* Writes rows [begin, end) to DIRECTORY/NAME. */
static void write_file(const world *w, const char *name, const char *header, const char *pattern, size_t begin, size_t end)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(header, file);
    for (size_t i = begin; i < end; ++i)
        write_row(file, &w->rows[i], pattern);
    assert_int_equal(fclose(file), 0);
}

/* The fingerprint of what `arguments` convert, with DIRECTORY/NAME as input. */
static void convert(world *w, const char *arguments, const char *name, char fingerprint[64])
{
    char directory[256];
    sr_dataset *dataset;
    sr_error error;
    snprintf(directory, sizeof directory, "%s/converted", w->directory);
    run_srprep(&w->result, "convert %s --strict --input %s/%s --output %s", arguments, w->directory, name, directory);
    assert_code(&w->result, 0);
    if (sr_dataset_open(&dataset, directory, &error) != SR_OK)
        fail_msg("%s", error.message);
    snprintf(fingerprint, 64, "%s", sr_dataset_fingerprint(dataset));
    sr_dataset_close(dataset);
    program_remove_directory(directory);
}

/* ---- tests ---- */

/* How a log with times is written and read. */
static const struct {
    const char *arguments, *header, *pattern;
} timed[] = {
    {"--format movielens-100k", "", "%U\t%I\t%R\t%T\n"},
    {"--format movielens-1m", "", "%U::%I::%R::%T\r\n"},
    {"--format movielens-csv", "\xEF\xBB\xBFuserId,movieId,rating,timestamp\r\n", "%U,%I,%R,%T\r\n"},
    {"--format movielens-csv", "tag,timestamp,rating,movieId,userId\n", "\"a, b\",%T,%R,\"%I\",%U\n"},
    {"--format recbole", "rating:float\titem_id:token\tuser_id:token\ttimestamp:float\n", "%R\t%I\t%U\t%F\n"},
    {"--format amazon-csv", "", "%U,%I,%R,%T\n"},
    {"--format amazon-csv-2018", "", "%I,%U,%R,%T\n"},
    {"--format amazon-json", "",
     "{\"reviewerID\": \"%U\", \"asin\": \"%I\", \"helpful\": [0, 0], \"reviewText\": \"a \\\"b\\\" \\u00e9, {}\", "
     "\"overall\": %R, \"unixReviewTime\": %T}\n"},
    {"--format amazon-json", "",
     "{\"style\":{\"asin\":\"x\"},\"unixReviewTime\":%F,\"overall\":\"%R\",\"asin\":\"%I\",\"reviewerID\":\"%U\"}\r\n"},
    {"--format yelp-json", "", "{\"user_id\":\"%U\",\"business_id\":\"%I\",\"stars\":%R,\"text\":\"\\n\",\"date\":\"%D\"}\n"},
    {"--format csv --columns user=2,item=0,rating=3,time=1", "", "%I,%T,%U,%R\n"},
    {"--format csv --columns user=2,item=0,rating=3,time=1 --no-quotes --delimiter '|+|'", "", "%I|+|%T|+|%U|+|%R|+|\"\n"},
    {"--format csv --header --delimiter '\\t' --columns user=who,item=what,rating=stars,time=when",
     "when\t\"wh\"\"y\n\"\twhat\tstars\twho\n", "%Z\t\"two\nlines\"\t%I\t%R\t\"%U\"\n"},
    {"--format csv --header --delimiter ';' --columns user=0,item=1,rating=2,time=3 --time-unit iso", "a;b;c;d\n",
     "%U;%I;%R;%D\n"},
    {"--format json --columns user=u,item=i,rating=r,time=t --time-unit seconds", "",
     "{\"r\":%R,\"t\":\"%T\",\"u\":\"%U\",\"i\":\"%I\"}\n"},
};
enum { TIMED = sizeof timed / sizeof *timed };

static void every_format_with_times_gives_the_same_data_set(void **state)
{
    world *w = *state;
    char first[64] = "", fingerprint[64], arguments[512];
    for (int rated = 0; rated < 2; ++rated) /* ratings are not stored: a threshold shows that they are read */
        for (size_t i = 0; i < TIMED; ++i) {
            snprintf(arguments, sizeof arguments, "%s%s", timed[i].arguments,
                     rated ? " --min-rating 2.5 --min-user 3 --min-item 3" : "");
            write_file(w, "log", timed[i].header, timed[i].pattern, 0, ROWS);
            convert(w, arguments, "log", fingerprint);
            if (i == 0)
                memcpy(first, fingerprint, sizeof first);
            if (strcmp(first, fingerprint) != 0)
                fail_msg("%s: another data set than by %s", timed[i].arguments, timed[0].arguments);
        }
}

static void units_change_the_times_and_nothing_else(void **state)
{
    world *w = *state;
    char milliseconds[64], fraction[64], seconds[64], cut[64];
    write_file(w, "log", "", "%U,%I,%R,%M\n", 0, ROWS);
    convert(w, "--format amazon-csv --time-unit milliseconds", "log", milliseconds);
    write_file(w, "log", "", "%U,%I,%R,%T\n", 0, ROWS);
    convert(w, "--format amazon-csv", "log", seconds);
    write_file(w, "log", "", "%U,%I,%R,%T.5\n", 0, ROWS);
    convert(w, "--format amazon-csv", "log", fraction);
    convert(w, "--format amazon-csv --time-decimals 0", "log", cut);
    assert_string_not_equal(milliseconds, seconds);
    assert_string_not_equal(fraction, seconds);
    assert_string_equal(cut, seconds);
}

static void files_and_compression_make_no_difference(void **state)
{
    world *w = *state;
    char first[64], fingerprint[64], command[1024];
    write_file(w, "log", "userId,movieId,rating,timestamp\n", "%U,%I,%R,%T\n", 0, ROWS);
    convert(w, "--format movielens-csv", "log", first);
    snprintf(command, sizeof command, "gzip -c %s/log > %s/packed", w->directory, w->directory);
    assert_int_equal(system(command), 0);
    convert(w, "--format movielens-csv", "packed", fingerprint);
    assert_string_equal(fingerprint, first);
    snprintf(command, sizeof command, "(head -c 20000 %s/log | gzip; tail -c +20001 %s/log | gzip) > %s/packed", w->directory,
             w->directory, w->directory);
    assert_int_equal(system(command), 0);
    convert(w, "--format movielens-csv", "packed", fingerprint);
    assert_string_equal(fingerprint, first);
    snprintf(command, sizeof command, "rm -rf %s/parts && mkdir %s/parts", w->directory, w->directory);
    assert_int_equal(system(command), 0);
    write_file(w, "parts/1", "userId,movieId,rating,timestamp\n", "%U,%I,%R,%T\n", 0, 1000);
    write_file(w, "parts/2", "timestamp,movieId,rating,userId\n", "%T,%I,%R,%U\n", 1000, 1001);
    write_file(w, "parts/3", "userId,movieId,rating,timestamp\n", "", 0, 0);
    write_file(w, "parts/4", "", "", 0, 0);
    write_file(w, "parts/5", "userId,movieId,rating,timestamp", "\n%U,%I,%R,%T", 1001, ROWS);
    convert(w, "--format movielens-csv", "parts", fingerprint);
    assert_string_equal(fingerprint, first);
}

static void pipes_are_read_once(void **state)
{
    world *w = *state;
    char first[64], command[1024], directory[256];
    sr_dataset *dataset;
    sr_error error;
    write_file(w, "log", "userId,movieId,rating,timestamp\n", "%U,%I,%R,%T.25\n", 0, ROWS);
    convert(w, "--format movielens-csv", "log", first);
    snprintf(command, sizeof command,
             "cd %s && mkfifo pipe && (cat log > pipe &) && %s/srprep convert --format movielens-csv --input pipe --output "
             "frompipe && "
             "cat log | %s/srprep convert --format movielens-csv --input - --output from-",
             w->directory, getenv("SRTRAIN_BINARY_DIRECTORY"), getenv("SRTRAIN_BINARY_DIRECTORY"));
    assert_int_equal(system(command), 0);
    for (int i = 0; i < 2; ++i) {
        snprintf(directory, sizeof directory, "%s/from%s", w->directory, i ? "pipe" : "-");
        if (sr_dataset_open(&dataset, directory, &error) != SR_OK)
            fail_msg("%s", error.message);
        assert_string_equal(sr_dataset_fingerprint(dataset), first);
        sr_dataset_close(dataset);
    }
}

static int compare_rows(const void *left, const void *right)
{
    const row *a = left, *b = right;
    if (a->user != b->user)
        return a->user < b->user ? -1 : 1;
    return (a->time > b->time) - (a->time < b->time);
}

/* Writes one line a user: the rows are sorted. */
static void write_sequences(const world *w, const char *name)
{
    char path[256], text[32];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < ROWS; ++i) {
        if (i == 0 || w->rows[i].user != w->rows[i - 1].user)
            fprintf(file, "%s%s", i ? "\n" : "", user_name(w->rows[i].user, text));
        fprintf(file, " %s", item_name(w->rows[i].item, text));
    }
    assert_int_equal(fclose(file), 0);
}

static void every_format_without_times_gives_the_same_data_set(void **state)
{
    world *w = *state;
    char first[64], fingerprint[64];
    qsort(w->rows, ROWS, sizeof *w->rows,
          compare_rows); /* equal times may change places: the order is that of the file from here on */
    write_sequences(w, "log");
    convert(w, "--format sequences", "log", first);
    write_file(w, "log", "", "%U %I\n", 0, ROWS);
    convert(w, "--format pairs", "log", fingerprint);
    assert_string_equal(fingerprint, first);
    write_file(w, "log", "user_id:token\titem_id:token\n", "%U\t%I\n", 0, ROWS);
    convert(w, "--format recbole", "log", fingerprint);
    assert_string_equal(fingerprint, first);
    write_file(w, "log", "", "%U,%I,%R,%T\n", 0, ROWS);
    convert(w, "--format amazon-csv --time-unit none", "log", fingerprint);
    assert_string_equal(fingerprint, first);
    write_file(w, "log", "", "{\"u\":\"%U\",\"i\":\"%I\"}\n", 0, ROWS);
    convert(w, "--format json --columns user=u,item=i", "log", fingerprint);
    assert_string_equal(fingerprint, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_with_times_gives_the_same_data_set),
        cmocka_unit_test(units_change_the_times_and_nothing_else),
        cmocka_unit_test(files_and_compression_make_no_difference),
        cmocka_unit_test(pipes_are_read_once),
        cmocka_unit_test(every_format_without_times_gives_the_same_data_set),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

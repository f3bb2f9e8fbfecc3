/* Reports of runs: what is read of their directories, what is noted, and what stands on the page. */
#include "files.h"
#include "report/axis.h"
#include "report/markup.h"
#include "report/report.h"
#include "report/style.h"
#include "storage/directory_lock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define TRAIN(step, loss) \
    "{\"kind\":\"train\",\"step\":" step ",\"epoch\":1,\"loss\":" loss ",\"learning_rate\":0.001,\"seconds\":" step "}\n"
#define VALID(step, epoch, ndcg) \
    "{\"kind\":\"valid\",\"step\":" step ",\"epoch\":" epoch ",\"train_loss\":4,\"cases\":3,\"ndcg@10\":" ndcg "}\n"
#define TEST(more, hr) \
    "{\"kind\":\"test\",\"step\":20,\"epoch\":1," more "\"cases\":4,\"hr@2\":" hr ",\"hr@2_error\":0.25,\"ndcg@2\":0.5}\n"
#define LINES TRAIN("10", "6.5") TRAIN("20", "5.5") VALID("20", "1", "0.25") TRAIN("30", "5") VALID("40", "2", "0.125")
#define TIMES                                                                                                             \
    "{\"started\":\"2026-01-01T00:00:00Z\",\"epoch\":1,\"step\":20,\"steps\":20,\"seconds\":10,\"data\":1,\"forward\":2," \
    "\"loss\":1,\"backward\":3,\"reduction\":0,\"optimizer\":1,\"validation\":1,\"checkpoints\":0.5,\"test\":0,"          \
    "\"memory\":1048576,\"planned_memory\":2097152}\n"
#define ENVIRONMENT                                                                                                    \
    "{\"started\":\"2026-01-01T00:00:00Z\",\"rank_count\":2,\"cpu\":\"A <fast> one\",\"versions\":[\"MPI 4 & more\"]," \
    "\"ranks\":[{\"host\":\"n1\",\"node_rank\":0,\"threads\":1},{\"host\":\"n1\",\"node_rank\":1,\"threads\":1}]}\n"

/* ---- runs ---- */

static void write_file(const char *directory, const char *run, const char *name, const char *text)
{
    char path[FILES_PATH_SIZE];
    snprintf(path, sizeof path, "%.120s/%.40s", directory, run);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof path, "%.120s/%.40s/%.40s", directory, run, name);
    files_write_text(path, text);
}

static void write_run(const char *directory, const char *run, const char *metrics, const char *configuration)
{
    write_file(directory, run, "metrics.jsonl", metrics);
    write_file(directory, run, "times.jsonl", TIMES "{\"step\":40,\"ranks\":1,\"phases\":{}}\n");
    write_file(directory, run, "environment.json", ENVIRONMENT);
    write_file(directory, run, "config.yaml", configuration);
}

/* A report of up to three runs, which are removed then, with its page. */
typedef struct {
    report r;
    char paths[3][FILES_PATH_SIZE];
    const char *directories[3];
    size_t count;
    char *page;
    size_t size;
    sr_error error;
} world;

static sr_status read_runs(world *w, const char *directory, const char *const *runs, size_t count)
{
    *w = (world){.count = count, .r = {.program_version = "0"}};
    for (size_t i = 0; i < count; ++i) {
        snprintf(w->paths[i], sizeof w->paths[i], "%.120s/%.40s", directory, runs[i]);
        w->directories[i] = w->paths[i];
    }
    sr_status status = report_read(&w->r, w->directories, count, &w->error);
    if (status == SR_OK) {
        FILE *page = open_memstream(&w->page, &w->size);
        assert_non_null(page);
        status = report_write_page(page, &w->r, &w->error);
        assert_int_equal(fclose(page), 0);
    }
    return status;
}

static void free_runs(world *w)
{
    for (size_t i = 0; i < w->count; ++i)
        files_remove(w->paths[i]);
    report_free(&w->r);
    free(w->page);
}

static void assert_says(const world *w, const char *text)
{
    if (!strstr(w->page, text))
        fail_msg("the page does not say: %s", text);
}

static void assert_notes(const recorded_run *run, const char *text)
{
    for (size_t i = 0; i < run->note_count; ++i)
        if (strstr(run->notes[i], text))
            return;
    fail_msg("it is not noted: %s", text);
}

#define CONFIGURATION "data: {path: data}\ntraining: {seed: 7}\nevaluation: {top_k: [2, 10]}\n"

static void a_run_is_read_as_a_whole(void **state)
{
    world w;
    write_run(*state, "one", LINES TEST("\"baseline\":\"popularity\",", "0.25") TEST("", "0.75"), CONFIGURATION);
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"one"}, 1), SR_OK);
    const recorded_run *run = &w.r.runs[0];
    assert_int_equal(run->note_count, 0);
    assert_int_equal(run->state, RUN_IS_DONE);
    const curve *loss = recorded_curve(run, "train", "loss"), *metric = recorded_curve(run, "valid", "ndcg@10");
    assert_true(loss && loss->count == 3 && loss->points[1].value == 5.5 && loss->points[1].seconds == 20);
    assert_true(metric && metric->count == 2 && metric->points[1].seconds == 30);
    assert_true(loss->points[2].epoch == 1.5); /* 20 steps are an epoch */
    curve_point best;
    assert_true(recorded_best(run, &best) && best.step == 20);
    assert_true(test_value(&run->test, "hr@2") == 0.75 && test_value(&run->baseline, "hr@2") == 0.25);
    assert_true(run->times.seconds == 10 && run->times.parts[1] == 2 && run->times.memory == 1048576);
    assert_says(&w, "A &lt;fast&gt; one");
    assert_says(&w, "n1 (2 ranks)");
    assert_says(&w, "± 0.2500");
    assert_says(&w, "id=\"scale\"");
    assert_null(strstr(w.page, "http://"));
    assert_null(strstr(w.page, "https://"));
    free_runs(&w);
}

static void damaged_and_missing_files_are_named_with_their_lines(void **state)
{
    world w;
    write_run(*state, "torn",
              TRAIN("10", "6.5") "{\"kind\":\"train\",\"st\n" TRAIN("20", "null") "{\"kind\":\"train\",\"step\":3",
              "data: {path: data}\ntraining: {seed: x}\n");
    write_file(*state, "torn", "environment.json", "{\"started\":\n\"now\" oh\n");
    write_file(*state, "torn", "times.jsonl", "{\"seconds\":3}\n" TIMES "[]\n");
    write_file(*state, "bare", "metrics.jsonl", "{\"kind\":\"other\",\"step\":1,\"epoch\":1}\n{\"kind\":\"train\"}\n");
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"torn", "bare"}, 2), SR_OK);
    const recorded_run *torn = &w.r.runs[0], *bare = &w.r.runs[1];
    assert_notes(torn, "torn/metrics.jsonl:2: this is no JSON object, and is left out: \"{\"kind\":\"train\",\"st\"");
    assert_notes(torn, "torn/metrics.jsonl:4: this is no JSON object");
    assert_notes(torn, "torn/environment.json:2: this is no JSON object");
    assert_notes(torn, "torn/times.jsonl:1: this line lacks some of the times");
    assert_notes(torn, "torn/times.jsonl:3: this is no JSON object");
    assert_notes(torn, "torn/config.yaml:2:");
    assert_int_equal(torn->note_count, 6);
    assert_true(isnan(recorded_curve(torn, "train", "loss")->points[1].value));
    assert_notes(bare, "bare/metrics.jsonl:1: a line of the unknown kind \"other\"");
    assert_notes(bare, "bare/metrics.jsonl:2: this line has no kind, step or epoch");
    assert_notes(bare, "bare/config.yaml: is missing");
    assert_notes(bare, "bare/environment.json: is missing");
    assert_notes(bare, "bare/times.jsonl: is missing");
    assert_says(&w, "What could not be read");
    assert_says(&w, "metrics.jsonl:2: this is no JSON object, and is left out: &quot;{&quot;kind&quot;");
    free_runs(&w);
}

static void what_is_no_run_is_refused(void **state)
{
    world w;
    write_file(*state, "other", "readme", "nothing\n");
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"other"}, 1), SR_ERROR_DATA);
    assert_non_null(strstr(w.error.message, "other is no directory of a run: it has neither metrics.jsonl nor config.yaml"));
    free_runs(&w);
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"missing"}, 1), SR_ERROR_DATA);
    assert_non_null(strstr(w.error.message, "missing: No such file"));
    free_runs(&w);
}

/* Its last line may be incomplete without being damaged. */
static void a_run_that_is_still_going_is_shown_as_such(void **state)
{
    world w;
    char path[FILES_PATH_SIZE];
    directory_lock *lock;
    write_run(*state, "live", LINES "{\"kind\":\"train\",\"step\":3", CONFIGURATION);
    files_path(path, *state, "live");
    const directory_lock_options options = {.directory = path};
    assert_int_equal(directory_lock_take(&lock, &options, &w.error), SR_OK);
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"live"}, 1), SR_OK);
    assert_int_equal(w.r.runs[0].state, RUN_WORKS);
    assert_int_equal(w.r.runs[0].note_count, 0);
    assert_says(&w, "still going");
    assert_says(&w, "step 40 of 4000"); /* 200 epochs of 20 steps */
    directory_lock_release(lock);
    report_free(&w.r);
    free(w.page);
    files_write_text(strcat(path, "/lock"), "process 1 host elsewhere since 2026-01-01T00:00:00Z parent 1 ticks 1 job \n");
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"live"}, 1), SR_OK);
    assert_int_equal(w.r.runs[0].state, RUN_WAS_KILLED);
    assert_notes(&w.r.runs[0], "live/metrics.jsonl:6: this is no JSON object");
    free_runs(&w);
}

static void runs_are_compared(void **state)
{
    world w;
    static const char test[] = LINES TEST("\"baseline\":\"popularity\",", "0.25") TEST("", "0.75");
    static const char better[] = LINES TEST("\"baseline\":\"popularity\",", "0.25") TEST("", "0.875");
    write_run(*state, "a", test, CONFIGURATION);
    write_run(*state, "b", better, "data: {path: data}\ntraining: {seed: 8}\nevaluation: {top_k: [2, 10]}\n");
    write_run(*state, "c", test, "data: {path: data}\ntraining: {seed: 7, epochs: 3}\nevaluation: {top_k: [2, 10]}\n");
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"a", "b", "c"}, 3), SR_OK);
    assert_says(&w,
                "<th scope=\"row\"><code>training.seed</code></th><td><code>7</code></td><td><code>8</code></td><td><code>7");
    assert_says(&w, "<th scope=\"row\"><code>training.epochs</code>");
    assert_says(&w, "mean of 2 seeds");
    assert_says(&w, "0.8125<small>0.0184 – 1.6066</small>"); /* 12.706 times 0.0625 */
    assert_says(&w, "n top\">0.8750");
    const char *first = strstr(w.page, "popularity");
    assert_non_null(first);
    assert_null(strstr(first + 1, "popularity</th>")); /* the same of all runs */
    free_runs(&w);
}

static void cases_of_a_test_give_intervals(void **state)
{
    world w;
    static const char test[] = LINES "{\"kind\":\"test\",\"step\":20,\"epoch\":1,\"cases\":4,\"hr@2\":0.5,\"mrr@2\":0.375}\n";
    static const char cases[] = "user\ttarget\trank\nu\ti\t1\nv\ti\t2\nw\ti\t0\nx\tk\t7\n";
    write_run(*state, "cased", test, CONFIGURATION);
    write_file(*state, "cased", "cases.tsv", cases);
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"cased"}, 1), SR_OK);
    assert_true(w.r.intervals[0].any && w.r.runs[0].note_count == 0);
    assert_true(w.r.intervals[0].low[0] == 0 && w.r.intervals[0].high[0] == 1);
    assert_says(&w, "0.5000<small>0 – 1</small>");
    free_runs(&w);
    write_run(*state, "cased", test, CONFIGURATION);
    write_file(*state, "cased", "cases.tsv", "user\ttarget\trank\nu\ti\t1\nv\ti\t2\n");
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"cased"}, 1), SR_OK);
    assert_false(w.r.intervals[0].any);
    assert_notes(&w.r.runs[0],
                 "cased/cases.tsv: these are not the cases of the run's test (hr@2 is 0.500000 there, and 1.000000");
    free_runs(&w);
}

static void a_picture_needs_a_curve(void **state)
{
    world w;
    char *picture;
    size_t size;
    write_run(*state, "none", "", CONFIGURATION);
    assert_int_equal(read_runs(&w, *state, (const char *const[]){"none"}, 1), SR_OK);
    FILE *file = open_memstream(&picture, &size);
    assert_int_equal(report_write_picture(file, &w.r, &w.error), SR_ERROR_DATA);
    assert_non_null(strstr(w.error.message, "no curve to draw"));
    fclose(file);
    free(picture);
    free_runs(&w);
}

/* ---- parts ---- */

static void text_of_others_stands_for_itself(void **state)
{
    static const struct {
        const char *text, *markup;
    } cases[] = {{"a & b < c > d", "a &amp; b &lt; c &gt; d"},
                 {"\"'", "&quot;&#39;"},
                 {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
                 {"\x01|\xff|\xc3(|\xe2\x82|\xed\xa0\x80|\xc0\xaf|\x7f",
                  "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd(|\xef\xbf\xbd\xef\xbf\xbd|"
                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd"},
                 {"a\tb\nc", "a\tb\nc"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char *text;
        size_t size;
        FILE *page = open_memstream(&text, &size);
        markup_text(page, cases[i].text);
        fclose(page);
        assert_string_equal(text, cases[i].markup);
        free(text);
    }
}

static void numbers_are_short(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},           {0.25, "0.2500"}, {12.345, "12.35"},   {123.45, "123.5"}, {6, "6"},
                 {12345.6, "12346"}, {1e-5, "1e-05"},  {2.5e10, "2.5e+10"}, {NAN, "–"},        {INFINITY, "–"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char text[MARKUP_NUMBER_SIZE];
        assert_string_equal(markup_number(cases[i].value, text), cases[i].text);
    }
}

static void assert_ticks(const axis *a, const char *expected)
{
    char labels[512] = "";
    for (size_t i = 0; i < a->count; ++i) {
        assert_true(axis_place(a, a->ticks[i]) > -1e-6 && axis_place(a, a->ticks[i]) < 1 + 1e-6);
        strcat(strcat(labels, i ? " " : ""), a->labels[i]);
    }
    assert_string_equal(labels, expected);
}

static void ticks_are_round_numbers(void **state)
{
    const char *unit;
    axis a = axis_make(0, 459, 5, false, false);
    (void)state;
    assert_ticks(&a, "0 100 200 300 400");
    a = axis_make(0, 23000, 5, false, false);
    assert_ticks(&a, "0 5k 10k 15k 20k");
    a = axis_make(0.031, 0.118, 5, false, true);
    assert_ticks(&a, "0.04 0.06 0.08 0.10 0.12");
    a = axis_make(-3, 7, 5, false, false);
    assert_ticks(&a, "-2 0 2 4 6");
    a = axis_make(0.02, 70, 5, true, false);
    assert_ticks(&a, "0.1 1 10");
    a = axis_make(5, 7, 5, true, false); /* too near for powers */
    assert_ticks(&a, "5.0 5.5 6.0 6.5 7.0");
    a = axis_make_time(0, 7300, 5, &unit);
    assert_string_equal(unit, "hours");
    a = axis_make_time(0, 90, 5, &unit);
    assert_string_equal(unit, "seconds");
    assert_ticks(&a, "0 20 40 60 80");
    a = axis_make(3, 3, 5, false, true);
    assert_true(axis_place(&a, 3) > 0.4 && axis_place(&a, 3) < 0.6);
    a = axis_make(INFINITY, -INFINITY, 5, true, true); /* of no value */
    assert_true(a.count > 1);
}

static void styles_name_every_colour_that_they_use(void **state)
{
    (void)state;
    for (const char *at = report_page_style; (at = strstr(at, "var(--"));) {
        char name[32], definition[40];
        at += 4;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ")"), at);
        snprintf(definition, sizeof definition, "%s:", name);
        const char *light = strstr(report_chart_style, definition);
        if (!light || !strstr(light + 1, definition))
            fail_msg("%s is not defined for light and dark", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_read_as_a_whole),
        cmocka_unit_test(damaged_and_missing_files_are_named_with_their_lines),
        cmocka_unit_test(what_is_no_run_is_refused),
        cmocka_unit_test(a_run_that_is_still_going_is_shown_as_such),
        cmocka_unit_test(runs_are_compared),
        cmocka_unit_test(cases_of_a_test_give_intervals),
        cmocka_unit_test(a_picture_needs_a_curve),
        cmocka_unit_test(text_of_others_stands_for_itself),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(ticks_are_round_numbers),
        cmocka_unit_test(styles_name_every_colour_that_they_use),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

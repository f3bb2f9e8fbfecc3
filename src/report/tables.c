/* Tables of results: what runs have come to, their tests, and where time and memory went. */
#include "report/report.h"

#include "report/markup.h"
#include "srtrain/plan.h"

#include <math.h>
#include <string.h>

void report_write_name(FILE *page, const report *r, size_t run)
{
    fprintf(page, "<i class=\"k r%zu\"></i>", run % 8);
    markup_text(page, r->runs[run].name);
}

static void write_row_head(FILE *page, const report *r, size_t run)
{
    fputs("<tr><th scope=\"row\">", page);
    report_write_name(page, r, run);
    fputs("</th>", page);
}

/* ---- what runs have come to ---- */

static void write_state(FILE *page, const recorded_run *run)
{
    static const struct {
        const char *class, *words;
    } states[] = {[RUN_WORKS] = {"works", "still going"},
                  [RUN_IS_DONE] = {"done", "done"},
                  [RUN_STOPPED] = {"stopped", "not finished"},
                  [RUN_WAS_KILLED] = {"killed", "was killed"}};
    fprintf(page, "<td><span class=\"state %s\" title=\"", states[run->state].class);
    markup_text(page, run->owner);
    fprintf(page, "\">%s</span></td>", states[run->state].words);
}

/* "epoch 3 of 200"; a run that has ended early has no further ones. */
static void write_progress(FILE *page, const recorded_run *run)
{
    fputs("<td class=\"n\">", page);
    if (run->last_step > 0)
        fprintf(page, "%.0f", run->last_epoch);
    else
        fputs("–", page);
    if (run->has_settings)
        fprintf(page, " of %lld", (long long)run->settings.training.epochs);
    fprintf(page, "<small>step %.0f", run->last_step);
    if (run->has_settings && run->state != RUN_IS_DONE && isfinite(run->steps_of_epoch))
        fprintf(page, " of %.0f", run->steps_of_epoch * (double)run->settings.training.epochs);
    fputs("</small></td>", page);
}

static void write_best(FILE *page, const recorded_run *run)
{
    curve_point best;
    char number[MARKUP_NUMBER_SIZE];
    fputs("<td class=\"n\">", page);
    if (recorded_best(run, &best)) {
        fprintf(page, "%s<small>", markup_number(best.value, number));
        markup_text(page, run->settings.training.early_stopping.metric);
        if (isfinite(best.epoch))
            fprintf(page, ", epoch %.0f", best.epoch);
        fputs("</small></td>", page);
    } else {
        fputs("–</td>", page);
    }
}

static void write_last_loss(FILE *page, const recorded_run *run)
{
    const curve *loss = recorded_curve(run, "train", "loss");
    char number[MARKUP_NUMBER_SIZE];
    double value = NAN;
    for (size_t i = 0; loss && i < loss->count; ++i)
        value = isfinite(loss->points[i].value) ? loss->points[i].value : value;
    fprintf(page, "<td class=\"n\">%s</td>", markup_number(value, number));
}

void report_write_summary(FILE *page, const report *r)
{
    fputs("<div class=\"scroll\"><table id=\"summary\"><thead><tr><th>run</th><th>state</th><th class=\"n\">epochs</th>"
          "<th class=\"n\">last loss</th><th class=\"n\">best validation</th><th class=\"n\">time trained</th>"
          "<th class=\"n\">memory of a rank</th></tr></thead><tbody>\n",
          page);
    for (size_t i = 0; i < r->count; ++i) {
        const recorded_run *run = &r->runs[i];
        char time[32] = "–", memory[32] = "–";
        if (run->trained_seconds > 0)
            sr_format_seconds(run->trained_seconds, time, sizeof time);
        if (run->times.memory > 0)
            sr_format_bytes(run->times.memory, memory, sizeof memory);
        write_row_head(page, r, i);
        write_state(page, run);
        write_progress(page, run);
        write_last_loss(page, run);
        write_best(page, run);
        fprintf(page, "<td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", time, memory);
    }
    fputs("</tbody></table></div>\n", page);
}

/* ---- tests ---- */

/* The columns: metrics of the first run that has a test, and then those that only others have. */
typedef struct {
    const char *names[RECORDED_TEST_METRICS];
    size_t count;
} columns;

static void find_columns(columns *found, const report *r)
{
    found->count = 0;
    for (size_t run = 0; run < r->count; ++run)
        for (size_t i = 0; i < r->runs[run].test.count; ++i) {
            const char *name = r->runs[run].test.metrics[i].name;
            size_t at = 0;
            while (at < found->count && strcmp(found->names[at], name) != 0)
                ++at;
            if (at == found->count && found->count < RECORDED_TEST_METRICS)
                found->names[found->count++] = name;
        }
}

/* The largest value of a column, where several runs have one and larger is better. */
static double top_of(const report *r, const char *metric)
{
    double top = NAN;
    size_t count = 0;
    if (strncmp(metric, "hr@", 3) != 0 && strncmp(metric, "ndcg@", 5) != 0 && strncmp(metric, "mrr@", 4) != 0)
        return NAN;
    for (size_t run = 0; run < r->count; ++run) {
        const double value = test_value(&r->runs[run].test, metric);
        count += isfinite(value);
        top = fmax(top, value);
    }
    return count > 1 ? top : NAN;
}

static void write_cell(FILE *page, const recorded_test *test, const test_intervals *intervals, const char *metric, double top)
{
    char number[MARKUP_NUMBER_SIZE], low[MARKUP_NUMBER_SIZE], high[MARKUP_NUMBER_SIZE];
    size_t at = 0;
    while (at < test->count && strcmp(test->metrics[at].name, metric) != 0)
        ++at;
    if (at == test->count) {
        fputs("<td class=\"n\">–</td>", page);
        return;
    }
    const test_metric *m = &test->metrics[at];
    fprintf(page, "<td class=\"n%s\">%s", m->value == top ? " top" : "", markup_number(m->value, number));
    if (intervals && isfinite(intervals->low[at]))
        fprintf(page, "<small>%s – %s</small>", markup_number(intervals->low[at], low),
                markup_number(intervals->high[at], high));
    else if (isfinite(m->error))
        fprintf(page, "<small>± %s</small>", markup_number(m->error, number));
    fputs("</td>", page);
}

static void write_baseline(FILE *page, const recorded_run *run, const columns *c)
{
    fputs("<tr><th scope=\"row\">", page);
    markup_text(page, run->baseline_name);
    fputs("</th><td></td>", page);
    for (size_t i = 0; i < c->count; ++i)
        write_cell(page, &run->baseline, NULL, c->names[i], NAN);
    fputs("</tr>\n", page);
}

/* Runs on the same data have the same baseline, which then stands there once. */
static bool is_new_baseline(const report *r, size_t run)
{
    const recorded_test *mine = &r->runs[run].baseline;
    for (size_t i = 0; i < run; ++i) {
        const recorded_test *other = &r->runs[i].baseline;
        bool same = other->count == mine->count && other->cases == mine->cases;
        for (size_t k = 0; k < mine->count && same; ++k)
            same = mine->metrics[k].value == other->metrics[k].value;
        if (same)
            return false;
    }
    return mine->cases > 0;
}

static void write_groups(FILE *page, const report *r, const columns *c)
{
    seed_group groups[16];
    const size_t count = intervals_group_seeds(r->runs, r->count, groups, sizeof groups / sizeof *groups);
    for (size_t i = 0; i < count; ++i) {
        fprintf(page, "<tr class=\"mean\"><th scope=\"row\">mean of %zu seeds<br><small class=\"soft\">", groups[i].count);
        for (size_t k = 0; k < groups[i].count; ++k) {
            fputs(k ? ", " : "", page);
            markup_text(page, r->runs[groups[i].runs[k]].name);
        }
        fputs("</small></th><td></td>", page);
        for (size_t k = 0; k < c->count; ++k) {
            double mean, half;
            char number[MARKUP_NUMBER_SIZE], low[MARKUP_NUMBER_SIZE], high[MARKUP_NUMBER_SIZE];
            intervals_of_seeds(r->runs, &groups[i], c->names[k], &mean, &half);
            fprintf(page, "<td class=\"n\">%s<small>%s – %s</small></td>", markup_number(mean, number),
                    markup_number(mean - half, low), markup_number(mean + half, high));
        }
        fputs("</tr>\n", page);
    }
    if (count > 0)
        fputs("<tr class=\"note\"><td class=\"soft small\" colspan=\"99\">Means of seeds: 95 % intervals by Student's t over "
              "runs "
              "that differ by their seed alone.</td></tr>\n",
              page);
}

void report_write_tests(FILE *page, const report *r)
{
    columns c;
    bool any_cases = false, any_error = false;
    find_columns(&c, r);
    if (c.count == 0)
        return;
    fputs("<section id=\"test\"><h2>Test</h2>\n<div class=\"scroll\"><table><thead><tr><th>run</th><th class=\"n\">cases</th>",
          page);
    for (size_t i = 0; i < c.count; ++i) {
        fputs("<th class=\"n\">", page);
        markup_text(page, c.names[i]);
        fputs("</th>", page);
    }
    fputs("</tr></thead><tbody>\n", page);
    for (size_t run = 0; run < r->count; ++run) {
        const recorded_run *from = &r->runs[run];
        any_cases = any_cases || r->intervals[run].any;
        any_error = any_error || (from->test.cases > 0 && !r->intervals[run].any);
        if (from->test.cases < 0)
            continue;
        write_row_head(page, r, run);
        fprintf(page, "<td class=\"n\">%.0f<small>epoch %.0f</small></td>", from->test.cases, from->test_epoch);
        for (size_t i = 0; i < c.count; ++i)
            write_cell(page, &from->test, &r->intervals[run], c.names[i], top_of(r, c.names[i]));
        fputs("</tr>\n", page);
    }
    write_groups(page, r, &c);
    for (size_t run = 0; run < r->count; ++run)
        if (is_new_baseline(r, run))
            write_baseline(page, &r->runs[run], &c);
    fputs("</tbody></table></div>\n<p class=\"soft small\">", page);
    if (any_cases)
        fprintf(page, "Ranges are 95 %% intervals by %d bootstrap samples of users. ", INTERVAL_RESAMPLES);
    if (any_error)
        fputs("Numbers behind ± are standard errors over test cases; for intervals write <code>cases.h5</code> into the run's "
              "directory with <code>srtrain evaluate RUN/best.h5 --cases RUN/cases.h5</code>.",
              page);
    fputs("</p></section>\n", page);
}

/* ---- time and memory ---- */

/* What no part accounts for: starting, logging, waiting for the last rank. */
static double other_time(const recorded_times *times)
{
    double rest = times->seconds;
    for (size_t i = 0; i < RECORDED_TIMES; ++i)
        rest -= times->parts[i];
    return fmax(rest, 0);
}

/* Parts have colours of their own, by their number. */
static void write_bar(FILE *page, const recorded_times *times, double longest)
{
    fputs("<div class=\"bar\">", page);
    for (size_t i = 0; i <= RECORDED_TIMES; ++i) {
        const double seconds = i < RECORDED_TIMES ? times->parts[i] : other_time(times);
        if (seconds > 0)
            fprintf(page, "<i class=\"r%zu\" style=\"width:%.3f%%\" title=\"%s: %.1f s\"></i>", i, 100 * seconds / longest,
                    i < RECORDED_TIMES ? recorded_time_name(i) : "other", seconds);
    }
    fputs("</div>", page);
}

static void write_times_table(FILE *page, const report *r)
{
    fputs("<div class=\"scroll\"><table><thead><tr><th>run</th><th class=\"n\">all</th>", page);
    for (size_t i = 0; i <= RECORDED_TIMES; ++i)
        fprintf(page, "<th class=\"n\"><i class=\"k r%zu\"></i>%s</th>", i,
                i < RECORDED_TIMES ? recorded_time_name(i) : "other");
    fputs("<th class=\"n\">memory of a rank</th><th class=\"n\">planned</th></tr></thead><tbody>\n", page);
    for (size_t run = 0; run < r->count; ++run) {
        const recorded_times *times = &r->runs[run].times;
        char text[32], planned[32] = "–";
        if (times->lines == 0)
            continue;
        write_row_head(page, r, run);
        sr_format_seconds(times->seconds, text, sizeof text);
        fprintf(page, "<td class=\"n\">%s</td>", text);
        for (size_t i = 0; i <= RECORDED_TIMES; ++i) {
            const double seconds = i < RECORDED_TIMES ? times->parts[i] : other_time(times);
            sr_format_seconds(seconds, text, sizeof text);
            fprintf(page, "<td class=\"n\">%s<small>%.1f %%</small></td>", text,
                    times->seconds > 0 ? 100 * seconds / times->seconds : 0);
        }
        sr_format_bytes(times->memory, text, sizeof text);
        if (times->planned_memory > 0)
            sr_format_bytes(times->planned_memory, planned, sizeof planned);
        fprintf(page, "<td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", text, planned);
    }
    fputs("</tbody></table></div>\n", page);
}

void report_write_times(FILE *page, const report *r)
{
    double longest = 0;
    for (size_t run = 0; run < r->count; ++run)
        longest = fmax(longest, r->runs[run].times.seconds);
    if (longest <= 0)
        return;
    fputs("<section id=\"time\"><h2>Time and memory</h2>\n<div class=\"bars\">\n", page);
    for (size_t run = 0; run < r->count; ++run) {
        char text[32];
        if (r->runs[run].times.lines == 0)
            continue;
        sr_format_seconds(r->runs[run].times.seconds, text, sizeof text);
        fputs("<span>", page);
        markup_text(page, r->runs[run].name);
        fputs("</span>", page);
        write_bar(page, &r->runs[run].times, longest);
        fprintf(page, "<span>%s</span>\n", text);
    }
    fputs("</div>\n<div class=\"legend\">", page);
    for (size_t i = 0; i <= RECORDED_TIMES; ++i)
        fprintf(page, "<span><i class=\"k r%zu\"></i>%s</span>", i, i < RECORDED_TIMES ? recorded_time_name(i) : "other");
    fputs("</div>\n", page);
    write_times_table(page, r);
    fputs("<p class=\"soft small\">Seconds of all starts of a run, means over its ranks. Reduction is waiting for other ranks "
          "and "
          "summing with them; checkpoints are the time in which training waited for them.</p></section>\n",
          page);
}

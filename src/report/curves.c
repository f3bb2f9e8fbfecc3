/* Which curves there are, in which order, as parts of the page and as a picture. */
#include "report/report.h"

#include "report/markup.h"
#include "report/style.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHARTS = 240 };

/* What is drawn in one chart: a field of one kind, of all runs that have it. */
typedef struct {
    const char *kind, *name;
    int place; /* of its group: those with the lowest come first */
} charted;

typedef struct {
    charted list[MOST_CHARTS];
    size_t count;
} charts;

static bool is_metric(const char *kind, const char *name)
{
    return strcmp(kind, "valid") == 0 && strchr(name, '@') != NULL;
}

/* The chart's group: losses, the metric that chooses parameters, those with the same cut-off, how it was trained; the rest. */
enum { GROUP_LOSS, GROUP_TERMS, GROUP_CHOSEN, GROUP_BESIDE, GROUP_TRAINING, GROUP_REST };

static int group_of(const report *r, const char *kind, const char *name)
{
    const recorded_run *first = &r->runs[0];
    const char *chosen = first->has_settings ? first->settings.training.early_stopping.metric : "ndcg@10";
    const char *cut_off = strchr(chosen, '@');
    if (strcmp(kind, "train") == 0 && strcmp(name, "loss") == 0)
        return GROUP_LOSS;
    if (is_metric(kind, name))
        return strcmp(name, chosen) == 0                            ? GROUP_CHOSEN
               : cut_off && strcmp(strchr(name, '@'), cut_off) == 0 ? GROUP_BESIDE
                                                                    : GROUP_REST;
    if (strcmp(name, "learning_rate") == 0 || strcmp(name, "examples_per_second") == 0 || strcmp(name, "gradient_norm") == 0)
        return strcmp(kind, "train") == 0 ? GROUP_TRAINING : GROUP_REST;
    if (strcmp(kind, "train") == 0 && strcmp(name, "reduction_share") != 0)
        return GROUP_TERMS;
    return GROUP_REST;
}

static void add_chart(charts *all, const charted *which)
{
    for (size_t i = 0; i < all->count; ++i)
        if (strcmp(all->list[i].kind, which->kind) == 0 && strcmp(all->list[i].name, which->name) == 0)
            return;
    if (all->count == MOST_CHARTS)
        return;
    size_t at = all->count++;
    for (; at > 0 && all->list[at - 1].place > which->place; --at)
        all->list[at] = all->list[at - 1];
    all->list[at] = *which;
}

/* All fields that some run has, each once. */
static void find_charts(charts *all, const report *r)
{
    all->count = 0;
    for (size_t run = 0; run < r->count; ++run)
        for (size_t i = 0; i < r->runs[run].curve_count; ++i) {
            const curve *c = &r->runs[run].curves[i];
            add_chart(all, &(charted){c->kind, c->name, group_of(r, c->kind, c->name)});
        }
}

static void title_of(const charted *which, char *title, size_t size)
{
    static const struct {
        const char *name, *title;
    } known[] = {{"loss", "training loss"},
                 {"learning_rate", "learning rate"},
                 {"gradient_norm", "gradient norm, before clipping"},
                 {"examples_per_second", "examples a second"},
                 {"reduction_share", "share of time in reductions"},
                 {"train_loss", "mean training loss of the epoch"}};
    const bool trained = strcmp(which->kind, "train") == 0;
    const char *name = which->name;
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (strcmp(known[i].name, name) == 0)
            name = known[i].title;
    if (is_metric(which->kind, which->name))
        snprintf(title, size, "validation %s", name);
    else if (which->place == GROUP_TERMS)
        snprintf(title, size, "loss term: %s", name);
    else if (!trained && strcmp(which->name, "examples_per_second") == 0)
        snprintf(title, size, "validation: cases a second");
    else
        snprintf(title, size, "%s", name);
    for (char *at = title; *at; ++at)
        *at = *at == '_' ? ' ' : *at;
}

/* The lines of a chart; returns how many there are. */
static size_t find_lines(const report *r, const charted *which, chart_line *lines)
{
    size_t count = 0;
    for (size_t run = 0; run < r->count; ++run) {
        const curve *c = recorded_curve(&r->runs[run], which->kind, which->name);
        curve_point best = {.step = NAN};
        const bool marked = is_metric(which->kind, which->name) && recorded_best(&r->runs[run], &best);
        if (c)
            lines[count++] = (chart_line){
                .curve = c, .name = r->runs[run].name, .run = run, .best_step = marked ? best.step : NAN};
    }
    return count;
}

/* What a run has come to: the value of the marked point, or the last one. */
static double value_of(const chart_line *line)
{
    double value = NAN;
    for (size_t i = 0; i < line->curve->count; ++i) {
        const curve_point *point = &line->curve->points[i];
        if (isfinite(point->value))
            value = point->value;
        if (isfinite(line->best_step) && point->step == line->best_step)
            break;
    }
    return value;
}

static void write_caption(FILE *page, const chart *c)
{
    char number[MARKUP_NUMBER_SIZE];
    fputs("<figcaption>", page);
    for (size_t i = 0; i < c->count; ++i) {
        fprintf(page, "<span><i class=\"k r%zu\"></i>", c->lines[i].run % 8);
        markup_text(page, c->lines[i].name);
        fprintf(page, " <b>%s</b></span>", markup_number(value_of(&c->lines[i]), number));
    }
    fputs("</figcaption></figure>\n", page);
}

/* Losses are drawn twice, with even and with logarithmic values, and a switch shows one of both. */
static sr_status write_figure(FILE *page, const report *r, const charted *which, chart_line *lines, sr_error *error)
{
    char title[128];
    chart c = {.title = title, .by = r->by, .lines = lines, .count = find_lines(r, which, lines)};
    const bool is_loss = which->place <= GROUP_TERMS || strstr(which->name, "loss") != NULL;
    title_of(which, title, sizeof title);
    if (!chart_is_drawable(&c))
        return SR_OK;
    fputs("<figure>", page);
    SR_TRY(chart_write(page, &c, is_loss ? "even" : "", error));
    if (is_loss) {
        c.logarithmic = true;
        SR_TRY(chart_write(page, &c, "log", error));
    }
    write_caption(page, &c);
    return SR_OK;
}

sr_status report_write_curves(FILE *page, const report *r, sr_error *error)
{
    charts *all;
    chart_line *lines = NULL;
    SR_TRY(SR_ALLOCATE(&all, 1, "charts", error));
    sr_status status = SR_ALLOCATE(&lines, r->count, "lines of a chart", error);
    find_charts(all, r);
    if (status == SR_OK && all->count > 0) {
        bool folded = false;
        fprintf(page,
                "<section id=\"curves\"><h2>Curves</h2>\n<input class=\"switch\" type=\"checkbox\" id=\"scale\"%s>"
                "<label for=\"scale\" class=\"small\">logarithmic losses</label>\n"
                "<p class=\"soft small\">Below each chart: the value at the best validation, which is ringed, or the last one. "
                "Many points are drawn as means, in a band from the least to the largest.</p>\n<div class=\"curves\">\n",
                r->logarithmic ? " checked" : "");
        for (size_t i = 0; i < all->count && status == SR_OK; ++i) {
            if (all->list[i].place == GROUP_REST && !folded) {
                fputs("</div>\n<details class=\"curves-more\"><summary>Further curves</summary><div class=\"curves\">\n", page);
                folded = true;
            }
            status = write_figure(page, r, &all->list[i], lines, error);
        }
        fprintf(page, "</div>%s</section>\n", folded ? "</details>" : "");
    }
    free(lines);
    free(all);
    return status;
}

/* ---- the picture ---- */

/* Names of runs in rows below the charts, in the width that letters take at most. Returns the height; writes nothing where the
 * picture is NULL. */
static int write_legend(FILE *picture, const report *r, int width, int y)
{
    int x = 56, row = 0;
    for (size_t run = 0; run < r->count; ++run) {
        const int needed = 34 + 7 * (int)strlen(r->runs[run].name);
        if (x > 56 && x + needed > width) {
            x = 56;
            ++row;
        }
        if (picture) {
            const int line = y + 20 * row;
            fprintf(picture, "<path class=\"line r%zu d%zu\" d=\"M%d %dh16\"/><text x=\"%d\" y=\"%d\">", run % 8, run / 8 % 3,
                    x, line, x + 22, line + 4);
            markup_text(picture, r->runs[run].name);
            fputs("</text>\n", picture);
        }
        x += needed;
    }
    return 20 * (row + 1) + 8;
}

sr_status report_write_picture(FILE *picture, const report *r, sr_error *error)
{
    charts *all;
    chart_line *lines = NULL;
    SR_TRY(SR_ALLOCATE(&all, 1, "charts", error));
    sr_status status = SR_ALLOCATE(&lines, r->count, "lines of a chart", error);
    find_charts(all, r);
    charted shown[4];
    size_t count = 0;
    for (size_t i = 0; status == SR_OK && i < all->count && count < 4; ++i) {
        const chart c = {.by = r->by, .lines = lines, .count = find_lines(r, &all->list[i], lines)};
        if (all->list[i].place <= GROUP_BESIDE && all->list[i].place != GROUP_TERMS && chart_is_drawable(&c))
            shown[count++] = all->list[i];
    }
    if (status == SR_OK && count == 0)
        status = sr_fail(error, SR_ERROR_DATA, "there is no curve to draw: no run has a line of training or validation yet");
    if (status == SR_OK) {
        const int columns = count > 1 ? 2 : 1, rows = (int)(count + 1) / 2, width = columns * CHART_WIDTH;
        const int height = rows * CHART_HEIGHT + 10 + write_legend(NULL, r, width, 0);
        fprintf(
            picture,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n<style>%s</style>\n"
            "<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n",
            width, height, width, height, report_chart_style);
        for (size_t i = 0; i < count && status == SR_OK; ++i) {
            char title[128];
            chart c = {.title = title, .by = r->by, .lines = lines, .count = find_lines(r, &shown[i], lines)};
            c.logarithmic = r->logarithmic && shown[i].place == GROUP_LOSS;
            title_of(&shown[i], title, sizeof title);
            status = chart_write_group(picture, &c, (int)(i % 2) * CHART_WIDTH, 6 + (int)(i / 2) * CHART_HEIGHT, error);
        }
        write_legend(picture, r, width, rows * CHART_HEIGHT + 16);
        fputs("</svg>\n", picture);
    }
    free(lines);
    free(all);
    return status;
}

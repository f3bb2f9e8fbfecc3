#include "report/chart.h"

#include "report/axis.h"
#include "report/markup.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>

/* The part in which curves lie; around it are the title, labels and some room. */
enum { LEFT = 56, RIGHT = CHART_WIDTH - 14, TOP = 34, BOTTOM = CHART_HEIGHT - 40 };

/* More points than MOST_POINTS are drawn as the means of parts, with some POINTS_OF_PART each; as many as MOST_DOTS or fewer
 * have a dot each. */
enum { MOST_POINTS = 160, POINTS_OF_PART = 4, MOST_PARTS = 160, MOST_DOTS = 120 };

/* What is drawn at one place of the horizontal axis. */
typedef struct {
    double x, mean, least, most;
    size_t count; /* 0: nothing, the curve is interrupted */
} drawn_point;

typedef struct {
    drawn_point *points;
    size_t count;
    bool is_band;
} drawn_line;

typedef struct {
    axis x, y;
    const char *unit;
    drawn_line *lines; /* [chart.count] */
} drawn_chart;

static double place_of(const curve_point *point, chart_direction by)
{
    return by == CHART_BY_STEP ? point->step : by == CHART_BY_EPOCH ? point->epoch : point->seconds;
}

static bool is_drawable(const curve_point *point, chart_direction by)
{
    return isfinite(point->value) && isfinite(place_of(point, by));
}

bool chart_is_drawable(const chart *c)
{
    for (size_t i = 0; i < c->count; ++i)
        for (size_t k = 0; k < c->lines[i].curve->count; ++k)
            if (is_drawable(&c->lines[i].curve->points[k], c->by))
                return true;
    return false;
}

/* ---- what is drawn ---- */

static void widen(double range[2], double value)
{
    range[0] = fmin(range[0], value);
    range[1] = fmax(range[1], value);
}

static void add_value(drawn_point *to, double x, double value)
{
    if (to->count == 0)
        *to = (drawn_point){.least = value, .most = value};
    to->least = fmin(to->least, value);
    to->most = fmax(to->most, value);
    to->x += (x - to->x) / (double)(to->count + 1);
    to->mean += (value - to->mean) / (double)(to->count + 1);
    ++to->count;
}

/* Fills a line, and widens both ranges by what it needs. `whole` is the range of all points of the chart. */
static sr_status reduce(drawn_line *line, const chart_line *from, chart_direction by, const double whole[2], double values[2],
                        sr_error *error)
{
    const curve *c = from->curve;
    line->is_band = c->count > MOST_POINTS;
    line->count = !line->is_band ? c->count : c->count / POINTS_OF_PART < MOST_PARTS ? c->count / POINTS_OF_PART : MOST_PARTS;
    const double parts = (double)line->count;
    SR_TRY(SR_ALLOCATE_ZERO(&line->points, line->count, "points of a chart", error));
    for (size_t i = 0; i < c->count; ++i) {
        if (!is_drawable(&c->points[i], by))
            continue;
        const double x = place_of(&c->points[i], by), share = (x - whole[0]) / (whole[1] - whole[0]);
        const size_t part = share > 0 ? (size_t)fmin(share * parts, parts - 1) : 0;
        add_value(&line->points[line->is_band ? part : i], x, c->points[i].value);
    }
    for (size_t i = 0; i < line->count; ++i)
        if (line->points[i].count > 0) {
            widen(values, line->points[i].least);
            widen(values, line->points[i].most);
        }
    return SR_OK;
}

static void free_lines(const chart *c, drawn_chart *drawn)
{
    for (size_t i = 0; drawn->lines && i < c->count; ++i)
        free(drawn->lines[i].points);
    free(drawn->lines);
}

static sr_status prepare(const chart *c, drawn_chart *drawn, sr_error *error)
{
    static const char *const units[] = {[CHART_BY_STEP] = "steps", [CHART_BY_EPOCH] = "epochs", [CHART_BY_TIME] = ""};
    double whole[2] = {0, 0}, values[2] = {INFINITY, -INFINITY};
    *drawn = (drawn_chart){.unit = units[c->by]};
    for (size_t i = 0; i < c->count; ++i)
        for (size_t k = 0; k < c->lines[i].curve->count; ++k)
            if (is_drawable(&c->lines[i].curve->points[k], c->by))
                widen(whole, place_of(&c->lines[i].curve->points[k], c->by));
    whole[1] = whole[1] > 0 ? whole[1] : 1;
    SR_TRY(SR_ALLOCATE_ZERO(&drawn->lines, c->count, "lines of a chart", error));
    for (size_t i = 0; i < c->count; ++i)
        SR_TRY(reduce(&drawn->lines[i], &c->lines[i], c->by, whole, values, error));
    drawn->x = c->by == CHART_BY_TIME ? axis_make_time(whole[0], whole[1], 6, &drawn->unit)
                                      : axis_make(whole[0], whole[1], 6, false, false);
    drawn->y = axis_make(values[0], values[1], 7, c->logarithmic, true);
    return SR_OK;
}

/* ---- writing ---- */

static double across(const drawn_chart *drawn, double x)
{
    return LEFT + (RIGHT - LEFT) * axis_place(&drawn->x, x);
}

static double down(const drawn_chart *drawn, double y)
{
    return BOTTOM - (BOTTOM - TOP) * axis_place(&drawn->y, y);
}

static void write_axes(FILE *page, const chart *c, const drawn_chart *drawn)
{
    fprintf(page, "<text class=\"title\" x=\"%d\" y=\"18\">", LEFT);
    markup_text(page, c->title);
    fputs("</text>\n", page);
    for (size_t i = 0; i < drawn->y.count; ++i) {
        const double y = down(drawn, drawn->y.ticks[i]);
        fprintf(
            page,
            "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
            LEFT, y, RIGHT, LEFT - 7, y + 4, drawn->y.labels[i]);
    }
    fprintf(page, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, BOTTOM, RIGHT);
    for (size_t i = 0; i < drawn->x.count; ++i) {
        const double x = across(drawn, drawn->x.ticks[i]);
        fprintf(page,
                "<path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"tick\" x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%s</text>\n",
                x, BOTTOM, x, BOTTOM + 18, drawn->x.labels[i]);
    }
    fprintf(page, "<text class=\"unit\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", RIGHT, BOTTOM + 34, drawn->unit);
}

static void write_band(FILE *page, const drawn_chart *drawn, const drawn_line *line, size_t colour)
{
    fprintf(page, "<path class=\"band r%zu\" d=\"", colour);
    const char *move = "M";
    for (size_t i = 0; i < line->count; ++i)
        if (line->points[i].count > 0) {
            fprintf(page, "%s%.1f %.1f", move, across(drawn, line->points[i].x), down(drawn, line->points[i].most));
            move = "L";
        }
    for (size_t i = line->count; i-- > 0;)
        if (line->points[i].count > 0)
            fprintf(page, "L%.1f %.1f", across(drawn, line->points[i].x), down(drawn, line->points[i].least));
    fputs("Z\"/>\n", page);
}

/* Points without a value interrupt a line of points, but not one of means, whose parts may have none. */
static void write_path(FILE *page, const drawn_chart *drawn, const drawn_line *line, const chart_line *from)
{
    const char *move = "M";
    fprintf(page, "<path class=\"line r%zu d%zu\" d=\"", from->run % 8, from->run / 8 % 3);
    for (size_t i = 0; i < line->count; ++i) {
        if (line->points[i].count > 0)
            fprintf(page, "%s%.1f %.1f", move, across(drawn, line->points[i].x), down(drawn, line->points[i].mean));
        if (line->points[i].count > 0 || !line->is_band)
            move = line->points[i].count > 0 ? "L" : "M";
    }
    fputs("\"><title>", page);
    markup_text(page, from->name);
    fputs("</title></path>\n", page);
}

static void write_dots(FILE *page, const chart *c, const drawn_chart *drawn, const chart_line *from)
{
    const curve *points = from->curve;
    const bool small = points->count > MOST_DOTS;
    char number[MARKUP_NUMBER_SIZE];
    for (size_t i = 0; i < points->count; ++i) {
        const curve_point *point = &points->points[i];
        const bool best = point->step == from->best_step;
        if (!is_drawable(point, c->by) || (small && !best))
            continue;
        fprintf(page, "<circle class=\"%s r%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>", best ? "best" : "dot",
                from->run % 8, across(drawn, place_of(point, c->by)), down(drawn, point->value), best ? "5" : "2");
        markup_text(page, from->name);
        fprintf(page, ": %s%s, step %.0f", markup_number(point->value, number), best ? " (best)" : "", point->step);
        if (isfinite(point->epoch))
            fprintf(page, ", epoch %g", round(100 * point->epoch) / 100);
        fputs("</title></circle>\n", page);
    }
}

static sr_status write_contents(FILE *page, const chart *c, sr_error *error)
{
    drawn_chart drawn;
    const sr_status status = prepare(c, &drawn, error);
    if (status == SR_OK) {
        write_axes(page, c, &drawn);
        for (size_t i = 0; i < c->count; ++i)
            if (drawn.lines[i].is_band)
                write_band(page, &drawn, &drawn.lines[i], c->lines[i].run % 8);
        for (size_t i = 0; i < c->count; ++i)
            write_path(page, &drawn, &drawn.lines[i], &c->lines[i]);
        for (size_t i = 0; i < c->count; ++i)
            if (!drawn.lines[i].is_band || isfinite(c->lines[i].best_step))
                write_dots(page, c, &drawn, &c->lines[i]);
    }
    free_lines(c, &drawn);
    return status;
}

sr_status chart_write(FILE *page, const chart *c, const char *class, sr_error *error)
{
    fprintf(page, "<svg class=\"chart %s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", class, CHART_WIDTH, CHART_HEIGHT);
    markup_text(page, c->title);
    fputs("\">\n", page);
    SR_TRY(write_contents(page, c, error));
    fputs("</svg>\n", page);
    return SR_OK;
}

sr_status chart_write_group(FILE *page, const chart *c, int x, int y, sr_error *error)
{
    fprintf(page, "<g transform=\"translate(%d %d)\">\n", x, y);
    SR_TRY(write_contents(page, c, error));
    fputs("</g>\n", page);
    return SR_OK;
}

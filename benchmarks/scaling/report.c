#include "scaling/report.h"

#include "json.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows of what was measured ---- */

typedef enum {
    COLUMN_RANKS,
    COLUMN_NODES,
    COLUMN_BATCH,
    COLUMN_STEP,
    COLUMN_STEP_MINIMUM, /* over repetitions */
    COLUMN_STEP_MAXIMUM,
    COLUMN_RATE,
    COLUMN_SPEEDUP,
    COLUMN_EFFICIENCY,
    COLUMN_NODE_EFFICIENCY, /* against the most ranks on one node */
    COLUMN_DATA,
    COLUMN_FORWARD,
    COLUMN_LOSS,
    COLUMN_BACKWARD,
    COLUMN_OPTIMIZER,
    COLUMN_REDUCTION,
    COLUMN_SUMMING,
    COLUMN_WAITING,
    COLUMN_SHARE, /* of the step spent in the reduction */
    COLUMN_BYTES,
    COLUMN_MEMORY,
    COLUMN_CROWDED, /* 1: more ranks than cores on a node */
    COLUMNS
} column;

static const char *const column_names[COLUMNS] = {"ranks",
                                                  "nodes",
                                                  "global_batch",
                                                  "step_ms",
                                                  "step_minimum_ms",
                                                  "step_maximum_ms",
                                                  "examples_per_second",
                                                  "speedup",
                                                  "efficiency",
                                                  "efficiency_against_a_node",
                                                  "data_ms",
                                                  "forward_ms",
                                                  "loss_ms",
                                                  "backward_ms",
                                                  "optimizer_ms",
                                                  "reduction_ms",
                                                  "summing_ms",
                                                  "waiting_ms",
                                                  "reduction_share",
                                                  "bytes_reduced",
                                                  "peak_memory_mebibytes",
                                                  "more_ranks_than_cores"};

/* Everything that is reported; rows: strong, then weak. */
typedef struct {
    const scaling_options *options;
    const measurements *measured;
    const projection *projected;
    const char *refusal;
    result_row rows[2 * COUNTS_MAXIMUM];
    size_t row_count;
    FILE *table;
} report;

static size_t batch_of(const scaling_options *o, bool weak, size_t ranks)
{
    return weak ? ranks * o->batch_of_rank : o->batch;
}

/* t0 / t, times the ranks of the base over those of the run where the work is the same. */
static double efficiency(const measured_run *base, const measured_run *run, bool weak)
{
    const double ratio = base->figures[OF_STEP].median / run->figures[OF_STEP].median;
    return weak ? ratio : ratio * (double)base->ranks / (double)run->ranks;
}

/* The run with most ranks on one node, or NULL. */
static const measured_run *whole_node(const report *r, bool weak)
{
    const measured_run *best = NULL;
    for (size_t i = 0; i < r->options->ranks.count; ++i) {
        const size_t ranks = r->options->ranks.values[i];
        const measured_run *run = find_run(r->measured, ranks, batch_of(r->options, weak, ranks));
        best = run->nodes == 1 ? run : best;
    }
    return best;
}

/* More ranks, or threads of them, than a node has cores. */
static bool is_crowded(const report *r, const measured_run *run)
{
    return run->ranks_of_node * (double)r->options->launcher.threads > run->cores_of_node;
}

static void add_row(report *r, bool weak, const measured_run *run)
{
    static const struct {
        column column;
        figure figure;
    } medians[] = {{COLUMN_STEP, OF_STEP},           {COLUMN_RATE, OF_RATE},           {COLUMN_DATA, OF_DATA},
                   {COLUMN_FORWARD, OF_FORWARD},     {COLUMN_LOSS, OF_LOSS},           {COLUMN_BACKWARD, OF_BACKWARD},
                   {COLUMN_OPTIMIZER, OF_OPTIMIZER}, {COLUMN_REDUCTION, OF_REDUCTION}, {COLUMN_SUMMING, OF_SUMMING},
                   {COLUMN_WAITING, OF_WAITING},     {COLUMN_MEMORY, OF_MEMORY}};
    const size_t least = r->options->ranks.values[0];
    const measured_run *base = find_run(r->measured, least, batch_of(r->options, weak, least)), *node = whole_node(r, weak);
    result_row *row = &r->rows[r->row_count++];
    double *v = row->values;
    row->kind = weak ? "weak" : "strong";
    for (size_t i = 0; i < sizeof medians / sizeof *medians; ++i)
        v[medians[i].column] = run->figures[medians[i].figure].median;
    v[COLUMN_RANKS] = (double)run->ranks;
    v[COLUMN_NODES] = run->nodes;
    v[COLUMN_BATCH] = (double)run->batch;
    v[COLUMN_STEP_MINIMUM] = run->figures[OF_STEP].minimum;
    v[COLUMN_STEP_MAXIMUM] = run->figures[OF_STEP].maximum;
    v[COLUMN_EFFICIENCY] = efficiency(base, run, weak);
    v[COLUMN_SPEEDUP] = v[COLUMN_EFFICIENCY] * (double)run->ranks;
    v[COLUMN_NODE_EFFICIENCY] = node ? efficiency(node, run, weak) : (double)NAN;
    v[COLUMN_SHARE] = v[COLUMN_REDUCTION] / v[COLUMN_STEP];
    v[COLUMN_BYTES] = run->ranks > 1 ? run->bytes_reduced : 0;
    v[COLUMN_CROWDED] = is_crowded(r, run);
}

static void make_rows(report *r)
{
    for (int weak = 0; weak < 2; ++weak)
        for (size_t i = 0; i < r->options->ranks.count; ++i) {
            const size_t ranks = r->options->ranks.values[i];
            add_row(r, weak, find_run(r->measured, ranks, batch_of(r->options, weak, ranks)));
        }
}

/* ---- tables ---- */

/* To the terminal and to scaling.txt. */
static void say(report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(report *r, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    va_start(list, format);
    vfprintf(r->table, format, list);
    va_end(list);
}

static void print_header(report *r)
{
    const scaling_options *o = r->options;
    char command[4096];
    launcher_fill(&o->launcher, o->ranks.values[o->ranks.count - 1], command, sizeof command);
    say(r, "Scaling of training: %s, data %s\n", o->configuration, o->settings.data.path);
    say(r, "%.0f parameters, %.2f MiB of gradients, reduction %s; %s\n", r->measured->runs[0].parameters,
        r->measured->runs[0].bytes_reduced / 0x1p20,
        sr_settings_choice("training.reduction", (int)o->settings.training.reduction), r->measured->libraries);
    say(r,
        "Started with \"%s\" (%s), %zu thread%s a rank. Medians of %zu repetitions, each the median of %zu steps; all cases "
        "take turns.\n",
        command, o->launcher.found, o->launcher.threads, o->launcher.threads > 1 ? "s" : "", o->repetitions, o->steps);
}

static void print_scaling(report *r, bool weak)
{
    const char *kind = weak ? "weak" : "strong";
    bool crowded = false;
    if (weak)
        say(r, "\nWeak scaling: %zu examples on each rank. Milliseconds a step; parts are the slowest rank's.\n",
            r->options->batch_of_rank);
    else
        say(r, "\nStrong scaling: %zu examples on all ranks together. Milliseconds a step; parts are the slowest rank's.\n",
            r->options->batch);
    say(r, "%6s %6s %8s %10s %10s %10s %12s %8s %10s %8s %8s %8s %8s %9s %8s %8s %7s %7s\n", "ranks", "nodes", "batch", "step",
        "minimum", "maximum", "examples/s", "speedup", "efficiency", "data", "forward", "loss", "backward", "optimizer",
        "summing", "waiting", "share", "MiB");
    for (size_t i = 0; i < r->row_count; ++i) {
        const double *v = r->rows[i].values;
        if (strcmp(r->rows[i].kind, kind) != 0)
            continue;
        say(r,
            "%5.0f%s %6.0f %8.0f %10.3f %10.3f %10.3f %12.0f %8.2f %9.1f%% %8.3f %8.3f %8.3f %8.3f %9.3f %8.3f %8.3f %6.1f%% "
            "%7.0f\n",
            v[COLUMN_RANKS], v[COLUMN_CROWDED] > 0 ? "*" : " ", v[COLUMN_NODES], v[COLUMN_BATCH], v[COLUMN_STEP],
            v[COLUMN_STEP_MINIMUM], v[COLUMN_STEP_MAXIMUM], v[COLUMN_RATE], v[COLUMN_SPEEDUP], 100 * v[COLUMN_EFFICIENCY],
            v[COLUMN_DATA], v[COLUMN_FORWARD], v[COLUMN_LOSS], v[COLUMN_BACKWARD], v[COLUMN_OPTIMIZER], v[COLUMN_SUMMING],
            v[COLUMN_WAITING], 100 * v[COLUMN_SHARE], v[COLUMN_MEMORY]);
        crowded = crowded || v[COLUMN_CROWDED] > 0;
    }
    if (crowded)
        say(r, "* more ranks than cores: they share them, and these rows say nothing about scaling\n");
}

/* What is said about how a step is projected, in the table and in the JSON. */
static size_t assumptions(const report *r, char lines[][512], size_t room)
{
    const projection *p = r->projected;
    const scaling_options *o = r->options;
    size_t count = 0;
    const bool ring = o->algorithm == NETWORK_RING;
#define ASSUME(...) snprintf(lines[count < room ? count : room - 1], 512, __VA_ARGS__), ++count
    ASSUME("step = data + compute of the rank with most work + summing; nothing overlaps");
    ASSUME("compute: measured on one rank that has its core to itself, with batches from 1 example to %zu, between which lines "
           "are "
           "drawn over the work in tokens; ranks that fill a node are taken not to slow each other down",
           o->batch > o->batch_of_rank ? o->batch : o->batch_of_rank);
    ASSUME("load: up to 8 global batches of epoch 1 divided as training divides them, by tokens; drawing and dividing it is "
           "timed here for each row");
    ASSUME("summing: %.2f MiB of gradients in messages of %.2f MiB by %s, and %zu small sum%s", p->bytes / 0x1p20,
           p->message / 0x1p20, ring ? "the ring" : "recursive halving and doubling", p->small_sums,
           p->small_sums > 1 ? "s" : "");
    ASSUME(
        "network: latency %.3g us (--latency), %.4g GB/s for the link of a node in one direction (--bandwidth), no congestion",
        1e6 * p->network.latency, 1e-9 * p->network.bandwidth);
    ASSUME("node: %zu ranks (--ranks-per-node), latency %.3g us and %.4g GB/s between two ranks (--node-latency, "
           "--node-bandwidth), %s",
           p->network.ranks_of_node, 1e6 * p->network.node_latency, 1e-9 * p->network.node_bandwidth, p->node_source);
    ASSUME("halving, p ranks, q of them on each of N nodes, n bytes: 2 ceil(lg q) a' + 2 (q-1)/q n/B' + 2 ceil(lg N) a + "
           "2 (N-1)/N n/B (Rabenseifner 2004; Thakur, Rabenseifner and Gropp 2005)");
    ASSUME("ring: 2 (p-1) (a + n/(p B)), with a', B' on one node (Patarasuk and Yuan 2009); small sums: ceil(lg q) a' + "
           "ceil(lg N) a");
#undef ASSUME
    return count;
}

static void print_projected_row(report *r, const double *v)
{
    say(r, "%6.0f %6.0f %8.0f %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f %10.3f %12.0f %9.1f%%", v[PROJECTED_RANKS],
        v[PROJECTED_NODES], v[PROJECTED_BATCH], v[PROJECTED_IMBALANCE], v[PROJECTED_DATA], v[PROJECTED_COMPUTE],
        v[PROJECTED_WAITING], v[PROJECTED_HALVING], v[PROJECTED_RING], v[PROJECTED_STEP], v[PROJECTED_RATE],
        100 * v[PROJECTED_EFFICIENCY]);
    if (isnan(v[MEASURED_STEP]))
        say(r, "\n");
    else
        say(r, " %10.3f %9.1f%%%s %9.3f %9.3f\n", v[MEASURED_STEP], 100 * v[RELATIVE_ERROR],
            is_crowded(r, find_run(r->measured, (size_t)v[PROJECTED_RANKS], (size_t)v[PROJECTED_BATCH])) ? "*" : " ",
            v[MEASURED_COMPUTE], v[MEASURED_SUMMING]);
}

static void print_projected(report *r, const char *kind)
{
    say(r, "\nProjected %s scaling, milliseconds a step%s\n", kind,
        strcmp(kind, "weak") == 0 ? ""
                                  : "; where it was measured, the measured step, the error of the projection, and measured "
                                    "compute and summing");
    say(r, "%6s %6s %8s %9s %9s %9s %9s %9s %9s %10s %12s %10s %10s %10s %10s %9s\n", "ranks", "nodes", "batch", "imbalance",
        "data", "compute", "waiting", "halving", "ring", "step", "examples/s", "efficiency", "measured", "error", "compute",
        "summing");
    for (size_t i = 0; i < r->projected->row_count; ++i)
        if (strcmp(r->projected->rows[i].kind, kind) == 0)
            print_projected_row(r, r->projected->rows[i].values);
}

static void print_projection(report *r)
{
    enum { LINES = 12 };
    if (!r->projected) {
        if (r->refusal)
            say(r, "\nNo projection: %s.\n", r->refusal);
        return;
    }
    char lines[LINES][512];
    const size_t count = assumptions(r, lines, LINES);
    say(r, "\nPROJECTION: computed from the measurements above by a model, not measured. It assumes:\n");
    for (size_t i = 0; i < count; ++i)
        say(r, "- %s\n", lines[i]);
    print_projected(r, "strong");
    print_projected(r, "weak");
    if (r->projected->refused)
        say(r,
            "Weak scaling ends below %zu ranks: a global batch would be more than the %zu examples of an epoch "
            "(--batch-per-rank, or more data).\n",
            r->projected->refused, r->projected->examples);
}

static sr_status write_table(report *r, sr_error *error)
{
    SR_TRY(open_result(r->options->output, "scaling.txt", &r->table, error));
    print_header(r);
    print_scaling(r, false);
    print_scaling(r, true);
    print_projection(r);
    return close_result(r->options->output, "scaling.txt", r->table, error);
}

/* ---- JSON ---- */

static bool add_samples(cJSON *root, const report *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "runs");
    bool complete = list != NULL;
    for (size_t i = 0; i < r->measured->run_count && complete; ++i) {
        const measured_run *run = &r->measured->runs[i];
        cJSON *one = cJSON_CreateObject();
        complete = one && cJSON_AddItemToArray(list, one) && cJSON_AddNumberToObject(one, "ranks", (double)run->ranks) &&
                   cJSON_AddNumberToObject(one, "global_batch", (double)run->batch) &&
                   cJSON_AddNumberToObject(one, "step_ms", run->figures[OF_STEP].median) &&
                   cJSON_AddNumberToObject(one, "step_minimum_ms", run->figures[OF_STEP].minimum) &&
                   cJSON_AddNumberToObject(one, "step_maximum_ms", run->figures[OF_STEP].maximum) &&
                   cJSON_AddNumberToObject(one, "compute_ms", run->figures[OF_BUSY].median);
    }
    return complete;
}

static bool add_assumptions(cJSON *root, const report *r)
{
    enum { LINES = 12 };
    char lines[LINES][512];
    const projection *p = r->projected;
    const size_t count = assumptions(r, lines, LINES);
    cJSON *object = cJSON_AddObjectToObject(root, "assumptions");
    bool complete = object && cJSON_AddNumberToObject(object, "latency_seconds", p->network.latency) &&
                    cJSON_AddNumberToObject(object, "bandwidth_bytes_per_second", p->network.bandwidth) &&
                    cJSON_AddNumberToObject(object, "node_latency_seconds", p->network.node_latency) &&
                    cJSON_AddNumberToObject(object, "node_bandwidth_bytes_per_second", p->network.node_bandwidth) &&
                    cJSON_AddNumberToObject(object, "ranks_of_node", (double)p->network.ranks_of_node) &&
                    cJSON_AddNumberToObject(object, "bytes_reduced", p->bytes) &&
                    cJSON_AddNumberToObject(object, "message_bytes", p->message) &&
                    cJSON_AddNumberToObject(object, "small_sums", (double)p->small_sums);
    cJSON *words = complete ? cJSON_AddArrayToObject(object, "in_words") : NULL;
    complete = complete && words;
    for (size_t i = 0; i < count && complete; ++i)
        complete = cJSON_AddItemToArray(words, cJSON_CreateString(lines[i]));
    return complete;
}

static bool fill_document(cJSON *root, const report *r)
{
    const scaling_options *o = r->options;
    return root && cJSON_AddStringToObject(root, "program", "benchmark_scaling") &&
           cJSON_AddStringToObject(root, "configuration", o->configuration) &&
           cJSON_AddStringToObject(root, "data", o->settings.data.path) &&
           cJSON_AddStringToObject(root, "libraries", r->measured->libraries) &&
           cJSON_AddStringToObject(root, "launcher", o->launcher.command) &&
           cJSON_AddStringToObject(root, "launcher_found", o->launcher.found) &&
           cJSON_AddNumberToObject(root, "threads", (double)o->launcher.threads) &&
           cJSON_AddNumberToObject(root, "steps", (double)o->steps) &&
           cJSON_AddNumberToObject(root, "repetitions", (double)o->repetitions) &&
           cJSON_AddNumberToObject(root, "parameters", r->measured->runs[0].parameters) &&
           rows_add_json(root, "scaling", column_names, COLUMNS, r->rows, r->row_count) && add_samples(root, r) &&
           (!r->projected || (rows_add_json(root, "projection", projection_names, PROJECTION_COLUMNS, r->projected->rows,
                                            r->projected->row_count) &&
                              add_assumptions(root, r)));
}

static sr_status write_json(const report *r, sr_error *error)
{
    char path[4200];
    cJSON *root = cJSON_CreateObject();
    snprintf(path, sizeof path, "%s/scaling.json", r->options->output);
    const sr_status status = json_write(path, fill_document(root, r) ? root : NULL, error);
    cJSON_Delete(root);
    return status;
}

/* ---- pictures ---- */

/* ranks, efficiency, and the range of it over repetitions; one block a kind. */
static sr_status write_measured_data(const report *r, sr_error *error)
{
    FILE *file;
    SR_TRY(open_result(r->options->output, "efficiency.dat", &file, error));
    fprintf(file, "# ranks, efficiency, least and most over repetitions; strong, then weak scaling\n");
    for (size_t i = 0; i < r->row_count; ++i) {
        const double *v = r->rows[i].values;
        if (i > 0 && r->rows[i].kind != r->rows[i - 1].kind)
            fprintf(file, "\n\n");
        fprintf(file, "%.0f %.9g %.9g %.9g\n", v[COLUMN_RANKS], v[COLUMN_EFFICIENCY],
                v[COLUMN_EFFICIENCY] * v[COLUMN_STEP] / v[COLUMN_STEP_MAXIMUM],
                v[COLUMN_EFFICIENCY] * v[COLUMN_STEP] / v[COLUMN_STEP_MINIMUM]);
    }
    return close_result(r->options->output, "efficiency.dat", file, error);
}

static sr_status write_projected_data(const report *r, sr_error *error)
{
    FILE *file;
    const projection *p = r->projected;
    SR_TRY(open_result(r->options->output, "projection.dat", &file, error));
    fprintf(file, "# ranks, projected efficiency, projected step, measured step (ms); strong, then weak scaling\n");
    for (size_t i = 0; i < p->row_count; ++i) {
        const double *v = p->rows[i].values;
        if (i > 0 && p->rows[i].kind != p->rows[i - 1].kind)
            fprintf(file, "\n\n");
        fprintf(file, "%.0f %.9g %.9g %.9g\n", v[PROJECTED_RANKS], v[PROJECTED_EFFICIENCY], v[PROJECTED_STEP],
                v[MEASURED_STEP]);
    }
    return close_result(r->options->output, "projection.dat", file, error);
}

static void begin_script(FILE *file, const char *name, unsigned width)
{
    fprintf(file,
            "# Draws %s.svg from %s.dat: gnuplot %s.gp\n"
            "set terminal svg dynamic size %u,480 noenhanced background rgb 'white'\n"
            "set output '%s.svg'\nset grid\nset logscale x 2\nset xlabel 'ranks'\n",
            name, name, name, width, name);
}

static sr_status write_measured_script(const report *r, sr_error *error)
{
    FILE *file;
    SR_TRY(open_result(r->options->output, "efficiency.gp", &file, error));
    begin_script(file, "efficiency", 700);
    fprintf(file,
            "set title 'Parallel efficiency of training, measured'\nset ylabel 'efficiency'\nset yrange [0:1.2]\n"
            "set key below\nset offsets graph 0.05, graph 0.05, 0, 0\n"
            "plot 1 with lines lc rgb 'gray' notitle, \\\n"
            "     'efficiency.dat' index 0 using 1:2:3:4 with yerrorlines lw 2 pt 7 title 'strong: %zu examples', \\\n"
            "     'efficiency.dat' index 1 using 1:2:3:4 with yerrorlines lw 2 pt 5 title 'weak: %zu examples a rank'\n",
            r->options->batch, r->options->batch_of_rank);
    return close_result(r->options->output, "efficiency.gp", file, error);
}

static sr_status write_projected_script(const report *r, sr_error *error)
{
    FILE *file;
    SR_TRY(open_result(r->options->output, "projection.gp", &file, error));
    begin_script(file, "projection", 1100);
    fprintf(file, "set multiplot layout 1,2 title 'Projection by a model of compute, division and network (dots: measured)'\n"
                  "set ylabel 'efficiency'\nset yrange [0:1.2]\nset key below\n"
                  "plot 1 with lines lc rgb 'gray' notitle, \\\n"
                  "     'projection.dat' index 0 using 1:2 with lines lw 2 dt 2 lc 1 title 'strong, projected', \\\n"
                  "     'efficiency.dat' index 0 using 1:2 with points pt 7 lc 1 notitle, \\\n"
                  "     'projection.dat' index 1 using 1:2 with lines lw 2 dt 2 lc 2 title 'weak, projected', \\\n"
                  "     'efficiency.dat' index 1 using 1:2 with points pt 7 lc 2 notitle\n"
                  "set ylabel 'ms a step'\nset yrange [*:*]\nset logscale y\n"
                  "plot 'projection.dat' index 0 using 1:3 with lines lw 2 dt 2 lc 1 title 'strong, projected', \\\n"
                  "     '' index 0 using 1:4 with points pt 7 lc 1 notitle, \\\n"
                  "     '' index 1 using 1:3 with lines lw 2 dt 2 lc 2 title 'weak, projected', \\\n"
                  "     '' index 1 using 1:4 with points pt 7 lc 2 notitle\n"
                  "unset multiplot\n");
    return close_result(r->options->output, "projection.gp", file, error);
}

/* Its messages go into NAME.log, which goes when it ends well. */
static sr_status draw(const report *r, const char *name, int *missing, sr_error *error)
{
    char script[64], log[64], path[4200];
    snprintf(script, sizeof script, "%s.gp", name);
    snprintf(log, sizeof log, "%s.log", name);
    snprintf(path, sizeof path, "%s/%s", r->options->output, log);
    const char *const arguments[] = {"gnuplot", script, NULL};
    SR_TRY(run_and_log(arguments, r->options->output, log, missing, error));
    if (!*missing)
        (void)remove(path);
    return SR_OK;
}

static sr_status draw_pictures(const report *r, sr_error *error)
{
    int missing = 0;
    SR_TRY(write_measured_data(r, error));
    SR_TRY(write_measured_script(r, error));
    if (r->projected) {
        SR_TRY(write_projected_data(r, error));
        SR_TRY(write_projected_script(r, error));
    }
    SR_TRY(draw(r, "efficiency", &missing, error));
    if (!missing && r->projected)
        SR_TRY(draw(r, "projection", &missing, error));
    if (missing)
        fprintf(stderr, "there is no gnuplot, so that no pictures are drawn: run \"gnuplot *.gp\" in %s where there is one\n",
                r->options->output);
    return SR_OK;
}

/* ---- all ---- */

sr_status report_scaling(const scaling_options *options, const measurements *measured, const projection *projected,
                         const char *refusal, sr_error *error)
{
    report *r = calloc(1, sizeof *r);
    if (!r)
        return sr_fail_memory(error, sizeof *r, "the report");
    *r = (report){.options = options, .measured = measured, .projected = projected, .refusal = refusal};
    make_rows(r);
    sr_status status = write_table(r, error);
    if (status == SR_OK)
        status = rows_write_csv(options->output, "scaling.csv", column_names, COLUMNS, r->rows, r->row_count, error);
    if (status == SR_OK && projected)
        status = rows_write_csv(options->output, "projection.csv", projection_names, PROJECTION_COLUMNS, projected->rows,
                                projected->row_count, error);
    if (status == SR_OK)
        status = write_json(r, error);
    if (status == SR_OK)
        status = draw_pictures(r, error);
    free(r);
    return status;
}

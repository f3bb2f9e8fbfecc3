#include "commands/analysis_pictures.h"

#include "srtrain/compare_doubles.h"
#include "srtrain/memory.h"
#include "evaluate/analysis_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct {
    const char *directory;
    picture_format format;
    const sr_analysis *analysis;
    const sr_dataset *dataset;
    sr_log *log;
    sr_error *failed;
    bool no_gnuplot; /* has been noticed */
    /* The picture that is being written: */
    char name[64];
    FILE *data, *script;
} painter;

/* ---- files ---- */

static sr_status open_file(const painter *p, const char *end, FILE **file, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s%s", p->directory, p->name, end) < 0)
        return sr_fail_memory(error, strlen(p->directory) + sizeof p->name, "a file name");
    *file = fopen(path, "w");
    const sr_status status = *file ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return status;
}

static sr_status close_file(const painter *p, const char *end, FILE **file, sr_error *error)
{
    if (!*file)
        return SR_OK;
    const bool good = ferror(*file) == 0, closed = fclose(*file) == 0;
    *file = NULL;
    return good && closed
               ? SR_OK
               : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s/%s%s: %s", p->directory, p->name, end, strerror(errno));
}

/* Opens NAME.dat and NAME.gp, and begins the script. */
static sr_status begin(painter *p, size_t width, size_t height, sr_error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static sr_status begin(painter *p, size_t width, size_t height, sr_error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(p->name, sizeof p->name, format, list);
    va_end(list);
    const bool png = p->format == PICTURES_PNG;
    SR_TRY(open_file(p, ".dat", &p->data, error));
    SR_TRY(open_file(p, ".gp", &p->script, error));
    fprintf(p->script,
            "# Draws %s.%s from %s.dat: gnuplot %s.gp\n"
            "set terminal %s size %zu,%zu noenhanced background rgb 'white'\n"
            "set output '%s.%s'\n"
            "set grid\n",
            p->name, png ? "png" : "svg", p->name, p->name, png ? "pngcairo" : "svg dynamic", width, height, p->name,
            png ? "png" : "svg");
    return SR_OK;
}

/* ---- gnuplot ---- */

/* Starts gnuplot on the script, its messages going to NAME.log; 0 or an error number. */
static int spawn(const painter *p, pid_t *process)
{
    char script[80], log[80];
    char program[] = "gnuplot";
    char *arguments[] = {program, script, NULL};
    posix_spawn_file_actions_t actions;
    snprintf(script, sizeof script, "%s.gp", p->name);
    snprintf(log, sizeof log, "%s.log", p->name);
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure)
        return failure;
    failure = posix_spawn_file_actions_addchdir_np(&actions, p->directory);
    if (!failure)
        failure = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    if (!failure)
        failure = posix_spawnp(process, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* Whether gnuplot has ended well. Its log goes when there is nothing to complain about. */
static bool has_drawn(const painter *p, pid_t process)
{
    int status;
    while (waitpid(process, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    char *log;
    if (good && asprintf(&log, "%s/%s.log", p->directory, p->name) >= 0) {
        (void)remove(log);
        free(log);
    }
    return good;
}

/* Ends both files and draws. */
static sr_status draw(painter *p, sr_error *error)
{
    SR_TRY(close_file(p, ".dat", &p->data, error));
    SR_TRY(close_file(p, ".gp", &p->script, error));
    if (p->no_gnuplot)
        return SR_OK;
    pid_t process;
    const int failure = spawn(p, &process);
    if (failure == ENOENT) {
        p->no_gnuplot = true;
        sr_log_warning(p->log, "there is no gnuplot, so that no pictures are drawn: install the package gnuplot-nox and run "
                               "\"gnuplot *.gp\" in the output directory, where their data and scripts lie");
    } else if (failure) {
        (void)sr_fail(p->failed, SR_ERROR_RUNTIME, "cannot start gnuplot: %s", strerror(failure));
    } else if (!has_drawn(p, process)) {
        (void)sr_fail(p->failed, SR_ERROR_RUNTIME, "gnuplot cannot draw %s.gp: see %s.log in the output directory", p->name,
                      p->name);
    }
    return SR_OK;
}

/* ---- states ---- */

static sr_status draw_singular_values(painter *p, sr_error *error)
{
    const sr_state_analysis *states = &p->analysis->states;
    SR_TRY(begin(p, 800, 500, error, "singular-values"));
    fprintf(p->data,
            "# i, s_i / s_1 of the last-position states; one block a layer, the first is what the first layer reads\n");
    for (size_t layer = 0; layer < states->count; ++layer) {
        const double *values = states->singular_values + layer * states->width;
        for (size_t i = 0; i < states->width; ++i)
            fprintf(p->data, "%zu %.9g\n", i + 1, values[0] > 0 ? values[i] / values[0] : 0);
        fprintf(p->data, "\n\n");
    }
    fprintf(p->script,
            "set title 'Singular values of the last states'\nset xlabel 'i'\nset ylabel 's_i / s_1'\n"
            "set logscale y\nset yrange [1e-4:1]\n"
            "plot for [l=0:%zu] 'singular-values.dat' index l using 1:2 with lines lw 2 title sprintf('layer %%d', l)\n",
            states->count - 1);
    return draw(p, error);
}

static sr_status draw_smoothing(painter *p, sr_error *error)
{
    const sr_state_analysis *states = &p->analysis->states;
    SR_TRY(begin(p, 900, 700, error, "layers"));
    fprintf(p->data, "# layer, cosine, published cosine, effective rank, cosine of positions, high-frequency share\n");
    for (size_t layer = 0; layer < states->count; ++layer)
        fprintf(p->data, "%zu %.9g %.9g %.9g %.9g %.9g\n", layer, states->cosine[layer], states->published_cosine[layer],
                states->effective_rank[layer], states->of_tokens ? states->position_cosine[layer] : (double)NAN,
                states->of_tokens ? states->high_frequency_share[layer] : (double)NAN);
    fprintf(p->script,
            "set xlabel 'layer'\nset xrange [-0.2:%zu.2]\nset xtics 1\n"
            "set multiplot layout 2,2\n"
            "set title 'Cosine similarity of different sequences'\n"
            "plot 'layers.dat' using 1:2 with linespoints lw 2 pt 7 notitle\n"
            "set title 'Effective rank of the last states'\nset yrange [0:*]\n"
            "plot 'layers.dat' using 1:4 with linespoints lw 2 pt 7 notitle\n",
            states->count - 1);
    if (states->of_tokens && states->sequences_with_pairs)
        fprintf(p->script, "set title 'Cosine similarity of positions'\nset yrange [*:*]\n"
                           "plot 'layers.dat' using 1:5 with linespoints lw 2 pt 7 notitle\n"
                           "set title 'High-frequency share of energy'\nset yrange [0:*]\n"
                           "plot 'layers.dat' using 1:6 with linespoints lw 2 pt 7 notitle\n");
    fprintf(p->script, "unset multiplot\n");
    return draw(p, error);
}

/* ---- attention ---- */

static sr_status draw_gains(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    SR_TRY(begin(p, 480 * (a->layers < 4 ? a->layers : 4), 420 * ((a->layers + 3) / 4), error, "attention-gain"));
    fprintf(p->data,
            "# frequency, gain before and after calibration; for each layer one block a head, then one of the mean over "
            "heads\n");
    for (size_t layer = 0; layer < a->layers; ++layer)
        for (size_t head = 0; head <= a->heads; ++head) {
            const double *gains[SR_CALIBRATION_STAGES];
            for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
                gains[stage] = head < a->heads ? a->gain[stage] + (layer * a->heads + head) * a->bins
                                               : a->gain_of_mean[stage] + layer * a->bins;
            for (size_t k = 0; k < a->bins; ++k)
                fprintf(p->data, "%zu %.9g %.9g\n", k, gains[SR_BEFORE_CALIBRATION][k], gains[SR_AFTER_CALIBRATION][k]);
            fprintf(p->data, "\n\n");
        }
    fprintf(
        p->script,
        "layers = %zu\nheads = %zu\n"
        "set xlabel 'periods in %zu positions'\nset ylabel '|A f_k|'\nset yrange [0:*]\n"
        "set multiplot layout %zu,%zu title 'Gain of attention by frequency (dashed: before calibration)'\n"
        "do for [l=0:layers-1] {\n"
        "set title sprintf('layer %%d', l + 1)\n"
        "plot for [h=0:heads-1] 'attention-gain.dat' index l*(heads+1)+h using 1:3 with lines lc h+1 title sprintf('head %%d', "
        "h + 1), \\\n"
        "     for [h=0:heads-1] 'attention-gain.dat' index l*(heads+1)+h using 1:2 with lines lc h+1 dt 2 notitle, \\\n"
        "     'attention-gain.dat' index l*(heads+1)+heads using 1:3 with lines lw 3 lc rgb 'black' title 'mean of heads'\n"
        "}\nunset multiplot\n",
        a->layers, a->heads, a->length, (a->layers + 3) / 4, a->layers < 4 ? a->layers : (size_t)4);
    return draw(p, error);
}

/* Colours of heat maps; gnuplot 5.4 has no viridis by name. */
static void begin_heat_map(FILE *script)
{
    fprintf(script,
            "set palette defined (0 '#440154', 0.25 '#3b528b', 0.5 '#21908d', 0.75 '#5dc963', 1 '#fde725')\nunset grid\n");
}

static sr_status draw_spectra(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    const size_t n = a->length;
    SR_TRY(begin(p, 360 * a->layers, 680, error, "attention-spectrum"));
    fprintf(p->data,
            "# log10 of |F A F^-1|, A the mean over heads, frequency 0 in the middle; for each layer one matrix before and "
            "one after calibration\n");
    for (size_t layer = 0; layer < a->layers; ++layer)
        for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage) {
            const double *spectrum = a->spectrum_of_mean[stage] + layer * n * n;
            for (size_t row = 0; row < n; ++row) {
                for (size_t column = 0; column < n; ++column)
                    fprintf(p->data, "%.4f ",
                            log10(fmax(spectrum[(row + n - n / 2) % n * n + (column + n - n / 2) % n], 1e-6)));
                fprintf(p->data, "\n");
            }
            fprintf(p->data, "\n\n");
        }
    begin_heat_map(p->script);
    fprintf(p->script,
            "layers = %zu\nhalf = %zu\n"
            "set cbrange [-3:0]\nset size ratio 1\nset xrange [-half-0.5:%zu-half-0.5]\nset yrange [-half-0.5:%zu-half-0.5]\n"
            "set xlabel 'frequency in'\nset ylabel 'frequency out'\n"
            "set multiplot layout 2,layers title 'Spectrum of attention, log10 |F A F^-1|'\n"
            "do for [stage=0:1] {\n"
            "do for [l=0:layers-1] {\n"
            "set title sprintf('layer %%d, %%s calibration', l + 1, stage ? 'after' : 'before')\n"
            "plot 'attention-spectrum.dat' index 2*l+stage matrix using ($1-half):($2-half):3 with image notitle\n"
            "}\n}\nunset multiplot\n",
            a->layers, n / 2, n, n);
    return draw(p, error);
}

static sr_status draw_keys(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    SR_TRY(begin(p, 300 + 80 * a->layers * a->heads, 450, error, "attended-keys"));
    fprintf(p->data, "# layer.head, effective number of attended keys before and after calibration, visible keys\n");
    for (size_t i = 0; i < a->layers * a->heads; ++i)
        fprintf(p->data, "%zu.%zu %.9g %.9g %.9g\n", i / a->heads + 1, i % a->heads + 1,
                a->effective_keys[SR_BEFORE_CALIBRATION][i], a->effective_keys[SR_AFTER_CALIBRATION][i],
                a->visible_keys[SR_AFTER_CALIBRATION][i / a->heads]);
    fprintf(p->script, "set title 'Effective number of attended keys'\nset xlabel 'layer.head'\nset yrange [0:*]\n"
                       "set style data histograms\nset style fill solid 0.7\nset key outside\n"
                       "plot 'attended-keys.dat' using 2:xtic(1) title 'before calibration', '' using 3 title 'after', \\\n"
                       "     '' using 0:4 with points pt 7 lc rgb 'black' title 'visible'\n");
    return draw(p, error);
}

/* ---- filters ---- */

static sr_status draw_filter(painter *p, const sr_filter_analysis *filter, const char *name, const char *title, sr_error *error)
{
    SR_TRY(begin(p, 480 * filter->layers, 420, error, "%s", name));
    fprintf(p->data, "# frequency, mean over channels, quantiles 0.05, 0.25, 0.5, 0.75, 0.95; one block a layer\n");
    for (size_t layer = 0; layer < filter->layers; ++layer) {
        for (size_t bin = 0; bin < filter->bins; ++bin) {
            fprintf(p->data, "%zu %.9g", bin, filter->mean[layer * filter->bins + bin]);
            for (size_t q = 0; q < SR_ANALYSIS_QUANTILES; ++q)
                fprintf(p->data, " %.9g", filter->quantile[(layer * filter->bins + bin) * SR_ANALYSIS_QUANTILES + q]);
            fprintf(p->data, "\n");
        }
        fprintf(p->data, "\n\n");
    }
    fprintf(p->script,
            "layers = %zu\n"
            "set xlabel 'periods in the window'\nset ylabel 'response'\nset yrange [0:*]\nset style fill transparent solid 0.3 "
            "noborder\n"
            "set multiplot layout 1,layers title '%s'\n"
            "do for [l=0:layers-1] {\n"
            "set title sprintf('layer %%d', l + 1)\n"
            "plot '%s.dat' index l using 1:3:7 with filledcurves lc 3 title '5 to 95 %%', \\\n"
            "     '' index l using 1:4:6 with filledcurves lc 1 title '25 to 75 %%', \\\n"
            "     '' index l using 1:2 with lines lw 2 lc rgb 'black' title 'mean of channels'\n"
            "}\nunset multiplot\n",
            filter->layers, title, name);
    return draw(p, error);
}

/* Beta of every channel, each layer's in ascending order. */
static sr_status draw_beta(painter *p, sr_error *error)
{
    const sr_filter_analysis *rescaler = &p->analysis->rescaler;
    const size_t channels = rescaler->channels;
    double *sorted;
    SR_TRY(begin(p, 800, 500, error, "rescaler-beta"));
    SR_TRY(SR_ALLOCATE(&sorted, channels, "beta", error));
    fprintf(p->data, "# place in ascending order, beta; one block a layer\n");
    for (size_t layer = 0; layer < rescaler->layers; ++layer) {
        memcpy(sorted, rescaler->factor + layer * channels, channels * sizeof *sorted);
        qsort(sorted, channels, sizeof *sorted, sr_compare_doubles);
        for (size_t i = 0; i < channels; ++i)
            fprintf(p->data, "%zu %.9g\n", i + 1, sorted[i]);
        fprintf(p->data, "\n\n");
    }
    free(sorted);
    fprintf(p->script,
            "set title 'Factor of high frequencies in every channel'\nset xlabel 'channels in ascending order'\n"
            "set ylabel 'beta'\nset yrange [0:*]\nset key left top\n"
            "plot for [l=0:%zu] 'rescaler-beta.dat' index l using 1:2 with lines lw 2 title sprintf('layer %%d', l + 1)\n",
            rescaler->layers - 1);
    return draw(p, error);
}

/* ---- examples ---- */

enum { LABEL_LENGTH = 24 };

/* A text as gnuplot reads it between single quotes, cut. */
static void print_quoted(FILE *script, const char *text, size_t length)
{
    fputc('\'', script);
    for (size_t i = 0; i < length && i < LABEL_LENGTH; ++i) {
        if (text[i] == '\'')
            fputc('\'', script);
        fputc((unsigned char)text[i] < ' ' || text[i] == '\\' ? '?' : text[i], script);
    }
    fputc('\'', script);
}

static void print_tics(const painter *p, const char *axis, const sr_attention_example *example)
{
    fprintf(p->script, "set %s (", axis);
    for (size_t i = 0; i < example->tokens; ++i) {
        size_t length;
        const char *name = sr_analysis_token_name(p->dataset, example->items[i], &length);
        fputs(i ? ", " : "", p->script);
        print_quoted(p->script, name, length);
        fprintf(p->script, " %zu", i);
    }
    fputs(")\n", p->script);
}

static sr_status draw_example(painter *p, size_t index, size_t layer, sr_error *error)
{
    const sr_attention_example *example = &p->analysis->examples[index];
    const size_t heads = p->analysis->attention.heads, n = example->tokens;
    const size_t side = 260 + 9 * n;
    size_t length;
    const char *user = sr_dataset_user_name(p->dataset, example->user, &length);
    SR_TRY(begin(p, heads * side, 2 * side + 40, error, "attention-user-%zu-layer-%zu", index + 1, layer + 1));
    fprintf(p->data, "# rows: queries, columns: keys; for each head one matrix before and one after calibration\n");
    for (size_t block = 0; block < 2 * heads; ++block) {
        const double *weights = example->weights[block % 2] + (layer * heads + block / 2) * n * n;
        for (size_t cell = 0; cell < n * n; ++cell)
            fprintf(p->data, "%.6g%c", weights[cell], (cell + 1) % n ? ' ' : '\n');
        fprintf(p->data, "\n\n");
    }
    begin_heat_map(p->script);
    print_tics(p, "xtics rotate", example);
    print_tics(p, "ytics", example);
    fprintf(p->script,
            "set tics font ',7'\nset size ratio 1\nset cbrange [0:*]\nset xrange [-0.5:%zu-0.5]\nset yrange [%zu-0.5:-0.5]\n"
            "set xlabel 'key'\nset ylabel 'query'\n"
            "set multiplot layout 2,%zu title 'Attention of user '.",
            n, n, heads);
    print_quoted(p->script, user, length);
    fprintf(p->script,
            ".', layer %zu'\n"
            "do for [stage=0:1] {\n"
            "do for [h=0:%zu] {\n"
            "set title sprintf('head %%d, %%s calibration', h + 1, stage ? 'after' : 'before')\n"
            "plot '%s.dat' index 2*h+stage matrix using 1:2:3 with image notitle\n"
            "}\n}\nunset multiplot\n",
            layer + 1, heads - 1, p->name);
    return draw(p, error);
}

/* ---- all pictures ---- */

static sr_status draw_attention(painter *p, sr_error *error)
{
    SR_TRY(draw_gains(p, error));
    SR_TRY(draw_spectra(p, error));
    SR_TRY(draw_keys(p, error));
    for (size_t i = 0; i < p->analysis->example_count; ++i)
        for (size_t layer = 0; layer < p->analysis->attention.layers; ++layer)
            SR_TRY(draw_example(p, i, layer, error));
    return SR_OK;
}

static sr_status draw_all(painter *p, sr_error *error)
{
    const sr_analysis *analysis = p->analysis;
    SR_TRY(draw_singular_values(p, error));
    SR_TRY(draw_smoothing(p, error));
    if (analysis->attention.layers)
        SR_TRY(draw_attention(p, error));
    if (analysis->rescaler.layers) {
        SR_TRY(draw_filter(p, &analysis->rescaler, "rescaler-response", "Response of the frequency rescaler", error));
        SR_TRY(draw_beta(p, error));
    }
    if (analysis->filter.layers)
        SR_TRY(draw_filter(p, &analysis->filter, "filter-response", "Modulus of the learned filters", error));
    return SR_OK;
}

sr_status analysis_pictures_draw(const char *directory, picture_format format, const sr_analysis *analysis,
                                 const sr_dataset *dataset, sr_log *log, sr_error *failed, sr_error *error)
{
    painter p = {
        .directory = directory, .format = format, .analysis = analysis, .dataset = dataset, .log = log, .failed = failed};
    if (format == PICTURES_NONE)
        return SR_OK;
    const sr_status status = draw_all(&p, error);
    (void)close_file(&p, ".dat", &p.data, NULL);
    (void)close_file(&p, ".gp", &p.script, NULL);
    return status;
}

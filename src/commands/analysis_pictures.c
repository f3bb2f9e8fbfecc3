#include "commands/analysis_pictures.h"

#include "srtrain/compare_doubles.h"
#include "srtrain/memory.h"
#include "evaluate/analysis_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
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
    char *files;     /* the directory of the gnuplot files; NULL: not found */
    bool no_gnuplot; /* has been noticed */
    /* The picture that is being written: */
    char name[64];
    FILE *data, *script;
} painter;

/* ---- the gnuplot files ---- */

/* Looked for from the program's own place: where it is installed, and where it is built. */
static const char *const places[] = {SRTRAIN_INSTALLED_PICTURES, "pictures"};

/* *files stays NULL, and *failed says so, where there are none: numbers are written all the same. */
static sr_status find_files(painter *p, sr_error *error)
{
    char program[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    const char *directory = dirname(program);
    for (size_t i = 0; i < sizeof places / sizeof *places && !p->files; ++i) {
        if (asprintf(&p->files, "%s/%s", directory, places[i]) < 0) {
            p->files = NULL;
            return sr_fail_memory(error, sizeof program, "a file name");
        }
        if (access(p->files, R_OK | X_OK) == 0)
            break;
        free(p->files);
        p->files = NULL;
    }
    if (!p->files)
        (void)sr_fail(p->failed, SR_ERROR_RUNTIME,
                      "no pictures are drawn, as their gnuplot files are neither in %s/%s nor in %s/%s: install srtrain as a "
                      "whole, or give --pictures none",
                      directory, places[0], directory, places[1]);
    return SR_OK;
}

/* Adds a gnuplot file to the script. */
static sr_status add_file(const painter *p, const char *name, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s.gnuplot", p->files, name) < 0)
        return sr_fail_memory(error, strlen(p->files) + strlen(name), "a file name");
    FILE *file = fopen(path, "r");
    sr_status status = file ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
    if (file) {
        fputc('\n', p->script);
        for (int c; (c = fgetc(file)) != EOF;)
            fputc(c, p->script);
        if (ferror(file))
            status = sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
        fclose(file);
    }
    free(path);
    return status;
}

/* ---- files of a picture ---- */

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

/* Opens NAME.dat and NAME.gp, and begins the script. Numbers that its gnuplot file needs are set behind this. */
static sr_status begin(painter *p, sr_error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static sr_status begin(painter *p, sr_error *error, const char *format, ...)
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
            "name = '%s'\nending = '%s'\nterminal = '%s'\n",
            p->name, png ? "png" : "svg", p->name, p->name, p->name, png ? "png" : "svg", png ? "pngcairo" : "svg dynamic");
    return SR_OK;
}

static void set(const painter *p, const char *name, size_t value)
{
    fprintf(p->script, "%s = %zu\n", name, value);
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

/* Ends both files and draws by the gnuplot file `file`. */
static sr_status draw(painter *p, const char *file, sr_error *error)
{
    SR_TRY(add_file(p, "style", error));
    SR_TRY(add_file(p, file, error));
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
    SR_TRY(begin(p, error, "singular-values"));
    fprintf(p->data,
            "# i, s_i / s_1 of the last-position states; one block a layer, the first is what the first layer reads\n");
    for (size_t layer = 0; layer < states->count; ++layer) {
        const double *values = states->singular_values + layer * states->width;
        for (size_t i = 0; i < states->width; ++i)
            fprintf(p->data, "%zu %.9g\n", i + 1, values[0] > 0 ? values[i] / values[0] : 0);
        fprintf(p->data, "\n\n");
    }
    set(p, "layers", states->count - 1);
    return draw(p, "singular-values", error);
}

static sr_status draw_smoothing(painter *p, sr_error *error)
{
    const sr_state_analysis *states = &p->analysis->states;
    SR_TRY(begin(p, error, "layers"));
    fprintf(p->data, "# layer, cosine, published cosine, effective rank, cosine of positions, high-frequency share\n");
    for (size_t layer = 0; layer < states->count; ++layer)
        fprintf(p->data, "%zu %.9g %.9g %.9g %.9g %.9g\n", layer, states->cosine[layer], states->published_cosine[layer],
                states->effective_rank[layer], states->of_tokens ? states->position_cosine[layer] : (double)NAN,
                states->of_tokens ? states->high_frequency_share[layer] : (double)NAN);
    set(p, "layers", states->count - 1);
    set(p, "of_positions", states->of_tokens && states->sequences_with_pairs);
    return draw(p, "layers", error);
}

/* ---- attention ---- */

static void set_attention(const painter *p)
{
    set(p, "layers", p->analysis->attention.layers);
    set(p, "heads", p->analysis->attention.heads);
    set(p, "items", p->analysis->attention.length);
}

static sr_status draw_gains(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    SR_TRY(begin(p, error, "attention-gain"));
    set_attention(p);
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
    return draw(p, "attention-gain", error);
}

static sr_status draw_spectra(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    const size_t n = a->length;
    SR_TRY(begin(p, error, "attention-spectrum"));
    set_attention(p);
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
    return draw(p, "attention-spectrum", error);
}

static sr_status draw_keys(painter *p, sr_error *error)
{
    const sr_attention_analysis *a = &p->analysis->attention;
    SR_TRY(begin(p, error, "attended-keys"));
    set_attention(p);
    fprintf(p->data, "# layer.head, effective number of attended keys before and after calibration, visible keys\n");
    for (size_t i = 0; i < a->layers * a->heads; ++i)
        fprintf(p->data, "%zu.%zu %.9g %.9g %.9g\n", i / a->heads + 1, i % a->heads + 1,
                a->effective_keys[SR_BEFORE_CALIBRATION][i], a->effective_keys[SR_AFTER_CALIBRATION][i],
                a->visible_keys[SR_AFTER_CALIBRATION][i / a->heads]);
    return draw(p, "attended-keys", error);
}

/* ---- filters ---- */

static sr_status draw_filter(painter *p, const sr_filter_analysis *filter, const char *name, const char *what, sr_error *error)
{
    SR_TRY(begin(p, error, "%s", name));
    set(p, "layers", filter->layers);
    fprintf(p->script, "what = '%s'\n", what);
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
    return draw(p, "response", error);
}

/* Beta of every channel, each layer's in ascending order. */
static sr_status draw_beta(painter *p, sr_error *error)
{
    const sr_filter_analysis *rescaler = &p->analysis->rescaler;
    const size_t channels = rescaler->channels;
    double *sorted;
    SR_TRY(begin(p, error, "rescaler-beta"));
    set(p, "layers", rescaler->layers);
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
    return draw(p, "rescaler-beta", error);
}

/* ---- examples ---- */

/* Bytes of a text that are shown: cut, but within no character of UTF-8. */
static size_t shown(const char *text, size_t length)
{
    enum { LONGEST = 24 };
    if (length <= LONGEST)
        return length;
    size_t end = LONGEST;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        --end;
    return end;
}

/* A text as gnuplot reads it between single quotes, cut. */
static void print_quoted(FILE *script, const char *text, size_t length)
{
    fputc('\'', script);
    for (size_t i = 0; i < shown(text, length); ++i) {
        if (text[i] == '\'')
            fputc('\'', script);
        fputc((unsigned char)text[i] < ' ' || text[i] == '\\' ? '?' : text[i], script);
    }
    fputc('\'', script);
}

static size_t longest_name(const painter *p, const sr_attention_example *example)
{
    size_t longest = 0;
    for (size_t i = 0; i < example->tokens; ++i) {
        size_t length;
        const char *name = sr_analysis_token_name(p->dataset, example->items[i], &length);
        longest = shown(name, length) > longest ? shown(name, length) : longest;
    }
    return longest;
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
    size_t length;
    const char *user = sr_dataset_user_name(p->dataset, example->user, &length);
    SR_TRY(begin(p, error, "attention-user-%zu-layer-%zu", index + 1, layer + 1));
    set(p, "heads", heads);
    set(p, "tokens", n);
    set(p, "layer", layer + 1);
    set(p, "letters", longest_name(p, example));
    fputs("user = ", p->script);
    print_quoted(p->script, user, length);
    fputc('\n', p->script);
    print_tics(p, "xtics rotate", example);
    print_tics(p, "ytics", example);
    fprintf(p->data, "# rows: queries, columns: keys; for each head one matrix before and one after calibration\n");
    for (size_t block = 0; block < 2 * heads; ++block) {
        const double *weights = example->weights[block % 2] + (layer * heads + block / 2) * n * n;
        for (size_t cell = 0; cell < n * n; ++cell)
            fprintf(p->data, "%.6g%c", weights[cell], (cell + 1) % n ? ' ' : '\n');
        fprintf(p->data, "\n\n");
    }
    return draw(p, "attention-map", error);
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
    sr_status status = find_files(&p, error);
    if (status == SR_OK && p.files)
        status = draw_all(&p, error);
    (void)close_file(&p, ".dat", &p.data, NULL);
    (void)close_file(&p, ".gp", &p.script, NULL);
    free(p.files);
    return status;
}

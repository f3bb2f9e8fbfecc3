#include "commands/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the gnuplot files ---- */

/* Looked for from the program's own place: where it is installed, and where it is built. */
static const char *const places[] = {SRTRAIN_INSTALLED_PICTURES, "pictures"};

/* *files stays NULL, and *failed says so, where there are none: numbers are written all the same. */
static sr_status find_files(picture_writer *p, sr_error *error)
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
static sr_status add_file(const picture_writer *p, const char *name, sr_error *error)
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

static sr_status open_file(const picture_writer *p, const char *end, FILE **file, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s%s", p->directory, p->name, end) < 0)
        return sr_fail_memory(error, strlen(p->directory) + sizeof p->name, "a file name");
    *file = fopen(path, "w");
    const sr_status status = *file ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return status;
}

static sr_status close_file(const picture_writer *p, const char *end, FILE **file, sr_error *error)
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
sr_status picture_begin(picture_writer *p, sr_error *error, const char *format, ...)
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

void picture_set(const picture_writer *p, const char *name, size_t value)
{
    fprintf(p->script, "%s = %zu\n", name, value);
}

/* ---- gnuplot ---- */

/* Starts gnuplot on the script, its messages going to NAME.log; 0 or an error number. */
static int spawn(const picture_writer *p, pid_t *process)
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
static bool has_drawn(const picture_writer *p, pid_t process)
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
sr_status picture_draw(picture_writer *p, const char *file, sr_error *error)
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

/* ---- all ---- */

sr_status picture_writer_create(picture_writer *p, const char *directory, picture_format format, sr_log *log, sr_error *failed,
                                sr_error *error)
{
    *p = (picture_writer){.directory = directory, .format = format, .log = log, .failed = failed};
    return find_files(p, error);
}

void picture_writer_free(picture_writer *p)
{
    (void)close_file(p, ".dat", &p->data, NULL);
    (void)close_file(p, ".gp", &p->script, NULL);
    free(p->files);
}

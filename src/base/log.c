#include "srtrain/log.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct sr_log {
    FILE *file; /* NULL until a file is attached */
    char *path; /* of the file */
    int cause;  /* the first failure to write to it, as in errno; 0: none */
    bool is_terminal;
    size_t drawn_columns; /* width of the progress line now on the terminal; 0 if there is none */
};

sr_status sr_log_open(sr_log **log, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(log, 1, "the log", error));
    (*log)->is_terminal = isatty(STDERR_FILENO) == 1;
    return SR_OK;
}

sr_status sr_log_attach_file(sr_log *log, const char *path, sr_error *error)
{
    if (!log)
        return SR_OK;
    FILE *file = fopen(path, "a");
    if (!file)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot open log file %s: %s", path, strerror(errno));
    char *copy = NULL;
    const sr_status status = sr_copy_string(&copy, path, error);
    if (status != SR_OK) {
        fclose(file);
        return status;
    }
    if (log->file)
        fclose(log->file);
    free(log->path);
    log->file = file;
    log->path = copy;
    return SR_OK;
}

sr_status sr_log_check(const sr_log *log, sr_error *error)
{
    if (!log || !log->cause)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s: it is not complete", log->path, strerror(log->cause));
}

void sr_log_close(sr_log *log)
{
    if (!log)
        return;
    if (log->drawn_columns)
        fputc('\n', stderr);
    if (log->file)
        fclose(log->file);
    free(log->path);
    free(log);
}

static void erase_progress(sr_log *log)
{
    if (log->drawn_columns)
        fprintf(stderr, "\r%*s\r", (int)log->drawn_columns, "");
    log->drawn_columns = 0;
}

static void write_line(sr_log *log, const char *mark, const char *format, va_list arguments)
{
    char text[8192];
    vsnprintf(text, sizeof text, format, arguments);
    erase_progress(log);
    fprintf(stderr, "%s%s\n", mark, text);
    if (log->file) {
        char stamp[32] = "";
        const time_t now = time(NULL);
        struct tm broken_down;
        if (gmtime_r(&now, &broken_down))
            strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &broken_down);
        errno = 0;
        const bool written = fprintf(log->file, "%s %s%s\n", stamp, mark, text) > 0 && fflush(log->file) == 0;
        if (!written && !log->cause) {
            log->cause = errno ? errno : EIO;
            fprintf(stderr, "warning: cannot write %s: %s\n", log->path, strerror(log->cause));
        }
    }
}

void sr_log_information(sr_log *log, const char *format, ...)
{
    if (!log)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(log, "", format, arguments);
    va_end(arguments);
}

void sr_log_warning(sr_log *log, const char *format, ...)
{
    if (!log)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(log, "warning: ", format, arguments);
    va_end(arguments);
}

void sr_log_progress(sr_log *log, const char *format, ...)
{
    if (!log)
        return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!log->is_terminal) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    erase_progress(log);
    fputs(text, stderr);
    fflush(stderr);
    log->drawn_columns = strlen(text);
}

bool sr_log_is_terminal(const sr_log *log)
{
    return log && log->is_terminal;
}

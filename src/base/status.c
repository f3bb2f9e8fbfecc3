#include "srtrain/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void mark_if_cut(char *message, int length)
{
    if (length >= SR_ERROR_MESSAGE_SIZE)
        memcpy(message + SR_ERROR_MESSAGE_SIZE - 4, "...", 4);
}

sr_status sr_fail(sr_error *error, sr_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        const int length = vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        mark_if_cut(error->message, length);
        error->status = status;
    }
    return status;
}

void sr_error_prepend(sr_error *error, const char *format, ...)
{
    if (!error)
        return;
    char old[SR_ERROR_MESSAGE_SIZE];
    memcpy(old, error->message, sizeof old);
    old[sizeof old - 1] = '\0';
    va_list arguments;
    va_start(arguments, format);
    const int front = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (front < 0 || front >= SR_ERROR_MESSAGE_SIZE) {
        mark_if_cut(error->message, front);
        return;
    }
    const int back = snprintf(error->message + front, sizeof error->message - (size_t)front, "%s", old);
    mark_if_cut(error->message, front + back);
}

sr_status sr_fail_memory(sr_error *error, size_t bytes, const char *what)
{
    return sr_fail(error, SR_ERROR_RUNTIME, "out of memory: %zu bytes for %s", bytes, what);
}

/* Levenshtein distance between two short strings; names longer than the row buffer never match. */
static size_t edit_distance(const char *left, const char *right)
{
    enum { LONGEST = 63 };
    const size_t rows = strlen(left), columns = strlen(right);
    if (rows > LONGEST || columns > LONGEST)
        return LONGEST;
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= columns; ++j)
        row[j] = j;
    for (size_t i = 1; i <= rows; ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; ++j) {
            const size_t replace = diagonal + (left[i - 1] != right[j - 1]);
            diagonal = row[j];
            size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = replace < best ? replace : best;
        }
    }
    return row[columns];
}

const char *sr_nearest_name(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(name) / 2 + 1; /* farther than this is no help */
    for (size_t i = 0; i < count; ++i) {
        const size_t distance = edit_distance(name, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

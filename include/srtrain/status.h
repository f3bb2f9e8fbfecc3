/* Status values and error messages: how every function that can fail says so.
 *
 * A function that can fail returns sr_status and takes an sr_error as its last argument. On failure it writes one message
 * that says where (file, line, dataset), what was found and what is allowed, and returns the code that becomes the exit
 * code of the program. On success it leaves the sr_error untouched. */
#ifndef SRTRAIN_STATUS_H
#define SRTRAIN_STATUS_H

#include <stddef.h>

/* The values are the program's exit codes. */
typedef enum {
    SR_HELP_GIVEN = -1, /* no failure: help was asked for and written; the program ends with 0 */
    SR_OK = 0,
    SR_ERROR_RUNTIME = 1, /* I/O, non-finite loss, out of memory, MPI */
    SR_ERROR_USAGE = 2,   /* usage or configuration: nothing was started or written */
    SR_ERROR_DATA = 3,    /* input data or a checkpoint is damaged or does not fit */
    SR_STOPPED = 75       /* stopped on request after a valid checkpoint was written */
} sr_status;

enum { SR_ERROR_MESSAGE_SIZE = 4096 };

typedef struct {
    sr_status status;
    char message[SR_ERROR_MESSAGE_SIZE]; /* UTF-8, no trailing newline; longer text is cut and ends in "..." */
} sr_error;

/* Writes a message into `error` (which may be NULL) and returns `status`, so that `return sr_fail(error, ...)` reads well. */
sr_status sr_fail(sr_error *error, sr_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts text in front of the message already in `error`: the caller adds what the callee could not know. */
void sr_error_prepend(sr_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sr_fail(SR_ERROR_RUNTIME) for an allocation of `bytes` bytes meant for `what`. */
sr_status sr_fail_memory(sr_error *error, size_t bytes, const char *what);

/* The known name nearest to `name` by edit distance, or NULL if none is near. `names` holds `count` strings. For
 * messages of the kind "unknown key 'epoch', did you mean 'epochs'?". */
const char *sr_nearest_name(const char *name, const char *const *names, size_t count);

/* Returns from the calling function if `call` fails. For functions that own nothing that must be released. */
#define SR_TRY(call)                            \
    do {                                        \
        const sr_status sr_try_status = (call); \
        if (sr_try_status != SR_OK)             \
            return sr_try_status;               \
    } while (0)

#endif

#include "srtrain/standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void sr_standard_streams_reserve(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
        if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* open() takes the lowest number that is free. For reading only: what is written fails, as with the closed stream. */
        const int taken = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (taken >= 0 && taken != descriptor)
            close(taken);
    }
}

void sr_standard_output_buffer(void)
{
    static char buffer[BUFSIZ]; /* of a stream that is the process's own, and is still there when main() has ended */
    (void)setvbuf(stdout, buffer, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof buffer);
}

/* A file system in a network may only tell of a full disk when a file is closed. */
static bool reaches_its_file(void)
{
    const int copy = dup(STDOUT_FILENO);
    return copy >= 0 && close(copy) == 0;
}

sr_status sr_standard_output_finish(sr_status status, sr_error *error)
{
    errno = 0;
    const bool flushed = fflush(stdout) == 0 && !ferror(stdout);
    const bool written = flushed && reaches_its_file();
    if (written || (status != SR_OK && status != SR_HELP_GIVEN))
        return status;
    return sr_fail(error, SR_ERROR_RUNTIME, "cannot write to standard output: %s",
                   errno ? strerror(errno) : "a part of it is lost");
}

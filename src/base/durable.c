#include "srtrain/durable.h"

#include "srtrain/file_work.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool sr_durable_write(int descriptor, const void *data, size_t bytes, uint64_t offset)
{
    const size_t most = (size_t)1 << 30; /* Linux writes at most 2 GiB in one call */
    for (size_t done = 0; done < bytes;) {
        const size_t piece = bytes - done < most ? bytes - done : most;
        const ssize_t count = pwrite(descriptor, (const char *)data + done, piece, (off_t)(offset + done));
        sr_file_work_step();
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0)
            errno = EIO;
        if (count <= 0)
            return false;
        done += (size_t)count;
    }
    return true;
}

/* Some file systems have no such call for directories. They keep their names by other means. */
static bool is_refused_for_directory(int descriptor, int cause)
{
    struct stat found;
    return (cause == EINVAL || cause == ENOTSUP) && fstat(descriptor, &found) == 0 && S_ISDIR(found.st_mode);
}

sr_status sr_durable_synchronise(const char *path, sr_error *error)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    bool synchronised = descriptor >= 0 && fsync(descriptor) == 0;
    const int cause = errno;
    if (descriptor >= 0) {
        synchronised = synchronised || is_refused_for_directory(descriptor, cause);
        close(descriptor);
    }
    return synchronised ? SR_OK
                        : sr_fail(error, SR_ERROR_RUNTIME, "%s: cannot bring it to the disk: %s", path, strerror(cause));
}

sr_status sr_durable_synchronise_parent(const char *path, sr_error *error)
{
    char *copy; /* dirname() writes into it */
    SR_TRY(sr_copy_string(&copy, path, error));
    const sr_status status = sr_durable_synchronise(dirname(copy), error);
    free(copy);
    return status;
}

sr_status sr_durable_rename(const char *from, const char *to, sr_error *error)
{
    SR_TRY(sr_durable_synchronise(from, error));
    if (rename(from, to) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot rename %s to %s: %s", from, to, strerror(errno));
    return sr_durable_synchronise_parent(to, error);
}

#include "storage/disk_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

sr_status disk_room_reserve(const char *path, uint64_t size, sr_error *error)
{
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot create %s: %s", path, strerror(errno));
    bool room = fallocate(descriptor, 0, 0, (off_t)size) == 0;
    int cause = errno;
    struct statvfs system;
    /* Where the file system cannot reserve, we see whether there is as much free. */
    if (!room && (cause == EOPNOTSUPP || cause == ENOSYS) && fstatvfs(descriptor, &system) == 0) {
        room = (uint64_t)system.f_bavail * system.f_frsize >= size;
        cause = ENOSPC;
    }
    close(descriptor);
    return room ? SR_OK
                : sr_fail(error, SR_ERROR_RUNTIME, "%s: no room for %llu bytes: %s", path, (unsigned long long)size,
                          strerror(cause));
}

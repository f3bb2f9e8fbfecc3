#include "srtrain/output_file.h"

#include "srtrain/directories.h"
#include "srtrain/durable.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The descriptor of this process that a file is, as /dev/stdout is one; -1 if it is none. */
static int own_descriptor(const struct stat *file)
{
    for (int descriptor = STDOUT_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
        struct stat own;
        if (fstat(descriptor, &own) == 0 && own.st_dev == file->st_dev && own.st_ino == file->st_ino)
            return descriptor;
    }
    return -1;
}

/* Chooses the names of a new file: beside what it replaces, or what a link points to. */
static sr_status name_new_file(sr_output_file *file, const char *path, bool exists, sr_error *error)
{
    file->path = exists ? realpath(path, NULL) : NULL;
    if (!file->path)
        SR_TRY(sr_copy_string(&file->path, path, error));
    if (asprintf(&file->place, "%s.tmp", file->path) < 0) {
        file->place = NULL;
        return sr_fail_memory(error, strlen(file->path) + 5, "a file name");
    }
    return sr_make_parent_directories(file->path, error);
}

/* Whether the file only gets its name at the end. */
static bool is_renamed(const sr_output_file *file)
{
    return file->place != file->path;
}

static void release(sr_output_file *file)
{
    if (is_renamed(file))
        free(file->place);
    free(file->path);
    *file = (sr_output_file){.stream = NULL};
}

/* The file that gets its name at the end, for this process alone: two that wrote it at a time would mix what they write. What a
 * killed one has left is written over, as the lock ends with its process. Where the file system has no locks, nobody is kept
 * out. -1 and errno, EBUSY when another process writes it. */
static int open_new_file(const char *place)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat opened, named;
    for (;;) {
        const int descriptor = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor < 0)
            return -1;
        const bool held = fcntl(descriptor, F_OFD_SETLK, &whole) != 0 && (errno == EAGAIN || errno == EACCES);
        const bool current = !held && fstat(descriptor, &opened) == 0 && stat(place, &named) == 0 &&
                             opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
        if (current && ftruncate(descriptor, 0) == 0)
            return descriptor;
        const int cause = held ? EBUSY : errno;
        close(descriptor);
        errno = cause;
        if (held || current)
            return -1;
        /* Its name was given away between opening and locking. */
    }
}

/* A descriptor of ours is shared, with its place in the file: opened again, it would write over what the file holds. */
static FILE *open_stream(const sr_output_file *file, int own)
{
    if (own < 0 && !is_renamed(file))
        return fopen(file->place, "w");
    const int descriptor = own < 0 ? open_new_file(file->place) : dup(own);
    FILE *stream = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!stream && descriptor >= 0)
        close(descriptor);
    return stream;
}

sr_status sr_output_file_open(sr_output_file *file, const char *path, sr_error *error)
{
    struct stat found;
    const bool exists = path && stat(path, &found) == 0;
    const int own = !path ? STDOUT_FILENO : (exists ? own_descriptor(&found) : -1);
    sr_status status;
    *file = (sr_output_file){.stream = NULL};
    if (own < 0 && (!exists || S_ISREG(found.st_mode))) {
        status = name_new_file(file, path, exists, error);
    } else {
        status = sr_copy_string(&file->path, path ? path : "standard output", error);
        file->place = file->path;
    }
    if (status == SR_OK) {
        file->stream = open_stream(file, own);
        if (!file->stream)
            status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->place,
                             errno == EBUSY ? "another process is writing it" : strerror(errno));
    }
    if (status != SR_OK)
        release(file);
    return status;
}

sr_status sr_output_file_close(sr_output_file *file, sr_status status, sr_error *error)
{
    if (!file->stream)
        return status;
    (void)fflush(stdout); /* which the file may be: what was printed before comes first */
    const bool renamed = is_renamed(file);
    errno = 0;
    bool written = fflush(file->stream) == 0 && !ferror(file->stream);
    int cause = errno;
    const int locked = renamed ? dup(fileno(file->stream)) : -1; /* until it has its name */
    if (fclose(file->stream) != 0 && written) {
        written = false;
        cause = errno;
    }
    if (status == SR_OK && !written)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(cause ? cause : EIO));
    if (status == SR_OK && renamed)
        status = sr_durable_rename(file->place, file->path, error);
    if (status != SR_OK && renamed)
        (void)remove(file->place);
    if (locked >= 0)
        close(locked);
    release(file);
    return status;
}

sr_status sr_output_file_write(const char *path, const char *text, sr_error *error)
{
    sr_output_file file;
    SR_TRY(sr_output_file_open(&file, path, error));
    fprintf(file.stream, "%s\n", text); /* whether that succeeded is asked at the end */
    return sr_output_file_close(&file, SR_OK, error);
}

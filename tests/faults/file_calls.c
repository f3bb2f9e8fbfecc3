/* The file calls of the C library that the layer stands in front of, but for those of streams. */
#include "journal.h"
#include "layer.h"
#include "real_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- bytes ---- */

/* Where a file's descriptor stands. */
static off_t position(int descriptor)
{
    const int flags = fcntl(descriptor, F_GETFL);
    return lseek(descriptor, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
}

/* Begins a call that changes bytes of a watched file; `offset` -1: where the descriptor stands. */
static call_fate begin_write(path_kind kind, int descriptor, const char *path, off_t offset, size_t length)
{
    const call_fate fate = layer_enter(FAULT_WRITE);
    if (fate != CALL_FAILS && kind == PATH_WATCHED && layer_keeps_journal() && length > 0)
        journal_write(path, offset < 0 ? position(descriptor) : offset, length);
    return fate;
}

static size_t reduce(call_fate fate, size_t size)
{
    return fate == CALL_IS_SHORT ? (size + 1) / 2 : size;
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    char path[PATH_MAX];
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER)
        return real()->write(descriptor, data, size);
    const call_fate fate = begin_write(kind, descriptor, path, -1, size);
    const ssize_t result = fate == CALL_FAILS ? -1 : real()->write(descriptor, data, reduce(fate, size));
    layer_leave();
    return result;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    char path[PATH_MAX];
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER)
        return real()->pwrite(descriptor, data, size, offset);
    const call_fate fate = begin_write(kind, descriptor, path, offset, size);
    const ssize_t result = fate == CALL_FAILS ? -1 : real()->pwrite(descriptor, data, reduce(fate, size), offset);
    layer_leave();
    return result;
}

static size_t sum(const struct iovec *vector, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; ++i)
        size += vector[i].iov_len;
    return size;
}

ssize_t writev(int descriptor, const struct iovec *vector, int count)
{
    char path[PATH_MAX];
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER)
        return real()->writev(descriptor, vector, count);
    const call_fate fate = begin_write(kind, descriptor, path, -1, sum(vector, count));
    const ssize_t result = fate == CALL_FAILS ? -1 : real()->writev(descriptor, vector, fate == CALL_IS_SHORT ? 1 : count);
    layer_leave();
    return result;
}

ssize_t pwritev(int descriptor, const struct iovec *vector, int count, off_t offset)
{
    char path[PATH_MAX];
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER)
        return real()->pwritev(descriptor, vector, count, offset);
    const call_fate fate = begin_write(kind, descriptor, path, offset, sum(vector, count));
    const ssize_t result = fate == CALL_FAILS ? -1
                                              : real()->pwritev(descriptor, vector, fate == CALL_IS_SHORT ? 1 : count, offset);
    layer_leave();
    return result;
}

int fallocate(int descriptor, int mode, off_t offset, off_t length)
{
    char path[PATH_MAX];
    struct stat found;
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER || fstat(descriptor, &found) != 0)
        return real()->fallocate(descriptor, mode, offset, length);
    const off_t end = offset + length;
    const bool grows = end > found.st_size;
    const call_fate fate = begin_write(kind, descriptor, path, found.st_size,
                                       grows ? (size_t)(end - found.st_size) : (size_t)0);
    const int result = fate == CALL_FAILS ? -1 : real()->fallocate(descriptor, mode, offset, length);
    layer_leave();
    return result;
}

/* Cutting off takes no room: it does not fail. */
int ftruncate(int descriptor, off_t size)
{
    char path[PATH_MAX];
    struct stat found;
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER || fstat(descriptor, &found) != 0)
        return real()->ftruncate(descriptor, size);
    const bool grows = size > found.st_size;
    const call_fate fate = grows ? begin_write(kind, descriptor, path, found.st_size, (size_t)(size - found.st_size))
                                 : layer_enter(FAULT_NONE);
    if (size < found.st_size && kind == PATH_WATCHED && layer_keeps_journal())
        journal_write(path, size, 0);
    const int result = fate == CALL_FAILS ? -1 : real()->ftruncate(descriptor, size);
    layer_leave();
    return result;
}

/* ---- syncs ---- */

int fsync(int descriptor)
{
    char path[PATH_MAX];
    const path_kind kind = layer_path_of(descriptor, path);
    if (kind == PATH_OTHER)
        return real()->fsync(descriptor);
    const call_fate fate = layer_enter(FAULT_SYNC);
    const int result = fate == CALL_FAILS ? -1 : 0; /* the machine keeps its power: nothing has to go to a disk */
    if (result == 0 && kind == PATH_WATCHED && layer_keeps_journal())
        journal_synchronise(path);
    layer_leave();
    return result;
}

int fdatasync(int descriptor)
{
    return fsync(descriptor);
}

/* ---- names ---- */

/* Opening is a change of names where it makes a file, and of bytes where it cuts one off. */
static int open_file(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat found;
    const bool writes = (flags & (O_CREAT | O_TRUNC)) != 0 && (flags & O_TMPFILE) != O_TMPFILE;
    if (!writes || layer_path(directory, name, path) != PATH_WATCHED)
        return real()->openat(directory, name, flags, mode);
    const bool exists = stat(path, &found) == 0, makes = !exists && (flags & O_CREAT);
    if (!makes && !(exists && (flags & O_TRUNC)))
        return real()->openat(directory, name, flags, mode);
    const call_fate fate = layer_enter(makes ? FAULT_NAME : FAULT_WRITE);
    if (fate != CALL_FAILS && layer_keeps_journal()) {
        if (makes)
            journal_create(path);
        else
            journal_write(path, 0, 0);
    }
    const int result = fate == CALL_FAILS ? -1 : real()->openat(directory, name, flags, mode);
    if (fate != CALL_FAILS && result < 0 && makes && layer_keeps_journal())
        journal_forget_last();
    layer_leave();
    return result;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(AT_FDCWD, name, flags, mode);
}

int openat(int directory, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(directory, name, flags, mode);
}

int rename(const char *from, const char *to)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];
    if (layer_path(AT_FDCWD, from, from_path) != PATH_WATCHED || layer_path(AT_FDCWD, to, to_path) != PATH_WATCHED)
        return real()->rename(from, to);
    const call_fate fate = layer_enter(FAULT_NAME);
    if (fate != CALL_FAILS && layer_keeps_journal())
        journal_rename(from_path, to_path);
    const int result = fate == CALL_FAILS ? -1 : real()->rename(from, to);
    if (fate != CALL_FAILS && result != 0 && layer_keeps_journal())
        journal_forget_last();
    layer_leave();
    return result;
}

int mkdir(const char *name, mode_t mode)
{
    char path[PATH_MAX];
    struct stat found;
    if (layer_path(AT_FDCWD, name, path) != PATH_WATCHED || stat(path, &found) == 0)
        return real()->mkdir(name, mode);
    const call_fate fate = layer_enter(FAULT_NAME);
    const int result = fate == CALL_FAILS ? -1 : real()->mkdir(name, mode);
    if (result == 0 && layer_keeps_journal())
        journal_make_directory(path);
    layer_leave();
    return result;
}

/* Taking files away does not fail: programs do it to make room. */
static void begin_removal(const char *path)
{
    struct stat found;
    (void)layer_enter(FAULT_NONE);
    if (layer_keeps_journal() && stat(path, &found) == 0 && S_ISREG(found.st_mode))
        journal_remove(path);
}

int unlink(const char *name)
{
    char path[PATH_MAX];
    if (layer_path(AT_FDCWD, name, path) != PATH_WATCHED)
        return real()->unlink(name);
    begin_removal(path);
    const int result = real()->unlink(name);
    layer_leave();
    return result;
}

int unlinkat(int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    if (layer_path(directory, name, path) != PATH_WATCHED)
        return real()->unlinkat(directory, name, flags);
    begin_removal(path);
    const int result = real()->unlinkat(directory, name, flags);
    layer_leave();
    return result;
}

int remove(const char *name)
{
    char path[PATH_MAX];
    if (layer_path(AT_FDCWD, name, path) != PATH_WATCHED)
        return real()->remove(name);
    begin_removal(path);
    const int result = real()->remove(name);
    layer_leave();
    return result;
}

/* ---- the same under other names, where off_t has 64 bits anyway ---- */

_Static_assert(sizeof(off_t) == 8, "the names with 64 are the same calls");
int open64(const char *name, int flags, ...) __attribute__((alias("open")));
int openat64(int directory, const char *name, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t offset) __attribute__((alias("pwrite")));
ssize_t pwritev64(int descriptor, const struct iovec *vector, int count, off_t offset) __attribute__((alias("pwritev")));
int fallocate64(int descriptor, int mode, off_t offset, off_t length) __attribute__((alias("fallocate")));
int ftruncate64(int descriptor, off_t size) __attribute__((alias("ftruncate")));

int creat(const char *name, mode_t mode)
{
    return open_file(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

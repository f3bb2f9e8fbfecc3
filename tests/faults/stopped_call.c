/* A library to be loaded before srtrain, in which a file call of one rank stands still, or ends the process.
 *
 *   SRTRAIN_STOP_RANK    the rank, or "all"
 *   SRTRAIN_STOP_CALL    "read" or "write": pread() or pwrite(), whoever calls it
 *   SRTRAIN_STOP_FILE    part of the path of the files that count
 *   SRTRAIN_STOP_AT      the number of the call, from 1
 *   SRTRAIN_STOP_OPEN    part of the path of files which no rank can open: open() never comes back
 *   SRTRAIN_STOP_HOW     "stop": SIGSTOP; "hang": the call never comes back; "kill": SIGKILL; "full": from then on no room is
 * left */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef ssize_t read_call(int, void *, size_t, off_t);
typedef ssize_t write_call(int, const void *, size_t, off_t);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count;

static bool is_own_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    const char *wanted = getenv("SRTRAIN_STOP_RANK"), *own = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !own; ++i)
        own = getenv(names[i]);
    return wanted && (strcmp(wanted, "all") == 0 || strcmp(wanted, own ? own : "0") == 0);
}

static bool concerns(const char *call, int descriptor)
{
    const char *wanted_call = getenv("SRTRAIN_STOP_CALL"), *file = getenv("SRTRAIN_STOP_FILE");
    char link[64], path[PATH_MAX];
    if (!wanted_call || !file || strcmp(wanted_call, call) != 0 || !is_own_rank())
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return strstr(path, file) != NULL;
}

/* Whether the call fails for want of room. */
static bool meet(const char *call, int descriptor)
{
    if (!concerns(call, descriptor))
        return false;
    const char *at = getenv("SRTRAIN_STOP_AT"), *how = getenv("SRTRAIN_STOP_HOW");
    const long wanted = at ? strtol(at, NULL, 10) : 1;
    pthread_mutex_lock(&lock);
    const long number = ++count;
    pthread_mutex_unlock(&lock);
    if (!how || number < wanted)
        return false;
    if (strcmp(how, "full") == 0)
        return true;
    if (number > wanted)
        return false;
    if (strcmp(how, "stop") == 0)
        kill(getpid(), SIGSTOP);
    else if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    while (strcmp(how, "hang") == 0)
        pause();
    return false;
}

static ssize_t read_really(const char *name, int descriptor, void *data, size_t size, off_t offset)
{
    read_call *real;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    (void)meet("read", descriptor);
    return real(descriptor, data, size, offset);
}

static ssize_t write_really(const char *name, int descriptor, const void *data, size_t size, off_t offset)
{
    write_call *real;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    if (meet("write", descriptor)) {
        errno = ENOSPC;
        return -1;
    }
    return real(descriptor, data, size, offset);
}

ssize_t pread(int descriptor, void *data, size_t size, off_t offset)
{
    return read_really("pread", descriptor, data, size, offset);
}

ssize_t pread64(int descriptor, void *data, size_t size, off64_t offset)
{
    return read_really("pread64", descriptor, data, size, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    return write_really("pwrite", descriptor, data, size, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
{
    return write_really("pwrite64", descriptor, data, size, offset);
}

static int open_really(const char *function, const char *name, int flags, mode_t mode)
{
    const char *unreachable = getenv("SRTRAIN_STOP_OPEN");
    int (*real)(const char *, int, ...);
    *(void **)&real = dlsym(RTLD_NEXT, function);
    while (unreachable && strstr(name, unreachable))
        pause();
    return real(name, flags, mode);
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
    return open_really("open", name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_really("open64", name, flags, mode);
}

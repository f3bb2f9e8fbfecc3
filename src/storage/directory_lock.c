#include "storage/directory_lock.h"

#include "srtrain/clock.h"
#include "srtrain/directories.h"
#include "srtrain/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOST_SIZE = 256, STAMP_SIZE = 32, JOB_SIZE = 128 };

/* Who owns a directory, as its file says. */
typedef struct {
    long process, parent;
    long long ticks; /* when the process began, as Linux counts; 0: not known */
    char host[HOST_SIZE], since[STAMP_SIZE], job[JOB_SIZE];
} owner;

struct directory_lock {
    char *directory, *path;
    int descriptor;      /* of the file; -1: none */
    size_t known_length; /* of the part of the directory's name that existed before */
};

/* ---- processes ---- */

/* What Linux says of a process: its state, its parent, and when it began. False where it says nothing. */
static bool look_at_process(long process, char *state, long *parent, long long *ticks)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", process);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    /* The name stands in parentheses and may hold anything; fields 3, 4 and 22 follow. */
    const char *end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c %ld %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld", state,
                         parent, ticks) == 3;
}

static bool has_pending_kill(long process)
{
    char path[64], line[256];
    bool pending = false;
    snprintf(path, sizeof path, "/proc/%ld/status", process);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long signals;
        if (sscanf(line, "SigPnd: %llx", &signals) == 1 || sscanf(line, "ShdPnd: %llx", &signals) == 1)
            pending = pending || (signals >> (SIGKILL - 1) & 1);
    }
    if (file)
        fclose(file);
    return pending;
}

static bool is_of_this_host(const owner *other)
{
    char host[HOST_SIZE] = "";
    return gethostname(host, sizeof host - 1) == 0 && strcmp(host, other->host) == 0;
}

/* Whether that process of this host lives, and is not another one with its number. */
static bool is_alive(const owner *other)
{
    char state;
    long parent;
    long long ticks;
    if (kill((pid_t)other->process, 0) != 0 && errno == ESRCH)
        return false;
    return !look_at_process(other->process, &state, &parent, &ticks) || ticks == other->ticks;
}

/* Whether a process of this host that still holds a lock is about to end: it was killed, or its launcher has ended. */
static bool is_ending(const owner *other)
{
    char state;
    long parent;
    long long ticks;
    if (!look_at_process(other->process, &state, &parent, &ticks) || ticks != other->ticks)
        return true;
    return state == 'Z' || state == 'X' || parent != other->parent || has_pending_kill(other->process);
}

/* ---- the file's words ---- */

/* The job of a batch system, by whichever name it goes there; empty outside of one. */
static void name_job(char *job, size_t size)
{
    static const char *const names[] = {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"};
    job[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names && !*job; ++i) {
        const char *value = getenv(names[i]);
        if (value && *value)
            snprintf(job, size, "%s=%.100s", names[i], value);
    }
}

static owner myself(void)
{
    owner me = {.process = (long)getpid(), .parent = (long)getppid()};
    char state;
    long parent;
    const time_t now = time(NULL);
    struct tm broken_down;
    if (gethostname(me.host, sizeof me.host - 1) != 0)
        snprintf(me.host, sizeof me.host, "unknown");
    if (gmtime_r(&now, &broken_down))
        strftime(me.since, sizeof me.since, "%Y-%m-%dT%H:%M:%SZ", &broken_down);
    name_job(me.job, sizeof me.job);
    (void)look_at_process(me.process, &state, &parent, &me.ticks);
    return me;
}

static sr_status write_owner(const directory_lock *lock, sr_error *error)
{
    const owner me = myself();
    char text[1024];
    const int length = snprintf(text, sizeof text, "process %ld\nhost %s\nsince %s\nparent %ld\nticks %lld\njob %s\n",
                                me.process, me.host, me.since, me.parent, me.ticks, me.job);
    const bool written = ftruncate(lock->descriptor, 0) == 0 &&
                         pwrite(lock->descriptor, text, (size_t)length, 0) == (ssize_t)length && fsync(lock->descriptor) == 0;
    return written ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", lock->path, strerror(errno));
}

/* False when the file names nobody. */
static bool read_owner(int descriptor, owner *other)
{
    char text[1024];
    const ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    *other = (owner){.process = 0};
    return sscanf(text, "process %ld host %255s since %31s parent %ld ticks %lld job %127s", &other->process, other->host,
                  other->since, &other->parent, &other->ticks, other->job) >= 5;
}

/* ---- taking it ---- */

static int take_lock(int descriptor)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(descriptor, F_OFD_SETLK, &whole);
}

static sr_status open_file(directory_lock *lock, sr_error *error)
{
    SR_TRY(sr_make_directories(lock->directory, error));
    lock->descriptor = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return lock->descriptor >= 0
               ? SR_OK
               : sr_fail(error, SR_ERROR_RUNTIME, "cannot write in %s: %s: %s", lock->directory, lock->path, strerror(errno));
}

static void close_file(directory_lock *lock)
{
    if (lock->descriptor >= 0)
        close(lock->descriptor);
    lock->descriptor = -1;
}

/* Whether the file that was locked is still the one of that name: the owner before may have removed it meanwhile. It is opened
 * again, because NFS may remember for a while what stat() says. */
static bool is_current(const directory_lock *lock)
{
    struct stat held, named;
    const int again = open(lock->path, O_RDONLY | O_CLOEXEC);
    const bool current = again >= 0 && fstat(again, &named) == 0 && fstat(lock->descriptor, &held) == 0 &&
                         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
    if (again >= 0)
        close(again);
    return current;
}

typedef enum { LOCK_TAKEN, LOCK_HELD, LOCK_MISSING, LOCK_CHANGED } lock_state;

/* LOCK_MISSING: the file system has none, errno says how. LOCK_CHANGED: the file has been removed meanwhile. */
static lock_state try_lock(const directory_lock *lock, const directory_lock_options *options)
{
    errno = 0;
    if ((options->take ? options->take : take_lock)(lock->descriptor) == 0)
        return is_current(lock) ? LOCK_TAKEN : LOCK_CHANGED;
    return errno == EAGAIN || errno == EACCES ? LOCK_HELD : LOCK_MISSING;
}

static sr_status refuse(const directory_lock *lock, const owner *other, sr_error *error)
{
    static const char advice[] = "wait until it has ended, or stop it, or choose another --output";
    if (other->process == 0)
        return sr_fail(error, SR_ERROR_USAGE, "another run works in %s, a process that has not said its name yet: %s",
                       lock->directory, advice);
    return sr_fail(error, SR_ERROR_USAGE, "another run works in %s: process %ld on host %s, since %s%s%s: %s", lock->directory,
                   other->process, other->host, other->since, *other->job ? ", of job " : "", other->job, advice);
}

/* How long, in seconds, an owner may take to end. */
static double patience_with(const owner *other)
{
    char job[JOB_SIZE];
    if (other->process == 0)
        return 1; /* it has just begun, and is about to say who it is */
    if (is_of_this_host(other))
        return is_ending(other) ? 30 : 0;
    name_job(job, sizeof job);
    return *job && strcmp(job, other->job) == 0 ? 120 : 0;
}

/* Without locks: whether the file names an owner that must be believed. */
static sr_status believe_words(const directory_lock *lock, const directory_lock_options *options, int cause, sr_error *error)
{
    owner other;
    sr_log_warning(options->log,
                   "the file system of %s has no locks (%s): nothing keeps a run that starts on another host out of this "
                   "directory",
                   lock->directory, strerror(cause));
    if (!read_owner(lock->descriptor, &other))
        return SR_OK;
    if (is_of_this_host(&other))
        return is_alive(&other) ? refuse(lock, &other, error) : SR_OK;
    sr_log_warning(options->log,
                   "process %ld on host %s has worked in %s since %s: make sure that it has ended, which cannot be seen "
                   "from here",
                   other.process, other.host, lock->directory, other.since);
    return SR_OK;
}

/* One attempt: *done when there is nothing more to try. */
static sr_status attempt(directory_lock *lock, const directory_lock_options *options, double waited, bool *done,
                         sr_error *error)
{
    owner other = {.process = 0};
    *done = true;
    SR_TRY(open_file(lock, error));
    switch (try_lock(lock, options)) {
    case LOCK_TAKEN:
        return write_owner(lock, error);
    case LOCK_MISSING:
        SR_TRY(believe_words(lock, options, errno, error));
        return write_owner(lock, error);
    case LOCK_HELD:
        (void)read_owner(lock->descriptor, &other);
        if (waited >= patience_with(&other) || (options->must_end && options->must_end()))
            return refuse(lock, &other, error);
        if (waited == 0 && other.process != 0)
            sr_log_information(options->log, "waiting for process %ld on host %s, which is ending, to leave %s", other.process,
                               other.host, lock->directory);
        break;
    case LOCK_CHANGED:
        break;
    }
    close_file(lock);
    *done = false;
    return SR_OK;
}

static sr_status take(directory_lock *lock, const directory_lock_options *options, sr_error *error)
{
    const double start = sr_seconds();
    const struct timespec pause = {.tv_nsec = 100000000};
    double waited = 0;
    for (bool done = false;;) {
        SR_TRY(attempt(lock, options, waited, &done, error));
        if (done)
            return SR_OK;
        nanosleep(&pause, NULL);
        waited = sr_seconds() - start;
    }
}

/* How much of a directory's name stands for directories that exist. */
static size_t length_of_known(const char *directory, char *scratch)
{
    struct stat found;
    strcpy(scratch, directory);
    size_t length = strlen(scratch);
    while (length > 0 && stat(scratch, &found) != 0) {
        while (length > 0 && scratch[length - 1] == '/')
            --length;
        while (length > 0 && scratch[length - 1] != '/')
            --length;
        scratch[length] = '\0';
    }
    return length;
}

static void release_memory(directory_lock *lock)
{
    close_file(lock);
    free(lock->directory);
    free(lock->path);
    free(lock);
}

sr_status directory_lock_take(directory_lock **lock, const directory_lock_options *options, sr_error *error)
{
    directory_lock *made;
    char *scratch = NULL;
    *lock = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the lock of a directory", error));
    made->descriptor = -1;
    sr_status status = sr_copy_string(&made->directory, options->directory, error);
    if (status == SR_OK)
        status = sr_copy_string(&scratch, options->directory, error);
    if (status == SR_OK && asprintf(&made->path, "%s/lock", options->directory) < 0) {
        made->path = NULL;
        status = sr_fail_memory(error, strlen(options->directory) + sizeof "/lock", "a file name");
    }
    if (status == SR_OK) {
        made->known_length = length_of_known(made->directory, scratch);
        status = take(made, options, error);
    }
    free(scratch);
    if (status == SR_OK)
        *lock = made;
    else
        release_memory(made);
    return status;
}

/* ---- looking ---- */

directory_owner directory_lock_look(const char *directory, char *who, size_t size)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    owner other = {.process = 0};
    char *path;
    *who = '\0';
    if (asprintf(&path, "%s/lock", directory) < 0)
        return DIRECTORY_FREE;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (descriptor < 0)
        return DIRECTORY_FREE;
    const bool has_locks = fcntl(descriptor, F_OFD_GETLK, &whole) == 0;
    if (read_owner(descriptor, &other))
        snprintf(who, size, "process %ld on host %s, since %s%s%s", other.process, other.host, other.since,
                 *other.job ? ", of job " : "", other.job);
    close(descriptor);
    const bool lives = has_locks ? whole.l_type != F_UNLCK
                                 : other.process != 0 && (!is_of_this_host(&other) || is_alive(&other));
    return lives ? DIRECTORY_HELD : DIRECTORY_LEFT;
}

/* ---- letting go ---- */

/* Removes the directories that were made, as far as nothing lies in them. */
static void remove_directories(const directory_lock *lock)
{
    char *path = lock->directory;
    size_t length = strlen(path);
    while (length > lock->known_length && rmdir(path) == 0) {
        while (length > 0 && path[length - 1] == '/')
            --length;
        while (length > 0 && path[length - 1] != '/')
            --length;
        path[length] = '\0';
    }
}

void directory_lock_release(directory_lock *lock)
{
    if (!lock)
        return;
    /* While it is still held: whoever gets the lock of this file finds that the name is gone, and begins again. */
    (void)unlink(lock->path);
    close_file(lock);
    if (strlen(lock->directory) > lock->known_length)
        remove_directories(lock);
    release_memory(lock);
}

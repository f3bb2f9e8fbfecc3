#include "layer.h"

#include "journal.h"
#include "real_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char watched[PATH_MAX];
static size_t watched_length; /* 0: nothing is watched */
static fault armed;
static long counts[FAULT_POWER + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- paths ---- */

static path_kind kind_of(const char *path)
{
    static const char removed[] = " (deleted)";
    const size_t length = strlen(path);
    if (watched_length == 0 || strncmp(path, watched, watched_length) != 0 || path[watched_length] != '/')
        return PATH_OTHER;
    return length > sizeof removed && strcmp(path + length - sizeof removed + 1, removed) == 0 ? PATH_NAMELESS : PATH_WATCHED;
}

path_kind layer_path_of(int descriptor, char path[PATH_MAX])
{
    char link[64];
    if (watched_length == 0)
        return PATH_OTHER;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    char found[PATH_MAX]; /* gcc with its sanitizers takes a parameter for a null pointer here, and warns of it */
    const ssize_t length = readlink(link, found, sizeof found - 1);
    if (length <= 0)
        return PATH_OTHER;
    found[length] = '\0';
    memcpy(path, found, (size_t)length + 1);
    if (strcmp(path, watched) == 0)
        return PATH_WATCHED;
    return kind_of(path);
}

path_kind layer_path(int directory, const char *name, char path[PATH_MAX])
{
    char base[PATH_MAX] = "";
    if (watched_length == 0)
        return PATH_OTHER;
    if (name[0] != '/' && directory == AT_FDCWD && !getcwd(base, sizeof base))
        return PATH_OTHER;
    if (name[0] != '/' && directory != AT_FDCWD)
        (void)layer_path_of(directory, base);
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    if (snprintf(path, PATH_MAX, "%s%s%s", base, *base ? "/" : "", name) >= PATH_MAX)
        return PATH_OTHER;
    return kind_of(path);
}

/* ---- power ---- */

_Noreturn static void lose_power(void)
{
    const struct timespec pause = {0, 1000000};
    journal_lose(armed.seed + (unsigned)getpid());
    journal_detach();
    for (int i = 0; i < 5000 && !journal_all_detached(); ++i)
        nanosleep(&pause, NULL);
    kill(getpid(), SIGKILL);
    for (;;)
        pause.tv_nsec ? nanosleep(&pause, NULL) : 0;
}

/* Waits for the failure of another process. */
static void *watch_power(void *context)
{
    const struct timespec pause = {0, 500000};
    (void)context;
    while (!journal_has_failed())
        nanosleep(&pause, NULL);
    pthread_mutex_lock(&lock); /* for ever: no file call begins any more */
    lose_power();
}

static void attach(void)
{
    static bool done;
    pthread_t thread;
    sigset_t all, former;
    if (done)
        return;
    done = true;
    journal_attach();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    if (pthread_create(&thread, NULL, watch_power, NULL) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &former, NULL);
}

/* ---- calls ---- */

bool layer_keeps_journal(void)
{
    return armed.kind == FAULT_POWER;
}

call_fate layer_enter(fault_kind kind)
{
    pthread_mutex_lock(&lock);
    if (layer_keeps_journal())
        attach();
    const long number = ++counts[kind], total = ++counts[FAULT_POWER];
    if (armed.kind == FAULT_POWER && total == armed.at) {
        journal_fail();
        lose_power();
    }
    if (armed.kind == FAULT_SHORT && kind == FAULT_WRITE && number == armed.at)
        return CALL_IS_SHORT;
    if (armed.kind != kind || armed.at == 0 || !(number == armed.at || (armed.lasting && number > armed.at)))
        return CALL_GOES_ON;
    errno = armed.cause;
    return CALL_FAILS;
}

void layer_leave(void)
{
    const int cause = errno;
    pthread_mutex_unlock(&lock);
    errno = cause;
}

/* ---- what tests call ---- */

void faults_watch(const char *directory)
{
    pthread_mutex_lock(&lock);
    watched_length = directory && realpath(directory, watched) ? strlen(watched) : 0;
    memset(counts, 0, sizeof counts);
    pthread_mutex_unlock(&lock);
}

void faults_arm(const fault *wanted)
{
    pthread_mutex_lock(&lock);
    armed = *wanted;
    memset(counts, 0, sizeof counts);
    pthread_mutex_unlock(&lock);
}

long faults_count(fault_kind kind)
{
    pthread_mutex_lock(&lock);
    const long count = counts[kind];
    pthread_mutex_unlock(&lock);
    return count;
}

/* ---- a program that knows nothing of the layer ---- */

static long number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

/* The rank in the world of MPI, as the launchers say it. */
static long own_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (getenv(names[i]))
            return number_of(names[i]);
    return 0;
}

/* SRTRAIN_FAULTS_DIRECTORY is watched. The power fails at call SRTRAIN_FAULTS_AT (0: never) of rank SRTRAIN_FAULTS_RANK;
 * SRTRAIN_FAULTS_CONTROL is the file that processes share, on the same file system, and SRTRAIN_FAULTS_SEED that of what is
 * lost. Numbers of calls go to the file SRTRAIN_FAULTS_COUNTS-RANK at the end. */
__attribute__((constructor)) static void read_environment(void)
{
    const char *directory = getenv("SRTRAIN_FAULTS_DIRECTORY"), *control = getenv("SRTRAIN_FAULTS_CONTROL");
    if (!directory || !control)
        return;
    journal_share(control);
    faults_watch(directory);
    armed = (fault){.kind = FAULT_POWER,
                    .at = own_rank() == number_of("SRTRAIN_FAULTS_RANK") ? number_of("SRTRAIN_FAULTS_AT") : 0,
                    .seed = (unsigned)number_of("SRTRAIN_FAULTS_SEED")};
}

__attribute__((destructor)) static void write_counts(void)
{
    const char *counts_path = getenv("SRTRAIN_FAULTS_COUNTS");
    char path[PATH_MAX];
    if (!counts_path || counts[FAULT_POWER] == 0)
        return;
    snprintf(path, sizeof path, "%s-%ld", counts_path, own_rank());
    FILE *file = real()->fopen(path, "w");
    if (!file)
        return;
    fprintf(file, "%ld %ld %ld %ld\n", counts[FAULT_POWER], counts[FAULT_WRITE], counts[FAULT_SYNC], counts[FAULT_NAME]);
    fclose(file);
}

/* A limit for MPI's own start and end, where no watchdog looks on; srtrain/watchdog.h says what is promised. */
#include "srtrain/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change;
static bool is_running;
static double limit; /* seconds; 0: none */
static const char *guarded;
static unsigned long turn; /* of what is guarded */

static struct timespec in_seconds(double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const double whole = (double)(int64_t)seconds, nanoseconds = (double)until.tv_nsec + 1e9 * (seconds - whole);
    until.tv_sec += (time_t)whole + (nanoseconds >= 1e9);
    until.tv_nsec = (long)(nanoseconds >= 1e9 ? nanoseconds - 1e9 : nanoseconds);
    return until;
}

_Noreturn static void end_process(void)
{
    fprintf(stderr,
            "srtrain: error: no progress for %g s (--stall-timeout): %s does not come to an end, as when other ranks are "
            "dead or cut off. This process ends with exit code %d\n",
            limit, guarded, SR_ERROR_RUNTIME);
    _exit(SR_ERROR_RUNTIME);
}

static void *look_on(void *context)
{
    (void)context;
    pthread_mutex_lock(&lock);
    for (;;) {
        const unsigned long now = turn;
        const struct timespec until = in_seconds(limit);
        int code = 0;
        while (turn == now && code == 0)
            code = limit > 0 ? pthread_cond_timedwait(&change, &lock, &until) : pthread_cond_wait(&change, &lock);
        if (turn == now)
            end_process();
    }
}

/* For ever; false where there is no memory for it, and then nothing is guarded. Signals are for the main thread. */
static bool start(void)
{
    pthread_condattr_t attributes;
    pthread_t thread;
    sigset_t all, former;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool started = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&change, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    started = started && pthread_create(&thread, NULL, look_on, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (started)
        (void)pthread_detach(thread);
    return started;
}

void sr_watchdog_guard(const char *what, double seconds)
{
    pthread_mutex_lock(&lock);
    limit = seconds;
    guarded = what;
    ++turn;
    if (is_running)
        pthread_cond_signal(&change);
    else if (seconds > 0)
        is_running = start();
    pthread_mutex_unlock(&lock);
}

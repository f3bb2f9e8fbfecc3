/* The watchdog: no rank waits for ever for another one that has stopped, died or got stuck. */
#ifndef SRTRAIN_WATCHDOG_H
#define SRTRAIN_WATCHDOG_H

#include "srtrain/parallel.h"
#include "srtrain/status.h"

#include <stdbool.h>

typedef struct {
    double stall_seconds;   /* a collective may take that long; 0: any time */
    double vote_seconds;    /* a collective of a training step may take that long once must_end() has become true */
    bool (*must_end)(void); /* called by the watchdog's thread; NULL: never */
    double slowest_files;   /* bytes a second of work on files (file_work.h): it may take as much longer; 0: no longer */
    const char *directory;  /* that all ranks see; when they stall, they leave notes there for each other */
    const char *advice;     /* the end of the message: what to do then; NULL for none */
} sr_watchdog_options;

enum { SR_SLOWEST_FILES = 10000000 }; /* for those who have no settings */

typedef struct sr_watchdog sr_watchdog;

/* Starts a thread on each rank that watches over its collectives. When one has taken options->stall_seconds, one of
 * the ranks that wait writes to standard error (and to DIRECTORY/stalled-.../report) which are missing, and all that wait end
 * their process with exit code SR_ERROR_RUNTIME, so that the launcher ends the job. A rank that is at work on files and makes
 * no step for as long does the same. While ranks are at work on files they have more time: the bytes of that work over
 * options->slowest_files. Time in which the process does not run (a suspended job) does not count. Collective. */
sr_status sr_watchdog_start(sr_watchdog **watchdog, sr_parallel *parallel, const sr_watchdog_options *options, sr_error *error);

/* Ends the thread, at once; NULL is allowed. Local. */
void sr_watchdog_stop(sr_watchdog *watchdog);

/* Without a watchdog: ends this process with exit code SR_ERROR_RUNTIME and a message when MPI does not come to the end of
 * `what` within so many seconds; 0: it may take any time, and what was guarded before is no longer. For the times at which
 * MPI itself starts and ends. Local. */
void sr_watchdog_guard(const char *what, double seconds);

#endif

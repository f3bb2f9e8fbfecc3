/* The watchdog: a thread beside the one that speaks MPI, which sees when this rank waits for others in vain.
 *
 * The thread must not call MPI (MPI_THREAD_FUNNELED), and the ranks that wait cannot. So ranks that wait leave notes in the
 * run's directory, which all of them see: whoever has left none when time is up is missing. Without a stall no note is ever
 * written; after one, the report stays in that directory.
 *
 * Time is counted in ticks during which this process ran, so that a job that is suspended as a whole has not stalled.
 *
 * Files may be on a host that is cut off: whoever writes a note may never come back. So notes are written by threads of their
 * own, and none is waited for longer than some seconds. */
#include "srtrain/watchdog.h"

#include "parallel/parallel_internal.h"
#include "srtrain/clock.h"
#include "srtrain/directories.h"
#include "srtrain/file_work.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOST_SIZE = 64, PATH_SIZE = 4096, NOTE_SIZE = 256 + SR_FILE_WORK_PATH_SIZE };

/* What a rank does, and the letter that its note begins with. */
typedef enum { RANK_WAITS = 'W', RANK_IS_BUSY = 'B', RANK_STANDS = 'F' /* in files */ } rank_state;

typedef struct {
    char host[HOST_SIZE];
    int64_t process;
} rank_place;

struct sr_watchdog {
    sr_parallel *parallel;
    sr_activity *activity;
    sr_watchdog_options options;
    char directory[PATH_SIZE]; /* of the notes */
    rank_place *places;        /* [ranks] */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of `ended`, whose change `end` tells */
    pthread_cond_t end;
    bool ended;
    atomic_bool noted;
    bool is_cut_off;  /* a thread that writes a note has not come back, and may still do */
    rank_state state; /* that the next note or the report tells of */
};

/* A limit may be longer than --stall-timeout. */
static double limit_of(const sr_watchdog *w, const sr_file_work *files)
{
    const double more = files->is_open && w->options.slowest_files > 0 ? (double)files->bytes / w->options.slowest_files : 0;
    return w->options.stall_seconds + more;
}

/* ---- notes ---- */

static void note_path(const sr_watchdog *w, int rank, char path[PATH_SIZE + 32])
{
    snprintf(path, PATH_SIZE + 32, "%s/rank-%d", w->directory, rank);
}

/* What this rank is doing, as others will read it: its state in front. */
static void describe(const sr_watchdog *w, char text[NOTE_SIZE])
{
    const char *operation = atomic_load(&w->activity->operation),
               *phase = activity_phase_name((sr_phase)atomic_load(&w->activity->phase));
    char step[48] = "";
    sr_file_work files;
    sr_file_work_look(&files);
    if (atomic_load(&w->activity->step) > 0)
        snprintf(step, sizeof step, " %lld", (long long)atomic_load(&w->activity->step));
    if (w->state == RANK_STANDS)
        snprintf(text, NOTE_SIZE, "Fstands still while it %s %s during %s%s", files.writes ? "writes" : "reads", files.path,
                 phase, step);
    else if (w->state == RANK_WAITS)
        snprintf(text, NOTE_SIZE, "Wwaits in %s during %s%s", operation ? operation : "a collective", phase, step);
    else
        snprintf(text, NOTE_SIZE, "Bis busy with %s%s", phase, step);
}

static void *leave_note(void *context)
{
    sr_watchdog *w = context;
    char path[PATH_SIZE + 32], text[NOTE_SIZE];
    sr_error ignored; /* without notes the message says less */
    describe(w, text);
    note_path(w, w->parallel->rank, path);
    (void)sr_make_directories(w->directory, &ignored);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return NULL;
    (void)!write(file, text, strlen(text));
    close(file);
    atomic_store(&w->noted, true);
    return NULL;
}

static void *take_note_back(void *context)
{
    sr_watchdog *w = context;
    char path[PATH_SIZE + 32];
    note_path(w, w->parallel->rank, path);
    (void)unlink(path);
    (void)rmdir(w->directory); /* by the last one, unless there is a report */
    atomic_store(&w->noted, false);
    return NULL;
}

/* False when the rank has left none. */
static bool read_note(const sr_watchdog *w, int rank, char text[NOTE_SIZE])
{
    char path[PATH_SIZE + 32];
    note_path(w, rank, path);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const ssize_t length = read(file, text, NOTE_SIZE - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    return true;
}

/* Has a thread of its own do something with files; whether it has come back within `seconds`. */
static bool write_down(sr_watchdog *w, void *(*what)(void *), double seconds)
{
    pthread_t scribe;
    struct timespec until;
    if (w->is_cut_off)
        return false;
    if (pthread_create(&scribe, NULL, what, w) != 0) { /* which inherits that signals are not for it */
        (void)what(w);
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds;
    if (pthread_timedjoin_np(scribe, NULL, &until) == 0)
        return true;
    (void)pthread_detach(scribe);
    w->is_cut_off = true;
    return false;
}

/* ---- the end ---- */

static void pause_for(double seconds)
{
    const struct timespec time = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    (void)nanosleep(&time, NULL);
}

/* The first to create the report writes it; -1 for the others. */
static int open_report(const sr_watchdog *w)
{
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/report", w->directory);
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return file < 0 && errno != EEXIST ? STDERR_FILENO : file; /* without notes each rank speaks for itself */
}

/* Adds a rank that does not wait to the list of the missing ones; only the first few in words. */
static void add_missing(const sr_watchdog *w, int rank, const char *doing, int count, char *list, size_t size)
{
    enum { NAMED = 8 };
    const size_t used = strlen(list);
    const rank_place *place = &w->places[rank];
    if (count < NAMED)
        snprintf(list + used, size - used, "%srank %d on %s (process %lld), which %s", count ? "; " : "", rank, place->host,
                 (long long)place->process, doing);
    else if (count == NAMED)
        snprintf(list + used, size - used, "; and others");
}

/* How long was allowed, and why. */
static void name_limit(const sr_watchdog *w, char *text, size_t size)
{
    sr_file_work files;
    sr_file_work_look(&files);
    const double limit = limit_of(w, &files), stall = w->options.stall_seconds;
    if (limit > stall)
        snprintf(text, size, "no progress for %.3g s (--stall-timeout %g s, and %.3g s for the %.3g MB of %s)", limit, stall,
                 limit - stall, 1e-6 * (double)files.bytes, files.path);
    else
        snprintf(text, size, "no progress for %g s (--stall-timeout)", stall);
}

/* Ranks that wait, and those that are missing: this one, too, if it stands still in files. */
static int list_ranks(const sr_watchdog *w, bool reads_notes, int *missing, char *list, size_t size)
{
    char text[NOTE_SIZE];
    int waiting = 0;
    for (int rank = 0; rank < w->parallel->size; ++rank) {
        bool found = rank == w->parallel->rank;
        if (found)
            describe(w, text);
        else
            found = reads_notes && read_note(w, rank, text);
        if (found && text[0] == RANK_WAITS)
            ++waiting;
        else if (found || reads_notes)
            add_missing(w, rank, found ? text + 1 : "does not answer (stopped, dead, or cut off)", (*missing)++, list, size);
    }
    return waiting;
}

static void report(const sr_watchdog *w, int file, bool reads_notes)
{
    char list[8192] = "", own[NOTE_SIZE], limit[512 + SR_FILE_WORK_PATH_SIZE], message[16384], witness[NOTE_SIZE + 512] = "";
    int missing = 0;
    const int waiting = list_ranks(w, reads_notes, &missing, list, sizeof list);
    name_limit(w, limit, sizeof limit);
    describe(w, own);
    if (w->state == RANK_WAITS)
        snprintf(witness, sizeof witness, ", as rank %d on %s, which %s", w->parallel->rank, w->parallel->host, own + 1);
    const char *rest = "";
    if (!reads_notes)
        rest = missing ? "; nothing is known of the others, as the file system does not answer"
                       : "nothing is known of the others, as the file system does not answer";
    else if (!missing)
        rest = "none is missing, so that it is MPI, the network or the file system that hangs";
    const int length = snprintf(message, sizeof message,
                                "srtrain: error: %s: %d of %d ranks wait%s; %s%s%s. The job ends with exit code %d%s%s\n",
                                limit, waiting, w->parallel->size, witness, missing ? "missing is " : "", list, rest,
                                SR_ERROR_RUNTIME, w->options.advice ? "; " : "", w->options.advice ? w->options.advice : "");
    const size_t bytes = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
    (void)!write(STDERR_FILENO, message, bytes);
    if (file >= 0 && file != STDERR_FILENO)
        (void)!write(file, message, bytes);
}

enum { GRACE = 2 }; /* seconds in which the message of another rank comes first, and is passed on */

static void *report_in_files(void *context)
{
    sr_watchdog *w = context;
    const int file = open_report(w);
    if (file >= 0)
        report(w, file, true);
    pause_for(file >= 0 ? 0.5 : GRACE);
    return take_note_back(w);
}

/* The process ends without MPI, whose other thread cannot be reached; launchers end the job then. */
_Noreturn static void end_stalled(sr_watchdog *w)
{
    if (!write_down(w, report_in_files, 3 * GRACE))
        report(w, -1, false);
    _exit(SR_ERROR_RUNTIME);
}

/* A signal has asked for the end, but the others do not come to the vote: they may be gone, as when the launcher ends a job. */
_Noreturn static void end_alone(const sr_watchdog *w)
{
    if (w->parallel->node_rank == 0)
        fprintf(stderr,
                "srtrain: error: rank %d on %s was asked to stop, but other ranks did not come to the vote of step %lld within "
                "%g s: it ends without a checkpoint of this step\n",
                w->parallel->rank, w->parallel->host, (long long)atomic_load(&w->activity->step), w->options.vote_seconds);
    fflush(stderr);
    _exit(SR_ERROR_RUNTIME);
}

/* ---- watching ---- */

/* How long, in seconds during which this process ran, it has been in one collective, or in none; and steps of work on files. */
typedef struct {
    unsigned long count, steps;
    double waiting, busy, ending;
} watch;

enum { NOTE_SECONDS = 5 }; /* for a note, on a file system that answers */

static void look(sr_watchdog *w, watch *seen, double seconds)
{
    const unsigned long count = atomic_load(&w->activity->count), steps = sr_file_work_steps();
    const bool waits = atomic_load(&w->activity->operation) != NULL;
    const bool moved = count != seen->count || (!waits && steps != seen->steps);
    sr_file_work files;
    sr_file_work_look(&files);
    seen->count = count;
    seen->steps = steps;
    seen->waiting = waits && !moved ? seen->waiting + seconds : 0;
    seen->busy = !waits && !moved ? seen->busy + seconds : 0;
    const bool in_step = atomic_load(&w->activity->phase) == SR_PHASE_STEP;
    seen->ending = seen->waiting > 0 && in_step && w->options.must_end && w->options.must_end() ? seen->ending + seconds : 0;
    if (seen->ending > w->options.vote_seconds)
        end_alone(w);
    if (w->options.stall_seconds <= 0)
        return;
    const double limit = limit_of(w, &files), longest = seen->waiting > seen->busy ? seen->waiting : seen->busy;
    w->state = waits ? RANK_WAITS : files.is_open ? RANK_STANDS : RANK_IS_BUSY;
    if (moved && atomic_load(&w->noted))
        (void)write_down(w, take_note_back, NOTE_SECONDS);
    else if (!atomic_load(&w->noted) && longest >= 0.5 * limit)
        (void)write_down(w, leave_note, NOTE_SECONDS);
    if (longest >= limit && w->state != RANK_IS_BUSY)
        end_stalled(w);
}

static double tick_of(const sr_watchdog *w)
{
    const double stall = w->options.stall_seconds > 0 ? w->options.stall_seconds : w->options.vote_seconds;
    const double shorter = stall < w->options.vote_seconds ? stall : w->options.vote_seconds;
    return shorter / 20 < 1 ? shorter / 20 : 1;
}

/* Until the run ends, which is at once, or `seconds` have passed; whether it has ended. */
static bool wait_for_end(sr_watchdog *w, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const double nanoseconds = (double)until.tv_nsec + 1e9 * seconds;
    until.tv_sec += (time_t)(nanoseconds / 1e9);
    until.tv_nsec = (long)(nanoseconds - 1e9 * (double)(time_t)(nanoseconds / 1e9));
    int code = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->ended && code == 0)
        code = pthread_cond_timedwait(&w->end, &w->lock, &until);
    const bool ended = w->ended;
    pthread_mutex_unlock(&w->lock);
    return ended;
}

static void *watch_over(void *context)
{
    sr_watchdog *w = context;
    const double tick = tick_of(w);
    watch seen = {.count = 0};
    double last = sr_seconds();
    while (!wait_for_end(w, tick)) {
        const double now = sr_seconds(), passed = now - last;
        last = now;
        look(w, &seen, passed < 2 * tick ? passed : 2 * tick);
    }
    if (atomic_load(&w->noted))
        (void)write_down(w, take_note_back, NOTE_SECONDS);
    return NULL;
}

/* ---- start and end ---- */

static sr_status gather_places(sr_watchdog *w, sr_error *error)
{
    rank_place mine = {.process = (int64_t)getpid()};
    void *places = NULL;
    size_t *offsets = NULL;
    snprintf(mine.host, sizeof mine.host, "%.*s", (int)sizeof mine.host - 1, w->parallel->host);
    SR_TRY(sr_parallel_gather_all(w->parallel, SR_OK, &mine, 1, sizeof mine, &places, &offsets, error));
    free(offsets);
    w->places = places;
    return SR_OK;
}

/* A name that no other run has used, in case one has left notes behind. */
static sr_status choose_directory(sr_watchdog *w, sr_error *error)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (snprintf(w->directory, sizeof w->directory, "%s/stalled-%lld-%lld", w->options.directory, (long long)now.tv_sec,
                 (long long)getpid()) >= (int)sizeof w->directory)
        return sr_fail(error, SR_ERROR_RUNTIME, "the name of the directory is too long: %s", w->options.directory);
    return SR_OK;
}

/* Time limits of `end` are of a clock that nobody sets. */
static int make_condition(sr_watchdog *w)
{
    pthread_condattr_t attributes;
    int code = pthread_condattr_init(&attributes);
    if (code != 0)
        return code;
    code = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (code == 0)
        code = pthread_cond_init(&w->end, &attributes);
    pthread_condattr_destroy(&attributes);
    return code;
}

/* Signals are for the main thread. */
static sr_status start_thread(sr_watchdog *w, sr_error *error)
{
    sigset_t all, former;
    int code = make_condition(w);
    if (code == 0)
        code = pthread_mutex_init(&w->lock, NULL);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    if (code == 0)
        code = pthread_create(&w->thread, NULL, watch_over, w);
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    w->has_thread = code == 0;
    return code == 0
               ? SR_OK
               : sr_fail(
                     error, SR_ERROR_RUNTIME,
                     "cannot start the thread of the watchdog: %s (ulimit -u says how many processes and threads are allowed)",
                     strerror(code));
}

sr_status sr_watchdog_start(sr_watchdog **watchdog, sr_parallel *parallel, const sr_watchdog_options *options, sr_error *error)
{
    sr_watchdog *made = NULL;
    *watchdog = NULL;
    sr_status status = SR_ALLOCATE_ZERO(&made, 1, "the watchdog", error);
    if (status == SR_OK) {
        made->parallel = parallel;
        made->activity = parallel->activity;
        made->options = *options;
        status = choose_directory(made, error);
    }
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(parallel, made->directory, sizeof made->directory, error);
    if (status == SR_OK)
        status = gather_places(made, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, start_thread(made, error), error);
    sr_watchdog_guard(NULL, 0);
    if (status != SR_OK)
        sr_watchdog_stop(made);
    else
        *watchdog = made;
    return status;
}

void sr_watchdog_stop(sr_watchdog *watchdog)
{
    if (!watchdog)
        return;
    if (watchdog->has_thread) {
        pthread_mutex_lock(&watchdog->lock);
        watchdog->ended = true;
        pthread_cond_signal(&watchdog->end);
        pthread_mutex_unlock(&watchdog->lock);
        (void)pthread_join(watchdog->thread, NULL);
        pthread_cond_destroy(&watchdog->end);
        pthread_mutex_destroy(&watchdog->lock);
    }
    if (watchdog->is_cut_off)
        return; /* memory of the thread that has not come back */
    free(watchdog->places);
    free(watchdog);
}

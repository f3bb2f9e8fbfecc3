#include "failing_allocations.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <cmocka.h>

/* ---- what the linker puts in the place of the allocating functions ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
char *__real_strdup(const char *text);
FILE *__real_open_memstream(char **text, size_t *size);
ssize_t __real_getdelim(char **line, size_t *room, int delimiter, FILE *file);
void *__real_sr_arena_take(sr_arena *arena, size_t bytes);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
FILE *__wrap_open_memstream(char **text, size_t *size);
ssize_t __wrap_getdelim(char **line, size_t *room, int delimiter, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *room, int delimiter, FILE *file);
ssize_t __wrap_getline(char **line, size_t *room, FILE *file);
void *__wrap_sr_arena_take(sr_arena *arena, size_t bytes);

enum { FRAMES = 16, BUCKETS = 1 << 12 };

/* Where in the program something was asked for. */
typedef struct {
    void *frames[FRAMES];
    int depth;
} place;

typedef struct block {
    struct block *next;
    const void *memory;
    place from;
} block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool watching, failed;
static size_t counted, fails_at;
static place failed_at;
static block *blocks[BUCKETS];

static block **bucket_of(const void *memory)
{
    return &blocks[((uintptr_t)memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52 & (BUCKETS - 1)];
}

/* Counts an allocation; whether it is the one that fails. */
static bool fails(void)
{
    (void)pthread_mutex_lock(&lock);
    const bool now = watching && ++counted == fails_at;
    if (now) {
        failed = true;
        failed_at.depth = backtrace(failed_at.frames, FRAMES);
    }
    (void)pthread_mutex_unlock(&lock);
    if (now)
        errno = ENOMEM;
    return now;
}

static void forget(const void *memory)
{
    (void)pthread_mutex_lock(&lock);
    for (block **at = bucket_of(memory); *at; at = &(*at)->next)
        if ((*at)->memory == memory) {
            block *found = *at;
            *at = found->next;
            __real_free(found);
            break;
        }
    (void)pthread_mutex_unlock(&lock);
}

/* Notes what has been allocated. */
static void *note(void *memory)
{
    (void)pthread_mutex_lock(&lock);
    if (memory && watching) {
        block *made = __real_malloc(sizeof *made), **bucket = bucket_of(memory);
        if (!made)
            abort();
        *made = (block){.next = *bucket, .memory = memory};
        made->from.depth = backtrace(made->from.frames, FRAMES);
        *bucket = made;
    }
    (void)pthread_mutex_unlock(&lock);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : note(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : note(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails())
        return NULL;
    if (memory)
        forget(memory);
    return note(__real_realloc(memory, size));
}

void __wrap_free(void *memory)
{
    if (memory)
        forget(memory);
    __real_free(memory);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails())
        return ENOMEM;
    const int code = __real_posix_memalign(memory, alignment, size);
    if (code == 0)
        (void)note(*memory);
    return code;
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : note(__real_strdup(text));
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    if (fails()) {
        *text = (char *)(uintptr_t)0xbad0; /* undefined, says the manual */
        return -1;
    }
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(text, format, arguments);
    va_end(arguments);
    if (length >= 0)
        (void)note(*text);
    return length;
}

FILE *__wrap_open_memstream(char **text, size_t *size)
{
    return fails() ? NULL : __real_open_memstream(text, size);
}

ssize_t __wrap_getdelim(char **line, size_t *room, int delimiter, FILE *file)
{
    return fails() ? -1 : __real_getdelim(line, room, delimiter, file);
}

ssize_t __wrap___getdelim(char **line, size_t *room, int delimiter, FILE *file)
{
    return __wrap_getdelim(line, room, delimiter, file);
}

ssize_t __wrap_getline(char **line, size_t *room, FILE *file)
{
    return __wrap_getdelim(line, room, '\n', file);
}

void *__wrap_sr_arena_take(sr_arena *arena, size_t bytes)
{
    return fails() ? NULL : __real_sr_arena_take(arena, bytes);
}

/* ---- watching ---- */

/* For the signal handler: what runs, and where to write that it does not end (the test may have turned standard error away). */
static char running[256];
static int report = STDERR_FILENO;

static void forget_all(void)
{
    for (size_t i = 0; i < BUCKETS; ++i)
        while (blocks[i]) {
            block *next = blocks[i]->next;
            __real_free(blocks[i]);
            blocks[i] = next;
        }
}

void allocations_watch(size_t at)
{
    (void)pthread_mutex_lock(&lock);
    forget_all();
    counted = 0;
    failed = false;
    failed_at.depth = 0;
    fails_at = at;
    watching = true;
    (void)pthread_mutex_unlock(&lock);
}

size_t allocations_rest(bool *one_failed)
{
    (void)pthread_mutex_lock(&lock);
    watching = false;
    const size_t count = counted;
    *one_failed = failed;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

size_t allocations_left(void)
{
    size_t count = 0;
    for (size_t i = 0; i < BUCKETS; ++i)
        for (const block *at = blocks[i]; at; at = at->next)
            ++count;
    return count;
}

static void tell_place(const char *what, const place *from)
{
    (void)!write(report, what, strlen(what));
    backtrace_symbols_fd(from->frames, from->depth, report);
}

void allocations_tell(void)
{
    if (failed_at.depth > 0)
        tell_place("  what failed was asked for by\n", &failed_at);
    for (size_t i = 0; i < BUCKETS; ++i)
        for (const block *at = blocks[i]; at; at = at->next)
            tell_place("  what is left was asked for by\n", &at->from);
}

/* ---- every allocation of an operation ---- */

enum { LIMIT = 120 /* seconds that one run may take */ };

typedef struct {
    sr_parallel *parallel;
    const allocation_trial *trial;
    int rank, ranks;
    int failing;       /* the rank on which one fails; `ranks`: all */
    uint64_t expected; /* the result of an undisturbed run */
    int faults, survived;
    size_t tried;
} trials;

static void end_hanging(int number)
{
    (void)number;
    (void)!write(report, running, strlen(running));
    (void)!write(report, ": does not end\n", 15);
    allocations_tell();
    _exit(1);
}

static void tell_fault(trials *t, const char *what, const sr_error *error)
{
    ++t->faults;
    print_error("%s: %s: \"%s\"\n", running, what, error->message);
    allocations_tell();
}

/* Whether that is true on any rank. */
static bool on_any_rank(sr_parallel *parallel, bool own)
{
    int64_t any = own;
    sr_error error;
    if (sr_parallel_maximum_int64(parallel, &any, 1, &error) != SR_OK)
        fail_msg("%s", error.message);
    return any != 0;
}

static sr_status run_once(const trials *t, size_t at, uint64_t *result, size_t *count, bool *reached, sr_error *error)
{
    const allocation_trial *trial = t->trial;
    snprintf(running, sizeof running, "%s: rank %d of %d, allocation %zu fails on rank %d", trial->name, t->rank, t->ranks, at,
             t->failing);
    const bool chosen = t->failing == t->rank || t->failing == t->ranks;
    *error = (sr_error){.message = ""};
    *result = 0;
    (void)alarm(LIMIT);
    allocations_watch(chosen ? at : 0);
    const sr_status status = trial->run(trial->context, result, error);
    *count = allocations_rest(reached);
    *reached = on_any_rank(t->parallel, *reached);
    return status;
}

/* In our words, or in those of the system, behind what could not be done. */
static bool says_why(const char *message)
{
    return strstr(message, "out of memory: ") || strstr(message, ": Cannot allocate memory");
}

/* What is wrong with the end of a run; NULL: nothing. `others`: it failed on some rank. */
static const char *find_fault(const trials *t, sr_status status, bool others, uint64_t result, const sr_error *error)
{
    if (others && status == SR_OK)
        return "another rank has failed, this one not";
    if (status == SR_OK && result != t->expected)
        return "the result is another one";
    if (status != SR_OK && (status != SR_ERROR_RUNTIME || !says_why(error->message)))
        return "it does not say that memory is wanting";
    return allocations_left() > 0 ? "memory is left" : NULL;
}

static void check_run(trials *t, sr_status status, uint64_t result, const sr_error *error)
{
    const bool others = on_any_rank(t->parallel, status != SR_OK);
    const char *fault = find_fault(t, status, others, result, error);
    t->survived += !others;
    if (fault)
        tell_fault(t, fault, error);
}

static void try_rank(trials *t, int failing)
{
    enum { STRIDE_OF_ALL = 5 };
    const bool together = failing == t->ranks && t->ranks > 1;
    const size_t stride = (t->trial->stride ? t->trial->stride : 1) * (together ? STRIDE_OF_ALL : 1);
    size_t count = 0, tried = 0;
    t->failing = failing;
    for (size_t at = 1;; at += stride) {
        uint64_t result;
        bool reached;
        sr_error error;
        const sr_status status = run_once(t, at, &result, &count, &reached, &error);
        if (!reached && status != SR_OK)
            tell_fault(t, "nothing is in the way, and yet it fails", &error);
        if (reached)
            check_run(t, status, result, &error);
        (void)alarm(0);
        if (t->trial->clear)
            t->trial->clear(t->trial->context);
        if (!reached)
            break;
        ++tried;
    }
    if (t->rank == 0)
        print_message("%s: %zu allocations failed on rank %d\n", t->trial->name, tried, failing);
    t->tried += tried;
}

void every_allocation_may_fail(sr_parallel *parallel, const allocation_trial *trial)
{
    trials t = {.parallel = parallel,
                .trial = trial,
                .rank = sr_parallel_rank(parallel),
                .ranks = sr_parallel_size(parallel),
                .failing = -1};
    size_t count;
    bool reached;
    sr_error error;
    assert_true(signal(SIGALRM, end_hanging) != SIG_ERR);
    report = dup(STDERR_FILENO);
    assert_true(report >= 0);
    for (int run = 0; run < 2; ++run) { /* the first one may fill what lives as long as the process */
        if (run_once(&t, 0, &t.expected, &count, &reached, &error) != SR_OK)
            fail_msg("%s: %s", trial->name, error.message);
        if (trial->clear)
            trial->clear(trial->context);
    }
    if (allocations_left() > 0)
        tell_fault(&t, "memory is left", &error);
    if (t.ranks > 1)
        for (int rank = 0; rank < t.ranks; ++rank)
            try_rank(&t, rank);
    try_rank(&t, t.ranks);
    (void)close(report);
    report = STDERR_FILENO;
    assert_true(t.tried > 0);
    if (on_any_rank(parallel, t.faults > 0))
        fail_msg("%s: %d faults on rank %d", trial->name, t.faults, t.rank);
    if (t.survived > 0 && t.rank == 0)
        print_message("%s: %d times it went on without\n", trial->name, t.survived);
}

uint64_t add_to_result(uint64_t result, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, result);
}

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
static uint64_t *noted; /* NULL, or where to note the place of each allocation that is counted */
static size_t noted_room;
static block *blocks[BUCKETS];

static block **bucket_of(const void *memory)
{
    return &blocks[((uintptr_t)memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52 & (BUCKETS - 1)];
}

/* A number for the calls that lead to the allocation: the last ones, behind those of this file. */
static uint64_t number_of_place(void)
{
    enum { OWN = 3, CALLERS = 5 };
    void *frames[OWN + CALLERS];
    const int depth = backtrace(frames, OWN + CALLERS);
    return depth > OWN ? XXH3_64bits(frames + OWN, (size_t)(depth - OWN) * sizeof *frames) : 1;
}

/* Counts an allocation; whether it is the one that fails. */
static bool fails(void)
{
    (void)pthread_mutex_lock(&lock);
    const bool now = watching && ++counted == fails_at;
    if (watching && counted <= noted_room)
        noted[counted - 1] = number_of_place();
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

enum {
    LIMIT = 120,           /* seconds that one run may take */
    MOST_NOTED = 1 << 17,  /* allocations of a run */
    MOST_PLACES = 1 << 16, /* a power of two */
    STRIDE_OF_ALL = 5
};

/* Places where an allocation has been chosen to fail. */
typedef struct {
    uint64_t places[MOST_PLACES];
    size_t count;
} place_set;

static place_set failed_alone, failed_together; /* in this program so far: on one rank, on all at once */

/* Whether a place is a new one; if so it becomes one of the set. */
static bool add_place(place_set *set, uint64_t number)
{
    size_t at = number % MOST_PLACES;
    for (; set->places[at] != 0; at = (at + 1) % MOST_PLACES)
        if (set->places[at] == number)
            return false;
    if (++set->count > MOST_PLACES / 2)
        abort();
    set->places[at] = number;
    return true;
}

typedef struct {
    sr_parallel *parallel;
    const allocation_trial *trial;
    int rank, ranks;
    int failing;      /* the rank on which one fails; `ranks`: all */
    uint64_t *places; /* of the allocations of an undisturbed run on this rank, [count] */
    size_t count;
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

static void check_parallel(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

/* Whether that is true on any rank. */
static bool on_any_rank(sr_parallel *parallel, bool own)
{
    int64_t any = own;
    sr_error error;
    check_parallel(sr_parallel_maximum_int64(parallel, &any, 1, &error), &error);
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

/* Which allocations of this rank are to fail, in ascending order; returns how many. */
static size_t choose(const trials *t, bool together, int64_t *chosen)
{
    const size_t stride = getenv("SRTRAIN_EVERY_ALLOCATION") || !t->trial->stride ? 1 : t->trial->stride;
    size_t count = 0, new_places = 0;
    for (size_t i = 0; i < t->count; ++i) {
        const bool is_new = add_place(together ? &failed_together : &failed_alone, t->places[i]);
        const bool as_place = is_new && (!together || new_places % STRIDE_OF_ALL == 0);
        new_places += is_new;
        if (as_place || i % (together ? stride * STRIDE_OF_ALL : stride) == 0)
            chosen[count++] = (int64_t)i + 1;
    }
    return count;
}

/* The choice of rank `failing`, or of the first one for all, on every rank. */
static size_t agree_on_choice(const trials *t, int failing, int64_t **chosen)
{
    const bool is_mine = t->rank == (failing < t->ranks ? failing : 0);
    int64_t most = (int64_t)t->count, count = 0;
    sr_error error;
    check_parallel(sr_parallel_maximum_int64(t->parallel, &most, 1, &error), &error);
    *chosen = calloc((size_t)most + 1, sizeof **chosen);
    assert_non_null(*chosen);
    if (is_mine)
        count = (int64_t)choose(t, failing == t->ranks && t->ranks > 1, *chosen);
    check_parallel(sr_parallel_maximum_int64(t->parallel, &count, 1, &error), &error);
    check_parallel(sr_parallel_sum_int64(t->parallel, *chosen, (size_t)count, &error), &error);
    return (size_t)count;
}

/* Whether the allocation was reached. */
static bool try_one(trials *t, size_t at)
{
    uint64_t result;
    size_t count;
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
    return reached;
}

static void try_rank(trials *t, int failing)
{
    int64_t *chosen;
    size_t tried = 0;
    const size_t count = agree_on_choice(t, failing, &chosen);
    t->failing = failing;
    for (size_t i = 0; i < count; ++i)
        tried += try_one(t, (size_t)chosen[i]);
    (void)try_one(t, SIZE_MAX); /* and afterwards all is well */
    free(chosen);
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
    bool reached;
    sr_error error;
    assert_true(signal(SIGALRM, end_hanging) != SIG_ERR);
    report = dup(STDERR_FILENO);
    assert_true(report >= 0);
    t.places = calloc(MOST_NOTED, sizeof *t.places);
    assert_non_null(t.places);
    for (int run = 0; run < 2; ++run) { /* the first one may fill what lives as long as the process */
        noted = t.places;
        noted_room = run == 0 ? 0 : MOST_NOTED;
        if (run_once(&t, 0, &t.expected, &t.count, &reached, &error) != SR_OK)
            fail_msg("%s: %s", trial->name, error.message);
        noted_room = 0;
        if (trial->clear)
            trial->clear(trial->context);
    }
    assert_true(t.count <= MOST_NOTED);
    if (allocations_left() > 0)
        tell_fault(&t, "memory is left", &error);
    if (t.ranks > 1)
        for (int rank = 0; rank < t.ranks; ++rank)
            try_rank(&t, rank);
    try_rank(&t, t.ranks);
    free(t.places);
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

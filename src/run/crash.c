#include "run/crash.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} caught[] = {{SIGSEGV, "SIGSEGV (a defect of the program, or out of stack)"},
              {SIGBUS, "SIGBUS (a file was cut while in use, or its disk failed)"},
              {SIGFPE, "SIGFPE"},
              {SIGILL, "SIGILL (an instruction that this CPU does not have)"},
              {SIGABRT, "SIGABRT"}};
enum { CAUGHT = sizeof caught / sizeof *caught };

/* Signal handlers know no other state than static one. */
static const sr_parallel *crashing;
static struct sigaction former[CAUGHT];

/* Only write() and what needs no memory of its own may be called here. */
static void put(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void put_number(int64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0 && at > 0);
    put(digits + at);
}

static void handle(int number)
{
    size_t i = 0;
    while (i < CAUGHT - 1 && caught[i].number != number)
        ++i;
    int64_t step;
    const char *phase = sr_parallel_phase_name(crashing, &step);
    put("srtrain: error: rank ");
    put_number(sr_parallel_rank(crashing));
    put(" on ");
    put(sr_parallel_host(crashing));
    put(": crashed during ");
    put(phase);
    if (step > 0) {
        put(" ");
        put_number(step);
    }
    put(" by ");
    put(caught[i].name);
    put("\n");
    (void)sigaction(number, &former[i], NULL);
    (void)raise(number); /* blocked until this handler returns */
}

sr_status crash_catch(const sr_parallel *parallel, sr_error *error)
{
    crashing = parallel;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CAUGHT; ++i)
        if (sigaction(caught[i].number, &action, &former[i]) != 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot catch signal %d: %s", caught[i].number, strerror(errno));
    return SR_OK;
}

void crash_restore(void)
{
    for (size_t i = 0; i < CAUGHT && crashing; ++i)
        (void)sigaction(caught[i].number, &former[i], NULL);
    crashing = NULL;
}

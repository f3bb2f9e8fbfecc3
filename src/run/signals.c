#include "run/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const int caught[] = {SIGUSR1, SIGTERM, SIGINT, SIGUSR2};
enum { CAUGHT = sizeof caught / sizeof *caught };

static volatile sig_atomic_t stop_requested, checkpoint_requested, terminations;
static struct sigaction former[CAUGHT];

static void handle(int signal_number)
{
    if (signal_number == SIGUSR2) {
        checkpoint_requested = 1;
        return;
    }
    stop_requested = 1;
    if (signal_number == SIGTERM || signal_number == SIGINT) {
        terminations = terminations + 1;
        if (terminations > 1)
            _exit(128 + signal_number);
    }
}

sr_status sr_signals_catch(sr_error *error)
{
    stop_requested = checkpoint_requested = terminations = 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask); /* one at a time: an interrupted count would lose a termination */
    for (size_t i = 0; i < CAUGHT; ++i)
        (void)sigaddset(&action.sa_mask, caught[i]);
    for (size_t i = 0; i < CAUGHT; ++i)
        if (sigaction(caught[i], &action, &former[i]) != 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot catch signal %d: %s", caught[i], strerror(errno));
    return SR_OK;
}

void sr_signals_restore(void)
{
    for (size_t i = 0; i < CAUGHT; ++i)
        (void)sigaction(caught[i], &former[i], NULL);
}

bool sr_signals_stop_requested(void)
{
    return stop_requested != 0;
}

bool sr_signals_take_checkpoint_request(void)
{
    const bool requested = checkpoint_requested != 0;
    checkpoint_requested = 0;
    return requested;
}

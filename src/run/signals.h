/* Requests that come as signals.
 *
 * SIGUSR1, SIGTERM and SIGINT ask for a checkpoint and the end of the run, SIGUSR2 for a checkpoint only. Handlers only set a
 * flag, which the training loop puts to the vote at the next step; a second SIGTERM or SIGINT ends the process at once. This is
 * the one place with static state: signal handlers know no other. */
#ifndef SRTRAIN_RUN_SIGNALS_H
#define SRTRAIN_RUN_SIGNALS_H

#include "srtrain/status.h"

#include <stdbool.h>

/* Installs the handlers, forgetting earlier requests; sr_signals_restore() puts the former ones back. */
sr_status sr_signals_catch(sr_error *error);
void sr_signals_restore(void);

bool sr_signals_stop_requested(void);

/* True once for each request. */
bool sr_signals_take_checkpoint_request(void);

#endif

/* When a run has to stop: a signal has come, or the time limit is so near that a checkpoint just fits before it. */
#include "run/run_state.h"

#include "srtrain/clock.h"
#include "run/signals.h"

/* Seconds that a checkpoint may take: the longest so far, or what its size lets us fear. */
static double checkpoint_seconds(const run *r)
{
    enum { SLOW_DISK = 100 << 20 }; /* bytes a second */
    const size_t blocks = 1 + sr_optimizer_blocks(&r->settings->training);
    const double bytes = (double)(blocks * sr_model_parameters(r->model)->block_size * sizeof(sr_real));
    return r->longest.checkpoint > 0 ? r->longest.checkpoint : 0.5 + bytes / SLOW_DISK;
}

/* Whether less time is left than what must still be done takes. Only rank 0's clock counts. */
static bool time_is_up(const run *r, double until_next_vote)
{
    if (r->options->time_limit.end == 0 || sr_parallel_rank(r->parallel) != 0)
        return false;
    const double margin = 1, spread = 1.5;
    return sr_seconds() + margin + spread * (until_next_vote + checkpoint_seconds(r)) >= r->options->time_limit.end;
}

/* What is voted now ends the run after one more step; otherwise the next vote does after two. */
bool run_must_stop(const run *r, bool last)
{
    return sr_signals_stop_requested() || time_is_up(r, 2 * r->longest.step + (last ? r->longest.validation : 0));
}

bool run_must_stop_evaluating(void *context)
{
    const run *r = context;
    return sr_signals_stop_requested() || time_is_up(r, 0);
}

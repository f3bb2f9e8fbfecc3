/* What this process is doing, for whoever looks on: the watchdog's thread, and the handler of a crash. */
#ifndef SRTRAIN_PARALLEL_ACTIVITY_H
#define SRTRAIN_PARALLEL_ACTIVITY_H

#include "srtrain/parallel.h"

#include <stdatomic.h>

struct sr_activity {
    _Atomic(const char *) operation; /* that waits for other ranks; NULL: none */
    atomic_ulong count;              /* of such operations, entered and left */
    atomic_int phase;                /* sr_phase */
    atomic_llong step;               /* from 1; 0: not in a step */
};
typedef struct sr_activity sr_activity;

static inline void activity_enter(sr_activity *activity, const char *operation)
{
    atomic_store_explicit(&activity->operation, operation, memory_order_relaxed);
    atomic_fetch_add_explicit(&activity->count, 1, memory_order_relaxed);
}

static inline void activity_leave(sr_activity *activity)
{
    atomic_store_explicit(&activity->operation, NULL, memory_order_relaxed);
    atomic_fetch_add_explicit(&activity->count, 1, memory_order_relaxed);
}

/* The name of a phase. */
const char *activity_phase_name(sr_phase phase);

#endif

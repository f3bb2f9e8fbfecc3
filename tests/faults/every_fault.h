/* Tries a piece of work that writes files, on all ranks, with each of its file calls failing in turn. */
#ifndef SRTRAIN_TESTS_FAULTS_EVERY_FAULT_H
#define SRTRAIN_TESTS_FAULTS_EVERY_FAULT_H

#include "faults.h"
#include "srtrain/parallel.h"
#include "srtrain/status.h"

typedef struct {
    sr_parallel *parallel;
    const char *directory; /* that the work writes to */
    void *context;
    sr_status (*work)(void *context, sr_error *error); /* collective */
    /* Collective: fails the test unless what is on disk is what there may be after `status`. */
    void (*check)(void *context, sr_status status);
} faulty_work;

/* Lets every call of `kind` fail on every rank in turn, and of some of them all later ones, too. Every time all ranks must
 * return the same error with a message, or SR_OK where the call was only short. Returns the number of faults. */
long try_every_fault(const faulty_work *work, fault_kind kind, int cause);

/* The tests of a program: `try_all` is given the group's state and each kind of fault. Returns what main() should. */
int run_every_fault(void (*try_all)(void *state, fault_kind kind, int cause), int (*set_up)(void **state),
                    int (*tear_down)(void **state));

#endif

/* Lets single allocations of the project's own code fail, and finds what is not given back.
 *
 * The linker sends the calls of malloc() and its kin, and of sr_arena_take(), in all objects of the test program to the
 * functions of failing_allocations.c (CMake: srtrain_add_allocation_test()). Shared libraries keep theirs. */
#ifndef SRTRAIN_TESTS_FAILING_ALLOCATIONS_H
#define SRTRAIN_TESTS_FAILING_ALLOCATIONS_H

#include "srtrain/parallel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on allocations of this process count, from 1, and number `at` fails; 0: none does. */
void allocations_watch(size_t at);

/* Until now. Returns how many there were, and whether one failed. */
size_t allocations_rest(bool *failed);

/* What was allocated while they were watched and lives still, in blocks. */
size_t allocations_left(void);

/* Writes where the allocation was made that failed, and where those that are left, to standard error. */
void allocations_tell(void);

/* ---- every allocation of an operation ---- */

/* Collective. Does all of its work and gives back all memory; *result says what came of it, the same each time. */
typedef sr_status (*watched_operation)(void *context, uint64_t *result, sr_error *error);

typedef struct {
    const char *name;
    watched_operation run;
    void (*clear)(void *context); /* after each run: takes away what it may have written; NULL: nothing */
    void *context;
    size_t stride; /* of places where one has failed before, only each stride-th allocation fails; 0 is 1 */
} allocation_trial;

/* Runs the operation again and again, and lets one allocation after the other fail: on each rank alone, and on all at once
 * (there each fifth will do). An allocation in a place of the program where none has failed in this process so far always has
 * its turn; a place is the last five calls that lead there. With SRTRAIN_EVERY_ALLOCATION in the environment all others have
 * theirs too. Every run must end on every rank with SR_ERROR_RUNTIME and a message that names what there is no
 * memory for or, where the program knows a way without, with the right result; nothing may be left, and no run may take longer
 * than two minutes. Fails the test otherwise, after all have been tried. */
void every_allocation_may_fail(sr_parallel *parallel, const allocation_trial *trial);

/* Adds `size` bytes to a result. */
uint64_t add_to_result(uint64_t result, const void *bytes, size_t size);

#endif

/* Processes that each believe to be alone.
 *
 * A launcher and an MPI library that do not know each other start N processes, each of which is rank 0 of 1: srun without the
 * PMI of the library, or the mpirun of another MPI. The environment tells: it has the number of processes that the launcher has
 * started. But it may also have numbers of a launcher further outside (a batch script that calls mpirun), or of the whole job:
 *   - Where a launcher of MPI says that there is one process, that is what MPI says, too.
 *   - Slurm's numbers count where no launcher of MPI says anything, and only in a step. A batch script has SLURM_NTASKS as
 * well, and the number 0, but is no step. */
#include "parallel/launch.h"

#include "base/units.h"
#include "srtrain/parallel.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole number from 0 in a variable; -1 where there is none. */
static long number_of(const char *name)
{
    const char *text = getenv(name);
    uint64_t value;
    return text && sr_read_whole(text, &value) && value <= LONG_MAX ? (long)value : -1;
}

static void promise_at_least(launch_promise *promise, long processes, const char *name)
{
    if (processes <= promise->processes)
        return;
    promise->processes = processes;
    snprintf(promise->source, sizeof promise->source, "%s=%s", name, getenv(name));
}

/* ---- launchers of MPI ---- */

/* How many processes there are: Open MPI, MPICH and those that come from it (Intel MPI, Slurm's PMI), MVAPICH, Cray, LSF's
 * jsrun, Flux. */
static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",     "PMIX_SIZE", "MV2_COMM_WORLD_SIZE", "PALS_SIZE",
                                    "JSM_NAMESPACE_SIZE",   "FLUX_JOB_SIZE"};
/* How many there are on this node. */
static const char *const local_sizes[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_LOCAL_SIZE", "MPI_LOCALNRANKS",
                                          "MV2_COMM_WORLD_LOCAL_SIZE", "PALS_LOCAL_SIZE"};
/* Which one this is, from 0. */
static const char *const numbers[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK",           "PMIX_RANK",      "MV2_COMM_WORLD_RANK",
                                      "PALS_RANKID",          "JSM_NAMESPACE_RANK", "FLUX_TASK_RANK", "ALPS_APP_PE"};

/* Whether a launcher of MPI has said anything. */
static bool look_at_mpi(launch_promise *promise)
{
    bool says = false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        const long processes = number_of(sizes[i]);
        says = says || processes > 0;
        promise_at_least(promise, processes, sizes[i]);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        if (number_of(sizes[i]) == 1) { /* no other is meant */
            *promise = (launch_promise){.processes = 1};
            return true;
        }
    for (size_t i = 0; i < sizeof local_sizes / sizeof *local_sizes; ++i)
        promise_at_least(promise, number_of(local_sizes[i]), local_sizes[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        promise_at_least(promise, number_of(numbers[i]) + 1, numbers[i]);
    return says || promise->processes > 1;
}

/* ---- Slurm ---- */

/* Whether this is a task of a step, and not the script of a job: steps of scripts and of interactive shells have numbers that
 * no other has, or none. */
static bool is_task(void)
{
    const long special = 0xfffffff0, step = number_of("SLURM_STEP_ID");
    if (step >= 0)
        return step < special;
    /* A script is the first of its job. */
    const long task = number_of("SLURM_PROCID");
    return task > 0 || (task == 0 && !getenv("SLURM_JOB_ID"));
}

static void look_at_slurm(launch_promise *promise)
{
    if (!is_task())
        return;
    const char *name = number_of("SLURM_STEP_NUM_TASKS") > 0 ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
    promise_at_least(promise, number_of(name), name);
    promise_at_least(promise, number_of("SLURM_PROCID") + 1, "SLURM_PROCID");
}

/* ---- both ---- */

launch_promise launch_look(void)
{
    launch_promise promise = {.processes = 1};
    if (!look_at_mpi(&promise))
        look_at_slurm(&promise);
    return promise;
}

static bool are_independent(void)
{
    const char *text = getenv("SRTRAIN_INDEPENDENT");
    return text && *text && strcmp(text, "0") != 0;
}

sr_status launch_check(const launch_promise *promise, int size, sr_error *error)
{
    if (size != 1 || promise->processes <= 1 || are_independent())
        return SR_OK;
    char library[128];
    sr_parallel_library_version(library, sizeof library);
    library[strcspn(library, ",")] = '\0';
    return sr_fail(
        error, SR_ERROR_USAGE,
        "the launcher has started at least %ld processes (%s), but for MPI (%s) each of them is alone, and each would "
        "do the whole work: launcher and MPI library do not know each other. Start the program by the mpirun of that "
        "MPI, or under Slurm by \"srun --mpi=pmix\" (\"srun --mpi=list\" says what there is). Where processes are meant "
        "to be independent, set SRTRAIN_INDEPENDENT=1",
        promise->processes, promise->source, library);
}

/* The least number of this process that a launcher of MPI says, or else Slurm, from 0; -1 where neither says any. Of two
 * launchers, one in the other, one may say 0 to all. */
static long least_number(void)
{
    launch_promise promise = {.processes = 1};
    long least = -1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        const long number = number_of(numbers[i]);
        least = number >= 0 && (least < 0 || number < least) ? number : least;
    }
    return !look_at_mpi(&promise) && least < 0 && is_task() ? number_of("SLURM_PROCID") : least;
}

bool sr_parallel_is_first(void)
{
    const launch_promise promise = launch_look();
    return promise.processes <= 1 || are_independent() || least_number() <= 0;
}

sr_status sr_parallel_check_alone(sr_error *error)
{
    const launch_promise promise = launch_look();
    return launch_check(&promise, 1, error);
}

/* Writing a checkpoint beside training: one process copies the state and a thread of it writes the file, alone.
 *
 * The thread must not call MPI (MPI_THREAD_FUNNELED), and a file that one process writes needs none. HDF5 is not thread-safe:
 * whoever starts the thread calls nothing of HDF5 until sr_checkpoint_finish(). */
#include "srtrain/clock.h"
#include "srtrain/machine.h"
#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sr_background_write {
    char path[CHECKPOINT_PATH_SIZE];
    sr_checkpoint checkpoint; /* its texts are copies */
    sr_parameters parameters; /* the list belongs to the caller, the values are copies */
    sr_state state;           /* its values are copies, too */
    pthread_t thread;
    atomic_bool written;
    double seconds;
    sr_status status;
    sr_error error;
};

static void *write_in_thread(void *context)
{
    sr_background_write *write = context;
    const double start = sr_seconds();
    write->status = checkpoint_write_alone(write->path, &write->checkpoint, &write->parameters, &write->state, &write->error);
    write->seconds = sr_seconds() - start;
    atomic_store(&write->written, true);
    return NULL;
}

/* ---- copying ---- */

static sr_status copy_texts(sr_checkpoint *copy, const sr_checkpoint *checkpoint, sr_error *error)
{
    *copy = *checkpoint;
    copy->configuration = copy->program_version = copy->data_fingerprint = copy->data_directory = NULL;
    SR_TRY(sr_copy_string(&copy->configuration, checkpoint->configuration, error));
    SR_TRY(sr_copy_string(&copy->program_version, checkpoint->program_version, error));
    SR_TRY(sr_copy_string(&copy->data_fingerprint, checkpoint->data_fingerprint, error));
    return sr_copy_string(&copy->data_directory, checkpoint->data_directory, error);
}

static sr_status copy_block(sr_real **copy, const sr_real *block, size_t size, sr_error *error)
{
    SR_TRY(SR_ALLOCATE(copy, size, "a copy of the state of training", error));
    memcpy(*copy, block, size * sizeof *block);
    return SR_OK;
}

static sr_status copy_state(sr_background_write *write, const sr_checkpoint *checkpoint, const sr_parameters *parameters,
                            const sr_state *state, sr_error *error)
{
    SR_TRY(copy_texts(&write->checkpoint, checkpoint, error));
    write->parameters = *parameters;
    write->parameters.values = NULL;
    SR_TRY(copy_block(&write->parameters.values, parameters->values, parameters->block_size, error));
    for (; write->state.count < state->count; ++write->state.count) {
        const sr_state_block *block = &state->blocks[write->state.count];
        sr_state_block *copy = &write->state.blocks[write->state.count];
        copy->name = block->name;
        SR_TRY(copy_block(&copy->values, block->values, parameters->block_size, error));
    }
    return SR_OK;
}

static void free_write(sr_background_write *write)
{
    if (!write)
        return;
    sr_checkpoint_free(&write->checkpoint);
    free(write->parameters.values);
    for (size_t i = 0; i < write->state.count; ++i)
        free(write->state.blocks[i].values);
    free(write);
}

/* ---- begin and finish ---- */

/* Signals are for the main thread. */
static int start_thread(sr_background_write *write)
{
    sigset_t all, former;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    const int code = pthread_create(&write->thread, NULL, write_in_thread, write);
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    return code;
}

/* Whether there is as much memory to spare, twice over: a rank that is killed for a copy is worse than one that waits. */
static bool has_memory(uint64_t bytes, size_t processes)
{
    return sr_machine_free_memory(NULL, processes) / 2 >= bytes;
}

bool sr_checkpoint_begin(sr_background_write **write, const char *path, const sr_checkpoint *checkpoint,
                         const sr_parameters *parameters, const sr_state *state, size_t processes)
{
    sr_background_write *made = NULL;
    sr_error ignored; /* then the checkpoint is written otherwise */
    *write = NULL;
    bool begun = parameters->row_block_count == 0 &&
                 has_memory((1 + state->count) * parameters->block_size * sizeof(sr_real), processes) &&
                 SR_ALLOCATE_ZERO(&made, 1, "a checkpoint", &ignored) == SR_OK &&
                 snprintf(made->path, sizeof made->path, "%s", path) < (int)sizeof made->path &&
                 copy_state(made, checkpoint, parameters, state, &ignored) == SR_OK;
    begun = begun && start_thread(made) == 0;
    if (begun)
        *write = made;
    else
        free_write(made);
    return begun;
}

bool sr_checkpoint_is_written(const sr_background_write *write)
{
    return atomic_load(&write->written);
}

sr_status sr_checkpoint_finish(sr_background_write *write, double *seconds, sr_error *error)
{
    (void)pthread_join(write->thread, NULL);
    const sr_status status = write->status;
    *seconds = write->seconds;
    if (status != SR_OK && error)
        *error = write->error;
    free_write(write);
    return status;
}

/* What the files of src/parallel share. */
#ifndef SRTRAIN_PARALLEL_PARALLEL_INTERNAL_H
#define SRTRAIN_PARALLEL_PARALLEL_INTERNAL_H

#include "parallel/activity.h"
#include "srtrain/parallel.h"

typedef struct thread_team thread_team;

struct sr_parallel {
    MPI_Comm world; /* our own copies of communicators, so that nobody else's messages meet ours */
    MPI_Comm node;
    int rank, size;           /* of a member: counted over the threads of all processes */
    int node_rank, node_size; /* of the process, among those of its node */
    bool is_spread;           /* no two of its processes are on one node */
    char host[MPI_MAX_PROCESSOR_NAME];
    bool alone;            /* a world of one rank without MPI */
    bool is_part;          /* some of the ranks that MPI has started: does not end MPI */
    sr_activity *activity; /* of the process; its members point to the same */
    thread_team *team;     /* NULL for a process that works with one thread */
    sr_parallel *process;  /* of a member: the process; else NULL */
    size_t thread;         /* of a member */
};

/* The threads of a process. Slots hold what each of them brings to the collective that is under way. */
struct thread_team {
    size_t threads;
    sr_parallel *members; /* [threads] */
    void **slots;         /* [threads] */
    sr_status *statuses;  /* [threads] */
    sr_error *errors;     /* [threads] */
    char *packed;         /* [SR_PACKED_BYTES], half of it for what goes out; NULL where there is no other process */
    sr_status status;     /* of what the first thread did for all */
    sr_error error;
};

/* SR_ERROR_RUNTIME where a machine has no room for `needed` more bytes that processes share. Local. */
sr_status parallel_check_room(double needed, sr_error *error);

/* Waits for all threads of the team. */
void team_wait(void);

/* Collectives of a member (team.c); those of parallel.c without a team. */
sr_status member_agree(sr_parallel *member, sr_status status, sr_error *error);
/* What member 0 says, on every member of its process; no other process takes part. */
sr_status member_agree_locally(sr_parallel *member, sr_status status, sr_error *error);
sr_status member_barrier(sr_parallel *member, sr_error *error);
sr_status member_sum_double(sr_parallel *member, double *values, size_t count, sr_error *error);
sr_status member_sum_int64(sr_parallel *member, int64_t *values, size_t count, sr_error *error);
sr_status member_gather_all(sr_parallel *member, sr_status status, const void *data, size_t count, size_t size, void **gathered,
                            size_t **offsets, sr_error *error);

void team_free(thread_team *team); /* NULL is allowed */

/* From now on so many processes, in the order of ranks, count as a node: for tests of several nodes on one machine. Collective.
 */
sr_status parallel_pretend_nodes(sr_parallel *parallel, int processes, sr_error *error);

/* The first `ranks` ranks as a world of their own, for tests that compare numbers of ranks: NULL on the others. Release with
 * sr_parallel_finish(). Collective over `parallel`. */
sr_status parallel_first_ranks(sr_parallel **first, sr_parallel *parallel, int ranks, sr_error *error);

#endif

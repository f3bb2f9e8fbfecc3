/* Runs benchmark_step and benchmark_reduction on several numbers of ranks and reads what they measured. */
#ifndef SRTRAIN_SCALING_MEASURE_H
#define SRTRAIN_SCALING_MEASURE_H

#include "scaling/launcher.h"
#include "plan/network.h"
#include "scaling/rows.h"

#include "srtrain/command_line.h"
#include "srtrain/settings.h"

enum { COUNTS_MAXIMUM = 32 };

typedef struct {
    size_t values[COUNTS_MAXIMUM], count;
} count_list;

/* What is asked for. */
typedef struct {
    const char *configuration, *output;
    sr_text_list set;
    sr_settings settings; /* as read from these */
    launch_method launcher;
    count_list ranks, projected; /* ascending */
    size_t batch, batch_of_rank; /* strong: of all ranks; weak: of each */
    size_t steps, repetitions;
    const char *bytes;     /* of a reduction without a model, or NULL */
    bool measure_only;     /* no projection */
    network_model network; /* node_latency and node_bandwidth 0: to be measured */
    network_algorithm algorithm;
} scaling_options;

/* Of one run of benchmark_step, in milliseconds where not said otherwise. The median over steps of the slowest rank's, except:
 */
typedef enum {
    OF_STEP,
    OF_DATA,
    OF_FORWARD,
    OF_LOSS,
    OF_BACKWARD,
    OF_OPTIMIZER,
    OF_REDUCTION, /* mean over ranks: summing and waiting */
    OF_SUMMING,   /* the reduction of the rank that waited least */
    OF_WAITING,   /* mean over ranks: what the reduction takes longer */
    OF_BUSY,      /* of the step, without data and summing: what the slowest rank computes */
    OF_RATE,      /* examples per second */
    OF_MEMORY,    /* MiB: peak of the rank that takes most */
    FIGURES
} figure;

typedef struct {
    size_t ranks, batch; /* global */
    double *samples;     /* [FIGURES, repetitions] */
    spread figures[FIGURES];
    double nodes, ranks_of_node, cores_of_node, bytes_reduced, parameters;
} measured_run;

/* Of benchmark_reduction, in milliseconds: minima, because whatever disturbs a message makes it longer. */
typedef struct {
    size_t ranks;
    double bytes, small_sum, plain;
} measured_reduction;

typedef struct {
    measured_run *runs;
    size_t run_count;
    measured_reduction reductions[COUNTS_MAXIMUM];
    size_t reduction_count;
    char libraries[256];
} measurements;

/* Everything: each number of ranks with both batches and, for a projection, one rank with batches from one example upwards; all
 * of them in turn in each repetition. The logs and results of the programs go into OUTPUT/measurements. Release with
 * measurements_free(), also after a failure. */
sr_status measure_scaling(const scaling_options *options, measurements *made, sr_error *error);

/* Only benchmark_reduction, on every number of ranks; its tables go to standard output too. */
sr_status measure_reductions(const scaling_options *options, measurements *made, sr_error *error);

void measurements_free(measurements *made);

/* The run with so many ranks and examples, or NULL. */
const measured_run *find_run(const measurements *made, size_t ranks, size_t batch);

#endif

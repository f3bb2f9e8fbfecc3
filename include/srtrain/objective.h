/* The objective: what a model is trained for. It runs a batch through the passes of the encoder, adds up the losses, and
 * computes the gradients of each set of parameters in the loss that this set follows.
 *
 * It is made of named terms. Which ones there are follows from the settings: each loss, backbone and calibrator names its own.
 * Whoever reports, checks or compares losses goes through the list and needs to know no name. */
#ifndef SRTRAIN_OBJECTIVE_H
#define SRTRAIN_OBJECTIVE_H

#include "srtrain/model.h"

enum { SR_TERMS_MAXIMUM = 8 };

/* What a term is called: a key of metrics.jsonl, and words for messages. */
typedef struct {
    const char *name, *words;
} sr_term_name;

/* What a rank has of a term, and how the whole is made of it. */
typedef enum {
    SR_SCALE_TARGETS, /* the sum over its targets: that over ranks, divided by the targets of the global batch, is the term */
    SR_SCALE_PART,    /* a part: the sum over ranks is the term */
    SR_SCALE_WHOLE    /* the whole, which every rank knows */
} sr_term_scale;

typedef struct {
    const char *name, *words;
    double value;               /* this rank's, or that of all ranks, by `scale` */
    double weight;              /* in the loss that the followers follow */
    sr_parameter_set followers; /* the parameters whose loss it is part of */
    sr_term_scale scale;
    bool within; /* the first term contains it already, `weight` times: it stands for itself and is not reported beside it */
} sr_term;

typedef struct {
    size_t count;
    sr_term list[SR_TERMS_MAXIMUM];
} sr_terms;

/* The terms of a model, all of value 0, in the order of reports. The first one is the loss by which the model ranks items. */
void sr_objective_terms(const sr_model_settings *settings, sr_terms *terms);

/* A term of the global batch, which has `targets` targets. Of terms that are not yet summed over ranks: this rank's part. */
double sr_term_mean(const sr_term *term, double targets);

/* The loss that the parameters of `set` follow: the sum of its terms, each with its weight. */
double sr_terms_total(const sr_terms *terms, sr_parameter_set set, double targets);

/* ---- running a batch ---- */

typedef struct {
    sr_model *model;
    sr_tape *tape;         /* on one that does not record, losses are computed and no gradients */
    const sr_batch *batch; /* this rank's part of the global batch */
    /* The first pass. Those of contrastive training are like it, but that they are of other views, are not traced, and compute
     * the rows that they need. pass.ranks are the ranks that share the global batch. */
    sr_pass pass;
    double targets;    /* of the global batch, */
    bool sums_targets; /* or of this part, if nobody knows more: then they are summed over ranks */
} sr_objective_request;

typedef struct {
    sr_terms terms;                 /* of this rank */
    double targets;                 /* of the global batch */
    bool together;                  /* it has failed on all ranks together: nobody waits for this one any more */
    double forward, loss, backward; /* seconds, without those of pass.ranks */
} sr_outcome;

/* Passes, losses and gradients of this rank's part, which are not yet summed over ranks. The gradients are added to those of
 * the model. Together with those of the other ranks they are the gradients of the mean over the global batch; that of each set
 * of parameters in its own loss, all at the same parameters.
 *
 * `status` is that of making the batch. Collective over pass.ranks: a rank whose batch could not be made calls it all the same,
 * and takes part in whatever the others do together. Where that tells them of the failure, all ranks get an error, and
 * outcome->together is true. Otherwise this rank alone gets `status`, with *error as it was. A failure after that is this
 * rank's alone, too. */
sr_status sr_objective_run(const sr_objective_request *request, sr_status status, sr_outcome *outcome, sr_error *error);

#endif

/* The attention block of one layer, as a pipeline that calibrators plug into.
 *
 *   scores_ij = q_i k_jᵀ / sqrt(e)  ->  [score stages]  ->  softmax  ->  dropout  ->  [weight stages]
 *   y = LN(x + dropout(output(sum_j weights_ij v_j)))            e = d / heads */
#ifndef SRTRAIN_MODEL_ATTENTION_H
#define SRTRAIN_MODEL_ATTENTION_H

#include "model/backbone.h"

/* One block while it is being computed. Tensors are NULL after a failure of the tape. */
typedef struct attention_block {
    /* Set by the encoder: */
    sr_model *model;
    sr_tape *tape;
    const sr_pass *pass;
    sr_encoding *encoding;       /* where side products go */
    const relative_terms *terms; /* of TiSASRec, or NULL */
    size_t layer;
    bool last;                   /* no layer follows */
    const sr_rows *tokens;       /* every token of the layout */
    sr_tensor *input;            /* x [T, d] */
    const sr_attention_map *map; /* queries and keys of this block */
    double score_scale;          /* 1 / sqrt(e) */

    /* Set by the pipeline: */
    sr_tensor *query, *key;               /* projections before they are split into heads: [Q, d], [K, d] */
    sr_tensor *raw_scores;                /* before any calibrator */
    sr_tensor *scores;                    /* after the score stages so far */
    sr_tensor *weights;                   /* after softmax, dropout and the weight stages so far: they multiply the values */
    const sr_attention_map *weights_map;  /* which cells of the weights count: those of `map`, or all of its cells */
    sr_tensor *attacked_weights;          /* of the attacked branch, or NULL */
    const sr_attention_map *attacked_map; /* which of its cells count */
} attention_block;

/* Runs the pipeline. residual [Q, d] are the queries' rows of x. Returns y [Q, d]; when a stage has made an attacked branch,
 * *attacked is its y. */
sr_tensor *attention_run(attention_block *block, sr_tensor *residual, sr_tensor **attacked);

/* ---- for calibrators ---- */

/* Softmax over the visible keys, then the dropout of `site`. */
sr_tensor *attention_probabilities(const attention_block *block, sr_tensor *scores, dropout_site_name site);

/* Query projections of every token [T, d], in the last layer too, where the block has only the rows that are read. */
sr_tensor *attention_every_query(const attention_block *block);

#endif

/* The attention block of one layer, as a pipeline that calibrators plug into.
 *
 *   scores_ij = q_i k_jᵀ / sqrt(e)  ->  [score stages]  ->  softmax  ->  [probability stages]  ->  dropout  ->  [weight stages]
 *   y = LN(x + dropout(output(sum_j weights_ij v_j)))  ->  [mixing stages]            e = d / heads
 *
 * With the other norms of sublayer.h mixing stages stand before the outcome is added to x.
 *
 * Up to the softmax, a stage may need the rows of every query also in the last layer, where only some are read: then scores
 * are those of every token, and the probability stages leave those of the block's queries. */
#ifndef SRTRAIN_MODEL_ATTENTION_H
#define SRTRAIN_MODEL_ATTENTION_H

#include "model/sublayer.h"

/* One block while it is being computed. Tensors are NULL after a failure of the tape. */
typedef struct attention_block {
    /* Set by attention_begin(): */
    sr_model *model;
    sr_tape *tape;
    const sr_pass *pass;
    sr_encoding *encoding; /* where side products go */
    size_t layer;
    bool last;                         /* no layer follows */
    const sr_rows *tokens;             /* every token of the layout */
    const sr_attention_map *map;       /* queries and keys of this block */
    const sr_attention_map *score_map; /* whose queries have scores: `map`, or every token */
    double score_scale;                /* 1 / sqrt(e) */

    /* Set by the backbone: */
    const relative_terms *terms; /* of backbones that have some, or NULL */
    sr_tensor *input;            /* x [T, d] */
    sublayer_inputs reads;       /* what attention reads of it; by attention_run() */
    sr_tensor *score_query;      /* projections of score_map's queries, before they are split into heads */
    sr_tensor *query, *key;      /* of the block's queries [Q, d] and keys [K, d] */
    sr_tensor *raw_scores;       /* cells of score_map, before any calibrator */

    /* Set by the pipeline: */
    sr_tensor *scores;                    /* cells of score_map, after the score stages so far */
    sr_tensor *probabilities;             /* their softmax; after the probability stages, cells of `map` */
    sr_tensor *weights;                   /* after dropout and the weight stages so far: they multiply the values */
    const sr_attention_map *weights_map;  /* which cells of the weights count: those of `map`, or all of its cells */
    sr_tensor *attacked_weights;          /* of the attacked branch, or NULL */
    const sr_attention_map *attacked_map; /* which of its cells count */
} attention_block;

/* What the layers of one pass share. */
typedef struct {
    const sr_batch *batch;
    const sr_rows *tokens; /* every token of the layout */
    const sr_rows *keys;   /* those that some query sees */
} attention_rows;

/* False (and a sticky failure of the tape) when memory runs out. */
bool attention_rows_make(attention_rows *rows, sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass);

/* A block for layer `layer`. block->map is NULL when memory has run out. */
attention_block attention_begin(sr_model *model, sr_tape *tape, const attention_rows *rows, const sr_pass *pass, size_t layer,
                                sr_encoding *encoding);

/* The rows of x [T, d] that act as queries, as keys, as queries with scores. */
sr_tensor *rows_of_queries(const attention_block *block, sr_tensor *x);
sr_tensor *rows_of_keys(const attention_block *block, sr_tensor *x);
sr_tensor *rows_of_score_queries(const attention_block *block, sr_tensor *x);

/* From the raw scores to the weights. */
void attention_weigh(attention_block *block);

/* The whole of a block with dot products, over block->input: stage by stage, or at once where nobody looks at the maps between
 * stages and these would be large. Returns y [Q, d]; when a stage has made an attacked branch, *attacked is its y. */
sr_tensor *attention_run(attention_block *block, sr_tensor **attacked);

/* The sub-layer's y without mixing stages, LN(residual + dropout(output(context))) with norm post; with the attention norm of
 * the layer. */
sr_tensor *attention_output(const attention_block *block, sr_tensor *context, sr_tensor *residual,
                            const affine_parameters *output, unsigned site);

/* The rows that the block computes. */
layer_rows rows_of_block(const attention_block *block);

/* Means and covariances of the same rows. */
typedef struct {
    sr_tensor *mean, *covariance;
} gaussians;

/* -scale times the squared 2-Wasserstein distances of queries and keys, whose covariances are elu(covariance) + 1. */
sr_tensor *wasserstein_scores(sr_tape *tape, gaussians query, gaussians key, const sr_attention_map *map, double scale);

/* ---- for calibrators ---- */

/* Cells of score_map reduced to the block's queries. */
sr_tensor *attention_of_queries(const attention_block *block, sr_tensor *cells);

/* Query projections of every token [T, d], in the last layer too, where the block has only the rows that are read. */
sr_tensor *attention_every_query(const attention_block *block);

/* The dropout of `site` on cells of the block. */
sr_tensor *attention_dropped(const attention_block *block, sr_tensor *probabilities, unsigned site);

#endif

/* The operations of the tape. Each one stands in its own file of src/tensor/operations with forward and backward side by side.
 *
 * All take NULL tensors (and return NULL then), see srtrain/tape.h. Arrays passed besides tensors must live until the tape is
 * reset. Shapes: T rows, d columns unless said. */
#ifndef SRTRAIN_OPERATIONS_H
#define SRTRAIN_OPERATIONS_H

#include "srtrain/config.h"
#include "srtrain/ragged.h"
#include "srtrain/random.h"
#include "srtrain/tape.h"

/* ---- linear.c ---- */

/* x Wᵀ + b: x [T, in], weight [out, in], bias [1, out] or NULL -> [T, out]. */
sr_tensor *sr_linear(sr_tape *tape, sr_tensor *x, sr_tensor *weight, sr_tensor *bias);

/* ---- gather.c ---- */

/* Rows of a table: out[t] = table[ids[t]], ids [count] -> [count, d]. Row 0 is padding: it is read like any row, but when
 * `padding_row` is set it gets no gradient from being read. */
sr_tensor *sr_embedding(sr_tape *tape, sr_tensor *table, const int32_t *ids, size_t count, bool padding_row);

/* out[i] = x[rows[i]], rows [count]; a row may be taken several times. */
sr_tensor *sr_select_rows(sr_tape *tape, sr_tensor *x, const size_t *rows, size_t count);

/* ---- elementwise.c ---- */

sr_tensor *sr_add(sr_tape *tape, sr_tensor *left, sr_tensor *right);

/* f(x) element by element; gelu is the erf form. */
sr_tensor *sr_activate(sr_tape *tape, sr_tensor *x, sr_activation kind);

/* The sum of weights * x as [1, 1]; weights [rows * columns] constant. */
sr_tensor *sr_weighted_sum(sr_tape *tape, sr_tensor *x, const sr_real *weights);

/* ---- layer_norm.c ---- */

/* gain * (x - mean) / sqrt(variance + epsilon) + bias over each row, with the biased variance (Ba et al. 2016). */
sr_tensor *sr_layer_norm(sr_tape *tape, sr_tensor *x, sr_tensor *gain, sr_tensor *bias, double epsilon);

/* ---- dropout.c ---- */

/* Where a dropout stands: its stream (one for each site and step) and its probability. A probability of 0 makes both operations
 * the identity. */
typedef struct {
    sr_random_stream stream;
    double probability;
} sr_dropout_site;

/* Inverted dropout on rows that belong to tokens: row i is token tokens[i] of the layout (tokens NULL: row i is token i). The
 * probability is rounded to a multiple of 1/65536 and the scale follows it, so that the expectation is exact. */
sr_tensor *sr_dropout(sr_tape *tape, sr_tensor *x, const sr_layout *layout, const size_t *tokens, const sr_dropout_site *site);

/* The same on the cells of an attention map. */
sr_tensor *sr_attention_dropout(sr_tape *tape, sr_tensor *weights, const sr_attention_map *map, const sr_dropout_site *site);

/* ---- attention.c: the fixed stages of the attention pipeline ---- */

/* scores_ij = scale <q_i, k_j> for each head: query [Q, d], key [T, d], heads split the columns -> cells of the map. Cells that
 * are not visible hold 0 and have no gradient. */
sr_tensor *sr_attention_scores(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_attention_map *map, double scale);

/* Softmax over the visible keys of each query; 0 elsewhere. */
sr_tensor *sr_attention_softmax(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map);

/* context_i = sum_j weights_ij value_j for each head: value [T, d] -> [Q, d]. weights must hold 0 in cells that are not
 * visible; their gradient in such cells means nothing. */
sr_tensor *sr_attention_context(sr_tape *tape, sr_tensor *weights, sr_tensor *value, const sr_attention_map *map);

/* ---- catalogue_loss.c ---- */

/* Cross entropy over the whole catalogue: sum_i weight (logsumexp_v <x_i, table_v> - <x_i, table_target_i>) as [1, 1]; x [n,
 * d], table [V, d], n targets in [0, V). Works in tiles: never holds more than a bounded number of logits, whatever n and V.
 * `weight` is usually 1 / number of targets in the global batch. */
sr_tensor *sr_catalogue_cross_entropy(sr_tape *tape, sr_tensor *x, sr_tensor *table, const int32_t *targets, double weight);

/* ---- pairwise_loss.c ---- */

/* Scores of one item a row: out[i] = <x_i, table_ids_i> -> [n, 1]. */
sr_tensor *sr_item_scores(sr_tape *tape, sr_tensor *x, sr_tensor *table, const int32_t *ids);

/* Bayesian personalised ranking (Rendle et al. 2009): weight sum_i softplus(-(positive_i - negative_i)) as [1, 1]. */
sr_tensor *sr_bpr_loss(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight);

/* Binary cross entropy with one sampled negative (Kang & McAuley 2018): weight sum_i softplus(-positive_i) +
 * softplus(negative_i) as [1, 1]. */
sr_tensor *sr_binary_cross_entropy(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight);

#endif

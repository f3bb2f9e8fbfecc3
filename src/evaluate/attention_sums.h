/* Sums over the attention of a pass, from which the analyses of attention follow; sums of ranks add up. */
#ifndef SRTRAIN_EVALUATE_ATTENTION_SUMS_H
#define SRTRAIN_EVALUATE_ATTENTION_SUMS_H

#include "srtrain/analysis.h"

typedef struct {
    size_t layers, heads;
    size_t length;                           /* items that a sequence must have to count in `cells` */
    double *cells[SR_CALIBRATION_STAGES];    /* [layers, heads, length, length]: sum of their weights */
    double *keys[SR_CALIBRATION_STAGES];     /* [layers, heads]: sum of effective numbers of keys of rows that are read */
    double *row_sums[SR_CALIBRATION_STAGES]; /* [layers, heads] */
    double *visible[SR_CALIBRATION_STAGES];  /* [layers] */
    double *counts;                          /* the two below */
} attention_sums;

enum { ATTENTION_ROWS_READ, ATTENTION_SEQUENCES, ATTENTION_COUNTS };

/* Doubles that the sums need, all 0 at first; and the view of such a block. */
size_t attention_sums_size(size_t layers, size_t heads, size_t length);
attention_sums attention_sums_view(double *block, size_t layers, size_t heads, size_t length);

/* Adds the attention of a pass that computed every row. `reads` are the rows whose effective keys count. */
void attention_sums_add(const attention_sums *sums, const sr_trace *trace, const sr_rows *reads);

/* exp of the entropy of `count` weights, each divided by the sum of all. Weights that a calibrator has made negative count by
 * their size. 0 when all are 0. */
double effective_keys(const sr_real *weights, size_t count);

/* Adds to cells [n, n] the weights between tokens first .. first + n - 1 of sequence s; a token that is no key has none. */
void add_attention_between(const sr_tensor *weights, const sr_attention_map *map, size_t s, size_t head, size_t first, size_t n,
                           double *cells);

/* The weights of a stage and the map that says which of them count. */
const sr_tensor *traced_weights(const sr_trace *trace, size_t layer, sr_calibration_stage stage, const sr_attention_map **map);

#endif

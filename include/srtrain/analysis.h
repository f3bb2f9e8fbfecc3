/* What a trained model's layers and attention do: the analyses of the papers that calibrate attention, over the sequences of a
 * split. docs/analysis.md says what each number means, with formula and paper.
 *
 * A sequence is what the model is given to predict a user's first held-out interaction of the split: everything before it, cut
 * to the window. Users without one, or with nothing before it, are left out. Dropout is off.
 *
 * Arrays are row-major and belong to the analysis. A number that does not exist (a mean over nothing) is NaN. */
#ifndef SRTRAIN_ANALYSIS_H
#define SRTRAIN_ANALYSIS_H

#include "srtrain/evaluate.h"

/* Attention before calibration: the softmax of the scores. After: the weights that multiply the values. */
typedef enum { SR_BEFORE_CALIBRATION, SR_AFTER_CALIBRATION, SR_CALIBRATION_STAGES } sr_calibration_stage;

/* Of the states X_l of layers l = 0 (what the first layer reads) .. N. */
typedef struct {
    size_t count;   /* N + 1; 1 for a backbone without a state for every token, whose representation is all there is */
    size_t width;   /* of the widest layer's states */
    bool of_tokens; /* every token has a state: the last two members exist */
    /* Over the last states of all sequences: */
    double *singular_values;  /* [count, width], descending; a narrower layer's end in NaN */
    double *effective_rank;   /* [count]: exp of the entropy of the singular values, divided by their sum */
    double *cosine;           /* [count]: mean cosine similarity of two different sequences */
    double *published_cosine; /* [count]: the same sum divided by n^2 instead of n (n - 1), n sequences */
    /* Within a sequence of at least two items, averaged over sequences: */
    double *position_cosine;      /* [count]: mean cosine similarity of two different positions */
    double *high_frequency_share; /* [count]: 1 - |P x|^2 / |x|^2, P the mean over positions */
    int64_t sequences_with_pairs; /* how many of these there are */
} sr_state_analysis;

/* Of the attention of every layer and head. */
typedef struct {
    size_t layers; /* 0: the backbone has none */
    size_t heads;
    /* A: weights of sequences with `length` items (mask token included), averaged over them. */
    size_t length, bins; /* bins = length / 2 + 1 */
    bool full_length;    /* such sequences fill the window */
    int64_t sequences;   /* how many there are */
    /* One for each sr_calibration_stage: */
    double *mean[SR_CALIBRATION_STAGES];             /* A [layers, heads, length, length] */
    double *gain[SR_CALIBRATION_STAGES];             /* [layers, heads, bins]: |A f_k|, f_k the unitary Fourier vectors */
    double *gain_of_mean[SR_CALIBRATION_STAGES];     /* [layers, bins]: the same of A averaged over heads */
    double *spectrum_of_mean[SR_CALIBRATION_STAGES]; /* [layers, length, length]: |F A F^-1| of A averaged over heads */
    double *effective_keys[SR_CALIBRATION_STAGES];   /* [layers, heads]: exp of the entropy of a row that is read, mean */
    double *row_sum[SR_CALIBRATION_STAGES];          /* [layers, heads]: of those rows, mean */
    double *visible_keys[SR_CALIBRATION_STAGES];     /* [layers]: keys that such a row may attend to, mean */
} sr_attention_analysis;

enum { SR_ANALYSIS_QUANTILES = 5 };
extern const double sr_analysis_quantiles[SR_ANALYSIS_QUANTILES]; /* 0.05, 0.25, 0.5, 0.75, 0.95 */

/* What a filter over positions does to the frequencies of a window. */
typedef struct {
    size_t layers; /* 0: the model has none */
    size_t bins, channels;
    double *response; /* [layers, bins, channels]: factor by which a frequency's amplitude is multiplied */
    double *mean;     /* [layers, bins]: over channels */
    double *quantile; /* [layers, bins, SR_ANALYSIS_QUANTILES] */
    double *factor;   /* [layers, channels]: of the bins that a frequency rescaler does not keep, beta; else NULL */
} sr_filter_analysis;

/* The attention within one user's sequence. */
typedef struct {
    size_t user;      /* index in the data set */
    size_t tokens;    /* n: items of the sequence, a mask token behind them, and padding where the model computes it */
    int32_t *items;   /* [n]: 0 for padding, the number of items + 1 for the mask token */
    int32_t *columns; /* [n]: in the window */
    double *weights[SR_CALIBRATION_STAGES]; /* [layers, heads, n, n]: row query, column key */
} sr_attention_example;

typedef struct {
    sr_split split;
    int64_t sequences; /* analysed */
    int64_t left_out;  /* users without a sequence */
    sr_state_analysis states;
    sr_attention_analysis attention;
    sr_filter_analysis rescaler; /* BSARec's frequency rescaler */
    sr_filter_analysis filter;   /* FMLP-Rec's learned filters */
    size_t example_count;
    sr_attention_example *examples; /* rank 0 only */
} sr_analysis;

typedef struct {
    const sr_dataset *dataset;
    sr_split split;
    size_t batch_size; /* sequences at a time */
    const sr_kernels *kernels;
    /* [user_count], indices in the data set, read on rank 0: whose attention is kept as examples. Every rank knows how many.
     * None: the first user whose sequence has the median length. */
    const size_t *users;
    size_t user_count;
} sr_analysis_request;

/* Analyses `model` over the sequences of a split. Memory does not grow with the number of sequences. Collective: users are
 * divided among ranks, sums are reduced, and every rank gets all but the examples. Release with sr_analysis_free().
 *
 * Errors: SR_ERROR_USAGE when one of `users` has no sequence, and from sr_check_times(); SR_ERROR_DATA when nobody has one. */
sr_status sr_analyze(sr_parallel *parallel, sr_model *model, const sr_analysis_request *request, sr_analysis *analysis,
                     sr_error *error);
void sr_analysis_free(sr_analysis *analysis); /* local */

#endif

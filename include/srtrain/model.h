/* A model: a backbone with its parameters, from packed batches to representations and losses. */
#ifndef SRTRAIN_MODEL_H
#define SRTRAIN_MODEL_H

#include "srtrain/batch.h"
#include "srtrain/item_table.h"
#include "srtrain/model_settings.h"
#include "srtrain/parameters.h"
#include "srtrain/ragged.h"
#include "srtrain/ranks.h"
#include "srtrain/tape.h"

/* What a model reads of an example besides its items; follows from its backbone and calibrators. */
typedef struct {
    bool masked;                  /* it trains on masked items, and is evaluated at a mask token behind the history */
    double mask_ratio;            /* masked: probability that an item is masked */
    bool masks_at_least_one;      /* masked: where no item of an example was drawn, one is masked all the same */
    bool users, times;            /* of examples */
    bool next_times;              /* with times: of the event that follows each item, in evaluation of the one asked for */
    int64_t time_span;            /* times: gaps beyond this many units count as equally long; 0: it knows no gaps */
    int64_t time_unit;            /* times: of the data's time stamps */
    bool whole_window;            /* padding is computed, up to the width of the window */
    bool causal;                  /* a token sees no later token */
    bool negatives;               /* its loss compares targets with sampled items, */
    sr_negative_settings sampled; /* these, */
    bool log_q;                   /* and corrects for how often these are drawn */
    bool couples_batch;           /* its loss is no sum over examples: what it needs of the batch is summed before */
    bool sums_in_passes; /* passes of training sum over ranks: all run the same passes, if need be over an empty batch */
} sr_model_needs;

sr_model_needs sr_model_needs_of(const sr_model_settings *settings, bool training);

/* How examples are packed for a model, in training or in evaluation. */
sr_packing sr_model_packing(const sr_model_settings *settings, sr_objective objective, bool training);

/* How many tokens take as long in a training step as scoring a state against one item, by counting multiplications: for
 * dividing a batch among ranks. 0 where this does not matter: states are compared with few items, every token has a target, or
 * ranks score the states of all together. */
double sr_model_tokens_an_item(const sr_model_settings *settings);

/* Packs examples for a model: sr_batch_pack(). */
sr_status sr_batch_build(sr_batch *batch, sr_arena *arena, const sr_model_settings *model, sr_objective objective,
                         bool training, const sr_example *examples, size_t count, sr_error *error);

/* Columns that states and rows of the item table have at most, where items are scored. */
size_t sr_model_state_width(const sr_model_settings *settings);

/* The name of a model's backbone, as it stands in YAML. */
const char *sr_model_name(const sr_model_settings *settings);

/* A model for a catalogue of `items` items and `users` users (ids from 1; 0 is padding), to be trained: its
 * parameters have names and shapes, but no memory yet, which sr_stepper_create() gives them. Release with
 * sr_model_free(). Errors: SR_ERROR_USAGE for settings that do not go together, SR_ERROR_RUNTIME for memory. */
sr_status sr_model_declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error);

/* Who has the rows of an item table that is divided: workers, `threads` of each of `ranks` processes, of which this is `rank`.
 * `popularity` [items + 1], as a data set has it, spreads popular rows evenly (srtrain/row_placement.h). It is the same on
 * all ranks, or NULL on all, where that does not matter. It is read while the model is declared, and not kept. */
typedef struct sr_item_division {
    size_t rank, ranks, threads;
    const int64_t *popularity;
} sr_item_division;

/* The same, but rows of the item table are divided among all workers. A pass whose ranks are not these workers cannot
 * read it. SR_ERROR_USAGE, too, where there are more workers than items. */
sr_status sr_model_declare_divided(sr_model **model, const sr_model_settings *settings, size_t items, size_t users,
                                   const sr_item_division *division, sr_error *error);

/* The same as sr_model_declare() with parameters and gradients in memory of its own, all 0; draw or load them next. */
sr_status sr_model_create(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error);
void sr_model_free(sr_model *model);

/* Whether such a model can be trained on a catalogue of `items` items: SR_ERROR_USAGE if not. */
sr_status sr_model_check_items(const sr_model_settings *settings, size_t items, sr_error *error);

/* How large the parameters of such a model are. Errors as of sr_model_declare(). */
typedef struct {
    size_t numbers; /* that are trained */
    size_t block;   /* elements of a block, gaps included */
    size_t arrays;
    size_t item_table; /* bytes of values of the item table, of these, in one process */
} sr_model_size;
sr_status sr_model_measure_size(sr_model_size *size, const sr_model_settings *settings, size_t items, size_t users,
                                sr_error *error);

/* The same model for another thread: it reads the values of `model`, which must outlive it, and has Fourier
 * transforms and, with `gradients`, a gradient block of its own (without, it can only compute). Its step is that of
 * `model` at this time. Release with sr_model_free(). */
sr_status sr_model_share(sr_model **share, sr_model *model, bool gradients, sr_error *error);

sr_parameters *sr_model_parameters(sr_model *model);
const sr_model_settings *sr_model_configuration(const sr_model *model);
size_t sr_model_items(const sr_model *model);

/* Of models with Fourier transforms by FFTW: measures which algorithms are fastest for them, see
 * sr_fourier_measure(). Before the first pass. */
bool sr_model_uses_fftw(const sr_model *model);
sr_status sr_model_measure_transforms(sr_model *model, sr_error *error);

/* The item id that stands for a masked item, or 0 when the model has none. */
int32_t sr_model_mask_token(const sr_model *model);

/* How many steps the model has been trained: annealed calibrators depend on it, in evaluation too. 0 at first; whoever
 * trains or loads the model sets it. */
void sr_model_set_step(sr_model *model, int64_t step);
int64_t sr_model_step(const sr_model *model);

enum { SR_LAYERS_MAXIMUM = 64 };

/* Inner values of a pass, kept for tests and analyses. They live as long as the tape's tensors. */
typedef struct {
    size_t layers;  /* that have attention */
    bool pointwise; /* its weights are no probabilities but may have any sign and sum; then nothing is uncalibrated */
    const sr_tensor *attention[SR_LAYERS_MAXIMUM];             /* the weights that multiply the values, cells of `maps` */
    const sr_tensor *uncalibrated[SR_LAYERS_MAXIMUM];          /* the softmax of the scores before any calibrator */
    const sr_attention_map *maps[SR_LAYERS_MAXIMUM];           /* cells, and which of them count before calibration */
    const sr_attention_map *attention_maps[SR_LAYERS_MAXIMUM]; /* the same cells, and which of them count in `attention` */
    /* What the first layer reads, then the output of each layer [T, width of the layer], the last one's [R, ..]
     * unless the pass computes every row, and before a norm of the states. 0 for backbones without a state for every
     * token. */
    size_t state_count;
    const sr_tensor *states[SR_LAYERS_MAXIMUM + 1];
    /* Backbones that choose lags: those that each layer keeps, ascending: [lag_count] for all sequences in training,
     * [sequences, lag_count] in evaluation. 0 for other backbones. */
    size_t lag_count;
    const size_t *lags[SR_LAYERS_MAXIMUM];
} sr_trace;

/* How to run the encoder. */
typedef struct {
    bool training; /* dropout on */
    uint64_t seed; /* with step: keys of the dropout masks */
    uint64_t step;
    /* Which of several passes of a step this is: each has random numbers of its own. */
    unsigned view;
    /* In training: those who share the batch; NULL: this rank has all of it. Backbones that sum over ranks in passes
     * (sr_model_needs) do so equally often on every rank, also on one whose tape has failed or whose batch is empty.
     */
    sr_ranks *ranks;
    /* Sequences go through the encoder in chunks of about so many tokens, unless something in the pass needs all of
     * them at once: a chunk stays in the cache from layer to layer. 0: as many as are good for that. */
    size_t chunk_tokens;
    bool every_row;  /* the last layer computes every row instead of only those that are read (tests, analyses) */
    sr_trace *trace; /* or NULL */
    /* Noise of the attacked branch in the padded frame, [sequences, heads, window, window], in the place of random
     * draws (tests); or NULL. */
    const double *noise;
    /* Backbones that choose lags, in training: those of each layer of each view, as a trace has them, in the place of
     * a choice [views * layers] (tests); or NULL. */
    const size_t *const *lags;
} sr_pass;

/* What the encoder makes of a batch. Tensors are NULL after a failure of the tape. */
typedef struct {
    sr_tensor *representation; /* [R, width]: of each read row; what is scored against the item table */
    sr_tensor *states;         /* [T, width]: of every token, when the pass computes every row; NULL where there are none */
    /* With an attacked branch, in training only; else NULL and 0: */
    sr_tensor *attacked;                        /* [R, width]: the same of the attacked branch */
    size_t mask_count;                          /* one mask a layer: M_l */
    sr_tensor *mask_squares[SR_LAYERS_MAXIMUM]; /* [1, 1]: sum (1 - M_l)^2 over this batch's part of the penalised cells */
    double mask_square_sums[SR_LAYERS_MAXIMUM]; /* their values in double precision */
} sr_encoding;

/* Makes ready the rows of the item table that passes over this batch and its losses read: before them, with the pass
 * that will be run (views of contrastive training follow from it). `tape` lends memory. A rank that failed, with
 * `status`, takes part, and so does one without a batch (NULL); then all fail. Of all ranks (srtrain/item_table.h). */
sr_status sr_model_fetch_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_status status,
                               sr_error *error);

/* Brings the gradients of rows that were fetched to where these belong: after the backward passes, before gradients
 * are summed over ranks. A rank that failed takes part; then all fail. Of all ranks. */
sr_status sr_model_hand_back_items(sr_model *model, sr_status status, sr_error *error);

void sr_model_encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding);

/* Adds to an empty graph what the model computes in evaluation, for other programs. All items lie in this process.
 *
 *   | input     | shape               | what                                                                        |
 *   | --------- | ------------------- | --------------------------------------------------------------------------- |
 *   | items     | [batch, max_length] | numbers of the latest items, oldest first; 0 in front of them or behind, as |
 *   |           |                     | model.padding says                                                          |
 *   | users     | [batch]             | numbers of users, of models that know users                                 |
 *   | times     | [batch, max_length] | of each item, in places like theirs, of models that read times              |
 *   | next_time | [batch]             | the moment that is asked for, of models that read it                        |
 *
 * All are 64-bit integers. Outputs are states [batch, width], and scores [batch, items + 1] by the numbers of items,
 * -infinity for number 0. SR_ERROR_USAGE says what of the model other programs cannot compute. Numbers of the graph
 * are those of the model, which must outlive it. Local. */
sr_status sr_model_describe(sr_model *model, const sr_kernels *kernels, sr_graph *graph, sr_error *error);

/* Contrastive training: the weight in the loss of a distance of the states of every token of two passes; 0 where they
 * are not compared. */
double sr_model_state_weight(const sr_model_settings *settings);

/* That distance as [1, 1], of states [T, width] of two passes: the sum over this part's sequences, divided by the
 * `examples` of the global batch. Only where the weight is not 0. */
sr_tensor *sr_model_state_distance(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *left, sr_tensor *right,
                                   double examples);

/* Bytes of the tape that a loss over the whole catalogue takes: of `targets` targets and `items` items, where logits
 * of at most `kept` bytes stay from forward to backward. 0 for losses that do not grow with the catalogue. */
size_t sr_model_catalogue_memory(const sr_model_settings *settings, size_t targets, size_t items, size_t kept);

/* Whether a step may give every row of the item table a gradient: the whole catalogue is compared, or all weights are
 * penalised.
 */
bool sr_model_moves_every_item(const sr_model_settings *settings);

/* The learning rate of a set of parameters, in units of that of the others. */
double sr_model_learning_rate_ratio(const sr_model_settings *settings, sr_parameter_set set);

/* What a user should know who begins with weights that were trained elsewhere; NULL: nothing. */
const char *sr_model_import_warning(const sr_model_settings *settings);

/* The same of who trains such a model on so many items; false: nothing. */
bool sr_model_training_warning(const sr_model_settings *settings, size_t items, char *text, size_t size);

/* Filters along the window: whether the backbone has one, or a calibrator. */
typedef enum { SR_FILTER_BACKBONE, SR_FILTER_CALIBRATOR } sr_model_filter_kind;
bool sr_model_filters(const sr_model *model, sr_model_filter_kind kind);

/* What that of a layer multiplies bin `bin` of the window's transform with: moduli [hidden_size]; of a calibrator
 * also its factors [hidden_size], which are the same for all bins but the low ones. */
void sr_model_filter(const sr_model *model, sr_model_filter_kind kind, size_t layer, size_t bin, double *moduli,
                     double *factors);

/* The item tables of which in training only those rows have a gradient that the batch names, as items, targets or
 * negatives. None where the whole catalogue is compared, all weights are penalised, or items are replaced at random.
 * None whose rows lie elsewhere than among the parameters. */
sr_table_list sr_model_item_tables(const sr_model *model);

#endif

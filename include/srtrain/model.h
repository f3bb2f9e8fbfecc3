/* A model: a backbone with its parameters, from packed batches to representations and losses. */
#ifndef SRTRAIN_MODEL_H
#define SRTRAIN_MODEL_H

#include "srtrain/batch.h"
#include "srtrain/config.h"
#include "srtrain/parameters.h"
#include "srtrain/tape.h"

typedef struct sr_model sr_model;

/* A model for a catalogue of `items` items (ids 1..items; 0 is padding) with parameters allocated and zero; draw or load them
 * next. Release with sr_model_free(). Errors: SR_ERROR_USAGE for settings that do not go together, SR_ERROR_RUNTIME for memory.
 */
sr_status sr_model_create(sr_model **model, const sr_model_settings *settings, size_t items, sr_error *error);
void sr_model_free(sr_model *model);

sr_parameters *sr_model_parameters(sr_model *model);
const sr_model_settings *sr_model_configuration(const sr_model *model);
size_t sr_model_items(const sr_model *model);

/* Attention weights of each layer, kept for tests and analyses: the weights that multiply the values. */
enum { SR_TRACE_LAYERS = 64 };
typedef struct {
    size_t layers;
    const sr_tensor *attention[SR_TRACE_LAYERS];
    const sr_attention_map *maps[SR_TRACE_LAYERS];
} sr_trace;

/* How to run the encoder. */
typedef struct {
    bool training; /* dropout on */
    uint64_t seed; /* with step: keys of the dropout masks */
    uint64_t step;
    bool every_row;  /* the last layer computes every row instead of only those that are read (tests, analyses) */
    sr_trace *trace; /* or NULL */
} sr_pass;

/* The representation of each read row of the batch, [R, d]: what is scored against the item table. NULL and a sticky failure of
 * the tape when memory runs out. */
sr_tensor *sr_model_encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass);

/* The training loss of a batch as [1, 1]: the sum over the batch's targets times `weight` (1 / number of targets in the global
 * batch makes the sum over ranks the mean over the global batch). */
sr_tensor *sr_model_loss(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, sr_loss loss,
                         double weight);

/* The table that representations are scored against by inner product: [items + 1, width]. Belongs to the model. */
const sr_real *sr_model_item_table(const sr_model *model, size_t *width);

/* Whether `loss` needs sampled negatives. */
bool sr_loss_needs_negatives(sr_loss loss);

#endif

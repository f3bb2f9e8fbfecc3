/* Encoding a batch in chunks of whole sequences, one after the other: what one layer of a chunk writes is still in the cache
 * when the next one reads it, forward and backward. Results are those of the whole batch, but for the order in which gradients
 * of parameters are added up. Called by sr_model_encode() alone. */
#ifndef SRTRAIN_MODEL_CHUNKS_H
#define SRTRAIN_MODEL_CHUNKS_H

#include "srtrain/model.h"

/* Whether a batch is worth cutting and nothing in the pass looks at all of it at once. */
bool encodes_in_chunks(const sr_model *model, const sr_batch *batch, const sr_pass *pass);

/* Fills `encoding` as the backbone's encode() does. */
void encode_chunks(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding);

#endif

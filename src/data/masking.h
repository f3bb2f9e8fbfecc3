/* Masked items: what a bidirectional model trains on (BERT4Rec, Sun et al. 2019, section 3.6). Called by sampler.c. */
#ifndef SRTRAIN_DATA_MASKING_H
#define SRTRAIN_DATA_MASKING_H

#include "srtrain/random.h"
#include "srtrain/sampler.h"

/* Replaces the history of `example` by its latest max_length items, some of them by the mask token, and its targets by
 * the items that were masked; which are scored, and what masks_at_least_one changes, stands at sr_sampler_create(). The
 * history must not be empty. A function of (stream, example->identity) and the history; the new arrays come from `arena`.
 * Local. */
sr_status mask_items(const sr_sampling *sampling, sr_random_stream stream, int32_t mask_token, sr_example *example,
                     sr_arena *arena, sr_error *error);

#endif

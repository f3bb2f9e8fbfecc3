/* Sampled negatives: items that a history does not contain, for losses that compare a target with them instead of with the
 * whole catalogue. Called by sampler.c. */
#ifndef SRTRAIN_DATA_NEGATIVES_H
#define SRTRAIN_DATA_NEGATIVES_H

#include "srtrain/batch.h"
#include "srtrain/random.h"

/* Gives `example` a negative for each of its first `count` targets, 0 where there is none: uniform among the items 1..items
 * that are neither the target nor in `history`, which is the example before anything was masked. After many failed attempts (a
 * history that covers nearly the whole catalogue) it is any item but the target. A function of (stream, history->identity), the
 * history and the targets; the array comes from `arena`. Local. */
sr_status draw_negatives(sr_random_stream stream, size_t items, const sr_example *history, size_t count, sr_example *example,
                         sr_arena *arena, sr_error *error);

#endif

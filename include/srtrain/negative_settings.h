/* How negatives are sampled: keys of the section training that several losses share. src/model owns the keys, since losses say
 * where they have a meaning; the sampler reads them. */
#ifndef SRTRAIN_NEGATIVE_SETTINGS_H
#define SRTRAIN_NEGATIVE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* Whose targets have the same list. */
typedef enum { SR_SHARING_TARGET, SR_SHARING_EXAMPLE, SR_SHARING_SLICE, SR_SHARING_BATCH } sr_negative_sharing;

/* What items are drawn by. */
typedef enum { SR_SAMPLING_UNIFORM, SR_SAMPLING_POPULARITY, SR_SAMPLING_BATCH, SR_SAMPLING_MIXED } sr_negative_sampling;

/* What happens to a negative that is the target, or an item of the example. */
typedef enum { SR_HITS_KEEP, SR_HITS_MASK, SR_HITS_REDRAW, SR_HITS_REDRAW_ALL } sr_negative_hits;

typedef struct {
    int64_t count; /* K of a list; 0: all targets of the global batch */
    sr_negative_sharing sharing;
    int64_t slice; /* examples of the global batch that share a list */
    sr_negative_sampling sampling;
    double popularity_exponent, batch_share;
    sr_negative_hits target_hits, history_hits;
} sr_negative_settings;

/* One uniform item for each target, which is neither the target nor in its whole history: what losses of one negative take. */
#define SR_ONE_NEGATIVE                                    \
    ((sr_negative_settings){.count = 1,                    \
                            .slice = 32,                   \
                            .popularity_exponent = 0.75,   \
                            .batch_share = 0.5,            \
                            .target_hits = SR_HITS_REDRAW, \
                            .history_hits = SR_HITS_REDRAW_ALL})

/* Whether examples share a list. Local, as the next one. */
bool sr_negatives_are_shared(const sr_negative_settings *settings);

/* Whether some of a list are targets of the global batch. */
bool sr_negatives_come_from_batch(const sr_negative_settings *settings);

#endif

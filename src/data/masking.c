#include "data/masking.h"

#include "base/sizes.h"

/* How many masked items of an example are scored at most. */
static size_t most_scored(const sr_sampling *sampling)
{
    const size_t most = (size_t)(sampling->mask_ratio * (double)sampling->packing.max_length);
    return most > 0 ? most : 1;
}

/* Draws which of an example's `length` latest items are masked. Returns how many. */
static size_t draw_masked(const sr_sampling *sampling, sr_random_stream stream, uint64_t identity, size_t length, bool *masked)
{
    size_t count = 0;
    for (size_t i = 0; i < length; ++i) {
        masked[i] = sr_random_uniform(stream, identity, i) < sampling->mask_ratio;
        count += masked[i];
    }
    if (count == 0 && sampling->masks_at_least_one) {
        masked[sr_random_below(stream, identity, length, length)] = true; /* the draw after those of the items */
        count = 1;
    }
    return count;
}

sr_status mask_items(const sr_sampling *sampling, sr_random_stream stream, int32_t mask_token, sr_example *example,
                     sr_arena *arena, sr_error *error)
{
    const size_t length = smaller(example->length, sampling->packing.max_length), most = most_scored(sampling);
    const int32_t *history = example->items + example->length - length;
    bool *masked = sr_arena_take(arena, length * sizeof *masked);
    int32_t *items = sr_arena_take(arena, length * sizeof *items), *targets = sr_arena_take(arena, length * sizeof *targets);
    if (!masked || !items || !targets)
        return sr_fail_memory(error, length * sizeof *items, "masked items");
    const size_t first_column = sampling->packing.pads_left ? sampling->packing.max_length - length : 0;
    size_t later = draw_masked(sampling, stream, example->identity, length, masked);
    for (size_t i = 0; i < length; ++i) {
        later -= masked[i];
        /* The released code fills its list of masked columns up with zeros, so that column 0 never counts. */
        const bool never = first_column + i == 0 && !sampling->masks_at_least_one;
        items[i] = masked[i] ? mask_token : history[i];
        targets[i] = masked[i] && later < most && !never ? history[i] : 0;
    }
    example->items = items;
    example->times = example->times ? example->times + example->length - length : NULL;
    example->length = length;
    example->targets = targets;
    return SR_OK;
}

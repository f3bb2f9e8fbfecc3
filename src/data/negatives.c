#include "data/negatives.h"

static bool contains(const int32_t *items, size_t count, int32_t item)
{
    for (size_t i = 0; i < count; ++i)
        if (items[i] == item)
            return true;
    return false;
}

static int32_t draw_negative(sr_random_stream stream, size_t items, const sr_example *history, int32_t target, size_t position)
{
    enum { ATTEMPTS = 1000 };
    for (uint64_t attempt = 0;; ++attempt) {
        const int32_t item = 1 + (int32_t)sr_random_below(stream, history->identity, (uint64_t)position << 32 | attempt, items);
        if (item != target && (attempt >= ATTEMPTS || !contains(history->items, history->length, item)))
            return item;
        if (items == 1)
            return target;
    }
}

sr_status draw_negatives(sr_random_stream stream, size_t items, const sr_example *history, size_t count, sr_example *example,
                         sr_arena *arena, sr_error *error)
{
    int32_t *negatives = sr_arena_take(arena, count * sizeof *negatives);
    if (!negatives)
        return sr_fail_memory(error, count * sizeof *negatives, "sampled negatives");
    for (size_t position = 0; position < count; ++position) {
        const int32_t target = example->targets[position];
        negatives[position] = target ? draw_negative(stream, items, history, target, position) : 0;
    }
    example->negatives = negatives;
    return SR_OK;
}

#include "engine/sort_keys.h"

#include "srtrain/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 11, DIGITS = 6, VALUES = 1 << BITS };

static bool is_sorted(const sort_key *keys, size_t count)
{
    for (size_t i = 1; i < count; ++i)
        if (keys[i - 1].key > keys[i].key)
            return false;
    return true;
}

sr_status sort_keys(sort_key *keys, size_t count, sr_error *error)
{
    if (is_sorted(keys, count))
        return SR_OK;
    sort_key *other;
    size_t(*places)[VALUES];
    SR_TRY(SR_ALLOCATE(&other, count, "sorting", error));
    const sr_status status = sr_allocate_zero((void **)&places, DIGITS, sizeof *places, "sorting", error);
    if (status != SR_OK) {
        free(other);
        return status;
    }
    for (size_t i = 0; i < count; ++i)
        for (unsigned digit = 0; digit < DIGITS; ++digit)
            ++places[digit][keys[i].key >> (digit * BITS) & (VALUES - 1)];
    sort_key *from = keys, *to = other;
    for (unsigned digit = 0; digit < DIGITS; ++digit) {
        const unsigned shift = digit * BITS;
        size_t place = 0;
        if (places[digit][from[0].key >> shift & (VALUES - 1)] == count)
            continue; /* all keys agree in this digit */
        for (size_t value = 0; value < VALUES; ++value) {
            const size_t here = places[digit][value];
            places[digit][value] = place;
            place += here;
        }
        for (size_t i = 0; i < count; ++i)
            to[places[digit][from[i].key >> shift & (VALUES - 1)]++] = from[i];
        sort_key *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keys)
        memcpy(keys, from, count * sizeof *keys);
    free(other);
    free(places);
    return SR_OK;
}

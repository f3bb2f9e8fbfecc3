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

sr_status sort_names(const name_table *table, uint32_t *sorted, sr_error *error)
{
    sort_key *keys;
    SR_TRY(SR_ALLOCATE(&keys, table->count, "sorting identifiers", error));
    for (uint32_t i = 0; i < table->count; ++i)
        keys[i] = (sort_key){name_at(table->bytes + table->places[i]).hash, i};
    const sr_status status = sort_keys(keys, table->count, error);
    if (status != SR_OK) {
        free(keys);
        return status;
    }
    /* Where hashes are equal, which happens once in a billion identifiers, bytes decide. */
    for (uint32_t i = 1; i < table->count; ++i)
        for (uint32_t j = i; j > 0 && keys[j].key == keys[j - 1].key; --j) {
            const identifier left = name_at(table->bytes + table->places[keys[j - 1].value]),
                             right = name_at(table->bytes + table->places[keys[j].value]);
            if (name_compare(&left, &right) < 0)
                break;
            const sort_key swapped = keys[j];
            keys[j] = keys[j - 1];
            keys[j - 1] = swapped;
        }
    for (uint32_t i = 0; i < table->count; ++i)
        sorted[i] = (uint32_t)keys[i].value;
    free(keys);
    return SR_OK;
}

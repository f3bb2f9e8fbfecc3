#include "engine/dictionary.h"

#include "engine/sort_keys.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 1 << 10 };

/* The upper half of a hash, so that most comparisons need no look at the bytes. */
struct dictionary_slot {
    uint32_t tag, number_plus_one;
};

identifier name_at(const char *bytes)
{
    identifier n = {.bytes = bytes + NAME_HEADER};
    memcpy(&n.hash, bytes, sizeof n.hash);
    memcpy(&n.length, bytes + sizeof n.hash, sizeof n.length);
    return n;
}

int name_compare(const identifier *left, const identifier *right)
{
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    if (left->length != right->length)
        return left->length < right->length ? -1 : 1;
    return memcmp(left->bytes, right->bytes, left->length);
}

sr_status dictionary_create(dictionary *d, sr_error *error)
{
    *d = (dictionary){.slot_count = FIRST_SLOTS};
    return SR_ALLOCATE_ZERO(&d->slots, d->slot_count, "identifiers", error);
}

void dictionary_free(dictionary *d)
{
    free(d->bytes);
    free(d->places);
    free(d->slots);
    *d = (dictionary){.count = 0};
}

sr_status dictionary_clear(dictionary *d, sr_error *error)
{
    dictionary_free(d);
    return dictionary_create(d, error);
}

uint64_t dictionary_memory(const dictionary *d)
{
    return d->used + d->count * sizeof *d->places + d->slot_count * sizeof *d->slots * 3 / 2;
}

static bool is_equal(const dictionary *d, uint32_t number, const char *text, size_t length)
{
    const identifier n = name_at(d->bytes + d->places[number]);
    return n.length == length && memcmp(n.bytes, text, length) == 0;
}

/* The slot that holds the identifier, or the free one where it belongs. */
static uint64_t find_slot(const dictionary *d, uint64_t hash, const char *text, size_t length)
{
    const uint64_t mask = d->slot_count - 1;
    const uint32_t tag = (uint32_t)(hash >> 32);
    uint64_t at = hash & mask;
    while (d->slots[at].number_plus_one &&
           (d->slots[at].tag != tag || !is_equal(d, d->slots[at].number_plus_one - 1, text, length)))
        at = (at + 1) & mask;
    return at;
}

static sr_status grow_slots(dictionary *d, sr_error *error)
{
    const uint64_t count = 2 * d->slot_count;
    struct dictionary_slot *slots;
    SR_TRY(SR_ALLOCATE_ZERO(&slots, count, "identifiers", error));
    for (uint32_t i = 0; i < d->count; ++i) {
        const uint64_t hash = name_at(d->bytes + d->places[i]).hash;
        uint64_t at = hash & (count - 1);
        while (slots[at].number_plus_one)
            at = (at + 1) & (count - 1);
        slots[at] = (struct dictionary_slot){(uint32_t)(hash >> 32), i + 1};
    }
    free(d->slots);
    d->slots = slots;
    d->slot_count = count;
    return SR_OK;
}

static sr_status reserve(dictionary *d, size_t length, sr_error *error)
{
    if (d->count >= INT32_MAX - 1)
        return sr_fail(error, SR_ERROR_DATA, "more than %d distinct identifiers", INT32_MAX - 1);
    SR_TRY(SR_GROW(&d->bytes, &d->room, d->used + length + NAME_HEADER, "identifiers", error));
    return SR_GROW(&d->places, &d->places_room, (size_t)d->count + 1, "identifiers", error);
}

static void enter(dictionary *d, uint64_t hash, const char *text, size_t length)
{
    const uint16_t short_length = (uint16_t)length;
    char *to = d->bytes + d->used;
    memcpy(to, &hash, sizeof hash);
    memcpy(to + sizeof hash, &short_length, sizeof short_length);
    memcpy(to + NAME_HEADER, text, length);
    d->places[d->count++] = d->used;
    d->used += NAME_HEADER + length;
}

sr_status dictionary_number(dictionary *d, const char *text, size_t length, uint32_t *number, sr_error *error)
{
    if (d->count > 0 && is_equal(d, d->last, text, length)) {
        *number = d->last;
        return SR_OK;
    }
    const uint64_t hash = XXH3_64bits(text, length);
    const uint64_t at = find_slot(d, hash, text, length);
    if (d->slots[at].number_plus_one) {
        *number = d->last = d->slots[at].number_plus_one - 1;
        return SR_OK;
    }
    SR_TRY(reserve(d, length, error));
    enter(d, hash, text, length);
    d->slots[at] = (struct dictionary_slot){(uint32_t)(hash >> 32), d->count};
    *number = d->last = d->count - 1;
    return (uint64_t)d->count * 10 > d->slot_count * 7 ? grow_slots(d, error) : SR_OK;
}

bool dictionary_has(const dictionary *d, const char *text, size_t length)
{
    return d->slots[find_slot(d, XXH3_64bits(text, length), text, length)].number_plus_one != 0;
}

sr_status dictionary_sort(const dictionary *d, uint32_t *sorted, sr_error *error)
{
    sort_key *keys;
    SR_TRY(SR_ALLOCATE(&keys, d->count, "sorting identifiers", error));
    for (uint32_t i = 0; i < d->count; ++i)
        keys[i] = (sort_key){name_at(d->bytes + d->places[i]).hash, i};
    const sr_status status = sort_keys(keys, d->count, error);
    if (status != SR_OK) {
        free(keys);
        return status;
    }
    /* Where hashes are equal, which happens once in a billion identifiers, bytes decide. */
    for (uint32_t i = 1; i < d->count; ++i)
        for (uint32_t j = i; j > 0 && keys[j].key == keys[j - 1].key; --j) {
            const identifier left = name_at(d->bytes + d->places[keys[j - 1].value]),
                             right = name_at(d->bytes + d->places[keys[j].value]);
            if (name_compare(&left, &right) < 0)
                break;
            const sort_key swapped = keys[j];
            keys[j] = keys[j - 1];
            keys[j - 1] = swapped;
        }
    for (uint32_t i = 0; i < d->count; ++i)
        sorted[i] = (uint32_t)keys[i].value;
    free(keys);
    return SR_OK;
}

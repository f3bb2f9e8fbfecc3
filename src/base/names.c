#include "base/names.h"

#include "base/lines.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 1 << 10 };

/* The upper half of a hash, so that most comparisons need no look at the bytes. */
struct name_slot {
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

sr_status names_create(name_table *table, sr_error *error)
{
    *table = (name_table){.slot_count = FIRST_SLOTS};
    return SR_ALLOCATE_ZERO(&table->slots, table->slot_count, "identifiers", error);
}

void names_free(name_table *table)
{
    free(table->bytes);
    free(table->places);
    free(table->slots);
    *table = (name_table){.count = 0};
}

sr_status names_clear(name_table *table, sr_error *error)
{
    names_free(table);
    return names_create(table, error);
}

uint64_t names_memory(const name_table *table)
{
    return table->used + table->count * sizeof *table->places + table->slot_count * sizeof *table->slots * 3 / 2;
}

static bool is_equal(const name_table *table, uint32_t number, const char *text, size_t length)
{
    const identifier n = name_at(table->bytes + table->places[number]);
    return n.length == length && memcmp(n.bytes, text, length) == 0;
}

/* The slot that holds the identifier, or the free one where it belongs. */
static uint64_t find_slot(const name_table *table, uint64_t hash, const char *text, size_t length)
{
    const uint64_t mask = table->slot_count - 1;
    const uint32_t tag = (uint32_t)(hash >> 32);
    uint64_t at = hash & mask;
    while (table->slots[at].number_plus_one &&
           (table->slots[at].tag != tag || !is_equal(table, table->slots[at].number_plus_one - 1, text, length)))
        at = (at + 1) & mask;
    return at;
}

static sr_status grow_slots(name_table *table, sr_error *error)
{
    const uint64_t count = 2 * table->slot_count;
    struct name_slot *slots;
    SR_TRY(SR_ALLOCATE_ZERO(&slots, count, "identifiers", error));
    for (uint32_t i = 0; i < table->count; ++i) {
        const uint64_t hash = name_at(table->bytes + table->places[i]).hash;
        uint64_t at = hash & (count - 1);
        while (slots[at].number_plus_one)
            at = (at + 1) & (count - 1);
        slots[at] = (struct name_slot){(uint32_t)(hash >> 32), i + 1};
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    return SR_OK;
}

static sr_status reserve(name_table *table, size_t length, sr_error *error)
{
    if (length > UINT16_MAX)
        return sr_fail(error, SR_ERROR_DATA, "an identifier has %zu bytes, allowed are at most %d", length, UINT16_MAX);
    if (table->count >= INT32_MAX - 1)
        return sr_fail(error, SR_ERROR_DATA, "more than %d distinct identifiers", INT32_MAX - 1);
    SR_TRY(SR_GROW(&table->bytes, &table->room, table->used + NAME_HEADER + length, "identifiers", error));
    return SR_GROW(&table->places, &table->places_room, (size_t)table->count + 1, "identifiers", error);
}

static void enter(name_table *table, uint64_t hash, const char *text, size_t length)
{
    const uint16_t short_length = (uint16_t)length;
    char *to = table->bytes + table->used;
    memcpy(to, &hash, sizeof hash);
    memcpy(to + sizeof hash, &short_length, sizeof short_length);
    memcpy(to + NAME_HEADER, text, length);
    table->places[table->count++] = table->used;
    table->used += NAME_HEADER + length;
}

sr_status names_number(name_table *table, const char *text, size_t length, uint32_t *number, sr_error *error)
{
    if (table->count > 0 && is_equal(table, table->last, text, length)) {
        *number = table->last;
        return SR_OK;
    }
    const uint64_t hash = XXH3_64bits(text, length);
    const uint64_t at = find_slot(table, hash, text, length);
    if (table->slots[at].number_plus_one) {
        *number = table->last = table->slots[at].number_plus_one - 1;
        return SR_OK;
    }
    SR_TRY(reserve(table, length, error));
    enter(table, hash, text, length);
    table->slots[at] = (struct name_slot){(uint32_t)(hash >> 32), table->count};
    *number = table->last = table->count - 1;
    return (uint64_t)table->count * 10 > table->slot_count * 7 ? grow_slots(table, error) : SR_OK;
}

sr_status names_read(name_table *table, const char *path, sr_error *error)
{
    lines *file;
    const char *line;
    uint32_t number;
    SR_TRY(lines_open(&file, path, error));
    sr_status status;
    while ((status = lines_next(file, &line, error)) == SR_OK && line)
        if (*line && (status = names_number(table, line, strlen(line), &number, error)) != SR_OK)
            break;
    lines_close(file);
    return status;
}

uint32_t names_find(const name_table *table, const char *text, size_t length)
{
    return table->slots[find_slot(table, XXH3_64bits(text, length), text, length)].number_plus_one - 1; /* NAMES_NONE for 0 */
}

identifier names_get(const name_table *table, uint32_t number)
{
    return name_at(table->bytes + table->places[number]);
}

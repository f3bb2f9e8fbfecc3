#include "base/names.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 1 << 12, BYTES_BLOCK = 1 << 20, CHUNK = 1 << 16 };

sr_status names_create(name_table *table, sr_error *error)
{
    *table = (name_table){.slot_count = FIRST_SLOTS};
    SR_TRY(sr_arena_create(&table->bytes, BYTES_BLOCK, error));
    return SR_ALLOCATE_ZERO(&table->slots, table->slot_count, "identifiers", error);
}

void names_free(name_table *table)
{
    sr_arena_free(table->bytes);
    free(table->texts);
    free(table->slots);
    *table = (name_table){0};
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t find_slot(const name_table *table, const char *text, size_t length)
{
    size_t slot = XXH3_64bits(text, length) & (table->slot_count - 1);
    while (table->slots[slot]) {
        const char *found = table->texts[table->slots[slot] - 1];
        if (strncmp(found, text, length) == 0 && found[length] == '\0')
            break;
        slot = (slot + 1) & (table->slot_count - 1);
    }
    return slot;
}

static sr_status grow_slots(name_table *table, sr_error *error)
{
    uint32_t *slots;
    SR_TRY(SR_ALLOCATE_ZERO(&slots, 2 * table->slot_count, "identifiers", error));
    free(table->slots);
    table->slots = slots;
    table->slot_count *= 2;
    for (uint32_t i = 0; i < table->count; ++i)
        table->slots[find_slot(table, table->texts[i], strlen(table->texts[i]))] = i + 1;
    return SR_OK;
}

static sr_status grow_texts(name_table *table, sr_error *error)
{
    if (table->count < table->room)
        return SR_OK;
    if (table->count >= INT32_MAX - 1)
        return sr_fail(error, SR_ERROR_DATA, "more than %d distinct identifiers", INT32_MAX - 1);
    return SR_GROW(&table->texts, &table->room, (size_t)table->count + 1, "identifiers", error);
}

/* A copy of the string. Short strings share chunks, because the arena aligns each piece: ten million ids stay small. */
static const char *keep(name_table *table, const char *text, size_t length)
{
    if (length + 1 > table->chunk_left) {
        table->chunk_left = length + 1 > CHUNK ? length + 1 : (size_t)CHUNK;
        table->chunk = sr_arena_take(table->bytes, table->chunk_left);
        if (!table->chunk) {
            table->chunk_left = 0;
            return NULL;
        }
    }
    char *copy = table->chunk;
    memcpy(copy, text, length);
    copy[length] = '\0';
    table->chunk += length + 1;
    table->chunk_left -= length + 1;
    return copy;
}

sr_status names_number(name_table *table, const char *text, size_t length, uint32_t *number, sr_error *error)
{
    size_t slot = find_slot(table, text, length);
    if (!table->slots[slot]) {
        SR_TRY(grow_texts(table, error));
        const char *copy = keep(table, text, length);
        if (!copy)
            return sr_fail_memory(error, length + 1, "an identifier");
        table->texts[table->count] = copy;
        table->slots[slot] = ++table->count;
        *number = table->count - 1;
        return (size_t)table->count * 10 > table->slot_count * 7 ? grow_slots(table, error) : SR_OK;
    }
    *number = table->slots[slot] - 1;
    return SR_OK;
}

uint32_t names_find(const name_table *table, const char *text, size_t length)
{
    const uint32_t entry = table->slots[find_slot(table, text, length)];
    return entry ? entry - 1 : NAMES_NONE;
}

#include "data/exclusion.h"

sr_status excluded_items_take(excluded_items *excluded, size_t most, sr_arena *arena, sr_error *error)
{
    *excluded = (excluded_items){.count = 0};
    return id_map_take(&excluded->set, most + 1, arena, error);
}

void excluded_items_set(excluded_items *excluded, const int32_t *items, size_t count, int32_t another)
{
    excluded->items = items;
    excluded->count = count;
    excluded->another = another;
    excluded->is_filled = false;
    excluded->asked = 0;
}

static void add(excluded_items *excluded, int32_t item)
{
    if (item != 0)
        (void)id_map_add(&excluded->set, item);
}

void excluded_items_fill(excluded_items *excluded)
{
    if (excluded->is_filled)
        return;
    id_map_empty(&excluded->set, excluded->count + 1);
    for (size_t i = 0; i < excluded->count; ++i)
        add(excluded, excluded->items[i]);
    add(excluded, excluded->another);
    excluded->is_filled = true;
}

bool excluded_items_have(excluded_items *excluded, int32_t item)
{
    if (excluded->asked++ == 0 && !excluded->is_filled) {
        bool found = item == excluded->another;
        for (size_t i = 0; i < excluded->count; ++i)
            found |= excluded->items[i] == item;
        return found;
    }
    excluded_items_fill(excluded);
    return id_map_find(&excluded->set, item) != SIZE_MAX;
}

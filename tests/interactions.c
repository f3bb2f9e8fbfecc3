#include "interactions.h"

#include <stdlib.h>

sr_status interactions_create(interactions *all, sr_error *error)
{
    *all = (interactions){.count = 0};
    SR_TRY(names_create(&all->users, error));
    return names_create(&all->items, error);
}

void interactions_free(interactions *all)
{
    names_free(&all->users);
    names_free(&all->items);
    free(all->list);
    *all = (interactions){.count = 0};
}

sr_status interactions_add(interactions *all, const char *user, size_t user_length, const char *item, size_t item_length,
                           int64_t time, float rating, sr_error *error)
{
    if (all->count == all->room) {
        const size_t room = all->room ? 2 * all->room : 65536;
        numbered *list = realloc(all->list, room * sizeof *list);
        if (!list)
            return sr_fail_memory(error, room * sizeof *list, "interactions");
        all->list = list;
        all->room = room;
    }
    numbered *added = &all->list[all->count];
    *added = (numbered){.time = time, .rating = rating, .order = all->count};
    SR_TRY(names_number(&all->users, user, user_length, &added->user, error));
    SR_TRY(names_number(&all->items, item, item_length, &added->item, error));
    ++all->count;
    return SR_OK;
}

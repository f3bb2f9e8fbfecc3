/* Where the settings of components lie, and what they add to a schema. */
#include "config/component.h"

static size_t padded(size_t size)
{
    return (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
}

size_t component_place(component_list *list, const component *row)
{
    size_t place = 0;
    for (size_t i = 0; list(i) != row; ++i)
        place += padded(list(i)->settings_size);
    return place;
}

sr_key_group component_keys(const component *row, const sr_scope *scope, size_t keys_at, size_t rules_at)
{
    return (sr_key_group){.keys = row->keys,
                          .key_count = row->key_count,
                          .keys_at = keys_at,
                          .scope = *scope,
                          .rules = row->rules,
                          .rule_count = row->rule_count,
                          .rules_at = rules_at,
                          .gone = row->gone,
                          .gone_count = row->gone_count};
}

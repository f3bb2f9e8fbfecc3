/* What owns keys: a name, keys and rules, and settings of its own.
 *
 * A component is one file and one row in the list of its kind: a backbone, a loss, an optimizer. The struct of its settings is
 * known to that file alone. Whoever has the lists keeps the settings of all their components one after the other, in memory
 * that is a part of its own settings. */
#ifndef SRTRAIN_CONFIG_COMPONENT_H
#define SRTRAIN_CONFIG_COMPONENT_H

#include "srtrain/config.h"

typedef struct component {
    const char *name;
    const char *help;
    const sr_key *keys; /* fields of its settings, in whatever sections */
    size_t key_count;
    size_t settings_size;
    const sr_rule *rules; /* checked while it is in use; broken() gets the settings that its list is a part of */
    size_t rule_count;
    const sr_gone_key *gone; /* keys and values that it had */
    size_t gone_count;
    size_t parameters_size; /* of the struct that it keeps in what is made of the settings, zero at first; 0: none */
    size_t layer_size;      /* the same in each layer */
} component;

/* Component `number` of all lists of somebody; NULL behind the last. */
typedef const component *component_list(size_t number);

/* Where the settings of a component begin, in bytes; of NULL, where those of all of them end. */
size_t component_place(component_list *list, const component *row);

/* Its keys, rules and gone keys, for a schema: its settings lie at `keys_at`, and its rules get what lies at `rules_at`. They
 * hold in `scope`. */
sr_key_group component_keys(const component *row, const sr_scope *scope, size_t keys_at, size_t rules_at);

#endif

/* The list of optimizers: one row each. Numbers are places in it. */
#include "step/optimizer_row.h"

#include <stdio.h>
#include <string.h>

extern const optimizer_row adamw_optimizer, adam_optimizer, sgd_optimizer, lamb_optimizer;

/* clang-format off */
const optimizer_row *const optimizers[] = {
    &adamw_optimizer,
    &adam_optimizer,
    &sgd_optimizer,
    &lamb_optimizer,
};
/* clang-format on */
const size_t optimizer_count = sizeof optimizers / sizeof *optimizers;

const optimizer_row *optimizer_of(const sr_training_settings *settings)
{
    return optimizers[settings->optimizer];
}

int sr_optimizer_number(const char *name)
{
    for (size_t i = 0; i < optimizer_count; ++i)
        if (strcmp(optimizers[i]->component.name, name) == 0)
            return (int)i;
    return -1;
}

sr_choice optimizer_choice(size_t index)
{
    if (index >= optimizer_count)
        return (sr_choice){.name = NULL};
    return (sr_choice){optimizers[index]->component.name, (int)index, optimizers[index]->component.help};
}

/* ---- settings ---- */

/* Whether row `index` is the first one of its family. */
static bool leads_family(size_t index)
{
    for (size_t i = 0; i < index; ++i)
        if (optimizers[i]->family == optimizers[index]->family)
            return false;
    return optimizers[index]->family != NULL;
}

/* Families come before the rows. */
static const component *component_at(size_t number)
{
    for (size_t i = 0; i < optimizer_count; ++i)
        if (leads_family(i) && number-- == 0)
            return optimizers[i]->family;
    return number < optimizer_count ? &optimizers[number]->component : NULL;
}

const void *optimizer_settings(const sr_training_settings *settings, const component *row)
{
    return (const char *)settings->optimizers + component_place(component_at, row);
}

bool optimizers_fit(void)
{
    return component_place(component_at, NULL) <= sizeof((sr_training_settings *)0)->optimizers;
}

/* ---- keys and rules ---- */

static bool has_component(const optimizer_row *row, const component *wanted)
{
    return &row->component == wanted || row->family == wanted;
}

static bool is_in_use(const sr_scope *scope, unsigned bits, const void *part)
{
    (void)bits;
    return has_component(optimizer_of(part), scope->context);
}

static void name_owners(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    (void)bits;
    for (size_t i = 0; i < optimizer_count; ++i)
        if (has_component(optimizers[i], scope->context))
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", optimizers[i]->component.name);
}

static bool cannot_be_late(const void *part)
{
    const sr_training_settings *settings = part;
    return settings->item_updates == SR_ITEM_UPDATES_DEFERRED && !optimizer_of(settings)->late;
}

static void explain_moves(const void *part, char *text, size_t size)
{
    snprintf(text, size, "%s", optimizer_of(part)->in_every_step);
}

static const sr_rule rules[] = {
    SR_RULE("training.item_updates", "training.optimizer", cannot_be_late,
            "rows take steps late only with an optimizer that knows what many steps without a gradient come to; use "
            "item_updates every_step, or optimizer adamw or adam",
            .explain = explain_moves),
};

void optimizers_add_keys(sr_schema *schema, size_t at)
{
    const size_t settings_at = at + offsetof(sr_training_settings, optimizers);
    if (!optimizers_fit()) {
        schema->overflowed = true;
        return;
    }
    for (size_t i = 0; component_at(i); ++i) {
        const component *row = component_at(i);
        const sr_scope scope = {
            .holds = is_in_use, .owners = name_owners, .context = row, .at = at, .decided_by = "training.optimizer"};
        const sr_key_group group = component_keys(row, &scope, settings_at + component_place(component_at, row), at);
        sr_schema_add_group(schema, &group);
    }
    sr_schema_add_group(schema, &(sr_key_group){SR_RULES(rules), .rules_at = at});
}

void sr_training_settle(sr_training_settings *settings, const sr_given *given)
{
    const bool kind_is_given = sr_is_given(given, "training.weight_decay_kind");
    if (kind_is_given && settings->weight_decay_kind == SR_WEIGHT_DECAY_L2 && !sr_is_given(given, "training.optimizer"))
        settings->optimizer = sr_optimizer_number("adam");
    if (!kind_is_given)
        settings->weight_decay_kind = optimizer_of(settings)->decay;
}

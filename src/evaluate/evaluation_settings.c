/* The keys of section evaluation. */
#include "srtrain/evaluation_settings.h"

static const sr_choice history_choices[] = {
    {"keep", SR_HISTORY_KEEP, "items the user already has compete"},
    {"exclude", SR_HISTORY_EXCLUDE, "items the user already has get score -infinity"},
    {"zero", SR_HISTORY_ZERO,
     "items the user already has get score 0 and the padding item competes, as the released BSARec evaluation does"},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_KEY("evaluation", "top_k", SR_KEY_INTEGER_LIST, sr_evaluation_settings, top_k, "[1, 3, 5, 10, 20, 50]",
           "cut-offs of the metrics, ascending", .size = offsetof(sr_evaluation_settings, top_k_count), .minimum = 1,
           .maximum = 1000),
    SR_CHOICE("evaluation", "history", sr_evaluation_settings, history, history_choices, "keep",
              "items that the user already has"),
    SR_INTEGER("evaluation", "every_epochs", sr_evaluation_settings, every_epochs, 0, 1e6, "1",
               "epochs between validations; 0: never validate"),
    SR_INTEGER("evaluation", "batch_size", sr_evaluation_settings, batch_size, 1, 1e6, "256",
               "histories that a rank encodes at a time"),
};

void sr_evaluation_add_section(sr_schema *schema)
{
    sr_schema_add_section(schema, &(sr_section){.path = "evaluation",
                                                .help = "full-catalogue ranking",
                                                .in_use = SR_ALWAYS_IN_USE,
                                                .free_to_change = true});
}

void sr_evaluation_add_keys(sr_schema *schema, size_t at)
{
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(keys), .keys_at = at});
}

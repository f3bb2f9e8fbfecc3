/* The keys of section data. */
#include "srtrain/data_settings.h"

#include <string.h>

static const sr_choice samples_choices[] = {
    {"sliding", SR_SAMPLES_SLIDING, "every non-empty prefix of the training part, from its latest max_length items"},
    {"window", SR_SAMPLES_WINDOW,
     "prefixes of the training part's last max_length items only, the empty prefix included (masked models: left out)"},
    {NULL, 0, NULL}};
static const sr_choice prefetch_choices[] = {
    {"auto", SR_PREFETCH_AUTO, "when the files of the data set are larger than half of the memory that the job may use"},
    {"always", SR_PREFETCH_ALWAYS, NULL},
    {"never", SR_PREFETCH_NEVER, NULL},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_TEXT("data", "path", sr_data_settings, path, NULL, "directory of the data set that srprep wrote",
            .free_to_change = true),
    SR_TEXT(
        "data", "item_vectors", sr_data_settings, item_vectors, "none",
        "file of vectors of items, by identifier, for model.item_vectors: lines of an identifier, a tab and numbers; read at "
        "the start of a training alone; none: no file",
        .free_to_change = true),
    SR_CHOICE("data", "samples", sr_data_settings, samples, samples_choices, "sliding",
              "which training examples a sequence gives (objective last)"),
    SR_CHOICE("data", "prefetch", sr_data_settings, prefetch, prefetch_choices, "auto",
              "whether ranks ask the operating system for the sequences of the next batch before they need them",
              .free_to_change = true),
    SR_BOOLEAN("data", "verify", sr_data_settings, verify, "true", "check the checksums of the data set before training",
               .free_to_change = true),
};

bool sr_data_names_vectors(const sr_data_settings *settings)
{
    return strcmp(settings->item_vectors, "none") != 0;
}

void sr_data_add_section(sr_schema *schema)
{
    sr_schema_add_section(schema, &(sr_section){.path = "data", .help = "what is trained on", .in_use = SR_ALWAYS_IN_USE});
}

void sr_data_add_keys(sr_schema *schema, size_t at)
{
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(keys), .keys_at = at});
}

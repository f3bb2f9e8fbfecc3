/* The keys of section evaluation. */
#include "srtrain/evaluation_settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool sr_candidates_parse(const char *text, sr_candidates *candidates)
{
    static const char *const kinds[] = {[SR_CANDIDATES_UNIFORM] = "uniform:", [SR_CANDIDATES_POPULARITY] = "popularity:"};
    *candidates = (sr_candidates){.kind = SR_CANDIDATES_NONE};
    if (!*text || strcmp(text, "none") == 0)
        return true;
    for (int kind = SR_CANDIDATES_UNIFORM; kind <= SR_CANDIDATES_POPULARITY; ++kind) {
        const char *number = text + strlen(kinds[kind]);
        if (strncmp(text, kinds[kind], strlen(kinds[kind])) != 0 || !isdigit((unsigned char)*number))
            continue;
        char *end;
        const unsigned long count = strtoul(number, &end, 10);
        *candidates = (sr_candidates){.kind = (sr_candidate_kind)kind, .count = count};
        return !*end && count >= 1 && count <= SR_CANDIDATES_MAXIMUM;
    }
    return false;
}

static bool names_no_candidates(const void *part)
{
    sr_candidates candidates;
    return !sr_candidates_parse(((const sr_evaluation_settings *)part)->candidates, &candidates);
}

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
    SR_TEXT(
        "evaluation", "candidates", sr_evaluation_settings, candidates, "none",
        "metrics of sampled candidates beside those of the full catalogue, under names of their own: uniform:100 also ranks "
        "each target among 100 items that are neither the target nor in the history, popularity:100 draws them by their "
        "popularity in the training part"),
    SR_BOOLEAN("evaluation", "list_metrics", sr_evaluation_settings, list_metrics, "false",
               "coverage, novelty, share of popular items and Gini coefficient of the lists of K best items; takes 8 bytes "
               "of memory for each item and cut-off in every rank"),
    SR_INTEGER("evaluation", "recent_days", sr_evaluation_settings, recent_days, 0, 36500, "7",
               "reports of test metrics also have the popularity of the last so many days of the training part; 0: not"),
    SR_INTEGER("evaluation", "day", sr_evaluation_settings, day, 0, 9e14, "0",
               "units of the data's time stamps in a day, as 86400 where they are seconds; 0: as their size tells (seconds, "
               "milliseconds, microseconds or nanoseconds since 1970, otherwise seconds)"),
};

static const sr_rule rules[] = {
    SR_RULE("evaluation.candidates", "evaluation.candidates", names_no_candidates,
            "it must be none, uniform:N or popularity:N with N from 1 to 10000"),
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
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(keys), .keys_at = at, SR_RULES(rules), .rules_at = at});
}

/* Checks across keys; each names both keys, their values and where they were given. */
#include "config/combinations.h"

#include "config/schema.h"

#include <stdio.h>
#include <string.h>

enum { FINDING_SIZE = 256 };

typedef struct {
    const sr_settings *settings;
    const place *places;
    sr_error *error;
} checker;

static const place *place_of(const checker *c, const schema_row *row)
{
    return &c->places[row - schema_rows];
}

static bool is_default(const place *at)
{
    return at->line < 0 && !at->assignment;
}

/* "model.heads is 3 (line 4)". */
static void describe(const checker *c, const schema_row *row, char *text, size_t size)
{
    char value[SCHEMA_VALUE_SIZE], origin[32] = "default";
    const place *at = place_of(c, row);
    schema_format(row, c->settings, value, sizeof value);
    if (at->assignment)
        snprintf(origin, sizeof origin, "--set");
    else if (at->line >= 0)
        snprintf(origin, sizeof origin, "line %d", at->line + 1);
    snprintf(text, size, "%s.%s is %.100s (%s)", row->section, row->key, value, origin);
}

/* Points at whichever key was given last: an assignment, else the first key, else the second. */
static sr_status fail_together(const checker *c, const schema_row *first, const schema_row *second, const char *reason)
{
    char first_text[FINDING_SIZE], second_text[FINDING_SIZE];
    const place *at = place_of(c, first), *other = place_of(c, second);
    if (is_default(at) || (other->assignment && !at->assignment))
        at = other;
    describe(c, first, first_text, sizeof first_text);
    describe(c, second, second_text, sizeof second_text);
    return place_fail(at, c->error, "%s and %s: %s", first_text, second_text, reason);
}

static sr_status check_heads(const checker *c)
{
    if (c->settings->model.hidden_size % c->settings->model.heads == 0)
        return SR_OK;
    return fail_together(c, schema_find("model", "heads"), schema_find("model", "hidden_size"),
                         "the heads share the width equally, so their number must divide it");
}

static sr_status check_samples(const checker *c)
{
    const sr_settings *s = c->settings;
    if (s->data.samples != SR_SAMPLES_WINDOW)
        return SR_OK;
    if (s->training.objective == SR_OBJECTIVE_ALL)
        return fail_together(
            c, schema_find("training", "objective"), schema_find("data", "samples"),
            "window makes one example of each prefix of the last max_length items, the empty one included, while "
            "all takes every prefix in one pass over the sequence; use samples sliding or objective last");
    if (s->model.max_length < 2)
        return fail_together(
            c, schema_find("model", "max_length"), schema_find("data", "samples"),
            "a window of one item has the empty prefix as its only example, from which no order can be learned; "
            "use a max_length of at least 2 or samples sliding");
    return SR_OK;
}

static sr_status check_decay(const checker *c)
{
    const sr_training_settings *training = &c->settings->training;
    if (training->weight_decay_kind != SR_WEIGHT_DECAY_DECOUPLED || training->learning_rate * training->weight_decay < 1)
        return SR_OK;
    return fail_together(
        c, schema_find("training", "weight_decay"), schema_find("training", "learning_rate"),
        "their product is the share of every weight that decoupled decay takes away in a step, and must be below 1");
}

static bool names_a_metric(const sr_settings *settings)
{
    static const char *const kinds[] = {"hr", "ndcg", "mrr"};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; ++kind)
        for (size_t k = 0; k < settings->evaluation.top_k_count; ++k) {
            char name[SR_NAME_SIZE];
            snprintf(name, sizeof name, "%s@%lld", kinds[kind], (long long)settings->evaluation.top_k[k]);
            if (strcmp(name, settings->training.early_stopping.metric) == 0)
                return true;
        }
    return false;
}

static sr_status check_metric(const checker *c)
{
    if (names_a_metric(c->settings))
        return SR_OK;
    return fail_together(c, schema_find("training.early_stopping", "metric"), schema_find("evaluation", "top_k"),
                         "the metric must be hr@K, ndcg@K or mrr@K with K one of top_k");
}

sr_status check_combinations(const sr_settings *settings, const place *places, sr_error *error)
{
    const checker c = {settings, places, error};
    SR_TRY(check_heads(&c));
    SR_TRY(check_samples(&c));
    SR_TRY(check_decay(&c));
    return check_metric(&c);
}

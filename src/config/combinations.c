/* Checks across keys; each names both keys, their values and where they were given. */
#include "config/combinations.h"

#include "config/schema.h"

#include <stdio.h>
#include <string.h>

enum { FINDING_SIZE = 256, ORIGIN_SIZE = 32 };

typedef struct {
    const sr_settings *settings;
    const place *places, *sections;
    sr_error *error;
} checker;

/* One of two that do not go together. */
typedef struct {
    const place *at;
    char text[FINDING_SIZE];
} finding;

static const place *place_of(const checker *c, const schema_row *row)
{
    return &c->places[row - schema_rows];
}

/* "line 4", "--set" or "default". */
static void describe_origin(const place *at, char *text, size_t size)
{
    if (at->assignment)
        snprintf(text, size, "--set");
    else if (at->line >= 0)
        snprintf(text, size, "line %d", at->line + 1);
    else
        snprintf(text, size, "default");
}

/* "model.heads is 3 (line 4)". */
static finding find_key(const checker *c, const schema_row *row)
{
    char value[SCHEMA_VALUE_SIZE], origin[ORIGIN_SIZE];
    finding found = {.at = place_of(c, row)};
    schema_format(row, c->settings, value, sizeof value);
    describe_origin(found.at, origin, sizeof origin);
    snprintf(found.text, sizeof found.text, "%s.%s is %.100s (%s)", row->section, row->key, value, origin);
    return found;
}

/* "calibrators.spatial is in use (line 4)". */
static finding find_section(const checker *c, const char *path)
{
    char origin[ORIGIN_SIZE];
    finding found = {.at = &c->sections[schema_find_section(path) - schema_sections]};
    describe_origin(found.at, origin, sizeof origin);
    snprintf(found.text, sizeof found.text, "%s is in use (%s)", path, origin);
    return found;
}

/* Points at whichever was given last: an assignment, else the first, else the second. */
static sr_status fail_findings(const checker *c, const finding *first, const finding *second, const char *reason)
{
    const place *at = first->at;
    if (!place_is_given(at) || (second->at->assignment && !at->assignment))
        at = second->at;
    return place_fail(at, c->error, "%s and %s: %s", first->text, second->text, reason);
}

static sr_status fail_together(const checker *c, const schema_row *first, const schema_row *second, const char *reason)
{
    const finding first_finding = find_key(c, first), second_finding = find_key(c, second);
    return fail_findings(c, &first_finding, &second_finding, reason);
}

static sr_status fail_section(const checker *c, const char *path, const schema_row *key, const char *reason)
{
    const finding section = find_section(c, path), found = find_key(c, key);
    return fail_findings(c, &section, &found, reason);
}

/* ---- keys that have no meaning here ---- */

static sr_status fail_without_owner(const checker *c, const schema_row *row)
{
    char origin[ORIGIN_SIZE], owners[FINDING_SIZE];
    const place *at = place_of(c, row);
    describe_origin(at, origin, sizeof origin);
    schema_backbones(row->backbones, owners, sizeof owners);
    if (!schema_fits_backbone(row, c->settings))
        return place_fail(at, c->error, "%s.%s is given (%s), but model.backbone %s has no use for it; it belongs to %s",
                          row->section, row->key, origin,
                          sr_settings_choice("model.backbone", (int)c->settings->model.backbone), owners);
    return place_fail(at, c->error, "%s.%s is given (%s), but %s, to which it belongs, is not in use", row->section, row->key,
                      origin, row->companion);
}

static sr_status check_owners(const checker *c)
{
    for (size_t i = 0; i < schema_row_count; ++i)
        if (place_is_given(&c->places[i]) && !schema_applies(&schema_rows[i], c->settings))
            return fail_without_owner(c, &schema_rows[i]);
    return SR_OK;
}

/* Calibrators on a backbone without attention. */
static sr_status check_sections(const checker *c)
{
    for (size_t i = 0; i < schema_section_count; ++i) {
        const schema_section *at = &schema_sections[i];
        if (!schema_section_in_use(at, c->settings) || schema_section_fits_backbone(at, c->settings))
            continue;
        char owners[FINDING_SIZE], reason[2 * FINDING_SIZE];
        schema_backbones(at->backbones, owners, sizeof owners);
        snprintf(reason, sizeof reason,
                 "calibrators are stages of attention, which this backbone %s; use one of %s, or no calibrator",
                 c->settings->model.backbone == SR_BACKBONE_FEAREC ? "has only beside auto-correlation" : "does not have",
                 owners);
        return fail_section(c, at->path, schema_find("model", "backbone"), reason);
    }
    return SR_OK;
}

/* ---- values that do not go together ---- */

static sr_status check_heads(const checker *c)
{
    const schema_row *heads = schema_find("model", "heads");
    if (!schema_fits_backbone(heads, c->settings) || c->settings->model.hidden_size % c->settings->model.heads == 0)
        return SR_OK;
    return fail_together(c, heads, schema_find("model", "hidden_size"),
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

/* Mask generators have a learning rate of their own. */
static sr_status check_attack_decay(const checker *c)
{
    const sr_training_settings *training = &c->settings->training;
    const double rate = training->learning_rate * training->attack_learning_rate_ratio;
    if (!c->settings->model.calibrators.adversarial.in_use || training->weight_decay_kind != SR_WEIGHT_DECAY_DECOUPLED ||
        rate * training->weight_decay < 1)
        return SR_OK;
    return fail_together(c, schema_find("training", "weight_decay"), schema_find("training", "attack_learning_rate_ratio"),
                         "their product with training.learning_rate is the share of every weight of the mask generators that "
                         "decoupled decay takes away in a step, and must be below 1");
}

/* Reports of several threads would have to meet before a bucket could go. */
static sr_status check_threads(const checker *c)
{
    const sr_training_settings *training = &c->settings->training;
    if (training->threads <= 1 || training->reduction != SR_REDUCTION_OVERLAPPED)
        return SR_OK;
    return fail_together(
        c, schema_find("training", "threads"), schema_find("training", "reduction"),
        "gradients of threads are added up after backward; use reduction shared or blocking, or one thread and more ranks");
}

static sr_status check_reduction_precision(const checker *c)
{
    const sr_training_settings *training = &c->settings->training;
    if (training->reduction_precision == SR_PRECISION_FP32 || training->reduction != SR_REDUCTION_OVERLAPPED)
        return SR_OK;
    return fail_together(c, schema_find("training", "reduction_precision"), schema_find("training", "reduction"),
                         "rounded sums take two exchanges one after the other, which cannot go on by themselves; use reduction "
                         "shared or blocking, or fp32");
}

static sr_status check_masked_training(const checker *c)
{
    const sr_settings *s = c->settings;
    if (s->model.backbone != SR_BACKBONE_BERT4REC)
        return SR_OK;
    if (s->training.loss != SR_LOSS_CROSS_ENTROPY)
        return fail_together(c, schema_find("training", "loss"), schema_find("model", "backbone"),
                             "masked items are compared with the whole catalogue, so that the loss must be cross_entropy");
    if (s->model.masking == SR_MASKING_RELEASED && s->model.max_length < 2)
        return fail_together(c, schema_find("model", "max_length"), schema_find("model", "masking"),
                             "released never scores position 0, so that nothing would be learned; use a max_length of at least "
                             "2 or masking at_least_one");
    return SR_OK;
}

static sr_status check_user_width(const checker *c)
{
    const sr_model_settings *model = &c->settings->model;
    if (model->backbone != SR_BACKBONE_SSEPT || model->user_hidden_size < model->hidden_size)
        return SR_OK;
    return fail_together(c, schema_find("model", "user_hidden_size"), schema_find("model", "hidden_size"),
                         "the user's part of the width must leave some for the items, so it must be smaller");
}

static sr_status check_positions(const checker *c)
{
    const sr_model_settings *model = &c->settings->model;
    if (model->backbone != SR_BACKBONE_TISASREC || model->positions == SR_POSITIONS_NONE)
        return SR_OK;
    return fail_together(c, schema_find("model", "positions"), schema_find("model", "backbone"),
                         "TiSASRec always has relative positions of its own and no others; use none, or leave the key out");
}

/* The states of stosa are Gaussians, which its loss compares by distances. */
static sr_status check_gaussian_loss(const checker *c)
{
    const bool gaussian = c->settings->model.backbone == SR_BACKBONE_STOSA;
    if (gaussian == (c->settings->training.loss == SR_LOSS_STOSA))
        return SR_OK;
    return fail_together(c, schema_find("training", "loss"), schema_find("model", "backbone"),
                         gaussian ? "the distances of stosa's Gaussians have a loss of their own; use loss stosa (with a "
                                    "training.pvn_weight of 0 it is bpr of distances)"
                                  : "the loss stosa compares Gaussians, which no other backbone has; use backbone stosa or "
                                    "another loss");
}

static sr_status check_gaussian_attention(const checker *c)
{
    static const char dot_products[] =
        "this calibrator is made for attention by dot products of queries and keys, while stosa's is by distances; use another "
        "backbone, or no calibrator but refinement";
    static const struct {
        const char *section, *reason;
    } refused[] = {
        {"calibrators.spatial", dot_products},
        {"calibrators.adversarial", dot_products},
        {"calibrators.frequency",
         "this calibrator filters states that are vectors, while stosa's are Gaussians; use another backbone, or no calibrator "
         "but refinement"},
    };
    const sr_settings *s = c->settings;
    if (s->model.backbone != SR_BACKBONE_STOSA)
        return SR_OK;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; ++i) {
        if (!schema_section_in_use(schema_find_section(refused[i].section), s))
            continue;
        return fail_section(c, refused[i].section, schema_find("model", "backbone"), refused[i].reason);
    }
    return SR_OK;
}

static sr_status check_refinement(const checker *c)
{
    const sr_refinement_settings *refinement = &c->settings->model.calibrators.refinement;
    const schema_row *kind = schema_find("calibrators.refinement", "kind");
    if (!refinement->in_use)
        return SR_OK;
    if (refinement->kind == SR_REFINEMENT_STOCHASTIC && c->settings->model.backbone != SR_BACKBONE_STOSA)
        return fail_together(c, kind, schema_find("model", "backbone"),
                             "stochastic refinement is for stosa alone, whose attention is stochastic itself; use backbone "
                             "stosa or kind simple, value or additive");
    if (refinement->value == SR_VALUE_LEARNED && refinement->kind != SR_REFINEMENT_VALUE)
        return fail_together(c, schema_find("calibrators.refinement", "value"), kind,
                             "no other kind than value has a value to learn; use kind value or value identity");
    return SR_OK;
}

/* softmax(base + C / 2) over all columns leaves weight on those that are masked unless something takes it away. */
static sr_status check_leak(const checker *c)
{
    const sr_settings *s = c->settings;
    const sr_adversarial_settings *adversarial = &s->model.calibrators.adversarial;
    const bool leaks = adversarial->in_use && adversarial->combine == SR_COMBINE_FIXED &&
                       adversarial->renormalize == SR_RENORMALIZE_NONE && adversarial->masked_cells == SR_MASKED_CELLS_INCLUDED;
    if (!leaks || s->training.objective != SR_OBJECTIVE_ALL || s->model.backbone == SR_BACKBONE_BERT4REC)
        return SR_OK;
    return fail_together(c, schema_find("calibrators.adversarial", "masked_cells"), schema_find("training", "objective"),
                         "with combine fixed and renormalize none the calibrated weights of later items are not 0, so that a "
                         "position would see the item that it has to predict; use masked_cells excluded, another renormalize, "
                         "or objective last");
}

/* A filter along the sequence mixes every position with those behind it, of which the next one is what the objective all asks
 * for. A masked model sees both sides anyway. */
static sr_status check_filter(const checker *c)
{
    const sr_settings *s = c->settings;
    static const char reason[] =
        "a filter over the whole sequence adds later items to earlier positions, so that each position would be shown the item "
        "that it has to predict; use objective last, which reads the last position alone";
    if (s->training.objective != SR_OBJECTIVE_ALL || s->model.backbone == SR_BACKBONE_BERT4REC)
        return SR_OK;
    if (s->model.backbone == SR_BACKBONE_FMLPREC || s->model.backbone == SR_BACKBONE_FEAREC)
        return fail_together(c, schema_find("training", "objective"), schema_find("model", "backbone"), reason);
    if (!s->model.calibrators.frequency.in_use)
        return SR_OK;
    return fail_section(c, "calibrators.frequency", schema_find("training", "objective"), reason);
}

/* InfoNCE compares states by dot products, one an example. */
static sr_status check_contrastive(const checker *c)
{
    const sr_settings *s = c->settings;
    if (!s->training.contrastive.in_use)
        return SR_OK;
    static const char section[] = "training.contrastive";
    const schema_row *backbone = schema_find("model", "backbone");
    if (s->model.backbone == SR_BACKBONE_BERT4REC)
        return fail_section(c, section, backbone,
                            "bert4rec is trained on masked items and has no state of a whole history that could be compared; "
                            "use another backbone");
    if (s->model.backbone == SR_BACKBONE_STOSA)
        return fail_section(c, section, backbone,
                            "the states of stosa are Gaussians, which dot products do not compare; use another backbone");
    if (s->training.objective == SR_OBJECTIVE_ALL)
        return fail_section(c, section, schema_find("training", "objective"),
                            "examples are compared that have the same target, while with all an example has many; use "
                            "objective last");
    if (s->model.calibrators.adversarial.in_use) {
        const finding contrastive = find_section(c, section), adversarial = find_section(c, "calibrators.adversarial");
        return fail_findings(c, &contrastive, &adversarial,
                             "it is not said which of its losses the mask generators should follow; use one of the two");
    }
    return SR_OK;
}

static sr_status check_single_state(const checker *c)
{
    const sr_settings *s = c->settings;
    if (s->model.backbone != SR_BACKBONE_CASER || s->training.objective != SR_OBJECTIVE_ALL)
        return SR_OK;
    return fail_together(c, schema_find("training", "objective"), schema_find("model", "backbone"),
                         "caser makes one state of a whole window and none of its positions, so that a position has nothing "
                         "to predict with; use objective last");
}

/* Every layer of fearec needs a band of frequencies, and lags to choose from. */
static sr_status check_fearec(const checker *c)
{
    const sr_model_settings *model = &c->settings->model;
    if (model->backbone != SR_BACKBONE_FEAREC)
        return SR_OK;
    const schema_row *length = schema_find("model", "max_length"), *factor = schema_find("model", "topk_factor");
    const size_t lags = sr_fearec_lags(model);
    char reason[FINDING_SIZE];
    if (lags < 1 || lags > (size_t)model->max_length) {
        snprintf(
            reason, sizeof reason,
            "int(topk_factor ln(max_length)) is %zu, but a window of %lld has from 1 to %lld lags; use another topk_factor",
            lags, (long long)model->max_length, (long long)model->max_length);
        return fail_together(c, factor, length, reason);
    }
    for (size_t layer = 0; layer < (size_t)model->layers; ++layer) {
        size_t first, last;
        sr_fearec_band(model, layer, &first, &last);
        if (first < last)
            continue;
        snprintf(reason, sizeof reason,
                 "layer %zu would see none of the %lld frequencies; use fewer layers, or a larger global_ratio", layer,
                 (long long)model->max_length / 2 + 1);
        return fail_together(c, schema_find("model", "layers"), length, reason);
    }
    return SR_OK;
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

sr_status check_combinations(const sr_settings *settings, const place *places, const place *sections, sr_error *error)
{
    const checker c = {settings, places, sections, error};
    SR_TRY(check_sections(&c));
    SR_TRY(check_owners(&c));
    SR_TRY(check_heads(&c));
    SR_TRY(check_samples(&c));
    SR_TRY(check_decay(&c));
    SR_TRY(check_attack_decay(&c));
    SR_TRY(check_threads(&c));
    SR_TRY(check_reduction_precision(&c));
    SR_TRY(check_masked_training(&c));
    SR_TRY(check_user_width(&c));
    SR_TRY(check_positions(&c));
    SR_TRY(check_leak(&c));
    SR_TRY(check_gaussian_loss(&c));
    SR_TRY(check_gaussian_attention(&c));
    SR_TRY(check_refinement(&c));
    SR_TRY(check_filter(&c));
    SR_TRY(check_contrastive(&c));
    SR_TRY(check_single_state(&c));
    SR_TRY(check_fearec(&c));
    return check_metric(&c);
}

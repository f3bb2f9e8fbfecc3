/* BERT4Rec (Sun et al. 2019): a bidirectional transformer that learns to name masked items from both sides; to predict, a mask
 * token is put behind the history. The layers are SASRec's without the causal mask.
 *
 * The mask token is one more row of the item table (id items + 1), read like an item and never a class of the softmax;
 * positions have one row more than the window, for the mask token behind a full one. */
#include "model/backbone.h"
#include "model/loss.h"

extern const backbone bert4rec_backbone;

typedef enum { MASKING_AT_LEAST_ONE, MASKING_RELEASED } masking_kind;

typedef struct {
    double mask_ratio; /* probability that an item of a training sequence is masked */
    masking_kind masking;
} bert4rec_settings;

static const sr_choice masking_choices[] = {
    {"at_least_one", MASKING_AT_LEAST_ONE, "where no item of an example was masked, one is"},
    {"released", MASKING_RELEASED, "such an example has no target, and the first item of a window is never scored"},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_NUMBER(
        "model", "mask_ratio", bert4rec_settings, mask_ratio, 0, 1, "0.2",
        "probability that an item of a training example is masked; of the masked ones the last int(mask_ratio max_length) "
        "are scored, at least one",
        .above = true, .below = true),
    SR_CHOICE("model", "masking", bert4rec_settings, masking, masking_choices, "at_least_one",
              "what becomes of examples without a masked item"),
};

static const bert4rec_settings *settings_of(const sr_model_settings *settings)
{
    return component_settings(settings, &bert4rec_backbone.component);
}

static void masking(const sr_model_settings *settings, double *ratio, bool *at_least_one)
{
    *ratio = settings_of(settings)->mask_ratio;
    *at_least_one = settings_of(settings)->masking == MASKING_AT_LEAST_ONE;
}

/* ---- rules ---- */

static bool samples(const void *part)
{
    return loss_of(part)->samples;
}

static bool scores_nothing(const void *part)
{
    const sr_model_settings *settings = part;
    return settings_of(settings)->masking == MASKING_RELEASED && settings->max_length < 2;
}

static const sr_rule rules[] = {
    SR_RULE(
        "training.loss", "model.backbone", samples,
        "the masked items of bert4rec are compared with the whole catalogue, which this loss does not do; use cross_entropy"),
    SR_RULE("model.max_length", "model.masking", scores_nothing,
            "released never scores position 0, so that nothing would be learned; use a max_length of at least 2 or masking "
            "at_least_one"),
};

/* ---- the model ---- */

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    SR_TRY(declare_adapted_items(model, 1, (size_t)model->settings.hidden_size, error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length + 1, error));
    return declare_layers(model, error);
}

const backbone bert4rec_backbone = {
    .component = {.name = "bert4rec",
                  .help = "bidirectional transformer trained on masked items (Sun et al. 2019)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(bert4rec_settings),
                  SR_RULES(rules)},
    .capabilities = IS_ENCODER,
    .masked = true,
    .masking = masking,
    .declare_parameters = declare_parameters,
    .encode = encode_items,
};

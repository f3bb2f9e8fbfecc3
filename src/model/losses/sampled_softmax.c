/* Softmax over the target and the sampled items (Jean et al. 2015), corrected for how often items are drawn. With q the share
 * of draws that an item has:
 *
 *   r_target = s_target - [all] ln q_target
 *   r_k      = s_k - [all, negatives, refined] ln q_k + [refined] (ln(1 - Q) - ln n)
 *   loss     = -ln( exp(r_target) / (exp(r_target) + sum_k exp(r_k)) ),   0 where no entry is left
 *
 * Sums go over the n entries that exist for the target. Q is the sum of q over all items that do not.
 *
 *   all        both sides (Bengio and Senecal 2008; Yi et al. 2019)
 *   negatives  the negatives alone
 *   refined    the target is always in the denominator, so that only the rest of it is estimated from draws (Khrylchenko et al.
 *              2025). Their loss has another value and the same gradient: sg(1 - P) times a pairwise loss. */
#include "model/backbone.h"
#include "model/loss.h"

#include <math.h>

extern const loss sampled_softmax_loss;

typedef enum { LOG_Q_NONE, LOG_Q_ALL, LOG_Q_NEGATIVES, LOG_Q_REFINED } log_q_kind;

typedef struct {
    int log_q;
} sampled_softmax_settings;

static const sr_choice log_q_choices[] = {
    {"none", LOG_Q_NONE, "no correction"},
    {"all", LOG_Q_ALL, "ln q is taken off all scores; with uniform draws this changes nothing"},
    {"negatives", LOG_Q_NEGATIVES, "ln q is taken off the scores of negatives"},
    {"refined", LOG_Q_REFINED, "negatives stand for all items but the target, which is not drawn"},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_CHOICE("training", "log_q", sampled_softmax_settings, log_q, log_q_choices, "refined",
              "correction of loss sampled_softmax for the share q of draws that an item has"),
};

static log_q_kind log_q_of(const sr_model_settings *settings)
{
    const sampled_softmax_settings *own = component_settings(settings, &sampled_softmax_loss.component);
    return (log_q_kind)own->log_q;
}

static bool corrects(const sr_model_settings *settings)
{
    return log_q_of(settings) != LOG_Q_NONE;
}

/* ln(1 - Q) - ln n of each target; NULL after a failure of the tape. */
static const double *shares_of_the_rest(sr_tape *tape, const sr_batch *batch)
{
    const sr_negatives *negatives = batch->negatives;
    double *shifts = sr_tape_take(tape, batch->targets, sizeof *shifts);
    for (size_t i = 0; shifts && i < batch->targets; ++i) {
        const size_t hits = negatives->hit_offsets ? negatives->hit_offsets[i + 1] - negatives->hit_offsets[i] : 0;
        shifts[i] = log1p(-fmin(negatives->excluded_share[i], 1)) - log((double)(negatives->length - hits));
    }
    return shifts;
}

/* Whether the batch says how often items are drawn; else the tape fails. */
static bool has_shares(sr_tape *tape, const sr_negatives *negatives)
{
    sr_error failure;
    if (negatives->log_q && negatives->target_log_q && negatives->excluded_share)
        return true;
    sr_fail(&failure, SR_ERROR_RUNTIME, "a batch for training.log_q does not say how often its negatives are drawn");
    sr_tape_fail(tape, &failure);
    return false;
}

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    sr_tensor *states = target_states(tape, batch, representation);
    const log_q_kind kind = log_q_of(&model->settings);
    const sr_comparison with = compare_with_lists(model, tape, batch);
    sr_score_corrections corrections = {.entries = NULL};
    if (kind != LOG_Q_NONE && batch->negatives) {
        if (!has_shares(tape, batch->negatives))
            return NULL;
        corrections.entries = batch->negatives->log_q;
        corrections.targets = kind == LOG_Q_ALL ? batch->negatives->target_log_q : NULL;
        corrections.sums = kind == LOG_Q_REFINED ? shares_of_the_rest(tape, batch) : NULL;
    }
    return sr_sampled_softmax(tape, scored_states(model, tape, states), &with, &corrections, weight);
}

const loss sampled_softmax_loss = {
    .component = {.name = "sampled_softmax",
                  .help = "softmax over the target and sampled negatives",
                  SR_KEYS(keys),
                  .settings_size = sizeof(sampled_softmax_settings)},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .lists = true,
    .standard_negatives = 256,
    .corrects = corrects,
    .compute = compute,
    .catalogue_memory = list_factors_memory,
};

#include "srtrain/objective.h"

#include "model/backbone.h"
#include "model/calibrator.h"
#include "model/contrast.h"
#include "model/loss.h"
#include "model/ranks.h"
#include "srtrain/clock.h"

#include <assert.h>
#include <string.h>

/* ---- terms ---- */

static sr_term *add_term(sr_terms *terms, const sr_term_name *name, double weight, sr_parameter_set followers,
                         sr_term_scale scale)
{
    assert(terms->count < SR_TERMS_MAXIMUM);
    sr_term *term = &terms->list[terms->count++];
    *term = (sr_term){.name = name->name, .words = name->words, .weight = weight, .followers = followers, .scale = scale};
    return term;
}

void sr_objective_terms(const sr_model_settings *settings, sr_terms *terms)
{
    const backbone *row = backbone_of(settings);
    const calibrator *attacker = calibrators_attacker(settings);
    const sr_parameter_set followers = attacker ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    const double state_weight = sr_model_state_weight(settings);
    *terms = (sr_terms){.count = 0};
    add_term(terms, &loss_of(settings)->term, 1, followers, SR_SCALE_TARGETS);
    if (attacker) {
        add_term(terms, &attacker->attacked_term, -1, SR_PARAMETERS_ATTACK, SR_SCALE_TARGETS);
        add_term(terms, &attacker->penalty_term, attacker->penalty_weight(settings), SR_PARAMETERS_ATTACK, SR_SCALE_WHOLE);
    }
    if (settings->contrastive.in_use)
        add_term(terms, &contrastive_term, settings->contrastive.weight, followers, SR_SCALE_PART);
    if (state_weight > 0)
        add_term(terms, &row->state_term, state_weight, followers, SR_SCALE_PART);
    if (row->penalty)
        add_term(terms, &row->penalty_term, row->penalty_weight(settings), followers, SR_SCALE_PART)->within = true;
}

double sr_term_mean(const sr_term *term, double targets)
{
    return term->scale == SR_SCALE_TARGETS && targets > 0 ? term->value / targets : term->value;
}

double sr_terms_total(const sr_terms *terms, sr_parameter_set set, double targets)
{
    double total = 0;
    for (size_t i = 0; i < terms->count; ++i)
        if ((terms->list[i].followers & set) && !terms->list[i].within)
            total += terms->list[i].weight * sr_term_mean(&terms->list[i], targets);
    return total;
}

static void set_term(sr_terms *terms, const sr_term_name *name, double value)
{
    for (size_t i = 0; i < terms->count; ++i)
        if (strcmp(terms->list[i].name, name->name) == 0)
            terms->list[i].value = value;
}

/* ---- running a batch ---- */

typedef struct {
    const sr_objective_request *request;
    sr_outcome *outcome;
    sr_encoding encoding;
    contrast contrast;
    double squares[SR_LAYERS_MAXIMUM]; /* of the attack masks of the global batch */
    /* [1, 1]: the ranking losses of both branches, what parameters add to the first, and what each set of parameters follows.
     * NULL where there is no attacked branch, or nothing is added. */
    sr_tensor *ranking, *attacked_ranking, *penalty, *loss, *attacked;
    double mark, waited; /* when the last stage ended, and the ranks' seconds then */
} computation;

/* Seconds since the end of the last stage, without those of other ranks. */
static double lap(computation *c)
{
    const sr_ranks *ranks = c->request->pass.ranks;
    const double before = c->waited;
    c->waited = ranks ? ranks->seconds : 0;
    return sr_lap(&c->mark) - (c->waited - before);
}

static sr_status run_passes(computation *c, const sr_batch *batch, sr_error *error)
{
    const sr_objective_request *o = c->request;
    sr_model_encode(o->model, o->tape, batch, &o->pass, &c->encoding);
    if (o->model->settings.contrastive.in_use)
        contrast_encode(&c->contrast, batch, o->pass);
    c->outcome->forward += lap(c);
    return sr_tape_status(o->tape, error);
}

/* A rank without a batch runs the passes over an empty one where they sum over ranks, so that nobody waits for it in vain. It
 * has failed already. */
static void run_empty_passes(computation *c)
{
    static const size_t no_offsets[] = {0};
    const sr_model_settings *settings = &c->request->model->settings;
    const sr_batch empty = {.layout = {.offsets = no_offsets, .window = (size_t)settings->max_length, .causal = true},
                            .reads = {.offsets = no_offsets}};
    sr_batch with_views = empty;
    with_views.again = with_views.alike = &empty;
    if (sr_model_needs_of(settings, true).sums_in_passes)
        (void)run_passes(c, &with_views, NULL);
}

/* Whether something of the whole batch is summed between forward and backward: the mask penalty is a norm over all of it, and
 * how many targets it has may be known to nobody before all ranks have drawn their parts. */
static bool is_coupled(const sr_objective_request *request)
{
    const sr_model *model = request->model;
    return request->sums_targets || item_table_joins_ranks(&model->item_table) ||
           sr_model_needs_of(&model->settings, true).couples_batch;
}

/* Sums over ranks what couples the examples of a batch. A rank that failed takes part; then all fail. */
static sr_status couple(computation *c, sr_status status, sr_error *error)
{
    const sr_objective_request *o = c->request;
    double sums[2 + SR_LAYERS_MAXIMUM] = {status != SR_OK, status == SR_OK ? o->targets : 0};
    if (status == SR_OK)
        memcpy(sums + 2, c->encoding.mask_square_sums, sizeof c->encoding.mask_square_sums);
    if (o->pass.ranks)
        SR_TRY(ranks_sum(o->pass.ranks, sums, sizeof sums / sizeof *sums, error));
    if (sums[0] > 0)
        return o->pass.ranks ? ranks_agree(o->pass.ranks, status, error) : status;
    if (o->sums_targets)
        c->outcome->targets = sums[1];
    memcpy(c->squares, sums + 2, sizeof c->squares);
    return SR_OK;
}

/* What ranks do together between forward and backward. A failure is one of all. */
static sr_status exchange(computation *c, sr_status status, sr_error *error)
{
    const sr_objective_request *o = c->request;
    if (is_coupled(o)) {
        SR_TRY(couple(c, status, error));
        c->outcome->loss += lap(c);
    }
    if (o->model->settings.contrastive.in_use)
        SR_TRY(contrast_gather(&c->contrast, o->pass.ranks, status, error));
    return SR_OK;
}

/* The loss of a representation of the batch: the sum over its targets times `weight`, 1 over the targets of the global batch.
 * What the parameters add to it is weighted by the batch's share of these targets, so that the sum over ranks has it once;
 * *penalty receives it before all weights, or NULL. */
static sr_tensor *loss_of_representation(const sr_objective_request *o, sr_tensor *representation, double weight,
                                         sr_tensor **penalty)
{
    sr_model *model = o->model;
    const sr_batch *batch = o->batch;
    sr_tensor *of_targets = model->loss->compute(model, o->tape, batch, representation, weight);
    *penalty = NULL;
    if (!model->backbone->penalty)
        return of_targets;
    *penalty = model->backbone->penalty(model, o->tape);
    const double share = weight * (double)batch->targets;
    return sr_weighted_add(o->tape, of_targets, 1, *penalty, model->backbone->penalty_weight(&model->settings) * share);
}

/* This rank's part of each term. */
static void report_terms(computation *c)
{
    const sr_model *model = c->request->model;
    const calibrator *attacker = calibrators_attacker(&model->settings);
    const double targets = c->outcome->targets, share = targets > 0 ? (double)c->request->batch->targets / targets : 0;
    sr_terms *terms = &c->outcome->terms;
    set_term(terms, &model->loss->term, (double)c->ranking->values[0] * targets);
    if (attacker) {
        set_term(terms, &attacker->attacked_term, (double)c->attacked_ranking->values[0] * targets);
        set_term(terms, &attacker->penalty_term, attacker->penalty(c->squares, c->encoding.mask_count));
    }
    if (c->contrast.loss)
        set_term(terms, &contrastive_term, (double)c->contrast.loss->values[0]);
    if (c->contrast.distance)
        set_term(terms, &model->backbone->state_term, (double)c->contrast.distance->values[0]);
    if (c->penalty)
        set_term(terms, &model->backbone->penalty_term, (double)c->penalty->values[0] * share);
}

/* This rank's part of the losses. */
static sr_status compute_losses(computation *c, sr_error *error)
{
    const sr_objective_request *o = c->request;
    const calibrator *attacker = calibrators_attacker(&o->model->settings);
    const double weight = c->outcome->targets > 0 ? 1 / c->outcome->targets : 0;
    sr_tensor *penalty; /* of the attacked branch, which nothing reports */
    c->ranking = c->loss = loss_of_representation(o, c->encoding.representation, weight, &c->penalty);
    if (o->model->settings.contrastive.in_use)
        c->loss = contrast_add_losses(&c->contrast, o->batch, c->ranking);
    if (attacker) {
        c->attacked_ranking = loss_of_representation(o, c->encoding.attacked, weight, &penalty);
        c->attacked = attacker->attacked_loss(o->model, o->tape, &c->encoding, c->attacked_ranking, c->squares);
    }
    SR_TRY(sr_tape_status(o->tape, error));
    report_terms(c);
    c->outcome->loss += lap(c);
    return SR_OK;
}

static sr_status compute_gradients(computation *c, sr_error *error)
{
    const sr_objective_request *o = c->request;
    const sr_parameter_set followers = c->attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    if (!sr_tape_is_recording(o->tape))
        return SR_OK;
    SR_TRY(sr_tape_backward(o->tape, c->loss, followers, error));
    if (c->attacked)
        SR_TRY(sr_tape_backward(o->tape, c->attacked, SR_PARAMETERS_ATTACK, error));
    c->outcome->backward += lap(c);
    return SR_OK;
}

/* Rows of the item table that the batch reads are brought here, and their gradients back, where other ranks have them. Both
 * fail on all ranks together. */
static sr_status fetch_items(computation *c, sr_status status, sr_error *error)
{
    const sr_objective_request *o = c->request;
    if (!o->model->item_table.kind->fetch)
        return status;
    status = sr_model_fetch_items(o->model, o->tape, o->batch, &o->pass, status, error);
    c->outcome->together = status != SR_OK;
    c->outcome->forward += lap(c);
    return status;
}

static sr_status hand_back_items(computation *c, sr_status status, sr_error *error)
{
    const sr_objective_request *o = c->request;
    if (c->outcome->together || !o->model->item_table.kind->hand_back)
        return status;
    status = sr_model_hand_back_items(o->model, status, error);
    c->outcome->together = status != SR_OK;
    c->outcome->backward += lap(c);
    return status;
}

/* Passes, and what ranks do together behind them. */
static sr_status run_forward(computation *c, sr_status status, sr_error *error)
{
    if (status == SR_OK)
        status = run_passes(c, c->request->batch, error);
    else
        run_empty_passes(c);
    const sr_status exchanged = exchange(c, status, error);
    c->outcome->together = exchanged != SR_OK;
    return exchanged != SR_OK ? exchanged : status;
}

sr_status sr_objective_run(const sr_objective_request *request, sr_status status, sr_outcome *outcome, sr_error *error)
{
    const sr_ranks *ranks = request->pass.ranks;
    computation c = {.request = request,
                     .outcome = outcome,
                     .contrast = {.model = request->model, .tape = request->tape},
                     .mark = sr_seconds(),
                     .waited = ranks ? ranks->seconds : 0};
    *outcome = (sr_outcome){.targets = request->targets};
    sr_objective_terms(&request->model->settings, &outcome->terms);
    status = fetch_items(&c, status, error);
    if (!outcome->together)
        status = run_forward(&c, status, error);
    if (status == SR_OK)
        status = compute_losses(&c, error);
    if (status == SR_OK)
        status = compute_gradients(&c, error);
    status = hand_back_items(&c, status, error);
    contrast_free(&c.contrast);
    return status;
}

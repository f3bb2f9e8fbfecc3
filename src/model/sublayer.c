#include "model/sublayer.h"

typedef struct {
    bool reads_norm, keys_have_norm; /* what is read has the norm */
    bool adds_to_norm;               /* the outcome is added to that, too */
    bool norms_sum;                  /* the norm stands behind the sum */
    bool drops_attention;            /* the outcome of attention has dropout */
} norm_placement;

static const norm_placement placements[] = {
    [SR_NORM_POST] = {.norms_sum = true, .drops_attention = true},
    [SR_NORM_PRE] = {.reads_norm = true, .keys_have_norm = true, .drops_attention = true},
    [SR_NORM_QUERY] = {.reads_norm = true, .adds_to_norm = true},
};

static const norm_placement *placement_of(const sr_model *model)
{
    return &placements[model->settings.encoder.norm];
}

sublayer_inputs sublayer_enter(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *norm)
{
    const norm_placement *placement = placement_of(model);
    sr_tensor *normed = placement->reads_norm ? model_norm(model, tape, x, norm) : x;
    return (sublayer_inputs){
        .read = normed, .keys = placement->keys_have_norm ? normed : x, .residual = placement->adds_to_norm ? normed : x};
}

sr_dropout_site sublayer_dropout(const layer_rows *rows, unsigned site, bool of_attention)
{
    const bool drops = !of_attention || placement_of(rows->model)->drops_attention;
    return dropout_site(rows->pass, rows->layer, site, drops ? rows->model->settings.hidden_dropout : 0);
}

sr_tensor *sublayer_branch(const layer_rows *rows, sr_tensor *residual, sr_tensor *outcome, const affine_parameters *norm,
                           const sr_dropout_site *dropout)
{
    if (!placement_of(rows->model)->norms_sum)
        return sr_dropout(rows->tape, outcome, rows->layout, rows->rows->tokens, dropout);
    sr_tensor *sum = sr_add_dropped(rows->tape, residual, outcome, rows->layout, rows->rows->tokens, dropout);
    return model_norm(rows->model, rows->tape, sum, norm);
}

sr_tensor *sublayer_join(const layer_rows *rows, sr_tensor *residual, sr_tensor *branch, const affine_parameters *gate)
{
    sr_model *model = rows->model;
    sr_tape *tape = rows->tape;
    if (placement_of(model)->norms_sum)
        return branch;
    if (model->settings.encoder.residual == SR_RESIDUAL_GATED) {
        sr_tensor *opened = sr_activate(tape, model_linear(model, tape, residual, gate), SR_ACTIVATION_SIGMOID);
        branch = sr_multiply(tape, opened, branch);
    }
    return sr_add(tape, residual, branch);
}

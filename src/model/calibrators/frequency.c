/* BSARec's frequency rescaler (Shin et al. 2024, "An Attentive Inductive Bias for Sequential Recommendation beyond the
 * Self-Attention"): a branch beside attention that tells low from high frequencies of its input x, against oversmoothing.
 *
 *   low    = x in the bins 0 .. cutoff / 2 of its Fourier transform along the positions
 *   branch = LN(x + dropout(low + b (x - low)))         b = sqrt_beta^2 for each channel
 *   h      = alpha branch + (1 - alpha) attention       each with a residual and a norm of its own, none after the mixture
 *
 * With model.norm pre the branch reads n = LN(x), and the mixture takes the place of attention's outcome:
 *
 *   y      = x + g (alpha dropout(low + b (n - low)) + (1 - alpha) dropout(attention))
 *
 * The transform runs over the whole window, padding included, as released; or over the items of each sequence alone. Either way
 * a position hears of those behind it. */
#include "model/calibrator.h"

#include <stdio.h>

extern const calibrator frequency_calibrator;

typedef enum { WINDOW_PADDED, WINDOW_SEQUENCE } window_kind;

typedef struct {
    double alpha;   /* share of the branch in the mixture with attention's */
    int64_t cutoff; /* two-sided frequencies that count as low: bins 0 .. cutoff / 2 */
    window_kind window;
} frequency_settings;

static const sr_choice window_choices[] = {
    {"padded", WINDOW_PADDED, "all max_length columns, padding included, as released"},
    {"sequence", WINDOW_SEQUENCE, "the items of the history alone, whose number is then the length of the transform"},
    {NULL, 0, NULL}};

static const char section[] = "calibrators.frequency";

static const sr_key keys[] = {
    SR_NUMBER(section, "alpha", frequency_settings, alpha, 0, 1, "0.7", "share of the branch; attention has the rest"),
    SR_INTEGER(section, "cutoff", frequency_settings, cutoff, 0, 8192, "5",
               "frequencies that are low, counted on both sides of 0: bins 0 to cutoff / 2, rounded down"),
    SR_CHOICE(section, "window", frequency_settings, window, window_choices, "padded", "what is transformed"),
};

static const sr_gone_key gone[] = {
    {"calibrators.frequency.engine", .was = "chose how transforms are computed, which makes a difference of rounding",
     .now = "the faster way is taken", .instead = "leave it out"},
};

static const frequency_settings *settings_of(const sr_model_settings *settings)
{
    return component_settings(settings, &frequency_calibrator.component);
}

/* How many bins are low, from 0 on; a short sequence may have fewer. */
static size_t low_bins(const sr_model_settings *settings)
{
    return (size_t)settings_of(settings)->cutoff / 2 + 1;
}

static bool filters_gaussians(const void *part)
{
    return backbone_of(part)->distances;
}

static bool norms_queries(const void *part)
{
    return ((const sr_model_settings *)part)->encoder.norm == SR_NORM_QUERY;
}

static bool shows_targets(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->objective == SR_OBJECTIVE_ALL && !backbone_of(settings)->masked;
}

static const sr_rule rules[] = {
    SR_RULE(section, "model.backbone", filters_gaussians,
            "this calibrator filters states that are vectors, while stosa's are Gaussians; use another backbone, or no "
            "calibrator but refinement"),
    SR_RULE(section, "model.norm", norms_queries,
            "with norm query states are norms already, and the branch would norm them twice more; use norm post or pre"),
    SR_RULE(section, "training.objective", shows_targets,
            "a filter over the whole sequence adds later items to earlier positions, so that each position would be shown the "
            "item that it has to predict; use objective last, which reads the last position alone"),
};

typedef struct {
    size_t sqrt_beta; /* the square root of the residual's scale */
    affine_parameters norm;
} frequency_layer;

static frequency_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &frequency_calibrator.component, layer);
}

/* Padding is computed, because the next layer's transform and, in front of the items, other padding reads it. */
static padding_use padding(const sr_model_settings *settings, bool training)
{
    (void)training;
    return settings_of(settings)->window == WINDOW_PADDED ? PADDING_QUERIES : PADDING_UNUSED;
}

/* All layers start with the same sqrt_beta. The published code makes layers by copying the first. Then it draws the weights of
 * linear maps and tables again, but not sqrt_beta. */
static sr_status declare_parameters(sr_model *model, size_t layer, sr_error *error)
{
    frequency_layer *own = layer_of(model, layer);
    const size_t width = (size_t)model->settings.hidden_size;
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.frequency.sqrt_beta", layer);
    SR_TRY(sr_parameters_declare(&model->parameters, name, &width, 1, (sr_initial_values){SR_INITIAL_CENTRED, 1},
                                 SR_PARAMETERS_ORDINARY, &own->sqrt_beta, error));
    if (layer > 0)
        sr_parameters_start_same(&model->parameters, own->sqrt_beta, layer_of(model, 0)->sqrt_beta);
    snprintf(name, sizeof name, "layers.%zu.frequency.norm", layer);
    SR_TRY(declare_norm(model, &own->norm, name, width, error));
    return declare_fourier(model, error);
}

/* With norm post the branch is made of x and has a residual and a norm behind it. With norm pre it is made of LN(x), and its
 * mixture with attention's outcome is added to x. */
static void mix(attention_block *block, sr_tensor *residual, sr_tensor **y, sr_tensor **attacked)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const frequency_layer *own = layer_of(model, block->layer);
    const double alpha = settings_of(&model->settings)->alpha;
    const sr_band low_band = {0, low_bins(&model->settings)};
    const layer_rows rows = rows_of_block(block);
    const sublayer_inputs in = sublayer_enter(model, tape, block->input, &own->norm);
    sr_tensor *read = in.read == block->input ? residual : rows_of_queries(block, in.read);
    sr_tensor *low = sr_band_pass(tape, model->fourier, in.read, rows.layout, rows.rows, low_band);
    sr_tensor *rescaled = sr_rescale_residual(tape, read, low, model_parameter(model, tape, own->sqrt_beta));
    const sr_dropout_site dropout = sublayer_dropout(&rows, SITE_FREQUENCY, false);
    sr_tensor *branch = sublayer_branch(&rows, residual, rescaled, &own->norm, &dropout);
    *y = sr_weighted_add(tape, branch, alpha, *y, 1 - alpha);
    if (attacked)
        *attacked = sr_weighted_add(tape, branch, alpha, *attacked, 1 - alpha);
}

/* low + beta (x - low): 1 in the low bins, beta = sqrt_beta^2 in the others. */
static void response(const sr_model *model, size_t layer, size_t bin, double *moduli, double *factors)
{
    const sr_real *root = model_values(model, layer_of(model, layer)->sqrt_beta);
    for (size_t i = 0; i < (size_t)model->settings.hidden_size; ++i) {
        factors[i] = (double)root[i] * (double)root[i];
        moduli[i] = bin < low_bins(&model->settings) ? 1 : factors[i];
    }
}

const calibrator frequency_calibrator = {
    .component =
        {.name = "frequency",
         .help = "BSARec's frequency rescaler: each layer's attention block is mixed with a branch that knows low and high "
                 "frequencies of its input x, LN(x + dropout(low + b (x - low))), low the cutoff / 2 + 1 lowest bins of x "
                 "along the positions, b a learned square for each channel",
         SR_KEYS(keys),
         SR_GONE(gone),
         .settings_size = sizeof(frequency_settings),
         SR_RULES(rules),
         .layer_size = sizeof(frequency_layer)},
    .padding = padding,
    .declare_parameters = declare_parameters,
    .mix = mix,
    .response = response,
    .bins = low_bins,
};

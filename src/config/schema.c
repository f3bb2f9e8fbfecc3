/* Every configuration key, and the conversion of single values. */
#include "config/schema.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const schema_choice samples_choices[] = {
    {"sliding", SR_SAMPLES_SLIDING, "every non-empty prefix of the training part, from its latest max_length items"},
    {"window", SR_SAMPLES_WINDOW,
     "prefixes of the training part's last max_length items only, the empty prefix included (bert4rec: left out)"},
    {NULL, 0, NULL}};
static const schema_choice prefetch_choices[] = {
    {"auto", SR_PREFETCH_AUTO, "when the files of the data set are larger than half of the memory that the job may use"},
    {"always", SR_PREFETCH_ALWAYS, NULL},
    {"never", SR_PREFETCH_NEVER, NULL},
    {NULL, 0, NULL}};
static const schema_choice backbone_choices[] = {
    {"sasrec", SR_BACKBONE_SASREC, "causal transformer over the items of a history, post-norm (Kang and McAuley 2018)"},
    {"bert4rec", SR_BACKBONE_BERT4REC, "bidirectional transformer trained on masked items (Sun et al. 2019)"},
    {"ssept", SR_BACKBONE_SSEPT, "SASRec with a user embedding beside each item's (Wu et al. 2020)"},
    {"tisasrec", SR_BACKBONE_TISASREC, "time intervals and relative positions in keys and values (Li et al. 2020)"},
    {"stosa", SR_BACKBONE_STOSA, "items are Gaussians, attention and scores are Wasserstein distances (Fan et al. 2022)"},
    {"fmlprec", SR_BACKBONE_FMLPREC, "learned filters over the window in the place of attention (Zhou et al. 2022)"},
    {"gru4rec", SR_BACKBONE_GRU4REC, "gated recurrent units over the items of a history (Hidasi et al. 2016)"},
    {"caser", SR_BACKBONE_CASER, "convolutions over the window, and a user embedding (Tang and Wang 2018)"},
    {"fearec", SR_BACKBONE_FEAREC,
     "auto-correlation and attention in bands of frequencies; as published with training.contrastive (Du et al. 2023)"},
    {NULL, 0, NULL}};
static const schema_choice activation_choices[] = {{"gelu", SR_ACTIVATION_GELU, "the erf form"},
                                                   {"relu", SR_ACTIVATION_RELU, NULL},
                                                   {"swish", SR_ACTIVATION_SWISH, NULL},
                                                   {"tanh", SR_ACTIVATION_TANH, NULL},
                                                   {"sigmoid", SR_ACTIVATION_SIGMOID, NULL},
                                                   {"elu", SR_ACTIVATION_ELU, NULL},
                                                   {NULL, 0, NULL}};
static const schema_choice positions_choices[] = {
    {"learned", SR_POSITIONS_LEARNED, "one learned vector for each column of the window"},
    {"none", SR_POSITIONS_NONE, "no positions"},
    {NULL, 0, NULL}};
static const schema_choice padding_choices[] = {{"right", SR_PADDING_RIGHT, "histories start in column 0"},
                                                {"left", SR_PADDING_LEFT, "histories end in the last column"},
                                                {NULL, 0, NULL}};
static const schema_choice masking_choices[] = {
    {"at_least_one", SR_MASKING_AT_LEAST_ONE, "where no item of an example was masked, one is"},
    {"released", SR_MASKING_RELEASED, "such an example has no target, and the first item of a window is never scored"},
    {NULL, 0, NULL}};
static const schema_choice time_dropout_choices[] = {
    {"table", SR_TIME_DROPOUT_TABLE, "rows of the tables are dropped, once a batch"},
    {"cells", SR_TIME_DROPOUT_CELLS, "each pair of query and key drops its own copy of a row, as released"},
    {NULL, 0, NULL}};
static const schema_choice distance_scale_choices[] = {
    {"normal", SR_DISTANCE_SCALE_NORMAL, "N(0, 1), drawn once and shared by all layers at the start, as released"},
    {"one", SR_DISTANCE_SCALE_ONE, "1"},
    {NULL, 0, NULL}};
static const schema_choice combine_choices[] = {
    {"gate", SR_COMBINE_GATE, "G base + (1 - G) C with a learned gate G for each query and key column, the same for all heads"},
    {"fixed", SR_COMBINE_FIXED, "softmax(base + C / 2)"},
    {"annealing", SR_COMBINE_ANNEALING, "a base + (1 - a) C with a = exp(-step / annealing_steps)"},
    {NULL, 0, NULL}};
static const schema_choice rich_combine_choices[] = {
    {"fixed", SR_RICH_COMBINE_FIXED, "r = 1/2"},
    {"trainable", SR_RICH_COMBINE_TRAINABLE, "r is a parameter of each layer, 1/2 at the start and not bounded"},
    {NULL, 0, NULL}};
static const schema_choice renormalize_choices[] = {
    {"softmax", SR_RENORMALIZE_SOFTMAX,
     "softmax over the visible keys once more, as released for SASRec and BERT4Rec: the weights become almost even"},
    {"none", SR_RENORMALIZE_NONE, "nothing, as released for SSE-PT and TiSASRec: rows need not sum to 1"},
    {"mass", SR_RENORMALIZE_MASS, "C and the combined weights are divided by their row sums, the attacked weights are not"},
    {NULL, 0, NULL}};
static const schema_choice masked_cells_choices[] = {
    {"included", SR_MASKED_CELLS_INCLUDED,
     "as released: the softmax of combine fixed runs over them too, and the attacked weights have noise there; with "
     "renormalize "
     "softmax only the former makes a difference"},
    {"excluded", SR_MASKED_CELLS_EXCLUDED, "that softmax runs over the visible keys, and there is no noise elsewhere"},
    {NULL, 0, NULL}};
static const schema_choice penalty_choices[] = {
    {"all", SR_PENALTY_ALL, "every cell of the batch padded to max_length, as released: it grows with the padding"},
    {"visible", SR_PENALTY_VISIBLE, "the cells in which an item sees a key"},
    {NULL, 0, NULL}};
static const schema_choice mean_update_choices[] = {
    {"frozen", SR_MEAN_FROZEN,
     "dropped: all layers and the state have the mean of the input, only covariances pass, as released"},
    {"updated", SR_MEAN_UPDATED, "it goes on to the next layer, as published"},
    {NULL, 0, NULL}};
static const schema_choice refinement_choices[] = {
    {"simple", SR_REFINEMENT_SIMPLE, "R"},
    {"value", SR_REFINEMENT_VALUE, "R times what the key value says, in visible columns; not renormalised"},
    {"additive", SR_REFINEMENT_ADDITIVE, "(A + R) / 2"},
    {"stochastic", SR_REFINEMENT_STOCHASTIC, "R, by Wasserstein distances of Gaussians instead of dot products; stosa only"},
    {NULL, 0, NULL}};
static const schema_choice source_choices[] = {
    {"probabilities", SR_SOURCE_PROBABILITIES, "A"},
    {"scores", SR_SOURCE_SCORES, "the scores before softmax, 0 where a query sees no key"},
    {NULL, 0, NULL}};
static const schema_choice value_choices[] = {
    {"identity", SR_VALUE_IDENTITY, "A itself"},
    {"learned", SR_VALUE_LEARNED, "A after a learned map of its columns, which starts as the identity; kind value only"},
    {NULL, 0, NULL}};
static const schema_choice window_choices[] = {
    {"padded", SR_WINDOW_PADDED, "all max_length columns, padding included, as released"},
    {"sequence", SR_WINDOW_SEQUENCE, "the items of the history alone, whose number is then the length of the transform"},
    {NULL, 0, NULL}};
static const schema_choice engine_choices[] = {
    {"auto", SR_FOURIER_AUTO, "the faster one for the length and the number of frequencies"},
    {"fftw", SR_FOURIER_FFTW, "fast Fourier transforms"},
    {"projection", SR_FOURIER_PROJECTION, "products with a matrix of cosines and sines"},
    {NULL, 0, NULL}};
static const schema_choice loss_choices[] = {
    {"cross_entropy", SR_LOSS_CROSS_ENTROPY, "softmax over the whole catalogue"},
    {"bpr", SR_LOSS_BPR, "Bayesian personalised ranking with one sampled negative"},
    {"binary_cross_entropy", SR_LOSS_BINARY_CROSS_ENTROPY, "binary cross entropy with one sampled negative"},
    {"stosa", SR_LOSS_STOSA,
     "bpr of distances d with one sampled negative, plus pvn_weight max(0, d(state, target) - d(target, negative)), d squared "
     "2-Wasserstein distances; the loss of backbone stosa, which has no other"},
    {NULL, 0, NULL}};
static const schema_choice objective_choices[] = {
    {"last", SR_OBJECTIVE_LAST, "an example is one prefix, its loss that of the item after it (bert4rec: of its masked items)"},
    {"all", SR_OBJECTIVE_ALL,
     "an example is a user, every position predicts the next item (bert4rec: every masked one itself)"},
    {NULL, 0, NULL}};
static const schema_choice decay_choices[] = {
    {"decoupled", SR_WEIGHT_DECAY_DECOUPLED, "as AdamW"}, {"l2", SR_WEIGHT_DECAY_L2, "added to the gradient"}, {NULL, 0, NULL}};
static const schema_choice schedule_choices[] = {{"constant", SR_SCHEDULE_CONSTANT, NULL},
                                                 {"linear", SR_SCHEDULE_LINEAR, "down to 0 at the last step of the last epoch"},
                                                 {"cosine", SR_SCHEDULE_COSINE, "down to 0 at the last step of the last epoch"},
                                                 {NULL, 0, NULL}};
static const schema_choice precision_choices[] = {{"fp32", SR_PRECISION_FP32, "single precision"},
                                                  {"bf16", SR_PRECISION_BF16,
                                                   "operands of linear maps, of attention and of scores of the catalogue are "
                                                   "rounded to bf16, sums and all else stay in single precision: "
                                                   "faster where the processor has AMX"},
                                                  {NULL, 0, NULL}};
static const schema_choice reduction_precision_choices[] = {
    {"fp32", SR_PRECISION_FP32, "as they are"},
    {"bf16", SR_PRECISION_BF16,
     "rounded, summed in single precision, and what rounding takes is added to the next step's; not with reduction overlapped"},
    {NULL, 0, NULL}};
static const schema_choice reduction_choices[] = {
    {"shared", SR_REDUCTION_SHARED,
     "ranks of a node keep one copy of parameters and moments, and each sums and updates its part of them; blocking where "
     "nodes have different numbers of ranks"},
    {"blocking", SR_REDUCTION_BLOCKING, "gradients are reduced after backward"},
    {"overlapped", SR_REDUCTION_OVERLAPPED, "each bucket is reduced while backward goes on"},
    {NULL, 0, NULL}};
static const schema_choice writing_choices[] = {
    {"overlapped", SR_WRITING_OVERLAPPED,
     "a thread of rank 0 writes a copy of the state while training goes on, where rank 0 has memory for it; else as blocking"},
    {"blocking", SR_WRITING_BLOCKING, "all ranks write together, and train on when the file is complete"},
    {NULL, 0, NULL}};
static const schema_choice item_updates_choices[] = {{"deferred", SR_ITEM_UPDATES_DEFERRED,
                                                      "when it is read again, all at once: for large catalogues; with a loss "
                                                      "of sampled items, and while few rows have a gradient"},
                                                     {"every_step", SR_ITEM_UPDATES_EVERY_STEP, "in the step"},
                                                     {NULL, 0, NULL}};
static const schema_choice history_choices[] = {
    {"keep", SR_HISTORY_KEEP, "items the user already has compete"},
    {"exclude", SR_HISTORY_EXCLUDE, "items the user already has get score -infinity"},
    {"zero", SR_HISTORY_ZERO,
     "items the user already has get score 0 and the padding item competes, as the released BSARec evaluation does"},
    {NULL, 0, NULL}};

#define FIELD(name) offsetof(sr_settings, name)

/* Sets of backbones. */
enum {
    SASREC = 1 << SR_BACKBONE_SASREC,
    BERT4REC = 1 << SR_BACKBONE_BERT4REC,
    SSEPT = 1 << SR_BACKBONE_SSEPT,
    TISASREC = 1 << SR_BACKBONE_TISASREC,
    STOSA = 1 << SR_BACKBONE_STOSA,
    FMLPREC = 1 << SR_BACKBONE_FMLPREC,
    GRU4REC = 1 << SR_BACKBONE_GRU4REC,
    CASER = 1 << SR_BACKBONE_CASER,
    FEAREC = 1 << SR_BACKBONE_FEAREC,
    CALIBRATED = SASREC | BERT4REC | SSEPT | TISASREC | STOSA, /* those that calibrators can work on */
    WITH_ATTENTION = CALIBRATED | FEAREC,
    WITH_FEED_FORWARD = WITH_ATTENTION | FMLPREC, /* position embeddings, norms and feed-forward layers */
    WITH_LAYERS = WITH_FEED_FORWARD | GRU4REC
};

const schema_section schema_sections[] = {
    {"data", "what is trained on", 0, 0},
    {"model", "the backbone", 0, 0},
    {"calibrators", "stages that calibrate attention; one is in use when it is named, even with nothing in it", 0, 0},
    {"calibrators.spatial",
     "AC-TSR's spatial calibrator: learned order and distance of items are added to the scores, before these are scaled",
     FIELD(model.calibrators.spatial.in_use), CALIBRATED},
    {"calibrators.refinement",
     "AWRSR's refinement of the attention weights A by R, the attention of the rows of X to each other (equations "
     "reconstructed, see docs/models.md)",
     FIELD(model.calibrators.refinement.in_use), CALIBRATED},
    {"calibrators.adversarial",
     "AC-TSR's adversarial calibrator: generators of masks M learn to mislead the model by weights base M + noise (1 - M); "
     "base "
     "itself, the weights so far, is combined with C = base exp(1 - M), which lifts what they attack most",
     FIELD(model.calibrators.adversarial.in_use), CALIBRATED},
    {"calibrators.frequency",
     "BSARec's frequency rescaler: each layer's attention block is mixed with a branch that knows low and high frequencies of "
     "its input x, LN(x + dropout(low + b (x - low))), low the cutoff / 2 + 1 lowest bins of x along the positions, b a "
     "learned "
     "square for each channel",
     FIELD(model.calibrators.frequency.in_use), CALIBRATED},
    {"training", "the objective and its optimisation", 0, 0},
    {"training.contrastive",
     "DuoRec's InfoNCE beside the ranking loss: of the states of an example with new dropout, and of another example with the "
     "same target, each shall tell the other from those of all other examples of the batch; in use when it is named",
     FIELD(training.contrastive.in_use), 0},
    {"training.early_stopping", "when to stop before the last epoch", 0, 0},
    {"evaluation", "full-catalogue ranking", 0, 0},
    {"checkpoint", "when the state is saved", 0, 0},
    {"logging", "what is reported", 0, 0},
};
const size_t schema_section_count = sizeof schema_sections / sizeof *schema_sections;

/* One row each. The help comes last; fields that few rows have may follow it, as `.below = true`. */
#define ROW(path, name, kind, field, text, ...)                                                                   \
    {                                                                                                             \
        .section = path, .key = name, .type = kind, .offset = FIELD(field), .standard = text, .help = __VA_ARGS__ \
    }
#define BOOLEAN(path, name, field, text, ...) ROW(path, name, SCHEMA_BOOLEAN, field, text, __VA_ARGS__)
#define INTEGER(path, name, field, least, most, text, ...) \
    ROW(path, name, SCHEMA_INTEGER, field, text, __VA_ARGS__, .minimum = least, .maximum = most)
#define NUMBER(path, name, field, least, most, text, ...) \
    ROW(path, name, SCHEMA_NUMBER, field, text, __VA_ARGS__, .minimum = least, .maximum = most)
#define TEXT(path, name, field, text, ...) \
    ROW(path, name, SCHEMA_TEXT, field, text, __VA_ARGS__, .size = sizeof(((sr_settings *)0)->field))
#define CHOICE(path, name, field, table, text, ...) ROW(path, name, SCHEMA_CHOICE, field, text, __VA_ARGS__, .choices = table)

const schema_row schema_rows[] = {
    TEXT("data", "path", data.path, NULL, "directory of the data set that srprep wrote"),
    CHOICE("data", "samples", data.samples, samples_choices, "sliding",
           "which training examples a sequence gives (objective last)"),
    CHOICE("data", "prefetch", data.prefetch, prefetch_choices, "auto",
           "whether ranks ask the operating system for the sequences of the next batch before they need them"),
    BOOLEAN("data", "verify", data.verify, "true", "check the checksums of the data set before training"),

    CHOICE("model", "backbone", model.backbone, backbone_choices, "sasrec", "the model"),
    INTEGER("model", "layers", model.layers, 1, 64, "2", "number of layers", .backbones = WITH_LAYERS),
    INTEGER("model", "heads", model.heads, 1, 64, "2", "attention heads; divides hidden_size", .backbones = WITH_ATTENTION),
    INTEGER("model", "hidden_size", model.hidden_size, 1, 8192, "64", "width of embeddings and layers"),
    INTEGER("model", "inner_size", model.inner_size, 1, 65536, "256", "inner width of the feed-forward layers",
            .backbones = WITH_FEED_FORWARD),
    INTEGER("model", "max_length", model.max_length, 1, 4096, "50", "the latest so many items of a history are used"),
    CHOICE("model", "activation", model.activation, activation_choices, "gelu", "function in the feed-forward layers",
           .backbones = WITH_FEED_FORWARD),
    NUMBER("model", "hidden_dropout", model.hidden_dropout, 0, 0.99, "0.5", "dropout of embeddings and layer outputs"),
    NUMBER("model", "attention_dropout", model.attention_dropout, 0, 0.99, "0.5", "dropout of attention weights",
           .backbones = WITH_ATTENTION),
    NUMBER("model", "layer_norm_epsilon", model.layer_norm_epsilon, 0, 1, "1.0e-12", "added to the variance",
           .backbones = WITH_FEED_FORWARD),
    NUMBER("model", "initializer_range", model.initializer_range, 0, 1, "0.02", "standard deviation of initial weights",
           .above = true),
    NUMBER("model", "initializer_mean", model.initializer_mean, -1, 1, "0",
           "mean of the initial weights of linear maps and tables; 0.01 in the released stosa"),
    CHOICE("model", "positions", model.positions, positions_choices, "learned",
           "position embeddings; tisasrec has relative positions of its own instead, so that none is the default there",
           .backbones = WITH_FEED_FORWARD),
    CHOICE("model", "padding", model.padding, padding_choices, "right", "which columns of the window a short history takes"),
    NUMBER("model", "mask_ratio", model.mask_ratio, 0, 1, "0.2",
           "probability that an item of a training example is masked; of the masked ones the last int(mask_ratio max_length) "
           "are scored, at least one",
           .above = true, .below = true, .backbones = BERT4REC),
    CHOICE("model", "masking", model.masking, masking_choices, "at_least_one", "what becomes of examples without a masked item",
           .backbones = BERT4REC),
    INTEGER("model", "user_hidden_size", model.user_hidden_size, 1, 8191, "32",
            "how much of hidden_size is the user's; items have the rest", .backbones = SSEPT),
    NUMBER("model", "sse_user_probability", model.sse_user_probability, 0, 1, "0",
           "probability that a user is replaced by a random one in training (stochastic shared embeddings)", .below = true,
           .backbones = SSEPT),
    NUMBER("model", "sse_item_probability", model.sse_item_probability, 0, 1, "0",
           "probability that an item is replaced by a random one in training (stochastic shared embeddings)", .below = true,
           .backbones = SSEPT),
    INTEGER("model", "time_span", model.time_span, 1, 65535, "256",
            "the largest gap in time that is told apart from longer ones", .backbones = TISASREC),
    INTEGER("model", "time_unit", model.time_unit, 1, 9e14, "1",
            "units of the data's time stamps in a gap of 1, as 86400 for days where stamps are seconds", .backbones = TISASREC),
    CHOICE("model", "time_dropout", model.time_dropout, time_dropout_choices, "table",
           "how hidden_dropout acts on the embeddings of gaps and relative positions", .backbones = TISASREC),
    CHOICE("model", "mean_update", model.mean_update, mean_update_choices, "frozen", "what becomes of a layer's mean",
           .backbones = STOSA),
    CHOICE("model", "filter_engine", model.filter_engine, engine_choices, "auto",
           "how filters are computed; results differ by rounding", .backbones = FMLPREC | FEAREC),
    NUMBER(
        "model", "global_ratio", model.global_ratio, 0, 1, "0.6",
        "share of the frequencies that a layer sees, the first one the highest, the last one the lowest; at least 1 / layers",
        .above = true, .backbones = FEAREC),
    NUMBER("model", "spatial_ratio", model.spatial_ratio, 0, 1, "0.1",
           "share of attention in the outcome of a layer; the rest is auto-correlation", .backbones = FEAREC),
    NUMBER("model", "topk_factor", model.topk_factor, 0, 1000, "10",
           "int(topk_factor ln(max_length)) lags of the auto-correlation are kept", .above = true, .backbones = FEAREC),
    INTEGER("model", "gru_hidden_size", model.gru_hidden_size, 1, 8192, "64", "width of the recurrent layers",
            .backbones = GRU4REC),
    INTEGER("model", "vertical_filters", model.vertical_filters, 1, 4096, "4",
            "filters over the columns of the window, which sum it channel by channel", .backbones = CASER),
    INTEGER("model", "horizontal_filters", model.horizontal_filters, 1, 4096, "8",
            "filters over rows of the window, of each height from 1 to max_length", .backbones = CASER),

    BOOLEAN("calibrators.spatial", "order", model.calibrators.spatial.order, "true",
            "adds ln p to a score, p the learned probability that query and key stand in this order"),
    BOOLEAN("calibrators.spatial", "distance", model.calibrators.spatial.distance, "true",
            "adds -s^2 (t - m)^2 / 2 to a score: t = ln(1 + how many columns query and key are apart), m what is learned of it "
            "from "
            "the two, s a learned scale"),
    CHOICE("calibrators.spatial", "distance_scale", model.calibrators.spatial.distance_scale, distance_scale_choices, "normal",
           "s at the start"),
    CHOICE("calibrators.refinement", "kind", model.calibrators.refinement.kind, refinement_choices, "simple",
           "what takes the place of A"),
    CHOICE("calibrators.refinement", "source", model.calibrators.refinement.source, source_choices, "probabilities",
           "what X is"),
    INTEGER("calibrators.refinement", "rank", model.calibrators.refinement.rank, 0, 65536, "0",
            "width of the learned maps of the rows of X that R compares; 0: max_length"),
    BOOLEAN("calibrators.refinement", "per_head", model.calibrators.refinement.per_head, "false",
            "true: each head has learned maps of its own; false: the heads of a layer share them"),
    CHOICE("calibrators.refinement", "value", model.calibrators.refinement.value, value_choices, "identity",
           "what R multiplies, with kind value"),
    CHOICE("calibrators.adversarial", "combine", model.calibrators.adversarial.combine, combine_choices, "gate",
           "how base and C become one"),
    INTEGER("calibrators.adversarial", "annealing_steps", model.calibrators.adversarial.annealing_steps, 1, 1e12, "100000",
            "of combine annealing"),
    BOOLEAN(
        "calibrators.adversarial", "two_level", model.calibrators.adversarial.two_level, "true",
        "true: base are the spatially calibrated weights; false: base are those of the raw scores, and the result A becomes "
        "r A + (1 - r) times the spatially calibrated weights"),
    CHOICE("calibrators.adversarial", "rich_combine", model.calibrators.adversarial.rich_combine, rich_combine_choices, "fixed",
           "r of two_level false"),
    CHOICE("calibrators.adversarial", "renormalize", model.calibrators.adversarial.renormalize, renormalize_choices, "mass",
           "what is done to C, to the combined and to the attacked weights"),
    CHOICE("calibrators.adversarial", "masked_cells", model.calibrators.adversarial.masked_cells, masked_cells_choices,
           "excluded", "keys that a query does not see: later items and padding"),
    CHOICE("calibrators.adversarial", "penalty", model.calibrators.adversarial.penalty, penalty_choices, "visible",
           "cells over which the norm of 1 - M in the loss of the generators is taken"),
    NUMBER("calibrators.adversarial", "penalty_weight", model.calibrators.adversarial.penalty_weight, 0, 1e6, "0.03",
           "weight of that norm, a mean over the layers, against the negative loss of the attacked branch"),

    NUMBER("calibrators.frequency", "alpha", model.calibrators.frequency.alpha, 0, 1, "0.7",
           "share of the branch; attention has the rest"),
    INTEGER("calibrators.frequency", "cutoff", model.calibrators.frequency.cutoff, 0, 8192, "5",
            "frequencies that are low, counted on both sides of 0: bins 0 to cutoff / 2, rounded down"),
    CHOICE("calibrators.frequency", "window", model.calibrators.frequency.window, window_choices, "padded",
           "what is transformed"),
    CHOICE("calibrators.frequency", "engine", model.calibrators.frequency.engine, engine_choices, "auto",
           "how it is computed; results differ by rounding"),

    INTEGER("training", "epochs", training.epochs, 0, 1e6, "200", "passes over the training examples"),
    INTEGER("training", "batch_size", training.batch_size, 1, 1e8, "256", "examples of a global batch, shared by all ranks"),
    NUMBER("training", "learning_rate", training.learning_rate, 0, 1, "0.001", "of Adam, after warm-up", .above = true),
    NUMBER("training", "attack_learning_rate_ratio", training.attack_learning_rate_ratio, 0, 1000, "1",
           "learning rate of the mask generators relative to that of everything else; 1 as released", .above = true,
           .companion = "calibrators.adversarial"),
    NUMBER("training", "adam_beta1", training.adam_beta1, 0, 0.9999999, "0.9", "decay of the first moment"),
    NUMBER("training", "adam_beta2", training.adam_beta2, 0, 0.9999999, "0.999", "decay of the second moment"),
    NUMBER("training", "adam_epsilon", training.adam_epsilon, 0, 1, "1.0e-08", "added to the root of the second moment",
           .above = true),
    NUMBER("training", "weight_decay", training.weight_decay, 0, 10, "0", "strength of weight decay; 0: none"),
    CHOICE("training", "weight_decay_kind", training.weight_decay_kind, decay_choices, "decoupled", "how weight decay acts"),
    NUMBER("training", "clip_norm", training.clip_norm, 0, 1e9, "0", "largest norm of the whole gradient; 0: no clipping"),
    CHOICE("training", "item_updates", training.item_updates, item_updates_choices, "every_step",
           "when an item's row that has no gradient in a step moves by Adam's moments; the same within rounding"),
    CHOICE("training", "schedule", training.schedule, schedule_choices, "constant", "learning rate after warm-up"),
    INTEGER("training", "warmup_steps", training.warmup_steps, 0, 1e9, "0", "steps over which the learning rate rises from 0"),
    INTEGER("training", "seed", training.seed, 0, 9007199254740992.0, "42", "of every random number"),
    CHOICE("training", "loss", training.loss, loss_choices, "cross_entropy", "the loss of one target"),
    CHOICE("training", "objective", training.objective, objective_choices, "last", "which targets an example has"),
    NUMBER("training", "pvn_weight", model.pvn_weight, 0, 1e6, "0.005", "weight of the second term of loss stosa",
           .backbones = STOSA),
    NUMBER("training", "frobenius_penalty", model.frobenius_penalty, 0, 1e6, "0.0001",
           "weight in the loss of the sum of the Frobenius norms of all weight matrices", .backbones = CASER),
    CHOICE("training", "precision", training.precision, precision_choices, "fp32", "arithmetic of matrix products"),
    NUMBER(
        "training", "kept_logits_megabytes", training.kept_logits_megabytes, 0, 1048576, "256",
        "logits of loss cross_entropy that a rank keeps from forward to backward, in MiB; the rest is computed again: slower, "
        "the same bits"),
    INTEGER("training", "threads", training.threads, 0, 1024, "0",
            "threads of each rank, which share its part of a batch; 0: OMP_NUM_THREADS, or as many as the rank has cores to "
            "itself, of all ranks the least (1 with reduction overlapped)"),
    CHOICE("training", "reduction", training.reduction, reduction_choices, "shared", "how gradients are summed over ranks"),
    NUMBER("training", "reduction_bucket_megabytes", training.reduction_bucket_megabytes, 0, 4096, "1",
           "size of a bucket of gradients, in MiB; larger parameters go in messages of that size", .above = true),
    INTEGER("training", "skip_nonfinite_steps", training.skip_nonfinite_steps, 0, 1e6, "0",
            "steps in a row that are skipped when their loss or gradient is not finite; one more ends training, and so does "
            "the first with 0"),
    INTEGER("training", "compare_ranks_every_steps", training.compare_ranks_every_steps, 0, 1e12, "1000",
            "steps between comparisons of the parameters of all ranks, which must be equal to the bit; 0: only before every "
            "checkpoint"),
    CHOICE("training", "reduction_precision", training.reduction_precision, reduction_precision_choices, "fp32",
           "how gradients travel between ranks"),
    NUMBER("training.contrastive", "weight", training.contrastive.weight, 0, 1e6, "0.1", "weight of InfoNCE"),
    NUMBER("training.contrastive", "temperature", training.contrastive.temperature, 0, 1e6, "1",
           "what dot products of states are divided by", .above = true),
    NUMBER("training.contrastive", "spectral_weight", training.contrastive.spectral_weight, 0, 1e6, "0.1",
           "weight of the mean distance of the spectra, along the positions, of the states that are compared",
           .backbones = FEAREC),
    TEXT("training.early_stopping", "metric", training.early_stopping.metric, "ndcg@10",
         "hr@K, ndcg@K or mrr@K on the validation split, K one of evaluation.top_k; the best parameters by it are kept"),
    INTEGER("training.early_stopping", "patience", training.early_stopping.patience, 0, 1e6, "10",
            "validations without a strictly better metric after which training stops; 0: never"),

    ROW("evaluation", "top_k", SCHEMA_INTEGER_LIST, evaluation.top_k, "[1, 3, 5, 10, 20, 50]",
        "cut-offs of the metrics, ascending", .size = FIELD(evaluation.top_k_count), .minimum = 1, .maximum = 1000),
    CHOICE("evaluation", "history", evaluation.history, history_choices, "keep", "items that the user already has"),
    INTEGER("evaluation", "every_epochs", evaluation.every_epochs, 0, 1e6, "1",
            "epochs between validations; 0: never validate"),
    INTEGER("evaluation", "batch_size", evaluation.batch_size, 1, 1e6, "256", "histories that a rank encodes at a time"),

    INTEGER("checkpoint", "every_epochs", checkpoint.every_epochs, 0, 1e6, "1", "epochs between checkpoints; 0: not by epochs"),
    INTEGER("checkpoint", "every_steps", checkpoint.every_steps, 0, 1e12, "0", "steps between checkpoints; 0: not by steps"),
    NUMBER("checkpoint", "every_minutes", checkpoint.every_minutes, 0, 1e6, "0", "minutes between checkpoints; 0: not by time"),
    INTEGER("checkpoint", "keep", checkpoint.keep, 2, 1000, "2", "how many of the newest checkpoints stay on disk"),
    CHOICE("checkpoint", "writing", checkpoint.writing, writing_choices, "overlapped",
           "how a checkpoint is written from which training goes on at once; the last one before the end of the program is "
           "always blocking"),

    INTEGER("logging", "every_steps", logging.every_steps, 1, 1e9, "50", "steps between `train` lines in metrics.jsonl"),
};
const size_t schema_row_count = sizeof schema_rows / sizeof *schema_rows;

const schema_row *schema_find(const char *section, const char *key)
{
    for (size_t i = 0; i < schema_row_count; ++i)
        if (strcmp(schema_rows[i].section, section) == 0 && strcmp(schema_rows[i].key, key) == 0)
            return &schema_rows[i];
    return NULL;
}

const schema_section *schema_find_section(const char *path)
{
    for (size_t i = 0; i < schema_section_count; ++i)
        if (strcmp(schema_sections[i].path, path) == 0)
            return &schema_sections[i];
    return NULL;
}

/* ---- what is in use ---- */

bool schema_section_in_use(const schema_section *section, const sr_settings *settings)
{
    return section->in_use == 0 || *(const bool *)((const char *)settings + section->in_use);
}

void schema_use_section(const schema_section *section, sr_settings *settings)
{
    if (section->in_use != 0)
        *(bool *)((char *)settings + section->in_use) = true;
}

static bool has_backbone(unsigned backbones, const sr_settings *settings)
{
    return backbones == 0 || (backbones >> settings->model.backbone & 1) != 0;
}

bool schema_fits_backbone(const schema_row *row, const sr_settings *settings)
{
    return has_backbone(row->backbones, settings);
}

bool schema_section_fits_backbone(const schema_section *section, const sr_settings *settings)
{
    return has_backbone(section->backbones, settings);
}

bool schema_applies(const schema_row *row, const sr_settings *settings)
{
    return schema_section_in_use(schema_find_section(row->section), settings) &&
           (!row->companion || schema_section_in_use(schema_find_section(row->companion), settings)) &&
           schema_fits_backbone(row, settings);
}

void schema_backbones(unsigned backbones, char *text, size_t size)
{
    text[0] = '\0';
    for (const schema_choice *choice = backbone_choices; choice->name; ++choice)
        if (backbones >> choice->value & 1)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", choice->name);
}

/* ---- values as text ---- */

/* The fewest digits that read back as the same number. Exponents get a decimal point ("1.0e-12"), without which YAML 1.1
 * readers, as PyYAML, take them for text. */
static void format_number(double value, char *text, size_t size)
{
    char digits[32];
    for (int count = 1; count <= 17; ++count) {
        snprintf(digits, sizeof digits, "%.*g", count, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    if (fabs(value) >= 1 && fabs(value) < 1e15 && value == floor(value))
        snprintf(digits, sizeof digits, "%.0f", value);
    const char *exponent = strchr(digits, 'e');
    if (exponent && !strchr(digits, '.'))
        snprintf(text, size, "%.*s.0%s", (int)(exponent - digits), digits, exponent);
    else
        snprintf(text, size, "%s", digits);
}

static void format_range(const schema_row *row, const char *what, char *text, size_t size)
{
    char minimum[32], maximum[32];
    format_number(row->minimum, minimum, sizeof minimum);
    format_number(row->maximum, maximum, sizeof maximum);
    if (row->above)
        snprintf(text, size, "%s above %s and %s %s", what, minimum, row->below ? "below" : "up to", maximum);
    else
        snprintf(text, size, "%s from %s to %s%s", what, minimum, row->below ? "below " : "", maximum);
}

void schema_allowed(const schema_row *row, char *text, size_t size)
{
    switch (row->type) {
    case SCHEMA_BOOLEAN:
        snprintf(text, size, "true or false");
        break;
    case SCHEMA_INTEGER:
        format_range(row, "a whole number in digits", text, size);
        break;
    case SCHEMA_NUMBER:
        format_range(row, "a number", text, size);
        break;
    case SCHEMA_TEXT:
        snprintf(text, size, "a text of 1 to %zu bytes", row->size - 1);
        break;
    case SCHEMA_CHOICE:
        snprintf(text, size, "one of");
        for (const schema_choice *choice = row->choices; choice->name; ++choice)
            snprintf(text + strlen(text), size - strlen(text), "%s %s", choice == row->choices ? "" : ",", choice->name);
        break;
    case SCHEMA_INTEGER_LIST:
        snprintf(text, size, "a list of 1 to %d ascending whole numbers from %g to %g", SR_TOP_K_MAXIMUM, row->minimum,
                 row->maximum);
        break;
    }
}

static void format_list(const int64_t *values, size_t count, char *text, size_t size)
{
    snprintf(text, size, "[");
    for (size_t i = 0; i < count; ++i)
        snprintf(text + strlen(text), size - strlen(text), "%s%lld", i ? ", " : "", (long long)values[i]);
    snprintf(text + strlen(text), size - strlen(text), "]");
}

/* A double-quoted YAML scalar. */
static void format_text(const char *value, char *text, size_t size)
{
    size_t used = 0;
    const size_t room = size - 6; /* an escaped character, the closing quote and the end */
    text[used++] = '"';
    for (const char *at = value; *at && used < room; ++at) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < ' ' || byte == 0x7F) {
            used += (size_t)snprintf(text + used, size - used, "\\x%02x", byte);
            continue;
        }
        if (byte == '"' || byte == '\\')
            text[used++] = '\\';
        text[used++] = *at;
    }
    text[used++] = '"';
    text[used] = '\0';
}

void schema_format(const schema_row *row, const sr_settings *settings, char *text, size_t size)
{
    const char *field = (const char *)settings + row->offset;
    int choice;
    switch (row->type) {
    case SCHEMA_BOOLEAN:
        snprintf(text, size, "%s", *(const bool *)field ? "true" : "false");
        break;
    case SCHEMA_INTEGER:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)(const void *)field);
        break;
    case SCHEMA_NUMBER:
        format_number(*(const double *)(const void *)field, text, size);
        break;
    case SCHEMA_TEXT:
        format_text(field, text, size);
        break;
    case SCHEMA_CHOICE:
        memcpy(&choice, field, sizeof choice);
        for (const schema_choice *option = row->choices; option->name; ++option)
            if (option->value == choice)
                snprintf(text, size, "%s", option->name);
        break;
    case SCHEMA_INTEGER_LIST:
        format_list((const int64_t *)(const void *)field, *(const size_t *)(const void *)((const char *)settings + row->size),
                    text, size);
        break;
    }
}

/* ---- text to values ---- */

/* Skips digits; false when there is none. */
static bool skip_digits(const char **at)
{
    const size_t length = strspn(*at, "0123456789");
    *at += length;
    return length > 0;
}

bool schema_is_number(const char *text)
{
    text += *text == '-' || *text == '+';
    bool digits = skip_digits(&text);
    if (*text == '.') {
        ++text;
        digits = skip_digits(&text) || digits;
    }
    if (digits && (*text == 'e' || *text == 'E')) {
        ++text;
        text += *text == '-' || *text == '+';
        digits = skip_digits(&text);
    }
    return digits && *text == '\0';
}

/* Digits alone, without an exponent or a leading zero (which YAML 1.1 reads as octal). */
static bool is_integer(const char *text)
{
    text += *text == '-' || *text == '+';
    const bool leading_zero = text[0] == '0' && text[1] != '\0';
    return !leading_zero && skip_digits(&text) && *text == '\0';
}

static bool read_integer(const schema_row *row, const char *text, int64_t *value)
{
    errno = 0;
    *value = strtoll(text, NULL, 10);
    return is_integer(text) && errno == 0 && *value >= (int64_t)row->minimum && *value <= (int64_t)row->maximum;
}

static bool read_number(const schema_row *row, const char *text, double *value)
{
    if (!schema_is_number(text))
        return false;
    *value = strtod(text, NULL);
    /* Training computes in single precision, in which the number must not become the end of an open range either. */
    const bool above = row->above ? (float)*value > (float)row->minimum : *value >= row->minimum;
    const bool below = row->below ? (float)*value < (float)row->maximum : *value <= row->maximum;
    return isfinite(*value) && above && below;
}

static bool assign_list(const schema_row *row, sr_settings *settings, const char *const *values, size_t count)
{
    int64_t read[SR_TOP_K_MAXIMUM];
    if (count < 1 || count > SR_TOP_K_MAXIMUM)
        return false;
    for (size_t i = 0; i < count; ++i)
        if (!read_integer(row, values[i], &read[i]) || (i > 0 && read[i] <= read[i - 1]))
            return false;
    memcpy((char *)settings + row->offset, read, count * sizeof *read);
    memcpy((char *)settings + row->size, &count, sizeof count);
    return true;
}

static bool assign_choice(const schema_row *row, char *field, const char *text)
{
    for (const schema_choice *choice = row->choices; choice->name; ++choice)
        if (strcmp(choice->name, text) == 0) {
            memcpy(field, &choice->value, sizeof choice->value);
            return true;
        }
    return false;
}

bool schema_assign(const schema_row *row, sr_settings *settings, const char *const *values, size_t count)
{
    char *field = (char *)settings + row->offset;
    if (row->type == SCHEMA_INTEGER_LIST)
        return assign_list(row, settings, values, count);
    if (count != 1)
        return false;
    const char *text = values[0];
    int64_t integer;
    double number;
    switch (row->type) {
    case SCHEMA_BOOLEAN:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return false;
        *(bool *)field = strcmp(text, "true") == 0;
        return true;
    case SCHEMA_INTEGER:
        if (!read_integer(row, text, &integer))
            return false;
        memcpy(field, &integer, sizeof integer);
        return true;
    case SCHEMA_NUMBER:
        if (!read_number(row, text, &number))
            return false;
        memcpy(field, &number, sizeof number);
        return true;
    case SCHEMA_TEXT:
        if (!*text || strlen(text) >= row->size)
            return false;
        snprintf(field, row->size, "%s", text);
        return true;
    case SCHEMA_CHOICE:
        return assign_choice(row, field, text);
    case SCHEMA_INTEGER_LIST:
        break;
    }
    return false;
}

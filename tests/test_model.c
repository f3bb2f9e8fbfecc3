/* Whole small models in double precision: gradients against finite differences, causality, and the packing of batches. */
#include "cpu_level.h"
#include "config/schema.h"
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/operations.h"
#include "srtrain/random.h"
#include "srtrain/settings.h"
#include "transforms.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 11, USERS = 4, LENGTH = 6, EXAMPLES = 5, VIEWS = 3, MOST_LAYERS = 3 };

/* Histories of different length; the fourth is longer than the window, the last one is empty. */
static const int32_t histories[EXAMPLES][8] = {{3, 1, 4, 1, 5}, {9}, {2, 6}, {5, 3, 5, 8, 9, 7, 9, 3}, {0}};
static const size_t lengths[EXAMPLES] = {5, 1, 2, 8, 0};
static const int32_t next_items[EXAMPLES][8] = {{1, 4, 1, 5, 9}, {2}, {6, 5}, {3, 5, 8, 9, 7, 9, 3, 2}, {10}};
static const int32_t negatives[EXAMPLES][8] = {{7, 7, 8, 2, 6}, {1}, {4, 4}, {1, 1, 2, 2, 4, 4, 6, 6}, {3}};
static const int64_t times[EXAMPLES][8] = {{10, 11, 11, 40, 90}, {5}, {7, 9}, {1, 2, 3, 5, 8, 13, 21, 34}, {0}};
/* The same histories with masked items (the token ITEMS + 1), and what they hide. */
static const int32_t masked_histories[EXAMPLES][8] = {{3, 12, 4, 1, 12}, {12}, {2, 12}, {5, 3, 12, 12, 9, 7, 9, 12}, {0}};
static const int32_t hidden_items[EXAMPLES][8] = {{0, 1, 0, 0, 5}, {9}, {0, 6}, {0, 0, 5, 8, 0, 0, 0, 3}, {0}};

typedef struct {
    const char *name;
    const char *assignments[12];
} variant;

/* Ends the names of variants that transform by FFTW; windows as short as theirs would take products. */
#define BY_TRANSFORMS ", by transforms"

#define BERT4REC "model.backbone=bert4rec"
#define SSEPT "model.backbone=ssept"
#define TISASREC "model.backbone=tisasrec", "model.time_span=20"
#define STOSA "model.backbone=stosa", "training.loss=stosa", "model.activation=elu", "training.pvn_weight=0.3"
#define GRU4REC "model.backbone=gru4rec"
#define CASER "model.backbone=caser"
#define REFINEMENT(kind) "calibrators.refinement.kind=" kind
#define LEARNED_VALUE "calibrators.refinement.value=learned"
#define FREQUENCY "calibrators.frequency.cutoff=3"
#define FMLPREC "model.backbone=fmlprec"
#define FEAREC "model.backbone=fearec", "model.topk_factor=2.3", "model.spatial_ratio=0.4"
#define SPATIAL "calibrators.spatial.order=true"
#define AC SPATIAL, "calibrators.adversarial.penalty=visible", "calibrators.adversarial.masked_cells=excluded"
#define AC_RELEASED SPATIAL, "calibrators.adversarial.penalty=all", "calibrators.adversarial.masked_cells=included"
#define RELEASED_FIXED_NONE "calibrators.adversarial.combine=fixed", "calibrators.adversarial.renormalize=none"
#define ANNEALING "calibrators.adversarial.combine=annealing", "calibrators.adversarial.annealing_steps=10"
#define ONE_LEVEL "calibrators.adversarial.two_level=false"

static const variant variants[] = {
    {"last position", {"model.positions=learned"}},
    {"left padding without positions", {"model.padding=left", "model.positions=none"}},
    {"left padding", {"model.padding=left"}},
    {"all positions", {"training.objective=all"}},
    {"bpr", {"training.loss=bpr"}},
    {"binary cross entropy at all positions", {"training.loss=binary_cross_entropy", "training.objective=all"}},
    {"relu and one layer", {"model.activation=relu", "model.layers=1"}},
    {"bert4rec", {BERT4REC}},
    {"ssept", {SSEPT}},
    {"ssept with shared embeddings", {SSEPT, "model.sse_user_probability=0.5", "model.sse_item_probability=0.5"}},
    {"tisasrec", {TISASREC}},
    {"tisasrec, all positions", {TISASREC, "training.objective=all"}},
    {"spatial", {SPATIAL}},
    {"spatial, padding left, all positions", {SPATIAL, "model.padding=left", "training.objective=all"}},
    {"order alone", {SPATIAL, "calibrators.spatial.distance=false"}},
    {"distance alone", {SPATIAL, "calibrators.spatial.order=false"}},
    {"adversarial alone", {"calibrators.adversarial.combine=gate"}},
    {"sasrec as released", {AC_RELEASED}},
    {"sasrec as released, padding left", {AC_RELEASED, "model.padding=left"}},
    {"sasrec, all positions", {AC, "training.objective=all", "calibrators.adversarial.renormalize=mass"}},
    {"sasrec, all positions, noise on masked cells",
     {AC_RELEASED, "training.objective=all", "calibrators.adversarial.renormalize=none"}},
    {"sasrec, fixed", {AC, "calibrators.adversarial.combine=fixed"}},
    {"sasrec, fixed as released", {AC_RELEASED, "calibrators.adversarial.combine=fixed"}},
    {"sasrec, fixed, masked cells read", {AC_RELEASED, RELEASED_FIXED_NONE}},
    {"sasrec, fixed, masked cells read, padding left", {AC_RELEASED, RELEASED_FIXED_NONE, "model.padding=left"}},
    {"sasrec, fixed, mass", {AC, "calibrators.adversarial.combine=fixed", "calibrators.adversarial.renormalize=mass"}},
    {"sasrec, annealing", {AC, ANNEALING}},
    {"sasrec, trained mix", {AC, ONE_LEVEL, "calibrators.adversarial.rich_combine=trainable"}},
    {"sasrec, fixed mix, bpr", {AC, ONE_LEVEL, "training.loss=bpr"}},
    {"sasrec without penalty", {AC, "calibrators.adversarial.penalty_weight=0"}},
    {"calibrated bert4rec", {AC, BERT4REC}},
    {"calibrated bert4rec as released", {AC_RELEASED, BERT4REC}},
    {"calibrated bert4rec, fixed, masked cells read", {AC_RELEASED, BERT4REC, RELEASED_FIXED_NONE}},
    {"calibrated ssept", {AC, SSEPT, "calibrators.adversarial.renormalize=none"}},
    {"calibrated ssept as released", {AC_RELEASED, SSEPT, "calibrators.adversarial.renormalize=none"}},
    {"calibrated tisasrec", {AC, TISASREC, "calibrators.adversarial.renormalize=none"}},
    {"calibrated tisasrec as released", {AC_RELEASED, TISASREC, "calibrators.adversarial.renormalize=none"}},
    {"calibrated tisasrec, fixed, masked cells read", {AC_RELEASED, TISASREC, RELEASED_FIXED_NONE}},
    {"simple refinement", {REFINEMENT("simple"), "training.loss=binary_cross_entropy", "training.objective=all"}},
    {"simple refinement of scores, padding left",
     {REFINEMENT("simple"), "calibrators.refinement.source=scores", "model.padding=left"}},
    {"additive refinement by head", {REFINEMENT("additive"), "calibrators.refinement.per_head=true", "training.loss=bpr"}},
    {"value refinement", {REFINEMENT("value"), "calibrators.refinement.rank=4"}},
    {"learned value refinement", {REFINEMENT("value"), LEARNED_VALUE, "training.objective=all"}},
    {"refined bert4rec", {BERT4REC, REFINEMENT("value"), LEARNED_VALUE}},
    {"refined ssept", {SSEPT, REFINEMENT("additive")}},
    {"refined tisasrec", {TISASREC, REFINEMENT("simple"), "calibrators.refinement.source=scores"}},
    {"refined and calibrated", {AC, ONE_LEVEL, REFINEMENT("additive")}},
    {"refined and calibrated as released", {AC_RELEASED, REFINEMENT("value"), "calibrators.refinement.source=scores"}},
    {"frequency rescaler", {FREQUENCY, "model.padding=left"}},
    {"frequency rescaler, padding right" BY_TRANSFORMS, {FREQUENCY, "training.loss=bpr"}},
    {"frequency rescaler of each sequence", {FREQUENCY, "calibrators.frequency.window=sequence"}},
    {"frequency rescaler of each sequence, padding left, alone",
     {FREQUENCY, "calibrators.frequency.window=sequence", "calibrators.frequency.alpha=1", "model.padding=left"}},
    {"rescaled and calibrated", {AC, FREQUENCY, "model.padding=left"}},
    {"rescaled, refined and calibrated as released", {AC_RELEASED, FREQUENCY, REFINEMENT("additive")}},
    {"rescaled bert4rec", {BERT4REC, FREQUENCY}},
    {"rescaled ssept", {SSEPT, FREQUENCY}},
    {"rescaled tisasrec", {TISASREC, FREQUENCY, "calibrators.frequency.window=sequence"}},
    {"fmlprec", {FMLPREC, "model.padding=left"}},
    {"fmlprec" BY_TRANSFORMS, {FMLPREC, "model.max_length=7", "training.loss=binary_cross_entropy"}},
    {"stosa", {STOSA}},
    {"stosa with updated means, last position", {STOSA, "model.mean_update=updated", "model.padding=left"}},
    {"stosa, all positions", {STOSA, "model.mean_update=updated", "training.objective=all", "training.pvn_weight=0.5"}},
    {"stochastic refinement", {STOSA, REFINEMENT("stochastic"), "model.mean_update=updated"}},
    {"stochastic refinement of scores by head",
     {STOSA, REFINEMENT("stochastic"), "calibrators.refinement.source=scores", "calibrators.refinement.per_head=true"}},
    {"fearec", {FEAREC}},
    {"fearec with an odd window" BY_TRANSFORMS, {FEAREC, "model.max_length=7", "model.padding=left"}},
    {"fearec in bands that do not overlap, bpr", {FEAREC, "model.global_ratio=0.1", "training.loss=bpr", "model.layers=3"}},
    {"fearec, contrastive with spectra",
     {FEAREC, "model.padding=left", "training.contrastive.weight=0.5", "training.contrastive.spectral_weight=0.4"}},
    {"contrastive", {"training.contrastive.weight=0.5", "training.contrastive.temperature=2"}},
    {"contrastive ssept with shared embeddings",
     {"training.contrastive.weight=0.5", SSEPT, "model.sse_user_probability=0.5", "training.loss=bpr"}},
    {"value refinement of stosa", {STOSA, REFINEMENT("value"), LEARNED_VALUE, "model.padding=left"}},
    {"gru4rec", {GRU4REC}},
    {"gru4rec as released", {GRU4REC, "model.padding=left", "training.loss=bpr"}},
    {"gru4rec, all positions", {GRU4REC, "training.objective=all", "training.loss=binary_cross_entropy", "model.layers=3"}},
    {"gru4rec, all positions, padding left", {GRU4REC, "training.objective=all", "model.padding=left", "model.layers=1"}},
    {"caser", {CASER, "training.frobenius_penalty=0.01"}},
    {"caser as released", {CASER, "model.padding=left", "training.loss=binary_cross_entropy"}},
    {"caser without penalty", {CASER, "model.padding=left", "training.loss=bpr", "training.frobenius_penalty=0"}},
};

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch, again, alike; /* the latter two in contrastive training */
    size_t chunk_tokens;
    /* Where lags are frozen (FEARec): those that each pass of a step has chosen first. A finite difference over a change of
     * choices would be that of two functions. */
    enum { LAGS_ARE_CHOSEN, LAGS_ARE_KEPT, LAGS_ARE_FROZEN } freezing;
    size_t lags[VIEWS][MOST_LAYERS][LENGTH];
} world;

/* The same examples for a second pass, and for a third one others: here the next example of the list stands for each. */
static void build_views(world *w, const sr_example *examples, size_t count)
{
    sr_example again[EXAMPLES], alike[EXAMPLES];
    for (size_t e = 0; e < count; ++e) {
        again[e] = examples[e];
        alike[e] = examples[(e + 1) % count];
        again[e].targets = alike[e].targets = NULL;
        again[e].own_sequence = alike[e].own_sequence = true;
        alike[e].identity = examples[e].identity;
    }
    const sr_model_settings *model = &w->settings.model;
    assert_int_equal(sr_batch_build(&w->again, w->arena, model, SR_OBJECTIVE_LAST, true, again, count, NULL), SR_OK);
    assert_int_equal(sr_batch_build(&w->alike, w->arena, model, SR_OBJECTIVE_LAST, true, alike, count, NULL), SR_OK);
}

static void build_batch(world *w, bool training, size_t count)
{
    const bool masked = sr_model_needs_of(&w->settings.model, true).masked;
    const sr_objective objective = masked ? SR_OBJECTIVE_ALL : w->settings.model.objective;
    sr_example examples[EXAMPLES];
    for (size_t e = 0; e < count; ++e) {
        const size_t target = objective == SR_OBJECTIVE_ALL || lengths[e] == 0 ? 0 : lengths[e] - 1;
        examples[e] = (sr_example){.items = masked && training ? masked_histories[e] : histories[e],
                                   .times = times[e],
                                   .length = lengths[e],
                                   .user = 1 + (int32_t)e % USERS,
                                   .mask_token = training ? 0 : sr_model_mask_token(w->model),
                                   .identity = 100 + e,
                                   .targets = !training ? NULL : (masked ? hidden_items : next_items)[e] + target,
                                   .negatives = training ? negatives[e] + target : NULL};
    }
    /* Masked training has no empty example. */
    const size_t used = masked && training && count == EXAMPLES ? EXAMPLES - 1 : count;
    assert_int_equal(sr_batch_build(&w->batch, w->arena, &w->settings.model, objective, training, examples, used, NULL), SR_OK);
    if (w->settings.model.contrastive.in_use)
        build_views(w, examples, used);
}

/* The model of w->settings, drawn. */
static void open_world(world *w)
{
    w->freezing = LAGS_ARE_CHOSEN;
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, USERS, NULL), SR_OK);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 5);
}

/* The settings of a small model, those sizes that its backbone has, with `chosen` assignments (NULL where none is) on top. */
static sr_status choose(sr_settings *settings, const char *const *chosen, size_t count, sr_error *error)
{
    enum { MOST = 32 };
    static const struct {
        const char *key, *assignment;
    } sizes[] = {{"hidden_size", "model.hidden_size=8"},
                 {"heads", "model.heads=2"},
                 {"inner_size", "model.inner_size=10"},
                 {"max_length", "model.max_length=6"},
                 {"initializer_range", "model.initializer_range=0.4"},
                 {"user_hidden_size", "model.user_hidden_size=3"},
                 {"gru_hidden_size", "model.gru_hidden_size=5"},
                 {"vertical_filters", "model.vertical_filters=2"},
                 {"horizontal_filters", "model.horizontal_filters=3"}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    const char *assignments[MOST] = {"data.path=none"};
    size_t used = 1;
    assert_true(1 + count + SIZES <= MOST);
    for (size_t i = 0; i < count && chosen[i]; ++i)
        assignments[used++] = chosen[i];
    (void)sr_settings_parse(settings, "data:\n", "test", assignments, used, NULL); /* for its backbone */
    used = 1;
    sr_schema schema;
    sr_settings_schema(&schema);
    for (size_t i = 0; i < SIZES; ++i)
        if (schema_in_scope(schema_find(&schema, "model", sizes[i].key), settings))
            assignments[used++] = sizes[i].assignment;
    for (size_t i = 0; i < count && chosen[i]; ++i)
        assignments[used++] = chosen[i];
    return sr_settings_parse(settings, "data:\n", "test", assignments, used, error);
}

static void create_world(world *w, const variant *v)
{
    w->chunk_tokens = 0;
    sr_error error = {.message = ""};
    if (choose(&w->settings, v->assignments, sizeof v->assignments / sizeof *v->assignments, &error) != SR_OK)
        fail_msg("%s", error.message);
    open_world(w);
    if (strstr(v->name, BY_TRANSFORMS))
        use_transforms(w->model, SR_FOURIER_FFTW);
}

static void free_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_arena_free(w->arena);
}

/* The loss that ordinary parameters follow, and the one that mask generators follow (NULL without an adversarial calibrator).
 */
typedef struct {
    sr_tensor *loss, *attacked;
    double attacked_value;
} losses;

/* The encoder in training; its lags are chosen, chosen and kept, or those that were kept. */
static void encode_in_training(world *w, const sr_batch *batch, sr_pass pass, sr_encoding *encoding)
{
    sr_trace trace = {0};
    const size_t *frozen[MOST_LAYERS];
    const size_t layers = (size_t)w->settings.model.layers;
    for (size_t layer = 0; layer < layers && w->freezing == LAGS_ARE_FROZEN; ++layer)
        frozen[layer] = w->lags[pass.view][layer];
    pass.lags = w->freezing == LAGS_ARE_FROZEN ? frozen : NULL;
    pass.trace = w->freezing == LAGS_ARE_KEPT ? &trace : NULL;
    sr_model_encode(w->model, w->tape, batch, &pass, encoding);
    for (size_t layer = 0; layer < layers && trace.lag_count; ++layer)
        memcpy(w->lags[pass.view][layer], trace.lags[layer], trace.lag_count * sizeof **frozen);
}

static sr_tensor *states_of_view(world *w, const sr_batch *batch, sr_pass pass, unsigned view, sr_tensor **states)
{
    sr_encoding encoding;
    pass.view = view;
    pass.every_row = sr_model_state_weight(&w->settings.model) > 0;
    encode_in_training(w, batch, pass, &encoding);
    *states = encoding.states;
    return sr_select_rows(w->tape, encoding.representation, batch->example_reads, batch->examples);
}

static sr_tensor *with_contrast(world *w, const sr_pass *pass, sr_tensor *ranking)
{
    const sr_contrastive_settings *settings = &w->settings.model.contrastive;
    sr_tensor *again_states, *alike_states;
    sr_tensor *again = states_of_view(w, &w->again, *pass, 1, &again_states);
    sr_tensor *alike = states_of_view(w, &w->alike, *pass, 2, &alike_states);
    const size_t size = again->rows * again->columns;
    sr_real *rows = sr_tape_take(w->tape, 2 * size, sizeof *rows);
    double *log_sums = sr_tape_take(w->tape, 2 * again->rows, sizeof *log_sums);
    memcpy(rows, again->values, size * sizeof *rows);
    memcpy(rows + size, alike->values, size * sizeof *rows);
    const sr_contrast batch = {rows, 2 * again->rows, 0, again->rows, settings->temperature};
    assert_true(sr_contrastive_log_sums(w->tape, &batch, again->columns, log_sums));
    sr_tensor *loss = sr_contrastive_loss(w->tape, again, alike, &batch, log_sums, 0.5 / (double)again->rows);
    sr_tensor *total = sr_weighted_add(w->tape, ranking, 1, loss, settings->weight);
    const double state_weight = sr_model_state_weight(&w->settings.model);
    if (state_weight == 0)
        return total;
    sr_tensor *distance = sr_model_state_distance(w->model, w->tape, &w->again, again_states, alike_states, EXAMPLES);
    return sr_weighted_add(w->tape, total, 1, distance, state_weight);
}

static losses compute_losses(world *w)
{
    const sr_pass pass = {.training = true, .seed = 3, .step = 7, .chunk_tokens = w->chunk_tokens};
    const double weight = 1.0 / (double)w->batch.targets;
    sr_encoding encoding;
    sr_tape_reset(w->tape);
    encode_in_training(w, &w->batch, pass, &encoding);
    losses made = {.loss = sr_model_loss(w->model, w->tape, &w->batch, encoding.representation, weight)};
    if (w->settings.model.contrastive.in_use)
        made.loss = with_contrast(w, &pass, made.loss);
    if (!encoding.attacked)
        return made;
    sr_tensor *ranking = sr_model_loss(w->model, w->tape, &w->batch, encoding.attacked, weight);
    made.attacked = sr_model_attacked_loss(w->model, w->tape, &encoding, ranking, encoding.mask_square_sums);
    made.attacked_value = sr_model_penalty_weight(&w->settings.model) *
                              sr_mask_penalty(encoding.mask_square_sums, encoding.mask_count) -
                          ranking->values[0];
    return made;
}

static double value_for(world *w, sr_parameter_set set)
{
    const losses made = compute_losses(w);
    return set == SR_PARAMETERS_ATTACK ? made.attacked_value : made.loss->values[0];
}

/* Whether an element is a row of padding that is read without getting a gradient from it, which finite differences would see.
 */
static bool is_padding_row(const sr_parameter *parameter, size_t element)
{
    static const char *const tables[] = {
        "item_embedding.weight",     "item_mean_embedding.weight", "item_covariance_embedding.weight",
        "user_embedding.weight",     "pos_key_embedding.weight",   "pos_value_embedding.weight",
        "time_key_embedding.weight", "time_value_embedding.weight"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; ++i)
        if (strcmp(parameter->name, tables[i]) == 0)
            return element < parameter->shape[1];
    return false;
}

static void gradients_of_a_whole_model_agree_with_finite_differences(void **state)
{
    world w;
    create_world(&w, *state);
    build_batch(&w, true, EXAMPLES);
    sr_parameters *parameters = sr_model_parameters(w.model);
    const bool has_lags = sr_model_needs_of(&w.settings.model, true).sums_in_passes;
    w.freezing = has_lags ? LAGS_ARE_KEPT : LAGS_ARE_CHOSEN;
    const losses made = compute_losses(&w);
    w.freezing = has_lags ? LAGS_ARE_FROZEN : LAGS_ARE_CHOSEN;
    assert_int_equal(made.attacked != NULL, sr_model_needs_of(&w.settings.model, true).couples_batch);
    const sr_parameter_set followers = made.attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    assert_int_equal(sr_tape_backward(w.tape, made.loss, followers, NULL), SR_OK);
    if (made.attacked)
        assert_int_equal(sr_tape_backward(w.tape, made.attacked, SR_PARAMETERS_ATTACK, NULL), SR_OK);
    const double step = 1e-5;
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i) {
            if (is_padding_row(&parameters->list[p], i))
                continue;
            sr_real *element = parameters->values + parameters->list[p].offset + i;
            const double original = *element;
            *element = original + step;
            const double above = value_for(&w, parameters->list[p].set);
            *element = original - step;
            const double below = value_for(&w, parameters->list[p].set);
            *element = original;
            const double expected = (above - below) / (2 * step),
                         actual = parameters->gradients[parameters->list[p].offset + i];
            if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("%s[%zu]: gradient %.10g, finite differences %.10g", parameters->list[p].name, i, actual, expected);
        }
    free_world(&w);
}

/* Both losses, and their gradients in the model. */
static losses losses_with_gradients(world *w, size_t chunk_tokens)
{
    sr_parameters *parameters = sr_model_parameters(w->model);
    w->chunk_tokens = chunk_tokens;
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    const losses made = compute_losses(w);
    const sr_parameter_set followers = made.attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    assert_int_equal(sr_tape_backward(w->tape, made.loss, followers, NULL), SR_OK);
    if (made.attacked)
        assert_int_equal(sr_tape_backward(w->tape, made.attacked, SR_PARAMETERS_ATTACK, NULL), SR_OK);
    return made;
}

static void chunks_of_a_batch_give_the_losses_and_gradients_of_all_of_it(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 9}; /* tokens: one sequence a chunk, and a few */
    for (size_t v = 0; v < sizeof variants / sizeof *variants; ++v)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
            world w;
            create_world(&w, &variants[v]);
            build_batch(&w, true, EXAMPLES);
            sr_parameters *parameters = sr_model_parameters(w.model);
            losses made = losses_with_gradients(&w, SIZE_MAX);
            const double loss = made.loss->values[0], attacked = made.attacked ? made.attacked_value : 0;
            sr_real *whole;
            assert_int_equal(SR_ALLOCATE(&whole, parameters->block_size, "gradients", NULL), SR_OK);
            memcpy(whole, parameters->gradients, parameters->block_size * sizeof *whole);
            made = losses_with_gradients(&w, sizes[s]);
            assert_true(fabs(made.loss->values[0] - loss) <= 1e-12 * (1 + fabs(loss)));
            assert_true(!made.attacked || fabs(made.attacked_value - attacked) <= 1e-12 * (1 + fabs(attacked)));
            for (size_t i = 0; i < parameters->block_size; ++i)
                if (!(fabs(parameters->gradients[i] - whole[i]) <= 1e-11 * (1 + fabs(whole[i]))))
                    fail_msg("%s, chunks of %zu tokens: gradient %zu is %.15g instead of %.15g", variants[v].name, sizes[s], i,
                             parameters->gradients[i], whole[i]);
            free(whole);
            free_world(&w);
        }
}

static const sr_tensor *encode(world *w, const sr_batch *batch, const sr_pass *pass)
{
    sr_encoding encoding;
    sr_tape_reset(w->tape);
    sr_model_encode(w->model, w->tape, batch, pass, &encoding);
    assert_non_null(encoding.representation);
    return encoding.representation;
}

/* The representation after the first `count` items of the longest history that fits the window, as its own example. */
static void representation_of_prefix(world *w, const int32_t *items, size_t count, sr_real *out)
{
    sr_batch batch;
    const sr_example example = {.items = items, .length = count, .identity = 1};
    const sr_pass pass = {.step = (uint64_t)sr_model_step(w->model)};
    assert_int_equal(sr_batch_build(&batch, w->arena, &w->settings.model, SR_OBJECTIVE_LAST, false, &example, 1, NULL), SR_OK);
    memcpy(out, encode(w, &batch, &pass)->values, 8 * sizeof *out);
}

static void changing_an_item_changes_nothing_before_it(void **state)
{
    (void)state;
    /* With right padding the state after k items is that of row k - 1 of the whole sequence. */
    world w;
    const variant all = {"all positions", {"training.objective=all"}};
    create_world(&w, &all);
    int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9};
    for (size_t changed = 0; changed < LENGTH; ++changed) {
        for (size_t count = 1; count <= LENGTH; ++count) {
            sr_real before[8], after[8];
            representation_of_prefix(&w, items, count, before);
            const int32_t original = items[changed];
            items[changed] = 11;
            representation_of_prefix(&w, items, count, after);
            items[changed] = original;
            assert_int_equal(memcmp(before, after, sizeof before) == 0, changed >= count);
        }
    }
    free_world(&w);
}

/* Calibrated or not, a position of a causal model knows nothing of what follows. */
static const variant causal_variants[] = {
    {"sasrec", {"training.objective=all"}},
    {"spatial", {SPATIAL, "training.objective=all"}},
    {"gate, softmax, as released", {AC_RELEASED, "training.objective=all"}},
    {"gate without renormalising", {AC, "training.objective=all", "calibrators.adversarial.renormalize=none"}},
    {"gate, mass", {AC, "training.objective=all", "calibrators.adversarial.renormalize=mass"}},
    {"fixed, softmax, masked cells counted", {AC_RELEASED, "training.objective=all", "calibrators.adversarial.combine=fixed"}},
    {"fixed, mass, masked cells counted",
     {AC_RELEASED, "training.objective=all", "calibrators.adversarial.combine=fixed",
      "calibrators.adversarial.renormalize=mass"}},
    {"fixed without renormalising",
     {AC, "training.objective=all", "calibrators.adversarial.combine=fixed", "calibrators.adversarial.renormalize=none"}},
    {"annealing, one level", {AC, ONE_LEVEL, ANNEALING, "training.objective=all"}},
    {"gru4rec", {GRU4REC, "training.objective=all"}},
};

static void one_pass_over_a_sequence_gives_every_prefix(void **state)
{
    world w;
    create_world(&w, *state);
    sr_model_set_step(w.model, 5);
    const int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9}, targets[LENGTH] = {1, 4, 1, 5, 9, 2};
    const sr_example example = {.items = items, .length = LENGTH, .identity = 1, .targets = targets};
    const sr_pass pass = {.step = 5};
    sr_real whole[LENGTH * 8];
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_ALL, false, &example, 1, NULL), SR_OK);
    const sr_tensor *states = encode(&w, &w.batch, &pass);
    assert_int_equal(states->rows, LENGTH);
    memcpy(whole, states->values, sizeof whole);
    for (size_t count = 1; count <= LENGTH; ++count) {
        sr_real alone[8];
        representation_of_prefix(&w, items, count, alone);
        for (size_t i = 0; i < 8; ++i)
            assert_true(fabs(alone[i] - whole[(count - 1) * 8 + i]) < 1e-12);
    }
    free_world(&w);
}

/* ---- every causal model and stage ---- */

/* The representations of all positions of one sequence, in evaluation; release with free(). */
static sr_real *states_of(world *w, const int32_t *items, size_t *width)
{
    static const int32_t no_targets[LENGTH] = {1, 1, 1, 1, 1, 1};
    static const int64_t stamps[LENGTH] = {3, 4, 4, 20, 31, 90};
    const sr_example example = {
        .items = items, .times = stamps, .length = LENGTH, .user = 2, .identity = 1, .targets = no_targets};
    const sr_pass pass = {.step = 5};
    sr_batch batch;
    assert_int_equal(sr_batch_build(&batch, w->arena, &w->settings.model, SR_OBJECTIVE_ALL, false, &example, 1, NULL), SR_OK);
    const sr_tensor *states = encode(w, &batch, &pass);
    assert_int_equal(states->rows, LENGTH);
    *width = states->columns;
    sr_real *copy = malloc(LENGTH * states->columns * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, states->values, LENGTH * states->columns * sizeof *copy);
    return copy;
}

/* Another item at position t changes nothing before t, and something at t. */
static void check_causality(world *w, const char *what)
{
    for (size_t changed = 0; changed < LENGTH; ++changed) {
        int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9};
        size_t width;
        sr_real *before = states_of(w, items, &width);
        items[changed] = 11;
        sr_real *after = states_of(w, items, &width);
        for (size_t position = 0; position <= changed; ++position) {
            const bool same = memcmp(before + position * width, after + position * width, width * sizeof *before) == 0;
            if (same != (position < changed))
                fail_msg("%s: another item at position %zu %s position %zu", what, changed,
                         same ? "does not change" : "changes", position);
        }
        free(before);
        free(after);
    }
}

/* Whether the configuration allows this, and the model is causal: then it is checked. */
static bool check_causality_of(const char *backbone, const char *stage, sr_error *error)
{
    char chosen_backbone[64];
    snprintf(chosen_backbone, sizeof chosen_backbone, "model.backbone=%s", backbone);
    const char *loss = strcmp(backbone, "stosa") == 0 ? "training.loss=stosa" : "training.loss=cross_entropy";
    const char *chosen[] = {chosen_backbone, "training.objective=all", loss, stage};
    world w;
    *error = (sr_error){.status = SR_OK};
    if (choose(&w.settings, chosen, sizeof chosen / sizeof *chosen, error) != SR_OK ||
        !sr_model_needs_of(&w.settings.model, false).causal)
        return false;
    open_world(&w);
    check_causality(&w, stage ? stage : backbone);
    free_world(&w);
    return true;
}

/* The same with each value of a choice or a switch, and with the default of a number, which stands for its stage alone; returns
 * how many were checked. */
static size_t check_causality_with(const char *backbone, const sr_key *key, sr_error *error)
{
    static const sr_choice truths[] = {{"true", 1, NULL}, {"false", 0, NULL}, {NULL, 0, NULL}};
    const sr_choice defaults[] = {{key->standard, 0, NULL}, {NULL, 0, NULL}};
    const bool is_choice = key->type == SR_KEY_CHOICE;
    size_t checked = 0;
    for (size_t i = 0;; ++i) {
        const sr_choice *values = key->type == SR_KEY_BOOLEAN ? truths : defaults;
        const sr_choice value = is_choice ? schema_choice_at(key, i) : values[i];
        char chosen[128];
        if (!value.name)
            return checked;
        snprintf(chosen, sizeof chosen, "%s.%s=%s", key->section, key->name, value.name);
        checked += check_causality_of(backbone, chosen, error);
    }
}

/* Every backbone, alone and with each value of each choice and switch of each calibrator, as far as the configuration allows
 * it: a stage that is added to the schema is covered without a word here. */
static void nothing_before_a_changed_item_changes(void **state)
{
    (void)state;
    size_t checked = 0;
    sr_error error;
    sr_schema schema;
    sr_settings_schema(&schema);
    const sr_key *backbones = schema_find(&schema, "model", "backbone")->key;
    for (size_t b = 0; schema_choice_at(backbones, b).name; ++b) {
        const char *backbone = schema_choice_at(backbones, b).name;
        checked += check_causality_of(backbone, NULL, &error);
        if (error.status != SR_OK && !strstr(error.message, "training.objective is all"))
            fail_msg("%s", error.message);
        for (size_t r = 0; r < schema.key_count; ++r)
            if (strncmp(schema.keys[r].key->section, "calibrators.", strlen("calibrators.")) == 0)
                checked += check_causality_with(backbone, schema.keys[r].key, &error);
    }
    assert_true(checked > 50);
}

static void build_part(world *w, size_t first, size_t count)
{
    sr_example examples[EXAMPLES];
    for (size_t i = 0; i < count; ++i) {
        const size_t e = first + i, target = lengths[e] ? lengths[e] - 1 : 0;
        examples[i] = (sr_example){
            .items = histories[e], .length = lengths[e], .user = 1, .identity = 100 + e, .targets = next_items[e] + target};
    }
    assert_int_equal(sr_batch_build(&w->batch, w->arena, &w->settings.model, SR_OBJECTIVE_LAST, true, examples, count, NULL),
                     SR_OK);
}

/* Ranks sum the losses of their parts. */
static void losses_of_parts_contain_the_penalty_once(void **state)
{
    (void)state;
    static const variant penalised = {"penalised", {CASER, "training.frobenius_penalty=3"}};
    static const variant plain = {"plain", {CASER, "training.frobenius_penalty=0"}};
    const variant *variants_of_penalty[] = {&penalised, &plain};
    double whole[2] = {0}, parts[2] = {0}, norms = 0;
    for (size_t v = 0; v < 2; ++v) {
        world w;
        create_world(&w, variants_of_penalty[v]);
        const sr_pass pass = {.training = true, .seed = 3, .step = 7};
        const size_t firsts[] = {0, 0, 2}, counts[] = {EXAMPLES, 2, EXAMPLES - 2};
        for (size_t part = 0; part < 3; ++part) {
            sr_encoding encoding;
            build_part(&w, firsts[part], counts[part]);
            sr_tape_reset(w.tape);
            sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
            *(part == 0
                  ? &whole[v]
                  : &parts[v]) += sr_model_loss(w.model, w.tape, &w.batch, encoding.representation, 1.0 / EXAMPLES)->values[0];
        }
        norms = sr_model_penalty(w.model, w.tape, &(double){0})->values[0];
        free_world(&w);
    }
    assert_true(norms > 10);
    assert_true(fabs(whole[0] - whole[1] - 3 * norms) < 1e-10);
    assert_true(fabs(parts[0] - parts[1] - 3 * norms) < 1e-10);
    assert_true(fabs(parts[1] - whole[1]) < 1e-12);
}

/* The penalty is a norm over the whole batch: parts of it, computed one by one, must sum to the same function. */
static void attacked_gradients_of_parts_add_up_to_those_of_the_batch(void **state)
{
    world w;
    create_world(&w, *state);
    sr_parameters *parameters = sr_model_parameters(w.model);
    const sr_pass pass = {.training = true, .seed = 3, .step = 7};
    const size_t firsts[] = {0, 0, 2}, counts[] = {EXAMPLES, 2, EXAMPLES - 2};
    double squares[3][SR_LAYERS_MAXIMUM] = {{0}};
    sr_real *whole = calloc(parameters->block_size, sizeof *whole);
    for (size_t round = 0; round < 6; ++round) {
        /* First the sums of squares of each part, then gradients with those of the whole. */
        const size_t part = round % 3;
        sr_encoding encoding;
        build_part(&w, firsts[part], counts[part]);
        sr_tape_reset(w.tape);
        sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
        memcpy(squares[part], encoding.mask_square_sums, sizeof squares[part]);
        if (round < 3)
            continue;
        sr_tensor *ranking = sr_model_loss(w.model, w.tape, &w.batch, encoding.attacked, 1.0 / EXAMPLES);
        sr_tensor *attacked = sr_model_attacked_loss(w.model, w.tape, &encoding, ranking, squares[0]);
        assert_int_equal(sr_tape_backward(w.tape, attacked, SR_PARAMETERS_ATTACK, NULL), SR_OK);
        if (part == 0) {
            memcpy(whole, parameters->gradients, parameters->block_size * sizeof *whole);
            memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
        }
    }
    for (size_t layer = 0; layer < 2; ++layer)
        assert_true(fabs(squares[0][layer] - squares[1][layer] - squares[2][layer]) < 1e-9);
    double largest = 0;
    for (size_t i = 0; i < parameters->block_size; ++i) {
        assert_true(fabs(whole[i] - parameters->gradients[i]) < 1e-12);
        largest = fabs(whole[i]) > largest ? fabs(whole[i]) : largest;
    }
    assert_true(largest > 1e-3);
    free(whole);
    free_world(&w);
}

/* The penalty counts every query's row of every layer, whatever rows of the last one somebody reads. */
static void the_mask_penalty_does_not_depend_on_which_rows_are_read(void **state)
{
    (void)state;
#define WITHOUT_DROPOUT "model.hidden_dropout=0", "model.attention_dropout=0"
#define SOFTMAX "calibrators.adversarial.renormalize=softmax"
    static const variant padded[] = {
        {"right", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX}},
        {"left", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX, "model.padding=left"}},
        {"left, noise on masked cells", {AC_RELEASED, WITHOUT_DROPOUT, "model.padding=left"}},
        {"left, rescaled", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX, "model.padding=left", FREQUENCY}},
        {"left, refined", {AC_RELEASED, WITHOUT_DROPOUT, SOFTMAX, "model.padding=left", REFINEMENT("simple")}},
        {"left, visible cells", {AC, WITHOUT_DROPOUT, "model.padding=left"}}};
    for (size_t v = 0; v < sizeof padded / sizeof *padded; ++v) {
        double squares[2][SR_LAYERS_MAXIMUM];
        world w;
        create_world(&w, &padded[v]);
        for (size_t every = 0; every < 2; ++every) {
            const sr_pass pass = {.training = true, .seed = 3, .step = 7, .every_row = every == 1};
            sr_encoding encoding;
            build_batch(&w, true, EXAMPLES);
            sr_tape_reset(w.tape);
            sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
            assert_int_equal(encoding.mask_count, w.settings.model.layers);
            memcpy(squares[every], encoding.mask_square_sums, sizeof squares[every]);
        }
        for (size_t layer = 0; layer < (size_t)w.settings.model.layers; ++layer) {
            if (!(fabs(squares[0][layer] - squares[1][layer]) < 1e-9))
                fail_msg("padding %s, layer %zu: %.12g of the rows that are read, %.12g of all", padded[v].name, layer,
                         squares[0][layer], squares[1][layer]);
        }
        free_world(&w);
    }
}

/* The padding in front of the items is read with padding left alone: row 0 of the item table is padding. */
static void recurrent_units_run_over_padding_in_front_of_the_items_alone(void **state)
{
    (void)state;
    static const variant sides[] = {{"right", {GRU4REC}}, {"left", {GRU4REC, "model.padding=left"}}};
    for (size_t side = 0; side < 2; ++side) {
        world w;
        create_world(&w, &sides[side]);
        const sr_example example = {.items = histories[0], .length = 5, .identity = 1};
        const sr_pass pass = {.training = false};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, false, &example, 1, NULL),
                         SR_OK);
        assert_int_equal(w.batch.layout.offsets[1], side == 0 ? 5 : LENGTH);
        const double before = encode(&w, &w.batch, &pass)->values[0];
        sr_model_parameters(w.model)->values[0] += 1; /* of the first parameter, the item table */
        const double after = encode(&w, &w.batch, &pass)->values[0];
        assert_int_equal(before == after, side == 0);
        free_world(&w);
    }
}

/* Of the released code: a window is padded to max_length with row 0 of the item table, on either side. */
static void convolutions_see_the_padding_of_the_window(void **state)
{
    (void)state;
    static const variant sides[] = {{"right", {CASER}}, {"left", {CASER, "model.padding=left"}}};
    for (size_t side = 0; side < 2; ++side) {
        world w;
        create_world(&w, &sides[side]);
        const int32_t items[LENGTH] = {3, 1, 4, 0, 0, 0}, padded[LENGTH] = {0, 0, 0, 3, 1, 4};
        /* The same window with padding given as if it were items. */
        const sr_example examples[] = {{.items = items, .length = 3, .user = 2, .identity = 1},
                                       {.items = side == 0 ? items : padded, .length = LENGTH, .user = 2, .identity = 2}};
        const sr_pass pass = {.training = false};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, false, examples, 2, NULL),
                         SR_OK);
        assert_int_equal(w.batch.layout.offsets[2], 3 + LENGTH);
        const sr_tensor *states = encode(&w, &w.batch, &pass);
        double size = 0;
        for (size_t i = 0; i < 8; ++i) {
            assert_true(fabs(states->values[i] - states->values[8 + i]) < 1e-12);
            size += fabs(states->values[i]);
        }
        assert_true(size > 0.1);
        free_world(&w);
    }
}

static double largest_of(const sr_parameters *parameters, const char *name)
{
    const size_t index = sr_parameters_find(parameters, name);
    assert_true(index != SIZE_MAX);
    double largest = 0;
    for (size_t i = 0; i < parameters->list[index].size; ++i)
        largest = fmax(largest, fabs((double)parameters->values[parameters->list[index].offset + i]));
    return largest;
}

/* Every bound is reached to a tenth by the largest of many weights, and never passed. */
static void recurrent_units_and_convolutions_start_as_released(void **state)
{
    (void)state;
    static const struct {
        variant of;
        struct {
            const char *name;
            double bound;
        } weights[4];
    } cases[] = {{{"gru4rec", {GRU4REC, "model.gru_hidden_size=25"}},
                  {{"layers.0.gru.input.weight", 0.26884},  /* sqrt(6 / (75 + 8)) */
                   {"layers.0.gru.hidden.weight", 0.24495}, /* sqrt(6 / (75 + 25)) */
                   {"layers.1.gru.input.weight", 0.2},
                   {"layers.1.gru.hidden.weight", 0.2}}},
                 {{"caser", {CASER, "model.vertical_filters=20", "model.horizontal_filters=20"}},
                  {{"vertical.weight", 0.40825}, /* 1 / sqrt(6) */
                   {"vertical.bias", 0.40825},
                   {"horizontal.2.weight", 0.25}, /* 1 / sqrt(2 * 8) */
                   {"horizontal.2.bias", 0.25}}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        world w;
        create_world(&w, &cases[i].of);
        for (size_t k = 0; k < 4; ++k) {
            const double largest = largest_of(sr_model_parameters(w.model), cases[i].weights[k].name);
            if (largest > cases[i].weights[k].bound + 1e-5 || largest < 0.9 * cases[i].weights[k].bound)
                fail_msg("%s starts with weights up to %g", cases[i].weights[k].name, largest);
        }
        assert_true(largest_of(sr_model_parameters(w.model), "item_embedding.weight") > 0.8); /* normal, 0.4 */
        free_world(&w);
    }
}

static void the_attacked_branch_exists_in_training_only(void **state)
{
    (void)state;
    world w;
    const variant calibrated = {"calibrated", {AC}};
    create_world(&w, &calibrated);
    sr_encoding encoding;
    const sr_pass training = {.training = true}, evaluation = {.training = false};
    build_batch(&w, true, EXAMPLES);
    sr_model_encode(w.model, w.tape, &w.batch, &training, &encoding);
    assert_non_null(encoding.attacked);
    assert_int_equal(encoding.mask_count, 2);
    build_batch(&w, false, EXAMPLES);
    sr_tape_reset(w.tape);
    sr_model_encode(w.model, w.tape, &w.batch, &evaluation, &encoding);
    assert_null(encoding.attacked);
    assert_int_equal(encoding.mask_count, 0);
    free_world(&w);
}

static const sr_real *values_of(const sr_parameters *parameters, const char *name)
{
    const size_t index = sr_parameters_find(parameters, name);
    assert_true(index != SIZE_MAX);
    return parameters->values + parameters->list[index].offset;
}

static void calibrators_start_as_published(void **state)
{
    (void)state;
    world w;
    const variant drawn = {"drawn", {AC, ONE_LEVEL, "calibrators.adversarial.rich_combine=trainable"}};
    create_world(&w, &drawn);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    const double scale = values_of(parameters, "layers.0.attention.distance.scale")[0];
    assert_true(scale != 0 && scale != 1);
    assert_true(values_of(parameters, "layers.1.attention.distance.scale")[0] == scale);
    assert_true(values_of(parameters, "layers.1.mix_ratio")[0] == 0.5);
    assert_true(values_of(parameters, "layers.0.attention.order.weight")[0] !=
                values_of(parameters, "layers.1.attention.order.weight")[0]);
    free_world(&w);
    const variant one = {"one", {SPATIAL, "calibrators.spatial.distance_scale=one"}};
    create_world(&w, &one);
    assert_true(values_of(sr_model_parameters(w.model), "layers.1.attention.distance.scale")[0] == 1);
    free_world(&w);
}

/* As in the published code, which draws linear maps and tables by rules of its own, and nothing else. */
static void the_mean_of_initial_weights_is_that_of_linear_maps_and_tables_alone(void **state)
{
    (void)state;
    static const struct {
        variant drawn;
        const char *centred, *shifted;
    } cases[] = {{{"spatial", {SPATIAL}}, "layers.0.attention.distance.scale", "layers.0.attention.order.weight"},
                 {{"frequency", {FREQUENCY}}, "layers.1.frequency.sqrt_beta", "item_embedding.weight"},
                 {{"fmlprec", {FMLPREC}}, "layers.1.filter.weight", "layers.1.ffn.inner.weight"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        double centred[2], shifted[2];
        for (size_t mean = 0; mean < 2; ++mean) {
            variant drawn = cases[i].drawn;
            drawn.assignments[1] = mean ? "model.initializer_mean=0.5" : NULL;
            world w;
            create_world(&w, &drawn);
            centred[mean] = values_of(sr_model_parameters(w.model), cases[i].centred)[0];
            shifted[mean] = values_of(sr_model_parameters(w.model), cases[i].shifted)[0];
            free_world(&w);
        }
        assert_true(centred[0] != 0 && centred[1] == centred[0]);
        assert_true(fabs(shifted[1] - shifted[0] - 0.5) < 1e-12);
    }
}

/* With probability (almost) 1 every id is drawn anew: only then, and only in training, the state forgets the history. */
static void shared_embeddings_replace_ids_in_training_only(void **state)
{
    (void)state;
    world plain, shared;
    const variant without = {"without", {SSEPT, "model.hidden_dropout=0", "model.attention_dropout=0"}};
    const variant with = {"with",
                          {SSEPT, "model.hidden_dropout=0", "model.attention_dropout=0", "model.sse_user_probability=0.99",
                           "model.sse_item_probability=0.99"}};
    create_world(&plain, &without);
    create_world(&shared, &with);
    build_batch(&plain, false, EXAMPLES);
    build_batch(&shared, false, EXAMPLES);
    const sr_pass training = {.training = true, .seed = 3}, evaluation = {.training = false};
    const size_t count = plain.batch.reads.offsets[plain.batch.layout.sequences] * 5;
    assert_memory_equal(encode(&plain, &plain.batch, &evaluation)->values, encode(&shared, &shared.batch, &evaluation)->values,
                        count * sizeof(sr_real));
    const sr_real *kept = encode(&plain, &plain.batch, &training)->values;
    const sr_real *replaced = encode(&shared, &shared.batch, &training)->values;
    assert_memory_not_equal(kept, replaced, count * sizeof(sr_real));
    free_world(&plain);
    free_world(&shared);
}

static void an_example_does_not_depend_on_the_others_in_its_batch(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    const sr_pass pass = {.training = true, .seed = 3, .step = 7}; /* dropout included: it is keyed by the example */
    sr_real together[EXAMPLES][8];
    build_batch(&w, false, EXAMPLES);
    const sr_tensor *states = encode(&w, &w.batch, &pass);
    for (size_t e = 0; e < EXAMPLES; ++e)
        memcpy(together[e], states->values + w.batch.example_reads[e] * 8, sizeof together[e]);
    for (size_t e = 0; e < EXAMPLES; ++e) {
        const sr_example example = {.items = histories[e], .length = lengths[e], .identity = 100 + e};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, false, &example, 1, NULL),
                         SR_OK);
        const sr_tensor *alone = encode(&w, &w.batch, &pass);
        for (size_t i = 0; i < 8; ++i)
            assert_true(fabs(alone->values[i] - together[e][i]) < 1e-12);
    }
    free_world(&w);
}

/* Keeping inner values changes nothing, and they are those of the pass: the last layer's states are what is read. */
static void check_trace(const variant *v)
{
    world w;
    create_world(&w, v);
    build_batch(&w, false, EXAMPLES);
    const sr_pass plain = {.step = 5};
    const sr_tensor *expected = encode(&w, &w.batch, &plain);
    const size_t rows = expected->rows, columns = expected->columns;
    sr_real *copy = malloc(rows * columns * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, expected->values, rows * columns * sizeof *copy);
    sr_trace trace = {.layers = 0};
    const sr_pass traced = {.step = 5, .every_row = true, .trace = &trace};
    const sr_tensor *actual = encode(&w, &w.batch, &traced);
    const sr_layout *layout = &w.batch.layout;
    const size_t layers = (size_t)w.settings.model.layers;
    assert_int_equal(actual->rows * actual->columns, rows * columns);
    for (size_t i = 0; i < rows * columns; ++i)
        assert_true(fabs(actual->values[i] - copy[i]) < 1e-12);
    if (trace.state_count) {
        assert_int_equal(trace.state_count, layers + 1);
        for (size_t layer = 0; layer <= layers; ++layer)
            assert_int_equal(trace.states[layer]->rows, layout->offsets[layout->sequences]);
        const sr_tensor *last = trace.states[layers];
        const bool mapped = w.settings.model.backbone == sr_backbone_number("gru4rec"); /* what is read is a map of it */
        for (size_t row = 0; row < rows && !mapped; ++row)
            assert_memory_equal(last->values + w.batch.reads.tokens[row] * last->columns, actual->values + row * columns,
                                columns * sizeof *copy);
    }
    for (size_t layer = 0; layer < trace.layers; ++layer) {
        const sr_attention_map *map = trace.maps[layer];
        assert_int_equal(trace.uncalibrated[layer]->rows, sr_attention_map_cells(map));
        assert_int_equal(trace.attention[layer]->rows, sr_attention_map_cells(trace.attention_maps[layer]));
        double sum = 0; /* of rows that each sum to 1 */
        for (size_t cell = 0; cell < sr_attention_map_cells(map); ++cell)
            sum += trace.uncalibrated[layer]->values[cell];
        assert_true(fabs(sum / (double)(map->heads * sr_rows_count(map->queries, layout)) - 1) < 1e-12);
    }
    free(copy);
    free_world(&w);
}

static void a_traced_pass_keeps_states_and_attention_of_every_layer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; ++i)
        check_trace(&variants[i]);
    world w;
    create_world(&w, &variants[0]);
    build_batch(&w, false, EXAMPLES);
    sr_trace trace = {.layers = 0};
    const sr_pass pass = {.trace = &trace};
    encode(&w, &w.batch, &pass);
    assert_int_equal(trace.layers, w.settings.model.layers);
    assert_int_equal(trace.state_count, w.settings.model.layers + 1);
    free_world(&w);
}

static void a_batch_holds_the_latest_items_and_one_sequence_for_all_empty_histories(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[2]); /* left padding */
    const int32_t items[] = {1, 2, 3, 4, 5, 6, 7, 8}, target = 9;
    const sr_example examples[] = {{.items = items, .length = 8, .identity = 1, .targets = &target},
                                   {.items = items, .length = 0, .identity = 2, .targets = &target},
                                   {.items = items, .length = 2, .identity = 3, .targets = &target},
                                   {.items = items, .length = 0, .identity = 4, .targets = &target}};
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, true, examples, 4, NULL), SR_OK);
    const sr_layout *layout = &w.batch.layout;
    assert_int_equal(layout->sequences, 3);
    assert_int_equal(layout->offsets[3], LENGTH + LENGTH + 2);
    assert_int_equal(w.batch.items[0], 3); /* the window holds 3..8 */
    assert_int_equal(layout->leading[1], LENGTH);
    assert_int_equal(layout->columns[layout->offsets[2]], LENGTH - 2);
    assert_int_equal(w.batch.targets, 4);
    assert_int_equal(w.batch.target_reads[1], w.batch.target_reads[3]);
    assert_int_equal(w.batch.example_reads[1], w.batch.example_reads[3]);
    free_world(&w);
}

static void examples_that_ask_for_it_have_a_sequence_of_their_own_and_passes_their_own_dropout(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    const sr_example examples[] = {{.items = histories[0], .length = 0, .identity = 1, .own_sequence = true},
                                   {.items = histories[0], .length = 0, .identity = 2},
                                   {.items = histories[0], .length = 0, .identity = 3, .own_sequence = true},
                                   {.items = histories[0], .length = 0, .identity = 4}};
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, true, examples, 4, NULL), SR_OK);
    const sr_layout *layout = &w.batch.layout;
    assert_int_equal(layout->sequences, 3);
    assert_int_equal(layout->offsets[3], 3 * LENGTH);
    assert_int_equal(w.batch.example_reads[1], w.batch.example_reads[3]);
    const sr_packing packing = sr_model_packing(&w.settings.model, SR_OBJECTIVE_LAST, true);
    assert_true(sr_example_work(&examples[0], &packing) >= sr_example_work(&examples[1], &packing) + LENGTH);
    sr_pass pass = {.training = true, .seed = 3, .step = 7};
    sr_real first[3 * 8], second[3 * 8];
    memcpy(first, encode(&w, &w.batch, &pass)->values, sizeof first);
    assert_memory_not_equal(first, first + 8, 8 * sizeof *first);
    assert_memory_not_equal(first, first + 16, 8 * sizeof *first);
    pass.view = 1;
    memcpy(second, encode(&w, &w.batch, &pass)->values, sizeof second);
    for (size_t row = 0; row < 3; ++row)
        assert_memory_not_equal(first + row * 8, second + row * 8, 8 * sizeof *first);
    free_world(&w);
}

static void a_batch_without_examples_has_no_loss_and_no_gradient(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    build_batch(&w, true, 0);
    const sr_pass pass = {.training = true};
    sr_encoding encoding;
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
    sr_tensor *loss = sr_model_loss(w.model, w.tape, &w.batch, encoding.representation, 0.25);
    assert_int_equal(sr_tape_backward(w.tape, loss, SR_PARAMETERS_EVERY, NULL), SR_OK);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    assert_true(loss->values[0] == 0);
    for (size_t i = 0; i < parameters->block_size; ++i)
        assert_true(parameters->gradients[i] == 0);
    free_world(&w);
}

static void the_loss_of_a_fresh_model_is_that_of_guessing(void **state)
{
    (void)state;
    world w;
    const variant small = {"initial weights as configured by default", {"model.initializer_range=0.02"}};
    create_world(&w, &small);
    build_batch(&w, true, EXAMPLES);
    /* Eight columns and five targets: the scores of the start still scatter by a few percent of ln V. */
    assert_true(fabs(value_for(&w, SR_PARAMETERS_ORDINARY) / log(ITEMS + 1) - 1) < 0.05);
    free_world(&w);
}

static void heads_that_do_not_divide_the_width_are_refused(void **state)
{
    (void)state;
    sr_settings settings;
    sr_model *model;
    sr_error error;
    sr_settings_default(&settings);
    settings.model.heads = 3;
    assert_int_equal(sr_model_create(&model, &settings.model, ITEMS, USERS, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "not divisible"));
}

int main(void)
{
    enum { VARIANTS = sizeof variants / sizeof *variants };
    struct CMUnitTest gradient_tests[VARIANTS];
    for (size_t i = 0; i < VARIANTS; ++i) {
        memset(&gradient_tests[i], 0, sizeof gradient_tests[i]);
        gradient_tests[i].name = variants[i].name;
        gradient_tests[i].test_func = gradients_of_a_whole_model_agree_with_finite_differences;
        gradient_tests[i].initial_state = (void *)(uintptr_t)&variants[i];
    }
    enum { CAUSAL_VARIANTS = sizeof causal_variants / sizeof *causal_variants };
    struct CMUnitTest causal_tests[CAUSAL_VARIANTS];
    for (size_t i = 0; i < CAUSAL_VARIANTS; ++i) {
        memset(&causal_tests[i], 0, sizeof causal_tests[i]);
        causal_tests[i].name = causal_variants[i].name;
        causal_tests[i].test_func = one_pass_over_a_sequence_gives_every_prefix;
        causal_tests[i].initial_state = (void *)(uintptr_t)&causal_variants[i];
    }
    static const variant visible = {"visible", {AC}}, window = {"window", {AC_RELEASED}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing_an_item_changes_nothing_before_it),
        cmocka_unit_test(chunks_of_a_batch_give_the_losses_and_gradients_of_all_of_it),
        cmocka_unit_test_prestate(attacked_gradients_of_parts_add_up_to_those_of_the_batch, (void *)(uintptr_t)&visible),
        cmocka_unit_test_prestate(attacked_gradients_of_parts_add_up_to_those_of_the_batch, (void *)(uintptr_t)&window),
        cmocka_unit_test(nothing_before_a_changed_item_changes),
        cmocka_unit_test(recurrent_units_run_over_padding_in_front_of_the_items_alone),
        cmocka_unit_test(losses_of_parts_contain_the_penalty_once),
        cmocka_unit_test(the_mask_penalty_does_not_depend_on_which_rows_are_read),
        cmocka_unit_test(convolutions_see_the_padding_of_the_window),
        cmocka_unit_test(recurrent_units_and_convolutions_start_as_released),
        cmocka_unit_test(the_attacked_branch_exists_in_training_only),
        cmocka_unit_test(calibrators_start_as_published),
        cmocka_unit_test(the_mean_of_initial_weights_is_that_of_linear_maps_and_tables_alone),
        cmocka_unit_test(shared_embeddings_replace_ids_in_training_only),
        cmocka_unit_test(an_example_does_not_depend_on_the_others_in_its_batch),
        cmocka_unit_test(a_traced_pass_keeps_states_and_attention_of_every_layer),
        cmocka_unit_test(a_batch_holds_the_latest_items_and_one_sequence_for_all_empty_histories),
        cmocka_unit_test(examples_that_ask_for_it_have_a_sequence_of_their_own_and_passes_their_own_dropout),
        cmocka_unit_test(a_batch_without_examples_has_no_loss_and_no_gradient),
        cmocka_unit_test(the_loss_of_a_fresh_model_is_that_of_guessing),
        cmocka_unit_test(heads_that_do_not_divide_the_width_are_refused),
    };
    return cmocka_run_group_tests_name("gradients of whole models", gradient_tests, NULL, NULL) +
           cmocka_run_group_tests_name("one pass over a sequence gives every prefix", causal_tests, NULL, NULL) +
           cmocka_run_group_tests_name("models and batches", tests, NULL, NULL);
}

/* parity [--attention] [--all-known] FIXTURE.h5 ...: compares srtrain with a double-precision reference implementation.
 *
 * A fixture holds a small model, one batch, and the outputs, scores, losses and gradients that the reference computed from
 * them. For each one the model is built through the code that training uses, and a line tells how far it is from the reference:
 *
 *   PASS|FAIL name output=E scores=E loss=E grad=E (worst parameter)
 *
 * E are relative errors ||a - b|| / (||b|| + tiny). A fixture whose configuration names a key or a choice that this build does
 * not have cannot be compared: its line begins with "not known to this build". A last line counts all of them.
 *
 * Exits 0 when at least one fixture was compared and none of those failed. With --all-known a fixture that is not known fails:
 * for fixtures whose models exist, so that none is lost when a key gets another name. With --attention the attention weights of
 * the real queries are compared as well, for finding errors. */
#include "cpu_level.h"
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/objective.h"
#include "srtrain/settings.h"

#include "fixture.h"
#include "fixture_configuration.h"
#include "fixture_lists.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double OUTPUT_TOLERANCE = 1e-4;
static const double GRADIENT_TOLERANCE = 1e-3;
static const double ZERO_GRADIENT_TOLERANCE = 1e-6;

typedef struct {
    parity_fixture *fixture;
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    size_t examples, max_length;
    int32_t *sequence, *targets, *negatives; /* [B, L], [B] or [B, L], likewise or NULL */
    int32_t *users;                          /* [B] or NULL */
    int64_t *times, *next_times;             /* [B, L] or NULL */
    int32_t *masked_sequence,
        *masked_targets;  /* masked models: the training input and what is hidden in it, 0 elsewhere; [B, L] */
    int32_t *same_target; /* contrastive training: other histories with the same targets, [B, L] */
    double *noise;        /* of the last layer, [B, heads, L, L], or NULL */
    bool attention;
    double output_error, scores_error, loss_error, gradient_error;
    char worst_parameter[SR_PARAMETER_NAME_SIZE];
} comparison;

/* ||a - b|| / (||b|| + tiny) */
static double relative_error(const sr_real *actual, const double *expected, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; ++i) {
        difference += ((double)actual[i] - expected[i]) * ((double)actual[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    return isfinite(difference) ? sqrt(difference) / (sqrt(norm) + 1e-30) : INFINITY;
}

static void keep_worst(double *worst, double error)
{
    if (!(error <= *worst))
        *worst = error;
}

/* ---- loading ---- */

static sr_status load_parameters(comparison *c, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(c->model);
    for (size_t i = 0; i < parameters->count; ++i) {
        const sr_parameter *parameter = &parameters->list[i];
        double *values = NULL;
        SR_TRY(fixture_read_sized(c->fixture, "/parameters", parameter->name, parameter->size, &values, error));
        for (size_t k = 0; k < parameter->size; ++k)
            parameters->values[parameter->offset + k] = (sr_real)values[k];
        free(values);
    }
    return SR_OK;
}

/* Which item each masked position hides, from the fixture's list of at most K of them a sequence. */
static sr_status load_masked(comparison *c, sr_error *error)
{
    int32_t *positions = NULL, *items = NULL;
    double *weights = NULL;
    size_t count = 0;
    c->masked_targets = calloc(c->examples * c->max_length, sizeof *c->masked_targets);
    sr_status status = c->masked_targets ? SR_OK : sr_fail_memory(error, c->examples * c->max_length, "masked items");
    if (status == SR_OK)
        status = fixture_read_integers(c->fixture, "/inputs", "masked_sequence", &c->masked_sequence, &count, error);
    if (status == SR_OK)
        status = fixture_read_integers(c->fixture, "/inputs", "masked_positions", &positions, &count, error);
    if (status == SR_OK)
        status = fixture_read_integers(c->fixture, "/inputs", "masked_items", &items, &count, error);
    if (status == SR_OK)
        status = fixture_read_sized(c->fixture, "/inputs", "masked_weight", count, &weights, error);
    const size_t row = count / c->examples;
    for (size_t i = 0; i < count && status == SR_OK; ++i)
        if (weights[i] > 0)
            c->masked_targets[i / row * c->max_length + (size_t)positions[i]] = items[i];
    free(positions);
    free(items);
    free(weights);
    return status;
}

static sr_status load_noise(comparison *c, sr_error *error)
{
    char name[64];
    const size_t heads = (size_t)c->settings.model.heads;
    snprintf(name, sizeof name, "noise.layers.%lld", (long long)c->settings.model.layers - 1);
    return fixture_read_sized(c->fixture, "/inputs", name, c->examples * heads * c->max_length * c->max_length, &c->noise,
                              error);
}

static sr_status load_inputs(comparison *c, sr_error *error)
{
    const sr_model_needs needs = sr_model_needs_of(&c->settings.model, true);
    const bool all = c->settings.model.objective == SR_OBJECTIVE_ALL;
    c->max_length = (size_t)c->settings.model.max_length;
    size_t count;
    SR_TRY(fixture_read_integers(c->fixture, "/inputs", "sequence", &c->sequence, &count, error));
    c->examples = count / c->max_length;
    SR_TRY(fixture_read_integers(c->fixture, "/inputs", all ? "target_sequence" : "target", &c->targets, &count, error));
    if (needs.negatives && !fixture_has_lists(c->fixture))
        SR_TRY(fixture_read_integers(c->fixture, "/inputs", "negative", &c->negatives, &count, error));
    if (needs.users)
        SR_TRY(fixture_read_integers(c->fixture, "/inputs", "user", &c->users, &count, error));
    if (needs.times)
        SR_TRY(fixture_read_long_integers(c->fixture, "/inputs", "time", &c->times, &count, error));
    if (needs.next_times)
        SR_TRY(fixture_read_long_integers(c->fixture, "/inputs", "next_time", &c->next_times, &count, error));
    if (needs.masked)
        SR_TRY(load_masked(c, error));
    if (c->settings.model.contrastive.in_use)
        SR_TRY(fixture_read_integers(c->fixture, "/inputs", "same_target", &c->same_target, &count, error));
    return needs.couples_batch ? load_noise(c, error) : SR_OK;
}

static sr_status load(comparison *c, const char *path, sr_error *error)
{
    SR_TRY(fixture_open(&c->fixture, path, error));
    char *configuration;
    SR_TRY(fixture_configuration_of_backbone(c->fixture, &configuration, error));
    /* Fixtures name positions for every transformer; TiSASRec has its own whatever they say, which srtrain does not let pass.
     */
    const bool own_positions = strstr(configuration, "backbone: tisasrec");
    const char *const assignments[] = {"data.path=fixture", "model.positions=none"};
    const sr_status status = sr_settings_parse(&c->settings, configuration, path, assignments, own_positions ? 2 : 1, error);
    free(configuration);
    SR_TRY(status);
    SR_TRY(sr_model_create(&c->model, &c->settings.model, (size_t)fixture_items(c->fixture), (size_t)fixture_users(c->fixture),
                           error));
    sr_model_set_step(c->model, fixture_annealing_step(c->fixture));
    SR_TRY(sr_arena_create(&c->arena, 1 << 20, error));
    SR_TRY(sr_tape_create(&c->tape, tested_kernels(), true, error));
    SR_TRY(load_parameters(c, error));
    return load_inputs(c, error);
}

/* The column of row `e` in which its items begin, and how many there are. */
static size_t first_column(const comparison *c, const int32_t *sequence, size_t e, size_t *length)
{
    const int32_t *row = sequence + e * c->max_length;
    *length = 0;
    for (size_t i = 0; i < c->max_length; ++i)
        *length += row[i] != 0;
    return c->settings.model.padding == SR_PADDING_LEFT ? c->max_length - *length : 0;
}

/* Examples of padded sequences, without targets. */
static sr_status take_examples(const comparison *c, const int32_t *sequence, sr_example **examples, sr_error *error)
{
    *examples = sr_arena_take(c->arena, c->examples * sizeof **examples);
    if (!*examples)
        return sr_fail_memory(error, c->examples * sizeof **examples, "examples");
    for (size_t e = 0; e < c->examples; ++e) {
        size_t length;
        const size_t first = first_column(c, sequence, e, &length);
        (*examples)[e] = (sr_example){.items = sequence + e * c->max_length + first,
                                      .times = c->times ? c->times + e * c->max_length + first : NULL,
                                      .next_time = c->next_times ? c->next_times[e * c->max_length + first + length - 1] : 0,
                                      .length = length,
                                      .user = c->users ? c->users[e] : 0,
                                      .identity = e};
    }
    return SR_OK;
}

/* The packed batch of the fixture's padded sequences, as training or evaluation reads them. */
static sr_status build_batch(const comparison *c, bool training, sr_batch *batch, sr_error *error)
{
    const bool masked = c->masked_sequence && training;
    const sr_objective objective = masked ? SR_OBJECTIVE_ALL : c->settings.model.objective;
    const int32_t *sequence = masked ? c->masked_sequence : c->sequence;
    const int32_t *targets = masked ? c->masked_targets : c->targets;
    sr_example *examples;
    SR_TRY(take_examples(c, sequence, &examples, error));
    for (size_t e = 0; e < c->examples; ++e) {
        size_t length;
        const size_t first = first_column(c, sequence, e, &length);
        const size_t target = objective == SR_OBJECTIVE_ALL ? e * c->max_length + first : e;
        examples[e].mask_token = training ? 0 : sr_model_mask_token(c->model);
        examples[e].targets = training ? targets + target : NULL;
        examples[e].negatives = training && c->negatives ? c->negatives + target : NULL;
    }
    return sr_batch_build(batch, c->arena, &c->settings.model, objective, training, examples, c->examples, error);
}

/* The batch of a further pass of contrastive training. */
static sr_status build_view(const comparison *c, const int32_t *sequence, sr_batch *batch, sr_error *error)
{
    sr_example *examples;
    SR_TRY(take_examples(c, sequence, &examples, error));
    for (size_t e = 0; e < c->examples; ++e)
        examples[e].own_sequence = true;
    return sr_batch_build(batch, c->arena, &c->settings.model, SR_OBJECTIVE_LAST, true, examples, c->examples, error);
}

/* ---- comparing ---- */

/* The expected representations [B, width]; those of a model of Gaussians are [mean, covariance]. */
static sr_status read_representations(const comparison *c, size_t width, double **expected, sr_error *error)
{
    if (c->settings.model.backbone != sr_backbone_number("stosa"))
        return fixture_read_sized(c->fixture, "/expected", "representation", c->examples * width, expected, error);
    const size_t half = width / 2;
    double *means = NULL, *covariances = NULL;
    *expected = calloc(c->examples * width, sizeof **expected);
    sr_status status = *expected ? SR_OK : sr_fail_memory(error, c->examples * width, "representations");
    if (status == SR_OK)
        status = fixture_read_sized(c->fixture, "/expected", "representation", c->examples * half, &means, error);
    if (status == SR_OK)
        status = fixture_read_sized(c->fixture, "/expected", "representation_covariance", c->examples * half, &covariances,
                                    error);
    for (size_t e = 0; e < c->examples && status == SR_OK; ++e) {
        memcpy(*expected + e * width, means + e * half, half * sizeof **expected);
        memcpy(*expected + e * width + half, covariances + e * half, half * sizeof **expected);
    }
    free(means);
    free(covariances);
    return status;
}

/* scores [columns] of one state. */
static sr_status score_catalogue(sr_catalogue *catalogue, const sr_real *state, sr_real *scores, sr_error *error)
{
    const sr_score_tile *tiles;
    size_t count;
    sr_catalogue_tiles(catalogue, &tiles, &count);
    SR_TRY(sr_catalogue_take_states(catalogue, state, 1, error));
    for (size_t i = 0; i < count; ++i)
        sr_catalogue_score(catalogue, &(sr_score_part){.states = 1, .tile = i, .items = tiles[i].items.count},
                           scores + tiles[i].begin);
    return SR_OK;
}

static sr_status compare_scores(comparison *c, const sr_tensor *representation, const sr_batch *batch, sr_error *error)
{
    const size_t width = representation->columns, items = sr_model_items(c->model) + 1;
    sr_catalogue *catalogue = NULL;
    double *expected_output = NULL, *expected_scores = NULL;
    sr_real *scores = calloc(items, sizeof *scores), *outputs = calloc(c->examples * width, sizeof *outputs);
    sr_status status = scores && outputs ? SR_OK : sr_fail_memory(error, items * sizeof *scores, "scores");
    if (status == SR_OK)
        status = sr_catalogue_create(&catalogue, c->model, sr_tape_kernels(c->tape), error);
    if (status == SR_OK)
        status = read_representations(c, width, &expected_output, error);
    if (status == SR_OK)
        status = fixture_read_sized(c->fixture, "/expected", "scores", c->examples * items, &expected_scores, error);
    for (size_t e = 0; e < c->examples && status == SR_OK; ++e) {
        const sr_real *state = representation->values + batch->example_reads[e] * width;
        memcpy(outputs + e * width, state, width * sizeof *outputs);
        status = score_catalogue(catalogue, state, scores, error);
        keep_worst(&c->scores_error, relative_error(scores, expected_scores + e * items, items));
    }
    if (status == SR_OK)
        keep_worst(&c->output_error, relative_error(outputs, expected_output, c->examples * width));
    sr_catalogue_free(catalogue);
    free(scores);
    free(outputs);
    free(expected_output);
    free(expected_scores);
    return status;
}

/* One layer's weights of the real queries, cell by cell in the padded frame [B, heads, L, L]. */
static double attention_error(const comparison *c, const sr_tensor *weights, const sr_attention_map *map,
                              const double *expected)
{
    const sr_layout *layout = map->layout;
    const size_t length = c->max_length;
    double difference = 0, norm = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
        const size_t first_query = map->queries->offsets[s], first_key = map->keys->offsets[s];
        const size_t queries = map->queries->offsets[s + 1] - first_query;
        for (size_t head = 0; head < map->heads; ++head)
            for (size_t i = 0; i < queries; ++i) {
                const size_t token = map->queries->tokens[first_query + i];
                const size_t row = (s * map->heads + head) * length + (size_t)layout->columns[token];
                for (size_t j = 0; j < keys && sr_is_item(layout, s, token); ++j) {
                    const size_t column = (size_t)layout->columns[map->keys->tokens[first_key + j]];
                    const double actual = (double)weights->values[map->offsets[s] + (head * queries + i) * keys + j];
                    const double wanted = expected[row * length + column];
                    difference += (actual - wanted) * (actual - wanted);
                    norm += wanted * wanted;
                }
            }
    }
    return sqrt(difference) / (sqrt(norm) + 1e-30);
}

static sr_status compare_attention(comparison *c, const sr_trace *trace, sr_error *error)
{
    for (size_t layer = 0; layer < trace->layers; ++layer) {
        char name[64];
        snprintf(name, sizeof name, "attention.layers.%zu", layer);
        const size_t cells = c->examples * trace->maps[layer]->heads * c->max_length * c->max_length;
        double *expected = NULL;
        SR_TRY(fixture_read_sized(c->fixture, "/expected", name, cells, &expected, error));
        keep_worst(&c->output_error, attention_error(c, trace->attention[layer], trace->maps[layer], expected));
        free(expected);
    }
    return SR_OK;
}

static sr_status compare_evaluation(comparison *c, sr_error *error)
{
    sr_batch batch;
    sr_encoding encoding;
    SR_TRY(build_batch(c, false, &batch, error));
    const sr_pass pass = {.step = (uint64_t)sr_model_step(c->model)};
    sr_model_encode(c->model, c->tape, &batch, &pass, &encoding);
    SR_TRY(sr_tape_status(c->tape, error));
    return compare_scores(c, encoding.representation, &batch, error);
}

static sr_status compare_gradient(comparison *c, const sr_parameter *parameter, sr_error *error)
{
    const sr_real *gradient = sr_model_parameters(c->model)->gradients + parameter->offset;
    double gradient_error = 0;
    if (fixture_has_zero_gradient(c->fixture, parameter->name)) {
        for (size_t i = 0; i < parameter->size; ++i)
            keep_worst(&gradient_error, fabs((double)gradient[i]));
        gradient_error *= GRADIENT_TOLERANCE / ZERO_GRADIENT_TOLERANCE; /* on the scale of the others */
    } else {
        double *expected = NULL;
        SR_TRY(fixture_read_sized(c->fixture, "/expected/gradients", parameter->name, parameter->size, &expected, error));
        gradient_error = relative_error(gradient, expected, parameter->size);
        free(expected);
    }
    if (!(gradient_error <= c->gradient_error) || !*c->worst_parameter) {
        c->gradient_error = gradient_error;
        snprintf(c->worst_parameter, sizeof c->worst_parameter, "%s", parameter->name);
    }
    return SR_OK;
}

static sr_status compare_loss(comparison *c, const char *dataset, double actual, sr_error *error)
{
    double *expected = NULL;
    SR_TRY(fixture_read_sized(c->fixture, "/expected", dataset, 1, &expected, error));
    const sr_real value = (sr_real)actual;
    keep_worst(&c->loss_error, relative_error(&value, expected, 1));
    free(expected);
    return SR_OK;
}

/* The dataset with the value of the loss by which items are ranked: that of the calibrated branch, where there is another. */
static const char *ranking_dataset(const sr_settings *settings, bool attacked, char *name, size_t size)
{
    snprintf(name, size, "loss.%s", attacked ? "calibrated" : sr_settings_choice("training.loss", settings->model.loss));
    return name;
}

/* Every term has a dataset of its name; the first one that of its loss, which holds nothing of what is within it. */
static sr_status compare_terms(comparison *c, const sr_outcome *outcome, bool attacked, sr_error *error)
{
    const sr_terms *terms = &outcome->terms;
    double ranking = sr_term_mean(&terms->list[0], outcome->targets);
    char name[SR_NAME_SIZE];
    for (size_t i = 1; i < terms->count; ++i) {
        const double value = sr_term_mean(&terms->list[i], outcome->targets);
        snprintf(name, sizeof name, "loss.%s", terms->list[i].name);
        SR_TRY(compare_loss(c, name, value, error));
        if (terms->list[i].within)
            ranking -= terms->list[i].weight * value;
    }
    return compare_loss(c, ranking_dataset(&c->settings, attacked, name, sizeof name), ranking, error);
}

/* The losses that parameters follow. Where it has one term alone, it has no dataset of its own. */
static sr_status compare_losses(comparison *c, const sr_outcome *outcome, sr_error *error)
{
    const sr_terms *terms = &outcome->terms;
    const bool attacked = terms->list[0].followers == SR_PARAMETERS_ORDINARY;
    SR_TRY(compare_terms(c, outcome, attacked, error));
    const double ordinary = sr_terms_total(terms, SR_PARAMETERS_ORDINARY, outcome->targets);
    const double attack = sr_terms_total(terms, SR_PARAMETERS_ATTACK, outcome->targets);
    if (attacked)
        return compare_loss(c, "loss.attacked", attack, error);
    return terms->count > 1 ? compare_loss(c, "loss.total", ordinary, error) : SR_OK;
}

/* The batch of a training step, with its lists of negatives. */
static sr_status build_training_batch(const comparison *c, sr_batch *batch, sr_error *error)
{
    SR_TRY(build_batch(c, true, batch, error));
    if (!sr_model_needs_of(&c->settings.model, true).negatives || !fixture_has_lists(c->fixture))
        return SR_OK;
    const fixture_examples examples = {.fixture = c->fixture,
                                       .examples = c->examples,
                                       .max_length = c->max_length,
                                       .sequence = c->sequence,
                                       .targets = c->targets,
                                       .every_position = c->settings.model.objective == SR_OBJECTIVE_ALL};
    return fixture_lists(&examples, c->arena, &batch->negatives, error);
}

static sr_status compare_training(comparison *c, sr_error *error)
{
    sr_batch batch, again, alike;
    sr_trace trace = {.layers = 0};
    sr_outcome outcome;
    SR_TRY(build_training_batch(c, &batch, error));
    if (c->settings.model.contrastive.in_use) {
        SR_TRY(build_view(c, c->sequence, &again, error));
        SR_TRY(build_view(c, c->same_target, &alike, error));
        batch.again = &again;
        batch.alike = &alike;
    }
    const sr_objective_request request = {.model = c->model,
                                          .tape = c->tape,
                                          .batch = &batch,
                                          .pass = {.training = true,
                                                   .step = (uint64_t)sr_model_step(c->model),
                                                   .every_row = c->attention,
                                                   .trace = c->attention ? &trace : NULL,
                                                   .noise = c->noise},
                                          .targets = (double)batch.targets};
    sr_tape_reset(c->tape);
    SR_TRY(sr_objective_run(&request, SR_OK, &outcome, error));
    SR_TRY(compare_losses(c, &outcome, error));
    const sr_parameters *parameters = sr_model_parameters(c->model);
    for (size_t i = 0; i < parameters->count; ++i)
        SR_TRY(compare_gradient(c, &parameters->list[i], error));
    return c->attention ? compare_attention(c, &trace, error) : SR_OK;
}

static void release(comparison *c)
{
    fixture_close(c->fixture);
    sr_model_free(c->model);
    sr_tape_free(c->tape);
    sr_arena_free(c->arena);
    free(c->sequence);
    free(c->targets);
    free(c->negatives);
    free(c->users);
    free(c->times);
    free(c->next_times);
    free(c->masked_sequence);
    free(c->masked_targets);
    free(c->same_target);
    free(c->noise);
}

/* ---- fixtures ---- */

typedef enum { PASSED, FAILED, NOT_KNOWN, OUTCOMES } outcome;

typedef struct {
    bool attention, all_known;
} options;

static outcome check_fixture(const char *path, const options *chosen)
{
    comparison c = {.attention = chosen->attention};
    sr_error error = {.status = SR_OK};
    sr_status status = load(&c, path, &error);
    const char *name = c.fixture ? fixture_name(c.fixture) : path;
    outcome found = FAILED;
    if (status != SR_OK && !c.model && !chosen->all_known && fixture_finding_is_unknown(&error)) {
        char finding[256];
        fixture_shorten_finding(&error, finding, sizeof finding);
        printf("not known to this build: %s: %s\n", name, finding);
        release(&c);
        return NOT_KNOWN;
    }
    if (status == SR_OK)
        status = compare_evaluation(&c, &error);
    if (status == SR_OK)
        status = compare_training(&c, &error);
    if (status == SR_OK) {
        if (c.output_error <= OUTPUT_TOLERANCE && c.scores_error <= OUTPUT_TOLERANCE && c.loss_error <= OUTPUT_TOLERANCE &&
            c.gradient_error <= GRADIENT_TOLERANCE)
            found = PASSED;
        printf("%s %s output=%.2e scores=%.2e loss=%.2e grad=%.2e (%s)\n", found == PASSED ? "PASS" : "FAIL", name,
               c.output_error, c.scores_error, c.loss_error, c.gradient_error, c.worst_parameter);
    } else {
        printf("FAIL %s: %s\n", name, error.message);
    }
    release(&c);
    return found;
}

int main(int argument_count, char **arguments)
{
    options chosen = {.attention = false};
    size_t counts[OUTCOMES] = {0};
    int first = 1;
    for (; first < argument_count && strncmp(arguments[first], "--", 2) == 0; ++first) {
        if (strcmp(arguments[first], "--attention") == 0)
            chosen.attention = true;
        else if (strcmp(arguments[first], "--all-known") == 0)
            chosen.all_known = true;
        else
            break;
    }
    if (first >= argument_count || strncmp(arguments[first], "--", 2) == 0) {
        fprintf(stderr, "usage: %s [--attention] [--all-known] FIXTURE.h5 ...\n", arguments[0]);
        return SR_ERROR_USAGE;
    }
    for (int i = first; i < argument_count; ++i)
        ++counts[check_fixture(arguments[i], &chosen)];
    printf("%zu of %d fixtures compared: %zu pass, %zu fail; %zu not known to this build\n", counts[PASSED] + counts[FAILED],
           argument_count - first, counts[PASSED], counts[FAILED], counts[NOT_KNOWN]);
    if (fflush(stdout) != 0 || counts[FAILED] > 0)
        return 1;
    return counts[PASSED] > 0 ? 0 : 1;
}

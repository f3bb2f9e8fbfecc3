/* The recipes of docs/adding-a-model.md: a calibrator, a backbone, a loss and an optimizer, each added by one file and one row.
 *
 * The library is linked as it is, but for its four lists, which have one row more each (tests/adding.cmake). */
#include "model/component.h"
#include "quoted_page.h"
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/objective.h"
#include "srtrain/optimizer.h"
#include "srtrain/settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 11, LENGTH = 6, EXAMPLES = 4, WIDTH = 8 };

typedef struct {
    const char *name;
    const char *assignments[4];
} variant;

/* The rows of the recipes, and combinations of the examples. */
static const variant variants[] = {
    {"temperature", {"calibrators.temperature.least=0.2"}},
    {"average", {"model.backbone=average", "model.latest_share=0.3"}},
    {"margin", {"training.loss=margin"}},
    {"margin at all positions", {"training.loss=margin", "training.objective=all", "training.margin=0.3"}},
    {"temperature beside another calibrator", {"calibrators.temperature.least=0", "calibrators.spatial.order=true"}},
    {"average and margin", {"model.backbone=average", "training.loss=margin", "training.objective=all"}},
    {"average without the latest item", {"model.backbone=average", "model.latest_share=0", "model.padding=left"}},
};

/* ---- models ---- */

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
} world;

/* Settings of a small model. Sizes that a backbone does not have are left out. */
static sr_status choose(sr_settings *settings, const variant *v, sr_error *error)
{
    const char *assignments[16] = {"model.hidden_size=8", "model.max_length=6", "model.initializer_range=0.4"};
    size_t count = 3;
    const bool averages = v->assignments[0] && strcmp(v->assignments[0], "model.backbone=average") == 0;
    if (!averages) {
        assignments[count++] = "model.inner_size=10";
        assignments[count++] = "model.heads=2";
    }
    for (size_t i = 0; i < 4 && v->assignments[i]; ++i)
        assignments[count++] = v->assignments[i];
    return sr_settings_parse(settings, "data: {path: none}\n", "test", assignments, count, error);
}

static void create_world(world *w, const variant *v)
{
    sr_error error = {.message = ""};
    if (choose(&w->settings, v, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, 1, NULL), SR_OK);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, sr_kernels_choose(NULL), true, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 5);
}

static void free_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_arena_free(w->arena);
}

/* Histories of different length, one of them empty. */
static void build_batch(world *w)
{
    static const int32_t histories[EXAMPLES][LENGTH] = {{3, 1, 4, 1, 5}, {9}, {2, 6, 5, 3, 5, 8}, {0}};
    static const int32_t next_items[EXAMPLES][LENGTH] = {{1, 4, 1, 5, 9}, {2}, {6, 5, 3, 5, 8, 9}, {10}};
    static const int32_t negatives[EXAMPLES][LENGTH] = {{7, 7, 8, 2, 6}, {1}, {4, 4, 1, 1, 2, 2}, {3}};
    static const size_t lengths[EXAMPLES] = {5, 1, 6, 0};
    const sr_objective objective = w->settings.model.objective;
    sr_example examples[EXAMPLES];
    for (size_t e = 0; e < EXAMPLES; ++e) {
        const size_t first = objective == SR_OBJECTIVE_ALL || lengths[e] == 0 ? 0 : lengths[e] - 1;
        examples[e] = (sr_example){.items = histories[e],
                                   .length = lengths[e],
                                   .identity = 100 + e,
                                   .targets = next_items[e] + first,
                                   .negatives = negatives[e] + first};
    }
    assert_int_equal(sr_batch_build(&w->batch, w->arena, &w->settings.model, objective, true, examples, EXAMPLES, NULL), SR_OK);
}

/* The loss of the present parameters in a pass, with its gradient in the model. */
static double loss_of_pass(world *w, const sr_pass *pass)
{
    sr_parameters *parameters = sr_model_parameters(w->model);
    const sr_objective_request request = {
        .model = w->model, .tape = w->tape, .batch = &w->batch, .pass = *pass, .targets = (double)w->batch.targets};
    sr_outcome outcome;
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    sr_tape_reset(w->tape);
    assert_int_equal(sr_objective_run(&request, SR_OK, &outcome, NULL), SR_OK);
    return sr_term_mean(&outcome.terms.list[0], outcome.targets);
}

/* The same with dropout, whose random numbers are those of one step. */
static double differentiate(world *w)
{
    return loss_of_pass(w, &(sr_pass){.training = true, .seed = 3, .step = 7});
}

static void check_gradient(world *w, const sr_parameter *parameter, size_t i)
{
    const double step = 1e-5;
    sr_parameters *parameters = sr_model_parameters(w->model);
    sr_real *element = parameters->values + parameter->offset + i;
    differentiate(w);
    const double original = *element, actual = parameters->gradients[parameter->offset + i];
    *element = original + step;
    const double above = differentiate(w);
    *element = original - step;
    const double below = differentiate(w);
    *element = original;
    const double expected = (above - below) / (2 * step);
    if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
        fail_msg("%s[%zu]: gradient %.10g, finite differences %.10g", parameter->name, i, actual, expected);
}

static void gradients_agree_with_finite_differences(void **state)
{
    world w;
    create_world(&w, *state);
    build_batch(&w);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    assert_true(differentiate(&w) > 0);
    for (size_t p = 0; p < parameters->count; ++p) {
        /* The row of padding is read without getting a gradient from it. */
        const bool is_table = strcmp(parameters->list[p].name, "item_embedding.weight") == 0;
        for (size_t i = is_table ? WIDTH : 0; i < parameters->list[p].size; ++i)
            check_gradient(&w, &parameters->list[p], i);
    }
    free_world(&w);
}

static void descent_along_the_gradient_lowers_the_loss(void **state)
{
    world w;
    create_world(&w, *state);
    build_batch(&w);
    sr_parameters *parameters = sr_model_parameters(w.model);
    const double before = differentiate(&w);
    for (int step = 0; step < 30; ++step) {
        for (size_t i = 0; i < parameters->block_size; ++i)
            parameters->values[i] -= 0.05 * parameters->gradients[i];
        differentiate(&w);
    }
    assert_true(differentiate(&w) < 0.9 * before);
    free_world(&w);
}

/* ---- what they compute ---- */

/* The states of all positions of a sequence in evaluation, [LENGTH, WIDTH]. */
static void states_of(world *w, const int32_t *items, sr_real *states)
{
    static const int32_t targets[LENGTH] = {1, 1, 1, 1, 1, 1};
    const sr_example example = {.items = items, .length = LENGTH, .identity = 1, .targets = targets};
    const sr_pass pass = {.training = false};
    sr_batch batch;
    sr_encoding encoding;
    assert_int_equal(sr_batch_build(&batch, w->arena, &w->settings.model, SR_OBJECTIVE_ALL, false, &example, 1, NULL), SR_OK);
    sr_tape_reset(w->tape);
    sr_model_encode(w->model, w->tape, &batch, &pass, &encoding);
    assert_int_equal(encoding.representation->rows, LENGTH);
    memcpy(states, encoding.representation->values, LENGTH * WIDTH * sizeof *states);
}

static void another_item_changes_nothing_before_it(void **state)
{
    world w;
    create_world(&w, *state);
    for (size_t changed = 0; changed < LENGTH; ++changed) {
        int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9};
        sr_real before[LENGTH * WIDTH], after[LENGTH * WIDTH];
        states_of(&w, items, before);
        items[changed] = ITEMS;
        states_of(&w, items, after);
        for (size_t t = 0; t <= changed; ++t)
            assert_int_equal(memcmp(before + t * WIDTH, after + t * WIDTH, WIDTH * sizeof *before) == 0, t < changed);
    }
    free_world(&w);
}

static sr_real *values_of(world *w, const char *name)
{
    sr_parameters *parameters = sr_model_parameters(w->model);
    const size_t index = sr_parameters_find(parameters, name);
    assert_true(index < parameters->count);
    return parameters->values + parameters->list[index].offset;
}

static void temperature_starts_without_effect_and_multiplies_scores(void **state)
{
    (void)state;
    static const variant plain = {"plain", {"model.layers=1"}};
    static const variant scaled = {"scaled", {"calibrators.temperature.least=0.2", "model.layers=1"}};
    const int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9};
    sr_real states[LENGTH * WIDTH], wanted[LENGTH * WIDTH];
    world w, reference;
    create_world(&w, &scaled);
    create_world(&reference, &plain);
    /* r = 1.5; the reference has the same weights, and its queries are those of the model times f = 0.2 + 0.8 * 1.5^2 = 2. */
    const sr_parameters *to = sr_model_parameters(reference.model);
    for (size_t p = 0; p < to->count; ++p)
        memcpy(to->values + to->list[p].offset, values_of(&w, to->list[p].name), to->list[p].size * sizeof *to->values);
    for (int factor = 1; factor <= 2; ++factor) {
        states_of(&w, items, states);
        states_of(&reference, items, wanted);
        for (size_t i = 0; i < LENGTH * WIDTH; ++i)
            assert_true(fabs(states[i] - wanted[i]) < 1e-12);
        *values_of(&w, "layers.0.attention.temperature") = 1.5;
        for (size_t i = 0; i < WIDTH * WIDTH; ++i)
            values_of(&reference, "layers.0.attention.query.weight")[i] *= 2;
        for (size_t i = 0; i < WIDTH; ++i)
            values_of(&reference, "layers.0.attention.query.bias")[i] *= 2;
    }
    free_world(&w);
    free_world(&reference);
}

static void average_is_the_latest_item_and_the_mean_through_a_linear_map(void **state)
{
    (void)state;
    const int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9};
    sr_real states[LENGTH * WIDTH];
    double sum[WIDTH] = {0};
    world w;
    create_world(&w, &variants[1]);
    states_of(&w, items, states);
    const sr_real *table = values_of(&w, "item_embedding.weight"), *weight = values_of(&w, "dense.weight");
    for (size_t t = 0; t < LENGTH; ++t) {
        const sr_real *latest = table + (size_t)items[t] * WIDTH;
        for (size_t i = 0; i < WIDTH; ++i)
            sum[i] += latest[i];
        for (size_t i = 0; i < WIDTH; ++i) {
            double mapped = values_of(&w, "dense.bias")[i];
            for (size_t j = 0; j < WIDTH; ++j)
                mapped += weight[i * WIDTH + j] * sum[j] / (double)(t + 1);
            assert_true(fabs(states[t * WIDTH + i] - (0.3 * latest[i] + 0.7 * mapped)) < 1e-12);
        }
    }
    free_world(&w);
}

static void margin_is_the_mean_of_what_targets_lack(void **state)
{
    (void)state;
    static const variant sharp = {"margin", {"training.loss=margin", "training.margin=0.3", "model.hidden_dropout=0"}};
    double sum = 0;
    size_t content = 0;
    world w;
    create_world(&w, &sharp);
    build_batch(&w);
    const sr_pass pass = {.training = true};
    const sr_real *table = values_of(&w, "item_embedding.weight");
    sr_encoding encoding;
    sr_model_encode(w.model, w.tape, &w.batch, &pass, &encoding);
    for (size_t i = 0; i < w.batch.targets; ++i) {
        const sr_real *x = encoding.representation->values + w.batch.target_reads[i] * WIDTH;
        double lack = 0.3;
        for (size_t j = 0; j < WIDTH; ++j)
            lack += x[j] * (table[(size_t)w.batch.negatives->items[i] * WIDTH + j] -
                            table[(size_t)w.batch.target_items[i] * WIDTH + j]);
        sum += lack > 0 ? lack : 0;
        content += lack <= 0;
    }
    assert_true(content > 0 && content < w.batch.targets);
    assert_true(fabs(loss_of_pass(&w, &pass) - sum / (double)w.batch.targets) < 1e-12);
    free_world(&w);
}

/* ---- what the program says of them ---- */

/* In two parts, as two threads take it. */
static void sign_moves_by_the_learning_rate_and_has_no_state(void **state)
{
    static const double gradients[] = {3, -0.2, 0.05, 0}, wanted[] = {0.85, 1.05, 0.95, 0.95};
    const variant chosen = {"", {"training.optimizer=sign", "training.least_gradient=0.1", "training.weight_decay=0.5"}};
    const size_t shape[] = {4};
    sr_settings settings;
    sr_parameters parameters;
    sr_optimizer optimizer;
    (void)state;
    assert_int_equal(choose(&settings, &chosen, NULL), SR_OK);
    sr_parameters_initialise(&parameters);
    assert_int_equal(sr_parameters_declare(&parameters, "w", shape, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&parameters, NULL), SR_OK);
    assert_int_equal(sr_optimizer_create(&optimizer, &parameters, &settings.training, NULL), SR_OK);
    assert_int_equal(optimizer.state.count, 0);
    for (size_t i = 0; i < 4; ++i) {
        parameters.values[i] = 1;
        parameters.gradients[i] = (sr_real)gradients[i];
    }
    for (size_t part = 0; part < 2; ++part) {
        const sr_update update = {.learning_rate = 0.1, .part = part, .parts = 2};
        assert_int_equal(sr_optimizer_step(&optimizer, sr_kernels_choose(NULL), &update, NULL), SR_OK);
    }
    for (size_t i = 0; i < 4; ++i)
        assert_true(fabs(parameters.values[i] - wanted[i]) < 1e-12);
    sr_optimizer_free(&optimizer);
    sr_parameters_free(&parameters);
}

static void their_keys_and_reasons_are_described(void **state)
{
    (void)state;
    static const char *const wanted[] = {"calibrators.temperature",
                                         "`least`",
                                         "never gets flatter",
                                         "scales dot products of queries and keys",
                                         "average",
                                         "`latest_share`",
                                         "share of the latest",
                                         "the mean of a window of one item is that item",
                                         "`margin`",
                                         "shall be higher, with loss margin",
                                         "max(0, training.margin",
                                         "this loss is 0 for every target that wins"};
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(sr_settings_describe(stream, true, NULL), SR_OK);
    assert_int_equal(fclose(stream), 0);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i)
        if (!strstr(text, wanted[i]))
            fail_msg("the page does not say: %s", wanted[i]);
    free(text);
    assert_true(components_fit());
}

static void what_they_cannot_do_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        variant v;
        const char *reason;
    } refused[] = {
        {{"", {"model.backbone=stosa", "training.loss=stosa", "calibrators.temperature.least=0.5"}},
         "the scores of this backbone are distances; use another backbone"},
        {{"", {"model.backbone=average", "model.max_length=1"}},
         "the mean of a window of one item is that item; use a max_length of at least 2"},
        {{"", {"training.loss=margin", "calibrators.adversarial.combine=gate"}},
         "learn nothing from such a target; use another loss"},
        {{"", {"model.latest_share=0.5"}}, "it belongs to average"},
        {{"", {"training.margin=0.5"}}, "it belongs to margin"},
        {{"", {"training.least_gradient=0.5"}}, "it belongs to sign"},
        {{"", {"training.optimizer=sign", "training.weight_decay_kind=l2"}}, "a sign does not tell"},
        {{"", {"training.optimizer=sign", "training.item_updates=deferred", "training.loss=bpr"}}, "is at rest"},
        {{"", {"model.backbone=average", "calibrators.temperature.least=0.5"}}, "calibrators are stages of attention"},
        {{"", {"calibrators.temperature.least=1"}}, "least"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; ++i) {
        sr_settings settings;
        sr_error error = {.message = ""};
        assert_int_equal(choose(&settings, &refused[i].v, &error), SR_ERROR_USAGE);
        if (!strstr(error.message, refused[i].reason))
            fail_msg("\"%s\" does not say: %s", error.message, refused[i].reason);
    }
}

static void rules_of_what_is_not_in_use_refuse_nothing(void **state)
{
    (void)state;
    static const variant allowed[] = {{"", {"model.max_length=1"}},
                                      {"", {"calibrators.adversarial.combine=gate"}},
                                      {"", {"model.backbone=stosa", "training.loss=stosa"}}};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; ++i) {
        sr_settings settings;
        sr_error error = {.message = ""};
        if (choose(&settings, &allowed[i], &error) != SR_OK)
            fail_msg("%s", error.message);
    }
}

/* ---- the page ---- */

static void check_configuration(const char *block, const void *context)
{
    (void)context;
    char text[1024];
    sr_settings settings;
    sr_error error = {.message = ""};
    assert_true(snprintf(text, sizeof text, "data: {path: none}\n%s", block) < (int)sizeof text);
    if (sr_settings_parse(&settings, text, "the page", NULL, 0, &error) != SR_OK)
        fail_msg("%s", error.message);
}

/* The files of the examples, the lists with their rows, and the rows of variants above. */
static void the_page_quotes_files_that_are_built(void **state)
{
    (void)state;
    static const char *const paths[] = {SRTRAIN_ADDING_FILES};
    assert_true(assert_page_quotes(SRTRAIN_ADDING_PAGE, paths, sizeof paths / sizeof *paths) > 20);
    assert_int_equal(quoted_for_each_block(SRTRAIN_ADDING_PAGE, "yaml", check_configuration, NULL), 4);
}

/* One function, once for each variant. */
static int run_with_variants(const char *name, CMUnitTestFunction function, const variant *list, size_t count)
{
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    if (!tests)
        return 1;
    for (size_t i = 0; i < count; ++i) {
        tests[i].name = list[i].name;
        tests[i].test_func = function;
        tests[i].initial_state = (void *)(uintptr_t)&list[i];
    }
    const int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    free(tests);
    return failed;
}

int main(void)
{
    enum { VARIANTS = sizeof variants / sizeof *variants };
    static const variant causal[] = {{"temperature", {"calibrators.temperature.least=0.2", "training.objective=all"}},
                                     {"average", {"model.backbone=average", "training.objective=all"}}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_starts_without_effect_and_multiplies_scores),
        cmocka_unit_test(average_is_the_latest_item_and_the_mean_through_a_linear_map),
        cmocka_unit_test(margin_is_the_mean_of_what_targets_lack),
        cmocka_unit_test(sign_moves_by_the_learning_rate_and_has_no_state),
        cmocka_unit_test(their_keys_and_reasons_are_described),
        cmocka_unit_test(what_they_cannot_do_is_refused_with_the_reason),
        cmocka_unit_test(rules_of_what_is_not_in_use_refuse_nothing),
        cmocka_unit_test(the_page_quotes_files_that_are_built),
    };
    return run_with_variants("gradients agree with finite differences", gradients_agree_with_finite_differences, variants,
                             VARIANTS) +
           run_with_variants("descent along the gradient lowers the loss", descent_along_the_gradient_lowers_the_loss, variants,
                             VARIANTS) +
           run_with_variants("another item changes nothing before it", another_item_changes_nothing_before_it, causal, 2) +
           cmocka_run_group_tests_name("examples of the recipes", tests, NULL, NULL);
}

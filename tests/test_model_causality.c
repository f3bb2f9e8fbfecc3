/* What a position knows: nothing of later items. */
#include "model_world.h"

#include "config/schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t stamps[LENGTH + 1] = {3, 4, 4, 20, 31, 90, 91};

/* The representation after the first `count` items of the longest history that fits the window, as its own example. */
static void representation_of_prefix(world *w, const int32_t *items, size_t count, sr_real *out)
{
    sr_batch batch;
    const sr_example example = {.items = items, .times = stamps, .next_time = stamps[count], .length = count, .identity = 1};
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
    {"norm pre", {PRE, "training.objective=all"}},
    {"norm query", {QUERY, AC, "training.objective=all"}},
    {"ligr", {LIGR, AC, "training.objective=all"}},
    {"rows that are mapped", {"model.item_width=8", FROZEN, "training.objective=all"}},
    {"hstu", {HSTU, "training.objective=all"}},
    {"hstu with own times", {HSTU, "model.time_query=own", "model.affine_norms=true", "training.objective=all"}},
};

static void one_pass_over_a_sequence_gives_every_prefix(void **state)
{
    world w;
    create_world(&w, *state);
    sr_model_set_step(w.model, 5);
    const int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9}, targets[LENGTH] = {1, 4, 1, 5, 9, 2};
    const sr_example example = {
        .items = items, .times = stamps, .next_time = stamps[LENGTH], .length = LENGTH, .identity = 1, .targets = targets};
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

/* The representations of all positions of one sequence, in evaluation; release with free(). */
static sr_real *states_of(world *w, const int32_t *items, size_t *width)
{
    static const int32_t no_targets[LENGTH] = {1, 1, 1, 1, 1, 1};
    const sr_example example = {.items = items,
                                .times = stamps,
                                .next_time = stamps[LENGTH],
                                .length = LENGTH,
                                .user = 2,
                                .identity = 1,
                                .targets = no_targets};
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

/* Whether a key of the model is a choice or a switch; but not the backbone. */
static bool has_few_values(const sr_key *key)
{
    return (key->type == SR_KEY_CHOICE || key->type == SR_KEY_BOOLEAN) && strcmp(key->name, "backbone") != 0;
}

/* Every backbone, alone and with each value of each choice and switch of the model and of each calibrator, as far as the
 * configuration allows it: what is added to the schema is covered without a word here. */
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
            if (strncmp(schema.keys[r].key->section, "calibrators.", strlen("calibrators.")) == 0 ||
                (strcmp(schema.keys[r].key->section, "model") == 0 && has_few_values(schema.keys[r].key)))
                checked += check_causality_with(backbone, schema.keys[r].key, &error);
    }
    assert_true(checked > 50);
}

int main(void)
{
    enum { CAUSAL_VARIANTS = sizeof causal_variants / sizeof *causal_variants };
    struct CMUnitTest causal_tests[CAUSAL_VARIANTS];
    for (size_t i = 0; i < CAUSAL_VARIANTS; ++i) {
        memset(&causal_tests[i], 0, sizeof causal_tests[i]);
        causal_tests[i].name = causal_variants[i].name;
        causal_tests[i].test_func = one_pass_over_a_sequence_gives_every_prefix;
        causal_tests[i].initial_state = (void *)(uintptr_t)&causal_variants[i];
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing_an_item_changes_nothing_before_it),
        cmocka_unit_test(nothing_before_a_changed_item_changes),
    };
    return cmocka_run_group_tests_name("one pass over a sequence gives every prefix", causal_tests, NULL, NULL) +
           cmocka_run_group_tests_name("a changed item", tests, NULL, NULL);
}

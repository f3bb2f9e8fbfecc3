/* The objective: its terms, and what ranks that share a batch do together. */
#include "model_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- terms ---- */

static void terms_follow_from_the_settings(void **state)
{
    (void)state;
    static const struct {
        variant of;
        const char *names[SR_TERMS_MAXIMUM];
    } cases[] = {
        {{"plain", {"training.loss=bpr"}}, {"loss"}},
        {{"two sets of parameters", {AC}}, {"loss", "attacked_ranking", "mask_penalty"}},
        {{"compared states", {CONTRASTIVE}}, {"loss", "contrastive"}},
        {{"compared spectra", {FEAREC, CONTRASTIVE}}, {"loss", "contrastive", "spectral"}},
        {{"without their weight", {FEAREC, CONTRASTIVE, "training.contrastive.spectral_weight=0"}}, {"loss", "contrastive"}},
        {{"penalised weights", {CASER}}, {"loss", "frobenius_penalty"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        world w;
        sr_terms terms;
        create_world(&w, &cases[i].of);
        sr_objective_terms(&w.settings.model, &terms);
        size_t count = 0;
        for (; cases[i].names[count]; ++count)
            assert_string_equal(terms.list[count].name, cases[i].names[count]);
        assert_int_equal(terms.count, count);
        for (size_t t = 0; t < count; ++t) {
            const bool penalty = strcmp(terms.list[t].name, "frobenius_penalty") == 0;
            assert_true(terms.list[t].value == 0 && strlen(terms.list[t].words) > 0);
            assert_int_equal(terms.list[t].within, penalty);
        }
        free_world(&w);
    }
}

static void the_loss_of_a_set_of_parameters_is_the_weighted_sum_of_its_terms(void **state)
{
    (void)state;
    const sr_terms terms = {
        .count = 4,
        .list = {{.value = 6, .weight = 1, .followers = SR_PARAMETERS_ORDINARY, .scale = SR_SCALE_TARGETS},
                 {.value = 9, .weight = -1, .followers = SR_PARAMETERS_ATTACK, .scale = SR_SCALE_TARGETS},
                 {.value = 5, .weight = 0.1, .followers = SR_PARAMETERS_ATTACK, .scale = SR_SCALE_WHOLE},
                 {.value = 7, .weight = 2, .followers = SR_PARAMETERS_ORDINARY, .scale = SR_SCALE_PART, .within = true}}};
    assert_true(sr_terms_total(&terms, SR_PARAMETERS_ORDINARY, 3) == 2);
    assert_true(fabs(sr_terms_total(&terms, SR_PARAMETERS_ATTACK, 3) - (-3 + 0.5)) < 1e-15);
    assert_true(sr_term_mean(&terms.list[0], 0) == 6); /* a batch without targets: nothing to divide by */
}

/* A term of the loss of a whole batch, whatever its weight: the first term has it already. */
static void the_first_term_contains_what_is_within_it(void **state)
{
    (void)state;
    static const variant penalised = {"penalised", {CASER, "training.frobenius_penalty=3"}};
    static const variant plain = {"plain", {CASER, "training.frobenius_penalty=0"}};
    sr_outcome found[2];
    for (size_t v = 0; v < 2; ++v) {
        world w;
        create_world(&w, v == 0 ? &penalised : &plain);
        build_batch(&w, true, EXAMPLES);
        found[v] = run_objective(&w);
        free_world(&w);
    }
    const double norms = term_of(&found[0], "frobenius_penalty")->value;
    assert_true(norms > 10);
    assert_true(fabs(sr_term_mean(&found[0].terms.list[0], EXAMPLES) - sr_term_mean(&found[1].terms.list[0], EXAMPLES) -
                     3 * norms) < 1e-10);
}

/* ---- parts of a batch ---- */

enum { PARTS = 2, MOST_CALLS = 16 };

/* Two ranks of one process that compute one after the other, in rounds: a rank that asks for what all bring gets what the
 * others brought to the same call in their last turn. After as many rounds as there are calls nothing changes any more. */
typedef struct {
    struct {
        void *data;
        size_t elements;
    } brought[PARTS][MOST_CALLS];
    size_t part, calls;
} ranks_in_turn;

static void bring(ranks_in_turn *turn, const void *data, size_t elements, size_t size)
{
    assert_true(turn->calls < MOST_CALLS);
    free(turn->brought[turn->part][turn->calls].data);
    void *copy = malloc(elements * size + 1);
    assert_non_null(copy);
    memcpy(copy, data, elements * size);
    turn->brought[turn->part][turn->calls].data = copy;
    turn->brought[turn->part][turn->calls].elements = elements;
}

static sr_status sum_in_turn(void *context, double *values, size_t count, sr_error *error)
{
    ranks_in_turn *turn = context;
    (void)error;
    bring(turn, values, count, sizeof *values);
    memset(values, 0, count * sizeof *values);
    for (size_t part = 0; part < PARTS; ++part) {
        const double *brought = turn->brought[part][turn->calls].data;
        for (size_t i = 0; brought && i < count; ++i)
            values[i] += brought[i];
    }
    ++turn->calls;
    return SR_OK;
}

static sr_status agree_in_turn(void *context, sr_status status, sr_error *error)
{
    (void)context;
    (void)error;
    return status;
}

static sr_status gather_in_turn(void *context, sr_status status, const void *data, size_t elements, size_t size,
                                void **gathered, size_t **offsets, sr_error *error)
{
    ranks_in_turn *turn = context;
    size_t used = 0;
    (void)error;
    assert_int_equal(status, SR_OK);
    bring(turn, data, elements, size);
    *offsets = calloc(PARTS + 1, sizeof **offsets);
    assert_non_null(*offsets);
    for (size_t part = 0; part < PARTS; ++part)
        (*offsets)[part + 1] = (*offsets)[part] + turn->brought[part][turn->calls].elements;
    char *all = malloc((*offsets)[PARTS] * size + 1);
    assert_non_null(all);
    for (size_t part = 0; part < PARTS; ++part)
        if (turn->brought[part][turn->calls].data) {
            const size_t bytes = turn->brought[part][turn->calls].elements * size;
            memcpy(all + used, turn->brought[part][turn->calls].data, bytes);
            used += bytes;
        }
    *gathered = all;
    ++turn->calls;
    return SR_OK;
}

/* The objective of both parts, until they know all of each other; the gradients of both are added up in the model. */
static void run_parts(world *w, double targets, sr_outcome outcomes[PARTS])
{
    static const size_t firsts[PARTS] = {0, 2}, counts[PARTS] = {2, EXAMPLES - 2};
    sr_parameters *parameters = sr_model_parameters(w->model);
    ranks_in_turn turn = {.calls = 0};
    for (size_t round = 0; round <= turn.calls + 1; ++round) {
        memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
        for (turn.part = 0; turn.part < PARTS; ++turn.part) {
            sr_ranks ranks = {.rank = turn.part,
                              .count = PARTS,
                              .context = &turn,
                              .sum = sum_in_turn,
                              .agree = agree_in_turn,
                              .gather = gather_in_turn};
            turn.calls = 0;
            build_part(w, true, firsts[turn.part], counts[turn.part]);
            outcomes[turn.part] = run_objective_on(w, w->tape, &ranks, targets);
        }
    }
    for (size_t part = 0; part < PARTS; ++part)
        for (size_t call = 0; call < MOST_CALLS; ++call)
            free(turn.brought[part][call].data);
}

static void check_terms_of_parts(const sr_outcome parts[PARTS], const sr_outcome *whole)
{
    for (size_t t = 0; t < whole->terms.count; ++t) {
        const sr_term *term = &whole->terms.list[t];
        const double first = parts[0].terms.list[t].value, second = parts[1].terms.list[t].value;
        const double all = term->scale == SR_SCALE_WHOLE ? first : first + second;
        if (!(fabs(all - term->value) <= 1e-10 * (1 + fabs(term->value))))
            fail_msg("%s of parts is %.15g, of the batch %.15g", term->name, all, term->value);
        assert_true(term->value != 0);
        assert_true(term->scale != SR_SCALE_WHOLE || first == second);
    }
}

static void terms_and_gradients_of_parts_add_up_to_those_of_the_batch(void **state)
{
    world w;
    sr_outcome parts[PARTS];
    create_world(&w, *state);
    build_batch(&w, true, EXAMPLES);
    sr_parameters *parameters = sr_model_parameters(w.model);
    const sr_outcome whole = run_objective(&w);
    sr_real *gradients;
    assert_int_equal(SR_ALLOCATE(&gradients, parameters->block_size, "gradients", NULL), SR_OK);
    memcpy(gradients, parameters->gradients, parameters->block_size * sizeof *gradients);
    run_parts(&w, whole.targets, parts);
    check_terms_of_parts(parts, &whole);
    double largest = 0;
    for (size_t i = 0; i < parameters->block_size; ++i) {
        if (!(fabs(gradients[i] - parameters->gradients[i]) <= 1e-11))
            fail_msg("gradient %zu of parts is %.15g, of the batch %.15g", i, parameters->gradients[i], gradients[i]);
        largest = fmax(largest, fabs(gradients[i]));
    }
    assert_true(largest > 1e-3);
    free(gradients);
    free_world(&w);
}

/* ---- ranks that fail ---- */

/* The other ranks, as one that fails meets them. */
typedef struct {
    size_t sums, agreements, gathers;
    bool fails; /* sums */
} met_ranks;

static sr_status count_sum(void *context, double *values, size_t count, sr_error *error)
{
    met_ranks *met = context;
    (void)values;
    (void)count;
    ++met->sums;
    return met->fails ? sr_fail(error, SR_ERROR_RUNTIME, "no network") : SR_OK;
}

static sr_status count_agreement(void *context, sr_status status, sr_error *error)
{
    met_ranks *met = context;
    ++met->agreements;
    return status == SR_OK ? SR_OK : sr_fail(error, status, "a rank has failed");
}

static sr_status count_gather(void *context, sr_status status, const void *data, size_t elements, size_t size, void **gathered,
                              size_t **offsets, sr_error *error)
{
    met_ranks *met = context;
    (void)data;
    (void)elements;
    (void)size;
    ++met->gathers;
    *gathered = NULL;
    *offsets = NULL;
    assert_int_not_equal(status, SR_OK);
    return sr_fail(error, status, "a rank has failed");
}

/* Runs the objective of a rank that has no batch, or whose tape has failed. */
static sr_status run_failing(world *w, met_ranks *met, sr_status status, sr_outcome *outcome, sr_error *error)
{
    sr_ranks ranks = {.count = 2, .context = met, .sum = count_sum, .agree = count_agreement, .gather = count_gather};
    const sr_objective_request request = {.model = w->model,
                                          .tape = w->tape,
                                          .batch = status == SR_OK ? &w->batch : NULL,
                                          .pass = {.training = true, .ranks = &ranks},
                                          .targets = EXAMPLES};
    return sr_objective_run(&request, status, outcome, error);
}

static void a_rank_that_failed_takes_part_in_all_that_ranks_do_together(void **state)
{
    (void)state;
    static const struct {
        variant of;
        met_ranks met;
        bool together;
    } cases[] = {
        {{"plain", {"training.loss=bpr"}}, {.sums = 0}, false},
        {{"a norm over the batch", {AC}}, {.sums = 1, .agreements = 1}, true},
        {{"compared states", {CONTRASTIVE}}, {.gathers = 1}, true},
        {{"sums in passes", {FEAREC}}, {.sums = 2}, false},
        {{"sums in three passes", {FEAREC, CONTRASTIVE}}, {.sums = 6, .gathers = 1}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        for (size_t has_batch = 0; has_batch < 2; ++has_batch) {
            world w;
            met_ranks met = {.sums = 0};
            sr_outcome outcome;
            sr_error error = {.status = SR_ERROR_RUNTIME, .message = "no batch"};
            create_world(&w, &cases[i].of);
            build_batch(&w, true, EXAMPLES);
            if (has_batch)
                sr_tape_fail(w.tape, &(sr_error){.status = SR_ERROR_RUNTIME, .message = "no memory"});
            assert_int_equal(run_failing(&w, &met, has_batch ? SR_OK : SR_ERROR_RUNTIME, &outcome, &error), SR_ERROR_RUNTIME);
            assert_memory_equal(&met, &cases[i].met, sizeof met);
            assert_int_equal(outcome.together, cases[i].together);
            const char *own = has_batch ? "no memory" : "no batch";
            assert_string_equal(error.message, cases[i].together ? "a rank has failed" : own);
            free_world(&w);
        }
}

static void a_pass_whose_sum_has_failed_asks_for_no_more(void **state)
{
    (void)state;
    static const variant summing = {"sums in three passes", {FEAREC, CONTRASTIVE}};
    world w;
    met_ranks met = {.fails = true};
    sr_outcome outcome;
    sr_error error = {.message = ""};
    create_world(&w, &summing);
    build_batch(&w, true, EXAMPLES);
    assert_int_equal(run_failing(&w, &met, SR_OK, &outcome, &error), SR_ERROR_RUNTIME);
    assert_int_equal(met.sums, 1);
    assert_int_equal(sr_tape_status(w.tape, &error), SR_ERROR_RUNTIME);
    assert_string_equal(error.message, "no network");
    free_world(&w);
}

int main(void)
{
    static const variant divided[] = {
        {"of targets", {"training.objective=all"}},
        {"with weights penalised", {CASER, "training.frobenius_penalty=3"}},
        {"with a norm over visible cells", {AC}},
        {"with a norm over the window", {AC_RELEASED}},
        {"with lags chosen by the batch", {FEAREC}},
        {"with all examples compared", {CONTRASTIVE, "training.contrastive.temperature=2"}},
        {"with all examples and spectra compared", {FEAREC, CONTRASTIVE, "model.padding=left"}},
    };
    enum { DIVIDED = sizeof divided / sizeof *divided };
    struct CMUnitTest division_tests[DIVIDED];
    for (size_t i = 0; i < DIVIDED; ++i)
        division_tests[i] = (struct CMUnitTest){.name = divided[i].name,
                                                .test_func = terms_and_gradients_of_parts_add_up_to_those_of_the_batch,
                                                .initial_state = (void *)(uintptr_t)&divided[i]};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_follow_from_the_settings),
        cmocka_unit_test(the_loss_of_a_set_of_parameters_is_the_weighted_sum_of_its_terms),
        cmocka_unit_test(the_first_term_contains_what_is_within_it),
        cmocka_unit_test(a_rank_that_failed_takes_part_in_all_that_ranks_do_together),
        cmocka_unit_test(a_pass_whose_sum_has_failed_asks_for_no_more),
    };
    return cmocka_run_group_tests_name("parts of a batch", division_tests, NULL, NULL) +
           cmocka_run_group_tests_name("terms and ranks", tests, NULL, NULL);
}

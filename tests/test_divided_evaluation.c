/* Rankings, recommendations and analyses of models whose items are divided among ranks: to the bit those of the same model with
 * all items on every rank. On 1 to 4 ranks. */
#include "cpu_level.h"
#include "items_over_ranks.h"
#include "shared_dataset.h"
#include "srtrain/analysis.h"
#include "srtrain/evaluate.h"
#include "srtrain/settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 37, ITEMS = 23, WIDTH = 24, LENGTH = 5, MANY_USERS = 1300, MANY_ITEMS = 3100, INTERACTIONS_MAXIMUM = 12 };

typedef struct {
    shared_dataset data;
    sr_parallel *parallel; /* of the data set */
    sr_dataset *dataset, *many;
    sr_model *model; /* all items on every rank */
    divided_ranks ranks;
    sr_model *divided; /* the same, divided */
    sr_evaluation_settings settings;
} world;

/* User u has 3 + u % 9 interactions, of which up to three are held out for the test. Every fifth user has an item twice, so
 * that a target may be in the history. */
static void write_sequences(const char *directory, size_t users, size_t items)
{
    int64_t *offsets = calloc(users + 1, sizeof *offsets), *times = calloc(users * INTERACTIONS_MAXIMUM, sizeof *times);
    int32_t *ids = calloc(users * INTERACTIONS_MAXIMUM, sizeof *ids);
    int32_t *train_end = calloc(users, sizeof *train_end), *valid_end = calloc(users, sizeof *valid_end);
    size_t count = 0;
    for (size_t user = 0; user < users; ++user) {
        const size_t length = 3 + user % 9, tested = length > 8 ? 3 : length > 5 ? 2 : 1;
        for (size_t i = 0; i < length; ++i) {
            times[count] = (int64_t)(i * i + user % 3 * i);
            ids[count++] = 1 + (int32_t)((user * 7 + i * 5) % items);
        }
        if (user % 5 == 0)
            ids[count - 1] = ids[count - length];
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)(length - tested - 1);
        valid_end[user] = (int32_t)(length - tested);
    }
    small_dataset_write(directory, &(small_dataset){.users = users,
                                                    .items = items,
                                                    .shards = 3,
                                                    .offsets = offsets,
                                                    .item_ids = ids,
                                                    .times = times,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
    free(offsets);
    free(times);
    free(ids);
    free(train_end);
    free(valid_end);
}

static void write_data(const char *directory)
{
    write_sequences(directory, USERS, ITEMS);
}

static void write_many(const char *directory)
{
    write_sequences(directory, MANY_USERS, MANY_ITEMS);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    shared_dataset_open(&w->data, write_data);
    w->parallel = w->data.parallel;
    w->dataset = w->data.dataset;
    w->many = shared_dataset_open_another(&w->data, "many", write_many);
    sr_settings settings;
    sr_settings_default(&settings);
    w->settings = settings.evaluation;
    *state = w;
    return 0;
}

static int set_up_test(void **state)
{
    world *w = *state;
    w->settings.batch_size = 4;
    w->settings.history = SR_HISTORY_KEEP;
    return 0;
}

static void free_models(world *w)
{
    sr_model_free(w->divided);
    sr_model_free(w->model);
    w->model = w->divided = NULL;
}

static int free_models_of_test(void **state)
{
    free_models(*state);
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_dataset_close(w->many);
    const int result = shared_dataset_close(&w->data);
    free(w);
    return result;
}

/* A model with random parameters; "cosine" is SASRec with scores by cosines. With `ties` every fourth item is alike, so that
 * equal scores meet over ranks. */
static void make_model(world *w, const char *backbone, const sr_dataset *dataset, bool ties)
{
    sr_settings settings;
    free_models(w);
    sr_settings_default(&settings);
    const bool by_cosine = strcmp(backbone, "cosine") == 0;
    settings.model.backbone = sr_backbone_number(by_cosine ? "sasrec" : backbone);
    if (by_cosine)
        settings.model.similarity = SR_SIMILARITY_COSINE;
    settings.model.hidden_size = WIDTH;
    assert_int_equal(sr_settings_assign(&settings, "model.user_hidden_size=4", NULL), SR_OK);
    settings.model.inner_size = WIDTH;
    settings.model.max_length = LENGTH;
    settings.model.initializer_range = 0.5;
    assert_int_equal(sr_model_create(&w->model, &settings.model, sr_dataset_items(dataset), sr_dataset_users(dataset), NULL),
                     SR_OK);
    sr_parameters *parameters = sr_model_parameters(w->model);
    sr_parameters_draw(parameters, 3);
    if (!ties)
        return;
    const sr_parameter *table = &parameters->list[sr_parameters_find(parameters, "item_embedding.weight")];
    for (size_t i = 0; i < table->size; ++i)
        parameters->values[table->offset + i] = parameters->values[table->offset + i % (4 * WIDTH)];
}

static void divide(world *w, item_owner *owner)
{
    sr_model_free(w->divided);
    w->divided = divided_model(&w->ranks, w->model, w->parallel, owner);
}

/* ---- the same results ---- */

static sr_evaluation evaluation_of(const world *w, const sr_dataset *dataset, sr_split split)
{
    return (sr_evaluation){.dataset = dataset, .settings = &w->settings, .split = split, .kernels = tested_kernels()};
}

static void assert_same_metrics(world *w, const sr_dataset *dataset, sr_split split)
{
    sr_ranking_metrics expected, found;
    sr_error error = {.message = ""};
    w->settings.list_metrics = dataset == w->dataset; /* where that takes no time */
    snprintf(w->settings.candidates, sizeof w->settings.candidates, "%s", w->settings.list_metrics ? "uniform:5" : "none");
    const sr_evaluation evaluation = evaluation_of(w, dataset, split);
    memset(&expected, 0, sizeof expected);
    memset(&found, 0, sizeof found);
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &expected, NULL), SR_OK);
    if (sr_evaluate_model(w->parallel, w->divided, &evaluation, &found, &error) != SR_OK)
        fail_msg("%s", error.message);
    const size_t size = expected.top_k_count * sizeof *expected.hr;
    const double *const numbers[][2] = {{expected.hr, found.hr},
                                        {expected.ndcg, found.ndcg},
                                        {expected.mrr, found.mrr},
                                        {expected.hr_error, found.hr_error},
                                        {expected.ndcg_error, found.ndcg_error},
                                        {expected.mrr_error, found.mrr_error},
                                        {expected.sampled.ndcg, found.sampled.ndcg},
                                        {expected.lists.gini, found.lists.gini},
                                        {expected.lists.novelty, found.lists.novelty}};
    assert_true(expected.cases > 0 && expected.ndcg[expected.top_k_count - 1] > 0);
    assert_int_equal(found.cases, expected.cases);
    assert_true(found.lists.measured == w->settings.list_metrics);
    assert_true(!found.lists.measured || found.sampled.ndcg[expected.top_k_count - 1] > 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        assert_memory_equal(numbers[i][1], numbers[i][0], size);
}

typedef struct {
    size_t user, rank;
    int32_t item;
    double score;
} recommended;

typedef struct {
    recommended *list;
    size_t count, room;
} collection;

static sr_status collect(void *context, const char *user, size_t user_length, size_t rank, int32_t item, double score,
                         sr_error *error)
{
    collection *c = context;
    char name[16];
    (void)error;
    snprintf(name, sizeof name, "%.*s", (int)user_length, user);
    if (c->count == c->room)
        c->list = realloc(c->list, (c->room = 2 * c->room + 64) * sizeof *c->list);
    recommended *one = &c->list[c->count++];
    memset(one, 0, sizeof *one);
    assert_int_equal(sscanf(name, "n%zu", &one->user), 1);
    one->rank = rank;
    one->item = item;
    one->score = score;
    return SR_OK;
}

enum { ALL_ITEMS = 100 }; /* and more */

/* To all users, or all items to a few, so that few states are scored at a time. */
static const size_t few[] = {3, 17, 5, 30, 8};

static sr_status recommend(const world *w, sr_model *model, const sr_dataset *dataset, size_t top_k, sr_history history,
                           collection *found, sr_error *error)
{
    sr_users_in_dataset users;
    const sr_user_source source = sr_users_of_dataset(&users, dataset, top_k == ALL_ITEMS ? few : NULL, 5);
    return sr_recommend(w->parallel, model, &source,
                        &(sr_recommendation_request){.top_k = top_k, .history = history, .kernels = tested_kernels()}, collect,
                        found, error);
}

static void assert_same_recommendations(const world *w, const sr_dataset *dataset, size_t top_k, sr_history history)
{
    collection expected = {.count = 0}, found = {.count = 0};
    sr_error error = {.message = ""};
    assert_int_equal(recommend(w, w->model, dataset, top_k, history, &expected, NULL), SR_OK);
    if (recommend(w, w->divided, dataset, top_k, history, &found, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(found.count, expected.count);
    assert_true(sr_parallel_rank(w->parallel) > 0 || expected.count > 0);
    if (expected.count > 0)
        assert_memory_equal(found.list, expected.list, expected.count * sizeof *expected.list);
    free(expected.list);
    free(found.list);
}

static void assert_same_for_every_history(world *w)
{
    for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_ZERO; ++history) {
        w->settings.history = (sr_history)history;
        assert_same_metrics(w, w->dataset, SR_SPLIT_TEST);
        assert_same_recommendations(w, w->dataset, 4, (sr_history)history);
        assert_same_recommendations(w, w->dataset, ALL_ITEMS, (sr_history)history);
    }
    w->settings.history = SR_HISTORY_EXCLUDE;
    assert_same_metrics(w, w->dataset, SR_SPLIT_VALID);
}

/* NULL: as trainings divide items. */
static item_owner *const owners[] = {NULL, owned_by_the_last, owned_by_all_but_the_first, owned_unevenly, owned_in_turn};
enum { OWNERS = sizeof owners / sizeof *owners };

static void metrics_and_recommendations_are_those_of_a_whole_table(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "bert4rec", "ssept", "tisasrec", "stosa", "cosine"};
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
        make_model(w, backbones[b], w->dataset, false);
        divide(w, owners[b % OWNERS]);
        assert_same_for_every_history(w);
    }
}

static void equal_scores_of_several_ranks_go_by_item_id(void **state)
{
    world *w = *state;
    make_model(w, "sasrec", w->dataset, true);
    for (size_t o = 0; o < OWNERS; ++o) {
        divide(w, owners[o]);
        assert_same_for_every_history(w);
    }
}

/* Batches from all users to one: ranks have unequally many of them, or none at all. */
static void ranks_without_histories_take_part(void **state)
{
    world *w = *state;
    make_model(w, "gru4rec", w->dataset, false);
    divide(w, owned_unevenly);
    const int64_t sizes[] = {1, 3, 18, 36, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        w->settings.batch_size = sizes[i];
        assert_same_metrics(w, w->dataset, SR_SPLIT_TEST);
    }
}

/* Where a batch has several portions, each state meets its own target. */
static void assert_portions_do_not_matter(world *w)
{
    sr_ranking_metrics metrics[2];
    const int64_t sizes[] = {1200, 300};
    w->settings.top_k[w->settings.top_k_count - 1] = 1000;
    for (size_t i = 0; i < 2; ++i) {
        w->settings.batch_size = sizes[i];
        const sr_evaluation evaluation = evaluation_of(w, w->many, SR_SPLIT_TEST);
        assert_int_equal(sr_evaluate_model(w->parallel, w->divided, &evaluation, &metrics[i], NULL), SR_OK);
    }
    w->settings.top_k[w->settings.top_k_count - 1] = 50;
    const double one_case = 1.0 / (double)metrics[0].cases; /* whose rank rounding may change */
    assert_true(fabs(sr_ranking_metric(&metrics[0], "hr@1000") - sr_ranking_metric(&metrics[1], "hr@1000")) < 1.5 * one_case);
    assert_true(fabs(sr_ranking_metric(&metrics[0], "mrr@1000") - sr_ranking_metric(&metrics[1], "mrr@1000")) < one_case / 50);
}

/* More than are gathered, and than are scored, at a time. */
static void many_states_and_items_come_in_portions(void **state)
{
    world *w = *state;
    make_model(w, "sasrec", w->many, false);
    w->settings.batch_size = 1200;
    for (size_t o = 0; o < 2; ++o) {
        divide(w, owners[o]);
        for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_ZERO; ++history) {
            w->settings.history = (sr_history)history;
            assert_same_metrics(w, w->many, SR_SPLIT_TEST);
        }
        assert_same_recommendations(w, w->many, 5, SR_HISTORY_EXCLUDE);
    }
    divide(w, owned_in_turn);
    assert_portions_do_not_matter(w);
    assert_same_recommendations(w, w->many, 300, SR_HISTORY_KEEP); /* a round of four ranks has several portions */
}

/* Each scores a part of what its process has. */
static void threads_divide_what_their_process_has(void **state)
{
    world *w = *state;
    item_owner *const some[] = {NULL, owned_by_the_last};
    assert_int_equal(sr_parallel_use_threads(w->parallel, 2, NULL), SR_OK);
    for (size_t o = 0; o < 2; ++o) {
        make_model(w, "sasrec", w->many, false);
        divide(w, some[o]);
        w->settings.history = SR_HISTORY_EXCLUDE;
        w->settings.batch_size = 90;
        assert_same_metrics(w, w->many, SR_SPLIT_TEST);
        make_model(w, "stosa", w->dataset, false);
        divide(w, some[o]);
        w->settings.batch_size = 4;
        assert_same_metrics(w, w->dataset, SR_SPLIT_TEST);
    }
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
}

static void a_score_has_the_same_bits_whatever_is_scored_with_it(void **state)
{
    world *w = *state;
    enum { STATES = 20 };
    sr_real states[STATES * WIDTH], together[STATES * (ITEMS + 1)], alone[ITEMS + 1];
    sr_catalogue *catalogue;
    make_model(w, "sasrec", w->dataset, false);
    for (size_t i = 0; i < STATES * WIDTH; ++i)
        states[i] = (sr_real)sin((double)(i * i));
    assert_int_equal(sr_catalogue_create(&catalogue, w->model, tested_kernels(), NULL), SR_OK);
    assert_int_equal(sr_catalogue_take_states(catalogue, states, STATES, NULL), SR_OK);
    sr_catalogue_score(catalogue, &(sr_score_part){.states = STATES, .items = ITEMS + 1}, together);
    for (size_t s = 0; s < STATES; ++s) {
        const sr_real *expected = together + s * (ITEMS + 1);
        sr_catalogue_score(catalogue, &(sr_score_part){.first_state = s, .states = 1, .items = ITEMS + 1}, alone);
        assert_memory_equal(alone, expected, sizeof alone);
        sr_catalogue_score(catalogue, &(sr_score_part){.first_state = s, .states = 1, .first_item = s, .items = 1}, alone);
        assert_memory_equal(alone, expected + s, sizeof *alone);
    }
    sr_catalogue_free(catalogue);
}

/* ---- analyses ---- */

static void assert_same_numbers(const double *found, const double *expected, size_t count)
{
    assert_true((found != NULL) == (expected != NULL));
    if (expected)
        assert_memory_equal(found, expected, count * sizeof *expected);
}

static void assert_same_examples(const sr_analysis *found, const sr_analysis *expected, size_t maps)
{
    assert_int_equal(found->example_count, expected->example_count);
    for (size_t i = 0; i < expected->example_count; ++i) {
        const sr_attention_example *one = &found->examples[i], *other = &expected->examples[i];
        assert_int_equal(one->user, other->user);
        assert_int_equal(one->tokens, other->tokens);
        assert_memory_equal(one->items, other->items, other->tokens * sizeof *other->items);
        for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
            assert_same_numbers(one->weights[stage], other->weights[stage], maps * other->tokens * other->tokens);
    }
}

static void assert_same_analysis(const world *w, const size_t *users, size_t user_count)
{
    sr_analysis expected, found;
    const sr_analysis_request request = {.dataset = w->dataset,
                                         .split = SR_SPLIT_TEST,
                                         .batch_size = 4,
                                         .kernels = tested_kernels(),
                                         .users = users,
                                         .user_count = user_count};
    assert_int_equal(sr_analyze(w->parallel, w->model, &request, &expected, NULL), SR_OK);
    assert_int_equal(sr_analyze(w->parallel, w->divided, &request, &found, NULL), SR_OK);
    const sr_attention_analysis *a = &expected.attention;
    assert_int_equal(found.sequences, expected.sequences);
    assert_same_numbers(found.states.singular_values, expected.states.singular_values,
                        expected.states.count * expected.states.width);
    assert_same_numbers(found.states.effective_rank, expected.states.effective_rank, expected.states.count);
    assert_same_numbers(found.states.cosine, expected.states.cosine, expected.states.count);
    for (size_t stage = 0; stage < SR_CALIBRATION_STAGES; ++stage)
        assert_same_numbers(found.attention.mean[stage], a->mean[stage], a->layers * a->heads * a->length * a->length);
    assert_same_examples(&found, &expected, a->layers * a->heads);
    assert_int_equal(expected.example_count, a->layers == 0 || sr_parallel_rank(w->parallel) > 0 ? 0
                                             : user_count                                        ? user_count
                                                                                                 : 1);
    sr_analysis_free(&expected);
    sr_analysis_free(&found);
}

static void analyses_are_those_of_a_whole_table(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "bert4rec", "stosa", "caser"};
    const size_t some[] = {36, 0, 5};
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
        make_model(w, backbones[b], w->dataset, false);
        divide(w, owners[b]);
        assert_same_analysis(w, NULL, 0);
        assert_same_analysis(w, some, 3);
    }
}

/* ---- failures ---- */

/* Item 11 has no score, on whichever rank it is. */
static void scores_that_are_not_numbers_fail_on_all_ranks(void **state)
{
    world *w = *state;
    sr_ranking_metrics metrics;
    for (size_t o = 0; o < OWNERS; ++o) {
        sr_error error = {.message = ""};
        make_model(w, "sasrec", w->dataset, false);
        divide(w, owners[o]);
        const sr_real nan = (sr_real)NAN;
        sr_row_blocks_set(sr_model_parameters(w->divided), ITEM_VECTORS, SIZE_MAX, 11 * WIDTH + 2, 1, &nan);
        const sr_evaluation evaluation = evaluation_of(w, w->dataset, SR_SPLIT_TEST);
        assert_int_equal(sr_evaluate_model(w->parallel, w->divided, &evaluation, &metrics, &error), SR_ERROR_RUNTIME);
        assert_non_null(strstr(error.message, "not a number"));
        collection found = {.count = 0};
        error.message[0] = '\0';
        assert_int_equal(recommend(w, w->divided, w->dataset, 3, SR_HISTORY_KEEP, &found, &error), SR_ERROR_RUNTIME);
        assert_non_null(strstr(error.message, "a score for user number 1 of"));
        assert_int_equal(found.count, 0);
        free(found.list);
    }
}

static bool stops_on_the_last_rank(void *context)
{
    const world *w = context;
    return sr_parallel_rank(w->parallel) == sr_parallel_size(w->parallel) - 1;
}

static void an_evaluation_that_one_rank_stops_is_stopped_on_all(void **state)
{
    world *w = *state;
    sr_ranking_metrics metrics;
    sr_error error;
    make_model(w, "sasrec", w->dataset, false);
    divide(w, owned_in_turn);
    sr_evaluation evaluation = evaluation_of(w, w->dataset, SR_SPLIT_TEST);
    evaluation.stop = stops_on_the_last_rank;
    evaluation.context = w;
    w->settings.batch_size = 1000; /* all users are the first rank's */
    assert_int_equal(sr_evaluate_model(w->parallel, w->divided, &evaluation, &metrics, &error), SR_STOPPED);
    evaluation.stop = NULL;
    assert_int_equal(sr_evaluate_model(w->parallel, w->divided, &evaluation, &metrics, &error), SR_OK);
}

/* Of the first fetch, and of a later one. */
static void a_fetch_that_fails_on_one_rank_fails_on_all(void **state)
{
    world *w = *state;
    const sr_analysis_request request = {
        .dataset = w->dataset, .split = SR_SPLIT_TEST, .batch_size = 2, .kernels = tested_kernels()};
    make_model(w, "sasrec", w->dataset, false);
    divide(w, owned_in_turn);
    const sr_evaluation evaluation = evaluation_of(w, w->dataset, SR_SPLIT_TEST);
    for (size_t call = 1; call <= 3; call += 2) {
        sr_ranking_metrics metrics;
        sr_analysis analysis;
        collection found = {.count = 0};
        sr_error errors[3] = {{.message = ""}, {.message = ""}, {.message = ""}};
        w->ranks.fails_at = call;
        w->ranks.fetches = 0;
        assert_int_equal(sr_evaluate_model(w->parallel, w->divided, &evaluation, &metrics, &errors[0]), SR_ERROR_RUNTIME);
        w->ranks.fetches = 0;
        assert_int_equal(sr_analyze(w->parallel, w->divided, &request, &analysis, &errors[1]), SR_ERROR_RUNTIME);
        w->ranks.fetches = call - 1; /* a round has one fetch here */
        assert_int_equal(recommend(w, w->divided, w->dataset, 3, SR_HISTORY_KEEP, &found, &errors[2]), SR_ERROR_RUNTIME);
        for (size_t i = 0; i < 3; ++i)
            assert_non_null(strstr(errors[i].message, "rows are lost"));
        free(found.list);
    }
    w->ranks.fails_at = 0;
    assert_same_metrics(w, w->dataset, SR_SPLIT_TEST);
}

static sr_status fails_to_emit(void *context, const char *user, size_t user_length, size_t rank, int32_t item, double score,
                               sr_error *error)
{
    (void)context, (void)user, (void)user_length, (void)rank, (void)item, (void)score;
    return sr_fail(error, SR_ERROR_RUNTIME, "the disk is full");
}

/* One item that no rank has. */
static int owned_by_nobody(size_t id, int ranks)
{
    return id == 11 ? -1 : owned_in_turn(id, ranks);
}

static void failures_behind_the_scores_are_those_of_all(void **state)
{
    world *w = *state;
    sr_error error = {.message = ""};
    sr_ranking_metrics metrics;
    sr_users_in_dataset users;
    make_model(w, "sasrec", w->dataset, false);
    divide(w, owned_in_turn);
    const sr_user_source source = sr_users_of_dataset(&users, w->dataset, NULL, 0);
    assert_int_equal(
        sr_recommend(w->parallel, w->divided, &source,
                     &(sr_recommendation_request){.top_k = 3, .history = SR_HISTORY_KEEP, .kernels = tested_kernels()},
                     fails_to_emit, NULL, &error),
        SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "the disk is full"));
    divide(w, owned_by_nobody);
    const sr_evaluation evaluation = evaluation_of(w, w->dataset, SR_SPLIT_TEST);
    assert_int_equal(sr_evaluate_model(w->parallel, w->divided, &evaluation, &metrics, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "item 11 is scored by 0 processes, expected one"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_test, free_models_of_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metrics_and_recommendations_are_those_of_a_whole_table),
        TEST(equal_scores_of_several_ranks_go_by_item_id),
        TEST(ranks_without_histories_take_part),
        TEST(many_states_and_items_come_in_portions),
        TEST(threads_divide_what_their_process_has),
        TEST(a_score_has_the_same_bits_whatever_is_scored_with_it),
        TEST(analyses_are_those_of_a_whole_table),
        TEST(scores_that_are_not_numbers_fail_on_all_ranks),
        TEST(an_evaluation_that_one_rank_stops_is_stopped_on_all),
        TEST(a_fetch_that_fails_on_one_rank_fails_on_all),
        TEST(failures_behind_the_scores_are_those_of_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Ranking and recommendations against naive loops, on 1 to 4 ranks: every rank computes the naive answer by itself. */
#include "cpu_level.h"
#include "scattered_items.h"
#include "shared_dataset.h"
#include "srtrain/analysis.h"
#include "srtrain/evaluate.h"
#include "srtrain/settings.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 37, ITEMS = 23, WIDTH = 8, LENGTH = 5, COLUMNS = ITEMS + 1 };

typedef struct {
    shared_dataset data;
    sr_parallel *parallel; /* of the data set */
    sr_dataset *dataset, *timeless;
    sr_model *model;
    sr_evaluation_settings settings;
} world;

/* User u has 3 + u % 9 interactions; every fifth user has the same item twice, so that a target may be in the history. */
static void write_sequences(const char *directory, bool with_times)
{
    int64_t offsets[USERS + 1] = {0}, times[USERS * 12];
    int32_t items[USERS * 12], train_end[USERS], valid_end[USERS];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = 3 + user % 9;
        for (size_t i = 0; i < length; ++i) {
            times[count] = (int64_t)(i * i + user % 3 * i);
            items[count++] = 1 + (int32_t)((user * 7 + i * 5) % ITEMS);
        }
        if (user % 5 == 0)
            items[count - 1] = items[count - length];
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)length - 2;
        valid_end[user] = (int32_t)length - 1;
    }
    small_dataset_write(directory, &(small_dataset){.users = USERS,
                                                    .items = ITEMS,
                                                    .shards = 3,
                                                    .offsets = offsets,
                                                    .item_ids = items,
                                                    .times = with_times ? times : NULL,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
}

static void write_data(const char *directory)
{
    write_sequences(directory, true);
}

static void write_timeless_data(const char *directory)
{
    write_sequences(directory, false);
}

/* A small model with random parameters takes the place of the one before. */
static void make_model(world *w, const char *backbone)
{
    sr_settings settings;
    sr_settings_default(&settings);
    settings.model.backbone = sr_backbone_number(backbone);
    settings.model.hidden_size = WIDTH;
    assert_int_equal(sr_settings_assign(&settings, "model.user_hidden_size=4", NULL), SR_OK);
    settings.model.inner_size = WIDTH;
    settings.model.max_length = LENGTH;
    settings.model.initializer_range = 0.5;
    sr_model_free(w->model);
    assert_int_equal(sr_model_create(&w->model, &settings.model, ITEMS, USERS, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 3);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    shared_dataset_open(&w->data, write_data);
    w->parallel = w->data.parallel;
    w->dataset = w->data.dataset;
    w->timeless = shared_dataset_open_another(&w->data, "timeless", write_timeless_data);
    sr_settings settings;
    sr_settings_default(&settings);
    w->settings = settings.evaluation;
    w->settings.batch_size = 4;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_dataset_close(w->timeless);
    sr_model_free(w->model);
    const int result = shared_dataset_close(&w->data);
    free(w);
    return result;
}

static int use_sasrec(void **state)
{
    make_model(*state, "sasrec");
    return 0;
}

/* What `history` asks for, item by item of the user's first `length` ones. */
static void treat_history(const world *w, size_t user, size_t length, sr_history history, float scores[COLUMNS])
{
    const int32_t *items = sr_dataset_sequence(w->dataset, user).items;
    for (size_t i = 0; i < length && history != SR_HISTORY_KEEP; ++i)
        scores[items[i]] = history == SR_HISTORY_ZERO ? 0 : -INFINITY;
    if (history != SR_HISTORY_ZERO)
        scores[0] = -INFINITY;
}

static const float *row_of(sr_model *model, const char *table, size_t row, size_t width)
{
    const sr_parameters *parameters = sr_model_parameters(model);
    const size_t index = sr_parameters_find(parameters, table);
    assert_true(index != SIZE_MAX);
    return parameters->values + parameters->list[index].offset + row * width;
}

/* A dot product, or minus the squared 2-Wasserstein distance of Gaussians with means and covariances side by side. */
static float naive_score(sr_model *model, const float *state, size_t width, size_t item)
{
    float score = 0;
    if (sr_model_configuration(model)->backbone != sr_backbone_number("stosa")) {
        const float *row = row_of(model, "item_embedding.weight", item, width);
        for (size_t i = 0; i < width; ++i)
            score += state[i] * row[i];
        return score;
    }
    const size_t half = width / 2;
    const float *means = row_of(model, "item_mean_embedding.weight", item, half);
    const float *covariances = row_of(model, "item_covariance_embedding.weight", item, half);
    for (size_t i = 0; i < half; ++i) {
        const float covariance = covariances[i] > 0 ? covariances[i] + 1 : expf(covariances[i]);
        const float root = sqrtf(state[half + i]) - sqrtf(covariance), mean = state[i] - means[i];
        score -= mean * mean + root * root;
    }
    return score;
}

/* The scores of the catalogue after the first `length` interactions of a user, straight from the model. */
static void naive_scores(const world *w, size_t user, size_t length, sr_history history, float scores[COLUMNS])
{
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
    sr_encoding encoding;
    const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
    const sr_example example = {.items = sequence.items,
                                .times = sequence.times,
                                .length = length,
                                .user = (int32_t)user + 1,
                                .mask_token = sr_model_mask_token(w->model)};
    const sr_pass pass = {.training = false};
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&tape, tested_kernels(), false, NULL), SR_OK);
    assert_int_equal(
        sr_batch_build(&batch, arena, sr_model_configuration(w->model), SR_OBJECTIVE_LAST, false, &example, 1, NULL), SR_OK);
    sr_model_encode(w->model, tape, &batch, &pass, &encoding);
    const sr_tensor *state = encoding.representation;
    for (size_t item = 0; item < COLUMNS; ++item)
        scores[item] = naive_score(w->model, state->values, state->columns, item);
    treat_history(w, user, length, history, scores);
    sr_tape_free(tape);
    sr_arena_free(arena);
}

/* The rank from 1 of a target; one that is left out has none, however deep one looks. */
static size_t naive_rank(const float *scores, size_t target)
{
    size_t rank = 1;
    if (scores[target] == -INFINITY)
        return SIZE_MAX;
    for (size_t item = 0; item < COLUMNS; ++item)
        rank += scores[item] > scores[target] || (scores[item] == scores[target] && item < target);
    return rank;
}

/* Every test case of a split, as the world's settings say. */
static sr_evaluation evaluation_of(const world *w, sr_split split)
{
    return (sr_evaluation){.dataset = w->dataset, .settings = &w->settings, .split = split, .kernels = tested_kernels()};
}

/* Ranks, scores and the best items in a file of cases, in the order of users. */
static void assert_cases(const world *w, const char *path)
{
    enum { TOP_K = 3 };
    char line[256];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        const size_t at = sequence.valid_end, target = (size_t)sequence.items[at];
        size_t found_user, found_target, rank, length, top[TOP_K];
        float scores[COLUMNS], score;
        naive_scores(w, user, at, w->settings.history, scores);
        const size_t expected = naive_rank(scores, target);
        assert_non_null(fgets(line, sizeof line, file));
        assert_int_equal(sscanf(line, "n%zu\tn%zu\t%zu\t%f\t%zu\t%*u\t%*u\tn%zu\tn%zu\tn%zu", &found_user, &found_target, &rank,
                                &score, &length, &top[0], &top[1], &top[2]),
                         8);
        assert_int_equal(found_user, user);
        assert_int_equal(found_target + 1, target); /* names count from 0 */
        assert_int_equal(length, at);
        assert_int_equal(rank, expected == SIZE_MAX ? 0 : expected);
        assert_true(score == scores[target] || fabsf(score - scores[target]) < 1e-4f);
        for (size_t k = 0; k < TOP_K; ++k)
            assert_int_equal(naive_rank(scores, top[k] + 1), k + 1);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

typedef void (*score_function)(const world *w, size_t user, size_t length, sr_history history, float *scores);

static void popularity_scores(const world *w, size_t user, size_t length, sr_history history, float *scores)
{
    for (size_t item = 0; item < COLUMNS; ++item)
        scores[item] = (float)sr_dataset_popularity(w->dataset)[item];
    treat_history(w, user, length, history, scores);
}

static void assert_metrics(const world *w, sr_split split, score_function score, const sr_ranking_metrics *metrics)
{
    for (size_t k = 0; k < metrics->top_k_count; ++k) {
        double sums[3] = {0, 0, 0}, squares[3] = {0, 0, 0};
        for (size_t user = 0; user < USERS; ++user) {
            const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
            const size_t at = split == SR_SPLIT_VALID ? sequence.train_end : sequence.valid_end;
            float scores[COLUMNS];
            score(w, user, at, w->settings.history, scores);
            const double rank = (double)naive_rank(scores, (size_t)sequence.items[at]);
            const double values[3] = {1, 1 / log2(rank + 1), 1 / rank};
            for (size_t i = 0; i < 3 && rank <= (double)w->settings.top_k[k]; ++i) {
                sums[i] += values[i];
                squares[i] += values[i] * values[i];
            }
        }
        const double found[3] = {metrics->hr[k], metrics->ndcg[k], metrics->mrr[k]};
        const double errors[3] = {metrics->hr_error[k], metrics->ndcg_error[k], metrics->mrr_error[k]};
        for (size_t i = 0; i < 3; ++i) {
            const double mean = sums[i] / USERS, variance = (squares[i] - USERS * mean * mean) / (USERS - 1);
            assert_true(fabs(found[i] - mean) < 1e-12);
            assert_true(fabs(errors[i] - sqrt(fmax(variance, 0) / USERS)) < 1e-9);
        }
    }
}

static void metrics_are_those_of_a_naive_ranking_for_every_treatment_of_history(void **state)
{
    world *w = *state;
    for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_ZERO; ++history)
        for (int split = SR_SPLIT_VALID; split <= SR_SPLIT_TEST; ++split) {
            sr_ranking_metrics metrics;
            w->settings.history = (sr_history)history;
            sr_evaluation evaluation = evaluation_of(w, (sr_split)split);
            char path[128];
            snprintf(path, sizeof path, "%s/cases.tsv", w->data.directory);
            const sr_case_request cases = {.path = path, .top_k = 3};
            evaluation.cases = split == SR_SPLIT_TEST && history != SR_HISTORY_ZERO ? &cases : NULL;
            assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, NULL), SR_OK);
            assert_int_equal(metrics.cases, USERS);
            if (evaluation.cases)
                assert_cases(w, path);
            evaluation.cases = NULL;
            assert_metrics(w, (sr_split)split, naive_scores, &metrics);
            assert_int_equal(sr_evaluate_popularity(w->parallel, &evaluation, &metrics, NULL), SR_OK);
            assert_metrics(w, (sr_split)split, popularity_scores, &metrics);
        }
}

/* The default cut-offs reach behind the catalogue's end. Some targets stand in the history. */
static void a_target_that_is_left_out_is_a_miss_where_k_reaches_behind_the_catalogue(void **state)
{
    world *w = *state;
    const sr_history histories[] = {SR_HISTORY_EXCLUDE, SR_HISTORY_KEEP};
    size_t seen = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        bool again = false;
        for (size_t i = 0; i < sequence.valid_end; ++i)
            again = again || sequence.items[i] == sequence.items[sequence.valid_end];
        seen += again;
    }
    assert_true(seen > 0 && seen < USERS);
    for (size_t h = 0; h < 2; ++h) {
        sr_ranking_metrics model, popularity;
        w->settings.history = histories[h];
        sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
        evaluation.kernels = sr_kernels_choose(NULL);
        assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &model, NULL), SR_OK);
        assert_int_equal(sr_evaluate_popularity(w->parallel, &evaluation, &popularity, NULL), SR_OK);
        const double hits = h == 0 ? (double)(USERS - seen) / USERS : 1;
        assert_true(fabs(sr_ranking_metric(&model, "hr@50") - hits) < 1e-12);
        assert_true(fabs(sr_ranking_metric(&popularity, "hr@50") - hits) < 1e-12);
    }
}

/* Users, times and mask tokens reach the model, also for histories longer than its window. */
static void metrics_of_every_backbone_are_those_of_a_naive_ranking(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"bert4rec", "ssept", "tisasrec", "stosa"};
    w->settings.history = SR_HISTORY_KEEP;
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
        sr_ranking_metrics metrics;
        make_model(w, backbones[b]);
        const sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
        assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, NULL), SR_OK);
        assert_metrics(w, SR_SPLIT_TEST, naive_scores, &metrics);
    }
}

static void equal_scores_are_ranked_by_item_id(void **state)
{
    world *w = *state;
    sr_parameters *parameters = sr_model_parameters(w->model);
    const sr_parameter *table = &parameters->list[sr_parameters_find(parameters, "item_embedding.weight")];
    for (size_t i = 0; i < table->size; ++i) /* all items alike */
        parameters->values[table->offset + i] = (float)(i % WIDTH) * 0.1f;
    sr_ranking_metrics metrics;
    w->settings.history = SR_HISTORY_KEEP;
    const sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, NULL), SR_OK);
    /* Padding does not compete: the rank of an item is its id. */
    size_t expected = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        expected += sequence.items[sequence.valid_end] <= 10;
    }
    assert_true(fabs(sr_ranking_metric(&metrics, "hr@10") - (double)expected / USERS) < 1e-12);
    assert_true(sr_ranking_metric(&metrics, "hr@7") < 0);
}

static void parameters_that_are_not_numbers_fail_on_all_ranks(void **state)
{
    world *w = *state;
    sr_parameters *parameters = sr_model_parameters(w->model);
    parameters->values[parameters->list[0].offset + 40] = NAN;
    sr_ranking_metrics metrics;
    sr_error error;
    const sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "not a number"));
}

/* ---- recommendations ---- */

typedef struct {
    size_t count, top_k;
    size_t users[USERS * COLUMNS], ranks[USERS * COLUMNS];
    int32_t items[USERS * COLUMNS];
} collected;

static sr_status collect(void *context, const char *user, size_t user_length, size_t rank, int32_t item, double score,
                         sr_error *error)
{
    (void)score;
    (void)error;
    collected *c = context;
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)user_length, user);
    assert_int_equal(sscanf(name, "n%zu", &c->users[c->count]), 1);
    c->ranks[c->count] = rank;
    c->items[c->count++] = item;
    return SR_OK;
}

static void assert_recommendations_by_a_full_sort(world *w, collected *c)
{
    const size_t some[] = {0, 5, 6, 36};
    for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_EXCLUDE; ++history)
        for (int subset = 0; subset < 2; ++subset)
            for (size_t top_k = 3; top_k < 100; top_k += 90) { /* 93 is more than there are items */
                c->count = 0;
                sr_users_in_dataset users;
                const sr_user_source source = sr_users_of_dataset(&users, w->dataset, subset ? some : NULL, 4);
                assert_int_equal(sr_recommend(w->parallel, w->model, &source,
                                              &(sr_recommendation_request){
                                                  .top_k = top_k, .history = (sr_history)history, .kernels = tested_kernels()},
                                              collect, c, NULL),
                                 SR_OK);
                size_t at = 0;
                for (size_t index = 0; index < (subset ? 4 : USERS) && sr_parallel_rank(w->parallel) == 0; ++index) {
                    const size_t user = subset ? some[index] : index;
                    const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
                    float scores[COLUMNS];
                    naive_scores(w, user, sequence.length, (sr_history)history, scores);
                    size_t given = 0;
                    for (size_t rank = 1; rank <= top_k && rank <= ITEMS; ++rank)
                        for (size_t item = 1; item < COLUMNS; ++item)
                            if (scores[item] > -INFINITY && naive_rank(scores, item) == rank) {
                                assert_int_equal(c->users[at], user);
                                assert_int_equal(c->ranks[at], ++given);
                                assert_int_equal(c->items[at++], item);
                            }
                }
                assert_int_equal(c->count, at);
            }
}

static void recommendations_are_the_best_by_a_full_sort(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "bert4rec", "ssept", "tisasrec", "stosa"};
    collected *c = calloc(1, sizeof *c);
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; ++b) {
        make_model(w, backbones[b]);
        assert_recommendations_by_a_full_sort(w, c);
    }
    free(c);
}

/* Of the model and of one whose rows lie in another order. */
static void assert_same_results(world *w, sr_model *other, collected *expected, collected *found)
{
    sr_ranking_metrics metrics[2];
    sr_model *const models[] = {w->model, other};
    collected *const collections[] = {expected, found};
    for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_ZERO; ++history) {
        w->settings.history = (sr_history)history;
        for (size_t i = 0; i < 2; ++i) {
            sr_users_in_dataset users;
            const sr_user_source source = sr_users_of_dataset(&users, w->dataset, NULL, 0);
            collections[i]->count = 0;
            const sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
            assert_int_equal(sr_evaluate_model(w->parallel, models[i], &evaluation, &metrics[i], NULL), SR_OK);
            assert_int_equal(sr_recommend(w->parallel, models[i], &source,
                                          &(sr_recommendation_request){
                                              .top_k = 5, .history = (sr_history)history, .kernels = tested_kernels()},
                                          collect, collections[i], NULL),
                             SR_OK);
        }
        const size_t size = metrics[0].top_k_count * sizeof *metrics[0].ndcg;
        assert_memory_equal(metrics[1].hr, metrics[0].hr, size);
        assert_memory_equal(metrics[1].ndcg, metrics[0].ndcg, size);
        assert_memory_equal(metrics[1].mrr, metrics[0].mrr, size);
        assert_int_equal(found->count, expected->count);
        assert_memory_equal(found->users, expected->users, expected->count * sizeof *expected->users);
        assert_memory_equal(found->items, expected->items, expected->count * sizeof *expected->items);
    }
}

static void assert_same_states(world *w, sr_model *other)
{
    sr_analysis analyses[2];
    sr_model *const models[] = {w->model, other};
    const sr_analysis_request request = {
        .dataset = w->dataset, .split = SR_SPLIT_TEST, .batch_size = 4, .kernels = tested_kernels()};
    for (size_t i = 0; i < 2; ++i)
        assert_int_equal(sr_analyze(w->parallel, models[i], &request, &analyses[i], NULL), SR_OK);
    const size_t size = analyses[0].states.count * sizeof(double);
    assert_true(size > 0);
    assert_memory_equal(analyses[1].states.effective_rank, analyses[0].states.effective_rank, size);
    assert_memory_equal(analyses[1].states.cosine, analyses[0].states.cosine, size);
    for (size_t i = 0; i < 2; ++i)
        sr_analysis_free(&analyses[i]);
}

static void nothing_depends_on_where_rows_lie(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "bert4rec", "ssept", "gru4rec", "caser", "stosa", "sasrec"};
    const size_t count = sizeof backbones / sizeof *backbones;
    collected *expected = calloc(1, sizeof *expected), *found = calloc(1, sizeof *found);
    for (size_t b = 0; b < count; ++b) {
        make_model(w, backbones[b]);
        sr_parameters *parameters = sr_model_parameters(w->model);
        if (b + 1 == count) { /* every fourth item is alike: equal scores go by ids */
            sr_real *table = parameters->values +
                             parameters->list[sr_parameters_find(parameters, "item_embedding.weight")].offset;
            for (size_t i = 0; i < COLUMNS * WIDTH; ++i)
                table[i] = table[i % (4 * WIDTH)];
        }
        sr_model *scattered = scattered_model(w->model);
        assert_same_results(w, scattered, expected, found);
        assert_same_states(w, scattered);
        sr_model_free(scattered);
    }
    free(expected);
    free(found);
}

static void a_model_of_times_is_refused_data_without_them(void **state)
{
    world *w = *state;
    sr_ranking_metrics metrics;
    sr_error error;
    make_model(w, "tisasrec");
    sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
    evaluation.dataset = w->timeless;
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "has no time stamps, but model.backbone tisasrec needs them"));
    error.message[0] = '\0';
    sr_users_in_dataset users;
    const sr_user_source source = sr_users_of_dataset(&users, w->timeless, NULL, 0);
    assert_int_equal(
        sr_recommend(w->parallel, w->model, &source,
                     &(sr_recommendation_request){.top_k = 3, .history = SR_HISTORY_KEEP, .kernels = tested_kernels()}, collect,
                     NULL, &error),
        SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "has no time stamps, but model.backbone tisasrec needs them"));
    assert_int_equal(sr_evaluate_popularity(w->parallel, &evaluation, &metrics, &error), SR_OK);
}

/* ---- stopping ---- */

static bool stops_on_the_last_rank(void *context)
{
    const world *w = context;
    return sr_parallel_rank(w->parallel) == sr_parallel_size(w->parallel) - 1;
}

static bool never_stops(void *context)
{
    (void)context;
    return false;
}

static void an_evaluation_that_one_rank_stops_is_stopped_on_all(void **state)
{
    world *w = *state;
    sr_ranking_metrics metrics, expected;
    sr_error error = {.message = ""};
    make_model(w, "sasrec");
    sr_evaluation evaluation = evaluation_of(w, SR_SPLIT_TEST);
    evaluation.stop = stops_on_the_last_rank;
    evaluation.context = w;
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, &error), SR_STOPPED);
    evaluation.stop = never_stops;
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &metrics, &error), SR_OK);
    evaluation.stop = NULL;
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, &evaluation, &expected, &error), SR_OK);
    assert_memory_equal(metrics.ndcg, expected.ndcg, metrics.top_k_count * sizeof *metrics.ndcg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_evaluation_that_one_rank_stops_is_stopped_on_all),
        cmocka_unit_test_setup(metrics_are_those_of_a_naive_ranking_for_every_treatment_of_history, use_sasrec),
        cmocka_unit_test_setup(a_target_that_is_left_out_is_a_miss_where_k_reaches_behind_the_catalogue, use_sasrec),
        cmocka_unit_test(metrics_of_every_backbone_are_those_of_a_naive_ranking),
        cmocka_unit_test(recommendations_are_the_best_by_a_full_sort),
        cmocka_unit_test(nothing_depends_on_where_rows_lie),
        cmocka_unit_test(a_model_of_times_is_refused_data_without_them),
        cmocka_unit_test_setup(equal_scores_are_ranked_by_item_id, use_sasrec),
        cmocka_unit_test_setup(parameters_that_are_not_numbers_fail_on_all_ranks, use_sasrec),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

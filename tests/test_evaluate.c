/* Ranking and recommendations against naive loops, on 1 to 4 ranks: every rank computes the naive answer by itself. */
#include "srtrain/evaluate.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 37, ITEMS = 23, WIDTH = 8, LENGTH = 5, COLUMNS = ITEMS + 1 };

typedef struct {
    sr_parallel *parallel;
    sr_dataset *dataset;
    sr_model *model;
    sr_evaluation_settings settings;
    char directory[64];
} world;

/* User u has 3 + u % 9 interactions; every fifth user has the same item twice, so that a target may be in the history. */
static void write_data(const char *directory)
{
    int64_t offsets[USERS + 1] = {0};
    int32_t items[USERS * 12], train_end[USERS], valid_end[USERS];
    const char *user_names[USERS], *item_names[ITEMS];
    static char names[USERS][8];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = 3 + user % 9;
        for (size_t i = 0; i < length; ++i)
            items[count++] = 1 + (int32_t)((user * 7 + i * 5) % ITEMS);
        if (user % 5 == 0)
            items[count - 1] = items[count - length];
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)length - 2;
        valid_end[user] = (int32_t)length - 1;
        snprintf(names[user], sizeof names[user], "n%zu", user);
        user_names[user] = names[user];
    }
    for (size_t i = 0; i < ITEMS; ++i)
        item_names[i] = names[i];
    const sr_dataset_contents contents = {.users = USERS,
                                          .items = ITEMS,
                                          .interactions = count,
                                          .offsets = offsets,
                                          .item_ids = items,
                                          .train_end = train_end,
                                          .valid_end = valid_end,
                                          .user_names = user_names,
                                          .item_names = item_names,
                                          .split = "leave-one-out",
                                          .origin = "{}"};
    sr_error error;
    if (sr_dataset_write(directory, &contents, 3, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_error error;
    if (sr_parallel_start(&w->parallel, NULL, NULL, &error) != SR_OK)
        fail_msg("%s", error.message);
    char path[80];
    if (sr_parallel_rank(w->parallel) == 0) {
        snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
        assert_non_null(mkdtemp(w->directory));
        snprintf(path, sizeof path, "%s/data", w->directory);
        write_data(path);
    }
    assert_int_equal(sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, NULL), SR_OK);
    snprintf(path, sizeof path, "%s/data", w->directory);
    if (sr_dataset_open(&w->dataset, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    sr_settings settings;
    sr_settings_default(&settings);
    settings.model.hidden_size = WIDTH;
    settings.model.inner_size = WIDTH;
    settings.model.max_length = LENGTH;
    settings.model.initializer_range = 0.5;
    assert_int_equal(sr_model_create(&w->model, &settings.model, ITEMS, NULL), SR_OK);
    w->settings = settings.evaluation;
    w->settings.batch_size = 4;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    int result = 0;
    sr_dataset_close(w->dataset);
    sr_model_free(w->model);
    sr_parallel_barrier(w->parallel, NULL);
    if (sr_parallel_rank(w->parallel) == 0) {
        char command[128];
        snprintf(command, sizeof command, "rm -r %s", w->directory);
        result = system(command);
    }
    sr_parallel_finish(w->parallel);
    free(w);
    return result;
}

static int draw_model(void **state)
{
    world *w = *state;
    sr_parameters_draw(sr_model_parameters(w->model), 3);
    return 0;
}

/* The scores of the catalogue after a history, straight from the model. */
static void naive_scores(const world *w, const int32_t *items, size_t length, sr_history history, float scores[COLUMNS])
{
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
    const sr_example example = {.items = items, .length = length};
    const sr_pass pass = {.training = false};
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&tape, sr_kernels_choose(NULL), false, NULL), SR_OK);
    assert_int_equal(sr_batch_build(&batch, arena, sr_model_configuration(w->model), SR_OBJECTIVE_LAST, &example, 1, NULL),
                     SR_OK);
    const sr_tensor *state = sr_model_encode(w->model, tape, &batch, &pass);
    size_t width;
    const float *table = sr_model_item_table(w->model, &width);
    for (size_t item = 0; item < COLUMNS; ++item) {
        scores[item] = 0;
        for (size_t i = 0; i < width; ++i)
            scores[item] += state->values[i] * table[item * width + i];
    }
    for (size_t i = 0; i < length && history != SR_HISTORY_KEEP; ++i)
        scores[items[i]] = history == SR_HISTORY_ZERO ? 0 : -INFINITY;
    if (history != SR_HISTORY_ZERO)
        scores[0] = -INFINITY;
    sr_tape_free(tape);
    sr_arena_free(arena);
}

/* The rank from 1 of a target, or 0 when it has no score. */
static size_t naive_rank(const float *scores, size_t target)
{
    size_t rank = 1;
    for (size_t item = 0; item < COLUMNS; ++item)
        rank += scores[item] > scores[target] || (scores[item] == scores[target] && item < target);
    return rank;
}

typedef void (*score_function)(const world *w, const int32_t *items, size_t length, sr_history history, float *scores);

static void popularity_scores(const world *w, const int32_t *items, size_t length, sr_history history, float *scores)
{
    for (size_t item = 0; item < COLUMNS; ++item)
        scores[item] = (float)sr_dataset_popularity(w->dataset)[item];
    for (size_t i = 0; i < length && history != SR_HISTORY_KEEP; ++i)
        scores[items[i]] = history == SR_HISTORY_ZERO ? 0 : -INFINITY;
    if (history != SR_HISTORY_ZERO)
        scores[0] = -INFINITY;
}

static void assert_metrics(const world *w, sr_split split, score_function score, const sr_ranking_metrics *metrics)
{
    for (size_t k = 0; k < metrics->top_k_count; ++k) {
        double sums[3] = {0, 0, 0}, squares[3] = {0, 0, 0};
        for (size_t user = 0; user < USERS; ++user) {
            const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
            const size_t at = split == SR_SPLIT_VALID ? sequence.train_end : sequence.valid_end;
            float scores[COLUMNS];
            score(w, sequence.items, at, w->settings.history, scores);
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
            assert_int_equal(sr_evaluate_model(w->parallel, w->model, w->dataset, &w->settings, (sr_split)split,
                                               sr_kernels_choose(NULL), &metrics, NULL),
                             SR_OK);
            assert_int_equal(metrics.cases, USERS);
            assert_metrics(w, (sr_split)split, naive_scores, &metrics);
            assert_int_equal(sr_evaluate_popularity(w->parallel, w->dataset, &w->settings, (sr_split)split,
                                                    sr_kernels_choose(NULL), &metrics, NULL),
                             SR_OK);
            assert_metrics(w, (sr_split)split, popularity_scores, &metrics);
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
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, w->dataset, &w->settings, SR_SPLIT_TEST, sr_kernels_choose(NULL),
                                       &metrics, NULL),
                     SR_OK);
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
    assert_int_equal(sr_evaluate_model(w->parallel, w->model, w->dataset, &w->settings, SR_SPLIT_TEST, sr_kernels_choose(NULL),
                                       &metrics, &error),
                     SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "not a number"));
}

/* ---- recommendations ---- */

typedef struct {
    size_t count, top_k;
    size_t users[USERS * COLUMNS], ranks[USERS * COLUMNS];
    int32_t items[USERS * COLUMNS];
} collected;

static sr_status collect(void *context, size_t user, size_t rank, int32_t item, double score, sr_error *error)
{
    (void)score;
    (void)error;
    collected *c = context;
    c->users[c->count] = user;
    c->ranks[c->count] = rank;
    c->items[c->count++] = item;
    return SR_OK;
}

static void recommendations_are_the_best_by_a_full_sort(void **state)
{
    world *w = *state;
    const size_t some[] = {0, 5, 6, 36};
    collected *c = calloc(1, sizeof *c);
    for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_EXCLUDE; ++history)
        for (int subset = 0; subset < 2; ++subset)
            for (size_t top_k = 3; top_k < 100; top_k += 90) { /* 93 is more than there are items */
                c->count = 0;
                assert_int_equal(sr_recommend(w->parallel, w->model, w->dataset, subset ? some : NULL, 4, top_k,
                                              (sr_history)history, sr_kernels_choose(NULL), collect, c, NULL),
                                 SR_OK);
                size_t at = 0;
                for (size_t index = 0; index < (subset ? 4 : USERS) && sr_parallel_rank(w->parallel) == 0; ++index) {
                    const size_t user = subset ? some[index] : index;
                    const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
                    float scores[COLUMNS];
                    naive_scores(w, sequence.items, sequence.length, (sr_history)history, scores);
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
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(metrics_are_those_of_a_naive_ranking_for_every_treatment_of_history, draw_model),
        cmocka_unit_test_setup(recommendations_are_the_best_by_a_full_sort, draw_model),
        cmocka_unit_test_setup(equal_scores_are_ranked_by_item_id, draw_model),
        cmocka_unit_test_setup(parameters_that_are_not_numbers_fail_on_all_ranks, draw_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

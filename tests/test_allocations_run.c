/* What a run consists of, and whole runs, for which memory does not suffice: whichever allocation fails, on whichever rank, all
 * ranks end with a message, and nothing is lost. */
#include "evaluate/new_users.h"
#include "failing_allocations.h"
#include "program.h"
#include "shared_dataset.h"
#include "srtrain/analysis.h"
#include "srtrain/checkpoint.h"
#include "srtrain/run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 12, ITEMS = 15, LENGTH = 7, PATH = 256 };

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i + i * i / 3;
}

static int set_up(void **state)
{
    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a rank that fails ends the whole job */
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 2, .item_of = item_of});
}

static void check(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

/* ---- a configuration ---- */

typedef struct {
    shared_dataset *data;
    char path[PATH];
} configuration_file;

static sr_status read_configuration(void *context, uint64_t *result, sr_error *error)
{
    const configuration_file *file = context;
    static const char *const assignments[] = {"training.epochs=3", "evaluation.top_k=[5, 10]"};
    sr_settings settings;
    char *text = NULL;
    sr_status status = sr_settings_read(&settings, file->path, assignments, 2, error);
    if (status == SR_OK)
        status = sr_settings_text(&settings, &text, error);
    if (status == SR_OK)
        *result = add_to_result(0, text, strlen(text));
    free(text);
    return sr_parallel_agree(file->data->parallel, status, error);
}

static void of_a_configuration(void **state)
{
    configuration_file file = {.data = *state};
    sr_error error;
    snprintf(file.path, sizeof file.path, "%s/test.yaml", file.data->directory);
    if (sr_parallel_rank(file.data->parallel) == 0) {
        FILE *stream = fopen(file.path, "w");
        assert_non_null(stream);
        fputs("data: {path: somewhere}\nmodel:\n  backbone: bert4rec # a comment\n  hidden_size: 8\n"
              "calibrators:\n  spatial: {order: true}\n",
              stream);
        assert_int_equal(fclose(stream), 0);
    }
    check(sr_parallel_barrier(file.data->parallel, &error), &error);
    every_allocation_may_fail(file.data->parallel,
                              &(allocation_trial){.name = "a configuration", .run = read_configuration, .context = &file});
}

/* ---- an evaluation ---- */

typedef struct {
    shared_dataset *data;
    sr_settings settings;
    sr_model *model;
    char path[PATH];
} evaluated;

static void prepare(evaluated *e, shared_dataset *data, const char *option)
{
    const char *loss = strstr(option, "stosa") ? "training.loss=stosa" : "training.loss=cross_entropy";
    const char *const assignments[] = {
        "data.path=none", "model.max_length=5", "model.hidden_size=4", "evaluation.batch_size=4", option, loss};
    sr_error error;
    e->data = data;
    check(sr_settings_parse(&e->settings, "data:\n", "test", assignments, sizeof assignments / sizeof *assignments, &error),
          &error);
    const int64_t threads = e->settings.training.threads;
    check(sr_parallel_use_threads(data->parallel, threads ? (size_t)threads : 1, &error), &error);
    check(sr_model_create(&e->model, &e->settings.model, ITEMS, USERS, &error), &error);
    sr_parameters_draw(sr_model_parameters(e->model), 3);
}

static uint64_t add_metrics(uint64_t result, const sr_ranking_metrics *metrics)
{
    result = add_to_result(result, &metrics->cases, sizeof metrics->cases);
    return add_to_result(result, metrics->ndcg, metrics->top_k_count * sizeof *metrics->ndcg);
}

/* The data set is opened and looked at, too. */
static sr_status evaluate(void *context, uint64_t *result, sr_error *error)
{
    const evaluated *e = context;
    sr_parallel *parallel = e->data->parallel;
    sr_dataset *dataset = NULL;
    sr_ranking_metrics metrics;
    sr_status status = sr_dataset_open(&dataset, e->path, error);
    if (status == SR_OK)
        status = sr_dataset_verify(dataset, (size_t)sr_parallel_rank(parallel), (size_t)sr_parallel_size(parallel), error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_evaluate_model(parallel, e->model,
                                   &(sr_evaluation){.dataset = dataset,
                                                    .settings = &e->settings.evaluation,
                                                    .split = SR_SPLIT_VALID,
                                                    .kernels = sr_kernels_choose(NULL)},
                                   &metrics, error);
    if (status == SR_OK)
        *result = add_metrics(0, &metrics);
    if (status == SR_OK)
        status = sr_evaluate_popularity(parallel,
                                        &(sr_evaluation){.dataset = dataset,
                                                         .settings = &e->settings.evaluation,
                                                         .split = SR_SPLIT_TEST,
                                                         .kernels = sr_kernels_choose(NULL)},
                                        &metrics, error);
    if (status == SR_OK)
        *result = add_metrics(*result, &metrics);
    sr_recent_popularity recent;
    if (status == SR_OK)
        status = sr_evaluate_recent_popularity(parallel,
                                               &(sr_evaluation){.dataset = dataset,
                                                                .settings = &e->settings.evaluation,
                                                                .split = SR_SPLIT_TEST,
                                                                .kernels = sr_kernels_choose(NULL)},
                                               &recent, error);
    if (status == SR_OK && recent.measured)
        *result = add_metrics(*result, &recent.metrics);
    sr_dataset_close(dataset);
    return status;
}

static void try_evaluation(shared_dataset *data, const char *name, const char *option)
{
    evaluated e;
    prepare(&e, data, option);
    snprintf(e.path, sizeof e.path, "%s/data", data->directory);
    every_allocation_may_fail(data->parallel, &(allocation_trial){.name = name, .run = evaluate, .context = &e, .stride = 7});
    sr_model_free(e.model);
}

static void of_an_evaluation(void **state)
{
    try_evaluation(*state, "an evaluation", "evaluation.history=exclude");
}

static void of_an_evaluation_by_threads(void **state)
{
    try_evaluation(*state, "an evaluation by threads", "training.threads=2");
}

static void of_an_evaluation_of_stosa(void **state)
{
    try_evaluation(*state, "an evaluation of STOSA", "model.backbone=stosa");
}

/* ---- recommendations ---- */

typedef struct {
    uint64_t result;
} recommended;

static sr_status add_recommendation(void *context, const char *user, size_t user_length, size_t rank, int32_t item,
                                    double score, sr_error *error)
{
    recommended *r = context;
    (void)rank;
    (void)error;
    r->result = add_to_result(add_to_result(r->result, user, user_length), &item, sizeof item);
    r->result = add_to_result(r->result, &score, sizeof score);
    return SR_OK;
}

static sr_status recommend(void *context, uint64_t *result, sr_error *error)
{
    const evaluated *e = context;
    sr_users_in_dataset users;
    recommended found = {.result = 0};
    const sr_user_source source = sr_users_of_dataset(&users, e->data->dataset, NULL, 0);
    const sr_status status = sr_recommend(
        e->data->parallel, e->model, &source,
        &(sr_recommendation_request){.top_k = 3, .history = e->settings.evaluation.history, .kernels = sr_kernels_choose(NULL)},
        add_recommendation, &found, error);
    *result = found.result;
    return status;
}

static void of_recommendations(void **state)
{
    evaluated e;
    prepare(&e, *state, "evaluation.history=exclude");
    every_allocation_may_fail(e.data->parallel,
                              &(allocation_trial){.name = "recommendations", .run = recommend, .context = &e});
    sr_model_free(e.model);
}

/* To users that the data set does not know: a file with their histories. */
static sr_status recommend_to_new_users(void *context, uint64_t *result, sr_error *error)
{
    const evaluated *e = context;
    new_users *users = NULL;
    sr_item_names *names = NULL;
    recommended found = {.result = 0};
    sr_status status = SR_OK;
    sr_user_source source = {.origin = e->path};
    if (sr_parallel_rank(e->data->parallel) == 0)
        status = sr_item_names_of_dataset(&names, e->data->dataset, error);
    if (names)
        status = new_users_open(
            &users, &(new_users_request){.path = e->path, .names = names, .keeps_empty = true, .memory = 1 << 20}, error);
    status = sr_parallel_agree(e->data->parallel, status, error);
    source.context = users;
    source.next = new_users_next;
    source.longest_name = users ? new_users_found(users)->longest_name : 0;
    if (status == SR_OK)
        status = sr_recommend(
            e->data->parallel, e->model, &source,
            &(sr_recommendation_request){.top_k = 3, .history = SR_HISTORY_EXCLUDE, .kernels = sr_kernels_choose(NULL)},
            add_recommendation, &found, error);
    new_users_close(users);
    sr_item_names_free(names);
    *result = found.result;
    return status;
}

static void of_recommendations_to_new_users(void **state)
{
    evaluated e;
    sr_error error;
    prepare(&e, *state, "evaluation.history=exclude");
    snprintf(e.path, sizeof e.path, "%s/histories.txt", e.data->directory);
    if (sr_parallel_rank(e.data->parallel) == 0)
        program_write(e.path, "anna n1 n2 n3\nbert n4 unknown n5\ncarl n6\n");
    check(sr_parallel_barrier(e.data->parallel, &error), &error);
    every_allocation_may_fail(
        e.data->parallel,
        &(allocation_trial){.name = "recommendations to new users", .run = recommend_to_new_users, .context = &e});
    sr_model_free(e.model);
}

/* ---- an analysis ---- */

static sr_status analyze(void *context, uint64_t *result, sr_error *error)
{
    const evaluated *e = context;
    static const size_t users[] = {3};
    sr_analysis analysis;
    SR_TRY(sr_analyze(e->data->parallel, e->model,
                      &(sr_analysis_request){.dataset = e->data->dataset,
                                             .split = SR_SPLIT_TEST,
                                             .batch_size = 4,
                                             .kernels = sr_kernels_choose(NULL),
                                             .users = users,
                                             .user_count = 1},
                      &analysis, error));
    *result = add_to_result((uint64_t)analysis.sequences, analysis.states.cosine,
                            analysis.states.count * sizeof *analysis.states.cosine);
    sr_analysis_free(&analysis);
    return SR_OK;
}

static void of_an_analysis(void **state)
{
    evaluated e;
    prepare(&e, *state, "calibrators.frequency.alpha=0.7");
    every_allocation_may_fail(e.data->parallel,
                              &(allocation_trial){.name = "an analysis", .run = analyze, .context = &e, .stride = 13});
    sr_model_free(e.model);
}

/* ---- a whole run ---- */

typedef struct {
    shared_dataset *data;
    sr_settings settings;
    char directory[64], output[PATH];
} whole_run;

/* To `to`, or nowhere (-1); returns what it was. */
static int turn_standard_error(int to)
{
    fflush(stderr);
    const int former = dup(STDERR_FILENO), next = to >= 0 ? to : open("/dev/null", O_WRONLY);
    assert_true(former >= 0 && next >= 0 && dup2(next, STDERR_FILENO) >= 0);
    close(next);
    return former;
}

static sr_status train(void *context, uint64_t *result, sr_error *error)
{
    const whole_run *r = context;
    sr_parallel *parallel = r->data->parallel;
    const bool is_root = sr_parallel_rank(parallel) == 0;
    sr_log *log = NULL;
    const int former = turn_standard_error(-1); /* runs tell much */
    sr_status status = sr_parallel_agree(parallel, is_root ? sr_log_open(&log, error) : SR_OK, error);
    sr_cpu cpu;
    if (status == SR_OK)
        status = sr_cpu_agree(&cpu, parallel, error);
    if (status == SR_OK) {
        const sr_run_options options = {.settings = &r->settings,
                                        .output = r->output,
                                        .resume = SR_RESUME_AUTO,
                                        .resume_path = "auto",
                                        .program_version = "test",
                                        .log = log,
                                        .cpu = &cpu};
        status = sr_train_run(parallel, &options, error);
    }
    sr_log_close(log);
    (void)close(turn_standard_error(former));
    *result = 0;
    return status;
}

/* The best parameters, if the run came so far, can be read. Then its directory goes. */
static void clear_run(void *context)
{
    const whole_run *r = context;
    char command[PATH + 32], best[PATH + 32];
    sr_error error;
    check(sr_parallel_barrier(r->data->parallel, &error), &error);
    snprintf(best, sizeof best, "%s/best.h5", r->output);
    if (access(best, F_OK) == 0)
        check(sr_checkpoint_verify(r->data->parallel, best, false, &error), &error);
    check(sr_parallel_barrier(r->data->parallel, &error), &error);
    snprintf(command, sizeof command, "rm -rf %s", r->output);
    if (sr_parallel_rank(r->data->parallel) == 0)
        assert_int_equal(system(command), 0);
    check(sr_parallel_barrier(r->data->parallel, &error), &error);
}

static void try_run(shared_dataset *data, const char *name, const char *option, size_t stride)
{
    whole_run r = {.data = data};
    sr_error error;
    char path[PATH + 16];
    snprintf(path, sizeof path, "data.path=%s/data", data->directory);
    if (sr_parallel_rank(data->parallel) == 0)
        program_make_directory(r.directory, sizeof r.directory);
    check(sr_parallel_broadcast(data->parallel, r.directory, sizeof r.directory, &error), &error);
    snprintf(r.output, sizeof r.output, "%s/run", r.directory);
    const char *const assignments[] = {path,
                                       "model.max_length=5",
                                       "model.hidden_size=4",
                                       "model.layers=1",
                                       "training.batch_size=30",
                                       "training.epochs=1",
                                       "training.threads=1",
                                       "checkpoint.every_steps=1",
                                       option};
    check(sr_settings_parse(&r.settings, "data:\n", "test", assignments, sizeof assignments / sizeof *assignments, &error),
          &error);
    every_allocation_may_fail(
        data->parallel, &(allocation_trial){.name = name, .run = train, .clear = clear_run, .context = &r, .stride = stride});
    if (sr_parallel_rank(data->parallel) == 0)
        program_remove_directory(r.directory);
}

/* Steps and evaluations, of which a run has many, have tests of their own. */
static void of_a_run(void **state)
{
    shared_dataset *data = *state;
    try_run(data, "a run", "checkpoint.writing=overlapped", sr_parallel_size(data->parallel) == 1 ? 19 : 61);
}

static void of_a_run_that_waits_for_checkpoints(void **state)
{
    shared_dataset *data = *state;
    try_run(data, "a run that waits for checkpoints", "checkpoint.writing=blocking",
            sr_parallel_size(data->parallel) == 1 ? 29 : 71);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_a_configuration),
                                       cmocka_unit_test(of_an_evaluation),
                                       cmocka_unit_test(of_an_evaluation_by_threads),
                                       cmocka_unit_test(of_an_evaluation_of_stosa),
                                       cmocka_unit_test(of_recommendations),
                                       cmocka_unit_test(of_recommendations_to_new_users),
                                       cmocka_unit_test(of_an_analysis),
                                       cmocka_unit_test(of_a_run),
                                       cmocka_unit_test(of_a_run_that_waits_for_checkpoints)};
    if (argument_count > 1) /* a pattern: only these */
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests_name("every allocation may fail", tests, set_up, shared_dataset_tear_down);
}

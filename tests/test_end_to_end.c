/* A whole life: synthetic data, training on several ranks, being killed and resumed, evaluation, recommendations. */
#include "world.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 1000 };

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 16, inner_size: 32, max_length: 12, hidden_dropout: 0.3}\n"
                                    "training: {epochs: 3, batch_size: 64, learning_rate: 0.003}\n"
                                    "evaluation: {top_k: [5, 10]}\n"
                                    "logging: {every_steps: 1}\n";

/* The same without keys that only attention and feed-forward layers have. */
static const char plain_configuration[] =
    "data: {path: none}\n"
    "model: {hidden_size: 16, max_length: 12, hidden_dropout: 0.3, initializer_range: 0.1}\n"
    "training: {epochs: 3, batch_size: 64, learning_rate: 0.003}\n"
    "evaluation: {top_k: [5, 10]}\n"
    "logging: {every_steps: 1}\n";

static const char synthesis[] = "--users 300 --items 120 --mean-length 9 --seed 3 --shards 2";

static int set_up(void **state)
{
    return world_set_up(state, configuration, synthesis);
}

/* So many items that a step reads few of them. */
static int set_up_large(void **state)
{
    return world_set_up(state, configuration, "--users 300 --items 2000 --mean-length 9 --seed 3 --shards 2");
}

static int set_up_plain(void **state)
{
    return world_set_up(state, plain_configuration, synthesis);
}

static void train(world *w, int ranks, const char *run, const char *options)
{
    world_train(w, ranks, run, options);
    assert_code(&w->result, 0);
}

static size_t lines_of(const world *w, const char *run, train_line lines[STEPS])
{
    char name[64], path[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    world_path(w, name, path);
    const size_t steps = read_train_lines(path, lines, STEPS);
    assert_true(steps >= 50);
    return steps;
}

static void assert_same_best(const world *w, const char *left_run, const char *right_run)
{
    world_assert_same_parameters(w, left_run, right_run, "best.h5");
}

/* ---- options ---- */

#define MODEL(setting) "--set model." setting " "
#define TRAINING(setting) "--set training." setting " "
#define ADVERSARIAL(setting) "--set calibrators.adversarial." setting " "

/* Initial weights so large that attention, and with it noise and masks, makes a difference to the losses. */
#define CALIBRATED                 \
    MODEL("initializer_range=0.1") \
    MODEL("hidden_dropout=0.5")    \
    MODEL("attention_dropout=0.5") "--set calibrators.spatial.order=true " ADVERSARIAL("penalty=visible")

#define CONTRASTIVE "--set training.contrastive.weight=0.1 --set data.samples=window " MODEL("attention_dropout=0.3")

/* ---- stopping and going on ---- */

/* The step of the newest checkpoint and, unless `path` is NULL, its path; -1: none. */
static long newest(const world *w, const char *run, char path[WORLD_PATH_SIZE])
{
    char name[64], pattern[WORLD_PATH_SIZE];
    glob_t found;
    snprintf(name, sizeof name, "%s/checkpoints/step-*.h5", run);
    world_path(w, name, pattern);
    if (glob(pattern, 0, NULL, &found) != 0)
        return -1;
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    const long step = strtol(strrchr(last, '-') + 1, NULL, 10);
    if (path)
        snprintf(path, WORLD_PATH_SIZE, "%s", last);
    globfree(&found);
    return step;
}

static void assert_same_end(const world *w, const char *left_run, const char *right_run)
{
    static train_line expected[STEPS], actual[STEPS];
    char left[WORLD_PATH_SIZE], right[WORLD_PATH_SIZE];
    assert_int_equal(newest(w, left_run, left), newest(w, right_run, right));
    assert_true(same_parameters(left, right));
    assert_same_best(w, left_run, right_run);
    const size_t steps = lines_of(w, left_run, expected);
    assert_int_equal(lines_of(w, right_run, actual), steps);
    assert_memory_equal(expected, actual, steps * sizeof *expected);
}

/* Runs a shell command in the world's directory, which must succeed. */
static void assert_shell(const world *w, const char *command)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "cd %s && %s", w->directory, command);
    if (system(whole) != 0)
        fail_msg("failed: %s", command);
}

/* Starts a run in the background, waits until it has a checkpoint of at least `step`, and kills all of it. */
static void kill_at_step(const world *w, const char *run, const char *options, long step)
{
    char command[2048];
    snprintf(command, sizeof command, "%s 2 %s/srtrain %s --set data.path=%s --output %s/%s %s > /dev/null 2>&1 &", MPIEXEC,
             getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data, w->directory, run, options);
    assert_int_equal(system(command), 0);
    for (int wait = 0; wait < 3000 && newest(w, run, NULL) < step; ++wait)
        usleep(10000);
    assert_true(newest(w, run, NULL) >= step);
    /* The brackets keep pkill's own shell from matching. */
    snprintf(command, sizeof command, "pkill -9 -f -- '--output %s/[%c]%s'; sleep 0.2", w->directory, run[0], run + 1);
    (void)!system(command);
}

#define EVERY_SEVEN_STEPS "--set checkpoint.every_steps=7 " TRAINING("early_stopping.patience=0")
#define EIGHT_EPOCHS EVERY_SEVEN_STEPS TRAINING("epochs=8")

/* It is killed twice on its way, which is 248 steps long. */
static void a_killed_run_that_is_started_again_ends_with_the_same_bits(void **state)
{
    world *w = *state;
    train(w, 2, "undisturbed", EIGHT_EPOCHS);
    kill_at_step(w, "killed", EIGHT_EPOCHS, 21);
    kill_at_step(w, "killed", EIGHT_EPOCHS, 49);
    assert_true(newest(w, "killed", NULL) < newest(w, "undisturbed", NULL));
    train(w, 2, "killed", EIGHT_EPOCHS);
    assert_says(&w->result, "going on from");
    assert_same_end(w, "undisturbed", "killed");
}

/* Trains to the end of epoch `epoch`, and then takes the newest checkpoint away, as if the run had been killed before it: the
 * one before is from the midst of that epoch. */
static void train_and_lose_the_end(world *w, const char *run, const char *options, int epoch)
{
    char whole[1024], path[WORLD_PATH_SIZE];
    snprintf(whole, sizeof whole, "%s " TRAINING("epochs=%d"), options, epoch);
    train(w, 2, run, whole);
    const long end = newest(w, run, path);
    assert_int_equal(unlink(path), 0);
    assert_true(newest(w, run, NULL) > 0 && newest(w, run, NULL) < end);
}

/* `run` loses the ends of its first and of its second epoch, one of three. */
static void assert_goes_on_exactly(world *w, const char *run, const char *options)
{
    char undisturbed[64], copy[256], text[1024];
    snprintf(undisturbed, sizeof undisturbed, "undisturbed-%s", run);
    snprintf(text, sizeof text, "%s " TRAINING("epochs=3"), options);
    train(w, 2, undisturbed, text);
    /* Where FFTW has measured, another measurement might choose other plans. */
    snprintf(copy, sizeof copy, "mkdir %s && { [ ! -e %s/fftw-wisdom ] || cp %s/fftw-wisdom %s; }", run, undisturbed,
             undisturbed, run);
    assert_shell(w, copy);
    train_and_lose_the_end(w, run, options, 1);
    train_and_lose_the_end(w, run, options, 2);
    assert_says(&w->result, "going on from");
    snprintf(text, sizeof text, "%s " TRAINING("epochs=3"), options);
    train(w, 2, run, text);
    assert_says(&w->result, "going on from");
    assert_same_end(w, undisturbed, run);
}

/* Its noise and its share of calibrated weights depend on the step. */
static void annealed_calibration_goes_on_with_the_same_bits(void **state)
{
    assert_goes_on_exactly(*state, "annealing",
                           EVERY_SEVEN_STEPS CALIBRATED ADVERSARIAL("combine=annealing") ADVERSARIAL("annealing_steps=100")
                               ADVERSARIAL("renormalize=mass") ADVERSARIAL("two_level=false")
                                   ADVERSARIAL("rich_combine=trainable"));
}

/* Which examples have been compared depends on the epoch. */
static void contrastive_training_goes_on_with_the_same_bits(void **state)
{
    assert_goes_on_exactly(*state, "contrastive", EVERY_SEVEN_STEPS CONTRASTIVE);
}

/* Rows of items that are behind by then take the steps that they have missed before each checkpoint. */
static void deferred_rows_go_on_with_the_same_bits(void **state)
{
    assert_goes_on_exactly(*state, "deferred", EVERY_SEVEN_STEPS TRAINING("loss=bpr") TRAINING("item_updates=deferred"));
}

/* Plans measured by FFTW are kept with the run. */
static void filters_by_fftw_go_on_with_the_same_bits(void **state)
{
    assert_goes_on_exactly(*state, "fftw", EVERY_SEVEN_STEPS MODEL("backbone=fmlprec") MODEL("max_length=150"));
    assert_shell(*state, "[ -s fftw/fftw-wisdom ]");
}

static void a_signal_ends_the_run_with_75_and_the_next_one_goes_on(void **state)
{
    world *w = *state;
    /* Long enough that the signal comes while training goes on. */
    const char *options = TRAINING("early_stopping.patience=0") TRAINING("epochs=15");
    char command[2048];
    train(w, 0, "whole", options);
    snprintf(command, sizeof command,
             "%s/srtrain %s --set data.path=%s --output %s/stopped %s > /dev/null 2>&1 & p=$!; "
             "for i in $(seq 4000); do [ -s %s/stopped/metrics.jsonl ] && break; sleep 0.02; done; kill -USR1 $p; wait $p",
             getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data, w->directory, options, w->directory);
    assert_int_equal(system(command) >> 8, 75);
    assert_true(newest(w, "stopped", NULL) < newest(w, "whole", NULL));
    train(w, 0, "stopped", options);
    assert_says(&w->result, "going on from");
    assert_same_end(w, "whole", "stopped");
}

static void a_finished_run_is_not_trained_again_unless_more_epochs_are_asked_for(void **state)
{
    world *w = *state;
    train(w, 2, "done", TRAINING("early_stopping.patience=0"));
    const long finished = newest(w, "done", NULL);
    train(w, 2, "done", TRAINING("early_stopping.patience=0"));
    assert_int_equal(newest(w, "done", NULL), finished);
    world_train(w, 0, "done", "--resume never"); /* would write among the checkpoints of another training */
    assert_code(&w->result, 2);
    assert_says(&w->result, "choose another --output");
    train(w, 3, "done", TRAINING("early_stopping.patience=0") TRAINING("epochs=4"));
    assert_true(newest(w, "done", NULL) > finished);
}

/* With so small a rate no validation is better than the first. */
#define NO_PROGRESS TRAINING("learning_rate=1e-15") TRAINING("epochs=20")

static void a_run_that_stopped_early_goes_on_when_it_is_given_more_patience_or_another_metric(void **state)
{
    world *w = *state;
    train(w, 2, "patient", NO_PROGRESS TRAINING("early_stopping.patience=1"));
    const long epoch = newest(w, "patient", NULL) / 2;
    train(w, 2, "patient", NO_PROGRESS TRAINING("early_stopping.patience=1") "--set data.prefetch=always");
    assert_says(&w->result, "training had ended there: ndcg@10 had not improved for 1 validations");
    assert_int_equal(newest(w, "patient", NULL), 2 * epoch);
    train(w, 2, "patient", NO_PROGRESS TRAINING("early_stopping.patience=3"));
    assert_int_equal(newest(w, "patient", NULL), 4 * epoch);
    train(w, 2, "patient", NO_PROGRESS TRAINING("early_stopping.patience=2") TRAINING("early_stopping.metric=hr@5"));
    assert_says(&w->result, "chosen by ndcg@10 (history keep), now they are by hr@5 (history keep)");
    assert_int_equal(newest(w, "patient", NULL), 7 * epoch);
}

/* The step and the epoch of the line of the test. */
static void assert_tested_at(const world *w, const char *run, long step, int epoch)
{
    char command[256];
    snprintf(command, sizeof command,
             "tail -1 %s/metrics.jsonl | grep -q '\"kind\":\"test\",\"step\":%ld,\"epoch\":%d,\"cases\"'", run, step, epoch);
    assert_shell(w, command);
}

static void without_validations_the_last_parameters_are_the_best(void **state)
{
    world *w = *state;
    char last[96], options[512];
    train(w, 2, "unseen", TRAINING("epochs=2") "--set evaluation.every_epochs=0");
    assert_tested_at(w, "unseen", newest(w, "unseen", NULL), 2);
    run_srprep(&w->result, "export %s --output %s/all.txt", w->data, w->directory);
    assert_code(&w->result, 0);
    run_srprep(&w->result, "convert --format sequences --input %s/all.txt --output %s/all --split ratio:0.9,0,0.1",
               w->directory, w->directory);
    assert_code(&w->result, 0);
    snprintf(options, sizeof options, "--set data.path=%s/all " TRAINING("epochs=3") TRAINING("early_stopping.patience=1"),
             w->directory);
    train(w, 2, "nothing-held-out", options);
    assert_says(&w->result, "holds nothing out for validation");
    assert_tested_at(w, "nothing-held-out", newest(w, "nothing-held-out", NULL), 3);
    assert_shell(w, "! grep -q '\"valid\"' nothing-held-out/metrics.jsonl");
    char left[WORLD_PATH_SIZE], right[WORLD_PATH_SIZE];
    snprintf(last, sizeof last, "nothing-held-out/checkpoints/step-%010ld.h5", newest(w, "nothing-held-out", NULL));
    world_path(w, last, left);
    world_path(w, "nothing-held-out/best.h5", right);
    assert_true(same_parameters(left, right));
}

/* ---- trained models ---- */

/* Runs "COMMAND DIRECTORY/RUN/best.h5 OPTIONS", which must succeed. */
static void use(world *w, int ranks, const char *command, const char *run, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void use(world *w, int ranks, const char *command, const char *run, const char *format, ...)
{
    char options[512];
    va_list list;
    va_start(list, format);
    vsnprintf(options, sizeof options, format, list);
    va_end(list);
    run_srtrain(&w->result, ranks, "%s %s/%s/best.h5 %s", command, w->directory, run, options);
    assert_code(&w->result, 0);
}

static void evaluation_and_recommendations_do_not_depend_on_the_number_of_ranks(void **state)
{
    world *w = *state;
    train(w, 2, "model", "");
    for (int ranks = 1; ranks <= 4; ranks += 3) {
        use(w, ranks, "evaluate", "model", "--split test --json %s/results/e%d.json", w->directory, ranks);
        assert_says(&w->result, "popularity");
        assert_says(&w->result, "popularity of the last 7 days of training: ");
        use(w, ranks, "recommend", "model", "--top-k 5 --output %s/top-k/5/r%d.tsv", w->directory, ranks);
        use(w, ranks, "recommend", "model", "--top-k 3 --output %s/top-k/3/r%d.h5", w->directory, ranks);
    }
    use(w, 2, "evaluate", "model", "--split valid --set 'evaluation.top_k=[7]' --set evaluation.history=exclude");
    assert_says(&w->result, "hr@7");
    assert_says(&w->result, "history exclude");
    assert_shell(w, "grep -q '\"baseline\":\"recent_popularity\",\"days\":7,' model/metrics.jsonl && "
                    "grep -q '\"recent_popularity\":' results/e1.json");
    run_srtrain(&w->result, 0, "evaluate %s/model/best.h5 --set training.seed=3", w->directory);
    assert_code(&w->result, 2);
    /* Times differ; everything else is the same text. */
    assert_shell(w, "diff results/e1.json results/e4.json && cmp top-k/5/r1.tsv top-k/5/r4.tsv && "
                    "cmp top-k/3/r1.h5 top-k/3/r4.h5 && [ $(wc -l < top-k/5/r1.tsv) -eq 1501 ]");
    run_srtrain(&w->result, 2, "evaluate %s/model/best.h5 --json %s/model/best.h5/result.json", w->directory, w->directory);
    assert_code(&w->result, 1);
    assert_says(&w->result, "Not a directory");
    assert_null(strstr(w->result.output, "popularity")); /* known before the work */
}

static void models_without_attention_are_evaluated_as_in_training(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"gru4rec", "caser"};
    for (size_t i = 0; i < sizeof backbones / sizeof *backbones; ++i) {
        char name[64], options[256], metrics[WORLD_PATH_SIZE], evaluation[WORLD_PATH_SIZE];
        snprintf(name, sizeof name, "%s/metrics.jsonl", backbones[i]);
        world_path(w, name, metrics);
        world_path(w, "evaluation.json", evaluation);
        snprintf(options, sizeof options, MODEL("backbone=%s") MODEL("padding=left"), backbones[i]);
        train(w, 2, backbones[i], options);
        use(w, 3, "evaluate", backbones[i], "--split test --json %s", evaluation);
        assert_same_test_metrics(metrics, evaluation);
        use(w, 0, "recommend", backbones[i], "--top-k 5 --output %s/one.tsv", w->directory);
        use(w, 3, "recommend", backbones[i], "--top-k 5 --output %s/three.tsv", w->directory);
        assert_shell(w, "cut -f1-3 one.tsv > a && cut -f1-3 three.tsv > b && cmp a b && [ $(wc -l < a) -eq 1501 ]");
    }
}

static void a_model_whose_items_are_divided_is_evaluated_as_in_training(void **state)
{
    world *w = *state;
    char metrics[WORLD_PATH_SIZE], evaluation[WORLD_PATH_SIZE];
    world_path(w, "divided/metrics.jsonl", metrics);
    world_path(w, "evaluation.json", evaluation);
    train(w, 2, "divided", MODEL("item_table=divided") TRAINING("epochs=3") TRAINING("threads=2"));
    assert_shell(w, "[ $(grep -c 'training waits for checkpoints' divided/train.log) -eq 1 ]");
    use(w, 3, "evaluate", "divided", "--split test --json %s", evaluation);
    assert_same_test_metrics(metrics, evaluation);
    use(w, 0, "recommend", "divided", "--top-k 5 --output %s/one.tsv", w->directory);
    use(w, 3, "recommend", "divided", "--top-k 5 --output %s/three.tsv", w->directory);
    assert_shell(w, "cmp one.tsv three.tsv && [ $(wc -l < one.tsv) -eq 1501 ]");
}

/* How far annealing has come is not in the configuration: a trained model has to know its step, which is not the last one. */
static void an_annealed_model_is_evaluated_as_in_training(void **state)
{
    world *w = *state;
    const char *const backbones[] = {"sasrec", "bert4rec", "ssept " MODEL("user_hidden_size=4"),
                                     "tisasrec " MODEL("time_unit=3600") MODEL("time_span=64")};
    for (size_t i = 0; i < sizeof backbones / sizeof *backbones; ++i) {
        char run[32], name[64], options[1024], metrics[WORLD_PATH_SIZE], evaluation[WORLD_PATH_SIZE];
        snprintf(run, sizeof run, "annealed-%zu", i);
        snprintf(name, sizeof name, "%s/metrics.jsonl", run);
        world_path(w, name, metrics);
        world_path(w, "evaluation.json", evaluation);
        snprintf(options, sizeof options,
                 CALIBRATED ADVERSARIAL("combine=annealing") ADVERSARIAL("annealing_steps=100") ADVERSARIAL("renormalize=none")
                     TRAINING("epochs=30") TRAINING("learning_rate=0.01")
                         TRAINING("early_stopping.patience=1") "--set model.backbone=%s",
                 backbones[i]);
        train(w, 2, run, options);
        use(w, 0, "evaluate", run, "--split test --json %s", evaluation);
        assert_true(assert_same_test_metrics(metrics, evaluation) < newest(w, run, NULL));
        use(w, 0, "recommend", run, "--top-k 5 --output %s/one.tsv", w->directory);
        use(w, 3, "recommend", run, "--top-k 5 --output %s/three.tsv", w->directory);
        assert_shell(w, "cmp one.tsv three.tsv && [ $(wc -l < one.tsv) -eq 1501 ]");
    }
}

/* ---- time ---- */

static void what_a_run_ran_on_is_written(void **state)
{
    world *w = *state;
    static const char *const keys[] = {"started", "rank_count", "cpu_kernels", "cpu_features", "versions", "ranks",
                                       "rank",    "host",       "process",     "threads",      "cores"};
    char command[256];
    train(w, 3, "described", TRAINING("epochs=1"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
        snprintf(command, sizeof command, "grep -q '\"%s\":' described/environment.json", keys[i]);
        assert_shell(w, command);
    }
    assert_shell(w, "[ $(grep -c '\"host\":' described/environment.json) -eq 3 ]");
#if defined(__x86_64__) /* a level is chosen by features */
    assert_shell(w, "! grep -q '\"cpu_kernels\":.*\"avx' described/environment.json || "
                    "(grep -q '\"cpu\":' described/environment.json && "
                    "grep -q '\"cpu_features\":.*\"avx2\"' described/environment.json)");
#endif
}

static void the_share_of_waiting_and_summing_is_printed(void **state)
{
    world *w = *state;
    train(w, 2, "shares", TRAINING("epochs=1"));
    assert_says(&w->result, "examples/s  reduction ");
    assert_says(&w->result, "a step took ");
    assert_says(&w->result, "(waiting and summing: at most ");
    char path[WORLD_PATH_SIZE], line[1024];
    world_path(w, "shares/train.log", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    double sum = 0;
    while (fgets(line, sizeof line, file)) {
        const char *at = strstr(line, " data ");
        double data, forward, loss, backward, reduction, optimizer;
        if (strstr(line, "a step took") &&
            sscanf(at, " data %lf%%, forward %lf%%, loss %lf%%, backward %lf%%, reduction %lf%%, optimizer %lf%%", &data,
                   &forward, &loss, &backward, &reduction, &optimizer) == 6)
            sum = data + forward + loss + backward + reduction + optimizer;
    }
    fclose(file);
    assert_true(sum > 99 && sum < 101);
    train(w, 0, "alone", TRAINING("epochs=1") TRAINING("threads=1"));
    assert_says(&w->result, "a step took ");
    assert_null(strstr(w->result.output, "waiting and summing")); /* there is nobody to wait for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_run_that_is_started_again_ends_with_the_same_bits),
        cmocka_unit_test(annealed_calibration_goes_on_with_the_same_bits),
        cmocka_unit_test(contrastive_training_goes_on_with_the_same_bits),
        cmocka_unit_test(filters_by_fftw_go_on_with_the_same_bits),
        cmocka_unit_test(a_signal_ends_the_run_with_75_and_the_next_one_goes_on),
        cmocka_unit_test(a_finished_run_is_not_trained_again_unless_more_epochs_are_asked_for),
        cmocka_unit_test(a_run_that_stopped_early_goes_on_when_it_is_given_more_patience_or_another_metric),
        cmocka_unit_test(without_validations_the_last_parameters_are_the_best),
        cmocka_unit_test(what_a_run_ran_on_is_written),
        cmocka_unit_test(the_share_of_waiting_and_summing_is_printed),
        cmocka_unit_test(evaluation_and_recommendations_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(an_annealed_model_is_evaluated_as_in_training),
    };
    const struct CMUnitTest plain_tests[] = {
        cmocka_unit_test(models_without_attention_are_evaluated_as_in_training),
        cmocka_unit_test(a_model_whose_items_are_divided_is_evaluated_as_in_training),
    };
    const struct CMUnitTest large_tests[] = {
        cmocka_unit_test(deferred_rows_go_on_with_the_same_bits),
    };
    return cmocka_run_group_tests_name("a life with attention", tests, set_up, world_tear_down) +
           cmocka_run_group_tests_name("a life without", plain_tests, set_up_plain, world_tear_down) +
           cmocka_run_group_tests_name("a life with many items", large_tests, set_up_large, world_tear_down);
}

/* Life in a batch system: runs that are stopped in every way and started again end as if nothing had happened. */
#include "optional.h"
#include "world.h"

#include <errno.h>
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 4000 };

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 16, inner_size: 32, max_length: 12, hidden_dropout: 0.3}\n"
                                    "training: {epochs: 20, batch_size: 64, early_stopping: {patience: 0}}\n"
                                    "evaluation: {top_k: [5, 10]}\n"
                                    "logging: {every_steps: 1}\n";

#define SHORT "--set training.epochs=4 "

/* The undisturbed run that others are compared with is trained once. */
static int set_up(void **state)
{
    const int result = world_set_up(state, configuration, "--users 300 --items 120 --mean-length 9 --seed 3 --shards 2");
    world *w = *state;
    world_train(w, 2, "undisturbed", "");
    assert_code(&w->result, 0);
    return result;
}

static void assert_trained(world *w, int ranks, const char *run, const char *options, int code)
{
    world_train(w, ranks, run, options);
    assert_code(&w->result, code);
}

/* Runs a shell command in the world's directory; its exit code. */
static int shell(const world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int shell(const world *w, const char *format, ...)
{
    char text[4096], whole[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "cd %s || exit 1; %s", w->directory, text);
    const int status = system(whole);
    return status < 0 ? -1 : status >> 8;
}

/* The step of the newest checkpoint, or of the oldest; -1: there is none. */
static long step_of(const world *w, const char *run, bool oldest)
{
    char pattern[WORLD_PATH_SIZE + 64];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/checkpoints/step-*.h5", w->directory, run);
    if (glob(pattern, 0, NULL, &found) != 0)
        return -1;
    const long step = strtol(strrchr(found.gl_pathv[oldest ? 0 : found.gl_pathc - 1], '-') + 1, NULL, 10);
    globfree(&found);
    return step;
}

static void checkpoint_path(const world *w, const char *run, long step, char path[WORLD_PATH_SIZE])
{
    char name[96];
    snprintf(name, sizeof name, "%s/checkpoints/step-%010ld.h5", run, step);
    world_path(w, name, path);
}

static size_t lines_of(const world *w, const char *run, train_line lines[STEPS])
{
    char name[64], path[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    world_path(w, name, path);
    return read_train_lines(path, lines, STEPS);
}

/* The same parameters at the end, the same best ones, the same losses, and each validation once. */
static void assert_same_end(const world *w, const char *left_run, const char *right_run)
{
    static train_line expected[STEPS], actual[STEPS];
    char name[64];
    const long last = step_of(w, left_run, false);
    assert_int_equal(step_of(w, right_run, false), last);
    snprintf(name, sizeof name, "checkpoints/step-%010ld.h5", last);
    world_assert_same_parameters(w, left_run, right_run, name);
    world_assert_same_parameters(w, left_run, right_run, "best.h5");
    const size_t steps = lines_of(w, left_run, expected);
    assert_int_equal(lines_of(w, right_run, actual), steps);
    assert_memory_equal(expected, actual, steps * sizeof *expected);
    assert_int_equal(shell(w, "[ $(grep -c '\"valid\"' %s/metrics.jsonl) -eq $(grep -c '\"valid\"' %s/metrics.jsonl) ]",
                           left_run, right_run),
                     0);
}

/* ---- signals ---- */

/* Starts a run on two ranks, waits until it has trained for a moment, sends `signal` to rank `rank` alone, and waits for its
 * end; the exit code. */
static int stop_rank(const world *w, const char *run, const char *signal, int rank)
{
    return shell(
        w,
        "rm -f %s/environment.json; (%s 2 %s/srtrain %s --set data.path=%s --output %s > %s.out 2>&1; echo $? > %s.code) & "
        "for i in $(seq 10000); do [ -s %s/environment.json ] && [ $(wc -l < %s/metrics.jsonl) -ge 20 ] && break; "
        "sleep 0.01; done 2> /dev/null; "
        "kill -%s $(grep '\"process\"' %s/environment.json | sed -n %dp | tr -cd 0-9); wait; exit $(cat %s.code)",
        run, MPIEXEC, getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data, run, run, run, run, run, signal, run,
        rank + 1, run);
}

static void a_signal_to_any_rank_stops_all_and_the_run_goes_on_exactly(void **state)
{
    world *w = *state;
    static const char *const signals[] = {"USR1", "TERM", "INT"};
    for (size_t i = 0; i < 3; ++i) {
        const int code = stop_rank(w, "signalled", signals[i], (int)(i + 1) % 2);
        if (code != 75)
            (void)shell(w, "cat signalled.out");
        assert_int_equal(code, 75);
        assert_true(step_of(w, "signalled", false) < step_of(w, "undisturbed", false));
    }
    assert_trained(w, 2, "signalled", "", 0);
    assert_says(&w->result, "going on from");
    assert_same_end(w, "undisturbed", "signalled");
}

static void a_request_for_a_checkpoint_does_not_stop_the_run(void **state)
{
    world *w = *state;
    assert_int_equal(shell(w,
                           "(%s/srtrain %s --set data.path=%s --output asked --set checkpoint.every_epochs=0 --set "
                           "evaluation.every_epochs=0 > asked.out 2>&1; echo $? > asked.code) & "
                           "for i in $(seq 10000); do [ $(wc -l < asked/metrics.jsonl) -ge 20 ] && break; sleep 0.01; done 2> "
                           "/dev/null; kill -USR2 $(grep '\"process\"' asked/environment.json | tr -cd 0-9); wait; "
                           "exit $(cat asked.code)",
                           getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data),
                     0);
    const long first = step_of(w, "asked", true), last = step_of(w, "asked", false);
    assert_true(first >= 19 && first < last);
}

static void a_second_termination_ends_the_process_at_once(void **state)
{
    world *w = *state;
    /* The step is so long that the second signal comes before its end. */
    assert_int_equal(shell(w,
                           "(%s/srtrain %s --set data.path=%s --output twice --set training.batch_size=100000 --set "
                           "model.hidden_size=256 --set model.layers=8 > twice.out 2>&1; echo $? > twice.code) & "
                           "for i in $(seq 10000); do [ -e twice/metrics.jsonl ] && break; sleep 0.01; done; "
                           "p=$(grep '\"process\"' twice/environment.json | tr -cd 0-9); kill -TERM $p; kill -INT $p; wait; "
                           "exit $(cat twice.code)",
                           getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data) > 128,
                     1);
    assert_int_equal(step_of(w, "twice", false), -1);
}

/* ---- a rank that stands still ---- */

/* A shell command: srtrain with `arguments` on ranks that each leave their exit code in NAME.codes; the output goes to
 * NAME.out. The job's note of its own end (NAME.note) is as srtrain-job reads it. */
static void on_ranks(char text[2048], int ranks, const char *name, const char *arguments)
{
    assert_true(snprintf(text, 2048,
                         "SRTRAIN_ENDING=%s.note %s %d sh -c '%s/srtrain %s; code=$?; echo $code >> %s.codes; exit $code' "
                         "> %s.out 2>&1",
                         name, MPIEXEC, ranks, getenv("SRTRAIN_BINARY_DIRECTORY"), arguments, name, name) < 2048);
}

/* Ranks that waited too long have ended with 1, and the launcher with `code`, in which MPICH's is not to be believed. */
static void assert_stalled(const world *w, const char *name, int code)
{
    if (strcmp(MPI_FLAVOUR, "mpich") != 0)
        assert_int_equal(code, 1);
    assert_int_equal(
        shell(w, "grep -qx 1 %s.codes && ! grep -qx -e 0 -e 75 %s.codes && grep -qx running %s.note", name, name, name), 0);
}

static void a_stopped_rank_is_named_and_nobody_waits_for_ever(void **state)
{
    world *w = *state;
    char arguments[1024], training[2048];
    /* In a step; test_standing_files.c has those that stand still in files. The time limit ends it (with 75) where the rank
     * does not stay stopped, as when somebody continues all processes. */
    snprintf(arguments, sizeof arguments,
             "%s --set data.path=%s --output stalled --set training.epochs=100000 --set checkpoint.every_epochs=0 --set "
             "evaluation.every_epochs=0 --stall-timeout 5 --time-limit 300",
             w->configuration, w->data);
    on_ranks(training, 4, "stalled", arguments);
    assert_stalled(
        w, "stalled",
        shell(w,
              "(%s; echo $? > stalled.code) & "
              "for i in $(seq 10000); do [ -e stalled/metrics.jsonl ] && [ $(wc -l < stalled/metrics.jsonl) -ge 20 ] "
              "&& break; sleep 0.01; done; "
              "kill -STOP $(grep '\"process\"' stalled/environment.json | sed -n 3p | tr -cd 0-9); wait; "
              "exit $(cat stalled.code)",
              training));
    assert_int_equal(
        shell(w, "[ $(grep -c 'srtrain: error' stalled.out) -eq 1 ] && grep -q 'missing is rank 2 on ' stalled.out && "
                 "grep -q '3 of 4 ranks wait' stalled.out && cat stalled/stalled-*/report | grep -q 'no progress for 5 s'"),
        0);
}

/* Rank 0 reads the checkpoint: from a pipe into which nobody writes. */
static void other_commands_do_not_wait_for_ever_either(void **state)
{
    static const struct {
        const char *name, *phase;
    } commands[] = {{"evaluate", "an evaluation"}, {"recommend", "recommendations"}, {"analyze", "an analysis"}};
    world *w = *state;
    char arguments[64], command[2048];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) { /* side by side, as they only wait */
        snprintf(arguments, sizeof arguments, "%s pipe.h5 --stall-timeout 3", commands[i].name);
        on_ranks(command, 2, "stalled", arguments);
        assert_int_equal(shell(w,
                               "mkdir of-%s && cd of-%s && mkfifo pipe.h5 && { (%s; echo $? > code.new; mv code.new code) & }",
                               commands[i].name, commands[i].name, command),
                         0);
    }
    assert_int_equal(shell(w, "for c in evaluate recommend analyze; do for i in $(seq 10000); do [ -e of-$c/code ] && break; "
                              "sleep 0.01; done; done"),
                     0);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
        char name[64];
        snprintf(name, sizeof name, "of-%s/stalled", commands[i].name);
        assert_stalled(w, name, shell(w, "exit $(cat of-%s/code)", commands[i].name));
        if (shell(w,
                  "cd of-%s && [ $(grep -c 'srtrain: error' stalled.out) -eq 1 ] && "
                  "grep -q 'missing is rank 0 on .*stands still while it reads pipe.h5 during %s' stalled.out && ! grep -q "
                  "'last checkpoint' stalled.out && "
                  "ls stalled-*",
                  commands[i].name, commands[i].phase) != 0) {
            shell(w, "cat of-%s/stalled.out", commands[i].name);
            fail_msg("srtrain %s does not say who is missing", commands[i].name);
        }
    }
    assert_int_equal(shell(w,
                           "%s/srtrain evaluate none.h5 --stall-timeout soon 2> refused.out; [ $? -eq 2 ] && "
                           "grep -q -e --stall-timeout refused.out",
                           getenv("SRTRAIN_BINARY_DIRECTORY")),
                     0);
}

static void a_program_that_ends_by_itself_notes_its_exit_code(void **state)
{
    world *w = *state;
    assert_int_equal(
        shell(w,
              "export SRTRAIN_ENDING=ended.note; %s 2 %s/srtrain evaluate undisturbed/best.h5 > /dev/null && "
              "grep -qx 0 ended.note && ! %s 2 %s/srtrain evaluate none.h5 > ended.out 2>&1 && "
              "grep -qx '[123]' ended.note && SRTRAIN_ENDING=none/note %s/srtrain evaluate undisturbed/best.h5 2>&1 "
              "> /dev/null | grep -q 'cannot write none/note (SRTRAIN_ENDING)'",
              MPIEXEC, getenv("SRTRAIN_BINARY_DIRECTORY"), MPIEXEC, getenv("SRTRAIN_BINARY_DIRECTORY"),
              getenv("SRTRAIN_BINARY_DIRECTORY")),
        0);
}

/* ---- time limits ---- */

/* Trains with `options`: for one step, as the job is over by then, for a moment, and to the end. */
static void train_in_pieces(world *w, const char *run, const char *options)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "%s --time-limit auto", options);
    assert_int_equal(setenv("SLURM_JOB_END_TIME", "1000000000", 1), 0);
    assert_trained(w, 2, run, whole, 75);
    unsetenv("SLURM_JOB_END_TIME");
    snprintf(whole, sizeof whole, "%s --time-limit 2.5", options);
    world_train(w, 2, run, whole);
    if (w->result.code != 75) /* it may have come to the end */
        assert_code(&w->result, 0);
    assert_trained(w, 2, run, options, 0);
    assert_says(&w->result, "going on from");
}

static void a_run_with_a_time_limit_is_trained_in_pieces(void **state)
{
    world *w = *state;
    train_in_pieces(w, "limited", "");
    assert_same_end(w, "undisturbed", "limited");
}

static void a_limit_that_is_over_stops_after_one_step(void **state)
{
    world *w = *state;
    assert_int_equal(setenv("SLURM_JOB_END_TIME", "1000000000", 1), 0);
    assert_trained(w, 2, "over", "--time-limit auto", 75);
    assert_int_equal(step_of(w, "over", false), 1);
    assert_trained(w, 2, "over", "--time-limit auto", 75);
    assert_int_equal(step_of(w, "over", false), 2);
    unsetenv("SLURM_JOB_END_TIME");
    assert_trained(w, 1, "unknown", SHORT "--time-limit auto", 0);
    assert_says(&w->result, "there is no limit");
    assert_trained(w, 1, "wrong", "--time-limit soon", 2);
    assert_says(&w->result, "--time-limit: \"soon\" is not a duration");
}

/* ---- going on ---- */

static void a_run_may_go_on_with_other_numbers_of_ranks(void **state)
{
    world *w = *state;
    static train_line expected[STEPS], actual[STEPS];
    static const int ranks[] = {1, 4, 2};
    static const char *const epochs[] = {"--set training.epochs=6", "--set training.epochs=13", ""};
    for (size_t i = 0; i < 3; ++i)
        assert_trained(w, ranks[i], "elastic", epochs[i], 0);
    const size_t steps = lines_of(w, "undisturbed", expected);
    assert_int_equal(lines_of(w, "elastic", actual), steps);
    for (size_t i = 0; i < steps; ++i)
        if (!(fabs(actual[i].loss / expected[i].loss - 1) <= 1e-4))
            fail_msg("step %zu: loss %.8g instead of %.8g", i + 1, actual[i].loss, expected[i].loss);
}

static void a_run_that_begins_at_a_path_goes_on_when_it_is_started_again(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE], options[2 * WORLD_PATH_SIZE];
    assert_trained(w, 2, "origin", "--set training.epochs=10", 0);
    checkpoint_path(w, "origin", step_of(w, "origin", false), path);
    snprintf(options, sizeof options, "--resume %s", path);
    train_in_pieces(w, "branch", options);
    char left[64];
    snprintf(left, sizeof left, "checkpoints/step-%010ld.h5", step_of(w, "undisturbed", false));
    world_assert_same_parameters(w, "undisturbed", "branch", left);
    world_assert_same_parameters(w, "undisturbed", "branch", "best.h5"); /* which may be from before the branch */
    /* It is known again under another name, and when it is gone. */
    snprintf(options, sizeof options, "--resume %s/branch/../origin/checkpoints/%s", w->directory, strrchr(path, '/') + 1);
    assert_trained(w, 2, "branch", options, 0);
    assert_int_equal(unlink(path), 0);
    snprintf(options, sizeof options, "--resume %s", path);
    assert_trained(w, 2, "branch", options, 0);
    /* Another beginning would mix two trainings. */
    checkpoint_path(w, "origin", step_of(w, "origin", true), path);
    snprintf(options, sizeof options, "--resume %s", path);
    assert_trained(w, 2, "branch", options, 2);
    assert_says(&w->result, "choose another --output");
}

static void a_branch_keeps_the_best_parameters_from_before(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE], options[2 * WORLD_PATH_SIZE];
    assert_trained(w, 2, "before", SHORT, 0);
    checkpoint_path(w, "before", step_of(w, "before", false), path);
    snprintf(options, sizeof options, SHORT "--resume %s", path);
    assert_trained(w, 1, "after", options, 0); /* all epochs are done: only the test is left */
    world_assert_same_parameters(w, "before", "after", "best.h5");
    assert_int_equal(shell(w, "rm before/best.h5 && rm -r after"), 0);
    assert_trained(w, 1, "after", options, 0);
    assert_says(&w->result, "are not at hand");
    snprintf(options, sizeof options, "checkpoints/step-%010ld.h5", step_of(w, "before", false));
    char best[WORLD_PATH_SIZE];
    world_path(w, "after/best.h5", best);
    assert_true(same_parameters(best, path));
}

/* ---- damage ---- */

static void flip_bit_in_the_middle(const char *path)
{
    struct stat file;
    char byte;
    assert_int_equal(stat(path, &file), 0);
    FILE *opened = fopen(path, "r+");
    assert_non_null(opened);
    assert_int_equal(fseek(opened, file.st_size / 2, SEEK_SET), 0);
    assert_int_equal(fread(&byte, 1, 1, opened), 1);
    byte = (char)(byte ^ 8);
    assert_int_equal(fseek(opened, file.st_size / 2, SEEK_SET), 0);
    assert_int_equal(fwrite(&byte, 1, 1, opened), 1);
    assert_int_equal(fclose(opened), 0);
}

static void a_damaged_checkpoint_is_set_aside_for_the_one_before(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    assert_trained(w, 2, "damaged", "--set training.epochs=10", 0);
    const long newest = step_of(w, "damaged", false), before = step_of(w, "damaged", true);
    assert_true(before < newest);
    checkpoint_path(w, "damaged", newest, path);
    flip_bit_in_the_middle(path);
    assert_trained(w, 2, "damaged", "", 0);
    assert_says(&w->result, "is not used");
    assert_says(&w->result, path);
    char going_on[64];
    snprintf(going_on, sizeof going_on, "step %ld", before);
    assert_says(&w->result, going_on);
    assert_int_equal(shell(w,
                           "[ -e damaged/checkpoints/step-%010ld.h5.damaged ] && [ $(ls damaged/checkpoints/step-*.h5 | wc -l) "
                           "-eq 2 ]",
                           newest),
                     0);
    assert_same_end(w, "undisturbed", "damaged");
}

static void with_nothing_but_damaged_checkpoints_training_does_not_begin_anew(void **state)
{
    world *w = *state;
    char path[WORLD_PATH_SIZE];
    assert_trained(w, 2, "lost", SHORT, 0);
    const long steps[] = {step_of(w, "lost", false), step_of(w, "lost", true)};
    for (size_t i = 0; i < 2; ++i) {
        checkpoint_path(w, "lost", steps[i], path);
        flip_bit_in_the_middle(path);
    }
    assert_trained(w, 2, "lost", "", 3);
    assert_says(&w->result, "none of the 2 checkpoints");
    assert_true(step_of(w, "lost", false) == steps[0] && step_of(w, "lost", true) == steps[1]);
}

static void a_checkpoint_under_another_ones_name_is_not_used(void **state)
{
    world *w = *state;
    assert_trained(w, 2, "swapped", SHORT, 0);
    const long newest = step_of(w, "swapped", false), before = step_of(w, "swapped", true);
    assert_int_equal(shell(w,
                           "cd swapped/checkpoints && mv step-%010ld.h5 x && mv step-%010ld.h5 step-%010ld.h5 && mv x "
                           "step-%010ld.h5",
                           newest, before, newest, before),
                     0);
    assert_trained(w, 2, "swapped", SHORT, 3);
    char says[64];
    snprintf(says, sizeof says, "holds step %ld, not the one that its name says", before);
    assert_says(&w->result, says);
}

/* ---- a full disk ---- */

static void a_full_disk_ends_the_run_and_leaves_what_it_has_saved(void **state)
{
    world *w = *state;
    if (shell(w, "mkdir full && mount -t tmpfs -o size=1000k none full 2> /dev/null") != 0) {
        skip_because("a small file system cannot be mounted here");
    }
    world_train(w, 2, "full/run", "");
    const int room_was_missing = w->result.code == 1 && strstr(w->result.output, "full/run") != NULL;
    const int begun = step_of(w, "full/run", true) > 0 && step_of(w, "full/run", false) < step_of(w, "undisturbed", false);
    const int resized = shell(w, "[ -z \"$(ls full/run/checkpoints/*.tmp 2> /dev/null)\" ] && mount -o remount,size=20m full");
    if (resized == 0)
        world_train(w, 2, "full/run", "");
    const int copied = shell(w, "cp -r full/run filled && umount full");
    assert_true(room_was_missing && begun);
    assert_int_equal(resized, 0);
    assert_code(&w->result, 0);
    assert_int_equal(copied, 0);
    assert_same_end(w, "undisturbed", "filled");
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_to_any_rank_stops_all_and_the_run_goes_on_exactly),
        cmocka_unit_test(a_request_for_a_checkpoint_does_not_stop_the_run),
        cmocka_unit_test(a_second_termination_ends_the_process_at_once),
        cmocka_unit_test(a_stopped_rank_is_named_and_nobody_waits_for_ever),
        cmocka_unit_test(other_commands_do_not_wait_for_ever_either),
        cmocka_unit_test(a_program_that_ends_by_itself_notes_its_exit_code),
        cmocka_unit_test(a_run_with_a_time_limit_is_trained_in_pieces),
        cmocka_unit_test(a_limit_that_is_over_stops_after_one_step),
        cmocka_unit_test(a_run_may_go_on_with_other_numbers_of_ranks),
        cmocka_unit_test(a_run_that_begins_at_a_path_goes_on_when_it_is_started_again),
        cmocka_unit_test(a_branch_keeps_the_best_parameters_from_before),
        cmocka_unit_test(a_damaged_checkpoint_is_set_aside_for_the_one_before),
        cmocka_unit_test(with_nothing_but_damaged_checkpoints_training_does_not_begin_anew),
        cmocka_unit_test(a_checkpoint_under_another_ones_name_is_not_used),
        cmocka_unit_test(a_full_disk_ends_the_run_and_leaves_what_it_has_saved),
    };
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, set_up, world_tear_down);
}

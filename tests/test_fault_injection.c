/* test_fault_injection [KILLS]: random ranks of training runs are killed (SIGKILL) at random moments, during set-up, training,
 * validation, test or checkpoints; each run is started again until it is done, and must end like one that nobody has disturbed,
 * to the bit. Goes on with further runs until so many ranks have been killed. */
#include "world.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { RANKS = 3, STEPS = 4000, HANG = 30 };

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 16, inner_size: 32, max_length: 12, hidden_dropout: 0.3}\n"
                                    "training: {epochs: 10, batch_size: 64, early_stopping: {patience: 0}}\n"
                                    "evaluation: {top_k: [5, 10], batch_size: 16}\n"
                                    "checkpoint: {every_steps: 7}\n"
                                    "logging: {every_steps: 1}\n";

static long wanted; /* kills of each training; 0: as many as it says */

/* What is trained, and what it is called. */
typedef struct {
    const char *name, *options;
    long kills;
} training;

static const training replicated = {"replicated", "", 4};
static const training divided = {
    "divided",
    "--set model.item_table=divided --set training.loss=bpr --set training.epochs=4 --set training.adam_epsilon=1e-6", 2};

typedef struct {
    long kills, starts, runs;
    long in_checkpoint; /* a temporary file was left behind */
    long hangs;         /* of the launcher, which had to be killed itself */
    double seconds;     /* of an undisturbed run */
} counts;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int set_up(void **state)
{
    return world_set_up(state, configuration, "--users 300 --items 120 --mean-length 9 --seed 3 --shards 2");
}

/* Starts the run; the launcher's process, whose output goes to a file. */
static pid_t start(const world *w, const training *trained, const char *run)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    char command[2048];
    snprintf(command, sizeof command, "exec %s %d %s/srtrain %s --set data.path=%s %s --output %s/%s >> %s/%s.out 2>&1",
             MPIEXEC, RANKS, getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data, trained->options, w->directory, run,
             w->directory, run);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* The ranks that the launcher, or a process of it, has started and that are alive; their number. */
static int living_ranks(pid_t launcher, long ranks[RANKS])
{
    char command[512];
    int count = 0;
    snprintf(command, sizeof command,
             "ps -e -o pid=,ppid=,stat=,comm= | awk -v launcher=%ld '{parent[$1] = $2} "
             "$3 !~ /^Z/ && $4 == \"srtrain\" {rank[$1] = 1} "
             "END {for (r in rank) {p = r; while (p > 1 && p != launcher) p = parent[p]; if (p == launcher) print r}}'",
             (long)launcher);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while (count < RANKS && fscanf(pipe, "%ld", &ranks[count]) == 1)
        ++count;
    (void)pclose(pipe);
    return count;
}

/* False when there is no rank, because the run has not begun or has ended. */
static bool kill_a_rank(pid_t launcher)
{
    long ranks[RANKS];
    const int count = living_ranks(launcher, ranks);
    return count > 0 && kill((pid_t)ranks[rand() % count], SIGKILL) == 0;
}

static size_t matches(const world *w, const char *run, const char *pattern)
{
    char path[512];
    glob_t found;
    snprintf(path, sizeof path, "%s/%s/%s", w->directory, run, pattern);
    const size_t count = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static bool has_ended(pid_t launcher)
{
    siginfo_t found = {.si_pid = 0};
    assert_int_equal(waitid(P_PID, (id_t)launcher, &found, WEXITED | WNOHANG | WNOWAIT), 0);
    return found.si_pid != 0;
}

/* The launcher's exit code. Open MPI's may hang in its own end after a kill (docs/batch.md): with no rank left for HANG seconds
 * it is killed, as srtrain-job would do. */
static int wait_for(pid_t launcher, counts *c)
{
    long ranks[RANKS];
    double alive = now(), looked = alive;
    int status;
    while (!has_ended(launcher)) {
        usleep(2000);
        if (now() - looked < 1)
            continue;
        looked = now();
        if (living_ranks(launcher, ranks) > 0)
            alive = looked;
        else if (looked - alive > HANG) {
            ++c->hangs;
            assert_int_equal(kill(launcher, SIGKILL), 0);
            break;
        }
    }
    assert_true(waitpid(launcher, &status, 0) == launcher);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void assert_same_end(const world *w, const char *left_run, const char *right_run)
{
    static train_line expected[STEPS], actual[STEPS];
    char name[96], path[WORLD_PATH_SIZE];
    snprintf(name, sizeof name, "%s/metrics.jsonl", left_run);
    world_path(w, name, path);
    const size_t steps = read_train_lines(path, expected, STEPS);
    snprintf(name, sizeof name, "%s/metrics.jsonl", right_run);
    world_path(w, name, path);
    assert_int_equal(read_train_lines(path, actual, STEPS), steps);
    assert_memory_equal(expected, actual, steps * sizeof *expected);
    snprintf(name, sizeof name, "checkpoints/step-%010zu.h5", steps);
    world_assert_same_parameters(w, left_run, right_run, name);
    world_assert_same_parameters(w, left_run, right_run, "best.h5");
}

/* One run from its beginning to its end, however often it has to be started. After a kill it is always started again: MPICH's
 * launcher may say 0 then. */
static void train_with_kills(const world *w, const training *trained, const char *run, counts *c)
{
    bool killed;
    do {
        const double moment = 1.2 * c->seconds * (double)rand() / RAND_MAX, begun = now();
        const pid_t launcher = start(w, trained, run);
        ++c->starts;
        while (now() - begun < moment && !has_ended(launcher))
            usleep(2000);
        killed = kill_a_rank(launcher);
        const int code = wait_for(launcher, c);
        c->kills += killed;
        c->in_checkpoint += killed && matches(w, run, "checkpoints/*.tmp") + matches(w, run, "*.tmp") > 0;
        assert_int_equal(matches(w, run, "checkpoints/*.damaged"), 0); /* no kill leaves a damaged file behind */
        if (code != 0 && !killed) {
            char command[512];
            snprintf(command, sizeof command, "tail -n 20 %s/%s.out", w->directory, run);
            (void)!system(command);
            fail_msg("a start that nobody disturbed ended with %d", code);
        }
    } while (killed);
}

static void kill_ranks_of(const world *w, const training *trained)
{
    counts c = {.runs = 0};
    const double begun = now();
    assert_int_equal(wait_for(start(w, trained, trained->name), &c), 0);
    c.seconds = now() - begun;
    srand(7);
    while (c.kills < (wanted ? wanted : trained->kills)) {
        char run[64], command[512];
        snprintf(run, sizeof run, "%s-killed-%ld", trained->name, c.runs++);
        train_with_kills(w, trained, run, &c);
        assert_same_end(w, trained->name, run);
        snprintf(command, sizeof command, "rm -r %s/%s", w->directory, run);
        assert_int_equal(system(command), 0);
        printf("%ld kills in %ld starts of %ld runs, %ld of them left an unfinished checkpoint and %ld a launcher that hung; "
               "every run ended with the same bits\n",
               c.kills, c.starts, c.runs, c.in_checkpoint, c.hangs);
        fflush(stdout);
    }
}

static void runs_whose_ranks_are_killed_end_like_undisturbed_ones(void **state)
{
    kill_ranks_of(*state, &replicated);
}

static void so_do_runs_whose_item_table_is_divided_among_ranks(void **state)
{
    kill_ranks_of(*state, &divided);
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 2)
        wanted = strtol(arguments[1], NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(runs_whose_ranks_are_killed_end_like_undisturbed_ones),
                                       cmocka_unit_test(so_do_runs_whose_item_table_is_divided_among_ranks)};
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}

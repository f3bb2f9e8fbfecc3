/* Ranks that stand still in files, stopped or in a call that never comes back: nobody waits for them for ever, and the message
 * names rank and file. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SKIPPED = 77 };

static const char configuration[] = "data: {path: none}\n"
                                    "model: {hidden_size: 64, inner_size: 64, layers: 1, max_length: 12}\n"
                                    "training: {epochs: 2, batch_size: 64, early_stopping: {patience: 0}}\n"
                                    "evaluation: {top_k: [5, 10]}\n"
                                    "checkpoint: {every_steps: 10, writing: blocking}\n";

typedef struct {
    const char *name;
    const char *call, *file, *at, *how, *rank; /* of faults/stopped_call.c */
    const char *more;                          /* assignments to the environment */
    const char *arguments;                     /* of srtrain; NULL: trains */
    const char *says[3];
} standing_case;

static const standing_case cases[] = {
    {"stopped-in-writing",
     "write",
     "step-0000000010",
     "1",
     "stop",
     "1",
     "",
     NULL,
     {"2 of 3 ranks wait, as rank ", "missing is rank 1 on .*, which does not answer",
      "--stall-timeout 3 s, and [0-9.]* s for the [0-9.]* MB of .*/checkpoints/step-0000000010.h5"}},
    {"hanging-in-writing",
     "write",
     "step-0000000010",
     "1",
     "hang",
     "all",
     "",
     NULL,
     {"2 of 3 ranks wait; missing is rank 0 on ", "stands still while it writes .*/checkpoints/step-0000000010.h5",
      "the same command goes on from the last checkpoint"}},
    {"hanging-beside-training",
     "write",
     "step-0000000010",
     "2",
     "hang",
     "0",
     "",
     "--set checkpoint.writing=overlapped",
     {"2 of 3 ranks wait", "missing is rank 0 on .*stands still while it writes .*/checkpoints/step-0000000010.h5"}},
    {"stopped-in-reading",
     "read",
     "undisturbed/checkpoints",
     "3",
     "stop",
     "0",
     "",
     "--resume undisturbed/checkpoints",
     {"2 of 3 ranks wait", "missing is rank 0 on .*, which does not answer", "MB of undisturbed/checkpoints/step"}},
    {"stopped-in-the-data-set",
     "read",
     "data/index.h5",
     "3",
     "stop",
     "2",
     "",
     "",
     {"2 of 3 ranks wait", "missing is rank 2 on .*, which does not answer", "MB of .*/data)"}},
    {"hanging-in-reading",
     "read",
     "undisturbed/best.h5",
     "2",
     "hang",
     "0",
     "",
     NULL,
     {"2 of 3 ranks wait", "missing is rank 0 on .*stands still while it reads undisturbed/best.h5 during an evaluation"}},
    {"without-notes",
     "write",
     "step-0000000010",
     "1",
     "hang",
     "1",
     "SRTRAIN_STOP_OPEN=/stalled-",
     "",
     {"no progress for .* of 3 ranks wait", "nothing is known of the others, as the file system does not answer"}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Starts a case in a shell beside this test; its output goes to NAME.out, the launcher's code to NAME.code. */
static void start_case(const world *w, const standing_case *c)
{
    char arguments[512], text[4096];
    program_result result;
    const bool evaluates = strcmp(c->name, "hanging-in-reading") == 0;
    if (evaluates)
        snprintf(arguments, sizeof arguments, "evaluate undisturbed/best.h5");
    else
        snprintf(arguments, sizeof arguments, "%s --set data.path=%s --output %s %s", w->configuration, w->data, c->name,
                 c->arguments ? c->arguments : "");
    if (strstr(arguments, "--resume undisturbed/checkpoints"))
        strcat(arguments, "/step-0000000010.h5 --set training.epochs=4");
    snprintf(text, sizeof text,
             "cd %s && (env SRTRAIN_STOP_CALL=%s SRTRAIN_STOP_FILE=%s SRTRAIN_STOP_AT=%s SRTRAIN_STOP_HOW=%s "
             "SRTRAIN_STOP_RANK=%s %s %s 3 env LD_PRELOAD=%s %s/srtrain %s --stall-timeout 3 > %s.out 2>&1; "
             "echo $? > %s.new; mv %s.new %s.code) > /dev/null 2>&1 &",
             w->directory, c->call, c->file, c->at, c->how, c->rank, c->more, MPIEXEC, STOPPED_CALL_LIBRARY,
             getenv("SRTRAIN_BINARY_DIRECTORY"), arguments, c->name, c->name, c->name, c->name);
    run_command(&result, text);
    assert_code(&result, 0);
}

static void check_case(const world *w, const standing_case *c)
{
    char text[1024];
    program_result result;
    snprintf(text, sizeof text,
             "cd %s; for i in $(seq 3000); do [ -e %s.code ] && break; sleep 0.02; done; cat %s.out; [ -e %s.code ] && "
             "%s [ $(cat %s.code) = 1 ] && [ $(grep -c 'srtrain: error' %s.out) -ge 1 ]",
             w->directory, c->name, c->name, c->name, strcmp(MPI_FLAVOUR, "mpich") == 0 ? "true ||" : "", c->name, c->name);
    run_command(&result, text);
    if (result.code != 0)
        fail_msg("%s: %s", c->name, result.output);
    for (size_t i = 0; i < 3 && c->says[i]; ++i) {
        snprintf(text, sizeof text, "grep -q -e '%s' %s/%s.out", c->says[i], w->directory, c->name);
        program_result found;
        run_command(&found, text);
        if (found.code != 0)
            fail_msg("%s: \"%s\" is missing in %s", c->name, c->says[i], result.output);
    }
}

/* All at the same time, as they wait most of theirs. */
static void ranks_that_stand_still_in_files_are_named(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < CASES; ++i)
        start_case(w, &cases[i]);
    for (size_t i = 0; i < CASES; ++i)
        check_case(w, &cases[i]);
}

/* Files that are slow and not stuck: a limit that the bytes do not lengthen would end this run. */
static void work_on_files_has_time_in_proportion_to_its_bytes(void **state)
{
    world *w = *state;
    char text[2048];
    snprintf(
        text, sizeof text,
        "cd %s || exit 1; (env SRTRAIN_STOP_CALL=write SRTRAIN_STOP_FILE=step-0000000010 SRTRAIN_STOP_AT=1 "
        "SRTRAIN_STOP_HOW=stop "
        "SRTRAIN_STOP_RANK=1 %s 2 env LD_PRELOAD=%s %s/srtrain %s --set data.path=%s --output slow --stall-timeout 1 "
        "--set checkpoint.slowest_megabytes_per_second=0.02 > slow.out 2>&1; echo $? > slow.code) & "
        "for i in $(seq 3000); do p=$(grep '\"process\"' slow/environment.json | sed -n 2p | tr -cd 0-9); "
        "[ -n \"$p\" ] && grep -q State:.T /proc/$p/status && break; sleep 0.02; done 2> /dev/null; sleep 4; kill -CONT $p; "
        "wait; cat slow.out; "
        "exit $(cat slow.code)",
        w->directory, MPIEXEC, STOPPED_CALL_LIBRARY, getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data);
    run_command(&w->result, text);
    assert_code(&w->result, 0);
    world_assert_same_parameters(w, "undisturbed", "slow", "best.h5");
}

static int set_up(void **state)
{
    const int result = world_set_up(state, configuration, "--users 300 --items 1200 --mean-length 9 --seed 3 --shards 2");
    world *w = *state;
    char text[512];
    snprintf(text, sizeof text, "cd %s && %s 2 %s/srtrain %s --set data.path=%s --output undisturbed --set checkpoint.keep=100",
             w->directory, MPIEXEC, getenv("SRTRAIN_BINARY_DIRECTORY"), w->configuration, w->data);
    run_command(&w->result, text);
    assert_code(&w->result, 0);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_that_stand_still_in_files_are_named),
        cmocka_unit_test(work_on_files_has_time_in_proportion_to_its_bytes),
    };
    if (!*STOPPED_CALL_LIBRARY) {
        printf("skipped: programs with sanitizers load no such library\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}

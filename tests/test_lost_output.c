/* What is printed reaches its file, or the program says so and ends with 1: every command, on a full disk and with a standard
 * output that is closed. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    run_shell(
        &w->result, w->directory,
        "srprep synth --users 30 --items 9 --mean-length 5 --seed 1 --output data && "
        "echo 'data: {path: data}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8}\ntraining: {epochs: 1}' >run.yaml && "
        "srtrain run.yaml --output run");
    assert_code(&w->result, 0);
    return 0;
}

/* Standard error goes where the test reads it before standard output is lost. */
static void assert_lost(program_world *w, const char *command, const char *program)
{
    static const char *const redirections[] = {">/dev/full", ">&-"};
    for (size_t i = 0; i < 2; ++i) {
        run_shell(&w->result, w->directory, "rm -rf new; %s 2>&1 %s", command, redirections[i]);
        assert_code(&w->result, 1);
        assert_says(&w->result, program);
        assert_says(&w->result, "error: ");
        assert_says(&w->result, i == 0 ? "No space left on device" : "");
    }
}

static void every_command_of_srtrain_ends_with_1_when_its_output_is_lost(void **state)
{
    program_world *w = *state;
    static const char *const commands[] = {"srtrain --help",
                                           "srtrain --version",
                                           "srtrain --help=man",
                                           "srtrain --help=completion",
                                           "srtrain evaluate --help",
                                           "srtrain models",
                                           "srtrain config run.yaml",
                                           "srtrain plan run.yaml --ranks 2",
                                           "srtrain plan run.yaml --ranks 2 --json",
                                           "srtrain evaluate run/best.h5",
                                           "srtrain recommend run/best.h5",
                                           "srtrain evaluate run/best.h5 --json /dev/stdout",
                                           "srtrain analyze run/best.h5 --pictures none --output new"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i)
        assert_lost(w, commands[i], "srtrain: ");
}

static void every_command_of_srprep_ends_with_1_when_its_output_is_lost(void **state)
{
    program_world *w = *state;
    static const char *const commands[] = {"srprep --help",
                                           "srprep --version",
                                           "srprep convert --help",
                                           "srprep info data",
                                           "srprep info data --json",
                                           "srprep export data",
                                           "srprep synth --users 9 --items 9 --mean-length 5 --seed 1 --output new"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i)
        assert_lost(w, commands[i], "srprep: ");
}

static void all_ranks_end_with_1_when_the_output_of_rank_0_is_lost(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory, "$MPIEXEC 2 sh -c 'srtrain evaluate run/best.h5 >/dev/full'");
    assert_code(&w->result, 1);
    assert_says(&w->result, "rank 0 on ");
    assert_says(&w->result, "cannot write to standard output: No space left on device");
}

/* The first file that a program opens would be its standard output: what it prints would go into the middle of that file. */
static void nothing_is_printed_into_files_when_standard_streams_are_closed(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory, "cp -r run whole && srtrain evaluate whole/best.h5 --json a.json >&- 2>&- <&-");
    assert_code(&w->result, 1);
    run_shell(
        &w->result, w->directory,
        "cmp run/best.h5 whole/best.h5 && srtrain run.yaml --output quiet >&- 2>&- <&- && srtrain evaluate quiet/best.h5");
    assert_code(&w->result, 0);
    assert_says(&w->result, "hr@10");
}

static void a_run_whose_log_is_lost_says_so_and_ends_with_1(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "mkdir logless && ln -s /dev/full logless/train.log && srtrain run.yaml --output logless");
    assert_code(&w->result, 1);
    assert_says(&w->result, "cannot write logless/train.log: No space left on device");
    run_shell(&w->result, w->directory, "tail -n 1 logless/metrics.jsonl");
    assert_says(&w->result, "\"kind\":\"test\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_of_srtrain_ends_with_1_when_its_output_is_lost),
        cmocka_unit_test(every_command_of_srprep_ends_with_1_when_its_output_is_lost),
        cmocka_unit_test(all_ranks_end_with_1_when_the_output_of_rank_0_is_lost),
        cmocka_unit_test(nothing_is_printed_into_files_when_standard_streams_are_closed),
        cmocka_unit_test(a_run_whose_log_is_lost_says_so_and_ends_with_1),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}

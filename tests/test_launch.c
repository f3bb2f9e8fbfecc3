/* Processes that a launcher has started together, and each of which believes to be alone: what the environment says of it. */
#include "parallel/launch.h"
#include "program.h"
#include "srtrain/parallel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* All that launchers and batch systems say, so that what this test itself was started by plays no part. */
static const char *const names[] = {"OMPI_COMM_WORLD_SIZE",
                                    "OMPI_COMM_WORLD_RANK",
                                    "OMPI_COMM_WORLD_LOCAL_SIZE",
                                    "PMI_SIZE",
                                    "PMI_RANK",
                                    "PMI_LOCAL_SIZE",
                                    "PMIX_SIZE",
                                    "PMIX_RANK",
                                    "PMIX_NAMESPACE",
                                    "MV2_COMM_WORLD_SIZE",
                                    "MV2_COMM_WORLD_RANK",
                                    "MV2_COMM_WORLD_LOCAL_SIZE",
                                    "PALS_SIZE",
                                    "PALS_RANKID",
                                    "PALS_LOCAL_SIZE",
                                    "JSM_NAMESPACE_SIZE",
                                    "JSM_NAMESPACE_RANK",
                                    "FLUX_JOB_SIZE",
                                    "FLUX_TASK_RANK",
                                    "ALPS_APP_PE",
                                    "MPI_LOCALNRANKS",
                                    "SLURM_JOB_ID",
                                    "SLURM_NTASKS",
                                    "SLURM_STEP_NUM_TASKS",
                                    "SLURM_STEP_ID",
                                    "SLURM_PROCID",
                                    "SRTRAIN_INDEPENDENT"};

static void forget(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        unsetenv(names[i]);
}

/* The environment is those assignments, "NAME=VALUE NAME=VALUE". */
static void use_environment(const char *assignments)
{
    char text[512], *rest = text;
    forget();
    assert_true(strlen(assignments) < sizeof text);
    strcpy(text, assignments);
    for (char *one; (one = strsep(&rest, " "));) {
        char *value = strchr(one, '=');
        if (!value)
            continue;
        *value++ = '\0';
        assert_int_equal(setenv(one, value, 1), 0);
    }
}

static int forget_all(void **state)
{
    (void)state;
    forget();
    return 0;
}

static int tear_down(void **state)
{
    forget();
    return program_tear_down(state);
}

typedef struct {
    const char *environment;
    long processes;
    const char *source;
} promise;

static void assert_promises(const promise *expected, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        use_environment(expected[i].environment);
        const launch_promise found = launch_look();
        if (found.processes != expected[i].processes || strcmp(found.source, expected[i].source) != 0)
            fail_msg("%s: %ld processes by \"%s\" instead of %ld by \"%s\"", expected[i].environment, found.processes,
                     found.source, expected[i].processes, expected[i].source);
    }
}

static void every_launcher_is_understood(void **state)
{
    (void)state;
    static const promise expected[] = {
        {"PMI_RANK=0 PMI_SIZE=3 SLURM_NTASKS=3 SLURM_PROCID=0", 3, "PMI_SIZE=3"},
        {"OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0", 4, "OMPI_COMM_WORLD_SIZE=4"},
        {"MV2_COMM_WORLD_SIZE=2", 2, "MV2_COMM_WORLD_SIZE=2"},
        {"PALS_RANKID=0 PALS_LOCAL_SIZE=8", 8, "PALS_LOCAL_SIZE=8"},
        {"JSM_NAMESPACE_SIZE=5", 5, "JSM_NAMESPACE_SIZE=5"},
        {"FLUX_JOB_SIZE=6", 6, "FLUX_JOB_SIZE=6"},
        {"PMIX_RANK=2", 3, "PMIX_RANK=2"},
        {"ALPS_APP_PE=1", 2, "ALPS_APP_PE=1"},
        {"SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0", 4, "SLURM_STEP_NUM_TASKS=4"},
        {"SLURM_JOB_ID=7 SLURM_STEP_ID=1 SLURM_NTASKS=4 SLURM_PROCID=0 PMIX_RANK=0", 4, "SLURM_NTASKS=4"},
        {"SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=2", 4, "SLURM_NTASKS=4"},
        {"SLURM_NTASKS=3 SLURM_PROCID=0", 3, "SLURM_NTASKS=3"},
    };
    assert_promises(expected, sizeof expected / sizeof *expected);
}

static void a_process_that_is_meant_to_be_alone_is_no_alarm(void **state)
{
    (void)state;
    static const promise expected[] = {
        {"", 1, ""},
        {"PMIX_RANK=0 PMIX_NAMESPACE=a", 1, ""},
        /* The script of a job, and an interactive shell: as they are, and with an mpirun of one rank in them. */
        {"SLURM_JOB_ID=7 SLURM_NTASKS=4", 1, ""},
        {"SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=0", 1, ""},
        {"SLURM_JOB_ID=7 SLURM_STEP_ID=4294967290 SLURM_NTASKS=4 SLURM_PROCID=0", 1, ""},
        {"SLURM_JOB_ID=7 SLURM_STEP_ID=4294967291 SLURM_NTASKS=4 SLURM_PROCID=0", 1, ""},
        {"SLURM_JOB_ID=7 SLURM_NTASKS=4 OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0 PMIX_RANK=0", 1, ""},
        {"SLURM_JOB_ID=7 SLURM_NTASKS=4 PMI_SIZE=1 PMI_RANK=0", 1, ""},
        /* srun of one task in a job of four; the daemons of mpirun are tasks of a step as well. */
        {"SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0", 1, ""},
        {"SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 OMPI_COMM_WORLD_SIZE=1", 1, ""},
        {"PMI_SIZE=many OMPI_COMM_WORLD_SIZE=-3", 1, ""},
    };
    assert_promises(expected, sizeof expected / sizeof *expected);
}

static void only_a_world_of_one_is_refused_and_only_unless_it_is_meant(void **state)
{
    (void)state;
    sr_error error;
    use_environment("PMI_SIZE=3");
    const launch_promise found = launch_look();
    assert_int_equal(launch_check(&found, 3, &error), SR_OK);
    assert_int_equal(launch_check(&found, 2, &error), SR_OK);
    assert_int_equal(launch_check(&found, 1, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "PMI_SIZE=3"));
    assert_non_null(strstr(error.message, "srun --mpi=pmix"));
    setenv("SRTRAIN_INDEPENDENT", "0", 1);
    assert_int_equal(launch_check(&found, 1, &error), SR_ERROR_USAGE);
    setenv("SRTRAIN_INDEPENDENT", "1", 1);
    assert_int_equal(launch_check(&found, 1, &error), SR_OK);
}

static void programs_that_were_left_alone_end_with_2_and_write_nothing(void **state)
{
    program_world *w = *state;
    static const char *const commands[] = {"srprep synth --users 9 --items 9 --mean-length 5 --seed 1 --output out",
                                           "srprep info data",
                                           "srtrain run.yaml --output out",
                                           "srtrain evaluate best.h5 --json out",
                                           "srtrain recommend best.h5 --output out",
                                           "srtrain analyze best.h5 --output out",
                                           "srtrain import w.h5 --config run.yaml --output out"};
    static const char *const environments[] = {"PMI_SIZE=3 PMI_RANK=1 SLURM_NTASKS=3 SLURM_PROCID=1",
                                               "SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=3 SLURM_PROCID=0"};
    for (size_t e = 0; e < 2; ++e)
        for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
            use_environment(environments[e]);
            run_shell(&w->result, w->directory, "%s", commands[i]);
            forget();
            assert_code(&w->result, 2);
            assert_says(&w->result, "the launcher has started at least 3 processes");
            run_shell(&w->result, w->directory, "test ! -e out");
            assert_code(&w->result, 0);
        }
}

static void commands_without_ranks_and_real_launchers_work_all_the_same(void **state)
{
    program_world *w = *state;
    use_environment("PMI_SIZE=3 PMI_RANK=1");
    run_shell(&w->result, w->directory, "srtrain --version && srtrain models && srprep --help");
    assert_code(&w->result, 0);
    use_environment("SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=0");
    run_shell(&w->result, w->directory, "srprep synth --users 30 --items 9 --mean-length 5 --seed 1 --output data");
    assert_code(&w->result, 0);
    run_shell(
        &w->result, w->directory,
        "echo 'data: {path: data}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8}\ntraining: {epochs: 1}' >run.yaml;"
        "srtrain run.yaml --output alone && $MPIEXEC 1 srtrain run.yaml --output one && "
        "$MPIEXEC 2 srtrain run.yaml --output two && $MPIEXEC 2 srprep info data");
    forget();
    assert_code(&w->result, 0);
}

static void the_first_of_several_processes_is_told_from_the_others(void **state)
{
    (void)state;
    static const struct {
        const char *environment;
        bool is_first;
    } expected[] = {{"", true},
                    {"OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_RANK=0", true},
                    {"OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_RANK=2", false},
                    {"OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_RANK=2 SRTRAIN_INDEPENDENT=1", true},
                    {"OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0 SLURM_PROCID=1 SLURM_STEP_ID=0", true},
                    {"OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 PMIX_RANK=1", true},
                    {"PMI_SIZE=3 PMI_RANK=1", false},
                    {"SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=4 SLURM_PROCID=0", true},
                    {"SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=4 SLURM_PROCID=3", false},
                    {"SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=0", true}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; ++i) {
        use_environment(expected[i].environment);
        if (sr_parallel_is_first() != expected[i].is_first)
            fail_msg("\"%s\": the process is %sthe first", expected[i].environment, expected[i].is_first ? "not " : "");
    }
}

static void of_several_processes_one_prints(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "echo 'data: {path: data}' >run.yaml; $MPIEXEC 3 srtrain config run.yaml | grep -c '^evaluation:' && "
              "$MPIEXEC 3 srtrain --version | grep -c ^srtrain && $MPIEXEC 3 srprep --version | grep -c ^srprep");
    assert_code(&w->result, 0);
    assert_string_equal(w->result.output, "1\n1\n1\n");
    run_shell(&w->result, w->directory, "$MPIEXEC 3 srtrain config missing.yaml 2>out; echo $?; grep -c '^srtrain: error' out");
    assert_string_equal(w->result.output, "2\n1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_launcher_is_understood),
        cmocka_unit_test(a_process_that_is_meant_to_be_alone_is_no_alarm),
        cmocka_unit_test(only_a_world_of_one_is_refused_and_only_unless_it_is_meant),
        cmocka_unit_test_teardown(the_first_of_several_processes_is_told_from_the_others, forget_all),
        cmocka_unit_test_setup_teardown(of_several_processes_one_prints, program_set_up, tear_down),
        cmocka_unit_test_setup_teardown(programs_that_were_left_alone_end_with_2_and_write_nothing, program_set_up, tear_down),
        cmocka_unit_test_setup_teardown(commands_without_ranks_and_real_launchers_work_all_the_same, program_set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

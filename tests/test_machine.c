/* What a machine allows, and what is left of it: in pretended control groups, and under what Slurm says. */
#include "files.h"
#include "srtrain/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { PLACE_SIZE = FILES_PATH_SIZE };

static const size_t MEBIBYTE = (size_t)1 << 20;

typedef struct {
    char process[PLACE_SIZE], memory[PLACE_SIZE], groups[PLACE_SIZE], groups_of_memory[PLACE_SIZE];
    sr_machine_places places;
} pretended;

static void write_in(const char *directory, const char *name, const char *text)
{
    char path[FILES_PATH_SIZE];
    (void)mkdir(directory, 0700);
    files_path(path, directory, name);
    files_write_text(path, text);
}

/* A machine with 4 GiB to be had; this process holds 200 MiB, of which 50 are shared, and is in no control group. */
static void pretend(pretended *p, const char *directory)
{
    char text[128];
    const long page = sysconf(_SC_PAGESIZE);
    files_path(p->process, directory, "process");
    files_path(p->memory, directory, "meminfo");
    files_path(p->groups, directory, "groups");
    files_path(p->groups_of_memory, directory, "groups-1");
    p->places = (sr_machine_places){p->process, p->memory, p->groups, p->groups_of_memory};
    files_write_text(p->memory, "MemTotal:        8388608 kB\nMemFree:          100 kB\nMemAvailable:    4194304 kB\n");
    snprintf(text, sizeof text, "99999 %zu %zu 1 0 2 0\n", 200 * MEBIBYTE / (size_t)page, 50 * MEBIBYTE / (size_t)page);
    write_in(p->process, "statm", text);
    write_in(p->process, "cgroup", "");
    (void)mkdir(p->groups, 0700);
    (void)mkdir(p->groups_of_memory, 0700);
}

static void without_limits_there_is_what_the_machine_has_left(void **state)
{
    pretended p;
    pretend(&p, *state);
    assert_int_equal(sr_machine_free_memory(&p.places, 8), 4096 * MEBIBYTE);
    files_write_text(p.memory, "nothing of use\n");
    assert_true(sr_machine_free_memory(&p.places, 8) == SIZE_MAX);
}

/* A job's group with a step's in it, as Slurm makes them; the step's own limit is "max". */
static void a_control_group_leaves_its_limit_without_what_runs_in_it(void **state)
{
    pretended p;
    sr_machine machine;
    char job[PLACE_SIZE], step[PLACE_SIZE];
    pretend(&p, *state);
    files_path(job, p.groups, "job");
    write_in(p.process, "cgroup", "0::/job/step\n");
    write_in(job, "memory.max", "1073741824\n");
    write_in(job, "memory.current", "943718400\n");
    write_in(job, "memory.stat", "anon 1\nfile 734003200\ninactive_file 524288000\nactive_file 104857600\n");
    files_path(step, job, "step");
    write_in(step, "memory.max", "max\n");
    write_in(step, "memory.current", "900000000\n");
    sr_machine_look(&machine, &p.places);
    assert_int_equal(machine.memory, 1024 * MEBIBYTE);
    assert_string_equal(machine.limit, "the control group's limit");
    /* 900 MiB are in use, of which 600 are files that go. */
    assert_int_equal(sr_machine_free_memory(&p.places, 1), 724 * MEBIBYTE);
    write_in(step, "memory.max", "1010827264\n"); /* 964 MiB, of which 900000000 bytes are in use */
    assert_int_equal(sr_machine_free_memory(&p.places, 1), 1010827264 - 900000000);
    write_in(step, "memory.max", "800000000\n");
    assert_int_equal(sr_machine_free_memory(&p.places, 1), 0);
}

static void control_groups_of_version_1_count_too(void **state)
{
    pretended p;
    sr_machine machine;
    char job[PLACE_SIZE];
    pretend(&p, *state);
    write_in(p.process, "cgroup", "5:cpu:/elsewhere\n4:memory:/job\n");
    files_path(job, p.groups_of_memory, "job");
    write_in(job, "memory.limit_in_bytes", "1073741824\n");
    write_in(job, "memory.usage_in_bytes", "524288000\n");
    write_in(job, "memory.stat", "inactive_file 1\ntotal_inactive_file 104857600\ntotal_active_file 104857600\n");
    sr_machine_look(&machine, &p.places);
    assert_int_equal(machine.memory, 1024 * MEBIBYTE);
    assert_int_equal(sr_machine_free_memory(&p.places, 1), 724 * MEBIBYTE);
}

static void slurm_leaves_its_grant_without_what_processes_hold(void **state)
{
    pretended p;
    pretend(&p, *state);
    setenv("SLURM_MEM_PER_NODE", "1000", 1);
    assert_int_equal(sr_machine_free_memory(&p.places, 1), 800 * MEBIBYTE);
    assert_int_equal(sr_machine_free_memory(&p.places, 4), (800 - 3 * 150) * MEBIBYTE);
    assert_int_equal(sr_machine_free_memory(&p.places, 10), 0);
    unsetenv("SLURM_MEM_PER_NODE");
    setenv("SLURM_MEM_PER_CPU", "250", 1);
    setenv("SLURM_CPUS_ON_NODE", "2", 1);
    assert_int_equal(sr_machine_free_memory(&p.places, 2), 150 * MEBIBYTE);
    unsetenv("SLURM_MEM_PER_CPU");
    unsetenv("SLURM_CPUS_ON_NODE");
}

static void this_machine_tells_what_it_has(void **state)
{
    sr_machine machine;
    (void)state;
    sr_machine_look(&machine, NULL);
    const size_t left = sr_machine_free_memory(NULL, 1);
    assert_true(machine.cores >= 1 && machine.memory > MEBIBYTE);
    assert_true(left > MEBIBYTE && left < machine.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_limits_there_is_what_the_machine_has_left),
                                       cmocka_unit_test(a_control_group_leaves_its_limit_without_what_runs_in_it),
                                       cmocka_unit_test(control_groups_of_version_1_count_too),
                                       cmocka_unit_test(slurm_leaves_its_grant_without_what_processes_hold),
                                       cmocka_unit_test(this_machine_tells_what_it_has)};
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

/* Every file call of a conversion fails in turn, on every rank: all ranks return one error, nothing hangs, and there is no data
 * set, or a whole one. */
#include "commands.h"
#include "every_fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct {
    sr_parallel *parallel;
    char directory[64], input[96], watched[96], output[128], reference[96];
    const char *memory;
} world;

static void check(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

static void meet(const world *w)
{
    sr_error error;
    check(sr_parallel_barrier(w->parallel, &error), &error);
}

static void write_input(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 3000; ++i)
        fprintf(file, "user-%d item-%d\n", i % 157, i * i % 101);
    fclose(file);
}

/* What the report of a conversion prints is of no use here. */
static sr_status convert_to(const world *w, const char *output, sr_error *error)
{
    char *arguments[] = {"convert",      "--format", "pairs", "--input",  (char *)w->input,  "--output",
                         (char *)output, "--shards", "2",     "--memory", (char *)w->memory, NULL};
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
    assert_true(kept >= 0 && nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0);
    const sr_status status = command_convert(w->parallel, (int)(sizeof arguments / sizeof *arguments) - 1, arguments, error);
    fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    close(nowhere);
    return status;
}

static int start(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_error error;
    assert_non_null(w);
    check(sr_parallel_start(&w->parallel, NULL, NULL, &error), &error);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    if (sr_parallel_rank(w->parallel) == 0)
        assert_non_null(mkdtemp(w->directory));
    check(sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, &error), &error);
    snprintf(w->input, sizeof w->input, "%s/pairs", w->directory);
    snprintf(w->watched, sizeof w->watched, "%s/disk", w->directory);
    snprintf(w->output, sizeof w->output, "%s/sub/data", w->watched);
    snprintf(w->reference, sizeof w->reference, "%s/reference", w->directory);
    if (sr_parallel_rank(w->parallel) == 0) {
        write_input(w->input);
        assert_int_equal(mkdir(w->watched, 0700), 0);
    }
    meet(w);
    w->memory = "1G";
    check(convert_to(w, w->reference, &error), &error);
    *state = w;
    return 0;
}

static int finish(void **state)
{
    world *w = *state;
    char command[256];
    meet(w);
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    if (sr_parallel_rank(w->parallel) == 0)
        assert_int_equal(system(command), 0);
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

static sr_status convert(void *context, sr_error *error)
{
    const world *w = context;
    return convert_to(w, w->output, error);
}

/* Beside a data set nothing is left: neither temporary files nor directories of them. */
static void nothing_or_a_whole_data_set_is_there(void *context, sr_status status)
{
    const world *w = context;
    char command[512];
    meet(w);
    if (sr_parallel_rank(w->parallel) == 0) {
        const bool there = access(w->output, F_OK) == 0;
        if (status == SR_OK && !there)
            fail_msg("the data set is missing");
        snprintf(command, sizeof command, "diff -r %s %s", w->reference, w->output);
        if (there && system(command) != 0)
            fail_msg("a data set is not whole");
        snprintf(command, sizeof command, "test -z \"$(find %s -mindepth 2 -not -path '%s*')\"", w->watched, w->output);
        if (system(command) != 0)
            fail_msg("temporary files are left");
        snprintf(command, sizeof command, "rm -rf %s/sub", w->watched);
        assert_int_equal(system(command), 0);
    }
    meet(w);
}

static void try_all(void *context, fault_kind kind, int cause)
{
    world *w = context;
    const faulty_work work = {.parallel = w->parallel,
                              .directory = w->watched,
                              .context = w,
                              .work = convert,
                              .check = nothing_or_a_whole_data_set_is_there};
    const long faults = try_every_fault(&work, kind, cause);
    assert_true(faults > 0);
    if (sr_parallel_rank(w->parallel) == 0)
        print_message("%ld faults\n", faults);
}

int main(void)
{
    return run_every_fault(try_all, start, finish);
}

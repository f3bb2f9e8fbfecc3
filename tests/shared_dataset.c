#include "shared_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void start(shared_dataset *shared)
{
    sr_error error = {.message = ""};
    if (sr_parallel_start(&shared->parallel, NULL, NULL, &error) != SR_OK)
        fail_msg("%s", error.message);
    snprintf(shared->directory, sizeof shared->directory, "/tmp/srtrain-test-XXXXXX");
    if (sr_parallel_rank(shared->parallel) == 0)
        assert_non_null(mkdtemp(shared->directory));
    assert_int_equal(sr_parallel_broadcast(shared->parallel, shared->directory, sizeof shared->directory, &error), SR_OK);
}

/* Opens what the first rank has written to `path`, as soon as it has. */
static sr_dataset *open_written(const shared_dataset *shared, const char *path)
{
    sr_error error = {.message = ""};
    sr_dataset *dataset;
    assert_int_equal(sr_parallel_barrier(shared->parallel, &error), SR_OK);
    if (sr_dataset_open(&dataset, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    return dataset;
}

enum { PATH_SIZE = 128 };

static void path_of(const shared_dataset *shared, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", shared->directory, name);
}

sr_dataset *shared_dataset_open_another(const shared_dataset *shared, const char *name, void (*write)(const char *directory))
{
    char path[PATH_SIZE];
    path_of(shared, name, path);
    if (sr_parallel_rank(shared->parallel) == 0)
        write(path);
    return open_written(shared, path);
}

void shared_dataset_open(shared_dataset *shared, void (*write)(const char *directory))
{
    start(shared);
    shared->dataset = shared_dataset_open_another(shared, "data", write);
}

int shared_dataset_close(shared_dataset *shared)
{
    sr_error error;
    sr_dataset_close(shared->dataset);
    int result = sr_parallel_barrier(shared->parallel, &error) != SR_OK;
    if (sr_parallel_rank(shared->parallel) == 0) {
        char command[PATH_SIZE];
        snprintf(command, sizeof command, "rm -r %s", shared->directory);
        result = system(command);
    }
    sr_parallel_finish(shared->parallel);
    return result;
}

int shared_dataset_set_up(void **state, const equal_sequences *sequences)
{
    char path[PATH_SIZE];
    shared_dataset *shared = calloc(1, sizeof *shared);
    assert_non_null(shared);
    start(shared);
    path_of(shared, "data", path);
    if (sr_parallel_rank(shared->parallel) == 0)
        small_dataset_write_equal(path, sequences);
    shared->dataset = open_written(shared, path);
    *state = shared;
    return 0;
}

int shared_dataset_tear_down(void **state)
{
    shared_dataset *shared = *state;
    const int result = shared_dataset_close(shared);
    free(shared);
    return result;
}

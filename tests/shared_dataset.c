#include "shared_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

void shared_dataset_open(shared_dataset *shared, void (*write)(const char *directory))
{
    sr_error error = {.message = ""};
    if (sr_parallel_start(&shared->parallel, NULL, NULL, &error) != SR_OK)
        fail_msg("%s", error.message);
    snprintf(shared->directory, sizeof shared->directory, "/tmp/srtrain-test-XXXXXX");
    if (sr_parallel_rank(shared->parallel) == 0) {
        assert_non_null(mkdtemp(shared->directory));
        write(shared->directory);
    }
    assert_int_equal(sr_parallel_broadcast(shared->parallel, shared->directory, sizeof shared->directory, &error), SR_OK);
    if (sr_dataset_open(&shared->dataset, shared->directory, &error) != SR_OK)
        fail_msg("%s", error.message);
}

int shared_dataset_close(shared_dataset *shared)
{
    sr_error error;
    sr_dataset_close(shared->dataset);
    int result = sr_parallel_barrier(shared->parallel, &error) != SR_OK;
    if (sr_parallel_rank(shared->parallel) == 0) {
        char command[128];
        snprintf(command, sizeof command, "rm -r %s", shared->directory);
        result = system(command);
    }
    sr_parallel_finish(shared->parallel);
    return result;
}

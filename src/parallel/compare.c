/* Whether all ranks were given the same. */
#include "srtrain/memory.h"
#include "srtrain/parallel.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sr_status sr_parallel_share_root(sr_parallel *parallel, const void *data, size_t bytes, void **root, size_t *root_bytes,
                                 sr_error *error)
{
    uint64_t size = bytes;
    char *copy = NULL;
    *root = NULL;
    SR_TRY(sr_parallel_broadcast(parallel, &size, sizeof size, error));
    sr_status status = sr_parallel_agree(parallel, SR_ALLOCATE(&copy, (size_t)size + 1, "what rank 0 was given", error), error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0)
        memcpy(copy, data, bytes);
    if (status == SR_OK)
        status = sr_parallel_broadcast(parallel, copy, (size_t)size, error);
    if (status != SR_OK) {
        free(copy);
        return status;
    }
    copy[size] = '\0';
    *root = copy;
    *root_bytes = (size_t)size;
    return SR_OK;
}

/* The first line in which `mine` differs from `root`; false when none does. Each line is cut to `size`. */
static bool first_difference(const char *mine, const char *root, char *my_line, char *root_line, size_t size)
{
    while (*mine || *root) {
        const size_t my_length = strcspn(mine, "\n"), root_length = strcspn(root, "\n");
        if (my_length != root_length || memcmp(mine, root, my_length) != 0) {
            snprintf(my_line, size, "%.*s", (int)my_length, mine);
            snprintf(root_line, size, "%.*s", (int)root_length, root);
            return true;
        }
        mine += my_length + (mine[my_length] == '\n');
        root += root_length + (root[root_length] == '\n');
    }
    return false;
}

sr_status sr_parallel_compare(sr_parallel *parallel, const char *text, const char *advice, sr_error *error)
{
    char my_line[512], root_line[512];
    void *root;
    size_t bytes;
    SR_TRY(sr_parallel_share_root(parallel, text, strlen(text), &root, &bytes, error));
    sr_status status = SR_OK;
    if (first_difference(text, root, my_line, root_line, sizeof my_line))
        status = sr_fail(error, SR_ERROR_USAGE, "%s, but rank 0 has %s: %s", *my_line ? my_line : "nothing",
                         *root_line ? root_line : "nothing", advice);
    free(root);
    return sr_parallel_agree(parallel, status, error);
}

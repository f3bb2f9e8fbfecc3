#include "rank_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

int rank_world_set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_error error;
    if (sr_parallel_start(&w->parallel, NULL, NULL, &error) != SR_OK)
        fail_msg("%s", error.message);
    w->rank = sr_parallel_rank(w->parallel);
    w->size = sr_parallel_size(w->parallel);
    *state = w;
    return 0;
}

int rank_world_tear_down(void **state)
{
    world *w = *state;
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

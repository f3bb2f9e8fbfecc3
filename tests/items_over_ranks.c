#include "items_over_ranks.h"

#include "model/backbone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

int owned_in_turn(size_t id, int ranks)
{
    return (int)(id % (size_t)ranks);
}

int owned_by_the_last(size_t id, int ranks)
{
    (void)id;
    return ranks - 1;
}

int owned_by_all_but_the_first(size_t id, int ranks)
{
    return ranks == 1 ? 0 : 1 + (int)(id / 2 % (size_t)(ranks - 1));
}

/* The first rank has padding and a few items, the others long runs. */
int owned_unevenly(size_t id, int ranks)
{
    return id < 3 ? 0 : (int)((id * id / 16 + 1) % (size_t)ranks);
}

static bool own(const scattered_ranks *ranks, size_t id)
{
    const divided_ranks *d = (const divided_ranks *)ranks;
    return d->owner(id, sr_parallel_size(d->parallel)) == sr_parallel_rank(d->parallel);
}

static bool fails(scattered_ranks *ranks, const sr_ranks *together)
{
    divided_ranks *d = (divided_ranks *)ranks;
    return d->fails_at && ++d->fetches == d->fails_at && together->rank + 1 == together->count;
}

/* As training divides: some rows, by a popularity that is made up, are not where their turn is. */
static sr_model *divided_by_workers(sr_model *like, const sr_parallel *parallel)
{
    sr_model *made;
    int64_t *popularity = calloc(like->items + 1, sizeof *popularity);
    assert_non_null(popularity);
    for (size_t item = 1; item <= like->items; ++item)
        popularity[item] = (int64_t)(1 + item * item % 23);
    const sr_item_division division = {.rank = (size_t)sr_parallel_rank(parallel),
                                       .ranks = (size_t)sr_parallel_size(parallel),
                                       .threads = sr_parallel_threads(parallel),
                                       .popularity = popularity};
    assert_int_equal(sr_model_declare_divided(&made, sr_model_configuration(like), like->items, like->users, &division, NULL),
                     SR_OK);
    free(popularity);
    copy_parameters(made, like);
    return made;
}

sr_model *divided_model(divided_ranks *ranks, sr_model *like, sr_parallel *parallel, item_owner *owner)
{
    if (!owner)
        return divided_by_workers(like, parallel);
    *ranks = (divided_ranks){.ranks = {.own = own, .fails = fails}, .parallel = parallel, .owner = owner};
    return scattered_over_ranks(like, &ranks->ranks);
}

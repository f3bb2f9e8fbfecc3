#include "rank_counts.h"

#include "parallel/parallel_internal.h"
#include "srtrain/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 300, ITEMS = 120, MOST_INTERACTIONS = USERS * 15 };

static uint32_t draw(size_t user, size_t i)
{
    uint32_t words[4];
    sr_random_words(sr_random_open(3, SR_RANDOM_TEST, user), i, 0, words);
    return words[0];
}

void write_short_histories(const char *directory)
{
    static int64_t offsets[USERS + 1], times[MOST_INTERACTIONS];
    static int32_t items[MOST_INTERACTIONS], train_end[USERS], valid_end[USERS];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = 3 + draw(user, 0) % 13;
        size_t item = draw(user, 1) % ITEMS;
        for (size_t i = 0; i < length; ++i) {
            const uint32_t drawn = draw(user, 2 + i);
            item = drawn % 4 == 0 ? drawn / 4 % ITEMS : (3 * item + 7) % ITEMS;
            times[count] = (int64_t)(1000000 + 5000 * user + 1800 * i + drawn % 1700);
            items[count++] = 1 + (int32_t)item;
        }
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)length - 2;
        valid_end[user] = (int32_t)length - 1;
    }
    small_dataset_write(directory, &(small_dataset){.users = USERS,
                                                    .items = ITEMS,
                                                    .shards = 2,
                                                    .offsets = offsets,
                                                    .item_ids = items,
                                                    .times = times,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
}

int rank_counts_set_up(void **state, void (*write)(const char *directory))
{
    rank_counts *counts = calloc(1, sizeof *counts);
    sr_error error;
    assert_non_null(counts);
    shared_dataset_open(&counts->all, write);
    assert_int_equal(sr_parallel_size(counts->all.parallel), MOST_RANKS);
    for (int ranks = 1; ranks <= MOST_RANKS; ++ranks)
        assert_int_equal(parallel_first_ranks(&counts->first[ranks], counts->all.parallel, ranks, &error), SR_OK);
    *state = counts;
    return 0;
}

int rank_counts_tear_down(void **state)
{
    rank_counts *counts = *state;
    for (int ranks = 1; ranks <= MOST_RANKS; ++ranks)
        if (counts->first[ranks])
            sr_parallel_finish(counts->first[ranks]);
    const int result = shared_dataset_close(&counts->all);
    free(counts);
    return result;
}

bool rank_counts_take_part(const rank_counts *counts, int ranks, shared_dataset *data)
{
    *data = counts->all;
    data->parallel = counts->first[ranks];
    return data->parallel != NULL;
}

void rank_counts_wait(const rank_counts *counts)
{
    MPI_Request request;
    int all_are_here = 0;
    assert_int_equal(MPI_Ibarrier(sr_parallel_communicator(counts->all.parallel), &request), MPI_SUCCESS);
    while (assert_int_equal(MPI_Test(&request, &all_are_here, MPI_STATUS_IGNORE), MPI_SUCCESS), !all_are_here)
        usleep(2000);
}

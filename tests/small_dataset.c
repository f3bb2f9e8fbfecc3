#include "small_dataset.h"

#include "srtrain/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

void small_dataset_write(const char *directory, const small_dataset *data)
{
    typedef char short_name[24];
    const size_t most = data->users > data->items ? data->users : data->items;
    short_name *names = calloc(most, sizeof *names);
    const char **pointers = calloc(most, sizeof *pointers);
    assert_non_null(names);
    assert_non_null(pointers);
    for (size_t i = 0; i < most; ++i) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
        pointers[i] = names[i];
    }
    const sr_dataset_contents contents = {.users = data->users,
                                          .items = data->items,
                                          .interactions = (size_t)data->offsets[data->users],
                                          .offsets = data->offsets,
                                          .item_ids = data->item_ids,
                                          .times = data->times,
                                          .train_end = data->train_end,
                                          .valid_end = data->valid_end,
                                          .user_names = pointers,
                                          .item_names = pointers,
                                          .split = "leave-one-out",
                                          .origin = "{}"};
    sr_error error;
    if (sr_dataset_write(directory, &contents, data->shards, &error) != SR_OK)
        fail_msg("%s", error.message);
    free(names);
    free(pointers);
}

void small_dataset_write_equal(const char *directory, const equal_sequences *data)
{
    const size_t count = data->users * data->length;
    int64_t *offsets = calloc(data->users + 1, sizeof *offsets), *times = calloc(count, sizeof *times);
    int32_t *items = calloc(count, sizeof *items), *train_end = calloc(data->users, sizeof *train_end),
            *valid_end = calloc(data->users, sizeof *valid_end);
    assert_true(offsets && times && items && train_end && valid_end);
    for (size_t user = 0; user < data->users; ++user) {
        const size_t first = user * data->length;
        offsets[user + 1] = (int64_t)(first + data->length);
        train_end[user] = (int32_t)data->length - 2;
        valid_end[user] = (int32_t)data->length - 1;
        for (size_t i = 0; i < data->length; ++i) {
            items[first + i] = 1 + (int32_t)(data->item_of(user, i) % data->items);
            times[first + i] = data->time_of ? data->time_of(user, i) : 0;
        }
    }
    small_dataset_write(directory, &(small_dataset){.users = data->users,
                                                    .items = data->items,
                                                    .shards = data->shards,
                                                    .offsets = offsets,
                                                    .item_ids = items,
                                                    .times = data->time_of ? times : NULL,
                                                    .train_end = train_end,
                                                    .valid_end = valid_end});
    free(offsets);
    free(times);
    free(items);
    free(train_end);
    free(valid_end);
}

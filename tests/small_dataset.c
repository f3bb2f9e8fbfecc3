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

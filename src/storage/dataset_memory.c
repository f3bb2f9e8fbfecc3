/* Writing a data set that is in memory: a source of columns like any other, and all files in a directory of their own. */
#include "srtrain/dataset.h"
#include "storage/output_directory.h"

#include <stdlib.h>
#include <string.h>

/* ---- the source ---- */

static void copy_names(const char *const *names, size_t count, size_t width, char *to)
{
    memset(to, 0, count * width);
    for (size_t i = 0; i < count; ++i)
        memcpy(to + i * width, names[i], strlen(names[i]));
}

/* Contents, and the widths of their identifiers. */
typedef struct {
    const sr_dataset_contents *contents;
    size_t user_width, item_width;
} memory_source;

static sr_status read_from_memory(void *context, sr_dataset_column column, size_t first, size_t count, void *values,
                                  sr_error *error)
{
    const memory_source *memory = context;
    const sr_dataset_contents *contents = memory->contents;
    int32_t *lengths = values;
    (void)error;
    switch (column) {
    case SR_COLUMN_LENGTH:
        for (size_t i = 0; i < count; ++i)
            lengths[i] = (int32_t)(contents->offsets[first + i + 1] - contents->offsets[first + i]);
        break;
    case SR_COLUMN_TRAIN_END:
        memcpy(values, contents->train_end + first, count * sizeof *contents->train_end);
        break;
    case SR_COLUMN_VALID_END:
        memcpy(values, contents->valid_end + first, count * sizeof *contents->valid_end);
        break;
    case SR_COLUMN_USER_NAME:
        copy_names(contents->user_names + first, count, memory->user_width, values);
        break;
    case SR_COLUMN_ITEM_NAME:
        copy_names(contents->item_names + first, count, memory->item_width, values);
        break;
    case SR_COLUMN_ITEM:
        memcpy(values, contents->item_ids + first, count * sizeof *contents->item_ids);
        break;
    case SR_COLUMN_TIME:
        memcpy(values, contents->times + first, count * sizeof *contents->times);
        break;
    }
    return SR_OK;
}

/* ---- its files ---- */

static sr_status check_offsets(const sr_dataset_contents *contents, sr_error *error)
{
    if (contents->users == 0 || contents->interactions == 0)
        return SR_OK; /* the plan says so */
    const int64_t last = contents->offsets[contents->users];
    if (contents->offsets[0] != 0 || last != (int64_t)contents->interactions)
        return sr_fail(error, SR_ERROR_DATA,
                       "the offsets run from %lld to %lld; from 0 to %zu, the number of interactions, is expected",
                       (long long)contents->offsets[0], (long long)last, contents->interactions);
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t length = contents->offsets[user + 1] - contents->offsets[user];
        if (length < 1 || length > INT32_MAX)
            return sr_fail(error, SR_ERROR_DATA, "user %zu has %lld interactions; 1 to %d are possible", user,
                           (long long)length, INT32_MAX);
    }
    return SR_OK;
}

static size_t width_of(const char *const *names, size_t count)
{
    size_t width = 1;
    for (size_t i = 0; i < count; ++i) {
        const size_t length = strlen(names[i]);
        width = length > width ? length : width;
    }
    return width;
}

static sr_status write_files(const char *directory, const sr_dataset_plan *plan, const sr_dataset_source *source,
                             sr_error *error)
{
    for (size_t shard = 0; shard < plan->shards; ++shard)
        SR_TRY(sr_dataset_write_shard(plan, source, directory, shard, error));
    return sr_dataset_write_index(plan, source, directory, error);
}

sr_status sr_dataset_write(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    SR_TRY(check_offsets(contents, error));
    memory_source memory = {contents, width_of(contents->user_names, contents->users),
                            width_of(contents->item_names, contents->items)};
    const sr_dataset_source source = {.users = contents->users,
                                      .items = contents->items,
                                      .interactions = contents->interactions,
                                      .user_width = memory.user_width,
                                      .item_width = memory.item_width,
                                      .has_times = contents->times != NULL,
                                      .split = contents->split,
                                      .origin = contents->origin,
                                      .read = read_from_memory,
                                      .context = &memory};
    sr_dataset_plan plan = {.cuts = NULL};
    sr_output_directory output;
    sr_status status = sr_dataset_make_plan(&plan, &source, shards, error);
    if (status == SR_OK)
        status = sr_output_directory_begin(&output, directory, error);
    if (status == SR_OK) {
        status = write_files(output.temporary, &plan, &source, error);
        if (status == SR_OK)
            status = sr_output_directory_commit(&output, error);
        else
            sr_output_directory_discard(&output);
    }
    free(plan.cuts);
    return status;
}

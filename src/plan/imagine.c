/* A sample of a data set that need not exist: as many users as a few batches take, whose items are all different. */
#include "base/sizes.h"
#include "srtrain/memory.h"
#include "srtrain/model.h"
#include "srtrain/plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_LENGTH = 3 }; /* one item to train with, one each for validation and test */

typedef struct {
    size_t users, interactions;
    int64_t *offsets, *times;
    int32_t *items, *train_end, *valid_end;
    const char **names; /* [interactions]; users take the first ones */
} sample;

static void sample_free(sample *s)
{
    free(s->offsets);
    free(s->times);
    free(s->items);
    free(s->train_end);
    free(s->valid_end);
    free((void *)s->names);
}

/* From half of the mean to one and a half times that, spread evenly. */
static size_t length_of(size_t user, double mean)
{
    const double golden = 0.6180339887498949;
    const double length = mean * (0.5 + fmod((double)user * golden, 1));
    return length > LEAST_LENGTH ? (size_t)(length + 0.5) : LEAST_LENGTH;
}

/* Enough for three batches. */
static size_t sampled_users(const sr_plan_sizes *sizes, const sr_settings *settings)
{
    const double window = (double)settings->model.max_length, training = fmax(1, sizes->mean_length - 2);
    const bool is_window = settings->data.samples == SR_SAMPLES_WINDOW;
    const double examples = settings->model.objective == SR_OBJECTIVE_ALL ? 1 : is_window ? fmin(training, window) : training;
    return smaller(sizes->users, (size_t)(3 * (double)settings->training.batch_size / examples) + 16);
}

static sr_status draw(sample *s, const sr_plan_sizes *sizes, bool times, sr_error *error)
{
    static const char name[] = "a";
    SR_TRY(SR_ALLOCATE(&s->offsets, s->users + 1, "a sample of a data set", error));
    SR_TRY(SR_ALLOCATE(&s->train_end, s->users, "a sample of a data set", error));
    SR_TRY(SR_ALLOCATE(&s->valid_end, s->users, "a sample of a data set", error));
    s->offsets[0] = 0;
    for (size_t user = 0; user < s->users; ++user) {
        const size_t length = length_of(user, sizes->mean_length);
        s->offsets[user + 1] = s->offsets[user] + (int64_t)length;
        s->valid_end[user] = (int32_t)length - 1;
        s->train_end[user] = (int32_t)length - 2;
    }
    s->interactions = (size_t)s->offsets[s->users];
    SR_TRY(SR_ALLOCATE(&s->items, s->interactions, "a sample of a data set", error));
    SR_TRY(sr_allocate((void **)&s->names, s->interactions, sizeof *s->names, "a sample of a data set", error));
    if (times)
        SR_TRY(SR_ALLOCATE(&s->times, s->interactions, "a sample of a data set", error));
    for (size_t i = 0; i < s->interactions; ++i) {
        s->items[i] = (int32_t)i + 1;
        s->names[i] = name;
        if (times)
            s->times[i] = (int64_t)i * 3600;
    }
    return SR_OK;
}

/* Files that are mapped stay when their names go. */
static void remove_files(const char *directory)
{
    static const char *const files[] = {"index.h5", "shard-00000.h5"};
    char path[4200];
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static sr_status write_and_open(sr_dataset **opened, const sample *s, sr_error *error)
{
    const char *place = getenv("TMPDIR");
    char parent[4096], directory[4160];
    snprintf(parent, sizeof parent, "%s/srtrain-plan-XXXXXX", place && *place ? place : "/tmp");
    if (!mkdtemp(parent))
        return sr_fail(error, SR_ERROR_RUNTIME,
                       "%s: a directory for the sample of a data set cannot be made: %s (TMPDIR says where)", parent,
                       strerror(errno));
    snprintf(directory, sizeof directory, "%s/data", parent);
    const sr_dataset_contents contents = {.users = s->users,
                                          .items = s->interactions,
                                          .interactions = s->interactions,
                                          .offsets = s->offsets,
                                          .item_ids = s->items,
                                          .times = s->times,
                                          .train_end = s->train_end,
                                          .valid_end = s->valid_end,
                                          .user_names = s->names,
                                          .item_names = s->names,
                                          .split = "leave-one-out",
                                          .origin = "{}"};
    sr_status status = sr_dataset_write(directory, &contents, 1, error);
    if (status == SR_OK)
        status = sr_dataset_open(opened, directory, error);
    remove_files(directory);
    (void)rmdir(parent);
    return status;
}

sr_status sr_plan_imagine(sr_dataset **dataset, const sr_plan_sizes *sizes, const sr_settings *settings, sr_error *error)
{
    sample s = {.users = sampled_users(sizes, settings)};
    *dataset = NULL;
    if (1.5 * sizes->mean_length * (double)s.users > INT32_MAX)
        return sr_fail(
            error, SR_ERROR_USAGE,
            "a sample of three batches has %zu users of about %.0f interactions, which is too much to plan with: take a "
            "smaller training.batch_size or mean length",
            s.users, sizes->mean_length);
    sr_status status = draw(&s, sizes, sr_model_needs_of(&settings->model, true).times, error);
    if (status == SR_OK)
        status = write_and_open(dataset, &s, error);
    sample_free(&s);
    return status;
}

#include "fuzz/changed_file.h"
#include "fuzz/check_storage.h"
#include "srtrain/checkpoint.h"
#include "storage/checkpoint_layout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAYS = 3, MOST_CHANGES = 24, MOST_VALUES = 1 << 16 };

static struct {
    changed_file file;
    sr_parallel *parallel;
    sr_parameters parameters;
    sr_state state;
} valid;

/* ---- the valid checkpoint ---- */

static bool make_model(void)
{
    static const size_t shapes[ARRAYS][2] = {{9, 8}, {2, 16}, {1, 1}};
    static const char *const names[ARRAYS] = {"item_embedding.weight", "encoder.weight", "bias"};
    sr_error error;
    sr_parameters_initialise(&valid.parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        if (sr_parameters_declare(&valid.parameters, names[i], shapes[i], 2, (sr_initial_values){SR_INITIAL_NORMAL, 1},
                                  SR_PARAMETERS_ORDINARY, NULL, &error) != SR_OK)
            return false;
    if (sr_parameters_allocate(&valid.parameters, &error) != SR_OK)
        return false;
    sr_parameters_draw(&valid.parameters, 1);
    valid.state = (sr_state){.blocks = {{.name = "first_moment"}, {.name = "second_moment"}}, .count = 2};
    for (size_t i = 0; i < valid.state.count; ++i) {
        sr_real *values = valid.state.blocks[i].values = calloc(valid.parameters.block_size, sizeof(sr_real));
        if (!values)
            return false;
        values[1] = 0.5F;
    }
    return true;
}

static bool load_valid(void)
{
    if (valid.parallel)
        return true;
    char configuration[] = "data: {path: x}\n", version[] = "0.1.0", fingerprint[] = "0f", where[] = "d", path[128];
    const sr_checkpoint checkpoint = {.progress = {.step = 7, .best_metric = -1},
                                      .configuration = configuration,
                                      .program_version = version,
                                      .data_fingerprint = fingerprint,
                                      .data_directory = where,
                                      .items = 8};
    sr_error error;
    snprintf(path, sizeof path, "%s/step-0000000007.h5", make_directory());
    return make_model() && checkpoint_write_alone(path, &checkpoint, &valid.parameters, &valid.state, &error) == SR_OK &&
           changed_file_load(&valid.file, path) && sr_parallel_start_alone(&valid.parallel, &error) == SR_OK;
}

/* ---- changing it ---- */

static const change_names *names_of_checkpoint(void)
{
    static const char *const objects[] = {"/",
                                          "/progress",
                                          "/configuration",
                                          "/parameters",
                                          "/parameters/item_embedding.weight",
                                          "/parameters/encoder.weight",
                                          "/parameters/bias",
                                          "/parameters/another",
                                          "/optimizer",
                                          "/optimizer/first_moment",
                                          "/optimizer/first_moment/item_embedding.weight",
                                          "/optimizer/first_moment/bias",
                                          "/optimizer/second_moment",
                                          "/optimizer/second_moment/encoder.weight",
                                          "/optimizer/second_moment/another",
                                          "/item_embedding.weight"};
    static const char *const attributes[] = {"format",
                                             "program_version",
                                             "data_fingerprint",
                                             "data_directory",
                                             "users",
                                             "items",
                                             "has_optimizer",
                                             "epoch",
                                             "step",
                                             "batch",
                                             "seed",
                                             "epoch_loss_sum",
                                             "epoch_loss_count",
                                             "best_metric",
                                             "best_epoch",
                                             "best_step",
                                             "validations_without_improvement",
                                             "finished",
                                             "seconds",
                                             CHECKPOINT_COMPLETE,
                                             CHECKPOINT_HEADER_CHECKSUM,
                                             SR_CHECKSUM_ATTRIBUTE,
                                             "sealed",
                                             "another"};
    static const change_names names = {objects, attributes, sizeof objects / sizeof *objects,
                                       sizeof attributes / sizeof *attributes};
    return &names;
}

/* A checksum for each block, as the attribute of an array holds them. The configuration has none, and gets none. */
static void put_checksums(hid_t dataset, void *context)
{
    static float values[MOST_VALUES];
    (void)context;
    const hid_t type = H5Dget_type(dataset);
    const bool floats = H5Tequal(type, H5T_IEEE_F32LE) > 0;
    H5Tclose(type);
    const size_t count = floats ? read_raw(dataset, values, sizeof values) / sizeof *values : 0;
    const size_t blocks = checkpoint_blocks_of(count);
    static checkpoint_checksum checksums[MOST_VALUES / CHECKPOINT_BLOCK + 1];
    for (size_t i = 0; i < blocks; ++i) {
        const size_t begin = i * CHECKPOINT_BLOCK, left = count - begin;
        XXH128_canonicalFromHash(
            &checksums[i], XXH3_128bits(values + begin, (left < CHECKPOINT_BLOCK ? left : CHECKPOINT_BLOCK) * sizeof(float)));
    }
    if (blocks == 0)
        return;
    if (H5Aexists(dataset, SR_CHECKSUM_ATTRIBUTE) > 0)
        (void)H5Adelete(dataset, SR_CHECKSUM_ATTRIBUTE);
    const hid_t space = H5Screate_simple(2, (const hsize_t[]){blocks, sizeof *checksums}, NULL);
    const hid_t attribute = H5Acreate2(dataset, SR_CHECKSUM_ATTRIBUTE, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        (void)H5Awrite(attribute, H5T_STD_U8LE, checksums);
        H5Aclose(attribute);
    }
    H5Sclose(space);
}

static void put_header_checksum(hid_t id)
{
    const sr_hdf5_file file = {.id = id, .path = valid.file.path};
    checkpoint_header header = {.has_optimizer = 0};
    char checksum[SR_CHECKSUM_SIZE];
    sr_error error;
    if (checkpoint_header_read(&file, &header, checksum, &error) == SR_OK)
        replace_text(id, "/", CHECKPOINT_HEADER_CHECKSUM, checksum);
    sr_checkpoint_free(&header.contents);
}

static bool make_file(choices *c)
{
    const unsigned options = choose_byte(c);
    const hid_t id = changed_file_open(&valid.file);
    if (id < 0)
        return false;
    for (size_t changes = 0; c->left > 0 && changes < MOST_CHANGES; ++changes)
        change_file(id, names_of_checkpoint(), c);
    if (options & KEEP_CHECKSUMS)
        for_datasets(id, put_checksums, NULL);
    if (options & KEEP_SUM_OF_ALL)
        put_header_checksum(id);
    return changed_file_close(&valid.file, id, options);
}

/* ---- reading it ---- */

static void demand_text(const char **wrong, const char *text)
{
    demand(wrong, text && strlen(text) < SIZE_MAX, "texts are there");
}

static void check_header(const sr_checkpoint *checkpoint, const char **wrong)
{
    const sr_progress *p = &checkpoint->progress;
    demand_text(wrong, checkpoint->configuration);
    demand_text(wrong, checkpoint->program_version);
    demand_text(wrong, checkpoint->data_fingerprint);
    demand_text(wrong, checkpoint->data_directory);
    demand(wrong, checkpoint->users >= 0 && checkpoint->items >= 0 && checkpoint->items < INT32_MAX, "counts are possible");
    demand(wrong, p->epoch >= 0 && p->step >= 0 && p->batch >= 0 && p->best_epoch >= 0 && p->best_step >= 0,
           "no negative steps");
    demand(wrong, p->validations_without_improvement >= 0 && p->finished >= 0 && p->finished <= 2, "counters are possible");
    demand(wrong, p->step < INT64_MAX / 2 && p->epoch < INT64_MAX / 2 && p->batch < INT64_MAX / 2, "sums do not overflow");
    demand(wrong, isfinite(p->epoch_loss_sum) && isfinite(p->epoch_loss_count) && isfinite(p->best_metric), "finite numbers");
    demand(wrong, isfinite(p->seconds), "a finite time");
}

/* Each way of reading: what is refused is refused well. */
static bool is_read(const char **wrong, sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        demand_refusal(wrong, status, error, valid.file.path);
    return status == SR_OK;
}

static void read_all(const char **wrong)
{
    const char *path = valid.file.path;
    sr_checkpoint checkpoint;
    sr_error error = {.message = ""};
    const bool verified = is_read(wrong, sr_checkpoint_verify(valid.parallel, path, false, &error), &error);
    const bool resumable = is_read(wrong, sr_checkpoint_verify(valid.parallel, path, true, &error), &error);
    demand(wrong, verified || !resumable, "what training can go on from can be evaluated");
    const bool known = is_read(wrong, sr_checkpoint_read_header(valid.parallel, path, &checkpoint, &error), &error);
    if (known)
        check_header(&checkpoint, wrong);
    sr_checkpoint_free(&checkpoint);
    demand(wrong, known || !verified, "what is verified has a header");
    (void)is_read(wrong, sr_checkpoint_read_state(valid.parallel, path, &valid.parameters, NULL, &error), &error);
    (void)is_read(wrong, sr_checkpoint_read_state(valid.parallel, path, &valid.parameters, &valid.state, &error), &error);
    if (is_read(wrong, sr_weights_read(valid.parallel, path, &valid.parameters, &error), &error))
        for (size_t i = 0; i < valid.parameters.block_size; ++i)
            demand(wrong, isfinite(valid.parameters.values[i]), "imported values are finite");
}

const char *check_checkpoint(const char *format, const void *bytes, size_t count)
{
    const char *wrong = NULL;
    (void)format;
    sr_hdf5_silence();
    if (!load_valid())
        return "a valid checkpoint can be written";
    const size_t open = open_objects();
    choices c = {bytes, count};
    const bool made = make_file(&c);
    demand(&wrong, open_objects() == open, "changing closes what it opens");
    if (made)
        read_all(&wrong);
    demand(&wrong, open_objects() == open, "reading closes what it opens");
    return wrong;
}

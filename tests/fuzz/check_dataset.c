#include "fuzz/changed_file.h"
#include "fuzz/check_storage.h"
#include "measure.h"
#include "srtrain/dataset.h"
#include "storage/dataset_format.h"
#include "storage/hdf5_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 6, ITEMS = 5, INTERACTIONS = 25, FILES = 3, MOST_CHANGES = 24 };

static changed_file files[FILES];
static const char *directory;

/* ---- the valid data set ---- */

static bool write_valid(void)
{
    static const int64_t offsets[USERS + 1] = {0, 3, 8, 9, 15, 20, INTERACTIONS};
    static const int32_t train_end[USERS] = {1, 3, 0, 4, 3, 3}, valid_end[USERS] = {2, 4, 0, 5, 4, 4};
    static const char *const users[USERS] = {"u", "user-2", "3", "four", "f\xc3\xbcnf", "6"};
    static const char *const items[ITEMS] = {"a", "bb", "c c", "d,d", "eeeeeeee"};
    int32_t item_ids[INTERACTIONS];
    int64_t times[INTERACTIONS];
    for (int i = 0; i < INTERACTIONS; ++i) {
        item_ids[i] = 1 + (7 * i) % ITEMS;
        times[i] = 1000000000 + 3600 * i;
    }
    const sr_dataset_contents contents = {.users = USERS,
                                          .items = ITEMS,
                                          .interactions = INTERACTIONS,
                                          .offsets = offsets,
                                          .item_ids = item_ids,
                                          .times = times,
                                          .train_end = train_end,
                                          .valid_end = valid_end,
                                          .user_names = users,
                                          .item_names = items,
                                          .split = "leave-one-out",
                                          .origin = "{}"};
    sr_error error;
    return sr_dataset_write(directory, &contents, FILES - 1, &error) == SR_OK;
}

static bool load_valid(void)
{
    static const char *const names[FILES] = {SR_DATASET_INDEX_FILE, "shard-00000.h5", "shard-00001.h5"};
    if (files[0].bytes)
        return true;
    directory = make_directory();
    if (!write_valid())
        return false;
    bool loaded = true;
    for (size_t i = 0; i < FILES; ++i) {
        char path[sizeof files->path];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        loaded = loaded && changed_file_load(&files[i], path);
    }
    return loaded;
}

/* ---- changing it ---- */

static const change_names *names_of_dataset(void)
{
    static const char *const objects[] = {SR_SHARD_OFFSETS,
                                          SR_SHARD_ITEMS,
                                          SR_SHARD_TIMES,
                                          SR_SHARD_TRAIN_END,
                                          SR_SHARD_VALID_END,
                                          "/users",
                                          SR_INDEX_USER_ID,
                                          SR_INDEX_ITEM_ID,
                                          SR_INDEX_POPULARITY,
                                          SR_INDEX_INTERACTIONS,
                                          SR_INDEX_FIRST_USER,
                                          "/shards",
                                          "/",
                                          "/another"};
    static const char *const attributes[] = {SR_ATTRIBUTE_FORMAT,
                                             SR_ATTRIBUTE_USERS,
                                             SR_ATTRIBUTE_ITEMS,
                                             SR_ATTRIBUTE_INTERACTIONS,
                                             SR_ATTRIBUTE_SHARDS,
                                             SR_ATTRIBUTE_HAS_TIMES,
                                             SR_ATTRIBUTE_SPLIT,
                                             SR_ATTRIBUTE_FINGERPRINT,
                                             SR_ATTRIBUTE_ORIGIN,
                                             SR_ATTRIBUTE_LONGEST,
                                             SR_ATTRIBUTE_INDEX,
                                             SR_ATTRIBUTE_FIRST_USER,
                                             SR_CHECKSUM_ATTRIBUTE,
                                             "sealed",
                                             "another"};
    static const change_names names = {objects, attributes, sizeof objects / sizeof *objects,
                                       sizeof attributes / sizeof *attributes};
    return &names;
}

static void put_checksum(hid_t dataset, void *context)
{
    static char values[1 << 16];
    char text[SR_CHECKSUM_SIZE];
    (void)context;
    sr_checksum(values, read_raw(dataset, values, sizeof values), text);
    replace_text(dataset, ".", SR_CHECKSUM_ATTRIBUTE, text);
}

/* All files are changed as the choices say; with a `fingerprint`, they get that, too. */
static bool make_files(choices c, unsigned options, const char *fingerprint)
{
    hid_t ids[FILES];
    bool made = true;
    for (size_t i = 0; i < FILES; ++i) {
        ids[i] = changed_file_open(&files[i]);
        made = made && ids[i] >= 0;
    }
    for (size_t changes = 0; c.left > 0 && made && changes < MOST_CHANGES; ++changes) {
        const size_t i = choose_byte(&c) % FILES;
        change_file(ids[i], names_of_dataset(), &c);
    }
    for (size_t i = 0; i < FILES; ++i) {
        if (ids[i] < 0)
            continue;
        if (options & KEEP_CHECKSUMS)
            for_datasets(ids[i], put_checksum, NULL);
        if (fingerprint)
            replace_text(ids[i], "/", SR_ATTRIBUTE_FINGERPRINT, fingerprint);
        made = changed_file_close(&files[i], ids[i], options) && made;
    }
    return made;
}

/* The fingerprint that the contents have, from the reader's own words. */
static bool fingerprint_wanted(char text[SR_CHECKSUM_SIZE])
{
    static const char before[] = "the fingerprint of the contents is ";
    sr_dataset *dataset = NULL;
    sr_error error = {.message = ""};
    if (sr_dataset_open(&dataset, directory, &error) == SR_OK)
        (void)sr_dataset_verify(dataset, 0, 1, &error);
    sr_dataset_close(dataset);
    const char *found = strstr(error.message, before);
    if (found)
        snprintf(text, SR_CHECKSUM_SIZE, "%s", found + strlen(before));
    return found != NULL;
}

/* ---- reading it ---- */

/* Touches every byte that a data set hands out. */
static void walk(const sr_dataset *dataset, const char **wrong)
{
    const size_t users = sr_dataset_users(dataset), items = sr_dataset_items(dataset);
    size_t interactions = 0, length;
    uint64_t sum = strlen(sr_dataset_split(dataset)) + strlen(sr_dataset_fingerprint(dataset)) + sr_dataset_bytes(dataset);
    sr_dataset_expect_random_access(dataset);
    for (size_t user = 0; user < users; ++user) {
        const sr_sequence s = sr_dataset_sequence(dataset, user);
        demand(wrong, s.length >= 1 && s.length <= sr_dataset_longest(dataset), "sequences are as long as may be");
        demand(wrong, s.train_end <= s.valid_end && s.valid_end <= s.length, "the parts of a sequence lie in it");
        demand(wrong, (s.times != NULL) == sr_dataset_has_times(dataset), "there are times where that is said");
        for (size_t i = 0; i < s.length && !*wrong; ++i) {
            demand(wrong, s.items[i] >= 1 && (size_t)s.items[i] <= items, "items exist");
            demand(wrong, i == 0 || !s.times || s.times[i] >= s.times[i - 1], "times do not decrease");
        }
        sr_dataset_prefetch(dataset, s.items, s.length);
        const char *name = sr_dataset_user_name(dataset, user, &length);
        for (size_t i = 0; i < length; ++i)
            sum += (uint8_t)name[i];
        interactions += s.length;
    }
    for (size_t item = 1; item <= items; ++item) {
        const char *name = sr_dataset_item_name(dataset, item, &length);
        for (size_t i = 0; i < length; ++i)
            sum += (uint8_t)name[i];
    }
    for (size_t item = 0; item <= items; ++item)
        sum += (uint64_t)sr_dataset_popularity(dataset)[item] + (uint64_t)sr_dataset_item_interactions(dataset)[item];
    sr_dataset_let_go(dataset);
    demand(wrong, interactions == sr_dataset_interactions(dataset), "interactions are counted");
    demand(wrong, sum != 1, "all can be read"); /* so that no compiler leaves the sum out */
}

/* `srprep info`. */
static void describe(const sr_dataset *dataset, const char **wrong)
{
    measures found;
    sr_error error;
    demand(wrong, measure(dataset, &found, &error) == SR_OK, "what is accepted can be measured");
    demand(wrong, found.lengths[MEASURE_QUANTILES - 1] == sr_dataset_longest(dataset), "the longest sequence is found");
    cJSON *root = cJSON_CreateObject();
    char *text = root && measures_add_json(dataset, &found, root) ? cJSON_Print(root) : NULL;
    demand(wrong, text != NULL, "it can be described");
    cJSON_free(text);
    cJSON_Delete(root);
}

/* As training opens it, where two ranks share the verification, and as srprep does. */
static void read_all(const char **wrong)
{
    sr_dataset *dataset = NULL;
    sr_error error = {.message = ""};
    sr_status status = sr_dataset_open(&dataset, directory, &error);
    for (size_t part = 0; part < 2 && status == SR_OK; ++part)
        status = sr_dataset_verify(dataset, part, 2, &error);
    if (status == SR_OK) {
        walk(dataset, wrong);
        status = sr_dataset_verify(dataset, 0, 1, &error);
        if (status == SR_OK)
            describe(dataset, wrong);
    }
    if (status != SR_OK)
        demand_refusal(wrong, status, &error, directory);
    sr_dataset_close(dataset);
}

const char *check_dataset(const char *format, const void *bytes, size_t count)
{
    const char *wrong = NULL;
    (void)format;
    sr_hdf5_silence();
    if (!load_valid())
        return "a valid data set can be written";
    const size_t open = open_objects();
    choices c = {bytes, count};
    const unsigned options = choose_byte(&c);
    if (make_files(c, options, NULL)) {
        char fingerprint[SR_CHECKSUM_SIZE];
        if (options & KEEP_SUM_OF_ALL && fingerprint_wanted(fingerprint))
            (void)make_files(c, options, fingerprint);
        demand(&wrong, open_objects() == open, "changing closes what it opens");
        read_all(&wrong);
    }
    demand(&wrong, open_objects() == open, "reading closes what it opens");
    return wrong;
}

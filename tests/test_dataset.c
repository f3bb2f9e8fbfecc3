/* Data sets on disk: what is written is what is read, whatever the number of shards; damage of every kind is found and named; a
 * failed write leaves nothing. */
#include "files.h"
#include "srtrain/dataset.h"
#include "storage/hdf5_helpers.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 7, ITEMS = 5, INTERACTIONS = 28 };

/* User u has u + 1 interactions. */
static const int64_t offsets[USERS + 1] = {0, 1, 3, 6, 10, 15, 21, 28};
static const int32_t items[INTERACTIONS] = {1, 1, 2, 3, 4, 5, 1, 2, 3, 1, 5, 5, 4, 4, 1, 2, 3, 2, 3, 2, 3, 1, 2, 3, 4, 5, 1, 2};
static const int32_t train_end[USERS] = {1, 2, 1, 2, 3, 4, 5}, valid_end[USERS] = {1, 2, 2, 3, 4, 5, 6};
static const char *const user_names[USERS] = {"u", "user-2", "3", "0003", "f\xC3\xBCnf", "six", "7"};
static const char *const item_names[ITEMS] = {"B000K2PJ4K", "1384719342", "x", "00", "0"};

static int64_t times[INTERACTIONS];

static sr_dataset_contents make_contents(void)
{
    for (int i = 0; i < INTERACTIONS; ++i)
        times[i] = (int64_t)1506826800000 + i / 2;
    return (sr_dataset_contents){.users = USERS,
                                 .items = ITEMS,
                                 .interactions = INTERACTIONS,
                                 .offsets = offsets,
                                 .item_ids = items,
                                 .times = times,
                                 .train_end = train_end,
                                 .valid_end = valid_end,
                                 .user_names = user_names,
                                 .item_names = item_names,
                                 .split = "leave-one-out",
                                 .origin = "{\"command\":\"test\"}"};
}

static void write_or_fail(const char *directory, const sr_dataset_contents *contents, size_t shards)
{
    sr_error error;
    if (sr_dataset_write(directory, contents, shards, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static sr_dataset *open_or_fail(const char *directory)
{
    sr_error error;
    sr_dataset *dataset;
    if (sr_dataset_open(&dataset, directory, &error) != SR_OK)
        fail_msg("%s", error.message);
    return dataset;
}

static void assert_sequences(const sr_dataset *dataset, bool with_times)
{
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        assert_int_equal(sequence.length, user + 1);
        assert_int_equal(sequence.train_end, train_end[user]);
        assert_int_equal(sequence.valid_end, valid_end[user]);
        assert_memory_equal(sequence.items, items + offsets[user], (user + 1) * sizeof *items);
        if (with_times)
            assert_memory_equal(sequence.times, times + offsets[user], (user + 1) * sizeof *times);
        else
            assert_null(sequence.times);
    }
}

static void assert_names(const sr_dataset *dataset)
{
    size_t length;
    for (size_t user = 0; user < USERS; ++user) {
        const char *name = sr_dataset_user_name(dataset, user, &length);
        assert_int_equal(length, strlen(user_names[user]));
        assert_memory_equal(name, user_names[user], length);
    }
    for (size_t item = 1; item <= ITEMS; ++item) {
        const char *name = sr_dataset_item_name(dataset, item, &length);
        assert_int_equal(length, strlen(item_names[item - 1]));
        assert_memory_equal(name, item_names[item - 1], length);
    }
}

static void what_is_written_is_read_with_any_number_of_shards(void **state)
{
    char path[FILES_PATH_SIZE], fingerprint[64] = "";
    files_path(path, *state, "missing/parents/data");
    sr_dataset_contents contents = make_contents();
    const int64_t popularity[ITEMS + 1] = {0, 4, 5, 4, 2, 3};
    for (size_t shards = 1; shards <= USERS; ++shards) {
        write_or_fail(path, &contents, shards);
        assert_int_equal(files_count(path), shards + 1);
        sr_dataset *dataset = open_or_fail(path);
        sr_error error = {.status = SR_OK};
        if (sr_dataset_verify(dataset, 0, 1, &error) != SR_OK)
            fail_msg("%s", error.message);
        for (size_t part = 0; part < 3; ++part)
            assert_int_equal(sr_dataset_verify(dataset, part, 3, &error), SR_OK);
        assert_int_equal(sr_dataset_users(dataset), USERS);
        assert_int_equal(sr_dataset_items(dataset), ITEMS);
        assert_int_equal(sr_dataset_interactions(dataset), INTERACTIONS);
        assert_int_equal(sr_dataset_shards(dataset), shards);
        assert_int_equal(sr_dataset_longest(dataset), USERS);
        assert_true(sr_dataset_has_times(dataset));
        assert_string_equal(sr_dataset_split(dataset), "leave-one-out");
        assert_string_equal(sr_dataset_directory(dataset), path);
        assert_memory_equal(sr_dataset_popularity(dataset), popularity, sizeof popularity);
        assert_sequences(dataset, true);
        assert_names(dataset);
        if (shards > 1)
            assert_string_equal(sr_dataset_fingerprint(dataset), fingerprint);
        snprintf(fingerprint, sizeof fingerprint, "%s", sr_dataset_fingerprint(dataset));
        assert_int_equal(strlen(fingerprint), 32);
        sr_dataset_close(dataset);
        files_remove(path);
    }
}

static void fingerprint_of(const char *directory, const sr_dataset_contents *contents, char fingerprint[64])
{
    char path[FILES_PATH_SIZE];
    files_path(path, directory, "fingerprint");
    write_or_fail(path, contents, 2);
    sr_dataset *dataset = open_or_fail(path);
    assert_int_equal(sr_dataset_verify(dataset, 0, 1, NULL), SR_OK);
    snprintf(fingerprint, 64, "%s", sr_dataset_fingerprint(dataset));
    sr_dataset_close(dataset);
    files_remove(path);
}

static void the_fingerprint_depends_on_all_of_the_contents_and_nothing_else(void **state)
{
    char original[64], other[64];
    const sr_dataset_contents contents = make_contents();
    fingerprint_of(*state, &contents, original);
    sr_dataset_contents changed = contents;
    changed.origin = "{}";
    fingerprint_of(*state, &changed, other);
    assert_string_equal(other, original);

    int32_t other_items[INTERACTIONS], other_end[USERS];
    int64_t other_times[INTERACTIONS];
    const char *other_names[USERS];
    memcpy(other_items, items, sizeof items);
    memcpy(other_end, valid_end, sizeof valid_end);
    memcpy(other_times, times, sizeof times);
    memcpy(other_names, user_names, sizeof user_names);
    other_items[9] = 2;
    other_end[6] = 7;
    other_times[27] += 1;
    other_names[6] = "8";
    const sr_dataset_contents variants[] = {{.item_ids = other_items},
                                            {.valid_end = other_end},
                                            {.times = other_times},
                                            {.user_names = other_names},
                                            {.times = NULL}};
    for (int i = 0; i < 5; ++i) {
        changed = contents;
        changed.item_ids = variants[i].item_ids ? variants[i].item_ids : contents.item_ids;
        changed.valid_end = variants[i].valid_end ? variants[i].valid_end : contents.valid_end;
        changed.user_names = variants[i].user_names ? variants[i].user_names : contents.user_names;
        changed.times = variants[i].times ? variants[i].times : i == 4 ? NULL : contents.times;
        fingerprint_of(*state, &changed, other);
        assert_string_not_equal(other, original);
    }
}

static void data_sets_without_times_have_none(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "untimed");
    sr_dataset_contents contents = make_contents();
    contents.times = NULL;
    write_or_fail(path, &contents, 3);
    sr_dataset *dataset = open_or_fail(path);
    assert_false(sr_dataset_has_times(dataset));
    assert_sequences(dataset, false);
    sr_dataset_close(dataset);
    files_remove(path);
}

/* ---- damage ---- */

/* Opens and verifies a data set; expects SR_ERROR_DATA and a message with both texts. */
static void assert_damaged(const char *directory, const char *file, const char *says)
{
    sr_dataset *dataset;
    sr_error error = {.status = SR_OK};
    sr_status status = sr_dataset_open(&dataset, directory, &error);
    if (status == SR_OK)
        status = sr_dataset_verify(dataset, 0, 1, &error);
    sr_dataset_close(dataset);
    assert_int_equal(status, SR_ERROR_DATA);
    if (!strstr(error.message, file) || !strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", error.message, file, says);
}

static void make_data(const char *directory, char path[FILES_PATH_SIZE])
{
    const sr_dataset_contents contents = make_contents();
    files_path(path, directory, "damaged");
    files_remove(path);
    write_or_fail(path, &contents, 3);
}

static void missing_files_are_named(void **state)
{
    char path[FILES_PATH_SIZE], file[FILES_PATH_SIZE];
    files_path(path, *state, "nowhere");
    assert_damaged(path, "nowhere", "no such directory");
    assert_damaged(*state, "index.h5", "No such file");
    make_data(*state, path);
    files_path(file, path, "shard-00001.h5");
    assert_int_equal(remove(file), 0);
    assert_damaged(path, "shard-00001.h5", "No such file");
}

static void truncated_and_foreign_files_are_refused(void **state)
{
    char path[FILES_PATH_SIZE], file[FILES_PATH_SIZE];
    struct stat information;
    make_data(*state, path);
    files_path(file, path, "shard-00002.h5");
    assert_int_equal(stat(file, &information), 0);
    assert_int_equal(truncate(file, information.st_size - 1), 0);
    assert_damaged(path, "shard-00002.h5", "where its seal was");
    assert_int_equal(truncate(file, information.st_size / 2), 0);
    assert_damaged(path, "shard-00002.h5", "truncated");
    files_write_text(file, "this is no HDF5 file");
    assert_damaged(path, "shard-00002.h5", "cannot open it as an HDF5 file");
}

static void a_shard_of_other_data_is_refused(void **state)
{
    char path[FILES_PATH_SIZE], other[FILES_PATH_SIZE], from[FILES_PATH_SIZE], to[FILES_PATH_SIZE];
    make_data(*state, path);
    sr_dataset_contents contents = make_contents();
    times[27] += 1;
    files_path(other, *state, "other");
    write_or_fail(other, &contents, 3);
    files_path(from, other, "shard-00001.h5");
    files_path(to, path, "shard-00001.h5");
    assert_int_equal(rename(from, to), 0);
    assert_damaged(path, "shard-00001.h5", "belongs to another data set");
    files_path(from, path, "shard-00002.h5");
    assert_int_equal(rename(from, to), 0);
    assert_damaged(path, "shard-00001.h5", "this is shard 2, not 1");
    files_remove(other);
}

/* Changes element `index` of an integer dataset, and writes the checksum that belongs to it if `with_checksum`. */
static void change(const char *directory, const char *name, const char *dataset_name, size_t index, int64_t value,
                   bool with_checksum)
{
    char path[FILES_PATH_SIZE], bytes[4096], checksum[SR_CHECKSUM_SIZE];
    files_path(path, directory, name);
    const hid_t id = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (H5Aexists(id, "sealed") > 0)
        assert_true(H5Adelete(id, "sealed") >= 0); /* as one who changes a file by hand must */
    assert_true(id >= 0);
    const hid_t dataset = H5Dopen2(id, dataset_name, H5P_DEFAULT), type = H5Dget_type(dataset);
    const size_t size = H5Tget_size(type), count = H5Dget_storage_size(dataset) / size;
    assert_true(index < count && count * size <= sizeof bytes);
    assert_true(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
    memcpy(bytes + index * size, &value, size < 8 ? size : 8); /* little-endian */
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
    if (with_checksum) {
        const sr_hdf5_file file = {.id = id, .path = path};
        sr_checksum(bytes, count * size, checksum);
        assert_true(H5Adelete_by_name(id, dataset_name, SR_CHECKSUM_ATTRIBUTE, H5P_DEFAULT) >= 0);
        assert_int_equal(sr_hdf5_write_text(&file, dataset_name, SR_CHECKSUM_ATTRIBUTE, checksum, NULL), SR_OK);
    }
    H5Tclose(type);
    H5Dclose(dataset);
    assert_true(H5Fclose(id) >= 0);
}

static void flipped_bytes_are_found_in_every_dataset(void **state)
{
    static const struct {
        const char *file, *dataset;
    } places[] = {{"shard-00001.h5", "/items"},     {"shard-00001.h5", "/times"},      {"shard-00001.h5", "/train_end"},
                  {"shard-00001.h5", "/valid_end"}, {"shard-00001.h5", "/offsets"},    {"index.h5", "/users/id"},
                  {"index.h5", "/items/id"},        {"index.h5", "/items/popularity"}, {"index.h5", "/items/interactions"}};
    char path[FILES_PATH_SIZE], says[64];
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
        make_data(*state, path);
        change(path, places[i].file, places[i].dataset, 1, 'Q', false);
        snprintf(says, sizeof says, "dataset %s is damaged: its checksum is", places[i].dataset);
        assert_damaged(path, places[i].file, says);
    }
}

static void wrong_contents_with_right_checksums_are_found(void **state)
{
    static const struct {
        const char *file, *dataset;
        size_t index;
        int64_t value;
        const char *says;
    } places[] = {{"shard-00001.h5", "/items", 3, ITEMS + 1, "dataset /items, position 3: item id 6; ids must lie in [1, 5]"},
                  {"shard-00002.h5", "/items", 0, 0, "dataset /items, position 0: item id 0; ids must lie in [1, 5]"},
                  {"shard-00002.h5", "/items", 6, -7, "item id -7; ids must lie in [1, 5]"},
                  {"shard-00000.h5", "/offsets", 1, -1, "dataset /offsets, position 1"},
                  {"shard-00000.h5", "/offsets", 1, 1LL << 40, "dataset /offsets, position 1"},
                  {"shard-00000.h5", "/offsets", 0, 1, "dataset /offsets runs from 1"},
                  {"shard-00000.h5", "/train_end", 2, 3, "train_end <= valid_end <= length must hold"},
                  {"shard-00000.h5", "/train_end", 2, -1, "train_end <= valid_end <= length must hold"},
                  {"shard-00000.h5", "/valid_end", 0, 2, "train_end <= valid_end <= length must hold"},
                  {"shard-00000.h5", "/times", 1, INT64_MAX, "times must not decrease"},
                  {"index.h5", "/items/popularity", 3, 99,
                   "dataset /items/popularity, position 3: 99; the shards have this item 4 times"},
                  {"index.h5", "/items/interactions", 0, 1,
                   "dataset /items/interactions, position 0: 1; the shards have this item 0 times"},
                  {"index.h5", "/shards/first_user", 1, 2, "the first user is"},
                  {"", "/users/id", 0, 'Q', "the fingerprint of the contents is"},
                  {"", "/items", 0, 2, "popularity, position 1"}};
    char path[FILES_PATH_SIZE];
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
        make_data(*state, path);
        const bool in_index = strncmp(places[i].dataset, "/users", 6) == 0;
        const char *file = *places[i].file ? places[i].file : in_index ? "index.h5" : "shard-00000.h5";
        change(path, file, places[i].dataset, places[i].index, places[i].value, true);
        assert_damaged(path, strstr(places[i].says, "first user is") ? "shard-00001.h5" : places[i].file, places[i].says);
    }
}

/* Replaces /items of the first shard, whose elements become of type `type`. */
static void replace_items(const char *directory, hid_t type, size_t count)
{
    char path[FILES_PATH_SIZE], checksum[SR_CHECKSUM_SIZE];
    files_path(path, directory, "shard-00000.h5");
    const hid_t id = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (H5Aexists(id, "sealed") > 0)
        assert_true(H5Adelete(id, "sealed") >= 0); /* as one who changes a file by hand must */
    assert_true(H5Ldelete(id, "/items", H5P_DEFAULT) >= 0);
    const hsize_t size = count;
    const hid_t space = H5Screate_simple(1, &size, NULL);
    const hid_t dataset = H5Dcreate2(id, "/items", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, items) >= 0);
    const sr_hdf5_file file = {.id = id, .path = path};
    sr_checksum(items, count * sizeof *items, checksum);
    assert_int_equal(sr_hdf5_write_text(&file, "/items", SR_CHECKSUM_ATTRIBUTE, checksum, NULL), SR_OK);
    H5Dclose(dataset);
    H5Sclose(space);
    assert_true(H5Fclose(id) >= 0);
}

static void other_types_are_converted_or_refused(void **state)
{
    char path[FILES_PATH_SIZE];
    make_data(*state, path);
    sr_dataset *dataset = open_or_fail(path);
    size_t count = 0;
    for (size_t user = 0; sr_dataset_sequence(dataset, user).items == sr_dataset_sequence(dataset, 0).items + count && user < 4;
         ++user)
        count += sr_dataset_sequence(dataset, user).length; /* users of the first shard lie one behind the other */
    sr_dataset_close(dataset);
    replace_items(path, H5T_STD_I32BE, count);
    dataset = open_or_fail(path);
    sr_error error = {.status = SR_OK};
    if (sr_dataset_verify(dataset, 0, 1, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_sequences(dataset, true);
    sr_dataset_close(dataset);
    replace_items(path, H5T_STD_I64LE, count);
    assert_damaged(path, "shard-00000.h5", "dataset /items does not hold signed integers of 32 bits");
    replace_items(path, H5T_STD_I32LE, count - 1);
    assert_damaged(path, "shard-00000.h5", "dataset /offsets runs from 0");
}

/* ---- writing ---- */

static void assert_not_written(const char *path, const sr_dataset_contents *contents, size_t shards, sr_status status,
                               const char *says)
{
    sr_error error = {.status = SR_OK};
    assert_int_equal(sr_dataset_write(path, contents, shards, &error), status);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void wrong_contents_are_not_written(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "unwritten");
    const size_t entries = files_count(*state);
    sr_dataset_contents contents = make_contents(), wrong = contents;
    wrong.users = 0;
    assert_not_written(path, &wrong, 1, SR_ERROR_DATA, "the data set is empty: 0 users");
    wrong = contents;
    wrong.items = 4;
    assert_not_written(path, &wrong, 1, SR_ERROR_DATA, "interaction 5 has item id 5; ids must lie in [1, 4]");
    wrong = contents;
    wrong.interactions = 27;
    assert_not_written(path, &wrong, 1, SR_ERROR_DATA, "the offsets run from 0 to 28; from 0 to 27");
    wrong = contents;
    wrong.train_end = valid_end;
    wrong.valid_end = train_end;
    assert_not_written(path, &wrong, 1, SR_ERROR_DATA, "user 2 with 3 interactions has train_end 2 and valid_end 1");
    assert_not_written(path, &contents, 8, SR_ERROR_USAGE, "8 shards for 7 users");
    assert_not_written(path, &contents, 0, SR_ERROR_USAGE, "0 shards for 7 users");
    assert_int_equal(files_count(*state), entries);
}

static void only_new_or_empty_directories_are_written_to(void **state)
{
    char path[FILES_PATH_SIZE], inside[FILES_PATH_SIZE];
    const sr_dataset_contents contents = make_contents();
    files_path(path, *state, "target/");
    assert_int_equal(mkdir(path, 0777), 0);
    write_or_fail(path, &contents, 1);
    assert_not_written(path, &contents, 1, SR_ERROR_USAGE, "already holds a data set");
    files_remove(path);
    assert_int_equal(mkdir(path, 0777), 0);
    files_path(inside, path, "notes.txt");
    files_write_text(inside, "mine");
    assert_not_written(path, &contents, 1, SR_ERROR_USAGE, "exists and is not empty");
    assert_not_written(inside, &contents, 1, SR_ERROR_USAGE, "Not a directory");
    assert_int_equal(files_count(path), 1);
    files_remove(path);
}

static void more_items_than_numbers_of_32_bits_are_refused(void **state)
{
    (void)state;
    sr_error error = {.message = ""};
    sr_dataset_plan plan = {.cuts = NULL};
    const sr_dataset_source source = {.users = 1, .items = INT32_MAX, .interactions = 1};
    assert_int_equal(sr_dataset_make_plan(&plan, &source, 1, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "2147483647 items; at most 2147483646 (2^31 - 2) are possible"));
    assert_null(plan.cuts);
}

static void a_write_that_fails_leaves_nothing(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "too-large");
    const size_t entries = files_count(*state);
    const sr_dataset_contents contents = make_contents();
    struct rlimit unlimited;
    sr_error error = {.status = SR_OK};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    const struct rlimit small = {3000, unlimited.rlim_max}; /* as if the disk were full after 3000 bytes */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const sr_status status = sr_dataset_write(path, &contents, 2, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    assert_int_equal(status, SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "too-large.tmp-"));
    assert_non_null(strstr(error.message, "cannot write the file: File too large"));
    assert_int_equal(files_count(*state), entries);
    write_or_fail(path, &contents, 2);
    files_remove(path);
}

int main(void)
{
    sr_hdf5_silence();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_with_any_number_of_shards),
        cmocka_unit_test(the_fingerprint_depends_on_all_of_the_contents_and_nothing_else),
        cmocka_unit_test(data_sets_without_times_have_none),
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(truncated_and_foreign_files_are_refused),
        cmocka_unit_test(a_shard_of_other_data_is_refused),
        cmocka_unit_test(flipped_bytes_are_found_in_every_dataset),
        cmocka_unit_test(wrong_contents_with_right_checksums_are_found),
        cmocka_unit_test(other_types_are_converted_or_refused),
        cmocka_unit_test(wrong_contents_are_not_written),
        cmocka_unit_test(only_new_or_empty_directories_are_written_to),
        cmocka_unit_test(more_items_than_numbers_of_32_bits_are_refused),
        cmocka_unit_test(a_write_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

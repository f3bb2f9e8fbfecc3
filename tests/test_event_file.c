/* Event files of TensorBoard: records and their checksums, and what is in them when a run goes on. */
#include "files.h"
#include "run/metrics.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define TRAIN(step) "{\"kind\":\"train\",\"step\":" step ",\"epoch\":1,\"loss\":4.5,\"unix_seconds\":1234.5}\n"

/* CRC-32C (RFC 3720, appendix B.4), bit by bit. */
static uint32_t checksum(const unsigned char *data, size_t size)
{
    uint32_t value = UINT32_MAX;
    for (size_t i = 0; i < size; ++i) {
        value ^= data[i];
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ (value & 1 ? 0x82f63b78u : 0);
    }
    return ~value;
}

static uint32_t masked(const unsigned char *data, size_t size)
{
    const uint32_t value = checksum(data, size);
    return ((value >> 15) | (value << 17)) + 0xa282ead8u;
}

static uint64_t number_at(const unsigned char *data, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; --i)
        value = value << 8 | data[i - 1];
    return value;
}

/* The only file in the directory of events that holds anything. */
static size_t read_events(const char *directory, unsigned char *bytes, size_t size)
{
    char folder[FILES_PATH_SIZE], path[2 * FILES_PATH_SIZE] = "";
    size_t files = 0, names = 0;
    files_path(folder, directory, "tensorboard");
    DIR *opened = opendir(folder);
    assert_non_null(opened);
    for (struct dirent *entry; (entry = readdir(opened));)
        if (entry->d_name[0] != '.') {
            struct stat found;
            char other[2 * FILES_PATH_SIZE];
            assert_non_null(strstr(entry->d_name, ".tfevents."));
            snprintf(other, sizeof other, "%s/%.200s", folder, entry->d_name);
            assert_int_equal(stat(other, &found), 0);
            assert_true(++names <= 2);
            if (found.st_size > 0) {
                ++files;
                memcpy(path, other, sizeof path);
            }
        }
    closedir(opened);
    assert_int_equal(files, 1);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t count = fread(bytes, 1, size, file);
    fclose(file);
    return count;
}

enum { RECORDS = 16 };
typedef struct {
    const unsigned char *data;
    size_t size;
} record;

/* Takes a file apart, and checks all of its checksums. */
static size_t split_records(const unsigned char *bytes, size_t size, record records[RECORDS])
{
    size_t count = 0;
    for (size_t at = 0; at < size; ++count) {
        assert_true(count < RECORDS && size - at >= 16);
        const size_t length = (size_t)number_at(bytes + at, 8);
        assert_true(length <= size - at - 16);
        assert_int_equal(number_at(bytes + at + 8, 4), masked(bytes + at, 8));
        assert_int_equal(number_at(bytes + at + 12 + length, 4), masked(bytes + at + 12, length));
        records[count] = (record){bytes + at + 12, length};
        at += length + 16;
    }
    return count;
}

static void assert_record(const record *found, const char *expected, size_t size)
{
    assert_int_equal(found->size, size);
    assert_memory_equal(found->data, expected, size);
}

static sr_metrics_file *open_metrics(const char *directory, int64_t last_step)
{
    char path[FILES_PATH_SIZE], folder[FILES_PATH_SIZE];
    sr_metrics_file *metrics;
    sr_error error = {.message = ""};
    files_path(path, directory, "metrics.jsonl");
    files_path(folder, directory, "tensorboard");
    if (sr_metrics_open(&metrics, path, folder, last_step, 9, &error) != SR_OK)
        fail_msg("%s", error.message);
    return metrics;
}

static void remove_files(const char *directory)
{
    char path[FILES_PATH_SIZE];
    files_path(path, directory, "metrics.jsonl");
    files_remove(path);
    files_path(path, directory, "tensorboard");
    files_remove(path);
    assert_int_equal(files_count(directory), 0);
}

static void checksums_are_those_of_the_standard(void **state)
{
    (void)state;
    assert_int_equal(checksum((const unsigned char *)"123456789", 9), 0xe3069283u);
}

static void a_line_becomes_one_record(void **state)
{
    static const char version[] = "\x1a\x0d"
                                  "brain.Event:2",
                      start[] = "\x3a\x02\x08\x01"; /* step 0, which need not be said */
    /* 1234.5 as a double, step 300, and a summary of one value with the tag and 4.5 as a float. */
    static const char event[] = "\x09\x00\x00\x00\x00\x00\x4a\x93\x40\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0a"
                                "train/loss"
                                "\x15\x00\x00\x90\x40";
    unsigned char bytes[4096];
    record records[RECORDS];
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "metrics.jsonl");
    files_write_text(path, TRAIN("300"));
    sr_metrics_close(open_metrics(*state, 300));
    assert_int_equal(split_records(bytes, read_events(*state, bytes, sizeof bytes), records), 3);
    assert_int_equal(records[0].data[0], 1 << 3 | 1); /* the time when it was written */
    assert_record(&(record){records[0].data + 9, records[0].size - 9}, version, sizeof version - 1);
    assert_record(&(record){records[1].data + 9, records[1].size - 9}, start, sizeof start - 1);
    assert_record(&records[2], event, sizeof event - 1);
    remove_files(*state);
}

/* Lines after the checkpoint go, and with them their events; the file of the start before is emptied. */
static void a_run_that_goes_on_has_each_step_once(void **state)
{
    unsigned char bytes[4096];
    record records[RECORDS];
    char path[FILES_PATH_SIZE];
    sr_error error;
    files_path(path, *state, "metrics.jsonl");
    files_write_text(path, TRAIN("10") TRAIN("20") TRAIN("30"));
    sr_metrics_close(open_metrics(*state, 30));
    assert_int_equal(split_records(bytes, read_events(*state, bytes, sizeof bytes), records), 5);
    sr_metrics_file *metrics = open_metrics(*state, 20);
    const sr_ranking_metrics none = {.cases = 0};
    assert_int_equal(
        sr_metrics_write_ranking(
            metrics,
            &(sr_ranking_line){.kind = "valid", .baseline = NULL, .step = 25, .epoch = 2, .train_loss = 3.5, .metrics = &none},
            &error),
        SR_OK);
    assert_int_equal(split_records(bytes, read_events(*state, bytes, sizeof bytes), records), 5); /* at once */
    assert_int_equal(records[2].data[10], 10);
    assert_int_equal(records[3].data[10], 20);
    assert_int_equal(records[4].data[10], 25);
    assert_int_equal(sr_metrics_synchronise(metrics, &error), SR_OK);
    sr_metrics_close(metrics);
    sr_metrics_close(open_metrics(*state, 10));
    assert_int_equal(split_records(bytes, read_events(*state, bytes, sizeof bytes), records), 3);
    remove_files(*state);
}

static void a_directory_that_cannot_be_made_is_an_error(void **state)
{
    char path[FILES_PATH_SIZE], folder[FILES_PATH_SIZE];
    sr_metrics_file *metrics;
    sr_error error = {.message = ""};
    files_path(path, *state, "metrics.jsonl");
    files_path(folder, *state, "metrics.jsonl/tensorboard");
    assert_int_equal(sr_metrics_open(&metrics, path, folder, 0, 0, &error), SR_ERROR_RUNTIME);
    assert_null(metrics);
    assert_non_null(strstr(error.message, "metrics.jsonl"));
    files_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_of_the_standard),
        cmocka_unit_test(a_line_becomes_one_record),
        cmocka_unit_test(a_run_that_goes_on_has_each_step_once),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_an_error),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

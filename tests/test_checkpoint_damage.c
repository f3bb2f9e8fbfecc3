/* Checkpoints that are damaged or of another model: what is wrong is found and named on every rank. */
#include "checkpoint_world.h"

#include <fcntl.h>
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- damage ---- */

/* Where an array's bytes lie in the file. */
static off_t place_of(const world *w, const char *name)
{
    const hid_t file = H5Fopen(w->path, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, name, H5P_DEFAULT);
    const haddr_t place = H5Dget_offset(set);
    H5Dclose(set);
    H5Fclose(file);
    assert_true(place != HADDR_UNDEF);
    return (off_t)place;
}

/* On rank 0. */
static void flip_bit(const world *w, off_t place)
{
    char byte;
    const int descriptor = open(w->path, O_RDWR);
    assert_int_equal(pread(descriptor, &byte, 1, place), 1);
    byte = (char)(byte ^ 4);
    assert_int_equal(pwrite(descriptor, &byte, 1, place), 1);
    close(descriptor);
}

/* Where `text` stands in the file. */
static off_t find_text(const world *w, const char *text)
{
    struct stat found;
    assert_int_equal(stat(w->path, &found), 0);
    const size_t size = (size_t)found.st_size;
    char *bytes = malloc(size);
    FILE *file = fopen(w->path, "r");
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    const char *at = memmem(bytes, size, text, strlen(text));
    assert_non_null(at);
    const off_t place = at - bytes;
    free(bytes);
    return place;
}

static void shift_parameter(const world *w)
{
    flip_bit(w, place_of(w, "/parameters/item_embedding.weight") + 4400000 - 1);
}

static void shift_moment(const world *w)
{
    flip_bit(w, place_of(w, "/optimizer/second_moment/output.bias"));
}

static void shift_attribute(const world *w)
{
    flip_bit(w, find_text(w, "00112233445566778899aabbccddeeff"));
}

static void shift_configuration(const world *w)
{
    flip_bit(w, place_of(w, "/configuration") + 777);
}

static void cut_in_the_middle(const world *w)
{
    struct stat found;
    assert_int_equal(stat(w->path, &found), 0);
    assert_int_equal(truncate(w->path, found.st_size / 2), 0);
}

static void cut_one_byte(const world *w)
{
    struct stat found;
    assert_int_equal(stat(w->path, &found), 0);
    assert_int_equal(truncate(w->path, found.st_size - 1), 0);
}

static void cut_the_seal(const world *w)
{
    struct stat found;
    assert_int_equal(stat(w->path, &found), 0);
    assert_int_equal(truncate(w->path, found.st_size - 33), 0);
}

/* Room that HDF5 has left between two arrays, so that each begins at a multiple of 64. */
static void change_a_byte_without_meaning(const world *w)
{
    flip_bit(w, place_of(w, "/parameters/output.bias") + 4);
}

static void take_mark(const world *w)
{
    const hid_t file = H5Fopen(w->path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(H5Adelete(file, "complete") >= 0);
    H5Fclose(file);
}

/* What nobody but us can notice: HDF5 itself has written it. */
static void change_counter(const world *w)
{
    const int64_t epoch = 4;
    const hid_t file = H5Fopen(w->path, H5F_ACC_RDWR, H5P_DEFAULT);
    /* (An attribute opened by H5Aopen_by_name() cannot be written: HDF5 1.10.8.) */
    const hid_t group = H5Gopen2(file, "progress", H5P_DEFAULT), attribute = H5Aopen(group, "epoch", H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT64, &epoch) >= 0);
    H5Aclose(attribute);
    H5Gclose(group);
    H5Fclose(file);
}

static void change_format(const world *w)
{
    const hid_t file = H5Fopen(w->path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t attribute = H5Aopen(file, "format", H5P_DEFAULT), type = H5Aget_type(attribute);
    const char *format = "srtrain-checkpoint-9";
    assert_true(H5Awrite(attribute, type, &format) >= 0);
    H5Tclose(type);
    H5Aclose(attribute);
    H5Fclose(file);
}

static void take_checksums(const world *w)
{
    const hid_t file = H5Fopen(w->path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(H5Adelete_by_name(file, "/parameters/output.bias", "xxh3_128", H5P_DEFAULT) >= 0);
    assert_true(H5Adelete(file, "sealed") >= 0); /* as one who changes a file by hand must */
    H5Fclose(file);
}

static void replace_by_text(const world *w)
{
    FILE *file = fopen(w->path, "w");
    assert_non_null(file);
    fputs("this is no checkpoint\n", file);
    fclose(file);
}

static void delete_file(const world *w)
{
    assert_int_equal(unlink(w->path), 0);
}

static const struct {
    void (*damage)(const world *w);
    const char *says;
} damages[] = {{shift_parameter, "the checksum of /parameters/item_embedding.weight, elements from 1048576 does not fit"},
               {shift_moment, "the checksum of /optimizer/second_moment/output.bias"},
               {shift_attribute, "what lies between its arrays"},
               {shift_configuration, "the checksum of its header does not fit"},
               {cut_in_the_middle, "truncated"},
               {cut_one_byte, "where its seal was"},
               {cut_the_seal, "where its seal was"},
               {change_a_byte_without_meaning, "what lies between its arrays"},
               {take_mark, "not written to its end"},
               {change_counter, "the checksum of its header does not fit"},
               {change_format, "has the format \"srtrain-checkpoint-9\", expected \"srtrain-checkpoint-1\""},
               {take_checksums, "/parameters/output.bias has no attribute xxh3_128"},
               {replace_by_text, "cannot open it as an HDF5 file"},
               {delete_file, "No such file"}};

static void damage_is_found_and_named_on_every_rank(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; ++i) {
        blank b;
        write_checkpoint(w, w->path);
        if (w->rank == 0)
            damages[i].damage(w);
        check(w, sr_parallel_barrier(w->parallel, &w->error));
        make_blank(w, &b);
        assert_int_equal(read_into(w, &b, w->path), SR_ERROR_DATA);
        assert_message(w, damages[i].says);
        assert_message(w, w->path);
        free_blank(&b);
    }
}

/* ---- names and shapes ---- */

static void every_parameter_that_does_not_fit_is_named(void **state)
{
    world *w = *state;
    sr_parameters other;
    write_checkpoint(w, w->path);
    sr_parameters_initialise(&other);
    const size_t wider[] = {1100, 1001}, flat[] = {105}, few[] = {8};
    declare(w, &other, "item_embedding.weight", wider, 2);
    declare(w, &other, "position_embedding.weight", arrays[1].shape, 2);
    declare(w, &other, "encoder.0.attention.mask", flat, 1);
    declare(w, &other, "filter.0.weight", few, 1);
    declare(w, &other, "filter.1.weight", few, 1);
    check(w, sr_parameters_allocate(&other, &w->error));
    assert_int_equal(sr_checkpoint_read_state(w->parallel, w->path, &other, NULL, &w->error), SR_ERROR_DATA);
    const char *const lines[] = {"8 mismatches",
                                 "\n  shape: item_embedding.weight is [1100, 1000], expected [1100, 1001]",
                                 "\n  shape: encoder.0.attention.mask is [3, 5, 7], expected [105]",
                                 "\n  missing: filter.0.weight",
                                 "\n  missing: filter.1.weight",
                                 "\n  unknown: encoder.0.attention.query.weight",
                                 "\n  unknown: encoder.0.norm.bias",
                                 "\n  unknown: encoder.1.feed_forward.weight",
                                 "\n  unknown: output.bias"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; ++i)
        assert_message(w, lines[i]);
    assert_null(strstr(w->error.message, "position_embedding"));
    sr_parameters_free(&other);
}

typedef struct {
    int count;
    char text[4096];
} refusals;

static void note_refusal(void *context, const char *path, const char *reason)
{
    refusals *noted = context;
    ++noted->count;
    const size_t used = strlen(noted->text);
    snprintf(noted->text + used, sizeof noted->text - used, "%s: %s\n", path, reason);
}

static void write_step(world *w, int step)
{
    const int64_t before = w->checkpoint.progress.step;
    snprintf(w->path, sizeof w->path, "%s/step-%010d.h5", w->directory, step);
    w->checkpoint.progress.step = step;
    write_checkpoint(w, w->path);
    w->checkpoint.progress.step = before;
}

static void the_newest_valid_checkpoint_is_found(void **state)
{
    world *w = *state;
    char *newest;
    refusals noted = {.count = 0};
    write_step(w, 20);
    if (w->rank == 0)
        shift_moment(w);
    write_step(w, 10);
    write_step(w, 30);
    if (w->rank == 0)
        cut_in_the_middle(w);
    write_step(w, 9);
    run_on_rank_0(w, "cp %s %s/step-0000000040.h5.tmp; cp %s %s/step-99.h5; cp %s %s/best.h5", w->path, w->directory, w->path,
                  w->directory, w->path, w->directory);
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    check(w, sr_checkpoint_newest(w->parallel, w->directory, &newest, note_refusal, &noted, &w->error));
    assert_non_null(newest);
    assert_non_null(strstr(newest, "/step-0000000010.h5"));
    free(newest);
    assert_int_equal(noted.count, w->rank == 0 ? 2 : 0);
    if (w->rank == 0) {
        assert_non_null(strstr(noted.text, "step-0000000030.h5"));
        assert_non_null(strstr(noted.text, "truncated"));
        assert_non_null(strstr(noted.text, "the checksum of /optimizer/second_moment/output.bias does not fit"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(damage_is_found_and_named_on_every_rank, clear_directory),
        cmocka_unit_test_setup(every_parameter_that_does_not_fit_is_named, clear_directory),
        cmocka_unit_test_setup(the_newest_valid_checkpoint_is_found, clear_directory),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, checkpoint_start, checkpoint_finish);
}

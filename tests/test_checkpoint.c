/* Checkpoints: every bit comes back, damage is found and named, failures leave nothing behind; on whatever number of ranks. */
#include "srtrain/checkpoint.h"

#include "parallel/parallel_internal.h"
#include "srtrain/random.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
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

typedef struct {
    sr_parallel *parallel;
    int rank;
    char directory[64];
    char path[128]; /* of the checkpoint most tests use */
    sr_checkpoint checkpoint;
    sr_parameters parameters;
    sr_real *first_moment, *second_moment;
    sr_error error;
} world;

/* ---- a state of training ---- */

/* Shared and small arrays; several checksum blocks; fewer rows than ranks; three dimensions. */
static const struct {
    const char *name;
    size_t shape[3], rank;
} arrays[] = {{"item_embedding.weight", {1100, 1000}, 2},
              {"position_embedding.weight", {50, 8}, 2},
              {"encoder.0.attention.query.weight", {2, 20000}, 2},
              {"encoder.0.attention.mask", {3, 5, 7}, 3},
              {"encoder.0.norm.bias", {64}, 1},
              {"encoder.1.feed_forward.weight", {257, 129}, 2},
              {"output.bias", {1}, 1}};
enum { ARRAYS = sizeof arrays / sizeof *arrays };

static void declare(world *w, sr_parameters *parameters, const char *name, const size_t *shape, size_t rank)
{
    if (sr_parameters_declare(parameters, name, shape, rank, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                              SR_PARAMETERS_ORDINARY, NULL, &w->error) != SR_OK)
        fail_msg("%s", w->error.message);
}

/* Any bits at all, those of NaN and denormal numbers among them. */
static void fill_with_bits(const sr_parameters *parameters, sr_real *block, uint64_t key)
{
    const sr_random_stream stream = sr_random_open(key, SR_RANDOM_TEST, 0);
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i) {
            uint32_t words[4];
            sr_random_words(stream, i, p, words);
            memcpy(&block[parameters->list[p].offset + i], words, sizeof *block);
        }
}

static void make_state(world *w)
{
    sr_parameters_initialise(&w->parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        declare(w, &w->parameters, arrays[i].name, arrays[i].shape, arrays[i].rank);
    assert_int_equal(sr_parameters_allocate(&w->parameters, &w->error), SR_OK);
    w->first_moment = calloc(w->parameters.block_size, sizeof(sr_real));
    w->second_moment = calloc(w->parameters.block_size, sizeof(sr_real));
    fill_with_bits(&w->parameters, w->parameters.values, 1);
    fill_with_bits(&w->parameters, w->first_moment, 2);
    fill_with_bits(&w->parameters, w->second_moment, 3);
    const size_t length = 100000; /* more than an attribute may hold */
    char *configuration = malloc(length + 1);
    for (size_t i = 0; i < length; ++i)
        configuration[i] = i % 40 == 39 ? '\n' : (char)('a' + i % 26);
    configuration[length] = '\0';
    w->checkpoint = (sr_checkpoint){.progress = {.epoch = 3,
                                                 .step = INT64_C(5000000000),
                                                 .batch = 17,
                                                 .seed = UINT64_C(0xfedcba9876543210),
                                                 .epoch_loss_sum = 0.1 + 0.2,
                                                 .epoch_loss_count = 12345,
                                                 .best_metric = -1,
                                                 .best_epoch = 2,
                                                 .best_step = 400,
                                                 .validations_without_improvement = 1,
                                                 .finished = 1,
                                                 .seconds = 1.0 / 3},
                                    .configuration = configuration,
                                    .program_version = strdup("0.1.0"),
                                    .data_fingerprint = strdup("00112233445566778899aabbccddeeff"),
                                    .data_directory = strdup("/data/größe"),
                                    .users = 943,
                                    .items = 1099};
}

/* ---- set-up ---- */

static void check(const world *w, sr_status status)
{
    if (status != SR_OK)
        fail_msg("%s", w->error.message);
}

static int start(void **state)
{
    world *w = calloc(1, sizeof *w);
    check(w, sr_parallel_start(&w->parallel, NULL, NULL, &w->error));
    w->rank = sr_parallel_rank(w->parallel);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    if (w->rank == 0)
        assert_non_null(mkdtemp(w->directory));
    check(w, sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, &w->error));
    snprintf(w->path, sizeof w->path, "%s/step-0000000042.h5", w->directory);
    make_state(w);
    *state = w;
    return 0;
}

static void run_on_rank_0(const world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void run_on_rank_0(const world *w, const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (w->rank == 0)
        assert_int_equal(system(command), 0);
}

static int finish(void **state)
{
    world *w = *state;
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    run_on_rank_0(w, "rm -rf %s", w->directory);
    sr_checkpoint_free(&w->checkpoint);
    sr_parameters_free(&w->parameters);
    free(w->first_moment);
    free(w->second_moment);
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

/* Before each test: an empty directory. */
static int clear_directory(void **state)
{
    world *w = *state;
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    run_on_rank_0(w, "rm -rf %s/*", w->directory);
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    return 0;
}

static void write_checkpoint(world *w, const char *path)
{
    check(w,
          sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, w->first_moment, w->second_moment, &w->error));
}

static void assert_message(const world *w, const char *text)
{
    if (!strstr(w->error.message, text))
        fail_msg("the message does not say \"%s\": %s", text, w->error.message);
}

static void assert_file_count(const world *w, int count)
{
    char command[256], text[16] = "";
    snprintf(command, sizeof command, "ls -A %s | wc -l", w->directory);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(text, sizeof text, pipe));
    pclose(pipe);
    assert_int_equal(atoi(text), count);
}

/* ---- round trips ---- */

typedef struct {
    sr_parameters parameters;
    sr_real *first_moment, *second_moment;
} blank;

static void make_blank(world *w, blank *b)
{
    sr_parameters_initialise(&b->parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        declare(w, &b->parameters, arrays[i].name, arrays[i].shape, arrays[i].rank);
    check(w, sr_parameters_allocate(&b->parameters, &w->error));
    b->first_moment = calloc(b->parameters.block_size, sizeof(sr_real));
    b->second_moment = calloc(b->parameters.block_size, sizeof(sr_real));
}

static void free_blank(blank *b)
{
    sr_parameters_free(&b->parameters);
    free(b->first_moment);
    free(b->second_moment);
}

static sr_status read_into(world *w, blank *b, const char *path)
{
    return sr_checkpoint_read_state(w->parallel, path, &b->parameters, b->first_moment, b->second_moment, &w->error);
}

static void every_bit_comes_back(void **state)
{
    world *w = *state;
    blank b;
    write_checkpoint(w, w->path);
    assert_file_count(w, 1);
    make_blank(w, &b);
    check(w, read_into(w, &b, w->path));
    const size_t bytes = w->parameters.block_size * sizeof(sr_real);
    assert_memory_equal(b.parameters.values, w->parameters.values, bytes);
    assert_memory_equal(b.first_moment, w->first_moment, bytes);
    assert_memory_equal(b.second_moment, w->second_moment, bytes);
    free_blank(&b);

    sr_checkpoint read;
    check(w, sr_checkpoint_read_header(w->parallel, w->path, &read, &w->error));
    assert_memory_equal(&read.progress, &w->checkpoint.progress, sizeof read.progress);
    assert_string_equal(read.configuration, w->checkpoint.configuration);
    assert_string_equal(read.program_version, w->checkpoint.program_version);
    assert_string_equal(read.data_fingerprint, w->checkpoint.data_fingerprint);
    assert_string_equal(read.data_directory, w->checkpoint.data_directory);
    assert_int_equal(read.users, w->checkpoint.users);
    assert_int_equal(read.items, w->checkpoint.items);
    sr_checkpoint_free(&read);
    assert_null(read.configuration);
}

/* On nodes of so many processes. */
static void read_on_nodes(world *w, int processes)
{
    const size_t size = w->parameters.block_size, bytes = size * sizeof(sr_real);
    sr_parameters shared;
    sr_node *node;
    check(w, parallel_pretend_nodes(w->parallel, processes, &w->error));
    check(w, sr_node_create(&node, w->parallel, 3 * size, size, &w->error));
    sr_real *common = sr_node_common(node);
    sr_parameters_initialise(&shared);
    for (size_t i = 0; i < ARRAYS; ++i)
        declare(w, &shared, arrays[i].name, arrays[i].shape, arrays[i].rank);
    sr_parameters_place(&shared, common, sr_node_own(node, sr_node_process(node)));
    check(w, sr_checkpoint_read_shared_state(w->parallel, node, w->path, &shared, common + size, common + 2 * size, &w->error));
    assert_memory_equal(common, w->parameters.values, bytes);
    assert_memory_equal(common + size, w->first_moment, bytes);
    assert_memory_equal(common + 2 * size, w->second_moment, bytes);
    sr_parameters_free(&shared);
    sr_node_free(node);
}

static void every_bit_comes_back_into_memory_that_nodes_share(void **state)
{
    world *w = *state;
    const int size = sr_parallel_size(w->parallel);
    write_checkpoint(w, w->path);
    for (int processes = size; processes > 1; --processes)
        if (size % processes == 0)
            read_on_nodes(w, processes);
}

static void a_file_may_hold_parameters_alone(void **state)
{
    world *w = *state;
    blank b;
    char *newest;
    check(w, sr_checkpoint_write(w->parallel, w->path, &w->checkpoint, &w->parameters, NULL, NULL, &w->error));
    make_blank(w, &b);
    check(w, sr_checkpoint_read_state(w->parallel, w->path, &b.parameters, NULL, NULL, &w->error));
    assert_memory_equal(b.parameters.values, w->parameters.values, w->parameters.block_size * sizeof(sr_real));
    assert_int_equal(read_into(w, &b, w->path), SR_ERROR_DATA);
    assert_message(w, "parameters only");
    free_blank(&b);
    check(w, sr_checkpoint_newest(w->parallel, w->directory, &newest, NULL, NULL, &w->error));
    assert_null(newest);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
    world *w = *state;
    sr_checkpoint read;
    write_checkpoint(w, w->path);
    ++w->checkpoint.progress.epoch;
    write_checkpoint(w, w->path);
    check(w, sr_checkpoint_read_header(w->parallel, w->path, &read, &w->error));
    assert_int_equal(read.progress.epoch, w->checkpoint.progress.epoch);
    sr_checkpoint_free(&read);
    --w->checkpoint.progress.epoch;
    assert_file_count(w, 1);
}

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
    assert_int_equal(sr_checkpoint_read_state(w->parallel, w->path, &other, NULL, NULL, &w->error), SR_ERROR_DATA);
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

/* ---- the newest, and old ones ---- */

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

static void there_may_be_no_checkpoint(void **state)
{
    world *w = *state;
    char *newest, missing[128];
    check(w, sr_checkpoint_newest(w->parallel, w->directory, &newest, NULL, NULL, &w->error));
    assert_null(newest);
    snprintf(missing, sizeof missing, "%s/missing", w->directory);
    check(w, sr_checkpoint_newest(w->parallel, missing, &newest, NULL, NULL, &w->error));
    assert_null(newest);
    check(w, sr_checkpoint_rotate(w->parallel, missing, 2, &w->error));
}

static bool exists(const world *w, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    return access(path, F_OK) == 0;
}

static void rotation_keeps_the_newest_and_never_fewer_than_two(void **state)
{
    world *w = *state;
    static const int steps[] = {5, 1000, 40, 200, 3};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i)
        run_on_rank_0(w, "touch %s/step-%010d.h5", w->directory, steps[i]);
    run_on_rank_0(w, "cd %s && touch step-0000000900.h5.tmp best.h5 notes.txt", w->directory);
    check(w, sr_checkpoint_rotate(w->parallel, w->directory, 3, &w->error));
    assert_true(exists(w, "step-0000001000.h5") && exists(w, "step-0000000200.h5") && exists(w, "step-0000000040.h5"));
    assert_true(exists(w, "best.h5") && exists(w, "notes.txt"));
    assert_file_count(w, 5);
    check(w, sr_parallel_barrier(w->parallel, &w->error));
    check(w, sr_checkpoint_rotate(w->parallel, w->directory, 0, &w->error));
    assert_true(exists(w, "step-0000001000.h5") && exists(w, "step-0000000200.h5"));
    assert_file_count(w, 4);
}

/* ---- beside training ---- */

static void a_copy_is_made_where_twice_its_memory_is_left(void **state)
{
    world *w = *state;
    sr_background_write *write;
    double seconds;
    char path[128];
    snprintf(path, sizeof path, "%s/step-000000000%d.h5", w->directory, w->rank);
    setenv("SLURM_MEM_PER_NODE", "1", 1);
    assert_false(sr_checkpoint_begin(&write, path, &w->checkpoint, &w->parameters, w->first_moment, w->second_moment, 1));
    assert_null(write);
    unsetenv("SLURM_MEM_PER_NODE");
    const int64_t step = w->checkpoint.progress.step;
    w->checkpoint.progress.step = w->rank;
    assert_true(sr_checkpoint_begin(&write, path, &w->checkpoint, &w->parameters, w->first_moment, w->second_moment, 1));
    check(w, sr_checkpoint_finish(write, &seconds, &w->error));
    w->checkpoint.progress.step = step;
    assert_int_equal(access(path, F_OK), 0);
}

/* ---- failures ---- */

static void a_directory_that_is_none_is_an_error_on_every_rank(void **state)
{
    world *w = *state;
    char path[128];
    run_on_rank_0(w, "touch %s/file", w->directory);
    snprintf(path, sizeof path, "%s/file/step-0000000001.h5", w->directory);
    assert_int_equal(sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, NULL, NULL, &w->error),
                     SR_ERROR_RUNTIME);
    assert_message(w, "Not a directory");
    assert_message(w, path);
    snprintf(path, sizeof path, "%s/missing/step-0000000001.h5", w->directory);
    assert_int_equal(sr_checkpoint_write(w->parallel, path, &w->checkpoint, &w->parameters, NULL, NULL, &w->error),
                     SR_ERROR_RUNTIME);
    assert_message(w, "No such file or directory");
    assert_file_count(w, 1);
}

/* Replaces a checkpoint by one of the next epoch while the ranks from `first` on find a disk without room: files may not grow
 * beyond `bytes`. Whatever comes of it, a whole file is there afterwards: the new one or, after an error, the old one. */
static sr_status write_to_full_disk(world *w, int first, rlim_t bytes)
{
    struct rlimit unlimited;
    sr_checkpoint read;
    blank b;
    write_checkpoint(w, w->path);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = unlimited.rlim_max};
    if (w->rank >= first)
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int64_t epoch = w->checkpoint.progress.epoch++;
    const sr_status status = sr_checkpoint_write(w->parallel, w->path, &w->checkpoint, &w->parameters, w->first_moment,
                                                 w->second_moment, &w->error);
    w->checkpoint.progress.epoch = epoch;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    if (status != SR_OK)
        assert_message(w, w->path);
    assert_file_count(w, 1);
    make_blank(w, &b);
    check(w, read_into(w, &b, w->path));
    assert_memory_equal(b.second_moment, w->second_moment, w->parameters.block_size * sizeof(sr_real));
    free_blank(&b);
    check(w, sr_checkpoint_read_header(w->parallel, w->path, &read, &w->error));
    assert_int_equal(read.progress.epoch, status == SR_OK ? epoch + 1 : epoch);
    sr_checkpoint_free(&read);
    return status;
}

static void a_full_disk_is_an_error_on_every_rank_and_leaves_the_old_file(void **state)
{
    world *w = *state;
    assert_int_equal(write_to_full_disk(w, 0, 6000000), SR_ERROR_RUNTIME);
    assert_message(w, "no room for");
    assert_int_equal(write_to_full_disk(w, 0, 500), SR_ERROR_RUNTIME);
}

static void a_rank_that_cannot_write_is_an_error_on_every_rank_and_leaves_the_old_file(void **state)
{
    world *w = *state;
    if (sr_parallel_size(w->parallel) == 1)
        skip();
    assert_int_equal(write_to_full_disk(w, 1, 2000000), SR_ERROR_RUNTIME);
    assert_message(w, "File too large");
    assert_int_equal(write_to_full_disk(w, sr_parallel_size(w->parallel) - 1, 100000), SR_ERROR_RUNTIME);
    write_checkpoint(w, w->path); /* and afterwards all is well */
}

/* For compare_checkpoints.sh: writes one file and leaves it. */
static int write_one(const char *path)
{
    void *state;
    start(&state);
    world *w = state;
    write_checkpoint(w, path);
    return finish(&state);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_bit_comes_back, clear_directory),
        cmocka_unit_test_setup(every_bit_comes_back_into_memory_that_nodes_share, clear_directory),
        cmocka_unit_test_setup(a_file_may_hold_parameters_alone, clear_directory),
        cmocka_unit_test_setup(a_file_is_replaced_as_a_whole, clear_directory),
        cmocka_unit_test_setup(damage_is_found_and_named_on_every_rank, clear_directory),
        cmocka_unit_test_setup(every_parameter_that_does_not_fit_is_named, clear_directory),
        cmocka_unit_test_setup(the_newest_valid_checkpoint_is_found, clear_directory),
        cmocka_unit_test_setup(there_may_be_no_checkpoint, clear_directory),
        cmocka_unit_test_setup(rotation_keeps_the_newest_and_never_fewer_than_two, clear_directory),
        cmocka_unit_test_setup(a_copy_is_made_where_twice_its_memory_is_left, clear_directory),
        cmocka_unit_test_setup(a_directory_that_is_none_is_an_error_on_every_rank, clear_directory),
        cmocka_unit_test_setup(a_full_disk_is_an_error_on_every_rank_and_leaves_the_old_file, clear_directory),
        cmocka_unit_test_setup(a_rank_that_cannot_write_is_an_error_on_every_rank_and_leaves_the_old_file, clear_directory),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond RLIMIT_FSIZE is to fail, not to kill */
    return argument_count == 2 ? write_one(arguments[1]) : cmocka_run_group_tests(tests, start, finish);
}

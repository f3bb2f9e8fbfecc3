/* Two hundred damaged checkpoints and data sets: bits that flip, bytes that are wiped, moved or added, files that are cut or
 * swapped. All are refused with the name of the file, and none crashes the reader. */
#include "small_dataset.h"
#include "srtrain/dataset.h"
#include "srtrain/random.h"
#include "storage/checkpoint_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { DAMAGES = 100, USERS = 40, ITEMS = 30, LENGTH = 12, ARRAYS = 3 };

typedef struct {
    sr_parallel *parallel;
    char directory[64], checkpoint[96], data[96];
    sr_parameters parameters;
    sr_state state;
    uint64_t drawn; /* random numbers so far */
} world;

/* A number below `end`. */
static size_t draw(world *w, size_t end)
{
    uint32_t words[4];
    sr_random_words(sr_random_open(11, SR_RANDOM_TEST, 0), w->drawn++, 0, words);
    return (((uint64_t)words[0] << 32) | words[1]) % end;
}

/* ---- files as bytes ---- */

typedef struct {
    char *bytes;
    size_t size;
} content;

static content load(const char *path)
{
    content c = {NULL, 0};
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    c.size = (size_t)found.st_size;
    c.bytes = malloc(c.size + 64);
    FILE *file = fopen(path, "r");
    assert_true(c.bytes && file && fread(c.bytes, 1, c.size, file) == c.size);
    fclose(file);
    return c;
}

static void store(const char *path, const content *c)
{
    FILE *file = fopen(path, "w");
    assert_true(file && fwrite(c->bytes, 1, c->size, file) == c->size);
    assert_int_equal(fclose(file), 0);
}

/* Damages a copy of `whole`, differently for each `kind`; what was done into `text`. */
static content damage(world *w, const content *whole, size_t kind, char *text, size_t size)
{
    content c = {malloc(whole->size + 64), whole->size};
    assert_non_null(c.bytes);
    memcpy(c.bytes, whole->bytes, whole->size);
    do {
        const size_t at = draw(w, c.size), other = draw(w, c.size), longest = c.size - (at > other ? at : other);
        const size_t length = 1 + draw(w, longest < 4096 ? longest : 4096);
        switch (kind % 8) {
        case 0:
            c.size = at;
            snprintf(text, size, "cut to %zu bytes", at);
            break;
        case 1:
            memset(c.bytes + at, 0, length);
            snprintf(text, size, "%zu bytes from %zu on are 0", length, at);
            break;
        case 2:
            memmove(c.bytes + at, c.bytes + other, length);
            snprintf(text, size, "%zu bytes from %zu on are those from %zu on", length, at, other);
            break;
        default:
            c.bytes[at] = (char)(c.bytes[at] ^ (1 << draw(w, 8)));
            snprintf(text, size, "a bit flips in byte %zu", at);
        }
    } while (c.size == whole->size && memcmp(c.bytes, whole->bytes, c.size) == 0);
    return c;
}

/* ---- what is damaged ---- */

static void write_checkpoint(world *w)
{
    static const size_t shapes[ARRAYS][2] = {{90, 70}, {13, 5}, {1, 1}};
    static const char *const names[ARRAYS] = {"item_embedding.weight", "encoder.weight", "encoder.bias"};
    sr_error error = {.message = ""};
    sr_parameters_initialise(&w->parameters);
    for (size_t i = 0; i < ARRAYS; ++i)
        assert_int_equal(sr_parameters_declare(&w->parameters, names[i], shapes[i], 2,
                                               (sr_initial_values){SR_INITIAL_NORMAL, 1}, SR_PARAMETERS_ORDINARY, NULL, &error),
                         SR_OK);
    assert_int_equal(sr_parameters_allocate(&w->parameters, &error), SR_OK);
    sr_parameters_draw(&w->parameters, 1);
    w->state = (sr_state){.blocks = {{.name = "first_moment"}, {.name = "second_moment"}}, .count = 2};
    for (size_t i = 0; i < w->state.count; ++i) {
        w->state.blocks[i].values = calloc(w->parameters.block_size, sizeof(sr_real));
        assert_non_null(w->state.blocks[i].values);
        memcpy(w->state.blocks[i].values, w->parameters.values, w->parameters.block_size * sizeof(sr_real));
    }
    char configuration[] = "data: {path: x}\n", version[] = "1", fingerprint[] = "f", directory[] = "d";
    const sr_checkpoint checkpoint = {.progress = {.step = 7, .best_metric = -1},
                                      .configuration = configuration,
                                      .program_version = version,
                                      .data_fingerprint = fingerprint,
                                      .data_directory = directory,
                                      .items = 89};
    if (checkpoint_write_alone(w->checkpoint, &checkpoint, &w->parameters, &w->state, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static size_t item_of(size_t user, size_t i)
{
    return user * 5 + 7 * i;
}

static int64_t time_of(size_t user, size_t i)
{
    return (int64_t)(1000 * user + i);
}

static void write_data(const world *w)
{
    small_dataset_write_equal(
        w->data, &(equal_sequences){
                     .users = USERS, .items = ITEMS, .length = LENGTH, .shards = 2, .item_of = item_of, .time_of = time_of});
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_error error = {.message = ""};
    assert_int_equal(sr_parallel_start_alone(&w->parallel, &error), SR_OK);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    snprintf(w->checkpoint, sizeof w->checkpoint, "%s/step-0000000007.h5", w->directory);
    snprintf(w->data, sizeof w->data, "%s/data", w->directory);
    assert_int_equal(mkdir(w->data, 0777), 0);
    write_checkpoint(w);
    write_data(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    const int result = system(command);
    sr_parameters_free(&w->parameters);
    free(w->state.blocks[0].values);
    free(w->state.blocks[1].values);
    sr_parallel_finish(w->parallel);
    free(w);
    return result;
}

/* ---- checkpoints ---- */

/* Neither resuming nor evaluation takes the file. */
static void assert_checkpoint_is_refused(world *w, const char *what)
{
    sr_error error = {.message = ""};
    if (sr_checkpoint_verify(w->parallel, w->checkpoint, true, &error) != SR_ERROR_DATA)
        fail_msg("verified, but %s: %s", what, error.message);
    if (!strstr(error.message, w->checkpoint))
        fail_msg("the file is not named: %s", error.message);
    if (sr_checkpoint_read_state(w->parallel, w->checkpoint, &w->parameters, &w->state, &error) != SR_ERROR_DATA)
        fail_msg("read, but %s", what);
}

static void damaged_checkpoints_are_refused(void **state)
{
    world *w = *state;
    const content whole = load(w->checkpoint);
    sr_error error = {.message = ""};
    for (size_t i = 0; i < DAMAGES; ++i) {
        char what[128];
        content damaged = damage(w, &whole, i, what, sizeof what);
        store(w->checkpoint, &damaged);
        free(damaged.bytes);
        assert_checkpoint_is_refused(w, what);
    }
    content longer = {malloc(whole.size + 64), whole.size + 32};
    memcpy(longer.bytes, whole.bytes, whole.size);
    memcpy(longer.bytes + whole.size, whole.bytes + whole.size - 32, 32);
    store(w->checkpoint, &longer);
    assert_checkpoint_is_refused(w, "the seal is there twice");
    free(longer.bytes);
    store(w->checkpoint, &whole);
    if (sr_checkpoint_verify(w->parallel, w->checkpoint, true, &error) != SR_OK)
        fail_msg("%s", error.message); /* the whole one is not refused */
    free(whole.bytes);
}

/* ---- data sets ---- */

/* A checksum of all that is read from a data set that was accepted; 0 when it was refused, naming `path`. */
static uint64_t read_data(const world *w, const char *path)
{
    sr_dataset *dataset = NULL;
    sr_error error = {.message = ""};
    sr_status status = sr_dataset_open(&dataset, w->data, &error);
    if (status == SR_OK)
        status = sr_dataset_verify(dataset, 0, 1, &error);
    uint64_t sum = 0;
    for (size_t user = 0; status == SR_OK && user < sr_dataset_users(dataset); ++user) {
        const sr_sequence s = sr_dataset_sequence(dataset, user);
        sum = 31 * sum + XXH3_64bits(s.items, s.length * sizeof *s.items);
        sum = 31 * sum + XXH3_64bits(s.times, s.length * sizeof *s.times);
        sum = 31 * sum + s.train_end + 1000 * s.valid_end;
    }
    if (status == SR_OK)
        sum += XXH3_64bits(sr_dataset_popularity(dataset), (ITEMS + 1) * sizeof(int64_t)) + sr_dataset_items(dataset) +
               XXH3_64bits(sr_dataset_fingerprint(dataset), 32);
    else if (status != SR_ERROR_DATA || !strstr(error.message, path))
        fail_msg("status %d, and the file %s is not named: %s", (int)status, path, error.message);
    sr_dataset_close(dataset);
    return status == SR_OK ? sum : 0;
}

static void damaged_data_sets_are_refused(void **state)
{
    world *w = *state;
    static const char *const names[] = {"index.h5", "shard-00000.h5", "shard-00001.h5"};
    const uint64_t expected = read_data(w, "");
    assert_true(expected != 0);
    for (size_t i = 0; i < DAMAGES; ++i) {
        char path[128], what[128];
        snprintf(path, sizeof path, "%s/%s", w->data, names[i % 3]);
        const content whole = load(path);
        content damaged = damage(w, &whole, i, what, sizeof what);
        store(path, &damaged);
        const uint64_t found = read_data(w, names[i % 3]);
        if (found != 0)
            fail_msg("%s was accepted%s, but %s", path, found == expected ? " and read as it was" : "", what);
        store(path, &whole);
        free(whole.bytes);
        free(damaged.bytes);
    }
    assert_true(read_data(w, "") == expected);
}

static void swapped_shards_are_refused(void **state)
{
    const world *w = *state;
    char command[512];
    snprintf(command, sizeof command, "cd %s && mv shard-00000.h5 x && mv shard-00001.h5 shard-00000.h5 && mv x shard-00001.h5",
             w->data);
    assert_int_equal(system(command), 0);
    assert_true(read_data(w, "shard-0000") == 0);
    assert_int_equal(system(command), 0);
    assert_true(read_data(w, "") != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(damaged_data_sets_are_refused),
        cmocka_unit_test(swapped_shards_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

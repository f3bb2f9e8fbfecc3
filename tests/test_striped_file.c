/* A stretch of a file that all ranks write, and records of test cases that are dealt to them. On 1 to 4 ranks. */
#include "rank_world.h"
#include "evaluate/case_spools.h"
#include "storage/striped_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATH_SIZE = 64, ROUNDS = 6 };

/* A name for a file of all ranks, which does not exist yet. */
static void choose_path(const world *w, char path[PATH_SIZE])
{
    if (w->rank == 0) {
        snprintf(path, PATH_SIZE, "/tmp/srtrain-stripes-XXXXXX");
        const int descriptor = mkstemp(path);
        assert_true(descriptor >= 0);
        assert_int_equal(close(descriptor), 0);
    }
    assert_int_equal(sr_parallel_broadcast(w->parallel, path, PATH_SIZE, NULL), SR_OK);
}

/* ---- stripes ---- */

/* How many bytes a rank brings in a round: none, a few, or more than some pages. */
static size_t count_of(size_t rank, size_t round)
{
    static const size_t counts[] = {0, 3, 70000, 1, 300001, 65536, 10};
    return counts[(rank * 3 + round * 2) % (sizeof counts / sizeof *counts)];
}

static char byte_of(size_t place)
{
    return (char)(place * 7 + place / 251);
}

/* All ranks' bytes one after the other are those of byte_of(). */
static sr_status write_rounds(const world *w, striped_file *file, size_t *total)
{
    *total = 0;
    for (size_t round = 0; round < ROUNDS; ++round) {
        char *bytes = NULL;
        size_t count = 0;
        for (size_t rank = 0; rank < (size_t)w->size; ++rank) {
            if (rank == (size_t)w->rank) {
                count = count_of(rank, round);
                bytes = malloc(count + 1);
                for (size_t i = 0; i < count; ++i)
                    bytes[i] = byte_of(*total + i);
            }
            *total += count_of(rank, round);
        }
        const sr_status status = striped_file_append(file, SR_OK, count ? bytes : NULL, count, NULL);
        free(bytes);
        if (status != SR_OK)
            return status;
    }
    return striped_file_end(file, NULL);
}

static void assert_bytes(const char *path, size_t begin, size_t total)
{
    FILE *file = fopen(path, "rb");
    char *found = malloc(begin + total + 1);
    assert_non_null(file);
    assert_int_equal(fread(found, 1, begin + total + 1, file), begin + total);
    fclose(file);
    size_t wrong = 0;
    for (size_t i = 0; i < total; ++i)
        wrong += found[begin + i] != byte_of(i);
    assert_int_equal(wrong, 0);
    free(found);
}

/* Wherever the stretch begins in a page. */
static void the_bytes_of_all_ranks_stand_one_after_the_other(void **state)
{
    const world *w = *state;
    static const uint64_t begins[] = {0, 5, 65535, 65536, 200000};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; ++i) {
        char path[PATH_SIZE];
        size_t total;
        choose_path(w, path);
        const int descriptor = open(path, O_WRONLY);
        assert_true(descriptor >= 0);
        striped_file file = striped_file_at(w->parallel, path, descriptor, begins[i]);
        assert_int_equal(write_rounds(w, &file, &total), SR_OK);
        striped_file_free(&file);
        assert_int_equal(close(descriptor), 0);
        assert_int_equal(sr_parallel_barrier(w->parallel, NULL), SR_OK);
        assert_bytes(path, begins[i], total);
        assert_int_equal(sr_parallel_barrier(w->parallel, NULL), SR_OK);
        if (w->rank == 0)
            assert_int_equal(remove(path), 0);
    }
}

static void a_rank_that_cannot_write_fails_on_all(void **state)
{
    const world *w = *state;
    const bool last = w->rank == w->size - 1;
    char path[PATH_SIZE];
    sr_error error = {.message = ""};
    choose_path(w, path);
    char *bytes = calloc(1, 200000);
    const int descriptor = open(path, last ? O_RDONLY : O_WRONLY);
    striped_file file = striped_file_at(w->parallel, path, descriptor, 0);
    assert_int_equal(striped_file_append(&file, SR_OK, bytes, 200000, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "cannot write /tmp/srtrain-stripes-"));
    striped_file_free(&file);
    file = striped_file_at(w->parallel, path, descriptor, 0);
    const sr_status own = last ? sr_fail(&error, SR_ERROR_DATA, "the last rank has failed") : SR_OK;
    assert_int_equal(striped_file_append(&file, own, NULL, 0, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "the last rank has failed"));
    striped_file_free(&file);
    free(bytes);
    close(descriptor);
    assert_int_equal(sr_parallel_barrier(w->parallel, NULL), SR_OK);
    if (w->rank == 0)
        assert_int_equal(remove(path), 0);
}

/* ---- records ---- */

enum { CASES = 1000, BATCH = 7, THREADS = 2, TOP_K = 3 };

/* This rank's batches, round robin over all threads of all ranks. */
static void add_records(const world *w, case_spools *spools)
{
    case_record *record = calloc(1, spools->record_bytes);
    for (uint64_t number = 0; number < CASES; ++number) {
        const size_t member = number / BATCH % ((size_t)w->size * THREADS);
        if (member / THREADS != (size_t)w->rank)
            continue;
        record->number = number;
        record->user = (uint32_t)number * 3;
        for (size_t k = 0; k < TOP_K; ++k)
            record->list[k] = (int32_t)(number * 10 + k);
        case_spools_add(spools, member % THREADS, record);
    }
    free(record);
}

static void assert_records(const world *w, const case_spools *spools, const char *dealt, size_t count, uint64_t first,
                           uint64_t end, size_t share)
{
    uint64_t number = first + (uint64_t)w->rank * share, own_end = number + share;
    for (size_t i = 0; i < count; ++i, ++number) {
        const case_record *record = (const case_record *)(const void *)(dealt + i * spools->record_bytes);
        assert_int_equal(record->number, number);
        assert_int_equal(record->user, number * 3);
        assert_int_equal(record->list[TOP_K - 1], number * 10 + TOP_K - 1);
    }
    own_end = own_end < end ? own_end : end;
    assert_true(count == 0 || number == own_end);
    assert_true(count > 0 || first + (uint64_t)w->rank * share >= end);
}

static void records_are_dealt_in_the_order_of_cases(void **state)
{
    const world *w = *state;
    case_spools spools;
    char place[PATH_SIZE];
    assert_int_equal(sr_parallel_use_threads(w->parallel, THREADS, NULL), SR_OK);
    choose_path(w, place);
    assert_int_equal(case_spools_create(&spools, w->parallel, place, TOP_K, NULL), SR_OK);
    add_records(w, &spools);
    assert_int_equal(case_spools_rewind(&spools, NULL), SR_OK);
    for (uint64_t first = 0, end; first < CASES; first = end) {
        char *dealt;
        size_t count;
        end = first + 300 < CASES ? first + 300 : CASES;
        const size_t share = (size_t)(end - first + (uint64_t)w->size - 1) / (size_t)w->size;
        assert_int_equal(case_spools_deal(&spools, first, end, share, &dealt, &count, NULL), SR_OK);
        assert_records(w, &spools, dealt, count, first, end, share);
        free(dealt);
    }
    case_spools_free(&spools);
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
    if (w->rank == 0)
        assert_int_equal(remove(place), 0);
}

static void spools_that_cannot_be_made_are_named(void **state)
{
    const world *w = *state;
    case_spools spools;
    sr_error error = {.message = ""};
    assert_int_equal(case_spools_create(&spools, w->parallel, "/nowhere/cases.tsv.tmp", TOP_K, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "cannot write /nowhere/cases.tsv.tmp-"));
    case_spools_free(&spools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_of_all_ranks_stand_one_after_the_other),
        cmocka_unit_test(a_rank_that_cannot_write_fails_on_all),
        cmocka_unit_test(records_are_dealt_in_the_order_of_cases),
        cmocka_unit_test(spools_that_cannot_be_made_are_named),
    };
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}

/* Status messages, nearest names, memory and arenas. */
#include "base/stamp_clock.h"
#include "srtrain/memory.h"
#include "srtrain/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void failing_returns_the_status_and_writes_the_message(void **state)
{
    (void)state;
    sr_error error;
    assert_int_equal(sr_fail(&error, SR_ERROR_DATA, "%s:%d", "file", 7), SR_ERROR_DATA);
    assert_int_equal(error.status, SR_ERROR_DATA);
    assert_string_equal(error.message, "file:7");
    assert_int_equal(sr_fail(NULL, SR_ERROR_USAGE, "nobody reads this"), SR_ERROR_USAGE);
}

static void prepending_keeps_the_old_message_behind(void **state)
{
    (void)state;
    sr_error error;
    sr_fail(&error, SR_ERROR_DATA, "flipped byte");
    sr_error_prepend(&error, "%s: ", "shard-00001.h5");
    assert_string_equal(error.message, "shard-00001.h5: flipped byte");
}

static void long_messages_are_cut_and_say_so(void **state)
{
    (void)state;
    sr_error error;
    char text[2 * SR_ERROR_MESSAGE_SIZE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sr_fail(&error, SR_ERROR_DATA, "%s", text);
    assert_int_equal(strlen(error.message), SR_ERROR_MESSAGE_SIZE - 1);
    assert_string_equal(error.message + SR_ERROR_MESSAGE_SIZE - 4, "...");
    sr_error_prepend(&error, "front: ");
    assert_memory_equal(error.message, "front: xxx", 10);
    assert_string_equal(error.message + SR_ERROR_MESSAGE_SIZE - 4, "...");
}

static void nearest_name_is_the_one_with_fewest_edits(void **state)
{
    (void)state;
    const char *const names[] = {"epochs", "batch_size", "learning_rate", "seed"};
    assert_string_equal(sr_nearest_name("epoch", names, 4), "epochs");
    assert_string_equal(sr_nearest_name("lerning_rate", names, 4), "learning_rate");
    assert_null(sr_nearest_name("zzzzzz", names, 4));
    assert_null(sr_nearest_name("a", names, 0));
}

static void allocations_are_aligned_and_refuse_overflow(void **state)
{
    (void)state;
    double *values;
    assert_int_equal(SR_ALLOCATE_ZERO(&values, 1001, "test", NULL), SR_OK);
    assert_int_equal((uintptr_t)values % SR_ALIGNMENT, 0);
    for (size_t i = 0; i < 1001; ++i)
        assert_true(values[i] == 0);
    free(values);
    sr_error error;
    assert_int_equal(SR_ALLOCATE(&values, SIZE_MAX / 4, "the impossible", &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "the impossible"));
    assert_null(values);
}

/* Takes pieces of some hundred bytes, which need several blocks at first, fills them, and looks at them again. */
static void take_pieces(sr_arena *arena, char *pieces[100])
{
    for (size_t i = 0; i < 100; ++i) {
        pieces[i] = sr_arena_take(arena, 100 + i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % SR_ALIGNMENT, 0);
        memset(pieces[i], (int)i, 100 + i);
    }
    for (size_t i = 0; i < 100; ++i)
        for (size_t k = 0; k < 100 + i; ++k)
            assert_int_equal(pieces[i][k], (int)i);
    assert_true(sr_arena_held(arena) >= sr_arena_used(arena));
}

static void an_arena_hands_out_distinct_aligned_pieces_and_then_the_same_again(void **state)
{
    (void)state;
    sr_arena *arena;
    char *pieces[100], *again[100];
    assert_int_equal(sr_arena_create(&arena, 4096, NULL), SR_OK);
    sr_arena_reset(arena); /* nothing has been taken yet */
    take_pieces(arena, pieces);
    const size_t used = sr_arena_used(arena), held = sr_arena_held(arena);
    assert_in_range(held, used, 3 * used);
    for (int resets = 0; resets < 3; ++resets) {
        sr_arena_reset(arena);
        assert_int_equal(sr_arena_used(arena), 0);
        take_pieces(arena, again);
        assert_memory_equal(again, pieces, sizeof pieces);
        assert_int_equal(sr_arena_held(arena), held);
    }
    assert_non_null(sr_arena_take(arena, 100000)); /* larger than a block */
    sr_arena_free(arena);
}

/* The pieces of a step that is larger than the one before it come from where those of that one were. */
static void an_arena_that_grows_keeps_its_blocks(void **state)
{
    (void)state;
    sr_arena *arena;
    char *before[64] = {NULL};
    assert_int_equal(sr_arena_create(&arena, 4096, NULL), SR_OK);
    for (size_t step = 8; step <= 64; ++step) {
        sr_arena_reset(arena);
        for (size_t i = 0; i < step; ++i) {
            char *piece = sr_arena_take(arena, 1000);
            assert_non_null(piece);
            assert_true(!before[i] || piece == before[i]);
            before[i] = piece;
        }
    }
    sr_arena_free(arena);
}

static void an_arena_holds_no_more_than_its_largest_use_takes(void **state)
{
    (void)state;
    sr_arena *arena;
    assert_int_equal(sr_arena_create(&arena, 4096, NULL), SR_OK);
    for (size_t large = 100000; large < 200000; large += 1000) {
        sr_arena_reset(arena);
        assert_non_null(sr_arena_take(arena, 1000));
        assert_non_null(sr_arena_take(arena, large));
        assert_non_null(sr_arena_take(arena, 1000));
    }
    sr_arena_reset(arena);
    assert_true(sr_arena_held(arena) <= 250000);
    sr_arena_free(arena);
}

static void time_stamps_of_this_century_say_what_they_count(void **state)
{
    (void)state;
    assert_int_equal(sr_stamp_clock_of(978300760).in_a_second, 1); /* MovieLens-1M */
    assert_string_equal(sr_stamp_clock_of(1588889999123).name, "milliseconds");
    assert_int_equal(sr_stamp_clock_of(1588889999123456).in_a_second, 1000000);
    assert_int_equal(sr_stamp_clock_of(1588889999123456789).in_a_second, 1000000000);
    assert_int_equal(sr_stamp_clock_of(44).in_a_second, 0);
    assert_null(sr_stamp_clock_of(INT64_MIN).name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_stamps_of_this_century_say_what_they_count),
        cmocka_unit_test(failing_returns_the_status_and_writes_the_message),
        cmocka_unit_test(prepending_keeps_the_old_message_behind),
        cmocka_unit_test(long_messages_are_cut_and_say_so),
        cmocka_unit_test(nearest_name_is_the_one_with_fewest_edits),
        cmocka_unit_test(allocations_are_aligned_and_refuse_overflow),
        cmocka_unit_test(an_arena_hands_out_distinct_aligned_pieces_and_then_the_same_again),
        cmocka_unit_test(an_arena_that_grows_keeps_its_blocks),
        cmocka_unit_test(an_arena_holds_no_more_than_its_largest_use_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

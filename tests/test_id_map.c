/* Distinct numbers and their places. */
#include "base/id_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 1000 };

/* Numbers far apart and close together, 0 and negative ones too; each comes again. */
static int32_t number(size_t i)
{
    return i % 3 == 0 ? (int32_t)i : i % 3 == 1 ? INT32_MAX - (int32_t)(i << 16) : INT32_MIN + (int32_t)(i * 64);
}

static void check_map(id_map *map, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        assert_true(id_map_find(map, number(i)) == SIZE_MAX);
        assert_int_equal(id_map_add(map, number(i)), i);
        assert_int_equal(id_map_add(map, number(i / 2)), i / 2);
    }
    assert_int_equal(map->count, count);
    for (size_t i = 0; i < count; ++i) {
        assert_int_equal(id_map_find(map, number(i)), i);
        assert_int_equal(map->list[i], number(i));
    }
    assert_true(id_map_find(map, number(count)) == SIZE_MAX);
}

static void numbers_have_places_in_the_order_in_which_they_were_seen_first(void **state)
{
    (void)state;
    static const size_t counts[] = {3, MOST, 0, 1, 64};
    id_map map = {.count = 0};
    assert_true(id_map_find(&map, 5) == SIZE_MAX); /* before there is any room */
    for (size_t i = 0; i < sizeof counts / sizeof *counts; ++i) {
        assert_int_equal(id_map_clear(&map, counts[i], NULL), SR_OK);
        check_map(&map, counts[i]);
    }
    id_map_free(&map);
    assert_null(map.list);
}

static void a_map_in_an_arena_is_emptied_in_place(void **state)
{
    (void)state;
    sr_arena *arena;
    id_map map;
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(id_map_take(&map, MOST, arena, NULL), SR_OK);
    const size_t used = sr_arena_used(arena);
    check_map(&map, MOST);
    for (size_t count = 0; count < MOST; count += 111) {
        id_map_empty(&map, count);
        check_map(&map, count);
    }
    assert_int_equal(sr_arena_used(arena), used);
    sr_arena_free(arena);
}

static void more_numbers_than_places_can_count_are_refused(void **state)
{
    (void)state;
    sr_error error = {.message = ""};
    id_map map = {.count = 0};
    assert_int_equal(id_map_clear(&map, UINT32_MAX, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "4294967295 different items"));
    assert_int_equal(id_map_take(&map, UINT32_MAX, NULL, &error), SR_ERROR_RUNTIME);
    assert_null(map.list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_places_in_the_order_in_which_they_were_seen_first),
        cmocka_unit_test(a_map_in_an_arena_is_emptied_in_place),
        cmocka_unit_test(more_numbers_than_places_can_count_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

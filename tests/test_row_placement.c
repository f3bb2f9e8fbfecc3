/* Rows have one owner each, and popular rows are spread over owners. */
#include "srtrain/row_placement.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 20031, COUNTED = ITEMS + 1 }; /* 313 groups of 64 rows */

/* ---- popularities ---- */

typedef void make_popularity(int64_t *popularity, size_t items);

/* Of Zipf's law, where ids follow popularity. */
static void ascending_ids(int64_t *popularity, size_t items)
{
    for (size_t item = 1; item <= items; ++item)
        popularity[item] = (int64_t)(1000000 / item);
}

static void ids_in_no_order(int64_t *popularity, size_t items)
{
    const sr_random_stream stream = {{5, 0}};
    for (size_t item = 1; item <= items; ++item)
        popularity[item] = (int64_t)(1000000 / (1 + sr_random_permutation(stream, item - 1, items)));
}

static void all_alike(int64_t *popularity, size_t items)
{
    for (size_t item = 1; item <= items; ++item)
        popularity[item] = 7;
}

static void nothing_is_read(int64_t *popularity, size_t items)
{
    (void)popularity;
    (void)items;
}

/* In turn, popular items would all have one owner of 64, or of 16. */
static void every_64th(int64_t *popularity, size_t items)
{
    for (size_t item = 1; item <= items; ++item)
        popularity[item] = item % 64 == 5 ? 1000 : 1;
}

static make_popularity *const shapes[] = {ascending_ids, ids_in_no_order, all_alike, nothing_is_read, every_64th};

static int64_t *popularity_of(make_popularity *make, size_t items)
{
    int64_t *popularity = calloc(items + 1, sizeof *popularity);
    assert_non_null(popularity);
    make(popularity, items);
    return popularity;
}

static sr_row_placement *place(size_t rows, size_t owners, const int64_t *popularity, size_t counted)
{
    sr_row_placement *placement;
    const sr_placement_request request = {.rows = rows, .owners = owners, .popularity = popularity, .counted = counted};
    assert_int_equal(sr_row_placement_create(&placement, &request, NULL), SR_OK);
    return placement;
}

/* ---- one owner each ---- */

static void assert_consistent(const sr_row_placement *placement, size_t rows)
{
    const size_t owners = sr_row_placement_owners(placement);
    size_t all = 0, moved = 0;
    for (size_t owner = 0; owner < owners; ++owner) {
        const sr_row_numbers own = sr_row_placement_rows(placement, owner);
        size_t place, next = 0; /* of the rows of this owner, the first one that is not smaller than `row` */
        assert_int_equal(own.count, rows / owners + (owner < rows % owners));
        for (size_t row = 0; row < rows; row += 1 + rows / 997) {
            const bool is_here = sr_row_placement_owner(placement, (int32_t)row) == owner;
            while (next < own.count && (size_t)sr_row_number(&own, next) < row)
                ++next;
            assert_int_equal(sr_row_place(&own, (int32_t)row, &place), is_here);
            assert_int_equal(place, next);
        }
        for (place = 0; place < own.count; ++place) {
            const int32_t row = sr_row_number(&own, place);
            assert_true(row >= 0 && (size_t)row < rows && (place == 0 || row > sr_row_number(&own, place - 1)));
            assert_int_equal(sr_row_placement_owner(placement, row), owner);
            assert_int_equal(sr_row_placement_place(placement, row), place);
        }
        all += own.count;
        moved += own.moved_count;
    }
    assert_int_equal(all, rows);
    assert_true(moved <= 2 * SR_PLACED_ROWS);
}

static void every_row_has_one_owner_and_one_place(void **state)
{
    static const size_t owners[] = {1, 2, 3, 7, 64, 999};
    static const size_t items[] = {999, 1000, ITEMS};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s)
        for (size_t i = 0; i < sizeof items / sizeof *items; ++i) {
            int64_t *popularity = popularity_of(shapes[s], items[i]);
            for (size_t o = 0; o < sizeof owners / sizeof *owners; ++o)
                for (size_t more = 1; more <= 2; ++more) { /* padding, and a mask token */
                    sr_row_placement *placement = place(items[i] + more, owners[o], popularity, items[i] + 1);
                    assert_consistent(placement, items[i] + more);
                    sr_row_placement_free(placement);
                }
            free(popularity);
        }
}

static void without_popularity_rows_go_in_turn(void **state)
{
    (void)state;
    sr_row_placement *placement = place(COUNTED, 64, NULL, 0);
    assert_consistent(placement, COUNTED);
    for (int32_t row = 0; row < COUNTED; ++row)
        assert_int_equal(sr_row_placement_owner(placement, row), row % 64);
    sr_row_placement_free(placement);
}

static void a_part_of_the_rows_of_an_owner_has_their_numbers(void **state)
{
    (void)state;
    int64_t *popularity = popularity_of(ids_in_no_order, ITEMS);
    sr_row_placement *placement = place(COUNTED, 7, popularity, COUNTED);
    const sr_row_numbers own = sr_row_placement_rows(placement, 3);
    for (size_t first = 0; first + 50 <= own.count; first += 331) {
        const sr_row_numbers part = sr_row_numbers_part(&own, first, 50);
        size_t place;
        assert_int_equal(part.count, 50);
        for (size_t i = 0; i < part.count; ++i) {
            assert_int_equal(sr_row_number(&part, i), sr_row_number(&own, first + i));
            assert_true(sr_row_place(&part, sr_row_number(&part, i), &place));
            assert_int_equal(place, i);
        }
        assert_false(first > 0 && sr_row_place(&part, sr_row_number(&own, first - 1), &place));
        assert_int_equal(sr_row_place(&part, sr_row_number(&own, own.count - 1), &place), first + 50 == own.count);
    }
    sr_row_placement_free(placement);
    free(popularity);
}

static void a_placement_follows_from_popularity_alone(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
        int64_t *popularity = popularity_of(shapes[s], ITEMS);
        sr_row_placement *one = place(COUNTED, 16, popularity, COUNTED), *other = place(COUNTED, 16, popularity, COUNTED);
        for (int32_t row = 0; row < COUNTED; ++row)
            assert_int_equal(sr_row_placement_owner(one, row), sr_row_placement_owner(other, row));
        sr_row_placement_free(one);
        sr_row_placement_free(other);
        free(popularity);
    }
}

/* ---- how evenly owners are asked ---- */

/* The largest number of requests of an owner over the mean, as expected, where each process reads `reads` rows by popularity
 * and asks for each of them once. */
static double largest_over_mean(const sr_row_placement *placement, const int64_t *popularity, double reads)
{
    const size_t owners = sr_row_placement_owners(placement);
    double *loads = calloc(owners, sizeof *loads), all = 0, sum = 0, most = 0;
    assert_non_null(loads);
    for (size_t item = 1; item <= ITEMS; ++item)
        all += (double)popularity[item];
    for (size_t item = 1; item <= ITEMS; ++item)
        loads[sr_row_placement_owner(placement, (int32_t)item)] -= expm1(reads * log1p(-(double)popularity[item] / all));
    for (size_t owner = 0; owner < owners; ++owner) {
        sum += loads[owner];
        most = fmax(most, loads[owner]);
    }
    free(loads);
    return most * (double)owners / sum;
}

static void owners_are_asked_evenly(void **state)
{
    static make_popularity *const skewed[] = {ascending_ids, ids_in_no_order, every_64th};
    static const double reads[] = {500, 2000, 10000};
    (void)state;
    for (size_t s = 0; s < sizeof skewed / sizeof *skewed; ++s) {
        int64_t *popularity = popularity_of(skewed[s], ITEMS);
        sr_row_placement *in_turn = place(COUNTED, 64, NULL, 0), *placed = place(COUNTED, 64, popularity, COUNTED);
        for (size_t r = 0; r < sizeof reads / sizeof *reads; ++r) {
            const double found = largest_over_mean(placed, popularity, reads[r]);
            if (found > 1.1)
                fail_msg("popularity %zu, %g reads: %g times the mean", s, reads[r], found);
            assert_true(found < largest_over_mean(in_turn, popularity, reads[r]));
        }
        sr_row_placement_free(in_turn);
        sr_row_placement_free(placed);
        free(popularity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_one_owner_and_one_place),
        cmocka_unit_test(without_popularity_rows_go_in_turn),
        cmocka_unit_test(a_part_of_the_rows_of_an_owner_has_their_numbers),
        cmocka_unit_test(a_placement_follows_from_popularity_alone),
        cmocka_unit_test(owners_are_asked_evenly),
    };
    return cmocka_run_group_tests_name("row_placement", tests, NULL, NULL);
}

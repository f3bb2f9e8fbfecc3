/* Synthetic data: reproducible, complete, of the size asked for, and with something in it that a sequence model can learn. */
#include "interactions.h"
#include "srtrain/memory.h"
#include "synthesis.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const synthesis usual = {
    .users = 2000, .items = 500, .seed = 5, .clusters = 12, .mean_length = 15, .exponent = 1, .transition = 0.6};

/* All users' sequences, one after the other. */
static void make(const synthesis *process, interactions *all)
{
    synthesiser s;
    sequence one;
    assert_int_equal(interactions_create(all, NULL), SR_OK);
    assert_int_equal(synthesis_begin(&s, process, 0, process->users, NULL), SR_OK);
    for (uint64_t user = 0;; ++user) {
        const uint64_t length = user < process->users ? synthesis_length(&s, user) : 0;
        assert_int_equal(synthesis_next(&s, &one, NULL), SR_OK);
        assert_int_equal(one.length, length);
        if (one.length == 0)
            break;
        for (size_t i = 0; i < one.length; ++i) {
            char item[32];
            const size_t item_length = synthesis_item_name(one.items[i], item);
            assert_true(i == 0 || one.times[i - 1] < one.times[i]);
            assert_int_equal(interactions_add(all, one.user, one.user_length, item, item_length, one.times[i], 0, NULL), SR_OK);
        }
    }
    synthesis_end(&s);
}

/* Whether the first `count` interactions are the same. */
static bool same(const interactions *left, const interactions *right, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const numbered *a = &left->list[i], *b = &right->list[i];
        const identifier users[] = {names_get(&left->users, a->user), names_get(&right->users, b->user)},
                         items[] = {names_get(&left->items, a->item), names_get(&right->items, b->item)};
        if (a->time != b->time || name_compare(&users[0], &users[1]) != 0 || name_compare(&items[0], &items[1]) != 0)
            return false;
    }
    return true;
}

static void equal_seeds_give_equal_data_and_other_seeds_others(void **state)
{
    (void)state;
    interactions first, second, other;
    synthesis another_seed = usual;
    another_seed.seed = 6;
    make(&usual, &first);
    make(&usual, &second);
    make(&another_seed, &other);
    assert_int_equal(first.count, second.count);
    assert_true(same(&first, &second, first.count));
    assert_false(same(&first, &other, 100));
    interactions_free(&first);
    interactions_free(&second);
    interactions_free(&other);
}

static void a_user_does_not_depend_on_how_many_follow(void **state)
{
    (void)state;
    interactions few, many;
    synthesis more_users = usual;
    more_users.users = 3000;
    make(&usual, &few);
    make(&more_users, &many);
    assert_true(few.count < many.count);
    assert_true(same(&few, &many, few.count));
    interactions_free(&few);
    interactions_free(&many);
}

static void sizes_are_those_asked_for(void **state)
{
    (void)state;
    const synthesis cases[] = {
        usual,
        {.users = 100, .items = 450, .seed = 1, .clusters = 11, .mean_length = 9, .exponent = 2, .transition = 0},
        {.users = 3, .items = 20, .seed = 1, .clusters = 1, .mean_length = 6, .exponent = 1, .transition = 1},
        {.users = 50, .items = 1, .seed = 1, .clusters = 1, .mean_length = 5, .exponent = 0, .transition = 0.5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        interactions all;
        make(&cases[i], &all);
        assert_int_equal(all.users.count, cases[i].users);
        assert_int_equal(all.items.count, cases[i].items);
        interactions_free(&all);
    }
}

static void lengths_start_at_five_and_have_the_mean_asked_for(void **state)
{
    (void)state;
    interactions all;
    make(&usual, &all);
    size_t length = 0, shortest = SIZE_MAX;
    for (size_t i = 0; i < all.count; ++i) {
        ++length;
        if (i + 1 == all.count || all.list[i + 1].user != all.list[i].user) {
            shortest = length < shortest ? length : shortest;
            length = 0;
        }
    }
    assert_int_equal(shortest, SYNTHESIS_SHORTEST);
    /* The standard error of the mean is about 10 / sqrt(2000) = 0.22. */
    assert_true(fabs((double)all.count / (double)usual.users - usual.mean_length) < 1);
    interactions_free(&all);
}

/* ---- Zipf's law ---- */

static const synthesis by_law = {.kind = SYNTHESIS_ZIPF,
                                 .users = 3000,
                                 .items = 100000,
                                 .seed = 5,
                                 .mean_length = 15,
                                 .exponent = 1,
                                 .transition = 0,
                                 .ranked = true};

static void users_with_zipf_do_not_depend_on_how_many_follow(void **state)
{
    (void)state;
    interactions few, many;
    synthesis more_users = by_law;
    more_users.users = 3500;
    make(&by_law, &few);
    make(&more_users, &many);
    assert_int_equal(few.users.count, by_law.users);
    assert_true(fabs((double)few.count / (double)by_law.users - by_law.mean_length) < 1);
    assert_true(few.count < many.count);
    assert_true(same(&few, &many, few.count));
    interactions_free(&few);
    interactions_free(&many);
}

/* Counts of the most popular items, and of all others together, against expectation. */
static void all_interactions_together_follow_the_law(void **state)
{
    (void)state;
    enum { TOP = 40 };
    interactions all;
    double found[TOP + 1] = {0}, weights[TOP + 1] = {0}, sum = 0, chi_square = 0;
    make(&by_law, &all);
    for (uint64_t rank = 1; rank <= by_law.items; ++rank) {
        weights[rank <= TOP ? rank - 1 : TOP] += 1 / (double)rank;
        sum += 1 / (double)rank;
    }
    for (size_t i = 0; i < all.count; ++i) {
        const identifier name = names_get(&all.items, all.list[i].item);
        char text[16] = "";
        memcpy(text, name.bytes + 1, (size_t)name.length - 1);
        const unsigned long item = strtoul(text, NULL, 10);
        ++found[item < TOP ? item : TOP];
    }
    for (size_t i = 0; i <= TOP; ++i) {
        const double expected = weights[i] / sum * (double)all.count;
        chi_square += (found[i] - expected) * (found[i] - expected) / expected;
    }
    print_message("chi-square %.1f with %d degrees of freedom\n", chi_square, TOP);
    assert_true(chi_square < TOP + 5 * sqrt(2.0 * TOP));
    interactions_free(&all);
}

/* ---- what can be learnt ---- */

/* Counts of the training parts: how often each item occurs, and how often each follows each. */
typedef struct {
    size_t items;
    uint32_t *popularity;  /* [items] */
    uint32_t *transitions; /* [items, items] */
} counts;

static void count_training(const interactions *all, counts *c)
{
    c->items = all->items.count;
    assert_int_equal(SR_ALLOCATE_ZERO(&c->popularity, c->items, "counts", NULL), SR_OK);
    assert_int_equal(SR_ALLOCATE_ZERO(&c->transitions, c->items * c->items, "counts", NULL), SR_OK);
    for (size_t i = 0; i + 2 < all->count; ++i) {
        const numbered *one = &all->list[i];
        if (all->list[i + 2].user != one->user)
            continue; /* one of the last two: for validation and test */
        ++c->popularity[one->item];
        if (i > 0 && one[-1].user == one->user)
            ++c->transitions[one[-1].item * c->items + one->item];
    }
}

/* Whether `target` is among the ten items with the highest score; popularity breaks ties. */
static bool hits(const uint32_t *scores, const uint32_t *popularity, size_t items, uint32_t target)
{
    size_t better = 0;
    for (size_t item = 0; item < items; ++item)
        better += scores[item] > scores[target] || (scores[item] == scores[target] && popularity[item] > popularity[target]);
    return better < 10;
}

static void transitions_predict_far_better_than_popularity(void **state)
{
    (void)state;
    interactions all;
    counts c;
    make(&usual, &all);
    count_training(&all, &c);
    size_t cases = 0, by_popularity = 0, by_transition = 0;
    for (size_t i = 1; i < all.count; ++i) {
        const numbered *one = &all.list[i];
        if (i + 1 < all.count && one[1].user == one->user)
            continue;
        ++cases;
        by_popularity += hits(c.popularity, c.popularity, c.items, one->item);
        by_transition += hits(c.transitions + one[-1].item * c.items, c.popularity, c.items, one->item);
    }
    assert_int_equal(cases, usual.users);
    print_message("HR@10 of popularity %.3f, of first-order transitions %.3f\n", (double)by_popularity / (double)cases,
                  (double)by_transition / (double)cases);
    assert_true(by_popularity > cases * 3 / 100); /* popularity is skewed: chance is 0.02 */
    assert_true(by_transition > 2 * by_popularity);
    free(c.popularity);
    free(c.transitions);
    interactions_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_data_and_other_seeds_others),
        cmocka_unit_test(a_user_does_not_depend_on_how_many_follow),
        cmocka_unit_test(sizes_are_those_asked_for),
        cmocka_unit_test(lengths_start_at_five_and_have_the_mean_asked_for),
        cmocka_unit_test(users_with_zipf_do_not_depend_on_how_many_follow),
        cmocka_unit_test(all_interactions_together_follow_the_law),
        cmocka_unit_test(transitions_predict_far_better_than_popularity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

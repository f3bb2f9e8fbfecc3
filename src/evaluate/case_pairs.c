#include "evaluate/case_pairs.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <stdlib.h>

/* ---- order ---- */

static int compare_integers(int64_t left, int64_t right)
{
    return left < right ? -1 : left > right;
}

static int compare_keys(const case_row *left, const case_row *right)
{
    const int by_user = compare_integers(left->user, right->user), by_item = compare_integers(left->item, right->item);
    return by_user ? by_user : (by_item ? by_item : compare_integers(left->length, right->length));
}

static int compare_rows(const void *left, const void *right)
{
    return compare_keys(left, right);
}

/* Without lengths the place in the file takes their part, and then the number among cases of the same user and target. */
static void sort_cases(case_table *table, bool by_length)
{
    for (size_t i = 0; i < table->count && !by_length; ++i)
        table->rows[i].length = (int64_t)i;
    qsort(table->rows, table->count, sizeof *table->rows, compare_rows);
    for (size_t i = 0; i < table->count && !by_length; ++i) {
        const case_row *before = i ? &table->rows[i - 1] : NULL;
        const bool again = before && before->user == table->rows[i].user && before->item == table->rows[i].item;
        table->rows[i].length = again ? before->length + 1 : 0;
    }
}

static sr_status check_once(const case_table *table, const name_table *users, sr_error *error)
{
    for (size_t i = 1; i < table->count; ++i)
        if (compare_keys(&table->rows[i - 1], &table->rows[i]) == 0) {
            const identifier user = names_get(users, table->rows[i].user);
            return sr_fail(error, SR_ERROR_DATA, "%s: user \"%.*s\" has %s", table->path, user.length < 40 ? user.length : 40,
                           user.bytes, table->is_lists ? "the same item twice in a list" : "the same case twice");
        }
    return SR_OK;
}

/* ---- two files of cases ---- */

static case_pair pair_of(const case_row *left, const case_row *right, const case_row *said)
{
    return (case_pair){.user = left->user,
                       .left = left->rank,
                       .right = right->rank,
                       .repeat = said->repeat,
                       .length = said->length,
                       .popularity = said->popularity};
}

/* What one of the files says of a case; lengths are known only where both say them, or were not taken for numbers. */
static sr_status pair_cases(case_pairs *pairs, case_table *left, case_table *right, sr_error *error)
{
    const bool by_length = left->has_length && right->has_length;
    const bool left_says = left->has_popularity || left->has_repeat;
    sort_cases(left, by_length);
    sort_cases(right, by_length);
    SR_TRY(SR_ALLOCATE(&pairs->pairs, smaller(left->count, right->count), "pairs of cases", error));
    size_t l = 0, r = 0;
    while (l < left->count && r < right->count) {
        const int order = compare_keys(&left->rows[l], &right->rows[r]);
        if (order < 0) {
            ++l;
        } else if (order > 0) {
            ++r;
        } else {
            const case_row *said = left_says ? &left->rows[l] : &right->rows[r];
            pairs->pairs[pairs->count++] = pair_of(&left->rows[l++], &right->rows[r++], said);
        }
    }
    const case_table *sayer = left_says ? left : right;
    pairs->has_popularity = sayer->has_popularity;
    pairs->has_repeat = sayer->has_repeat;
    pairs->has_length = by_length;
    pairs->only_left = left->count - pairs->count;
    pairs->only_right = right->count - pairs->count;
    return SR_OK;
}

/* ---- cases and lists ---- */

/* The place of an item in a user's list, or 0. `*has_list` is whether there is one. Rows are sorted. */
static uint32_t place_in_list(const case_table *lists, const case_row *searched, bool *has_list)
{
    size_t begin = 0, end = lists->count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const case_row *row = &lists->rows[middle];
        if (row->user < searched->user || (row->user == searched->user && row->item < searched->item))
            begin = middle + 1;
        else
            end = middle;
    }
    const bool here = begin < lists->count && lists->rows[begin].user == searched->user;
    *has_list = here || (begin > 0 && lists->rows[begin - 1].user == searched->user);
    return here && lists->rows[begin].item == searched->item ? lists->rows[begin].rank : 0;
}

static sr_status check_one_case(const case_table *cases, const case_table *lists, const name_table *users, sr_error *error)
{
    for (size_t i = 1; i < cases->count; ++i)
        if (cases->rows[i].user == cases->rows[i - 1].user) {
            const identifier user = names_get(users, cases->rows[i].user);
            return sr_fail(error, SR_ERROR_DATA,
                           "%s has several cases of user \"%.*s\", and %s has one list for each user: nobody can tell which of "
                           "them it is for",
                           cases->path, user.length < 40 ? user.length : 40, user.bytes, lists->path);
        }
    return SR_OK;
}

static sr_status pair_with_lists(case_pairs *pairs, case_table *cases, case_table *lists, bool lists_are_left,
                                 const name_table *users, sr_error *error)
{
    for (size_t i = 0; i < lists->count; ++i) {
        lists->rows[i].length = 0;
        pairs->longest_list = larger(pairs->longest_list, lists->rows[i].rank);
    }
    sort_cases(cases, cases->has_length);
    sort_cases(lists, true);
    SR_TRY(check_once(lists, users, error));
    SR_TRY(check_one_case(cases, lists, users, error));
    SR_TRY(SR_ALLOCATE(&pairs->pairs, cases->count, "pairs of cases", error));
    for (size_t i = 0; i < cases->count; ++i) {
        bool has_list;
        const case_row *one = &cases->rows[i];
        case_row listed = *one;
        listed.rank = place_in_list(lists, one, &has_list);
        pairs->without_list += !has_list;
        pairs->pairs[pairs->count++] = lists_are_left ? pair_of(&listed, one, one) : pair_of(one, &listed, one);
    }
    pairs->has_length = cases->has_length;
    pairs->has_popularity = cases->has_popularity;
    pairs->has_repeat = cases->has_repeat;
    return SR_OK;
}

/* ---- both ---- */

static sr_status pair_tables(case_pairs *pairs, case_table *left, case_table *right, const name_table *users, sr_error *error)
{
    if (left->is_lists && right->is_lists)
        return sr_fail(error, SR_ERROR_USAGE,
                       "%s and %s are lists of recommended items: one of the two has to name the targets (user, target, rank)",
                       left->path, right->path);
    if (left->is_lists || right->is_lists)
        SR_TRY(left->is_lists ? pair_with_lists(pairs, right, left, true, users, error)
                              : pair_with_lists(pairs, left, right, false, users, error));
    else
        SR_TRY(pair_cases(pairs, left, right, error));
    SR_TRY(check_once(left, users, error));
    SR_TRY(check_once(right, users, error));
    const bool apart = pairs->count == 0 || pairs->without_list == pairs->count;
    return apart ? sr_fail(error, SR_ERROR_DATA, "%s and %s have no case in common", left->path, right->path) : SR_OK;
}

sr_status case_pairs_read(case_pairs *pairs, const char *left, const char *right, sr_error *error)
{
    name_table users = {.bytes = NULL}, items = {.bytes = NULL};
    case_table tables[2] = {{.rows = NULL}, {.rows = NULL}};
    *pairs = (case_pairs){.pairs = NULL};
    sr_status status = names_create(&users, error);
    if (status == SR_OK)
        status = names_create(&items, error);
    if (status == SR_OK)
        status = case_table_read(&tables[0], left, &users, &items, error);
    if (status == SR_OK)
        status = case_table_read(&tables[1], right, &users, &items, error);
    if (status == SR_OK)
        status = pair_tables(pairs, &tables[0], &tables[1], &users, error);
    case_table_free(&tables[0]);
    case_table_free(&tables[1]);
    names_free(&users);
    names_free(&items);
    return status;
}

void case_pairs_free(case_pairs *pairs)
{
    free(pairs->pairs);
    pairs->pairs = NULL;
}

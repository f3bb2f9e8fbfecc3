#include "evaluate/case_cursor.h"

#include "base/sizes.h"

/* Interactions [*begin, end) of the next user are held out; returns how many are left of them. */
static size_t cases_of_user(const case_cursor *cursor, size_t *begin)
{
    const sr_sequence sequence = sr_dataset_sequence(cursor->dataset, cursor->user);
    const bool valid = cursor->split == SR_SPLIT_VALID;
    *begin = (valid ? sequence.train_end : sequence.valid_end) + cursor->done;
    return (valid ? sequence.valid_end : sequence.length) - *begin;
}

static void go_on(case_cursor *cursor, size_t count, size_t left)
{
    cursor->number += count;
    cursor->done += count;
    if (count == left) {
        ++cursor->user;
        cursor->done = 0;
    }
}

static void pass_over(case_cursor *cursor, size_t count)
{
    const size_t users = sr_dataset_users(cursor->dataset);
    while (count > 0 && cursor->user < users) {
        size_t begin;
        const size_t left = cases_of_user(cursor, &begin), passed = smaller(left, count);
        go_on(cursor, passed, left);
        count -= passed;
    }
}

case_cursor case_cursor_at(const sr_evaluation *evaluation, size_t own, size_t members)
{
    const size_t batch = (size_t)evaluation->settings->batch_size;
    case_cursor cursor = {
        .dataset = evaluation->dataset, .split = evaluation->split, .batch = batch, .others = (members - 1) * batch};
    pass_over(&cursor, own * batch);
    return cursor;
}

size_t case_cursor_take(case_cursor *cursor, test_case *cases, uint64_t *first)
{
    const size_t users = sr_dataset_users(cursor->dataset);
    size_t count = 0;
    *first = cursor->number;
    while (count < cursor->batch && cursor->user < users) {
        size_t at;
        const size_t user = cursor->user, left = cases_of_user(cursor, &at), taken = smaller(left, cursor->batch - count);
        go_on(cursor, taken, left);
        for (const size_t end = at + taken; at < end; ++at)
            cases[count++] = (test_case){.user = user, .at = at};
    }
    pass_over(cursor, cursor->others);
    return count;
}

/* Lines "user item item ...", and lines "user item": words separated by spaces or tabs, already in order. */
#include "reader.h"

static const char blanks[] = " \t";

/* Adds "user item item ..."; with `exactly_one` there must be one item, otherwise it must be the user's only line. */
static sr_status add_line(const lines *file, const char *line, bool exactly_one, interactions *all, sr_error *error)
{
    const char *at = line, *item;
    size_t user_length, item_length, items = 0;
    const char *user = lines_word(&at, blanks, &user_length);
    if (!user)
        return lines_fail(file, NULL, error, "the line is empty, expected a user and %s", exactly_one ? "an item" : "items");
    const uint32_t known_users = all->users.count;
    SR_TRY(lines_check_identifier(file, line, "user", user_length, error));
    while ((item = lines_word(&at, blanks, &item_length))) {
        if (exactly_one && items == 1)
            return lines_fail(file, line, error, "found more than two words, expected \"user item\"");
        SR_TRY(lines_check_identifier(file, line, "item", item_length, error));
        SR_TRY(interactions_add(all, user, user_length, item, item_length, 0, 0, error));
        ++items;
    }
    if (items == 0)
        return lines_fail(file, line, error, "found a user without any item");
    if (!exactly_one && all->users.count == known_users)
        return lines_fail(file, line, error, "user \"%.*s\" has had a line before, expected one line a user", (int)user_length,
                          user);
    return SR_OK;
}

static sr_status read_lines(lines *file, bool exactly_one, interactions *all, sr_error *error)
{
    char *line;
    for (;;) {
        SR_TRY(lines_next(file, &line, error));
        if (!line)
            return SR_OK;
        ++all->lines;
        SR_TRY(add_line(file, line, exactly_one, all, error));
    }
}

sr_status read_sequences(lines *file, const reader_options *options, interactions *all, sr_error *error)
{
    (void)options;
    return read_lines(file, false, all, error);
}

sr_status read_pairs(lines *file, const reader_options *options, interactions *all, sr_error *error)
{
    (void)options;
    return read_lines(file, true, all, error);
}

#include "evaluate/item_lists.h"

#include "base/lines.h"
#include "base/names.h"
#include "base/shown.h"
#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Different words of a file, and the item that each names; 0: none. */
typedef struct {
    name_table words;
    int32_t *items; /* [words] */
} item_words;

static void free_words(item_words *words)
{
    names_free(&words->words);
    free(words->items);
}

/* One pass over the identifiers of all items. */
static sr_status find_items(item_words *words, const sr_item_names *names, item_lists_report *report, sr_error *error)
{
    enum { ENTRIES = 4, SIZE = 44 };
    size_t used = 0;
    SR_TRY(SR_ALLOCATE_ZERO(&words->items, words->words.count, "items of lists", error));
    for (size_t item = 1; item <= sr_item_names_count(names); ++item) {
        size_t length;
        const char *name = sr_item_name(names, item, &length);
        const uint32_t number = names_find(&words->words, name, length);
        if (number != NAMES_NONE)
            words->items[number] = (int32_t)item;
    }
    *report = (item_lists_report){.named = words->words.count};
    for (uint32_t number = 0; number < words->words.count; ++number) {
        if (words->items[number])
            continue;
        if (report->unknown < ENTRIES) {
            const identifier word = names_get(&words->words, number);
            char shown[SIZE];
            shown_text(word.bytes, word.length, shown, sizeof shown);
            used += (size_t)snprintf(report->shown + used, sizeof report->shown - used, "%s\"%s\"", used ? ", " : "", shown);
        } else if (report->unknown == ENTRIES) {
            snprintf(report->shown + used, sizeof report->shown - used, ", ...");
        }
        ++report->unknown;
    }
    return SR_OK;
}

static sr_status check_some_known(const char *path, const sr_item_names *names, const item_lists_report *report,
                                  sr_error *error)
{
    if (report->named == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s names no items", path);
    if (report->unknown < report->named)
        return SR_OK;
    return sr_fail(error, SR_ERROR_DATA, "%s: none of its items is in %s: %s", path, sr_item_names_origin(names),
                   report->shown);
}

/* ---- marks ---- */

sr_status item_marks_read(const char *path, const sr_item_names *names, bool needs_one, uint8_t *marks,
                          item_lists_report *report, sr_error *error)
{
    item_words words = {.items = NULL};
    sr_status status = names_create(&words.words, error);
    if (status == SR_OK)
        status = names_read(&words.words, path, error);
    if (status == SR_OK)
        status = find_items(&words, names, report, error);
    if (status == SR_OK && needs_one)
        status = check_some_known(path, names, report, error);
    for (uint32_t number = 0; status == SR_OK && number < words.words.count; ++number)
        if (words.items[number])
            marks[words.items[number]] = 1;
    free_words(&words);
    return status;
}

/* ---- candidates ---- */

/* While lines are read, `items` has numbers of words; then of items. */
struct candidate_lists {
    name_table users;
    size_t *ends; /* [users]: the list of user u is items[ends[u - 1] .. ends[u]) (0 for u = 0) */
    int32_t *items;
    bool *used; /* [users] */
    size_t ends_room, items_room, count;
    sr_user_source source; /* of the users */
};

static int compare_items(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return a < b ? -1 : a > b;
}

static sr_status read_line(candidate_lists *lists, item_words *words, const lines *file, const char *line, sr_error *error)
{
    const char *separators = strchr(line, '\t') ? "\t" : " ", *at = line, *word;
    size_t length;
    uint32_t number;
    const char *user = lines_word(&at, separators, &length);
    if (!user)
        return lines_fail(file, NULL, error, "the line is empty, expected a user and items");
    const size_t before = lists->users.count;
    SR_TRY(names_number(&lists->users, user, length, &number, error));
    if (number < before)
        return lines_fail(file, line, error, "user \"%.*s\" has line %u already, expected one line a user", (int)length, user,
                          number + 1);
    while ((word = lines_word(&at, separators, &length))) {
        SR_TRY(names_number(&words->words, word, length, &number, error));
        SR_TRY(SR_GROW(&lists->items, &lists->items_room, lists->count + 1, "candidates", error));
        lists->items[lists->count++] = (int32_t)number;
    }
    SR_TRY(SR_GROW(&lists->ends, &lists->ends_room, lists->users.count, "candidates", error));
    lists->ends[lists->users.count - 1] = lists->count;
    return SR_OK;
}

static sr_status read_lines(candidate_lists *lists, item_words *words, const char *path, sr_error *error)
{
    lines *file;
    const char *line;
    sr_status status;
    SR_TRY(lines_open(&file, path, error));
    while ((status = lines_next(file, &line, error)) == SR_OK && line)
        if ((status = read_line(lists, words, file, line, error)) != SR_OK)
            break;
    lines_close(file);
    return status;
}

/* From words to different known items, ascending. */
static void use_items(candidate_lists *lists, const item_words *words)
{
    size_t begin = 0, kept = 0;
    for (size_t user = 0; user < lists->users.count; ++user) {
        const size_t first = kept, end = lists->ends[user];
        for (size_t i = begin; i < end; ++i)
            if (words->items[lists->items[i]])
                lists->items[kept++] = words->items[lists->items[i]];
        if (kept > first)
            qsort(lists->items + first, kept - first, sizeof *lists->items, compare_items);
        size_t different = first;
        for (size_t i = first; i < kept; ++i)
            if (different == first || lists->items[i] != lists->items[different - 1])
                lists->items[different++] = lists->items[i];
        kept = different;
        begin = end;
        lists->ends[user] = kept;
    }
}

static sr_status fill(candidate_lists *lists, const char *path, const sr_item_names *names, item_lists_report *report,
                      sr_error *error)
{
    item_words words = {.items = NULL};
    sr_status status = names_create(&lists->users, error);
    if (status == SR_OK)
        status = names_create(&words.words, error);
    if (status == SR_OK)
        status = read_lines(lists, &words, path, error);
    if (status == SR_OK)
        status = find_items(&words, names, report, error);
    if (status == SR_OK)
        status = check_some_known(path, names, report, error);
    if (status == SR_OK)
        use_items(lists, &words);
    free_words(&words);
    return status == SR_OK ? SR_ALLOCATE_ZERO(&lists->used, lists->users.count, "candidates", error) : status;
}

sr_status candidate_lists_read(candidate_lists **lists, const char *path, const sr_item_names *names, item_lists_report *report,
                               sr_error *error)
{
    candidate_lists *made;
    *lists = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "candidates", error));
    const sr_status status = fill(made, path, names, report, error);
    if (status == SR_OK)
        *lists = made;
    else
        candidate_lists_free(made);
    return status;
}

void candidate_lists_free(candidate_lists *lists)
{
    if (!lists)
        return;
    names_free(&lists->users);
    free(lists->ends);
    free(lists->items);
    free(lists->used);
    free(lists);
}

static sr_status next_user(void *context, sr_recommended_user *user, sr_error *error)
{
    candidate_lists *lists = context;
    for (;;) {
        *user = (sr_recommended_user){.name = NULL};
        SR_TRY(lists->source.next(lists->source.context, user, error));
        if (!user->name)
            return SR_OK;
        const uint32_t number = names_find(&lists->users, user->name, user->name_length);
        if (number == NAMES_NONE)
            continue;
        const size_t begin = number ? lists->ends[number - 1] : 0;
        lists->used[number] = true;
        user->candidates = lists->items + begin;
        user->candidate_count = lists->ends[number] - begin;
        return SR_OK;
    }
}

sr_user_source candidate_lists_source(candidate_lists *lists, const sr_user_source *users)
{
    sr_user_source source = *users;
    source.has_candidates = true;
    if (lists) {
        lists->source = *users;
        source.context = lists;
    }
    source.next = next_user;
    return source;
}

size_t candidate_lists_unused(const candidate_lists *lists)
{
    size_t unused = 0;
    for (size_t user = 0; user < lists->users.count; ++user)
        unused += !lists->used[user];
    return unused;
}

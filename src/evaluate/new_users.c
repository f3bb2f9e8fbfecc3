#include "evaluate/new_users.h"

#include "base/lines.h"
#include "base/names.h"
#include "base/shown.h"
#include "srtrain/memory.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct new_users {
    const char *path;
    bool keeps_empty;
    bool has_times; /* words are ITEM:TIME */
    const sr_item_names *names;
    uint64_t memory;     /* that `words` may take */
    lines *ahead;        /* reads the words of the lines that come; NULL at the end */
    size_t known_lines;  /* up to this one all words of the file are in the table */
    size_t first_line;   /* from this one on */
    name_table words;    /* of these lines */
    int32_t *word_items; /* [words]: the item that has this identifier, or 0 */
    new_users_report report;
    lines *file;
    int32_t *items; /* of the line read last, [room] */
    int64_t *times; /* [time_room], where there are times */
    size_t length, room, time_room;
};

const new_users_report *new_users_found(const new_users *users)
{
    return &users->report;
}

/* ---- words of the lines that come ---- */

/* A line with a tab is separated by tabs. */
static const char *separators_of(const char *line)
{
    return strchr(line, '\t') ? "\t" : " ";
}

/* The length of the item in a word ITEM:TIME, where words have times; 0 where there is no such colon. */
static size_t item_length(const new_users *users, const char *word, size_t length)
{
    if (!users->has_times)
        return length;
    const char *colon = memrchr(word, ':', length);
    return colon ? (size_t)(colon - word) : 0;
}

static sr_status take_words(new_users *users, const char *line, sr_error *error)
{
    const char *separators = separators_of(line), *at = line, *item;
    const size_t longest = sr_item_names_width(users->names);
    size_t length;
    uint32_t number;
    (void)lines_word(&at, separators, &length); /* the user */
    while ((item = lines_word(&at, separators, &length)))
        if ((length = item_length(users, item, length)) > 0 && length <= longest)
            SR_TRY(names_number(&users->words, item, length, &number, error));
    return SR_OK;
}

/* Takes words of as many lines as there is memory for, of one at least. */
static sr_status read_ahead(new_users *users, sr_error *error)
{
    do {
        const char *line;
        SR_TRY(lines_next(users->ahead, &line, error));
        if (!line) {
            lines_close(users->ahead);
            users->ahead = NULL;
            users->known_lines = SIZE_MAX;
            return SR_OK;
        }
        users->known_lines = lines_number(users->ahead);
        SR_TRY(take_words(users, line, error));
    } while (names_memory(&users->words) < users->memory);
    return SR_OK;
}

/* One pass over the identifiers of all items. */
static sr_status find_items(const new_users *users, sr_error *error)
{
    enum { AT_ONCE = 1 << 22 };
    const sr_item_names *names = users->names;
    for (size_t item = 1; item <= sr_item_names_count(names); ++item) {
        size_t length;
        const char *name = sr_item_name(names, item, &length);
        const uint32_t number = names_find(&users->words, name, length);
        if (item % AT_ONCE == 0)
            sr_item_names_let_go(names);
        if (number == NAMES_NONE)
            continue;
        if (users->word_items[number])
            return sr_fail(error, SR_ERROR_DATA, "%s: items %d and %zu have the same identifier \"%.*s\"",
                           sr_item_names_origin(names), (int)users->word_items[number], item, (int)length, name);
        users->word_items[number] = (int32_t)item;
    }
    return SR_OK;
}

static sr_status know_next_lines(new_users *users, sr_error *error)
{
    free(users->word_items);
    users->word_items = NULL;
    users->first_line = users->known_lines + 1;
    SR_TRY(names_clear(&users->words, error));
    SR_TRY(read_ahead(users, error));
    SR_TRY(SR_ALLOCATE_ZERO(&users->word_items, (size_t)users->words.count + 1, "the items of histories", error));
    return users->words.count > 0 ? find_items(users, error) : SR_OK;
}

/* The next line, whose words are known; NULL at the end. */
static sr_status next_line(new_users *users, const char **line, sr_error *error)
{
    SR_TRY(lines_next(users->file, line, error));
    return *line && lines_number(users->file) > users->known_lines ? know_next_lines(users, error) : SR_OK;
}

/* Goes to the beginning of the file. Words are known already if all lines are. */
static sr_status begin_reading(new_users *users, sr_error *error)
{
    lines_close(users->file);
    users->file = NULL;
    SR_TRY(lines_open(&users->file, users->path, error));
    if (users->first_line == 1 && users->known_lines == SIZE_MAX)
        return SR_OK;
    lines_close(users->ahead);
    users->ahead = NULL;
    users->known_lines = 0;
    return lines_open(&users->ahead, users->path, error);
}

/* ---- one line ---- */

/* What a line says besides the known items, which go to users->items. */
typedef struct {
    const char *name;
    size_t name_length;
    size_t unknown;
    const char *first_unknown;
    size_t first_unknown_length;
} parsed_line;

static sr_status add_item(new_users *users, int32_t item, int64_t time, sr_error *error)
{
    if (users->has_times) {
        SR_TRY(SR_GROW(&users->times, &users->time_room, users->length + 1, "a history", error));
        users->times[users->length] = time;
    }
    SR_TRY(SR_GROW(&users->items, &users->room, users->length + 1, "a history", error));
    users->items[users->length++] = item;
    return SR_OK;
}

/* The whole number behind the item of a word; words are in the order of time. */
static sr_status parse_time(const new_users *users, const char *line, const char *word, size_t length, int64_t *time,
                            sr_error *error)
{
    const size_t item = item_length(users, word, length);
    char text[32] = "", *end = text;
    errno = 0;
    if (item > 0 && length - item - 1 < sizeof text) {
        memcpy(text, word + item + 1, length - item - 1);
        *time = strtoll(text, &end, 10);
    }
    if (end == text || *end || errno || isspace((unsigned char)*text))
        return lines_fail(users->file, line, error,
                          "\"%.*s\" has no time, which the model needs: expected words ITEM:TIME with whole numbers as in the "
                          "data set",
                          length < 60 ? (int)length : 60, word);
    return SR_OK;
}

static sr_status parse_line(new_users *users, const char *line, parsed_line *parsed, sr_error *error)
{
    const char *separators = separators_of(line), *at = line, *item;
    size_t length;
    int64_t time = INT64_MIN, before = INT64_MIN;
    *parsed = (parsed_line){.unknown = 0};
    users->length = 0;
    parsed->name = lines_word(&at, separators, &parsed->name_length);
    if (!parsed->name)
        return lines_fail(users->file, NULL, error, "the line is empty, expected a user and items");
    SR_TRY(lines_check_identifier(users->file, line, "user", parsed->name_length, error));
    while ((item = lines_word(&at, separators, &length))) {
        if (users->has_times) {
            SR_TRY(parse_time(users, line, item, length, &time, error));
            length = item_length(users, item, length);
            if (time < before)
                return lines_fail(users->file, line, error, "time %lld stands behind %lld, expected the oldest item first",
                                  (long long)time, (long long)before);
            before = time;
        }
        const uint32_t number = names_find(&users->words, item, length);
        const int32_t known = number == NAMES_NONE ? 0 : users->word_items[number];
        if (known) {
            SR_TRY(add_item(users, known, time, error));
        } else if (parsed->unknown++ == 0) {
            parsed->first_unknown = item;
            parsed->first_unknown_length = length;
        }
    }
    return SR_OK;
}

/* ---- the first reading ---- */

/* Appends `"name" (line N)` to a list that `before` entries have been meant for; the list and the name are cut, and what no
 * terminal should be sent becomes a question mark. */
static void show(char *text, size_t before, const char *name, size_t length, size_t line)
{
    enum { ENTRIES = 4, SIZE = 44 };
    char shown[SIZE];
    const size_t used = strlen(text);
    if (before >= ENTRIES) {
        if (before == ENTRIES)
            snprintf(text + used, NEW_USERS_SHOWN_SIZE - used, ", ...");
        return;
    }
    shown_text(name, length, shown, sizeof shown);
    snprintf(text + used, NEW_USERS_SHOWN_SIZE - used, "%s\"%s\" (line %zu)", before ? ", " : "", shown, line);
}

static void count_line(new_users *users, const parsed_line *parsed)
{
    new_users_report *report = &users->report;
    const size_t line = lines_number(users->file);
    ++report->users;
    report->interactions += users->length + parsed->unknown;
    report->unknown += parsed->unknown;
    if (parsed->unknown)
        show(report->unknown_shown, report->unknown_lines++, parsed->first_unknown, parsed->first_unknown_length, line);
    if (users->length == 0)
        show(report->empty_shown, report->empty++, parsed->name, parsed->name_length, line);
    if (parsed->name_length > report->longest_name)
        report->longest_name = parsed->name_length;
}

/* Every line has one user, so that the number of a user's name is that of the line, counted from 0. */
static sr_status check_lines(new_users *users, name_table *names, sr_error *error)
{
    for (;;) {
        const char *line;
        parsed_line parsed;
        uint32_t number;
        SR_TRY(next_line(users, &line, error));
        if (!line)
            break;
        SR_TRY(parse_line(users, line, &parsed, error));
        SR_TRY(names_number(names, parsed.name, parsed.name_length, &number, error));
        if ((size_t)number + 1 != lines_number(users->file))
            return lines_fail(users->file, line, error, "user \"%.*s\" has line %zu already, expected one line a user",
                              (int)parsed.name_length, parsed.name, (size_t)number + 1);
        count_line(users, &parsed);
    }
    if (users->report.users == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s is empty, expected lines \"user item item ...\"", users->path);
    if (users->report.empty == users->report.users && !users->keeps_empty)
        return sr_fail(
            error, SR_ERROR_DATA,
            "%s: none of its items is in the data set: %s; words are separated by blanks, or by tabs in a line with a tab",
            users->path, users->report.unknown_shown);
    return SR_OK;
}

static sr_status check_file(new_users *users, sr_error *error)
{
    name_table names;
    sr_status status = names_create(&names, error);
    if (status == SR_OK)
        status = check_lines(users, &names, error);
    names_free(&names);
    return status;
}

/* ---- opening ---- */

static sr_status check_kind(const char *path, sr_error *error)
{
    struct stat information;
    if (stat(path, &information) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(information.st_mode))
        return sr_fail(error, SR_ERROR_USAGE, "%s is no regular file, which histories have to stand in: it is read twice",
                       path);
    return SR_OK;
}

static sr_status open_users(new_users *users, sr_error *error)
{
    SR_TRY(check_kind(users->path, error));
    SR_TRY(names_create(&users->words, error));
    SR_TRY(begin_reading(users, error));
    SR_TRY(check_file(users, error));
    return begin_reading(users, error);
}

sr_status new_users_open(new_users **opened, const new_users_request *request, sr_error *error)
{
    new_users *users;
    *opened = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&users, 1, "new users", error));
    users->path = request->path;
    users->keeps_empty = request->keeps_empty;
    users->has_times = request->has_times;
    users->names = request->names;
    users->memory = request->memory;
    const sr_status status = open_users(users, error);
    if (status == SR_OK)
        *opened = users;
    else
        new_users_close(users);
    return status;
}

void new_users_close(new_users *users)
{
    if (!users)
        return;
    lines_close(users->file);
    lines_close(users->ahead);
    names_free(&users->words);
    free(users->word_items);
    free(users->items);
    free(users->times);
    free(users);
}

/* ---- the second reading ---- */

sr_status new_users_next(void *context, sr_recommended_user *user, sr_error *error)
{
    new_users *users = context;
    parsed_line parsed;
    do {
        const char *line;
        SR_TRY(next_line(users, &line, error));
        if (!line)
            return SR_OK;
        SR_TRY(parse_line(users, line, &parsed, error));
        if (parsed.name_length > users->report.longest_name)
            return lines_fail(users->file, NULL, error, "the file has changed while it was read");
    } while (users->length == 0 && !users->keeps_empty);
    user->name = parsed.name;
    user->name_length = parsed.name_length;
    user->items = users->items;
    user->times = users->times;
    user->length = users->length;
    return SR_OK;
}

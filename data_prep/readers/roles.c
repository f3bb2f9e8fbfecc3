/* What --columns and --where say. */
#include "reading.h"

#include <string.h>

const char *const role_names[ROLES] = {"user", "item", "time", "rating"};

/* ---- --columns ---- */

static sr_status check_roles_differ(const char *columns, const column_texts *texts, sr_error *error)
{
    const char *given[2 * ROLES];
    for (size_t i = 0; i < ROLES; ++i) {
        given[i] = texts->one[i];
        given[ROLES + i] = texts->list[i];
    }
    for (size_t i = 0; i < 2 * ROLES; ++i)
        for (size_t j = 0; j < i; ++j)
            if (*given[i] && strcmp(given[i], given[j]) == 0)
                return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %s%s= and %s%s= are the same column", columns,
                               role_names[j % ROLES], j < ROLES ? "" : "s", role_names[i % ROLES], i < ROLES ? "" : "s");
    return SR_OK;
}

/* Where the text of a role goes, or of its list: "item" or "items". NULL if there is none of this name. */
static char *place_of(column_texts *texts, const char *name, size_t length, bool takes_lists)
{
    for (size_t i = 0; i < ROLES; ++i) {
        const size_t own = strlen(role_names[i]);
        if (length < own || strncmp(role_names[i], name, own) != 0)
            continue;
        if (length == own)
            return texts->one[i];
        if (takes_lists && i != USER && length == own + 1 && name[own] == 's')
            return texts->list[i];
    }
    return NULL;
}

/* Reads one "role=column" of `length` bytes. */
static sr_status read_role(const char *columns, const char *at, size_t length, bool takes_lists, column_texts *texts,
                           sr_error *error)
{
    const char *equals = memchr(at, '=', length);
    char *place = equals ? place_of(texts, at, (size_t)(equals - at), takes_lists) : NULL;
    const size_t size = equals ? (size_t)(at + length - equals) : 0; /* with the zero behind it */
    if (!place || size == 1 || size > READER_NAME_SIZE)
        return sr_fail(error, SR_ERROR_USAGE,
                       "--columns: \"%.*s\": allowed are user=, item=, time= and rating=%s, each with a "
                       "column",
                       (int)length, at, takes_lists ? ", and items=, times= and ratings= of lists" : "");
    if (*place)
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %.*s= stands there twice", columns, (int)(equals - at), at);
    memcpy(place, equals + 1, size - 1);
    return SR_OK;
}

static sr_status check_lists(const char *columns, const column_texts *texts, sr_error *error)
{
    for (size_t i = TIME; i <= RATING; ++i) {
        if (*texts->list[i] && !*texts->list[ITEM])
            return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %ss= needs items=, whose list it goes with", columns,
                           role_names[i]);
        if (*texts->list[i] && *texts->one[ITEM] && !*texts->one[i])
            return sr_fail(error, SR_ERROR_USAGE, "--columns %s: %ss= is that of items=; item= needs %s=, too", columns,
                           role_names[i], role_names[i]);
    }
    return SR_OK;
}

sr_status reading_roles(const reader_options *options, bool takes_lists, const char *const *defaults, column_texts *texts,
                        sr_error *error)
{
    const char *columns = options->columns ? options->columns : "";
    memset(texts, 0, sizeof *texts);
    for (const char *at = options->columns, *comma; at; at = comma ? comma + 1 : NULL) {
        comma = strchr(at, ',');
        SR_TRY(read_role(columns, at, comma ? (size_t)(comma - at) : strlen(at), takes_lists, texts, error));
    }
    if (options->no_user && *texts->one[USER])
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: with --no-user each line is a user; leave user= out", columns);
    for (size_t i = 0; i < ROLES && defaults; ++i)
        if (!*texts->one[i] && !*texts->list[i] && !(i == USER && options->no_user))
            strcpy(texts->one[i], defaults[i]);
    if (!*texts->one[USER] && !options->no_user)
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: user= and item= are needed; with --no-user each line is a user",
                       columns);
    if (!*texts->one[ITEM] && !*texts->list[ITEM])
        return sr_fail(error, SR_ERROR_USAGE, "--columns %s: user= and item= are needed", columns);
    SR_TRY(check_lists(columns, texts, error));
    return check_roles_differ(columns, texts, error);
}

/* ---- --where ---- */

sr_status where_parse(const char *text, chosen_values *to, sr_error *error)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals - text >= READER_NAME_SIZE)
        return sr_fail(error, SR_ERROR_USAGE, "--where %s: expected COLUMN=VALUE or COLUMN=VALUE,VALUE", text);
    *to = (chosen_values){.column = SIZE_MAX};
    memcpy(to->name, text, (size_t)(equals - text));
    for (const char *at = equals + 1, *comma; at; at = comma ? comma + 1 : NULL) {
        if (to->count == READER_WHERE_VALUES)
            return sr_fail(error, SR_ERROR_USAGE, "--where %s: allowed are at most %d values", text, READER_WHERE_VALUES);
        comma = strchr(at, ',');
        to->values[to->count++] = (field){at, comma ? (size_t)(comma - at) : strlen(at)};
    }
    return SR_OK;
}

bool where_has(const chosen_values *chosen, field value)
{
    for (size_t i = 0; i < chosen->count; ++i)
        if (chosen->values[i].length == value.length && memcmp(chosen->values[i].text, value.text, value.length) == 0)
            return true;
    return false;
}

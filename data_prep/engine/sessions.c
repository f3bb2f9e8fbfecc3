#include "engine/sessions.h"

#include "base/lines.h"
#include "engine/users.h"

#include <stdio.h>

typedef struct {
    const gathered *g;
    uint64_t gap;
    store_reader names;
    store_writer to; /* names of sessions */
    uint64_t next_user;
    uint64_t sessions;
} cutting;

/* Users come in the order of their numbers, like their identifiers. The bytes stay until the next one. */
static sr_status read_name(cutting *c, uint32_t user, identifier *name, sr_error *error)
{
    do {
        const char *bytes;
        SR_TRY(reader_take(&c->names, NAME_HEADER, &bytes, error));
        *name = name_at(bytes);
        SR_TRY(reader_take(&c->names, name->length, &name->bytes, error));
    } while (c->next_user++ < user);
    return SR_OK;
}

static sr_status put_session(cutting *c, const identifier *user, uint64_t number, sr_error *error)
{
    char ending[24];
    const uint16_t added = (uint16_t)snprintf(ending, sizeof ending, "#%llu", (unsigned long long)number);
    const uint16_t length = (uint16_t)(user->length + added);
    if (length > LINES_IDENTIFIER_MAXIMUM)
        return sr_fail(
            error, SR_ERROR_DATA,
            "--session-gap: user \"%.40s...\" has an identifier of %u bytes, which leaves no room for the number of a "
            "session; allowed are %d bytes for both",
            user->bytes, (unsigned)user->length, LINES_IDENTIFIER_MAXIMUM);
    ++c->sessions;
    SR_TRY(writer_put(&c->to, &user->hash, sizeof user->hash, error));
    SR_TRY(writer_put(&c->to, &length, sizeof length, error));
    SR_TRY(writer_put(&c->to, user->bytes, user->length, error));
    return writer_put(&c->to, ending, added, error);
}

static sr_status cut_user(void *context, event *events, size_t *count, sr_error *error)
{
    cutting *c = context;
    identifier name;
    uint64_t number = 0;
    SR_TRY(read_name(c, events->user, &name, error));
    if (c->sessions + *count >= INT32_MAX)
        return sr_fail(error, SR_ERROR_DATA,
                       "--session-gap: there are more than %d sessions, which is the most that are possible", INT32_MAX - 1);
    for (size_t i = 0; i < *count; ++i) {
        if (i == 0 || (uint64_t)events[i].time - (uint64_t)events[i - 1].time > c->gap)
            SR_TRY(put_session(c, &name, ++number, error));
        events[i].user = (uint32_t)(c->sessions - 1);
    }
    return SR_OK;
}

/* `names` are those of the sessions, in memory if those of the users are. */
static sr_status cut_all(const workplace *place, gathered *g, cutting *c, store *names, sr_error *error)
{
    enum { BUFFER = 1 << 16 };
    SR_TRY(reader_begin(&c->names, &g->users, 0, g->users.size, BUFFER, error));
    sr_status status = writer_begin(&c->to, names, 0, BUFFER, error);
    if (status == SR_OK)
        status = for_each_user(place, g, cut_user, c, true, error);
    status = writer_end(&c->to, status, error);
    reader_end(&c->names);
    return status;
}

sr_status sessions_cut(workplace *place, gathered *g, int64_t gap, uint64_t *sessions, sr_error *error)
{
    cutting c = {.g = g, .gap = (uint64_t)gap};
    store names = {.descriptor = -1};
    sr_status status = g->users.descriptor < 0 ? SR_OK : workplace_store(place, &names, "sessions", false, error);
    if (status == SR_OK)
        status = cut_all(place, g, &c, &names, error);
    status = sr_parallel_agree(place->parallel, status, error);
    int64_t all = (int64_t)c.sessions;
    if (status == SR_OK)
        status = sr_parallel_sum_int64(place->parallel, &all, 1, error);
    if (status == SR_OK && all >= INT32_MAX)
        status = sr_fail(error, SR_ERROR_DATA, "--session-gap: there are %lld sessions, of which at most %d are possible",
                         (long long)all, INT32_MAX - 1);
    if (status != SR_OK) {
        store_close(&names);
        return status;
    }
    store_close(&g->users);
    g->users = names;
    g->user_count = c.sessions;
    *sessions = (uint64_t)all;
    return SR_OK;
}

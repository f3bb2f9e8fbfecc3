#include "engine/gather.h"

#include "base/heap.h"
#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* A run of any rank; `bounds` are those of the part that is for this rank, and of the one after it. */
typedef struct {
    size_t owner;
    const run_bounds *bounds; /* [ranks + 1] */
} run;

typedef struct {
    workplace *place;
    run *runs;
    size_t count, first_own, own; /* runs; those that this rank has written */
    run_bounds *bounds;           /* of all runs */
    store *files;                 /* [ranks]: those open at the moment */
} merge;

static void free_merge(merge *m)
{
    free(m->runs);
    free(m->bounds);
    free(m->files);
}

static void close_files(store *files, size_t ranks)
{
    for (size_t rank = 0; rank < ranks; ++rank)
        store_close(&files[rank]);
}

/* The files of the other ranks: this rank has its own open, which has no name when it is the only rank. */
static sr_status open_files(const merge *m, const char *file, store *files, sr_error *error)
{
    for (size_t rank = 0; rank < m->place->ranks; ++rank)
        files[rank] = (store){.descriptor = -1};
    for (size_t rank = 0; rank < m->place->ranks; ++rank)
        if (rank != m->place->rank)
            SR_TRY(workplace_open_store(m->place, &files[rank], file, rank, error));
    return SR_OK;
}

/* ---- merging ---- */

/* What a merge of runs needs beside its sources. */
typedef struct {
    size_t *order;   /* [sources] of the heap */
    store *maps;     /* [ranks]: files of the numbers of identifiers, those open at the moment */
    store_writer to; /* what is merged */
    bool opened;
} merge_space;

/* Of as many sources. */
static sr_status begin_merge(merge *m, size_t sources, store *merged, merge_space *space, sr_error *error)
{
    *space = (merge_space){.order = NULL};
    SR_TRY(SR_ALLOCATE(&space->order, sources, "merging", error));
    SR_TRY(SR_ALLOCATE(&space->maps, m->place->ranks, "merging", error));
    for (size_t rank = 0; rank < m->place->ranks; ++rank)
        space->maps[rank] = m->files[rank] = (store){.descriptor = -1};
    SR_TRY(writer_begin(&space->to, merged, 0, 1 << 18, error));
    space->opened = true;
    return SR_OK;
}

/* Completes what is merged, unless it has failed with `status`. The sources have been ended. */
static sr_status end_merge(merge *m, merge_space *space, sr_status status, sr_error *error)
{
    status = writer_end(&space->to, status, error);
    if (space->opened) {
        close_files(m->files, m->place->ranks);
        close_files(space->maps, m->place->ranks);
    }
    free(space->order);
    free(space->maps);
    return status;
}

/* Writes the head of a source and reads the one behind it; *more is false when there is none. */
typedef sr_status advance_function(void *context, size_t source, bool *more, sr_error *error);

static sr_status merge_heads(heap *h, advance_function *advance, void *context, sr_error *error)
{
    heap_build(h);
    while (h->count > 0) {
        bool more;
        SR_TRY(advance(context, *(const size_t *)h->elements, &more, error));
        if (more)
            heap_settle(h, 0);
        else
            heap_drop(h);
    }
    return SR_OK;
}

/* ---- identifiers ---- */

/* The identifiers of a run: read in order, and a number written for each. Or a run of the list of items that are kept. */
typedef struct {
    store_reader in;
    store_writer out;
    identifier head;
    uint64_t left;
    bool is_list;
} name_source;

/* The number of an item that a list leaves out. */
#define NOT_LISTED UINT32_MAX

static bool name_before(const void *context, const void *left, const void *right)
{
    const name_source *sources = context, *l = &sources[*(const size_t *)left], *r = &sources[*(const size_t *)right];
    const int order = name_compare(&l->head, &r->head);
    return order != 0 ? order < 0 : l->is_list && !r->is_list; /* the list says first whether it has an identifier */
}

/* Reads the head. The bytes of an identifier stay where they are until the next one is read. */
static sr_status next_name(name_source *s, sr_error *error)
{
    const char *header, *bytes;
    SR_TRY(reader_take(&s->in, NAME_HEADER, &header, error));
    const identifier n = name_at(header);
    SR_TRY(reader_take(&s->in, n.length, &bytes, error));
    s->head = (identifier){n.hash, n.length, bytes};
    return SR_OK;
}

static sr_status put_name(store_writer *to, const identifier *n, sr_error *error)
{
    SR_TRY(writer_put(to, &n->hash, sizeof n->hash, error));
    SR_TRY(writer_put(to, &n->length, sizeof n->length, error));
    return writer_put(to, n->bytes, n->length, error);
}

/* The distinct identifiers of all sources, numbered from 0 in the order of name_compare(). With a list only those in it are. */
typedef struct {
    name_source *sources;
    store_writer *to;
    uint64_t count;
    bool has_list, begun;
    bool is_kept, has_number; /* the last one: whether it is to have a number, and has it */
    identifier last;
    char last_bytes[UINT16_MAX];
} name_merge;

static void begin_name(name_merge *names, const name_source *from)
{
    memcpy(names->last_bytes, from->head.bytes, from->head.length);
    names->last = (identifier){from->head.hash, from->head.length, names->last_bytes};
    names->begun = true;
    names->is_kept = !names->has_list || from->is_list;
    names->has_number = false;
}

static sr_status give_number(name_merge *names, sr_error *error)
{
    if (names->count >= INT32_MAX - 1)
        return sr_fail(error, SR_ERROR_DATA, "more than %d (2^31 - 2) users or items have the same owner", INT32_MAX - 1);
    ++names->count;
    names->has_number = true;
    return put_name(names->to, &names->last, error);
}

static sr_status advance_name(void *context, size_t source, bool *more, sr_error *error)
{
    name_merge *names = context;
    name_source *from = &names->sources[source];
    if (!names->begun || name_compare(&from->head, &names->last) != 0)
        begin_name(names, from);
    if (!from->is_list) {
        if (names->is_kept && !names->has_number)
            SR_TRY(give_number(names, error));
        const uint32_t number = names->is_kept ? (uint32_t)(names->count - 1) : NOT_LISTED;
        SR_TRY(writer_put(&from->out, &number, sizeof number, error));
    }
    *more = --from->left > 0;
    return *more ? next_name(from, error) : SR_OK;
}

/* Where the identifiers of one kind lie. */
typedef struct {
    const char *names_file, *map_file;
    bool items;
    const item_list *list; /* of the items that are kept, or NULL */
    store *names;          /* of this rank: what it has written, later replaced by what it has merged */
    store *map;            /* of this rank: the number of each identifier that it has written */
} name_kind;

static sr_status begin_source(const merge *m, const name_kind *kind, const run *r, store *names, store *maps, size_t buffer,
                              name_source *s, sr_error *error)
{
    const run_bounds *from = &r->bounds[m->place->rank], *to = from + 1;
    const bool own = r->owner == m->place->rank;
    const uint64_t first = kind->items ? from->items : from->users, end = kind->items ? to->items : to->users;
    s->left = end - first;
    SR_TRY(reader_begin(&s->in, own ? kind->names : &names[r->owner], kind->items ? from->item_bytes : from->user_bytes,
                        kind->items ? to->item_bytes : to->user_bytes, buffer, error));
    SR_TRY(writer_begin(&s->out, own ? kind->map : &maps[r->owner], first * sizeof(uint32_t), buffer, error));
    return s->left > 0 ? next_name(s, error) : SR_OK;
}

static sr_status begin_list(const item_list *list, size_t number, size_t buffer, name_source *s, sr_error *error)
{
    s->is_list = true;
    const item_list_run *from = &list->runs[number];
    s->left = from->count;
    SR_TRY(reader_begin(&s->in, &list->file, from->begin, from->end, buffer, error));
    return s->left > 0 ? next_name(s, error) : SR_OK;
}

static size_t lists_of(const name_kind *kind)
{
    return kind->list ? kind->list->count : 0;
}

static sr_status merge_opened(merge *m, const name_kind *kind, merge_space *space, name_source *sources, uint64_t *count,
                              sr_error *error)
{
    size_t buffer;
    const size_t lists = lists_of(kind);
    name_merge names = {.sources = sources, .to = &space->to, .has_list = kind->list != NULL};
    heap h = {.elements = space->order, .size = sizeof *space->order, .before = name_before, .context = sources};
    SR_TRY(workplace_buffer(m->place, 2 * (m->count + lists), &buffer, error));
    SR_TRY(open_files(m, kind->names_file, m->files, error));
    SR_TRY(open_files(m, kind->map_file, space->maps, error));
    for (size_t i = 0; i < m->count; ++i) {
        SR_TRY(begin_source(m, kind, &m->runs[i], m->files, space->maps, buffer, &sources[i], error));
        if (sources[i].left > 0)
            space->order[h.count++] = i;
    }
    for (size_t i = m->count; i < m->count + lists; ++i) {
        SR_TRY(begin_list(kind->list, i - m->count, buffer, &sources[i], error));
        if (sources[i].left > 0)
            space->order[h.count++] = i;
    }
    SR_TRY(merge_heads(&h, advance_name, &names, error));
    *count = names.count;
    return SR_OK;
}

/* Merges the identifiers that belong to this rank; they replace those in `kind->names`. Local. */
static sr_status merge_names(merge *m, const name_kind *kind, const char *merged_file, uint64_t *count, sr_error *error)
{
    name_source *sources = NULL;
    store merged;
    merge_space space;
    SR_TRY(workplace_store(m->place, &merged, merged_file, kind->items && m->place->ranks > 1, error));
    const size_t count_of_sources = m->count + lists_of(kind);
    sr_status status = begin_merge(m, count_of_sources, &merged, &space, error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&sources, count_of_sources, "merging", error);
    if (status == SR_OK)
        status = merge_opened(m, kind, &space, sources, count, error);
    for (size_t i = 0; sources && i < count_of_sources; ++i) {
        reader_end(&sources[i].in);
        status = writer_end(&sources[i].out, status, error);
    }
    free(sources);
    status = end_merge(m, &space, status, error);
    if (status != SR_OK) {
        store_close(&merged);
        return status;
    }
    store_close(kind->names);
    *kind->names = merged;
    return SR_OK;
}

/* ---- item numbers of all ranks in the events ---- */

/* One run of this rank: its item numbers within the run become those of all ranks. */
static sr_status translate_run(merge *m, const run *r, const store *map, const uint64_t *first_items, store *events,
                               sr_error *error)
{
    const run_bounds *from = r->bounds, *to = r->bounds + m->place->ranks;
    const uint64_t count = to->items - from->items;
    enum { PIECE = 8192 };
    uint32_t *numbers;
    event *piece = NULL;
    SR_TRY(SR_ALLOCATE(&numbers, count, "the numbers of items", error));
    sr_status status = store_read(map, from->items * sizeof *numbers, numbers, count * sizeof *numbers, error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&piece, (size_t)PIECE, "the numbers of items", error);
    for (size_t rank = 0; rank < m->place->ranks && status == SR_OK; ++rank)
        for (uint64_t i = r->bounds[rank].items; i < r->bounds[rank + 1].items; ++i)
            if (numbers[i - from->items] != NOT_LISTED)
                numbers[i - from->items] += (uint32_t)first_items[rank];
    for (uint64_t done = from->events; done < to->events && status == SR_OK; done += PIECE) {
        const size_t here = to->events - done < PIECE ? (size_t)(to->events - done) : (size_t)PIECE;
        status = store_read(events, done * sizeof *piece, piece, here * sizeof *piece, error);
        for (size_t i = 0; i < here && status == SR_OK; ++i)
            piece[i].item = numbers[piece[i].item];
        if (status == SR_OK)
            status = store_write(events, done * sizeof *piece, piece, here * sizeof *piece, error);
    }
    free(piece);
    free(numbers);
    return status;
}

/* ---- events ---- */

/* The events of a run that are for this rank, and the numbers of their users. */
typedef struct {
    store_reader in, map;
    event head;         /* with the number of this rank for its user */
    uint64_t next_user; /* within the run: the one whose number is read next */
    uint32_t number;
    uint64_t left;
} event_source;

static bool event_before(const void *context, const void *left, const void *right)
{
    const event_source *sources = context, *l = &sources[*(const size_t *)left], *r = &sources[*(const size_t *)right];
    const event *a = &l->head, *b = &r->head;
    if (a->user != b->user)
        return a->user < b->user;
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static sr_status next_event(event_source *s, sr_error *error)
{
    const char *bytes;
    SR_TRY(reader_take(&s->in, sizeof s->head, &bytes, error));
    memcpy(&s->head, bytes, sizeof s->head);
    while (s->next_user <= s->head.user) {
        SR_TRY(reader_take(&s->map, sizeof s->number, &bytes, error));
        memcpy(&s->number, bytes, sizeof s->number);
        ++s->next_user;
    }
    s->head.user = s->number;
    return SR_OK;
}

typedef struct {
    event_source *sources;
    store_writer *to;
    uint64_t count, not_listed;
} event_merge;

static sr_status advance_event(void *context, size_t source, bool *more, sr_error *error)
{
    event_merge *events = context;
    event_source *from = &events->sources[source];
    if (from->head.item == NOT_LISTED) {
        ++events->not_listed;
    } else {
        SR_TRY(writer_put(events->to, &from->head, sizeof from->head, error));
        ++events->count;
    }
    *more = --from->left > 0;
    return *more ? next_event(from, error) : SR_OK;
}

static sr_status merge_opened_events(merge *m, const store *events, const store *map, merge_space *space, event_source *sources,
                                     gathered *result, sr_error *error)
{
    size_t buffer;
    const size_t rank = m->place->rank;
    event_merge all = {.sources = sources, .to = &space->to};
    heap h = {.elements = space->order, .size = sizeof *space->order, .before = event_before, .context = sources};
    SR_TRY(workplace_buffer(m->place, 2 * m->count, &buffer, error));
    SR_TRY(open_files(m, "events", m->files, error));
    SR_TRY(open_files(m, "user-map", space->maps, error));
    for (size_t i = 0; i < m->count; ++i) {
        const run *r = &m->runs[i];
        const run_bounds *from = &r->bounds[rank], *end = from + 1;
        event_source *s = &sources[i];
        s->left = end->events - from->events;
        s->next_user = from->users - r->bounds[0].users;
        SR_TRY(reader_begin(&s->in, r->owner == rank ? events : &m->files[r->owner], from->events * sizeof(event),
                            end->events * sizeof(event), buffer, error));
        SR_TRY(reader_begin(&s->map, r->owner == rank ? map : &space->maps[r->owner], from->users * sizeof(uint32_t),
                            end->users * sizeof(uint32_t), buffer, error));
        if (s->left > 0) {
            SR_TRY(next_event(s, error));
            space->order[h.count++] = i;
        }
    }
    SR_TRY(merge_heads(&h, advance_event, &all, error));
    result->event_count = all.count;
    result->not_listed = all.not_listed;
    return SR_OK;
}

static sr_status merge_events(merge *m, const store *events, const store *map, gathered *to, sr_error *error)
{
    event_source *sources = NULL;
    merge_space space;
    SR_TRY(workplace_store(m->place, &to->events, "merged-events", false, error));
    sr_status status = begin_merge(m, m->count, &to->events, &space, error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&sources, m->count, "merging", error);
    if (status == SR_OK)
        status = merge_opened_events(m, events, map, &space, sources, to, error);
    for (size_t i = 0; sources && i < m->count; ++i) {
        reader_end(&sources[i].in);
        reader_end(&sources[i].map);
    }
    free(sources);
    return end_merge(m, &space, status, error);
}

/* ---- all runs ---- */

/* Every rank learns of the runs of all. */
static sr_status list_runs(merge *m, const collector *from, sr_error *error)
{
    const size_t ranks = m->place->ranks, width = ranks + 1;
    void *bounds;
    size_t *offsets;
    SR_TRY(sr_parallel_gather_all(m->place->parallel, SR_OK, from->bounds, from->runs, width * sizeof *from->bounds, &bounds,
                                  &offsets, error));
    m->bounds = bounds;
    m->count = offsets[ranks];
    m->first_own = offsets[m->place->rank];
    m->own = from->runs;
    sr_status status = SR_ALLOCATE(&m->runs, m->count, "the list of runs", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&m->files, ranks, "the list of runs", error);
    for (size_t rank = 0; rank < ranks && status == SR_OK; ++rank)
        for (size_t i = offsets[rank]; i < offsets[rank + 1]; ++i)
            m->runs[i] = (run){rank, m->bounds + i * width};
    free(offsets);
    return sr_parallel_agree(m->place->parallel, status, error);
}

/* Item numbers of this rank start behind those of the ranks before it. */
static sr_status count_all(workplace *place, gathered *to, uint64_t *first_items, sr_error *error)
{
    int64_t users = (int64_t)to->user_count;
    SR_TRY(sr_parallel_sum_int64(place->parallel, &users, 1, error));
    SR_TRY(workplace_share(place, to->item_count, first_items, error));
    uint64_t sum = 0;
    for (size_t rank = 0; rank < place->ranks; ++rank) {
        const uint64_t here = first_items[rank];
        first_items[rank] = sum;
        sum += here;
    }
    to->first_item = first_items[place->rank];
    to->all_items = sum;
    if (sum >= INT32_MAX || users >= INT32_MAX)
        return sr_fail(error, SR_ERROR_DATA,
                       "the input has %llu users and %llu items; of each at most %d (2^31 - 2) are possible: choose some of "
                       "them with --items, --min-rating, --after or --before",
                       (unsigned long long)users, (unsigned long long)sum, INT32_MAX - 1);
    return SR_OK;
}

static sr_status merge_runs(merge *m, collector *from, gathered *to, store maps[2], uint64_t *first_items, sr_error *error)
{
    sr_parallel *parallel = m->place->parallel;
    const bool shared = m->place->ranks > 1;
    const name_kind users = {"users", "user-map", false, NULL, &from->run_users, &maps[0]},
                    items = {"items", "item-map", true, from->filter.too_long, &from->run_items, &maps[1]};
    sr_status status = workplace_store(m->place, &maps[0], "user-map", shared, error);
    if (status == SR_OK)
        status = workplace_store(m->place, &maps[1], "item-map", shared, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    status = merge_names(m, &users, "merged-users", &to->user_count, error);
    if (status == SR_OK)
        status = merge_names(m, &items, GATHERED_ITEMS, &to->item_count, error);
    SR_TRY(sr_parallel_agree(parallel, status, error)); /* now all maps are complete */
    SR_TRY(count_all(m->place, to, first_items, error));
    for (size_t i = 0; i < m->own && status == SR_OK; ++i)
        status = translate_run(m, &m->runs[m->first_own + i], &maps[1], first_items, &from->run_events, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    status = merge_events(m, &from->run_events, &maps[0], to, error);
    return sr_parallel_agree(parallel, status, error);
}

static void take_names(collector *from, gathered *to)
{
    to->users = from->run_users;
    to->items = from->run_items;
    from->run_users = from->run_items = (store){.descriptor = -1};
}

sr_status gather(workplace *place, collector *from, gathered *to, sr_error *error)
{
    *to = (gathered){.event_count = from->written_events};
    to->events.descriptor = to->users.descriptor = to->items.descriptor = -1;
    if (!from->spilled) {
        to->user_count = from->written_users;
        to->item_count = to->all_items = from->written_items;
        to->events = from->run_events;
        from->run_events = (store){.descriptor = -1};
        take_names(from, to);
        return SR_OK;
    }
    merge m = {.place = place};
    store maps[2] = {{.descriptor = -1}, {.descriptor = -1}};
    uint64_t *first_items = NULL;
    sr_status status = list_runs(&m, from, error);
    if (status == SR_OK)
        status = sr_parallel_agree(place->parallel, SR_ALLOCATE(&first_items, place->ranks, "merging", error), error);
    if (status == SR_OK)
        status = merge_runs(&m, from, to, maps, first_items, error);
    if (status == SR_OK)
        take_names(from, to);
    store_close(&maps[0]);
    store_close(&maps[1]);
    store_close(&from->run_events);
    free(first_items);
    free_merge(&m);
    return status;
}

void gathered_free(gathered *g)
{
    store_close(&g->events);
    store_close(&g->users);
    store_close(&g->items);
}

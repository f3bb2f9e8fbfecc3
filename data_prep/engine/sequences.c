#include "engine/sequences.h"

#include "base/heap.h"
#include "engine/sort_keys.h"
#include "srtrain/memory.h"

#include <stdlib.h>

enum { BUCKETS = 4096, WRITE_BUFFER = 1 << 18 };

/* In front of each sequence, which goes on with the user's identifier, items, and times; nothing is aligned. */
typedef struct {
    uint64_t key;
    uint32_t length, user_length, train_end, valid_end;
} header;

typedef struct sequence_source {
    store_reader in;
    header head;
    bool empty;
} sequence_source;

static uint64_t size_of(const sequences *s, const header *h)
{
    return sizeof *h + h->user_length + (uint64_t)h->length * (sizeof(uint32_t) + (s->has_times ? sizeof(int64_t) : 0));
}

sr_status sequences_create(sequences *s, workplace *place, bool has_times, uint64_t key_count, uint64_t memory, sr_error *error)
{
    *s = (sequences){.place = place,
                     .has_times = has_times,
                     .memory = memory,
                     .key_count = key_count ? key_count : 1,
                     .buckets = place->ranks == 1 ? 1 : BUCKETS};
    s->file.descriptor = -1;
    return SR_ALLOCATE_ZERO(&s->histogram, 2 * s->buckets, "the order of users", error);
}

void sequences_free(sequences *s)
{
    free(s->bytes);
    free(s->keys);
    (void)writer_end(&s->writer, SR_ERROR_RUNTIME, NULL);
    store_close(&s->file);
    free(s->bounds);
    free(s->histogram);
    for (size_t i = 0; s->sources && i < s->source_count; ++i)
        reader_end(&s->sources[i].in);
    free(s->sources);
    free(s->order);
    for (size_t rank = 0; s->files && rank < s->place->ranks; ++rank)
        store_close(&s->files[rank]);
    free(s->files);
    free(s->items);
    free(s->times);
    *s = (sequences){.file = {.descriptor = -1}};
}

static size_t bucket_of(const sequences *s, uint64_t key)
{
    return (size_t)(key * s->buckets / s->key_count); /* keys have less than 52 bits */
}

/* ---- runs ---- */

static header header_at(const char *bytes)
{
    header h;
    memcpy(&h, bytes, sizeof h);
    return h;
}

static sr_status write_run(sequences *s, sr_error *error)
{
    const sort_key *keys = s->keys;
    const size_t width = s->buckets + 1;
    SR_TRY(sr_reallocate((void **)&s->bounds, (s->runs + 1) * width, sizeof *s->bounds, "the list of runs", error));
    uint64_t *bounds = s->bounds + s->runs++ * width;
    size_t bucket = 0;
    bounds[0] = writer_place(&s->writer);
    for (size_t i = 0; i < s->count; ++i) {
        const char *bytes = s->bytes + keys[i].value;
        const header h = header_at(bytes);
        while (bucket < bucket_of(s, h.key))
            bounds[++bucket] = writer_place(&s->writer);
        SR_TRY(writer_put(&s->writer, bytes, size_of(s, &h), error));
    }
    while (bucket < s->buckets)
        bounds[++bucket] = writer_place(&s->writer);
    return SR_OK;
}

static sr_status spill(sequences *s, sr_error *error)
{
    if (!s->spilled) {
        SR_TRY(workplace_store(s->place, &s->file, "sequences", s->place->ranks > 1, error));
        SR_TRY(writer_begin(&s->writer, &s->file, 0, WRITE_BUFFER, error));
        s->spilled = true;
    }
    SR_TRY(sort_keys(s->keys, s->count, error));
    SR_TRY(write_run(s, error));
    s->count = 0;
    s->used = 0;
    return SR_OK;
}

static sr_status make_room(sequences *s, uint64_t size, sr_error *error)
{
    if (s->count > 0 && s->used + size + (s->count + 1) * 2 * sizeof(sort_key) > s->memory)
        SR_TRY(spill(s, error));
    SR_TRY(SR_GROW(&s->bytes, &s->room, s->used + size, "sequences", error));
    return sr_grow(&s->keys, &s->keys_room, s->count + 1, sizeof(sort_key), "sequences", error);
}

sr_status sequences_add(sequences *s, const added_sequence *added, sr_error *error)
{
    const size_t count = added->count, user_length = added->user_length;
    const event *events = added->events;
    const uint64_t key = added->key;
    const header h = {key, (uint32_t)count, (uint32_t)user_length, added->train_end, added->valid_end};
    const uint64_t size = size_of(s, &h);
    SR_TRY(make_room(s, size, error));
    ((sort_key *)s->keys)[s->count++] = (sort_key){key, s->used};
    char *to = s->bytes + s->used;
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, added->user, user_length);
    to += sizeof h + user_length;
    for (size_t i = 0; i < count; ++i, to += sizeof events->item)
        memcpy(to, &events[i].item, sizeof events->item);
    for (size_t i = 0; s->has_times && i < count; ++i, to += sizeof events->time)
        memcpy(to, &events[i].time, sizeof events->time);
    s->used += size;
    const size_t bucket = bucket_of(s, key);
    ++s->histogram[bucket];
    s->histogram[s->buckets + bucket] += (int64_t)count;
    s->totals.user_width = user_length > s->totals.user_width ? user_length : s->totals.user_width;
    s->longest = count > s->longest ? count : s->longest;
    return SR_OK;
}

/* ---- ranges of ranks ---- */

/* Ranges of buckets with about the same number of interactions: rank r gets [cuts[r], cuts[r + 1]). */
static void cut(const sequences *s, size_t *cuts)
{
    const size_t ranks = s->place->ranks;
    const int64_t *interactions = s->histogram + s->buckets;
    double sum = 0;
    size_t bucket = 0;
    cuts[0] = 0;
    for (size_t rank = 1; rank < ranks; ++rank) {
        const double share = (double)s->totals.interactions * (double)rank / (double)ranks;
        while (bucket < s->buckets && sum + (double)interactions[bucket] / 2 < share)
            sum += (double)interactions[bucket++];
        cuts[rank] = bucket;
    }
    cuts[ranks] = s->buckets;
}

static void add_up(sequences *s, const size_t *cuts)
{
    sequence_totals *t = &s->totals;
    const size_t rank = s->place->rank;
    for (size_t i = 0; i < cuts[rank + 1]; ++i) {
        *(i < cuts[rank] ? &t->first_user : &t->own_users) += (uint64_t)s->histogram[i];
        *(i < cuts[rank] ? &t->first_interaction : &t->own_interactions) += (uint64_t)s->histogram[s->buckets + i];
    }
}

static sr_status total_up(sequences *s, sr_error *error)
{
    int64_t most[] = {(int64_t)s->totals.user_width, (int64_t)s->longest};
    SR_TRY(sr_parallel_sum_int64(s->place->parallel, s->histogram, 2 * s->buckets, error));
    SR_TRY(sr_parallel_maximum_int64(s->place->parallel, most, 2, error));
    s->totals.user_width = (uint64_t)most[0];
    s->longest = (size_t)most[1];
    for (size_t i = 0; i < s->buckets; ++i) {
        s->totals.users += (uint64_t)s->histogram[i];
        s->totals.interactions += (uint64_t)s->histogram[s->buckets + i];
    }
    return SR_OK;
}

/* ---- merging ---- */

static bool source_before(const void *context, const void *left, const void *right)
{
    const sequence_source *sources = context;
    return sources[*(const size_t *)left].head.key < sources[*(const size_t *)right].head.key;
}

static sr_status next_header(sequence_source *source, sr_error *error)
{
    const char *bytes;
    source->empty = reader_is_at_end(&source->in);
    if (source->empty)
        return SR_OK;
    SR_TRY(reader_take(&source->in, sizeof source->head, &bytes, error));
    source->head = header_at(bytes);
    return SR_OK;
}

/* bounds [runs of all ranks, 2]: the part of each run that is for this rank. */
static sr_status open_sources(sequences *s, const uint64_t *bounds, const size_t *offsets, sr_error *error)
{
    const size_t ranks = s->place->ranks;
    size_t buffer;
    SR_TRY(SR_ALLOCATE(&s->files, ranks, "merging", error));
    for (size_t rank = 0; rank < ranks; ++rank)
        s->files[rank] = (store){.descriptor = -1};
    SR_TRY(SR_ALLOCATE_ZERO(&s->sources, offsets[ranks], "merging", error));
    s->source_count = offsets[ranks];
    SR_TRY(SR_ALLOCATE(&s->order, s->source_count, "merging", error));
    SR_TRY(workplace_buffer(s->place, 2 * s->source_count, &buffer, error));
    for (size_t rank = 0; rank < ranks; ++rank) {
        if (rank != s->place->rank)
            SR_TRY(workplace_open_store(s->place, &s->files[rank], "sequences", rank, error));
        const store *from = rank == s->place->rank ? &s->file : &s->files[rank];
        for (size_t i = offsets[rank]; i < offsets[rank + 1]; ++i) {
            SR_TRY(reader_begin(&s->sources[i].in, from, bounds[2 * i], bounds[2 * i + 1], buffer, error));
            SR_TRY(next_header(&s->sources[i], error));
            if (!s->sources[i].empty)
                s->order[s->heap_count++] = i;
        }
    }
    const heap h = {s->order, s->heap_count, sizeof *s->order, source_before, s->sources};
    heap_build(&h);
    return SR_OK;
}

/* Every rank learns of the parts of all runs that are for it: the bounds of all parts go to all. */
static sr_status share_runs(sequences *s, const size_t *cuts, sr_error *error)
{
    const size_t ranks = s->place->ranks, width = ranks + 1;
    uint64_t *own, *all = NULL, *mine = NULL;
    size_t *offsets = NULL;
    sr_status status = SR_ALLOCATE(&own, s->runs * width, "the list of runs", error);
    for (size_t i = 0; status == SR_OK && i < s->runs; ++i)
        for (size_t rank = 0; rank < width; ++rank)
            own[i * width + rank] = s->bounds[i * (s->buckets + 1) + cuts[rank]];
    status = sr_parallel_gather_all(s->place->parallel, status, own, s->runs, width * sizeof *own, (void **)&all, &offsets,
                                    error);
    free(own);
    if (status == SR_OK)
        status = SR_ALLOCATE(&mine, 2 * offsets[ranks], "the list of runs", error);
    for (size_t i = 0; status == SR_OK && i < offsets[ranks]; ++i)
        for (size_t k = 0; k < 2; ++k)
            mine[2 * i + k] = all[i * width + s->place->rank + k];
    if (status == SR_OK)
        status = open_sources(s, mine, offsets, error);
    free(mine);
    free(all);
    free(offsets);
    return sr_parallel_agree(s->place->parallel, status, error);
}

static sr_status finish_in_files(sequences *s, const size_t *cuts, sr_error *error)
{
    sr_status status = spill(s, error);
    if (status == SR_OK)
        status = writer_flush(&s->writer, error);
    status = writer_end(&s->writer, status, error);
    free(s->bytes);
    free(s->keys);
    s->bytes = NULL;
    s->keys = NULL;
    SR_TRY(sr_parallel_agree(s->place->parallel, status, error));
    return share_runs(s, cuts, error);
}

sr_status sequences_finish(sequences *s, sr_error *error)
{
    SR_TRY(total_up(s, error));
    size_t *cuts;
    sr_status status = SR_ALLOCATE(&cuts, s->place->ranks + 1, "the order of users", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&s->items, s->longest, "a sequence", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&s->times, s->longest, "a sequence", error);
    status = sr_parallel_agree(s->place->parallel, status, error);
    if (status == SR_OK) {
        cut(s, cuts);
        add_up(s, cuts);
        status = s->spilled || s->place->ranks > 1 ? finish_in_files(s, cuts, error) : sort_keys(s->keys, s->count, error);
    }
    free(cuts);
    return status;
}

/* The sequence behind a header, whose bytes need not be aligned. */
static void hand_out(sequences *s, const header *h, const char *bytes, sequence *one)
{
    const size_t items_size = h->length * sizeof *s->items;
    memcpy(s->items, bytes + h->user_length, items_size);
    if (s->has_times)
        memcpy(s->times, bytes + h->user_length + items_size, h->length * sizeof *s->times);
    *one = (sequence){.user = bytes,
                      .user_length = h->user_length,
                      .length = h->length,
                      .train_end = h->train_end,
                      .valid_end = h->valid_end,
                      .items = s->items,
                      .times = s->has_times ? s->times : NULL};
}

sr_status sequences_next(void *sequences_of_rank, sequence *one, sr_error *error)
{
    sequences *s = sequences_of_rank;
    one->length = 0;
    if (!s->sources) {
        if (s->next == s->count)
            return SR_OK;
        const char *bytes = s->bytes + ((const sort_key *)s->keys)[s->next++].value;
        const header h = header_at(bytes);
        hand_out(s, &h, bytes + sizeof h, one);
        return SR_OK;
    }
    if (s->heap_count == 0)
        return SR_OK;
    heap h = {s->order, s->heap_count, sizeof *s->order, source_before, s->sources};
    if (s->next > 0) { /* the bytes handed out last are done with */
        SR_TRY(next_header(&s->sources[s->order[0]], error));
        if (s->sources[s->order[0]].empty)
            heap_drop(&h);
        else
            heap_settle(&h, 0);
        s->heap_count = h.count;
    }
    if (s->heap_count == 0)
        return SR_OK;
    s->next = 1;
    sequence_source *first = &s->sources[s->order[0]];
    const char *bytes;
    SR_TRY(reader_take(&first->in, (size_t)(size_of(s, &first->head) - sizeof first->head), &bytes, error));
    hand_out(s, &first->head, bytes, one);
    return SR_OK;
}

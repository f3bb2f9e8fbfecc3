#include "synthesis.h"

#include "split.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SUCCESSORS = 3, INTERESTS = 2, ATTEMPTS = 16, POPULARITY_OFFSET = 10 };
/* Sub-streams of the seed. */
enum { STREAM_CLUSTERS, STREAM_SUCCESSORS, STREAM_USERS, STREAM_ASSIGNMENT, STREAM_ZIPF };

/* The catalogue: items ordered by cluster, with running sums of popularity within each cluster. */
typedef struct catalogue {
    size_t items, clusters;
    size_t *first;        /* [clusters + 1] into members */
    uint32_t *members;    /* [items] */
    double *running;      /* [items]: sum of popularity within the cluster up to and including this member */
    uint32_t *successors; /* [items, SUCCESSORS] */
    uint32_t *cluster_of; /* [items] */
} catalogue;

static void free_catalogue(catalogue *c)
{
    free(c->first);
    free(c->members);
    free(c->running);
    free(c->successors);
    free(c->cluster_of);
}

static sr_status allocate_catalogue(catalogue *c, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&c->first, c->clusters + 1, "the catalogue", error));
    SR_TRY(SR_ALLOCATE(&c->members, c->items, "the catalogue", error));
    SR_TRY(SR_ALLOCATE(&c->running, c->items, "the catalogue", error));
    SR_TRY(SR_ALLOCATE(&c->successors, c->items * SUCCESSORS, "the catalogue", error));
    return SR_ALLOCATE(&c->cluster_of, c->items, "the catalogue", error);
}

/* Item i has popularity rank i; its cluster is random, except that the first items make sure that no cluster is empty. */
static void fill_clusters(catalogue *c, const synthesis *process, sr_random_stream stream)
{
    for (size_t item = 0; item < c->items; ++item) {
        c->cluster_of[item] = (uint32_t)(item < c->clusters ? item
                                                            : sr_random_below(stream, item, STREAM_CLUSTERS, c->clusters));
        ++c->first[c->cluster_of[item] + 1];
    }
    for (size_t cluster = 0; cluster < c->clusters; ++cluster)
        c->first[cluster + 1] += c->first[cluster];
    for (size_t item = c->items; item-- > 0;) /* backwards: fills each cluster from its end, so that members ascend */
        c->members[--c->first[c->cluster_of[item] + 1]] = (uint32_t)item;
    /* Each first[k + 1] has moved down to the start of cluster k. */
    for (size_t cluster = 0; cluster < c->clusters; ++cluster)
        c->first[cluster] = c->first[cluster + 1];
    c->first[c->clusters] = c->items;
    for (size_t cluster = 0; cluster < c->clusters; ++cluster) {
        double sum = 0;
        for (size_t i = c->first[cluster]; i < c->first[cluster + 1]; ++i) {
            sum += pow((double)c->members[i] + POPULARITY_OFFSET, -process->exponent);
            c->running[i] = sum;
        }
    }
}

/* A member of the cluster by popularity; u uniform in [0, 1). */
static uint32_t draw_member(const catalogue *c, size_t cluster, double u)
{
    size_t low = c->first[cluster], high = c->first[cluster + 1] - 1;
    const double wanted = u * c->running[high];
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (c->running[middle] > wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return c->members[low];
}

/* Successors come from the item's own cluster, uniformly: they are no more popular than others, so that popularity cannot
 * predict them. */
static void fill_successors(catalogue *c, sr_random_stream stream)
{
    for (size_t item = 0; item < c->items; ++item) {
        const size_t cluster = c->cluster_of[item], begin = c->first[cluster], count = c->first[cluster + 1] - begin;
        for (size_t k = 0; k < SUCCESSORS; ++k)
            c->successors[item * SUCCESSORS + k] =
                c->members[begin + sr_random_below(stream, item * SUCCESSORS + k, STREAM_SUCCESSORS, count)];
    }
}

/* An item by the process itself: a successor of the last one, or one of the user's interests. */
static uint32_t draw_item(const catalogue *c, const synthesis *process, const size_t *interests, const uint32_t *history,
                          size_t length, draws *d)
{
    if (length > 0 && draw(d) < process->transition) {
        const double which = draw(d);
        const size_t k = which < 0.6 ? 0 : (which < 0.9 ? 1 : 2);
        return c->successors[history[length - 1] * SUCCESSORS + k];
    }
    const size_t interest = interests[draw(d) < 0.7 ? 0 : 1];
    return draw_member(c, interest, draw(d));
}

/* Items that a user must have, so that every item of the catalogue occurs: each item is assigned to one user at random. */
typedef struct {
    sr_random_stream stream;
    uint64_t user, users, items, given, count;
} assignment;

static assignment assign(const synthesis *process, uint64_t user)
{
    if (process->kind == SYNTHESIS_ZIPF)
        return (assignment){.count = 0};
    const uint64_t rest = user < process->items ? process->items - user : 0;
    return (assignment){.stream = sr_random_open(process->seed, SR_RANDOM_SYNTHESIS, STREAM_ASSIGNMENT),
                        .user = user,
                        .users = process->users,
                        .items = process->items,
                        .count = (rest + process->users - 1) / process->users};
}

static uint32_t next_assigned(assignment *a)
{
    return (uint32_t)sr_random_permutation(a->stream, a->user + a->users * a->given++, a->items);
}

static bool is_in(const uint32_t *history, size_t length, uint32_t item)
{
    for (size_t i = 0; i < length; ++i)
        if (history[i] == item)
            return true;
    return false;
}

static size_t draw_length(const synthesis *process, draws *d)
{
    /* Geometric above the shortest length. */
    const double mean = process->mean_length - SYNTHESIS_SHORTEST;
    const double extra = mean > 0 ? floor(log(1 - draw(d)) / log(mean / (1 + mean))) : 0;
    const double most = (double)process->items / 2;
    const double length = SYNTHESIS_SHORTEST + extra;
    return (size_t)(length > most && most > SYNTHESIS_SHORTEST ? most : length);
}

/* The next item of a sequence of `length`: an assigned one in as many places, drawn evenly, as there are; otherwise one that
 * the user does not have yet, if a few attempts find one. */
static uint32_t next_item(const catalogue *c, const synthesis *process, const size_t *interests, assignment *assigned,
                          const uint32_t *history, size_t place, size_t length, draws *d)
{
    const uint64_t left = assigned->count - assigned->given;
    if (left > 0 && draw(d) * (double)(length - place) < (double)left)
        return next_assigned(assigned);
    uint32_t item = draw_item(c, process, interests, history, place, d);
    for (int attempt = 0; attempt < ATTEMPTS && is_in(history, place, item); ++attempt)
        item = draw_item(c, process, interests, history, place, d);
    return item;
}

/* The length of a user's sequence, which is drawn first. */
static size_t length_of(const synthesis *process, uint64_t user, draws *d, assignment *assigned)
{
    *assigned = assign(process, user);
    const size_t drawn = draw_length(process, d);
    return drawn > assigned->count ? drawn : assigned->count;
}

static draws draws_of(const synthesiser *s, uint64_t user)
{
    return (draws){.stream = sr_random_fork(sr_random_open(s->process.seed, SR_RANDOM_SYNTHESIS, STREAM_USERS), user)};
}

uint64_t synthesis_length(const synthesiser *s, uint64_t user)
{
    draws d = draws_of(s, user);
    assignment assigned;
    return length_of(&s->process, user, &d, &assigned);
}

static sr_status make_room(synthesiser *s, size_t length, sr_error *error)
{
    if (length <= s->room)
        return SR_OK;
    free(s->items);
    free(s->times);
    s->items = NULL;
    s->times = NULL;
    s->room = 0;
    SR_TRY(SR_ALLOCATE(&s->items, 2 * length, "a sequence", error));
    SR_TRY(SR_ALLOCATE(&s->times, 2 * length, "a sequence", error));
    s->room = 2 * length;
    return SR_OK;
}

static int64_t first_time(draws *d)
{
    return 1000000000 + (int64_t)(draw(d) * 1e8);
}

static int64_t next_time(int64_t time, draws *d)
{
    return time + 60 + (int64_t)(draw(d) * 86400);
}

static void fill_from_clusters(synthesiser *s, size_t length, assignment *assigned, draws *d)
{
    size_t interests[INTERESTS];
    for (size_t i = 0; i < INTERESTS; ++i)
        interests[i] = sr_random_below(d->stream, d->next++, 0, s->catalogue->clusters);
    int64_t time = first_time(d);
    for (size_t i = 0; i < length; ++i) {
        s->items[i] = next_item(s->catalogue, &s->process, interests, assigned, s->items, i, length, d);
        s->times[i] = time = next_time(time, d);
    }
}

static void fill_from_chain(synthesiser *s, size_t length, draws *d)
{
    uint64_t rank = 0;
    int64_t time = first_time(d);
    for (size_t i = 0; i < length; ++i) {
        rank = zipf_chain_next(&s->chain, rank, d);
        s->items[i] = (uint32_t)zipf_chain_item(&s->chain, rank);
        s->times[i] = time = next_time(time, d);
    }
}

sr_status synthesis_next(void *synthesiser_of_rank, sequence *one, sr_error *error)
{
    synthesiser *s = synthesiser_of_rank;
    const synthesis *process = &s->process;
    one->length = 0;
    if (s->next == s->end)
        return SR_OK;
    const uint64_t user = s->next++;
    draws d = draws_of(s, user);
    assignment assigned;
    const size_t length = length_of(process, user, &d, &assigned);
    SR_TRY(make_room(s, length, error));
    if (process->kind == SYNTHESIS_ZIPF)
        fill_from_chain(s, length, &d);
    else
        fill_from_clusters(s, length, &assigned, &d);
    *one = (sequence){.user = s->name,
                      .user_length = (size_t)snprintf(s->name, sizeof s->name, "u%llu", (unsigned long long)user),
                      .length = length,
                      .items = s->items,
                      .times = s->times};
    split_length(&(split_rule){.kind = SPLIT_LEAVE_ONE_OUT}, length, &one->train_end, &one->valid_end);
    return SR_OK;
}

size_t synthesis_item_name(uint64_t item, char name[32])
{
    char digits[20]; /* backwards; by hand, because there may be billions of names */
    size_t count = 0, length = 0;
    do
        digits[count++] = (char)('0' + item % 10);
    while ((item /= 10) > 0);
    name[length++] = 'i';
    while (count > 0)
        name[length++] = digits[--count];
    name[length] = '\0';
    return length;
}

static sr_status make_catalogue(synthesiser *s, sr_error *error)
{
    const synthesis *process = &s->process;
    SR_TRY(SR_ALLOCATE_ZERO(&s->catalogue, 1, "the catalogue", error));
    s->catalogue->items = process->items;
    s->catalogue->clusters = process->clusters;
    SR_TRY(allocate_catalogue(s->catalogue, error));
    fill_clusters(s->catalogue, process, sr_random_open(process->seed, SR_RANDOM_SYNTHESIS, STREAM_CLUSTERS));
    fill_successors(s->catalogue, sr_random_open(process->seed, SR_RANDOM_SYNTHESIS, STREAM_SUCCESSORS));
    return SR_OK;
}

sr_status synthesis_begin(synthesiser *s, const synthesis *process, uint64_t first, uint64_t end, sr_error *error)
{
    *s = (synthesiser){.process = *process, .next = first, .end = end};
    if (process->kind == SYNTHESIS_CLUSTERS)
        return make_catalogue(s, error);
    zipf_chain_open(&s->chain, process->items, process->exponent, process->transition, process->ranked,
                    sr_random_open(process->seed, SR_RANDOM_SYNTHESIS, STREAM_ZIPF));
    return SR_OK;
}

void synthesis_end(synthesiser *s)
{
    if (s->catalogue)
        free_catalogue(s->catalogue);
    free(s->catalogue);
    free(s->items);
    free(s->times);
    *s = (synthesiser){.catalogue = NULL};
}

/* What all files of a data set have to agree on: checks its columns, cuts it into shards and computes its fingerprint. */
#include "srtrain/memory.h"
#include "storage/dataset_fingerprint.h"
#include "storage/dataset_pieces.h"

#include <stdlib.h>
#include <string.h>

/* ---- checks and cuts ---- */

static sr_status check_counts(const sr_dataset_source *source, size_t shards, sr_error *error)
{
    if (source->users == 0 || source->items == 0 || source->interactions == 0)
        return sr_fail(error, SR_ERROR_DATA, "the data set is empty: %zu users, %zu items, %zu interactions", source->users,
                       source->items, source->interactions);
    if (source->items >= INT32_MAX)
        return sr_fail(error, SR_ERROR_DATA, "%zu items; at most %d (2^31 - 2) are possible", source->items, INT32_MAX - 1);
    if (shards < 1 || shards > source->users)
        return sr_fail(error, SR_ERROR_USAGE, "%zu shards for %zu users; 1 to %zu are possible", shards, source->users,
                       source->users);
    return SR_OK;
}

static sr_status check_user(size_t user, int32_t length, int32_t train_end, int32_t valid_end, sr_error *error)
{
    if (length < 1)
        return sr_fail(error, SR_ERROR_DATA, "user %zu has %d interactions; 1 to %d are possible", user, (int)length,
                       INT32_MAX);
    if (train_end < 0 || train_end > valid_end || valid_end > length)
        return sr_fail(
            error, SR_ERROR_DATA,
            "user %zu with %d interactions has train_end %d and valid_end %d; 0 <= train_end <= valid_end <= length must hold",
            user, (int)length, (int)train_end, (int)valid_end);
    return SR_OK;
}

/* Cuts where the interactions reach each shard's share, with at least one user for every shard. */
typedef struct {
    sr_dataset_plan *plan;
    size_t shard; /* the one that is being filled */
    uint64_t interactions;
} cutting;

static void cut_before(cutting *c, const sr_dataset_source *source, size_t user, int32_t length)
{
    const size_t shards = c->plan->shards, last = source->users - (shards - c->shard - 1);
    const double share = (double)source->interactions * (double)(c->shard + 1) / (double)shards;
    /* Later shards need one user each. */
    const bool full = user >= last || (double)(c->interactions + (uint64_t)length) > share;
    if (c->shard + 1 < shards && user > c->plan->cuts[c->shard].first_user && full)
        c->plan->cuts[++c->shard] = (sr_dataset_cut){user, c->interactions};
}

static sr_status cut_shards(sr_dataset_plan *plan, const sr_dataset_source *source, user_piece *piece, sr_error *error)
{
    cutting c = {.plan = plan};
    SR_TRY(user_piece_next(piece, source, error));
    while (piece->count > 0) {
        for (size_t i = 0; i < piece->count; ++i) {
            const size_t user = piece->first + i;
            const int32_t length = piece->length[i];
            SR_TRY(check_user(user, length, piece->train_end[i], piece->valid_end[i], error));
            cut_before(&c, source, user, length);
            c.interactions += (uint64_t)length;
            plan->longest = (size_t)length > plan->longest ? (size_t)length : plan->longest;
        }
        SR_TRY(user_piece_next(piece, source, error));
    }
    plan->cuts[plan->shards] = (sr_dataset_cut){source->users, source->interactions};
    if (c.interactions != source->interactions)
        return sr_fail(error, SR_ERROR_DATA, "the lengths sum to %llu; %zu, the number of interactions, is expected",
                       (unsigned long long)c.interactions, source->interactions);
    return SR_OK;
}

/* ---- the fingerprint ---- */

typedef struct {
    sr_fingerprint *fingerprint;
    size_t element_size, items;
} hashing;

static sr_status hash_names(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    (void)error;
    const hashing *h = context;
    const char *at = values;
    for (size_t i = 0; i < count; ++i, at += h->element_size)
        sr_fingerprint_name(h->fingerprint, at, strnlen(at, h->element_size));
    return SR_OK;
}

static sr_status hash_lengths(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    (void)error;
    const hashing *h = context;
    const int32_t *lengths = values;
    int64_t wide[512];
    for (size_t done = 0; done < count;) {
        size_t here = 0;
        while (here < 512 && done < count)
            wide[here++] = lengths[done++];
        sr_fingerprint_bytes(h->fingerprint, wide, here * sizeof *wide);
    }
    return SR_OK;
}

static sr_status hash_bytes(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    (void)error;
    const hashing *h = context;
    sr_fingerprint_bytes(h->fingerprint, values, count * h->element_size);
    return SR_OK;
}

static sr_status hash_items(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    const hashing *h = context;
    const int32_t *items = values;
    for (size_t i = 0; i < count; ++i)
        if (items[i] < 1 || (size_t)items[i] > h->items)
            return sr_fail(error, SR_ERROR_DATA, "interaction %zu has item id %d; ids must lie in [1, %zu]", first + i,
                           (int)items[i], h->items);
    return hash_bytes(context, values, first, count, error);
}

static sr_status hash_columns(const sr_dataset_source *source, hashing *h, sr_error *error)
{
    const struct {
        sr_dataset_column column;
        size_t count;
        dataset_piece_function *function;
    } parts[] = {{SR_COLUMN_USER_NAME, source->users, hash_names},
                 {SR_COLUMN_ITEM_NAME, source->items, hash_names},
                 {SR_COLUMN_LENGTH, source->users, hash_lengths},
                 {SR_COLUMN_ITEM, source->interactions, hash_items},
                 {SR_COLUMN_TIME, source->has_times ? source->interactions : 0, hash_bytes},
                 {SR_COLUMN_TRAIN_END, source->users, hash_bytes},
                 {SR_COLUMN_VALID_END, source->users, hash_bytes}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
        h->element_size = dataset_element_size(source, parts[i].column);
        SR_TRY(dataset_for_pieces(source, parts[i].column, 0, parts[i].count, parts[i].function, h, error));
    }
    return SR_OK;
}

static sr_status compute_fingerprint(sr_dataset_plan *plan, const sr_dataset_source *source, sr_error *error)
{
    hashing h = {.items = source->items};
    _Static_assert(sizeof plan->fingerprint == SR_CHECKSUM_SIZE, "a fingerprint is a checksum");
    SR_TRY(sr_fingerprint_begin(&h.fingerprint, source->users, source->items, source->interactions, source->has_times, error));
    const sr_status status = hash_columns(source, &h, error);
    sr_fingerprint_end(h.fingerprint, status == SR_OK ? plan->fingerprint : NULL);
    return status;
}

sr_status sr_dataset_make_plan(sr_dataset_plan *plan, const sr_dataset_source *source, size_t shards, sr_error *error)
{
    SR_TRY(check_counts(source, shards, error));
    plan->shards = shards;
    SR_TRY(SR_ALLOCATE_ZERO(&plan->cuts, shards + 1, "the list of shards", error));
    user_piece piece;
    sr_status status = user_piece_allocate(&piece, error);
    if (status == SR_OK)
        status = cut_shards(plan, source, &piece, error);
    user_piece_free(&piece);
    return status == SR_OK ? compute_fingerprint(plan, source, error) : status;
}

/* What negatives are drawn by: the share of draws that each item has. Called by sampler.c and negatives.c.
 *
 * Some distributions need a table with a number or two for each item. It is memory of whoever makes it, so that the processes
 * of a node may have one together. */
#ifndef SRTRAIN_DATA_ITEM_SHARES_H
#define SRTRAIN_DATA_ITEM_SHARES_H

#include "data/alias_table.h"
#include "srtrain/negative_settings.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    sr_negative_sampling sampling;
    size_t items;
    double exponent;
    double from_batch;          /* share of a list that is drawn from the batch */
    const int64_t *occurrences; /* [items + 1]: how often each item occurs in the training parts; by popularity */
    /* Of the table: */
    double sum;                   /* of occurrences^exponent */
    alias_table alias;            /* column i is item i + 1 */
    int64_t targets;              /* of an epoch */
    const int64_t *target_counts; /* [items]: entry i belongs to item i + 1 */
} item_shares;

/* What a distribution needs to know. `counts_targets`: shares are asked for, not draws alone. */
typedef struct {
    const sr_negative_settings *settings;
    size_t items;
    const int64_t *occurrences;
    bool counts_targets;
} shares_request;

/* What settings say; no table yet. `length` is that of a list. */
item_shares item_shares_of(const shares_request *request);

/* Items of a list of `length` that are drawn from the targets of the batch; they stand first. */
size_t places_from_batch(const sr_negative_settings *settings, size_t length);

/* Bytes of the table, a multiple of 8; 0 where none is needed. */
size_t item_shares_bytes(const shares_request *request);

/* A table whose bytes are 0 at first. By popularity it is computed at once. Otherwise the targets of an epoch are counted: any
 * number of processes may do that in the same table at a time. Tables in which different processes have counted different
 * targets, or one has computed everything and the others nothing, give the whole one when they are added up as numbers of 64
 * bits. */
void item_shares_compute(const shares_request *request, void *table);
void item_shares_count(const shares_request *request, void *table, const int32_t *targets, size_t count);

/* Lets shares read a complete table. */
void item_shares_read(item_shares *shares, const shares_request *request, void *table);

/* The share of draws of an item, 0 to 1, and its logarithm. Padding has none. */
double item_share(const item_shares *shares, int32_t item);
double item_log_share(const item_shares *shares, int32_t item);

#endif

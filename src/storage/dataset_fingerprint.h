/* The fingerprint of a data set: XXH3-128 over its logical contents, whatever the number of shards.
 *
 * What is hashed, in this order: users, items, interactions and has_times as 64-bit integers; the identifiers of users, then of
 * items, each followed by a zero byte; the sequence lengths as 64-bit integers; item ids; times, if any; train_end; valid_end.
 */
#ifndef SRTRAIN_STORAGE_DATASET_FINGERPRINT_H
#define SRTRAIN_STORAGE_DATASET_FINGERPRINT_H

#include "srtrain/status.h"
#include "storage/hdf5_helpers.h"

#include <stdbool.h>

typedef struct sr_fingerprint sr_fingerprint;

sr_status sr_fingerprint_begin(sr_fingerprint **fingerprint, size_t users, size_t items, size_t interactions, bool has_times,
                               sr_error *error);
void sr_fingerprint_name(sr_fingerprint *fingerprint, const char *name, size_t length);
void sr_fingerprint_lengths(sr_fingerprint *fingerprint, const int64_t *offsets, size_t users);
void sr_fingerprint_bytes(sr_fingerprint *fingerprint, const void *data, size_t bytes);

/* Releases the fingerprint, too. `text` may be NULL to do only that. */
void sr_fingerprint_end(sr_fingerprint *fingerprint, char text[SR_CHECKSUM_SIZE]);

#endif

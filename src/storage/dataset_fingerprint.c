#include "storage/dataset_fingerprint.h"

#include <stdio.h>
#include <xxhash.h>

/* The struct is xxHash's own state; the name only keeps its header out of ours. */
static XXH3_state_t *state_of(sr_fingerprint *fingerprint)
{
    return (XXH3_state_t *)(void *)fingerprint;
}

void sr_fingerprint_bytes(sr_fingerprint *fingerprint, const void *data, size_t bytes)
{
    (void)XXH3_128bits_update(state_of(fingerprint), data, bytes);
}

sr_status sr_fingerprint_begin(sr_fingerprint **fingerprint, size_t users, size_t items, size_t interactions, bool has_times,
                               sr_error *error)
{
    XXH3_state_t *state = XXH3_createState();
    *fingerprint = (sr_fingerprint *)(void *)state;
    if (!state)
        return sr_fail_memory(error, 576, "the state of a checksum");
    (void)XXH3_128bits_reset(state);
    const int64_t counts[] = {(int64_t)users, (int64_t)items, (int64_t)interactions, has_times};
    sr_fingerprint_bytes(*fingerprint, counts, sizeof counts);
    return SR_OK;
}

void sr_fingerprint_name(sr_fingerprint *fingerprint, const char *name, size_t length)
{
    sr_fingerprint_bytes(fingerprint, name, length);
    sr_fingerprint_bytes(fingerprint, "", 1);
}

void sr_fingerprint_lengths(sr_fingerprint *fingerprint, const int64_t *offsets, size_t users)
{
    for (size_t i = 0; i < users; ++i) {
        const int64_t length = offsets[i + 1] - offsets[i];
        sr_fingerprint_bytes(fingerprint, &length, sizeof length);
    }
}

void sr_fingerprint_end(sr_fingerprint *fingerprint, char text[SR_CHECKSUM_SIZE])
{
    if (!fingerprint)
        return;
    if (text) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_of(fingerprint)));
        for (size_t i = 0; i < sizeof canonical.digest; ++i)
            snprintf(text + 2 * i, 3, "%02x", canonical.digest[i]);
    }
    (void)XXH3_freeState(state_of(fingerprint));
}

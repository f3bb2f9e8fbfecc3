/* Lists of sampled negatives that a parity fixture holds, as a batch has them. */
#ifndef SRTRAIN_TESTS_FIXTURE_LISTS_H
#define SRTRAIN_TESTS_FIXTURE_LISTS_H

#include "fixture.h"
#include "srtrain/batch.h"

/* The padded examples of a fixture, whose targets are packed in the order of example and column. */
typedef struct {
    const parity_fixture *fixture;
    size_t examples, max_length;
    const int32_t *sequence; /* [B, L] */
    const int32_t *targets;  /* [B], or [B, L] with a target for each position, 0 where there is none */
    bool every_position;
} fixture_examples;

/* Whether the fixture has lists; else each target has one negative. */
bool fixture_has_lists(const parity_fixture *fixture);

/* The lists, what does not exist for which target, and the shares of draws where the fixture has them; all in the arena. */
sr_status fixture_lists(const fixture_examples *of, sr_arena *arena, const sr_negatives **lists, sr_error *error);

#endif

/* Operations of the tape, for a comparison of their gradients with central differences.
 *
 * A row of a table names an operation, the shapes of its inputs and how to build its output from them. A new operation needs
 * one row, in the table of its subject. */
#ifndef SRTRAIN_TESTS_OPERATION_GRADIENTS_H
#define SRTRAIN_TESTS_OPERATION_GRADIENTS_H

#include "srtrain/batch.h"
#include "srtrain/fourier.h"
#include "srtrain/operations.h"

enum { MOST_INPUTS = 6, WIDTH = 6, HEADS = 2, ITEMS = 7, WINDOW = 7 };

typedef sr_tensor *(*build_function)(sr_tape *tape, sr_tensor **x);

typedef struct {
    const char *name;
    build_function build;
    size_t shapes[MOST_INPUTS][2]; /* rows 0: no such input */
    bool sampled;                  /* too many elements: check every 797th only */
} operation_case;

/* The rows of one subject. */
typedef struct {
    const operation_case *list;
    size_t count;
} operation_cases;

extern const operation_cases dense_cases, list_cases, attention_cases, filter_cases;

/* The transforms of filter_cases: CMocka's set-up and tear-down of a group. */
int make_transforms(void **state);
int free_transforms(void **state);

/* ---- batches ---- */

/* A ragged batch with sequences of length 3, 1 and 5 and one of 4 padding tokens that all see each other; the second query set
 * reads some rows only. */
extern const sr_layout layout;
extern const sr_rows reads;
extern const size_t read_tokens[];
/* One long sequence: large enough for the matrix-product path of attention. */
extern const sr_layout long_layout;
/* One as long, without padding in front: products stop at its diagonal. The rows from token 7 on. */
extern const sr_layout causal_layout;
extern const sr_rows late_reads;
/* Two sequences padded to a window of 4, seen in both directions: the padding queries, and is no key. */
extern const sr_layout padded_layout;

enum { PADDED_TOKENS = 8, PADDED_KEYS = 5, PADDED_CELLS = HEADS * 4 * PADDED_KEYS, HALF = WIDTH / HEADS };
enum { TOKENS = 13, READS = 5, CELLS = HEADS * (9 + 1 + 25 + 16), READ_CELLS = HEADS * (3 + 1 + 10 + 4), LONG = 20, LATE = 13 };

/* A site that drops half of what passes it. */
sr_dropout_site half(uint64_t index);

#endif

/* The item table: the vectors of all items, which inputs are read from and states are scored against.
 *
 * It is the one part of a model that grows with the catalogue. So it is an object of its own: whoever needs items asks it for
 * rows by their ids and never for the place of a row. Where the rows lie is the matter of a kind, one row below:
 *
 *   replicated   every rank has every row, among the model's other parameters (replicated_items.c)
 *
 * A table has one part, vectors, or two, where items are Gaussians: means and covariances. All parts have a row for each id: 0
 * is padding, 1 .. items are items, and behind them there may be a mask token, which is read and never scored.
 *
 * Who calls what, and what a table that is divided among ranks makes of it:
 *
 *   | stage                    | called by             | with rows on other ranks                                    |
 *   | ------------------------ | --------------------- | ----------------------------------------------------------- |
 *   | declare, share, free     | model                 | local                                                       |
 *   | fetch                    | objective, scorer     | collective: ids go to owners and rows come back             |
 *   | read, scores of ids      | backbones, losses     | local: among the rows that were fetched                     |
 *   | loss over the catalogue  | losses                | collective: each owner walks its own slabs                  |
 *   | hand back                | objective             | collective: gradients of fetched rows go to owners          |
 *   | update, settle           | step/item_rows.c      | local: the owner updates its rows                           |
 *   | slabs, scores            | scorer                | local: of the rows that this rank owns                      |
 *   | draw, save, load         | stepper, run, storage | collective: each owner its rows, in the order of ids        |
 *   | bytes                    | plan                  | local                                                       |
 *
 * Rows of a replicated table are drawn, summed, updated, saved and loaded with all other parameters: these stages are no
 * functions of its kind.
 *
 * Every worker makes a call that is collective for some kind equally often: in training, and in evaluation where ranks with
 * fewer histories go on with none (evaluate/score_round.h). One that has failed makes it without a batch. */
#ifndef SRTRAIN_MODEL_ITEM_TABLE_H
#define SRTRAIN_MODEL_ITEM_TABLE_H

#include "srtrain/item_table.h"
#include "srtrain/operations.h"

enum { ITEM_PARTS_MAXIMUM = 2 };

/* The parts of a table, in the order in which they are declared. Vectors are means where items are Gaussians. */
typedef enum { ITEM_VECTORS = 0, ITEM_COVARIANCES = 1 } item_part;

typedef struct item_table_kind {
    const char *name;
    /* Rows are divided among ranks: slabs are those of this process, and fetch() and hand_back() are of all ranks. */
    bool divided;
    /* Declares the part that was added last: its name and width are known. */
    sr_status (*declare_part)(sr_item_table *table, item_part part, double deviation, sr_error *error);
    /* Makes `share`, a copy of `table` so far, the table of another thread. NULL: the copy is enough. */
    sr_status (*share)(sr_item_table *share, const sr_item_table *table, sr_error *error);
    /* Releases what the kind keeps in `memory`. NULL: nothing. */
    void (*free)(sr_item_table *table);
    /* Makes ready what will be read until the next time; see sr_model_fetch_items(). NULL: all rows are at hand. */
    sr_status (*fetch)(sr_item_table *table, const sr_item_reads *reads, sr_status status, sr_error *error);
    /* Takes the gradients of the rows that were fetched; see sr_model_hand_back_items(). NULL: they are where they belong. */
    sr_status (*hand_back)(sr_item_table *table, sr_status status, sr_error *error);
    /* Rows on the tape, among which those of `ids` [count] are: (*places)[i] is where that of ids[i] stands. Place 0 is id 0
     * and no other. NULL after a failure of the tape. */
    sr_tensor *(*rows)(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                       const int32_t **places);
    /* The slabs of rows that this process walks when the whole catalogue is asked for: which items they have (never the mask
     * token), and a part of them as numbers and on the tape. Slabs are in whatever order; each item is in one of them, of some
     * process where rows are divided. Shares of a table have its slabs. */
    size_t (*slab_count)(const sr_item_table *table);
    sr_row_numbers (*slab_items)(const sr_item_table *table, size_t slab);
    const sr_real *(*slab_values)(const sr_item_table *table, size_t slab, item_part part);
    sr_tensor *(*slab_on_tape)(sr_item_table *table, sr_tape *tape, size_t slab, item_part part);
    /* Bytes that values of rows take in this process. */
    size_t (*bytes)(const sr_item_table *table);
} item_table_kind;

/* Every rank has every row. */
extern const item_table_kind replicated_items;

typedef struct {
    char name[SR_PARAMETER_NAME_SIZE]; /* of the array in checkpoints */
    size_t width;
    size_t parameter; /* its index where the rows lie among the model's other parameters; else SIZE_MAX */
} item_table_part;

struct sr_item_table {
    const item_table_kind *kind;
    sr_parameters *parameters; /* all else of the model, or of the share of it */
    void *memory;              /* what the kind keeps */
    size_t items, rows;        /* rows: 1 + items, and the mask token's */
    item_table_part parts[ITEM_PARTS_MAXIMUM];
    size_t part_count;
};

/* An empty table of this kind. Release with item_table_free(). */
void item_table_initialise(sr_item_table *table, const item_table_kind *kind, void *memory, sr_parameters *parameters,
                           size_t items);
void item_table_free(sr_item_table *table);

/* Adds the next part, [1 + items + more, width], named "NAME.weight" in checkpoints; its rows start normally distributed with
 * this deviation. Parts have equally many rows. */
sr_status item_table_declare(sr_item_table *table, const char *name, size_t more, size_t width, double deviation,
                             sr_error *error);

/* The table of a share of the model, which has these parameters. Release with item_table_free(). */
sr_status item_table_share(sr_item_table *share, const sr_item_table *table, sr_parameters *parameters, sr_error *error);

/* The rows of ids [count] as [count, width]. Their gradient goes back into the table; that of row 0 does not where
 * `padding_row`. Ids must live until the tape is reset, as in all that follows. */
sr_tensor *item_table_read(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                           bool padding_row);

/* The row of padding as [1, width], which gets no gradient. */
sr_tensor *item_table_padding(sr_item_table *table, sr_tape *tape, item_part part);

/* Scores of one item for each of n states [n, width]: out[i] = <states_i, row of ids_i>, [n, 1]. */
sr_tensor *item_table_scores(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *ids);

/* Gives a comparison of n targets with lists (all but the tables and the places in them is there) the rows of these ids:
 * `targets` [n], `entries` [lists, length]. Tables are NULL after a failure of the tape. */
void item_table_compare(sr_item_table *table, sr_tape *tape, const int32_t *targets, size_t n, const int32_t *entries,
                        sr_comparison *with);

/* Cross entropy of n states [n, width] over all items, padding included and the mask token not: the sum over targets [n] of
 * logsumexp_v <state, row v> - <state, row of the target>, times `weight`, as [1, 1]; with scores for these products. */
sr_tensor *item_table_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                                    const sr_scoring *scoring, double weight);

/* Bytes of the tape that it takes, for `targets` targets and a catalogue of `items` items, where logits of at most `kept` bytes
 * stay from forward to backward. */
size_t item_table_cross_entropy_memory(size_t targets, size_t items, size_t kept);

/* The Frobenius norm of a part as [1, 1]. */
sr_tensor *item_table_norm(sr_item_table *table, sr_tape *tape, item_part part);

#endif

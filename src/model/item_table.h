/* The item table: the vectors of all items, which inputs are read from and states are scored against.
 *
 * It is the one part of a model that grows with the catalogue. So it is an object of its own: whoever needs items asks it for
 * rows by their ids and never for the place of a row. Where the rows lie is the matter of a kind, one row below:
 *
 *   replicated   every rank has every row, among the model's other parameters (replicated_items.c)
 *   divided      each worker has some rows, in a block of its own (divided_items.c)
 *
 * A table has one part, vectors, or two: means and covariances, where items are Gaussians; or vectors of inputs and vectors of
 * classes, where model.output_embedding is separate. All parts have a row for each id: 0 is padding, 1 .. items are items, and
 * behind them there may be a mask token, which is read and never scored.
 *
 * Who calls what, and what a table that is divided among ranks makes of it:
 *
 *   | stage                    | called by             | with rows on other ranks                                    |
 *   | ------------------------ | --------------------- | ----------------------------------------------------------- |
 *   | declare, share, free     | model                 | local                                                       |
 *   | fetch                    | objective, scorer     | collective: ids go to owners and rows come back             |
 *   | read, scores of ids      | backbones, losses     | local: among the rows that were fetched                     |
 *   | loss over the catalogue  | losses                | collective: each owner walks its own rows                   |
 *   | hand back                | objective             | collective: gradients of fetched rows go to owners          |
 *   | slabs, scores            | scorer                | local: of the rows that this process owns                   |
 *   | bytes                    | plan                  | local                                                       |
 *
 * All else needs no function of a kind. Rows either lie among the model's parameters, or a kind lists blocks of them there
 * (srtrain/row_blocks.h). What draws, steps, measures, saves and loads parameters walks that list:
 *
 *   | stage                            | done by                             | of blocks                                      |
 *   | -------------------------------- | ----------------------------------- | ---------------------------------------------- |
 *   | draw                             | parameters, stepper                 | sr_row_block_draw()                            |
 *   | squares of gradients, update     | step/item_rows.c                    | an optimizer for each; touched rows alone      |
 *   | settle late rows                 | fetch, through sr_row_block.settle  | those that are asked for                       |
 *   | save, load                       | storage/checkpoint_*.c              | in the order of ids, whoever has them          |
 *
 * Every worker makes a call that is collective for some kind equally often: in training, and in evaluation where ranks with
 * fewer histories go on with none (evaluate/score_round.h). One that has failed makes it without a batch. */
#ifndef SRTRAIN_MODEL_ITEM_TABLE_H
#define SRTRAIN_MODEL_ITEM_TABLE_H

#include "srtrain/item_table.h"
#include "srtrain/operations.h"
#include "srtrain/ranks.h"
#include "srtrain/row_blocks.h"

enum { ITEM_PARTS_MAXIMUM = 2 };

/* The parts of a table, in the order in which they are declared. Vectors are means where items are Gaussians. The second part
 * are covariances, or vectors that states are scored with where these are not those of inputs. */
typedef enum { ITEM_VECTORS = 0, ITEM_COVARIANCES = 1, ITEM_OUTPUTS = 1 } item_part;

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
    /* Makes ready what will be read until the next time; see sr_model_fetch_items(). `ranks` are those of the pass, which live
     * until rows are handed back; NULL: this one has the whole batch. NULL: all rows are at hand. */
    sr_status (*fetch)(sr_item_table *table, const sr_item_reads *reads, sr_ranks *ranks, sr_status status, sr_error *error);
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
    /* What is computed over the whole catalogue where slabs of one process do not suffice: see item_table_cross_entropy() and
     * item_table_norm(). All ranks call them together, also with states of NULL after a failure of the tape. NULL, both: this
     * process has all slabs. */
    sr_tensor *(*cross_entropy)(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                                const sr_scoring *scoring, double weight);
    sr_tensor *(*norm)(sr_item_table *table, sr_tape *tape, item_part part);
    /* Bytes that values of rows take in this process. */
    size_t (*bytes)(const sr_item_table *table);
} item_table_kind;

/* Every rank has every row. Each worker has some. */
extern const item_table_kind replicated_items, divided_items;

/* What the second one keeps, for `items` items. It belongs to the table that is made with it. */
struct sr_item_division;
sr_status divided_items_create(void **memory, const struct sr_item_division *division, size_t items, sr_error *error);

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
    bool dense;                /* in training any row may have a gradient */
    sr_parameter_set set;      /* SR_PARAMETERS_FROZEN: rows stay as they start */
    item_table_part parts[ITEM_PARTS_MAXIMUM];
    size_t part_count;
    item_part scored; /* the part with which states are scored: vectors, unless its declarer says otherwise */
};

/* An empty table of this kind. Release with item_table_free(). */
void item_table_initialise(sr_item_table *table, const item_table_kind *kind, void *memory, sr_parameters *parameters,
                           size_t items);
void item_table_free(sr_item_table *table);

/* Adds the next part, [1 + items + more, width], named "NAME.weight" in checkpoints; its rows start normally distributed with
 * this deviation. Parts have equally many rows. */
sr_status item_table_declare(sr_item_table *table, const char *name, size_t more, size_t width, double deviation,
                             sr_error *error);

/* For kinds with blocks of rows, in declare_part(): lets the model's parameters list these blocks, and declares the part in
 * each of them. `list` must live as long as the table. */
sr_status item_table_declare_in_blocks(sr_item_table *table, item_part part, double deviation, sr_row_block *const *list,
                                       size_t count, sr_error *error);

/* The items among the rows of a block: all but the mask token. */
sr_row_numbers item_table_items_of(const sr_item_table *table, const sr_row_block *block);

/* Bytes of values of a row. */
size_t item_table_row_bytes(const sr_item_table *table);

/* Whether ranks compute a loss or a penalty over the whole catalogue together, so that all have to come to it. */
bool item_table_joins_ranks(const sr_item_table *table);

/* The table of a share of the model, which has these parameters. Release with item_table_free(). */
sr_status item_table_share(sr_item_table *share, const sr_item_table *table, sr_parameters *parameters, sr_error *error);

/* The rows of ids [count] as [count, width]. Their gradient goes back into the table; that of row 0 does not where
 * `padding_row`. Ids must live until the tape is reset, as in all that follows. */
sr_tensor *item_table_read(sr_item_table *table, sr_tape *tape, item_part part, const int32_t *ids, size_t count,
                           bool padding_row);

/* The row of padding as [1, width], which gets no gradient. */
sr_tensor *item_table_padding(sr_item_table *table, sr_tape *tape, item_part part);

/* Scores of one item for each of n states [n, width]: out[i] = <states_i, row of ids_i>, [n, 1]. This and what follows is of
 * the part that is scored. */
sr_tensor *item_table_scores(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *ids);

/* Gives a comparison of n targets with lists (all but the tables and the places in them is there) the rows of these ids:
 * `targets` [n], `entries` [lists, length]. Tables are NULL after a failure of the tape. */
void item_table_compare(sr_item_table *table, sr_tape *tape, const int32_t *targets, size_t n, const int32_t *entries,
                        sr_comparison *with);

/* Cross entropy of states [n, width] over all items, padding included and the mask token not: the sum over targets of
 * logsumexp_v <state, row v> - <state, row of the target>, times `weight`, as [1, 1]; with scores for these products. Where
 * ranks are joined each state has one target. */
sr_tensor *item_table_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const sr_row_targets *targets,
                                    const sr_scoring *scoring, double weight);

/* Bytes of the tape that it takes, for `targets` targets and a catalogue of `items` items, where logits of at most `kept` bytes
 * stay from forward to backward. */
size_t item_table_cross_entropy_memory(size_t targets, size_t items, size_t kept);

/* The Frobenius norm of a part as [1, 1]. */
sr_tensor *item_table_norm(sr_item_table *table, sr_tape *tape, item_part part);

#endif

/* From a pass that a tape has recorded to a graph that other programs run.
 *
 * A tape computes one batch, whose sequences are packed without padding. A graph computes any batch of padded
 * sequences. So every operation says in its row what it computes on these (sr_operation.describe). The pass that is
 * recorded has one sequence, which fills the window, and its last state is read. Values of a graph then are:
 *
 *   | of a tensor                                   | its value                         |
 *   | --------------------------------------------- | --------------------------------- |
 *   | rows of tokens, of queries, of keys [T, n]    | [batch, window, n]                |
 *   | rows that are read, rows of sequences [S, n]  | [batch, 1, n]                     |
 *   | cells of a map                                | [batch, heads, queries, keys]     |
 *   | a parameter                                   | the shape in which it was declared|
 *   | a row that all batches have                   | [n]                               |
 *
 * An axis of size 1 may stand for any size, as in NumPy. Rows of tokens that a sequence does not have hold any
 * numbers but no NaN, and so do cells that are not visible, unless they are weights: these hold 0 there. Operations
 * that mix rows or cells leave those out. */
#ifndef SRTRAIN_TENSOR_DESCRIPTION_H
#define SRTRAIN_TENSOR_DESCRIPTION_H

#include "srtrain/graph.h"
#include "srtrain/parameters.h"
#include "srtrain/ragged.h"
#include "srtrain/tape.h"

typedef struct sr_description sr_description;

/* What was recorded. */
typedef struct {
    sr_tape *tape; /* that keeps all */
    const sr_parameters *parameters;
    const sr_layout *layout; /* of the one sequence */
    const sr_rows *reads;
    bool pads_left;       /* histories end in the last column; else they start in the first one */
    bool whole_window;    /* padding tokens are tokens */
    sr_graph_value items; /* [batch, window] integers: ids, 0 for padding */
} described_pass;

/* Release with description_free(). */
sr_status description_create(sr_description **description, sr_graph *graph, const described_pass *pass, sr_error *error);
void description_free(sr_description *description); /* NULL is allowed */

/* Says that an array which operations read is this value. */
void description_bind(sr_description *description, const void *array, sr_graph_value value);

/* The value of a tensor: what computed it is added to the graph, if it is not there yet. 0, and a sticky failure of
 * the graph, for what other programs cannot compute. */
sr_graph_value described(sr_description *description, const sr_tensor *tensor);

/* ---- for operations ---- */

sr_graph *description_graph(const sr_description *description);
const described_pass *description_pass(const sr_description *description);

/* The value of an array: of the layout's columns, of one that was bound, or of one that was noted on the tape. */
sr_graph_value described_array(sr_description *description, const void *array);

/* The columns of the window in which tokens that are read stand, [batch, 1] or [1, 1]; rows of those tokens, of a
 * value [batch, window, n]; and their queries, of cells [batch, heads, window, keys]. */
sr_graph_value described_read_columns(sr_description *description);
sr_graph_value described_read_rows(sr_description *description, sr_graph_value rows);
sr_graph_value described_read_queries(sr_description *description, sr_graph_value cells);

/* Whether rows are those that are read, and not all tokens. */
bool are_read(const sr_description *description, const size_t *tokens);

/* Columns 0 .. window - 1 as integers, [window]. */
sr_graph_value described_columns(sr_description *description);

/* Whether an item stands in a column; whether a token does: [batch, window]. */
sr_graph_value described_items(sr_description *description);
sr_graph_value described_tokens(sr_description *description);

/* Whether a key is visible to a query, [batch, 1, queries, keys]; not of maps that are whole. */
sr_graph_value described_visible(sr_description *description, const sr_attention_map *map);

/* Cells with this number in those that are not visible. */
sr_graph_value described_masked(sr_description *description, const sr_attention_map *map, sr_graph_value cells, double number);

/* Numbers [window, window] by the columns of query and key, as far as the map has such queries: they add to its
 * cells. */
sr_graph_value described_by_columns(sr_description *description, const sr_attention_map *map, sr_graph_value matrix);

/* [batch, rows, heads * n] -> [batch, heads, rows, n]; the same with the last axes exchanged; and back. */
sr_graph_value described_heads(sr_description *description, sr_graph_value rows, size_t heads);
sr_graph_value described_heads_transposed(sr_description *description, sr_graph_value rows, size_t heads);
sr_graph_value described_merged(sr_description *description, sr_graph_value heads);

/* Says that something cannot be computed by other programs, and why; returns 0. */
sr_graph_value description_refuse(sr_description *description, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

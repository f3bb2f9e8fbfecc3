/* The item table of a model, for those who run models: what a batch will read, and scores of the catalogue.
 *
 * Calls that are marked "of all ranks" are for rows that are divided among ranks. Where every rank has them all, as now, they
 * are local and do nothing. */
#ifndef SRTRAIN_ITEM_TABLE_H
#define SRTRAIN_ITEM_TABLE_H

#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/model_settings.h"
#include "srtrain/parameters.h"
#include "srtrain/row_numbers.h"

typedef struct sr_model sr_model;
typedef struct sr_item_table sr_item_table;

/* The table of a model; it belongs to the model. Each share of a model has its own, of the same rows. */
sr_item_table *sr_model_item_table(sr_model *model);

/* Rows that it has: padding, items, and the mask token where there is one. */
size_t sr_item_table_rows(const sr_item_table *table);

/* Columns of the rows that inputs are read from. */
size_t sr_item_table_width(const sr_item_table *table);

/* Bytes that the values of its rows take in this process. */
size_t sr_item_table_bytes(const sr_item_table *table);

/* Whether each rank scores items of its own alone: no process has tiles of all items, and rows are fetched by all ranks
 * together. */
bool sr_item_table_is_divided(const sr_item_table *table);

/* ---- what a batch reads ---- */

/* Inputs, targets and both kinds of negatives of a batch and of two that go with it, and padding. */
enum { SR_ITEM_LISTS_MAXIMUM = 13 };

typedef struct {
    const int32_t *ids; /* [count], in any order, each as often as it likes */
    size_t count;
} sr_id_list;

/* Every id that is read by the passes over a batch and by its losses, but for the loss over the whole catalogue. */
typedef struct {
    sr_id_list lists[SR_ITEM_LISTS_MAXIMUM];
    size_t count;
} sr_item_reads;

/* The ids that a batch names, and those of the batches that go with it; they live as long as the batch. NULL: none. */
sr_item_reads sr_batch_item_reads(const sr_batch *batch);

/* ---- scores ---- */

/* The catalogue prepared for scoring with the model's present parameters: the items that this process scores, in columns. */
typedef struct sr_catalogue sr_catalogue;

/* Columns [begin, begin + items.count) of the scores belong to these items. */
typedef struct {
    size_t begin;
    sr_row_numbers items;
} sr_score_tile;

/* Keeps pointers to the model and to the kernels that score. Release with sr_catalogue_free(). */
sr_status sr_catalogue_create(sr_catalogue **catalogue, const sr_model *model, const sr_kernels *kernels, sr_error *error);
void sr_catalogue_free(sr_catalogue *catalogue); /* NULL is allowed */

/* Bytes that it holds beside the model, where a process scores `items` items for at most `states` states at a time. */
size_t sr_catalogue_memory(const sr_model_settings *settings, size_t items, size_t states);

/* The items that this process scores: *tiles [*tile_count], whose order need not be that of items. Each item is in one tile of
 * some rank, padding too; columns are those of all its tiles. All threads of a process have the same tiles. */
size_t sr_catalogue_columns(const sr_catalogue *catalogue);
void sr_catalogue_tiles(const sr_catalogue *catalogue, const sr_score_tile **tiles, size_t *tile_count);

/* How many numbers a representation has. */
size_t sr_catalogue_width(const sr_catalogue *catalogue);

/* The representations [count, width] that are scored from now on; they must live until others are. Local. */
sr_status sr_catalogue_take_states(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_error *error);

/* Some of these states, and the items at some places of a tile. */
typedef struct {
    size_t first_state, states;
    size_t tile, first_item, items;
} sr_score_part;

/* scores [states, items] of a part; larger is better. Dot products with the item table, cosines with model.similarity cosine,
 * or minus the squared 2-Wasserstein distance where items are Gaussians. The bits of a score follow from the state and the item
 * alone: what else is in the part, and which tile the item is in, does not change them. Local. */
void sr_catalogue_score(const sr_catalogue *catalogue, const sr_score_part *part, sr_real *scores);

#endif

/* A kind of item table for tests: rows lie in several slabs whose order is not that of items, and nothing can be read but what
 * was fetched before. Whoever goes past the face of the item table, or counts on the order of ids, fails with it. */
#ifndef SRTRAIN_TESTS_SCATTERED_ITEMS_H
#define SRTRAIN_TESTS_SCATTERED_ITEMS_H

#include "model/item_table.h"
#include "srtrain/model.h"

/* sr_model_declare() with such a table. */
sr_status scattered_declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error);

/* Memory for the parameters of a model that was declared with rows in blocks, and in it the values of a model whose rows are
 * parameters. */
void copy_parameters(sr_model *to_model, sr_model *from_model);

/* A model with the same settings and values as `like`, whose items are scattered. Release with sr_model_free(). */
sr_model *scattered_model(sr_model *like);

/* The ranks that a divided table lies on. */
typedef struct scattered_ranks scattered_ranks;
struct scattered_ranks {
    /* Whether an item is this rank's; padding and the mask token are somebody's too. */
    bool (*own)(const scattered_ranks *ranks, size_t id);
    /* Whether this fetch is to fail on this one of those who fetch together. */
    bool (*fails)(scattered_ranks *ranks, const sr_ranks *together);
};

/* The same, divided: a rank's slabs have its items alone. (Values of all rows are there all the same.) `ranks` must live as
 * long. */
sr_model *scattered_over_ranks(sr_model *like, scattered_ranks *ranks);

/* The table of that kind, [rows, width] of a part in the order of ids: its values, and the gradients that were handed back or
 * came from whole slabs. */
void scattered_values(const sr_item_table *table, item_part part, sr_real *values);
void scattered_gradients(const sr_item_table *table, item_part part, sr_real *gradients);

/* Changes one value. */
void scattered_set(sr_item_table *table, item_part part, size_t id, size_t column, sr_real value);

#endif

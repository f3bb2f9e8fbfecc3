/* A kind of item table for tests: rows lie in several slabs whose order is not that of items, and nothing can be read but what
 * was fetched before. Whoever goes past the face of the item table, or counts on the order of ids, fails with it. */
#ifndef SRTRAIN_TESTS_SCATTERED_ITEMS_H
#define SRTRAIN_TESTS_SCATTERED_ITEMS_H

#include "model/item_table.h"
#include "srtrain/model.h"

/* sr_model_declare() with such a table. */
sr_status scattered_declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error);

/* A model with the same settings and values as `like`, whose items are scattered. Release with sr_model_free(). */
sr_model *scattered_model(sr_model *like);

/* The table of that kind, [rows, width] of a part in the order of ids: its values, and the gradients that were handed back or
 * came from whole slabs. */
void scattered_values(const sr_item_table *table, item_part part, sr_real *values);
void scattered_gradients(const sr_item_table *table, item_part part, sr_real *gradients);

/* Changes one value. */
void scattered_set(sr_item_table *table, item_part part, size_t id, size_t column, sr_real value);

#endif

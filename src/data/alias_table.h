/* Draws from any distribution in constant time (Walker 1977, in the form of Vose 1991). Called by item_shares.c. */
#ifndef SRTRAIN_DATA_ALIAS_TABLE_H
#define SRTRAIN_DATA_ALIAS_TABLE_H

#include "srtrain/random.h"

/* Column c stands for itself with probability thresholds[c], else for aliases[c]. 12 bytes a column. */
typedef struct {
    size_t columns; /* fewer than 2^31 */
    double *thresholds;
    int32_t *aliases;
} alias_table;

/* Builds the table in its place, without further memory. Before, thresholds[c] are the probabilities times `columns`.
 *
 * Two queues hold columns in ascending order, those below 1 and the others. The front of the first is filled up by the front of
 * the second, which joins the first queue's end when it falls below 1. What is left over stands for itself alone. So the table
 * is a function of the probabilities. */
void alias_table_build(alias_table *table);

/* A column, drawn with one block of random words. */
size_t alias_table_draw(const alias_table *table, sr_random_stream stream, uint64_t low, uint64_t high);

#endif

#include "data/alias_table.h"

/* What aliases[] says of a column that has no alias yet: it has been in its first queue alone, or has fallen below 1. */
enum { WAITS = -1, HAS_FALLEN = -2 };

/* The queues are columns in ascending order, so that a position in the table is enough for each: the first queue holds the
 * columns that were below 1 from the beginning, then those that have fallen, which fall in ascending order. */
typedef struct {
    const alias_table *table;
    size_t low, fallen, high;
} queues;

static size_t first_high(queues *q)
{
    const alias_table *t = q->table;
    while (q->high < t->columns && !(t->aliases[q->high] == WAITS && t->thresholds[q->high] >= 1))
        ++q->high;
    return q->high;
}

static size_t take_low(queues *q)
{
    const alias_table *t = q->table;
    while (q->low < t->columns && !(t->aliases[q->low] == WAITS && t->thresholds[q->low] < 1))
        ++q->low;
    if (q->low < t->columns)
        return q->low++;
    while (q->fallen < t->columns && t->aliases[q->fallen] != HAS_FALLEN)
        ++q->fallen;
    return q->fallen < t->columns ? q->fallen++ : t->columns;
}

void alias_table_build(alias_table *table)
{
    queues q = {.table = table};
    for (size_t column = 0; column < table->columns; ++column)
        table->aliases[column] = WAITS;
    for (;;) {
        const size_t high = first_high(&q);
        const size_t low = high < table->columns ? take_low(&q) : table->columns;
        if (low == table->columns)
            break;
        table->aliases[low] = (int32_t)high;
        table->thresholds[high] -= 1 - table->thresholds[low];
        if (table->thresholds[high] < 1)
            table->aliases[high] = HAS_FALLEN;
    }
    for (size_t column = 0; column < table->columns; ++column)
        if (table->aliases[column] < 0) {
            table->thresholds[column] = 1;
            table->aliases[column] = (int32_t)column;
        }
}

size_t alias_table_draw(const alias_table *table, sr_random_stream stream, uint64_t low, uint64_t high)
{
    double uniform;
    const size_t column = (size_t)sr_random_below_and_uniform(stream, low, high, table->columns, &uniform);
    return uniform < table->thresholds[column] ? column : (size_t)table->aliases[column];
}

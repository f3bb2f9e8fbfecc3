/* Which rows of a large table lie beside each other in a part of it. */
#ifndef SRTRAIN_ROW_NUMBERS_H
#define SRTRAIN_ROW_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Row `row` stands where `regular` would be, which is another row of the same group. */
typedef struct {
    int32_t regular, row;
} sr_moved_row;

/* The numbers of `count` rows, ascending: list[0], list[1], .. or, where `list` is NULL, first, first + step, .. The latter
 * are one of each group of `step` rows: of rows 0 .. step - 1, step .. 2 step - 1, and so on. In some groups another row
 * stands in its place. So numbers still ascend. */
typedef struct {
    size_t count;
    size_t first, step;        /* step 0 stands for 1 */
    const sr_moved_row *moved; /* [moved_count], ascending in both numbers; others may be among them */
    size_t moved_count;
    const int32_t *list; /* [count] */
} sr_row_numbers;

/* The number of the row at a place. */
int32_t sr_row_number(const sr_row_numbers *numbers, size_t place);

/* How many rows have a smaller number than this one, in *place: where it stands, if it is there. Returns whether it is. */
bool sr_row_place(const sr_row_numbers *numbers, int32_t number, size_t *place);

/* Those at places [place, place + count). */
sr_row_numbers sr_row_numbers_part(const sr_row_numbers *numbers, size_t place, size_t count);

#endif

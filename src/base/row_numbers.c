#include "srtrain/row_numbers.h"

#include "base/sizes.h"

static size_t step_of(const sr_row_numbers *numbers)
{
    return numbers->step ? numbers->step : 1;
}

/* What stands in the place of a row. */
static int32_t moved_to(const sr_row_numbers *numbers, int32_t regular)
{
    const sr_moved_row *moved = numbers->moved;
    size_t begin = 0, end = numbers->moved_count;
    if (end == 0 || regular > moved[end - 1].regular)
        return regular;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (moved[middle].regular < regular)
            begin = middle + 1;
        else
            end = middle;
    }
    return moved[begin].regular == regular ? moved[begin].row : regular;
}

int32_t sr_row_number(const sr_row_numbers *numbers, size_t place)
{
    return numbers->list ? numbers->list[place] : moved_to(numbers, (int32_t)(numbers->first + place * step_of(numbers)));
}

static size_t place_in_list(const sr_row_numbers *numbers, int32_t number)
{
    size_t begin = 0, end = numbers->count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (numbers->list[middle] < number)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* The place of the row that is of the same group, and whose number may be smaller. */
static size_t place_in_groups(const sr_row_numbers *numbers, int32_t number)
{
    const size_t group = (size_t)number / step_of(numbers), first = numbers->first / step_of(numbers);
    const size_t place = group < first ? 0 : smaller(group - first, numbers->count);
    return group >= first && place < numbers->count && sr_row_number(numbers, place) < number ? place + 1 : place;
}

bool sr_row_place(const sr_row_numbers *numbers, int32_t number, size_t *place)
{
    *place = numbers->list ? place_in_list(numbers, number) : place_in_groups(numbers, number);
    return *place < numbers->count && sr_row_number(numbers, *place) == number;
}

sr_row_numbers sr_row_numbers_part(const sr_row_numbers *numbers, size_t place, size_t count)
{
    sr_row_numbers part = *numbers;
    part.count = count;
    part.first += place * step_of(numbers);
    if (part.list)
        part.list += place;
    return part;
}

#include "srtrain/row_numbers.h"

static size_t step_of(const sr_row_numbers *numbers)
{
    return numbers->step ? numbers->step : 1;
}

int32_t sr_row_number(const sr_row_numbers *numbers, size_t place)
{
    return numbers->list ? numbers->list[place] : (int32_t)(numbers->first + place * step_of(numbers));
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

bool sr_row_place(const sr_row_numbers *numbers, int32_t number, size_t *place)
{
    if (numbers->list) {
        *place = place_in_list(numbers, number);
        return *place < numbers->count && numbers->list[*place] == number;
    }
    const size_t wanted = (size_t)number;
    if (wanted < numbers->first) {
        *place = 0;
        return false;
    }
    const size_t behind = wanted - numbers->first, step = step_of(numbers), smaller = (behind + step - 1) / step;
    *place = smaller < numbers->count ? smaller : numbers->count;
    return *place < numbers->count && behind % step == 0;
}

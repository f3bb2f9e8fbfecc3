#include "evaluate/case_columns.h"

#include "base/escaped.h"

#include <string.h>

static const char *const names[CASE_COLUMNS] = {"user", "target", "rank", "score", "length", "popularity", "repeat", "top"};

const char *case_column_name(case_column column)
{
    return names[column];
}

size_t case_column_elements(case_column column, size_t top_k)
{
    return column == CASE_TOP ? top_k : 1;
}

size_t case_column_size(case_column column, const sr_dataset *dataset)
{
    switch (column) {
    case CASE_USER:
        return sr_dataset_user_name_width(dataset);
    case CASE_TARGET:
    case CASE_TOP:
        return sr_dataset_item_name_width(dataset);
    case CASE_POPULARITY:
        return sizeof(int64_t);
    case CASE_REPEAT:
        return sizeof(uint8_t);
    default:
        return sizeof(int32_t);
    }
}

hid_t case_column_type(case_column column, const sr_dataset *dataset)
{
    if (column == CASE_SCORE)
        return H5Tcopy(H5T_IEEE_F32LE);
    if (column == CASE_POPULARITY)
        return H5Tcopy(H5T_STD_I64LE);
    if (column == CASE_REPEAT)
        return H5Tcopy(H5T_STD_U8LE);
    if (column == CASE_RANK || column == CASE_LENGTH)
        return H5Tcopy(H5T_STD_I32LE);
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, case_column_size(column, dataset)) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0)
        return type;
    if (type >= 0)
        H5Tclose(type);
    return -1;
}

/* ---- a case ---- */

static int32_t target_of(const sr_dataset *dataset, const case_record *record)
{
    return sr_dataset_sequence(dataset, record->user).items[record->at];
}

static bool is_repeat(const sr_dataset *dataset, const case_record *record)
{
    const int32_t *items = sr_dataset_sequence(dataset, record->user).items;
    for (size_t i = 0; i < record->at; ++i)
        if (items[i] == items[record->at])
            return true;
    return false;
}

/* Nothing for item 0, of which there is no name. */
static const char *item_name(const sr_dataset *dataset, int32_t item, size_t *length)
{
    *length = 0;
    return item ? sr_dataset_item_name(dataset, (size_t)item, length) : "";
}

/* ---- HDF5 ---- */

static void fill_text(char *element, const char *text, size_t length, size_t size)
{
    memcpy(element, text, length);
    memset(element + length, 0, size - length);
}

static void fill_items(char *element, const sr_dataset *dataset, const int32_t *items, size_t count)
{
    const size_t size = sr_dataset_item_name_width(dataset);
    for (size_t i = 0; i < count; ++i) {
        size_t length;
        const char *text = item_name(dataset, items[i], &length);
        fill_text(element + i * size, text, length, size);
    }
}

static void fill_element(case_column column, const sr_dataset *dataset, const case_record *record, size_t top_k, char *element)
{
    const int32_t target = target_of(dataset, record);
    size_t length;
    const char *text;
    switch (column) {
    case CASE_USER:
        text = sr_dataset_user_name(dataset, record->user, &length);
        fill_text(element, text, length, sr_dataset_user_name_width(dataset));
        break;
    case CASE_TARGET:
        fill_items(element, dataset, &target, 1);
        break;
    case CASE_RANK:
        memcpy(element, &record->rank, sizeof record->rank);
        break;
    case CASE_SCORE:
        memcpy(element, &record->score, sizeof record->score);
        break;
    case CASE_LENGTH:
        memcpy(element, &record->at, sizeof record->at);
        break;
    case CASE_POPULARITY:
        memcpy(element, &sr_dataset_popularity(dataset)[target], sizeof(int64_t));
        break;
    case CASE_REPEAT:
        *element = is_repeat(dataset, record);
        break;
    default:
        fill_items(element, dataset, record->list, top_k);
    }
}

void case_column_fill(case_column column, const sr_dataset *dataset, const case_spools *layout, const char *records,
                      size_t count, char *elements)
{
    const size_t size = case_column_size(column, dataset) * case_column_elements(column, layout->top_k);
    for (size_t i = 0; i < count; ++i)
        fill_element(column, dataset, (const case_record *)(const void *)(records + i * layout->record_bytes), layout->top_k,
                     elements + i * size);
}

/* ---- TSV ---- */

void case_header_write(FILE *file, size_t top_k)
{
    for (case_column column = 0; column < CASE_TOP; ++column)
        fprintf(file, "%s%s", column ? "\t" : "", names[column]);
    for (size_t k = 1; k <= top_k; ++k)
        fprintf(file, "\t%s_%zu", names[CASE_TOP], k);
    fputc('\n', file);
}

void case_line_write(FILE *file, const sr_dataset *dataset, const case_record *record, size_t top_k)
{
    const int32_t target = target_of(dataset, record);
    size_t length;
    const char *text = sr_dataset_user_name(dataset, record->user, &length);
    escaped_write(file, text, length);
    fputc('\t', file);
    text = item_name(dataset, target, &length);
    escaped_write(file, text, length);
    fprintf(file, "\t%u\t%.9g\t%u\t%lld\t%d", record->rank, (double)record->score, record->at,
            (long long)sr_dataset_popularity(dataset)[target], is_repeat(dataset, record));
    for (size_t k = 0; k < top_k; ++k) {
        text = item_name(dataset, record->list[k], &length);
        fputc('\t', file);
        escaped_write(file, text, length);
    }
    fputc('\n', file);
}

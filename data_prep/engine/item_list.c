#include "engine/item_list.h"

#include "base/lines.h"
#include "engine/sort_keys.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SORTING = 40, WRITE_BUFFER = 1 << 16 }; /* sorting takes so many bytes for an identifier */

void item_list_free(item_list *list)
{
    names_free(&list->table);
    store_close(&list->file);
    free(list->runs);
    *list = (item_list){.file = {.descriptor = -1}};
}

static bool is_full(const item_list *list, const workplace *place)
{
    return names_memory(&list->table) + list->table.count * (uint64_t)SORTING > place->memory / 16;
}

typedef struct {
    item_list *list;
    workplace *place;
    store_writer to; /* of a long list */
} reading;

/* What has been read becomes a run. */
static sr_status write_run(reading *r, sr_error *error)
{
    item_list *list = r->list;
    const name_table *table = &list->table;
    uint32_t *sorted;
    SR_TRY(SR_GROW(&list->runs, &list->room, list->count + 1, "a list of items", error));
    SR_TRY(SR_ALLOCATE(&sorted, (size_t)table->count + 1, "a list of items", error));
    item_list_run *run = &list->runs[list->count++];
    *run = (item_list_run){.begin = writer_place(&r->to), .count = table->count};
    sr_status status = sort_names(table, sorted, error);
    for (uint32_t i = 0; i < table->count && status == SR_OK; ++i) {
        const char *at = table->bytes + table->places[sorted[i]];
        status = writer_put(&r->to, at, NAME_HEADER + (size_t)name_at(at).length, error);
    }
    run->end = writer_place(&r->to);
    free(sorted);
    return status == SR_OK ? names_clear(&list->table, error) : status;
}

static sr_status take_line(reading *r, const lines *file, const char *line, sr_error *error)
{
    uint32_t number;
    const size_t length = strlen(line);
    SR_TRY(lines_check_identifier(file, line, "item", length, error));
    const bool is_long = r->list->is_long;
    if (is_long && workplace_owner(r->place, XXH3_64bits(line, length)) != r->place->rank)
        return SR_OK;
    SR_TRY(names_number(&r->list->table, line, length, &number, error));
    return is_long && is_full(r->list, r->place) ? write_run(r, error) : SR_OK;
}

/* Until the end, or until a short list is too long. */
static sr_status read_lines(reading *r, const char *path, sr_error *error)
{
    lines *file;
    const char *line;
    SR_TRY(lines_open(&file, path, error));
    sr_status status;
    while ((status = lines_next(file, &line, error)) == SR_OK && line) {
        status = take_line(r, file, line, error);
        if (status != SR_OK || (!r->list->is_long && is_full(r->list, r->place)))
            break;
    }
    lines_close(file);
    return status;
}

static sr_status read_long(reading *r, const char *path, sr_error *error)
{
    if (!lines_may_be_opened_again(path))
        return sr_fail(error, SR_ERROR_USAGE,
                       "--items %s is no regular file and too long for the memory: write it to a file, which is read twice, or "
                       "give more --memory",
                       path);
    r->list->is_long = true;
    SR_TRY(names_clear(&r->list->table, error));
    SR_TRY(workplace_store(r->place, &r->list->file, "item-list", false, error));
    sr_status status = writer_begin(&r->to, &r->list->file, 0, WRITE_BUFFER, error);
    if (status == SR_OK)
        status = read_lines(r, path, error);
    if (status == SR_OK)
        status = write_run(r, error);
    return writer_end(&r->to, status, error);
}

sr_status item_list_read(item_list *list, workplace *place, const char *path, sr_error *error)
{
    reading r = {.list = list, .place = place};
    *list = (item_list){.file = {.descriptor = -1}};
    sr_status status = names_create(&list->table, error);
    if (status == SR_OK)
        status = read_lines(&r, path, error);
    SR_TRY(sr_parallel_agree(place->parallel, status, error));
    /* All ranks do the same, although the memory of one may be enough. */
    int64_t too_long = is_full(list, place);
    SR_TRY(sr_parallel_maximum_int64(place->parallel, &too_long, 1, error));
    return too_long ? sr_parallel_agree(place->parallel, read_long(&r, path, error), error) : SR_OK;
}

#include "evaluate/case_table.h"

#include "base/escaped.h"
#include "base/lines.h"
#include "srtrain/memory.h"
#include "storage/hdf5_helpers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { USER, TARGET, ITEM, RANK, LENGTH, POPULARITY, REPEAT, COLUMNS };

static const char *const column_names[COLUMNS] = {"user", "target", "item", "rank", "length", "popularity", "repeat"};

/* What is known of a row before its names have numbers. */
typedef struct {
    const char *user, *item;
    size_t user_length, item_length;
    int64_t numbers[COLUMNS]; /* of the columns that hold numbers and are there */
} parsed_row;

typedef struct {
    case_table *table;
    name_table *users, *items;
    bool has[COLUMNS];
    uint32_t *seen; /* [users]: items of each user's list so far, where lists have no ranks */
    size_t seen_room;
} reader;

/* ---- rows ---- */

static sr_status check_columns(reader *r, sr_error *error)
{
    case_table *table = r->table;
    table->is_lists = !r->has[TARGET];
    table->has_length = r->has[LENGTH] && !table->is_lists;
    table->has_popularity = r->has[POPULARITY] && !table->is_lists;
    table->has_repeat = r->has[REPEAT] && !table->is_lists;
    if (r->has[USER] && (r->has[TARGET] ? r->has[RANK] : r->has[ITEM]))
        return SR_OK;
    return sr_fail(error, SR_ERROR_DATA,
                   "%s: expected columns user, target and rank (cases), or user and item (lists of recommended items), the "
                   "first line naming them",
                   table->path);
}

/* The rank of the next item of a user's list. */
static sr_status next_rank(reader *r, uint32_t user, int64_t *rank, sr_error *error)
{
    const size_t before = r->seen_room;
    SR_TRY(SR_GROW(&r->seen, &r->seen_room, (size_t)user + 1, "lists of users", error));
    memset(r->seen + before, 0, (r->seen_room - before) * sizeof *r->seen);
    *rank = ++r->seen[user];
    return SR_OK;
}

static sr_status add_row(reader *r, parsed_row *parsed, sr_error *error)
{
    case_table *table = r->table;
    case_row row = {
        .length = parsed->numbers[LENGTH], .popularity = parsed->numbers[POPULARITY], .repeat = parsed->numbers[REPEAT] != 0};
    SR_TRY(names_number(r->users, parsed->user, parsed->user_length, &row.user, error));
    SR_TRY(names_number(r->items, parsed->item, parsed->item_length, &row.item, error));
    if (!r->has[RANK])
        SR_TRY(next_rank(r, row.user, &parsed->numbers[RANK], error));
    const int64_t rank = parsed->numbers[RANK];
    if (rank < (table->is_lists ? 1 : 0) || rank >= UINT32_MAX)
        return sr_fail(error, SR_ERROR_DATA, "%s: row %zu has the rank %lld, expected %d or more", table->path,
                       table->count + 1, (long long)rank, table->is_lists ? 1 : 0);
    row.rank = (uint32_t)rank;
    SR_TRY(SR_GROW(&table->rows, &table->room, table->count + 1, "test cases", error));
    table->rows[table->count++] = row;
    return SR_OK;
}

/* ---- text ---- */

enum { FIELDS = 64 }; /* that are looked at, at most */

typedef struct {
    char *line;
    size_t room;
    char *fields[FIELDS];
    size_t lengths[FIELDS];
    size_t count, most; /* how many there are; behind so many nothing is looked for */
    char separator;
} fields_of_line;

static sr_status split(fields_of_line *fields, const char *line, sr_error *error)
{
    const size_t length = strlen(line);
    SR_TRY(SR_GROW(&fields->line, &fields->room, length + 1, "a line", error));
    memcpy(fields->line, line, length + 1);
    char *at = fields->line;
    for (fields->count = 0; at && fields->count < fields->most; ++fields->count) {
        char *end = strchr(at, fields->separator);
        const size_t size = end ? (size_t)(end - at) : strlen(at);
        fields->fields[fields->count] = at;
        fields->lengths[fields->count] = fields->separator == '\t' ? escaped_read(at, size) : size;
        if (end)
            *end = '\0';
        at = end ? end + 1 : NULL;
    }
    return SR_OK;
}

/* Where each column stands; SIZE_MAX: nowhere. */
static sr_status read_header(reader *r, lines *file, fields_of_line *fields, size_t *places, sr_error *error)
{
    const char *line;
    SR_TRY(lines_next(file, &line, error));
    if (!line)
        return sr_fail(error, SR_ERROR_DATA, "%s is empty", r->table->path);
    fields->separator = strchr(line, '\t') ? '\t' : ',';
    fields->most = FIELDS;
    SR_TRY(split(fields, line, error));
    fields->most = 0;
    for (size_t column = 0; column < COLUMNS; ++column) {
        places[column] = SIZE_MAX;
        for (size_t i = fields->count; i-- > 0;)
            if (fields->lengths[i] == strlen(column_names[column]) &&
                memcmp(fields->fields[i], column_names[column], fields->lengths[i]) == 0)
                places[column] = i;
        r->has[column] = places[column] != SIZE_MAX;
        if (r->has[column] && places[column] >= fields->most)
            fields->most = places[column] + 1;
    }
    return check_columns(r, error);
}

static sr_status parse_number(const lines *file, const char *line, const char *text, const char *column, int64_t *number,
                              sr_error *error)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return lines_fail(file, line, error, "column %s: \"%.40s\" is no whole number", column, text);
    return SR_OK;
}

static sr_status parse_line(const reader *r, const lines *file, const char *line, fields_of_line *fields, const size_t *places,
                            parsed_row *parsed, sr_error *error)
{
    const size_t item = places[r->table->is_lists ? ITEM : TARGET];
    SR_TRY(split(fields, line, error));
    *parsed = (parsed_row){.user = NULL};
    for (size_t column = 0; column < COLUMNS; ++column) {
        if (places[column] == SIZE_MAX)
            continue;
        if (places[column] >= fields->count)
            return lines_fail(file, line, error, "the line has %zu fields, and none for column %s", fields->count,
                              column_names[column]);
        if (column >= RANK)
            SR_TRY(parse_number(file, line, fields->fields[places[column]], column_names[column], &parsed->numbers[column],
                                error));
    }
    parsed->user = fields->fields[places[USER]];
    parsed->user_length = fields->lengths[places[USER]];
    parsed->item = fields->fields[item];
    parsed->item_length = fields->lengths[item];
    return SR_OK;
}

static sr_status read_lines(reader *r, lines *file, fields_of_line *fields, sr_error *error)
{
    size_t places[COLUMNS];
    SR_TRY(read_header(r, file, fields, places, error));
    for (;;) {
        const char *line;
        parsed_row parsed;
        SR_TRY(lines_next(file, &line, error));
        if (!line)
            return SR_OK;
        SR_TRY(parse_line(r, file, line, fields, places, &parsed, error));
        SR_TRY(add_row(r, &parsed, error));
    }
}

static sr_status read_text(reader *r, sr_error *error)
{
    lines *file;
    fields_of_line fields = {.line = NULL};
    SR_TRY(lines_open(&file, r->table->path, error));
    const sr_status status = read_lines(r, file, &fields, error);
    lines_close(file);
    free(fields.line);
    return status;
}

/* ---- HDF5 ---- */

typedef struct {
    char *values;
    size_t count, size; /* of an element */
} column_values;

static sr_status read_values(const reader *r, hid_t set, hid_t type, size_t column, column_values *found, sr_error *error)
{
    const bool is_text = column == USER || column == TARGET || column == ITEM;
    const hid_t space = H5Dget_space(set);
    const hssize_t count = space < 0 || H5Sget_simple_extent_ndims(space) != 1 ? -1 : H5Sget_simple_extent_npoints(space);
    const bool fits = is_text ? H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0
                              : H5Tget_class(type) == H5T_INTEGER;
    sr_status status = SR_OK;
    if (space >= 0)
        H5Sclose(space);
    if (count < 0 || !fits || !sr_hdf5_is_stored(set))
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s: expected one dimension of %s", r->table->path,
                       column_names[column], is_text ? "strings of fixed length" : "integers");
    found->count = (size_t)count;
    found->size = is_text ? H5Tget_size(type) : sizeof(int64_t);
    SR_TRY(sr_allocate((void **)&found->values, found->count, found->size, "a column of test cases", error));
    if (H5Dread(set, is_text ? type : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, found->values) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_DATA, r->table->path, "read dataset", column_names[column]);
    return status;
}

static sr_status read_column(reader *r, const sr_hdf5_file *file, size_t column, column_values *found, sr_error *error)
{
    r->has[column] = H5Lexists(file->id, column_names[column], H5P_DEFAULT) > 0;
    if (!r->has[column])
        return SR_OK;
    const hid_t set = H5Dopen2(file->id, column_names[column], H5P_DEFAULT), type = set < 0 ? -1 : H5Dget_type(set);
    const sr_status status = type < 0 ? sr_hdf5_fail(error, SR_ERROR_DATA, r->table->path, "open dataset", column_names[column])
                                      : read_values(r, set, type, column, found, error);
    if (type >= 0)
        H5Tclose(type);
    if (set >= 0)
        H5Dclose(set);
    return status;
}

static sr_status add_rows(reader *r, const column_values *columns, sr_error *error)
{
    SR_TRY(check_columns(r, error));
    const size_t item = r->table->is_lists ? ITEM : TARGET, count = columns[USER].count;
    for (size_t column = 0; column < COLUMNS; ++column)
        if (r->has[column] && columns[column].count != count)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s has %zu elements, but user has %zu", r->table->path,
                           column_names[column], columns[column].count, count);
    for (size_t row = 0; row < count; ++row) {
        parsed_row parsed = {.user = columns[USER].values + row * columns[USER].size,
                             .item = columns[item].values + row * columns[item].size};
        parsed.user_length = strnlen(parsed.user, columns[USER].size);
        parsed.item_length = strnlen(parsed.item, columns[item].size);
        for (size_t column = RANK; column < COLUMNS; ++column)
            if (r->has[column])
                memcpy(&parsed.numbers[column], columns[column].values + row * sizeof(int64_t), sizeof(int64_t));
        SR_TRY(add_row(r, &parsed, error));
    }
    return SR_OK;
}

static sr_status read_hdf5(reader *r, sr_error *error)
{
    sr_hdf5_file file;
    column_values columns[COLUMNS] = {{NULL, 0, 0}};
    SR_TRY(sr_hdf5_open(&file, r->table->path, error));
    sr_status status = SR_OK;
    for (size_t column = 0; column < COLUMNS && status == SR_OK; ++column)
        status = read_column(r, &file, column, &columns[column], error);
    if (status == SR_OK)
        status = add_rows(r, columns, error);
    for (size_t column = 0; column < COLUMNS; ++column)
        free(columns[column].values);
    const sr_status closed = sr_hdf5_close(&file, status == SR_OK ? error : NULL);
    return status == SR_OK ? closed : status;
}

/* ---- both ---- */

sr_status case_table_read(case_table *table, const char *path, name_table *users, name_table *items, sr_error *error)
{
    const size_t length = strlen(path);
    reader r = {.table = table, .users = users, .items = items};
    *table = (case_table){.path = path};
    const bool is_hdf5 = length > 3 && strcmp(path + length - 3, ".h5") == 0;
    const sr_status status = is_hdf5 ? read_hdf5(&r, error) : read_text(&r, error);
    free(r.seen);
    SR_TRY(status);
    return table->count ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s holds no %s", path, table->is_lists ? "lists" : "cases");
}

void case_table_free(case_table *table)
{
    free(table->rows);
    table->rows = NULL;
    table->count = table->room = 0;
}

#include "srtrain/compare_doubles.h"
#include "scaling/rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

static void join(const char *directory, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", directory, name);
}

sr_status open_result(const char *directory, const char *name, FILE **file, sr_error *error)
{
    char path[4200];
    join(directory, name, path, sizeof path);
    *file = fopen(path, "w");
    return *file ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
}

sr_status close_result(const char *directory, const char *name, FILE *file, sr_error *error)
{
    const bool good = ferror(file) == 0, closed = fclose(file) == 0;
    return good && closed ? SR_OK
                          : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s/%s: %s", directory, name, strerror(errno));
}

/* ---- rows ---- */

sr_status rows_write_csv(const char *directory, const char *file_name, const char *const *names, size_t count,
                         const result_row *rows, size_t row_count, sr_error *error)
{
    FILE *file;
    SR_TRY(open_result(directory, file_name, &file, error));
    fprintf(file, "kind");
    for (size_t i = 0; i < count; ++i)
        fprintf(file, ",%s", names[i]);
    for (size_t row = 0; row < row_count; ++row) {
        fprintf(file, "\n%s", rows[row].kind);
        for (size_t i = 0; i < count; ++i)
            if (isnan(rows[row].values[i]))
                fprintf(file, ",");
            else
                fprintf(file, ",%.10g", rows[row].values[i]);
    }
    fprintf(file, "\n");
    return close_result(directory, file_name, file, error);
}

static bool add_row(cJSON *list, const char *const *names, size_t count, const result_row *row)
{
    cJSON *object = cJSON_CreateObject();
    bool complete = cJSON_AddItemToArray(list, object) && cJSON_AddStringToObject(object, "kind", row->kind);
    for (size_t i = 0; i < count && complete; ++i)
        complete = isnan(row->values[i]) ? cJSON_AddNullToObject(object, names[i]) != NULL
                                         : cJSON_AddNumberToObject(object, names[i], row->values[i]) != NULL;
    return complete;
}

bool rows_add_json(cJSON *object, const char *name, const char *const *names, size_t count, const result_row *rows,
                   size_t row_count)
{
    cJSON *list = cJSON_AddArrayToObject(object, name);
    bool complete = list != NULL;
    for (size_t row = 0; row < row_count && complete; ++row)
        complete = add_row(list, names, count, &rows[row]);
    return complete;
}

/* ---- spreads ---- */

spread spread_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, sr_compare_doubles);
    return (spread){(values[(count - 1) / 2] + values[count / 2]) / 2, values[0], values[count - 1]};
}

#include "storage/tensor_files.h"

#include "base/sizes.h"
#include "srtrain/memory.h"
#include "srtrain/output_file.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(float) == 4 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files hold 32-bit little-endian floats");

static size_t bytes_of(const tensor_array *array)
{
    size_t bytes = array->width ? array->width : sizeof(float);
    for (size_t i = 0; i < array->rank; ++i)
        bytes *= array->shape[i];
    return bytes;
}

/* ---- rows that are read a piece at a time ---- */

enum { PIECE_BYTES = 4 << 20 };

/* `file` is NULL on ranks that do not write. Whether all was taken is asked when the file is closed. */
static sr_status write_rows(FILE *file, sr_status status, const tensor_array *array, sr_error *error)
{
    const size_t rows = array->shape[0], row_bytes = rows > 0 ? bytes_of(array) / rows : 0;
    const size_t of_piece = larger(1, row_bytes > 0 ? PIECE_BYTES / row_bytes : rows);
    char *piece = NULL;
    if (status == SR_OK && file)
        status = SR_ALLOCATE(&piece, smaller(of_piece, rows) * row_bytes, "rows of an array", error);
    for (size_t first = 0; first < rows; first += of_piece) {
        const size_t count = smaller(of_piece, rows - first);
        status = array->read(array->context, status, first, count, piece, error);
        if (status != SR_OK)
            break;
        if (file)
            fwrite(piece, row_bytes, count, file);
    }
    free(piece);
    return status;
}

/* A rank that has failed alone takes part in what all read together next, so that the others learn of it. Returns whether to go
 * on: false on all ranks after they have failed together. */
static bool write_data(FILE *file, sr_status *status, const tensor_array *array, sr_error *error)
{
    if (array->read) {
        *status = write_rows(file, *status, array, error);
        return *status == SR_OK || array->shape[0] == 0;
    }
    if (*status == SR_OK && file)
        fwrite(array->data, 1, bytes_of(array), file);
    return true;
}

/* ---- safetensors: 8 bytes of a length, a JSON object of that length, and the arrays one after the other ---- */

static bool add_array(cJSON *header, const tensor_array *array, size_t begin)
{
    cJSON *object = cJSON_AddObjectToObject(header, array->name);
    bool complete = cJSON_AddStringToObject(object, "dtype", array->width ? "U8" : "F32") != NULL;
    cJSON *shape = cJSON_AddArrayToObject(object, "shape"), *offsets = cJSON_AddArrayToObject(object, "data_offsets");
    for (size_t i = 0; i < array->rank; ++i)
        complete = complete && cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)array->shape[i]));
    if (array->width)
        complete = complete && cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)array->width));
    return complete && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + bytes_of(array))));
}

static char *make_header(const tensor_array *arrays, size_t count, const char *const *metadata)
{
    cJSON *header = cJSON_CreateObject(), *texts = cJSON_AddObjectToObject(header, "__metadata__");
    bool complete = texts != NULL;
    size_t begin = 0;
    for (; *metadata && complete; metadata += 2)
        complete = cJSON_AddStringToObject(texts, metadata[0], metadata[1]) != NULL;
    for (size_t i = 0; i < count && complete; ++i) {
        complete = add_array(header, &arrays[i], begin);
        begin += bytes_of(&arrays[i]);
    }
    char *text = complete ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

/* Blanks behind the object bring the arrays to a multiple of 8. */
static sr_status begin_safetensors(sr_output_file *file, const char *path, const tensor_array *arrays, size_t count,
                                   const char *const *metadata, sr_error *error)
{
    char *header = make_header(arrays, count, metadata);
    if (!header)
        return sr_fail_memory(error, 1, "the header of exported arrays");
    const sr_status status = sr_output_file_open(file, path, error);
    if (status == SR_OK) {
        const uint64_t length = (strlen(header) + 7) / 8 * 8;
        fwrite(&length, sizeof length, 1, file->stream);
        fprintf(file->stream, "%-*s", (int)length, header);
    }
    cJSON_free(header);
    return status;
}

sr_status safetensors_write(const char *path, bool writes, const tensor_array *arrays, size_t count,
                            const char *const *metadata, sr_error *error)
{
    sr_output_file file = {.stream = NULL};
    sr_status status = writes ? begin_safetensors(&file, path, arrays, count, metadata, error) : SR_OK;
    const bool is_open = writes && status == SR_OK;
    for (size_t i = 0; i < count && write_data(file.stream, &status, &arrays[i], error); ++i)
        ;
    return is_open ? sr_output_file_close(&file, status, error) : status;
}

/* ---- npy, format 1.0: a header of a multiple of 64 bytes, which says what a Python dictionary would, and the array ---- */

static void write_npy_header(FILE *file, const tensor_array *array)
{
    enum { BEFORE = 10, ALIGNMENT = 64 };
    char type[32], shape[96] = "", text[256];
    if (array->width)
        snprintf(type, sizeof type, "|S%zu", array->width);
    else
        snprintf(type, sizeof type, "<f4");
    for (size_t i = 0, used = 0; i < array->rank; ++i)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%zu, ", array->shape[i]);
    const int used = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);
    const size_t length = (BEFORE + (size_t)used + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - BEFORE;
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fputc((int)(length & 255), file);
    fputc((int)(length >> 8), file);
    fprintf(file, "%-*s\n", (int)length - 1, text);
}

static sr_status begin_npy(sr_output_file *file, const char *directory, const tensor_array *array, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s.npy", directory, array->name) < 0)
        return sr_fail_memory(error, strlen(directory), "a file name");
    const sr_status status = sr_output_file_open(file, path, error);
    free(path);
    if (status == SR_OK)
        write_npy_header(file->stream, array);
    return status;
}

static bool write_npy(const char *directory, bool writes, sr_status *status, const tensor_array *array, sr_error *error)
{
    sr_output_file file = {.stream = NULL};
    if (writes && *status == SR_OK)
        *status = begin_npy(&file, directory, array, error);
    const bool is_open = writes && *status == SR_OK, goes_on = write_data(file.stream, status, array, error);
    if (is_open)
        *status = sr_output_file_close(&file, *status, error);
    return goes_on;
}

sr_status npy_write(const char *directory, bool writes, const tensor_array *arrays, size_t count, sr_error *error)
{
    sr_status status = SR_OK;
    for (size_t i = 0; i < count && write_npy(directory, writes, &status, &arrays[i], error); ++i)
        ;
    return status;
}

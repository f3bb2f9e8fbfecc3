#include "storage/tensor_files.h"

#include "srtrain/memory.h"
#include "srtrain/output_file.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
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

sr_status safetensors_write(const char *path, const tensor_array *arrays, size_t count, const char *const *metadata,
                            sr_error *error)
{
    sr_output_file file;
    char *header = make_header(arrays, count, metadata);
    if (!header)
        return sr_fail_memory(error, 1, "the header of exported arrays");
    const sr_status status = sr_output_file_open(&file, path, error);
    if (status == SR_OK) {
        /* Blanks behind the object bring the arrays to a multiple of 8. Whether all was taken is asked when it is closed. */
        const uint64_t length = (strlen(header) + 7) / 8 * 8;
        fwrite(&length, sizeof length, 1, file.stream);
        fprintf(file.stream, "%-*s", (int)length, header);
        for (size_t i = 0; i < count; ++i)
            fwrite(arrays[i].data, 1, bytes_of(&arrays[i]), file.stream);
    }
    cJSON_free(header);
    return status == SR_OK ? sr_output_file_close(&file, SR_OK, error) : status;
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

static sr_status write_npy(const char *directory, const tensor_array *array, sr_error *error)
{
    sr_output_file file;
    char *path;
    if (asprintf(&path, "%s/%s.npy", directory, array->name) < 0)
        return sr_fail_memory(error, strlen(directory), "a file name");
    const sr_status status = sr_output_file_open(&file, path, error);
    free(path);
    SR_TRY(status);
    write_npy_header(file.stream, array);
    fwrite(array->data, 1, bytes_of(array), file.stream);
    return sr_output_file_close(&file, SR_OK, error);
}

sr_status npy_write(const char *directory, const tensor_array *arrays, size_t count, sr_error *error)
{
    for (size_t i = 0; i < count; ++i)
        SR_TRY(write_npy(directory, &arrays[i], error));
    return SR_OK;
}

#include "json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sr_status json_read(const char *path, cJSON **json, sr_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    const bool read = file && getdelim(&text, &size, '\0', file) > 0;
    *json = read ? cJSON_Parse(text) : NULL;
    if (file)
        fclose(file);
    free(text);
    return *json ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "%s was not written, or is not JSON", path);
}

sr_status json_write(const char *path, const cJSON *document, sr_error *error)
{
    char *text = document ? cJSON_Print(document) : NULL;
    if (!text)
        return sr_fail(error, SR_ERROR_RUNTIME, "out of memory while writing %s", path);
    FILE *file = fopen(path, "w");
    const bool written = file && fprintf(file, "%s\n", text) > 0;
    const bool closed = file && fclose(file) == 0;
    cJSON_free(text);
    return written && closed ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
}

double json_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

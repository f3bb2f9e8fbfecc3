#include "json.h"

#include "srtrain/output_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

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
    const sr_status status = sr_output_file_write(path, text, error);
    cJSON_free(text);
    return status;
}

double json_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

#include "json.h"

#include "srtrain/output_file.h"

sr_status json_write(const char *path, const cJSON *document, sr_error *error)
{
    char *text = document ? cJSON_Print(document) : NULL;
    if (!text)
        return sr_fail(error, SR_ERROR_RUNTIME, "out of memory while writing %s", path);
    const sr_status status = sr_output_file_write(path, text, error);
    cJSON_free(text);
    return status;
}

#include "run/wisdom.h"

#include "srtrain/fourier.h"
#include "srtrain/memory.h"
#include "srtrain/output_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* *text is NULL when there is no such file. */
static sr_status read_wisdom(const char *path, char **text, sr_error *error)
{
    size_t room = 0;
    *text = NULL;
    FILE *file = fopen(path, "r");
    if (!file)
        return errno == ENOENT ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
    const bool is_read = getdelim(text, &room, '\0', file) >= 0, is_empty = !is_read && feof(file);
    const int cause = errno;
    fclose(file);
    if (is_read)
        return SR_OK;
    free(*text);
    *text = NULL;
    return is_empty ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(cause));
}

/* What an earlier part of the run has measured, or a measurement of now. */
static sr_status obtain(sr_model *model, const char *path, sr_log *log, char **text, sr_error *error)
{
    SR_TRY(read_wisdom(path, text, error));
    if (*text && sr_fourier_learn(*text))
        return SR_OK;
    if (*text)
        sr_log_warning(log, "%s is no wisdom of this FFTW: measuring again, so that results may differ in the last digits",
                       path);
    free(*text);
    *text = NULL;
    SR_TRY(sr_model_measure_transforms(model, error));
    SR_TRY(sr_fourier_wisdom(text, error));
    return sr_output_file_write(path, *text, error);
}

sr_status sr_adopt_wisdom(sr_parallel *parallel, const char *text, sr_log *log, sr_error *error)
{
    const int64_t own_rank = sr_parallel_rank(parallel);
    int64_t ignorant = sr_fourier_learn(text) ? -1 : own_rank;
    SR_TRY(sr_parallel_maximum_int64(parallel, &ignorant, 1, error));
    if (ignorant >= 0)
        sr_log_warning(log,
                       "the FFTW of rank %lld does not understand what rank 0's has measured, because it is another one or its "
                       "processor is: it plans by rule, so that its transforms may differ from others in the last digits",
                       (long long)ignorant);
    return SR_OK;
}

sr_status sr_share_wisdom(sr_parallel *parallel, sr_model *model, const char *path, sr_log *log, sr_error *error)
{
    char *text = NULL;
    sr_status status = SR_OK;
    const bool is_root = sr_parallel_rank(parallel) == 0;
    if (!sr_model_uses_fftw(model))
        return SR_OK;
    if (is_root)
        status = obtain(model, path, log, &text, error);
    status = sr_parallel_agree(parallel, status, error);
    size_t size = text ? strlen(text) + 1 : 0;
    if (status == SR_OK)
        status = sr_parallel_broadcast(parallel, &size, sizeof size, error);
    if (status == SR_OK) {
        if (!is_root)
            status = SR_ALLOCATE(&text, size, "FFTW's wisdom", error);
        status = sr_parallel_agree(parallel, status, error);
    }
    if (status == SR_OK)
        status = sr_parallel_broadcast(parallel, text, size, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_adopt_wisdom(parallel, text, log, error);
    free(text);
    return status;
}

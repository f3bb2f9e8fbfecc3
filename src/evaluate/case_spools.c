#include "evaluate/case_spools.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static sr_status open_spool(FILE **spool, const char *place, int rank, size_t thread, sr_error *error)
{
    char *path;
    if (asprintf(&path, "%s-%d-%zu", place, rank, thread) < 0)
        return sr_fail_memory(error, strlen(place), "a file name");
    *spool = fopen(path, "w+b");
    const sr_status status = *spool && remove(path) == 0
                                 ? SR_OK
                                 : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return status;
}

sr_status case_spools_create(case_spools *spools, sr_parallel *parallel, const char *place, size_t top_k, sr_error *error)
{
    const size_t bytes = sizeof(case_record) + top_k * sizeof(int32_t), unit = sizeof(uint64_t);
    *spools = (case_spools){.parallel = parallel, .top_k = top_k, .record_bytes = (bytes + unit - 1) / unit * unit};
    SR_TRY(SR_ALLOCATE_ZERO(&spools->spools, sr_parallel_threads(parallel), "files of test cases", error));
    SR_TRY(SR_ALLOCATE_ZERO(&spools->next, sr_parallel_threads(parallel), "files of test cases", error));
    for (size_t thread = 0; thread < sr_parallel_threads(parallel); ++thread) {
        spools->threads = thread + 1;
        SR_TRY(open_spool(&spools->spools[thread], place, sr_parallel_rank(parallel), thread, error));
        SR_TRY(sr_allocate((void **)&spools->next[thread], spools->record_bytes, 1, "a test case", error));
    }
    return SR_OK;
}

void case_spools_free(case_spools *spools)
{
    for (size_t thread = 0; thread < spools->threads; ++thread) {
        if (spools->spools[thread])
            fclose(spools->spools[thread]);
        free(spools->next[thread]);
    }
    free(spools->spools);
    free(spools->next);
    *spools = (case_spools){.parallel = NULL};
}

void case_spools_add(case_spools *spools, size_t thread, const case_record *record)
{
    fwrite(record, spools->record_bytes, 1, spools->spools[thread]);
}

static sr_status read_ahead(case_spools *spools, size_t thread, sr_error *error)
{
    FILE *spool = spools->spools[thread];
    if (fread(spools->next[thread], spools->record_bytes, 1, spool) == 1)
        return SR_OK;
    spools->next[thread]->number = UINT64_MAX;
    return ferror(spool) ? sr_fail(error, SR_ERROR_RUNTIME, "cannot read test cases again: %s", strerror(errno)) : SR_OK;
}

sr_status case_spools_rewind(case_spools *spools, sr_error *error)
{
    for (size_t thread = 0; thread < spools->threads; ++thread) {
        FILE *spool = spools->spools[thread];
        errno = 0;
        if (fflush(spool) != 0 || ferror(spool) || fseek(spool, 0, SEEK_SET) != 0)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot write test cases beside the file of cases: %s",
                           strerror(errno ? errno : EIO));
        SR_TRY(read_ahead(spools, thread, error));
    }
    return SR_OK;
}

/* ---- dealing ---- */

static int compare_records(const void *left, const void *right)
{
    const uint64_t a = ((const case_record *)left)->number, b = ((const case_record *)right)->number;
    return a < b ? -1 : a > b;
}

/* This rank's records of cases before `end`, in the order of numbers. */
static sr_status take_records(case_spools *spools, uint64_t end, char **records, size_t *count, sr_error *error)
{
    size_t room = 0;
    *count = 0;
    for (size_t thread = 0; thread < spools->threads; ++thread)
        for (; spools->next[thread]->number < end; ++*count) {
            SR_TRY(SR_GROW(records, &room, (*count + 1) * spools->record_bytes, "test cases", error));
            memcpy(*records + *count * spools->record_bytes, spools->next[thread], spools->record_bytes);
            SR_TRY(read_ahead(spools, thread, error));
        }
    if (*count)
        qsort(*records, *count, spools->record_bytes, compare_records);
    return SR_OK;
}

/* Where those of each rank begin. */
static void divide(const case_spools *spools, const char *records, size_t count, uint64_t first, size_t share, size_t *sent)
{
    size_t at = 0;
    for (size_t rank = 0; rank <= (size_t)sr_parallel_size(spools->parallel); ++rank) {
        while (at < count &&
               ((const case_record *)(const void *)(records + at * spools->record_bytes))->number < first + rank * share)
            ++at;
        sent[rank] = at;
    }
}

static sr_status exchange(case_spools *spools, const char *records, size_t *sent, size_t *received, char **dealt, size_t *count,
                          sr_error *error)
{
    const size_t ranks = (size_t)sr_parallel_size(spools->parallel);
    size_t *sent_counts = sent + ranks + 1, *received_counts = received + ranks + 1;
    for (size_t rank = 0; rank < ranks; ++rank)
        sent_counts[rank] = sent[rank + 1] - sent[rank];
    SR_TRY(sr_parallel_exchange_counts(spools->parallel, SR_OK, sent_counts, received_counts, error));
    received[0] = 0;
    for (size_t rank = 0; rank < ranks; ++rank)
        received[rank + 1] = received[rank] + received_counts[rank];
    *count = received[ranks];
    SR_TRY(SR_PARALLEL_ALLOCATE(spools->parallel, dealt, (*count + 1) * spools->record_bytes, "test cases", error));
    SR_TRY(sr_parallel_exchange_elements(spools->parallel, records, sent, *dealt, received, spools->record_bytes, error));
    qsort(*dealt, *count, spools->record_bytes, compare_records);
    return SR_OK;
}

sr_status case_spools_deal(case_spools *spools, uint64_t first, uint64_t end, size_t share, char **dealt, size_t *count,
                           sr_error *error)
{
    const size_t ranks = (size_t)sr_parallel_size(spools->parallel);
    char *records = NULL;
    size_t *sent = NULL, *received = NULL, own = 0;
    *dealt = NULL;
    sr_status status = take_records(spools, end, &records, &own, error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&sent, 2 * (ranks + 1), "test cases", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&received, 2 * (ranks + 1), "test cases", error);
    status = sr_parallel_agree(spools->parallel, status, error);
    if (status == SR_OK) {
        divide(spools, records, own, first, share, sent);
        status = exchange(spools, records, sent, received, dealt, count, error);
    }
    free(records);
    free(sent);
    free(received);
    return status;
}

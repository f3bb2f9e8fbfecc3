/* Cases are written in rounds of bounded size. In a round each rank gets the next cases in order, and writes what they say: a
 * stretch of text, or of each dataset's values. */
#include "evaluate/case_file.h"

#include "evaluate/case_columns.h"
#include "base/sizes.h"
#include "srtrain/memory.h"
#include "storage/disk_room.h"
#include "storage/hdf5_helpers.h"
#include "storage/striped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUND_BYTES = 1 << 24 }; /* that a rank writes in a round, about */

/* What a rank writes with. */
typedef struct {
    case_file *file;
    int descriptor;
    size_t columns;
    striped_file stripes[CASE_COLUMNS]; /* of each dataset; of text the first one */
} case_writer;

static bool is_root(const case_file *file)
{
    return sr_parallel_rank(file->parallel) == 0;
}

static bool ends_in(const char *path, const char *end)
{
    const size_t length = strlen(path), end_length = strlen(end);
    return length > end_length && strcmp(path + length - end_length, end) == 0;
}

sr_status sr_case_request_check(const sr_case_request *request, sr_error *error)
{
    if (ends_in(request->path, ".tsv") || ends_in(request->path, ".h5"))
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE, "--cases %s: the name must end in .tsv or .h5", request->path);
}

/* ---- opening ---- */

/* On rank 0. */
static sr_status open_output(case_file *file, const sr_case_request *request, sr_error *error)
{
    struct stat found;
    if (stat(request->path, &found) == 0 && !S_ISREG(found.st_mode))
        return sr_fail(error, SR_ERROR_USAGE, "--cases %s is no regular file, which all ranks could write at once",
                       request->path);
    return sr_output_file_open(&file->output, request->path, error);
}

static sr_status share_place(case_file *file, sr_error *error)
{
    const char *own = is_root(file) ? file->output.place : "";
    size_t bytes;
    void *place;
    SR_TRY(sr_parallel_share_root(file->parallel, own, strlen(own), &place, &bytes, error));
    file->place = place;
    return SR_OK;
}

sr_status case_file_open(case_file *file, sr_parallel *parallel, const sr_dataset *dataset, const sr_case_request *request,
                         sr_error *error)
{
    const size_t top_k = smaller(request->top_k, sr_dataset_items(dataset));
    *file = (case_file){.parallel = parallel, .dataset = dataset, .is_text = ends_in(request->path, ".tsv")};
    sr_status status = sr_case_request_check(request, error);
    if (status == SR_OK && is_root(file))
        status = open_output(file, request, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    SR_TRY(share_place(file, error));
    return sr_parallel_agree(parallel, case_spools_create(&file->spools, parallel, file->place, top_k, error), error);
}

/* ---- HDF5: the datasets ---- */

/* Makes a dataset of `cases` rows whose values come later, and says where they lie. */
static sr_status create_dataset(const case_file *file, const sr_hdf5_file *hdf5, case_column column, uint64_t cases,
                                uint64_t *place, sr_error *error)
{
    const hsize_t extent[] = {cases, case_column_elements(column, file->spools.top_k)};
    const hid_t type = case_column_type(column, file->dataset), creation = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = H5Screate_simple(column == CASE_TOP ? 2 : 1, extent, NULL);
    hid_t set = -1;
    *place = HADDR_UNDEF;
    if (type >= 0 && space >= 0 && creation >= 0 && H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 && H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0)
        set = H5Dcreate2(hdf5->id, case_column_name(column), type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (set >= 0)
        *place = H5Dget_offset(set);
    sr_status status = SR_OK;
    if ((set >= 0 && H5Dclose(set) < 0) || *place == HADDR_UNDEF)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, hdf5->path, "make dataset", case_column_name(column));
    if (space >= 0)
        H5Sclose(space);
    if (creation >= 0)
        H5Pclose(creation);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

static size_t bytes_of_case(const case_file *file, case_column column)
{
    return case_column_size(column, file->dataset) * case_column_elements(column, file->spools.top_k);
}

/* On rank 0. */
static sr_status create_datasets(const case_file *file, size_t columns, uint64_t cases, uint64_t *places, sr_error *error)
{
    enum { METADATA = 1 << 16 }; /* generously */
    uint64_t size = METADATA;
    sr_hdf5_file hdf5;
    for (case_column column = 0; column < columns; ++column)
        size += cases * bytes_of_case(file, column);
    SR_TRY(disk_room_reserve(file->place, size, error));
    SR_TRY(sr_hdf5_create(&hdf5, file->place, error));
    sr_status status = SR_OK;
    for (case_column column = 0; column < columns && status == SR_OK; ++column)
        status = create_dataset(file, &hdf5, column, cases, &places[column], error);
    const sr_status closed = sr_hdf5_close(&hdf5, status == SR_OK ? error : NULL);
    return status == SR_OK ? closed : status;
}

/* ---- HDF5: checksums ---- */

static sr_status hash_column(const case_writer *writer, case_column column, uint64_t place, uint64_t cases, char *checksum,
                             sr_error *error)
{
    const case_file *file = writer->file;
    const uint64_t bytes = cases * bytes_of_case(file, column), page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t before = place % page;
    const int descriptor = open(file->place, O_RDONLY | O_CLOEXEC);
    char *mapped = descriptor < 0 ? MAP_FAILED
                                  : mmap(NULL, bytes + before, PROT_READ, MAP_SHARED, descriptor, (off_t)(place - before));
    const int cause = errno;
    if (descriptor >= 0)
        close(descriptor);
    if (mapped == MAP_FAILED)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s again: %s", file->place, strerror(cause));
    sr_checksum(mapped + before, bytes, checksum);
    (void)munmap(mapped, bytes + before);
    return SR_OK;
}

/* Ranks share the columns; rank 0 gets all checksums. */
static sr_status hash_columns(const case_writer *writer, const uint64_t *places, uint64_t cases,
                              char (*checksums)[SR_CHECKSUM_SIZE], sr_error *error)
{
    sr_parallel *parallel = writer->file->parallel;
    const size_t ranks = (size_t)sr_parallel_size(parallel), own = (size_t)sr_parallel_rank(parallel);
    char hashed[CASE_COLUMNS][SR_CHECKSUM_SIZE];
    size_t count = 0;
    sr_status status = SR_OK;
    for (size_t column = own; column < writer->columns && status == SR_OK; column += ranks)
        status = hash_column(writer, (case_column)column, places[column], cases, hashed[count++], error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    void *gathered;
    size_t *offsets;
    SR_TRY(sr_parallel_gather(parallel, hashed, count * sizeof *hashed, &gathered, &offsets, error));
    for (size_t column = 0; gathered && column < writer->columns; ++column)
        memcpy(checksums[column], (char *)gathered + offsets[column % ranks] + column / ranks * sizeof *hashed, sizeof *hashed);
    free(gathered);
    free(offsets);
    return SR_OK;
}

static sr_status write_checksums(const case_writer *writer, const uint64_t *places, uint64_t cases, sr_error *error)
{
    char checksums[CASE_COLUMNS][SR_CHECKSUM_SIZE];
    sr_hdf5_file hdf5;
    SR_TRY(hash_columns(writer, places, cases, checksums, error));
    if (!is_root(writer->file))
        return SR_OK;
    SR_TRY(sr_hdf5_reopen(&hdf5, writer->file->place, error));
    sr_status status = SR_OK;
    for (case_column column = 0; column < writer->columns && status == SR_OK; ++column)
        status = sr_hdf5_write_text(&hdf5, case_column_name(column), SR_CHECKSUM_ATTRIBUTE, checksums[column], error);
    const sr_status closed = sr_hdf5_close(&hdf5, status == SR_OK ? error : NULL);
    return status == SR_OK ? closed : status;
}

/* ---- rounds ---- */

static sr_status write_lines(case_writer *writer, const char *records, size_t count, bool begins, sr_error *error)
{
    const case_file *file = writer->file;
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    sr_status status = SR_OK;
    if (stream && begins && is_root(file))
        case_header_write(stream, file->spools.top_k);
    for (size_t i = 0; stream && i < count; ++i)
        case_line_write(stream, file->dataset, (const case_record *)(const void *)(records + i * file->spools.record_bytes),
                        file->spools.top_k);
    const bool failed = !stream || ferror(stream);
    if ((stream && fclose(stream) != 0) || failed)
        status = sr_fail_memory(error, ROUND_BYTES, "lines of test cases");
    status = striped_file_append(&writer->stripes[0], status, text, bytes, error);
    free(text);
    return status;
}

static sr_status write_columns(case_writer *writer, const char *records, size_t count, sr_error *error)
{
    const case_file *file = writer->file;
    for (case_column column = 0; column < writer->columns; ++column) {
        const size_t size = bytes_of_case(file, column);
        char *elements = NULL;
        sr_status status = sr_allocate((void **)&elements, count, size, "columns of test cases", error);
        if (status == SR_OK)
            case_column_fill(column, file->dataset, &file->spools, records, count, elements);
        status = striped_file_append(&writer->stripes[column], status, elements, count * size, error);
        free(elements);
        SR_TRY(status);
    }
    return SR_OK;
}

/* Whatever it is, the bytes of the file are the same. */
static size_t cases_of_round(const case_file *file)
{
    size_t bytes = 64;
    for (case_column column = 0; column < CASE_COLUMNS; ++column)
        bytes += bytes_of_case(file, column);
    return larger(1, ROUND_BYTES / bytes);
}

static sr_status write_rounds(case_writer *writer, uint64_t cases, sr_error *error)
{
    case_file *file = writer->file;
    const size_t most = cases_of_round(file), ranks = (size_t)sr_parallel_size(file->parallel);
    SR_TRY(sr_parallel_agree(file->parallel, case_spools_rewind(&file->spools, error), error));
    for (uint64_t first = 0; first < cases;) {
        const uint64_t left = cases - first, all = left < most * ranks ? left : most * ranks;
        char *records;
        size_t count;
        SR_TRY(case_spools_deal(&file->spools, first, first + all, (size_t)(all + ranks - 1) / ranks, &records, &count, error));
        const sr_status status = file->is_text ? write_lines(writer, records, count, first == 0, error)
                                               : write_columns(writer, records, count, error);
        free(records);
        SR_TRY(status);
        first += all;
    }
    for (size_t column = 0; column < writer->columns; ++column)
        SR_TRY(striped_file_end(&writer->stripes[column], error));
    return SR_OK;
}

static sr_status write_stripes(case_writer *writer, const uint64_t *places, uint64_t cases, sr_error *error)
{
    case_file *file = writer->file;
    sr_status status = SR_OK;
    writer->descriptor = open(file->place, O_WRONLY | O_CLOEXEC);
    if (writer->descriptor < 0)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s, which all ranks write together: %s", file->place,
                         strerror(errno));
    for (size_t column = 0; column < writer->columns; ++column)
        writer->stripes[column] = striped_file_at(file->parallel, file->place, writer->descriptor, places[column]);
    status = sr_parallel_agree(file->parallel, status, error);
    if (status == SR_OK)
        status = write_rounds(writer, cases, error);
    if (status == SR_OK && fsync(writer->descriptor) != 0)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->place, strerror(errno));
    if (writer->descriptor >= 0 && close(writer->descriptor) != 0 && status == SR_OK)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->place, strerror(errno));
    for (size_t column = 0; column < writer->columns; ++column)
        striped_file_free(&writer->stripes[column]);
    return sr_parallel_agree(file->parallel, status, error);
}

static sr_status write_cases(case_file *file, uint64_t cases, sr_error *error)
{
    case_writer writer = {.file = file, .columns = file->is_text ? 1 : file->spools.top_k > 0 ? CASE_COLUMNS : CASE_TOP};
    uint64_t places[CASE_COLUMNS] = {0};
    sr_status status = SR_OK;
    if (!file->is_text && is_root(file))
        status = create_datasets(file, writer.columns, cases, places, error);
    SR_TRY(sr_parallel_agree(file->parallel, status, error));
    SR_TRY(sr_parallel_broadcast(file->parallel, places, sizeof places, error));
    SR_TRY(write_stripes(&writer, places, cases, error));
    return file->is_text ? SR_OK : sr_parallel_agree(file->parallel, write_checksums(&writer, places, cases, error), error);
}

sr_status case_file_close(case_file *file, sr_status status, uint64_t cases, sr_error *error)
{
    if (status == SR_OK)
        status = write_cases(file, cases, error);
    status = sr_output_file_close(&file->output, status, error);
    status = sr_parallel_agree(file->parallel, status, error);
    case_spools_free(&file->spools);
    free(file->place);
    file->place = NULL;
    return status;
}

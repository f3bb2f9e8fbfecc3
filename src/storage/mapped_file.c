#include "storage/mapped_file.h"

#include "srtrain/memory.h"
#include "storage/seal.h"
#include "storage/seal_hdf5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static sr_status map_whole_file(sr_mapped_file *mapped, sr_error *error)
{
    const int descriptor = open(mapped->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s", mapped->path, strerror(errno));
    struct stat information;
    if (fstat(descriptor, &information) == 0 && information.st_size > 0) {
        mapped->map_bytes = (size_t)information.st_size;
        mapped->map = mmap(NULL, mapped->map_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
        if (mapped->map == MAP_FAILED) /* a file system without mmap(): every array is read into memory instead */
            mapped->map = NULL;
    }
    close(descriptor);
    return SR_OK;
}

sr_status sr_mapped_file_open(sr_mapped_file *mapped, const char *directory, const char *name, sr_error *error)
{
    mapped->file.id = -1;
    if (asprintf(&mapped->path, "%s/%s", directory, name) < 0) {
        mapped->path = NULL;
        return sr_fail_memory(error, strlen(directory) + strlen(name) + 2, "a file name");
    }
    bool sealed;
    SR_TRY(seal_check(mapped->path, &sealed, error));
    SR_TRY(sr_hdf5_open(&mapped->file, mapped->path, error));
    SR_TRY(seal_check_presence(&mapped->file, sealed, error));
    return map_whole_file(mapped, error);
}

/* ---- one dataset ---- */

static hid_t memory_type(sr_element element, hid_t file_type)
{
    return element == SR_ELEMENT_TEXT ? file_type : element == SR_ELEMENT_INT32 ? H5T_NATIVE_INT32 : H5T_NATIVE_INT64;
}

/* An integer of another width is refused: it would not mean the same to every reader. Byte order may differ. */
static sr_status check_type(const sr_mapped_file *mapped, const char *name, sr_element element, hid_t type, sr_error *error)
{
    if (element == SR_ELEMENT_TEXT) {
        if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not hold strings of fixed length", mapped->path, name);
        return SR_OK;
    }
    const size_t expected = element == SR_ELEMENT_INT32 ? 4 : 8;
    if (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) != expected || H5Tget_sign(type) != H5T_SGN_2)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not hold signed integers of %zu bits", mapped->path, name,
                       8 * expected);
    return SR_OK;
}

static sr_status check_shape(const sr_mapped_file *mapped, const char *name, hid_t dataset, int64_t expected, size_t *count,
                             sr_error *error)
{
    const hid_t space = H5Dget_space(dataset);
    hsize_t size = 0;
    const int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    if (rank == 1)
        (void)H5Sget_simple_extent_dims(space, &size, NULL);
    if (space >= 0)
        H5Sclose(space);
    if (rank != 1)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s has %d dimensions; one is expected", mapped->path, name, rank);
    if (expected != SR_ANY_COUNT && size != (hsize_t)expected)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s has %llu elements; %lld are expected", mapped->path, name,
                       (unsigned long long)size, (long long)expected);
    *count = size;
    if (!sr_hdf5_is_stored(dataset))
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is not stored as a whole and without filters", mapped->path, name);
    return SR_OK;
}

/* Points `array` at the mapped bytes if they lie in the file as they would in memory. */
static bool use_in_place(const sr_mapped_file *mapped, hid_t dataset, hid_t type, sr_element element, sr_mapped_array *array)
{
    const haddr_t offset = H5Dget_offset(dataset);
    const size_t bytes = array->count * array->element_size;
    const size_t alignment = element == SR_ELEMENT_TEXT ? 1 : array->element_size;
    const hid_t properties = H5Dget_create_plist(dataset);
    const bool contiguous = properties >= 0 && H5Pget_layout(properties) == H5D_CONTIGUOUS;
    if (properties >= 0)
        H5Pclose(properties);
    if (!mapped->map || !contiguous || offset == HADDR_UNDEF || offset % alignment != 0 || offset > mapped->map_bytes ||
        bytes > mapped->map_bytes - offset || H5Tequal(type, memory_type(element, type)) <= 0)
        return false;
    array->data = (const char *)mapped->map + offset;
    return true;
}

static sr_status read_into_memory(const sr_mapped_file *mapped, hid_t dataset, hid_t type, sr_element element,
                                  sr_mapped_array *array, sr_error *error)
{
    SR_TRY(sr_allocate(&array->copy, array->count, array->element_size, array->name, error));
    array->data = array->copy;
    if (H5Dread(dataset, memory_type(element, type), H5S_ALL, H5S_ALL, H5P_DEFAULT, array->copy) < 0)
        return sr_hdf5_fail(error, SR_ERROR_DATA, mapped->path, "read dataset", array->name);
    return SR_OK;
}

static sr_status read_checksum(const sr_mapped_file *mapped, sr_mapped_array *array, sr_error *error)
{
    char *text;
    SR_TRY(sr_hdf5_read_text(&mapped->file, array->name, SR_CHECKSUM_ATTRIBUTE, &text, error));
    snprintf(array->checksum, sizeof array->checksum, "%s", text);
    free(text);
    return SR_OK;
}

sr_status sr_mapped_file_array(sr_mapped_file *mapped, const char *name, sr_element element, int64_t count,
                               const sr_mapped_array **result, sr_error *error)
{
    sr_mapped_array *array = &mapped->arrays[mapped->array_count];
    *array = (sr_mapped_array){.name = name};
    if (H5Lexists(mapped->file.id, name, H5P_DEFAULT) <= 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: there is no dataset %s", mapped->path, name);
    const hid_t dataset = H5Dopen2(mapped->file.id, name, H5P_DEFAULT);
    const hid_t type = dataset < 0 ? -1 : H5Dget_type(dataset);
    sr_status status = type < 0 ? sr_hdf5_fail(error, SR_ERROR_DATA, mapped->path, "open dataset", name)
                                : check_type(mapped, name, element, type, error);
    if (status == SR_OK)
        status = check_shape(mapped, name, dataset, count, &array->count, error);
    if (status == SR_OK) {
        ++mapped->array_count;
        array->element_size = H5Tget_size(type);
        if (!use_in_place(mapped, dataset, type, element, array))
            status = read_into_memory(mapped, dataset, type, element, array, error);
    }
    if (type >= 0)
        H5Tclose(type);
    if (dataset >= 0)
        H5Dclose(dataset);
    if (status == SR_OK)
        status = read_checksum(mapped, array, error);
    *result = array;
    return status;
}

sr_status sr_mapped_file_detach(sr_mapped_file *mapped, sr_error *error)
{
    return sr_hdf5_close(&mapped->file, error);
}

void sr_mapped_file_close(sr_mapped_file *mapped)
{
    if (mapped->path)
        (void)sr_hdf5_close(&mapped->file, NULL);
    for (size_t i = 0; i < mapped->array_count; ++i)
        free(mapped->arrays[i].copy);
    if (mapped->map)
        munmap(mapped->map, mapped->map_bytes);
    free(mapped->path);
    *mapped = (sr_mapped_file){.file = {.id = -1}};
}

/* Advice that is not taken costs time, not results: its failures are of no interest. */
void sr_mapped_file_advise_random(const sr_mapped_file *mapped)
{
    if (mapped->map)
        (void)madvise(mapped->map, mapped->map_bytes, MADV_RANDOM);
}

void sr_mapped_file_prefetch(const sr_mapped_file *mapped, const void *begin, size_t bytes)
{
    const uintptr_t map = (uintptr_t)mapped->map, address = (uintptr_t)begin;
    if (!mapped->map || address < map || address - map >= mapped->map_bytes)
        return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = address / page * page;
    const size_t left = mapped->map_bytes - (first - map), wanted = bytes + (address - first);
    (void)madvise((void *)first, wanted < left ? wanted : left, MADV_WILLNEED);
}

/* Takes the pages of a part of a mapping out of this process's memory. Advice only: failing is harmless. */
static void let_go_of(const void *data, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), address = (uintptr_t)data, first = address / page * page;
    (void)madvise((void *)first, address + bytes - first, MADV_DONTNEED);
}

sr_status sr_mapped_array_verify(const sr_mapped_array *array, const char *path, sr_error *error)
{
    char found[SR_CHECKSUM_SIZE];
    SR_TRY(
        sr_checksum_in_pieces(array->data, array->count * array->element_size, array->copy ? NULL : let_go_of, found, error));
    if (strcmp(found, array->checksum) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is damaged: its checksum is %s, but %s was written", path,
                       array->name, found, array->checksum);
    return SR_OK;
}

sr_status sr_mapped_file_verify(const sr_mapped_file *mapped, sr_error *error)
{
    for (size_t i = 0; i < mapped->array_count; ++i)
        SR_TRY(sr_mapped_array_verify(&mapped->arrays[i], mapped->path, error));
    return SR_OK;
}

void sr_mapped_file_let_go(const sr_mapped_file *mapped)
{
    if (mapped->map) /* advice only: failing is harmless */
        (void)madvise(mapped->map, mapped->map_bytes, MADV_DONTNEED);
}

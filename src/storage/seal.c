/* The seal of a file: a checksum of every byte that is not an element of an array (those have checksums of their own), appended
 * behind what HDF5 knows of the file. No bit of a file can change unnoticed, not even one without a meaning; and HDF5, which
 * loops for ever over some damaged files (1.10.8, a heap of texts with zeros), gets none of them to read. */
#include "storage/seal.h"

#include "storage/hdf5_helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* At the very end of the file; the ranges of the arrays, in order, lie in front of it. */
typedef struct {
    char magic[16];
    uint64_t count;
    XXH128_canonical_t checksum; /* of what is in front of the ranges and no array, then of ranges and count */
} seal;

static const char magic[16] = "srtrain-seal-2";

static int by_place(const void *left, const void *right)
{
    const file_range *a = left, *b = right;
    return (a->place > b->place) - (a->place < b->place);
}

static bool read_exactly(int file, void *buffer, size_t bytes, uint64_t place)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t got = pread(file, (char *)buffer + done, bytes - done, (off_t)(place + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

/* Adds the bytes [begin, end) to the checksum. */
static bool hash_range(int file, uint64_t begin, uint64_t end, XXH3_state_t *state)
{
    char buffer[1 << 14];
    while (begin < end) {
        const size_t bytes = end - begin < sizeof buffer ? (size_t)(end - begin) : sizeof buffer;
        if (!read_exactly(file, buffer, bytes, begin) || XXH3_128bits_update(state, buffer, bytes) != XXH_OK)
            return false;
        begin += bytes;
    }
    return true;
}

/* The checksum of a seal behind the first `size` bytes with these arrays, which are in order. */
static bool hash_rest(int file, const file_range *arrays, uint64_t count, uint64_t size, XXH128_canonical_t *checksum)
{
    XXH3_state_t *state = XXH3_createState();
    bool hashed = state && XXH3_128bits_reset(state) == XXH_OK;
    uint64_t at = 0;
    for (size_t i = 0; i < count && hashed; ++i) {
        hashed = arrays[i].place >= at && arrays[i].place <= size && arrays[i].bytes <= size - arrays[i].place &&
                 hash_range(file, at, arrays[i].place, state);
        at = arrays[i].place + arrays[i].bytes;
    }
    hashed = hashed && hash_range(file, at, size, state) &&
             XXH3_128bits_update(state, arrays, count * sizeof *arrays) == XXH_OK &&
             XXH3_128bits_update(state, &count, sizeof count) == XXH_OK;
    if (hashed)
        XXH128_canonicalFromHash(checksum, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return hashed;
}

sr_status seal_append(const char *path, file_range *arrays, size_t count, sr_error *error)
{
    const int file = open(path, O_RDWR | O_CLOEXEC);
    const size_t bytes = count * sizeof *arrays;
    struct stat found;
    seal made = {.count = count};
    memcpy(made.magic, magic, sizeof magic);
    qsort(arrays, count, sizeof *arrays, by_place);
    bool sealed = file >= 0 && fstat(file, &found) == 0 &&
                  hash_rest(file, arrays, count, (uint64_t)found.st_size, &made.checksum) &&
                  pwrite(file, arrays, bytes, found.st_size) == (ssize_t)bytes &&
                  pwrite(file, &made, sizeof made, found.st_size + (off_t)bytes) == (ssize_t)sizeof made && fsync(file) == 0;
    const int cause = errno;
    if (file >= 0)
        sealed = close(file) == 0 && sealed;
    return sealed ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot seal %s: %s", path, strerror(cause));
}

/* Whether what lies in front of `stored`, in a file of `size` bytes in all, fits to it. */
static bool fits(int file, const seal *stored, uint64_t size)
{
    const uint64_t room = (size - sizeof *stored) / sizeof(file_range);
    if (stored->count > room)
        return false;
    const size_t bytes = (size_t)stored->count * sizeof(file_range);
    const uint64_t place = size - sizeof *stored - bytes;
    file_range *arrays = malloc(bytes + 1);
    XXH128_canonical_t checksum;
    const bool same = arrays && read_exactly(file, arrays, bytes, place) &&
                      hash_rest(file, arrays, stored->count, place, &checksum) &&
                      memcmp(&checksum, &stored->checksum, sizeof checksum) == 0;
    free(arrays);
    return same;
}

sr_status seal_check(const char *path, bool *sealed, sr_error *error)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    seal stored;
    *sealed = file >= 0 && fstat(file, &found) == 0 && found.st_size >= (off_t)sizeof stored &&
              read_exactly(file, &stored, sizeof stored, (uint64_t)found.st_size - sizeof stored) &&
              memcmp(stored.magic, magic, sizeof magic) == 0;
    const bool intact = !*sealed || fits(file, &stored, (uint64_t)found.st_size);
    if (file >= 0)
        close(file);
    return intact ? SR_OK
                  : sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of what lies between its arrays does not fit",
                            path);
}

sr_status seal_check_presence(const sr_hdf5_file *file, bool sealed, sr_error *error)
{
    int64_t expected = 0;
    if (sealed || sr_hdf5_read_integer(file, "/", SR_SEALED_ATTRIBUTE, &expected, NULL) != SR_OK || expected != 1)
        return SR_OK;
    return sr_fail(error, SR_ERROR_DATA, "%s is damaged: it was cut or changed behind its last array, where its seal was",
                   file->path);
}

/* ---- the arrays of an HDF5 file ---- */

typedef struct {
    file_range *ranges;
    size_t count, room;
} range_list;

static bool add_range(range_list *list, uint64_t place, uint64_t bytes)
{
    if (list->count == list->room) {
        const size_t room = 2 * list->room + 16;
        file_range *ranges = realloc(list->ranges, room * sizeof *ranges);
        if (!ranges)
            return false;
        list->ranges = ranges;
        list->room = room;
    }
    list->ranges[list->count++] = (file_range){place, bytes};
    return true;
}

static herr_t list_object(hid_t file, const char *name, const H5O_info_t *info, void *context)
{
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t creation = set < 0 ? -1 : H5Dget_create_plist(set);
    const bool contiguous = creation >= 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS;
    const haddr_t place = contiguous ? H5Dget_offset(set) : HADDR_UNDEF;
    bool listed = set >= 0;
    if (place != HADDR_UNDEF)
        listed = add_range(context, place, H5Dget_storage_size(set));
    if (creation >= 0)
        H5Pclose(creation);
    if (set >= 0)
        H5Dclose(set);
    return listed ? 0 : -1;
}

static sr_status list_arrays(const char *path, range_list *list, sr_error *error)
{
    sr_hdf5_file file;
    *list = (range_list){.count = 0};
    SR_TRY(sr_hdf5_open(&file, path, error));
    const bool listed = H5Ovisit2(file.id, H5_INDEX_NAME, H5_ITER_INC, list_object, list, H5O_INFO_BASIC) >= 0;
    (void)sr_hdf5_close(&file, NULL); /* it was only read */
    return listed ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: its datasets cannot be listed", path);
}

sr_status seal_append_to_hdf5(const char *path, sr_error *error)
{
    range_list list;
    sr_status status = list_arrays(path, &list, error);
    if (status == SR_OK)
        status = seal_append(path, list.ranges, list.count, error);
    free(list.ranges);
    return status;
}

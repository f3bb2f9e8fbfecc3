/* The seal of a file: a checksum of every byte that is not an element of an array (those have checksums of their own), appended
 * behind what HDF5 knows of the file. No bit of a file can change unnoticed, not even one without a meaning; and HDF5, which
 * loops for ever over some damaged files (1.10.8, a heap of texts with zeros), gets none of them to read. */
#include "storage/seal.h"

#include "srtrain/durable.h"

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
             (count == 0 || XXH3_128bits_update(state, arrays, count * sizeof *arrays) == XXH_OK) &&
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
    if (count > 0) /* `arrays` may be NULL otherwise, which qsort() and xxHash do not take */
        qsort(arrays, count, sizeof *arrays, by_place);
    bool sealed = file >= 0 && fstat(file, &found) == 0 &&
                  hash_rest(file, arrays, count, (uint64_t)found.st_size, &made.checksum) &&
                  sr_durable_write(file, arrays, bytes, (uint64_t)found.st_size) &&
                  sr_durable_write(file, &made, sizeof made, (uint64_t)found.st_size + bytes) && fsync(file) == 0;
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

/* The seal of a file: a checksum of every byte that is not an element of an array (those have checksums of their own), appended
 * behind what HDF5 knows of the file. No bit of a file can change unnoticed, not even one without a meaning; and HDF5, which
 * loops for ever over some damaged files (1.10.8, a heap of texts with zeros), gets none of them to read. */
#include "storage/seal.h"

#include "srtrain/durable.h"
#include "srtrain/memory.h"

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

static sr_status create_state(XXH3_state_t **state, sr_error *error)
{
    *state = XXH3_createState();
    return *state ? SR_OK : sr_fail_memory(error, sizeof(XXH3_state_t *), "the state of a checksum");
}

/* The checksum of a seal behind the first `size` bytes with these arrays, which are in order. */
static bool hash_rest(int file, const file_range *arrays, uint64_t count, uint64_t size, XXH3_state_t *state,
                      XXH128_canonical_t *checksum)
{
    bool hashed = XXH3_128bits_reset(state) == XXH_OK;
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
    return hashed;
}

sr_status seal_append(const char *path, file_range *arrays, size_t count, sr_error *error)
{
    XXH3_state_t *state;
    SR_TRY(create_state(&state, error));
    const int file = open(path, O_RDWR | O_CLOEXEC);
    const size_t bytes = count * sizeof *arrays;
    struct stat found;
    seal made = {.count = count};
    memcpy(made.magic, magic, sizeof magic);
    if (count > 0) /* `arrays` may be NULL otherwise, which qsort() and xxHash do not take */
        qsort(arrays, count, sizeof *arrays, by_place);
    bool sealed = file >= 0 && fstat(file, &found) == 0 &&
                  hash_rest(file, arrays, count, (uint64_t)found.st_size, state, &made.checksum) &&
                  sr_durable_write(file, arrays, bytes, (uint64_t)found.st_size) &&
                  sr_durable_write(file, &made, sizeof made, (uint64_t)found.st_size + bytes) && fsync(file) == 0;
    const int cause = errno;
    if (file >= 0)
        sealed = close(file) == 0 && sealed;
    XXH3_freeState(state);
    return sealed ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot seal %s: %s", path, strerror(cause));
}

static sr_status fail_seal(const char *path, sr_error *error)
{
    return sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of what lies between its arrays does not fit", path);
}

/* SR_ERROR_DATA unless what lies in front of `stored`, in a file of `size` bytes in all, fits to it. */
static sr_status check(int file, const char *path, const seal *stored, uint64_t size, sr_error *error)
{
    const uint64_t room = (size - sizeof *stored) / sizeof(file_range);
    if (stored->count > room)
        return fail_seal(path, error);
    const size_t bytes = (size_t)stored->count * sizeof(file_range);
    const uint64_t place = size - sizeof *stored - bytes;
    file_range *arrays = NULL;
    XXH3_state_t *state = NULL;
    XXH128_canonical_t checksum;
    sr_status status = SR_ALLOCATE(&arrays, (size_t)stored->count, "the list of arrays in a seal", error);
    if (status == SR_OK)
        status = create_state(&state, error);
    if (status == SR_OK &&
        !(read_exactly(file, arrays, bytes, place) && hash_rest(file, arrays, stored->count, place, state, &checksum) &&
          memcmp(&checksum, &stored->checksum, sizeof checksum) == 0))
        status = fail_seal(path, error);
    XXH3_freeState(state);
    free(arrays);
    return status;
}

sr_status seal_check(const char *path, bool *sealed, sr_error *error)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    seal stored;
    *sealed = file >= 0 && fstat(file, &found) == 0 && found.st_size >= (off_t)sizeof stored &&
              read_exactly(file, &stored, sizeof stored, (uint64_t)found.st_size - sizeof stored) &&
              memcmp(stored.magic, magic, sizeof magic) == 0;
    const sr_status status = *sealed ? check(file, path, &stored, (uint64_t)found.st_size, error) : SR_OK;
    if (file >= 0)
        close(file);
    return status;
}

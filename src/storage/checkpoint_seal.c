/* The seal of a checkpoint: a checksum of every byte that is not an element of an array (those have checksums of their own),
 * appended behind what HDF5 knows of the file, so that no bit of a file can change unnoticed, not even one without a meaning.
 */
#include "storage/checkpoint_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct {
    char magic[16];
    XXH128_canonical_t checksum;
} seal;

static const char magic[16] = "srtrain-seal-1";

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

/* The checksum of the first `size` bytes but for `arrays`, which are sorted here. */
static bool hash_rest(int file, file_range *arrays, size_t count, uint64_t size, XXH128_canonical_t *checksum)
{
    XXH3_state_t *state = XXH3_createState();
    bool hashed = state && XXH3_128bits_reset(state) == XXH_OK;
    uint64_t at = 0;
    qsort(arrays, count, sizeof *arrays, by_place);
    for (size_t i = 0; i < count && hashed; ++i) {
        hashed = arrays[i].place >= at && arrays[i].place + arrays[i].bytes <= size &&
                 hash_range(file, at, arrays[i].place, state);
        at = arrays[i].place + arrays[i].bytes;
    }
    hashed = hashed && hash_range(file, at, size, state);
    if (hashed)
        XXH128_canonicalFromHash(checksum, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return hashed;
}

sr_status checkpoint_seal_append(const char *path, file_range *arrays, size_t count, sr_error *error)
{
    const int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat found;
    seal made;
    memcpy(made.magic, magic, sizeof magic);
    bool sealed = file >= 0 && fstat(file, &found) == 0 &&
                  hash_rest(file, arrays, count, (uint64_t)found.st_size, &made.checksum) &&
                  pwrite(file, &made, sizeof made, found.st_size) == (ssize_t)sizeof made;
    const int cause = errno;
    if (file >= 0)
        sealed = close(file) == 0 && sealed;
    return sealed ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot seal %s: %s", path, strerror(cause));
}

sr_status checkpoint_seal_check(const char *path, file_range *arrays, size_t count, sr_error *error)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    seal stored;
    XXH128_canonical_t checksum;
    const bool read = file >= 0 && fstat(file, &found) == 0 && found.st_size >= (off_t)sizeof stored &&
                      read_exactly(file, &stored, sizeof stored, (uint64_t)found.st_size - sizeof stored);
    const bool is_seal = read && memcmp(stored.magic, magic, sizeof magic) == 0;
    const bool fits = is_seal && hash_rest(file, arrays, count, (uint64_t)found.st_size - sizeof stored, &checksum) &&
                      memcmp(&checksum, &stored.checksum, sizeof checksum) == 0;
    if (file >= 0)
        close(file);
    if (!is_seal)
        return sr_fail(error, SR_ERROR_DATA, "%s is damaged: it was cut or changed behind its last array, where its seal was",
                       path);
    return fits ? SR_OK
                : sr_fail(error, SR_ERROR_DATA, "%s is damaged: the checksum of what lies between its arrays does not fit",
                          path);
}

/* The entry of libFuzzer for seals. The bytes are checked as a file; and they are sealed, with arrays and a bit to flip that
 * they choose themselves: what was sealed is accepted, and with another bit outside the arrays it is not. */
#include "storage/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

typedef struct {
    int file;
    char path[64];
} memory_file;

static void fill(memory_file *f, const uint8_t *bytes, size_t count)
{
    if (ftruncate(f->file, 0) != 0 || pwrite(f->file, bytes, count, 0) != (ssize_t)count)
        abort();
}

static bool is_accepted(const memory_file *f)
{
    bool sealed;
    sr_error error = {.message = ""};
    const sr_status status = seal_check(f->path, &sealed, &error);
    if (status != SR_OK && (status != SR_ERROR_DATA || !sealed || !strstr(error.message, f->path)))
        abort();
    return status == SR_OK && sealed;
}

/* Ranges that do not overlap, cut from the first bytes. */
static size_t choose_arrays(const uint8_t *bytes, size_t count, file_range arrays[4])
{
    uint64_t at = 0;
    size_t made = 0;
    for (; made < 4 && 2 * made + 1 < count; ++made) {
        const uint64_t place = at + bytes[2 * made] % 16, length = bytes[2 * made + 1] % 32;
        if (place + length > count)
            break;
        arrays[made] = (file_range){place, length};
        at = place + length;
    }
    return made;
}

static bool is_covered(const file_range *arrays, size_t count, uint64_t place)
{
    for (size_t i = 0; i < count; ++i)
        if (place >= arrays[i].place && place < arrays[i].place + arrays[i].bytes)
            return false;
    return true;
}

static void check_flips(const memory_file *f, const uint8_t *bytes, size_t count)
{
    file_range arrays[4];
    sr_error error;
    const size_t made = choose_arrays(bytes, count, arrays);
    if (seal_append(f->path, arrays, made, &error) != SR_OK || !is_accepted(f))
        abort();
    const off_t size = lseek(f->file, 0, SEEK_END);
    const off_t place = (off_t)(((size_t)bytes[0] << 8 | bytes[count - 1]) % (size_t)size);
    uint8_t byte;
    if (pread(f->file, &byte, 1, place) != 1)
        abort();
    byte ^= (uint8_t)(1 << bytes[count / 2] % 8);
    if (pwrite(f->file, &byte, 1, place) != 1 || is_accepted(f) == is_covered(arrays, made, (uint64_t)place))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    memory_file f = {.file = memfd_create("seal", 0)};
    if (f.file < 0)
        abort();
    snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.file);
    fill(&f, bytes, count);
    (void)is_accepted(&f);
    if (count > 0)
        check_flips(&f, bytes, count);
    close(f.file);
    return 0;
}

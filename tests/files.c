#include "files.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

int files_set_up(void **state)
{
    char *directory = strdup("/tmp/srtrain-test-XXXXXX");
    *state = directory;
    return directory && mkdtemp(directory) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *information, int kind, struct FTW *place)
{
    (void)information;
    (void)kind;
    (void)place;
    return remove(path);
}

void files_remove(const char *directory)
{
    (void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int files_tear_down(void **state)
{
    files_remove(*state);
    free(*state);
    return 0;
}

void files_path(char *path, const char *directory, const char *name)
{
    assert_true(snprintf(path, FILES_PATH_SIZE, "%s/%s", directory, name) < FILES_PATH_SIZE);
}

void files_write(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

void files_write_text(const char *path, const char *text)
{
    files_write(path, text, strlen(text));
}

void files_write_gzip(const char *path, const void *bytes, size_t count)
{
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)count), (int)count);
    assert_int_equal(gzclose(file), Z_OK);
}

void files_write_zstd(const char *path, const void *bytes, size_t count)
{
    const size_t room = ZSTD_compressBound(count);
    void *compressed = malloc(room);
    assert_non_null(compressed);
    const size_t size = ZSTD_compress(compressed, room, bytes, count, 3);
    assert_false(ZSTD_isError(size));
    files_write(path, compressed, size);
    free(compressed);
}

size_t files_count(const char *directory)
{
    DIR *opened = opendir(directory);
    assert_non_null(opened);
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(opened)))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(opened);
    return count;
}

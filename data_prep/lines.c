#include "lines.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW_SIZE = 256 * 1024, TEXT_SIZE = 1024 * 1024 };
typedef enum { PLAIN, GZIP, ZSTD } compression;

struct lines {
    char *path;
    int descriptor;
    compression kind;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    unsigned char *raw; /* bytes of the file not decoded yet: [raw_begin, raw_end) */
    size_t raw_begin, raw_end;
    bool raw_ended, member_open; /* member_open: a compressed stream has begun and not ended */
    char *text; /* decoded bytes not handed out yet: [begin, end) */
    size_t begin, end, room;
    bool ended;
    size_t number;
    const char *line; /* returned last */
    size_t line_length;
};

const char *lines_path(const lines *file)
{
    return file->path;
}

size_t lines_number(const lines *file)
{
    return file->number;
}

sr_status lines_fail(const lines *file, const char *line, sr_error *error, const char *format, ...)
{
    enum { SHOWN = 120 };
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!line)
        return sr_fail(error, SR_ERROR_DATA, "%s:%zu: %s", file->path, file->number, text);
    /* Splitting has put null bytes in place of delimiters: show the line as it was. */
    char shown[SHOWN + 1] = "";
    const size_t length = line == file->line ? file->line_length : strlen(line);
    for (size_t i = 0; i < length && i < SHOWN; ++i)
        shown[i] = line[i] ? line[i] : (line[i + 1] ? '\t' : ' ');
    shown[length < SHOWN ? length : (size_t)SHOWN] = '\0';
    return sr_fail(error, SR_ERROR_DATA, "%s:%zu: %s\n  %s%s", file->path, file->number, text, shown, length > SHOWN ? "..." : "");
}

/* ---- raw bytes ---- */

static sr_status fill_raw(lines *file, sr_error *error)
{
    if (file->raw_begin < file->raw_end || file->raw_ended)
        return SR_OK;
    ssize_t got;
    do {
        got = read(file->descriptor, file->raw, RAW_SIZE);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s cannot be read: %s", file->path, strerror(errno));
    file->raw_begin = 0;
    file->raw_end = (size_t)got;
    file->raw_ended = got == 0;
    return SR_OK;
}

/* ---- decoding: each writes to text[end, room) and moves `end` ---- */

static sr_status decode_plain(lines *file, sr_error *error)
{
    (void)error;
    const size_t left = file->raw_end - file->raw_begin, space = file->room - file->end, count = left < space ? left : space;
    memcpy(file->text + file->end, file->raw + file->raw_begin, count);
    file->raw_begin += count;
    file->end += count;
    return SR_OK;
}

static sr_status decode_gzip(lines *file, sr_error *error)
{
    z_stream *stream = &file->gzip;
    stream->next_in = file->raw + file->raw_begin;
    stream->avail_in = (uInt)(file->raw_end - file->raw_begin);
    stream->next_out = (unsigned char *)file->text + file->end;
    stream->avail_out = (uInt)(file->room - file->end);
    file->member_open = true;
    const int result = inflate(stream, Z_NO_FLUSH);
    file->raw_begin = file->raw_end - stream->avail_in;
    file->end = file->room - stream->avail_out;
    if (result == Z_STREAM_END) {
        file->member_open = false;
        return inflateReset(stream) == Z_OK ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "zlib failed");
    }
    if (result != Z_OK && result != Z_BUF_ERROR)
        return sr_fail(error, SR_ERROR_DATA, "%s is damaged: %s", file->path, stream->msg ? stream->msg : "bad gzip data");
    return SR_OK;
}

static sr_status decode_zstd(lines *file, sr_error *error)
{
    ZSTD_inBuffer in = {file->raw, file->raw_end, file->raw_begin};
    ZSTD_outBuffer out = {file->text, file->room, file->end};
    const size_t result = ZSTD_decompressStream(file->zstd, &out, &in);
    if (ZSTD_isError(result))
        return sr_fail(error, SR_ERROR_DATA, "%s is damaged: %s", file->path, ZSTD_getErrorName(result));
    file->member_open = result != 0;
    file->raw_begin = in.pos;
    file->end = out.pos;
    return SR_OK;
}

/* Decodes some more text behind what is there. */
static sr_status fill_text(lines *file, sr_error *error)
{
    if (file->begin > 0) {
        memmove(file->text, file->text + file->begin, file->end - file->begin);
        file->end -= file->begin;
        file->begin = 0;
    }
    if (file->room - file->end < 2) {
        char *grown = realloc(file->text, 2 * file->room);
        if (!grown)
            return sr_fail_memory(error, 2 * file->room, "a long line");
        file->text = grown;
        file->room *= 2;
    }
    const size_t before = file->end;
    while (file->end == before) {
        SR_TRY(fill_raw(file, error));
        if (file->raw_ended && file->member_open)
            return sr_fail(error, SR_ERROR_DATA, "%s is truncated: its compressed data ends too early", file->path);
        if (file->raw_ended) {
            file->ended = true;
            return SR_OK;
        }
        SR_TRY(file->kind == PLAIN ? decode_plain(file, error)
                                   : (file->kind == GZIP ? decode_gzip(file, error) : decode_zstd(file, error)));
    }
    return SR_OK;
}

/* ---- opening ---- */

static sr_status choose_decoder(lines *file, sr_error *error)
{
    static const unsigned char gzip_magic[] = {0x1f, 0x8b}, zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    SR_TRY(fill_raw(file, error));
    const size_t count = file->raw_end;
    if (count >= sizeof gzip_magic && memcmp(file->raw, gzip_magic, sizeof gzip_magic) == 0)
        file->kind = GZIP;
    else if (count >= sizeof zstd_magic && memcmp(file->raw, zstd_magic, sizeof zstd_magic) == 0)
        file->kind = ZSTD;
    enum { WITH_HEADER = 15 + 16 };
    if (file->kind == GZIP && inflateInit2(&file->gzip, WITH_HEADER) != Z_OK)
        return sr_fail(error, SR_ERROR_RUNTIME, "zlib cannot start");
    if (file->kind == ZSTD && !(file->zstd = ZSTD_createDCtx()))
        return sr_fail(error, SR_ERROR_RUNTIME, "zstd cannot start");
    return SR_OK;
}

static sr_status skip_byte_order_mark(lines *file, sr_error *error)
{
    static const char stub[] = "version https://git-lfs.github.com/spec/v1";
    while (file->end < 256 && !file->ended)
        SR_TRY(fill_text(file, error));
    if (file->end >= 3 && memcmp(file->text, "\xEF\xBB\xBF", 3) == 0)
        file->begin = 3;
    if (file->end >= sizeof stub - 1 && memcmp(file->text, stub, sizeof stub - 1) == 0)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s is not the data but a Git LFS pointer to it: fetch the file itself (git lfs pull)", file->path);
    return SR_OK;
}

sr_status lines_open(lines **opened, const char *path, sr_error *error)
{
    lines *file;
    *opened = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&file, 1, "an input file", error));
    file->descriptor = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY);
    sr_status status = file->descriptor < 0 ? sr_fail(error, SR_ERROR_DATA, "%s cannot be read: %s", path, strerror(errno)) : SR_OK;
    file->room = TEXT_SIZE;
    if (status == SR_OK)
        status = sr_copy_string(&file->path, strcmp(path, "-") == 0 ? "standard input" : path, error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&file->raw, RAW_SIZE, "an input buffer", error);
    if (status == SR_OK && !(file->text = malloc(file->room)))
        status = sr_fail_memory(error, file->room, "an input buffer");
    if (status == SR_OK)
        status = choose_decoder(file, error);
    if (status == SR_OK)
        status = skip_byte_order_mark(file, error);
    if (status != SR_OK) {
        lines_close(file);
        return status;
    }
    *opened = file;
    return SR_OK;
}

void lines_close(lines *file)
{
    if (!file)
        return;
    if (file->kind == GZIP)
        (void)inflateEnd(&file->gzip);
    if (file->zstd)
        ZSTD_freeDCtx(file->zstd);
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    free(file->raw);
    free(file->text);
    free(file);
}

sr_status lines_next(lines *file, char **text, sr_error *error)
{
    size_t searched = 0;
    char *newline = NULL;
    while (!(newline = memchr(file->text + file->begin + searched, '\n', file->end - file->begin - searched)) && !file->ended) {
        searched = file->end - file->begin;
        SR_TRY(fill_text(file, error));
    }
    if (!newline && file->begin == file->end) {
        *text = NULL;
        return SR_OK;
    }
    *text = file->text + file->begin;
    char *end = newline ? newline : file->text + file->end; /* fill_text() leaves room for the terminator */
    file->begin = (size_t)(end - file->text) + (newline != NULL);
    if (end > *text && end[-1] == '\r')
        --end;
    *end = '\0';
    ++file->number;
    file->line = *text;
    file->line_length = (size_t)(end - *text);
    if (strlen(*text) != (size_t)(end - *text))
        return lines_fail(file, NULL, error, "the line holds a null byte: this is not a text file");
    return SR_OK;
}

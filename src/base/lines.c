#include "base/lines.h"

#include "base/shown.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#ifdef SRTRAIN_SMALL_BUFFERS /* for tests: short texts cross the bounds of buffers, and meet all limits */
enum { RAW_SIZE = 251, TEXT_SIZE = 512, LONGEST_CONTINUATION = 700, LONGEST_LINE = 1900 };
#else
enum { RAW_SIZE = 256 * 1024, TEXT_SIZE = 1024 * 1024, LONGEST_CONTINUATION = 1024 * 1024, LONGEST_LINE = 64 * 1024 * 1024 };
#endif
typedef enum { PLAIN, GZIP, ZSTD } compression;

struct lines {
    char *path;
    int descriptor;
    compression kind;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    unsigned char *raw; /* bytes of the file not decoded yet: [raw_begin, raw_end) */
    size_t raw_begin, raw_end;
    bool raw_ended;
    bool member_open, member_has_ended; /* a compressed stream has begun and not ended; one has ended */
    char *text;                         /* decoded bytes not handed out yet: [begin, end) */
    size_t begin, end, room;
    bool ended;
    size_t number, next_number;                /* of the line returned last, and of those before the one that follows */
    size_t line_begin, line_size, line_length; /* the line returned last: place, size with and without its line end */
    size_t first_size, first_length;           /* the same of its first line */
    char overwritten;                          /* what stood where the line's terminator stands */
    bool line_is_out;                          /* a line has been returned, and its terminator is in the text */
    bool marked;                               /* see lines_mark(): nothing behind `mark` is given up, [0, mark) is */
    size_t mark, mark_number;
    uint64_t mark_end;
    uint64_t part_begin, part_end; /* bytes of the file */
    uint64_t part_start;           /* where the first line of the part starts */
    uint64_t text_place;           /* bytes of decoded text in front of `text` */
};

const char *lines_path(const lines *file)
{
    return file->path;
}

size_t lines_number(const lines *file)
{
    return file->number;
}

void lines_shown(const lines *file, char shown[LINES_SHOWN_SIZE])
{
    shown_text(file->text + file->line_begin, file->line_length, shown, LINES_SHOWN_SIZE);
}

/* How many lines stand in front of a part of a file; 0 if that cannot be found out. */
static size_t lines_in_front(const lines *file)
{
    FILE *stream = file->part_start ? fopen(file->path, "rb") : NULL;
    size_t count = 0;
    for (uint64_t place = 0; stream && place < file->part_start; ++place) {
        const int byte = getc_unlocked(stream);
        if (byte == EOF)
            break;
        count += byte == '\n';
    }
    if (stream)
        fclose(stream);
    return count;
}

sr_status lines_fail(const lines *file, const char *line, sr_error *error, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const size_t number = lines_in_front(file) + file->number;
    if (!line)
        return sr_fail(error, SR_ERROR_DATA, "%s:%zu: %s", file->path, number, text);
    char shown[LINES_SHOWN_SIZE];
    lines_shown(file, shown);
    return sr_fail(error, SR_ERROR_DATA, "%s:%zu: %s\n  %s", file->path, number, text, shown);
}

/* ---- raw bytes ---- */

/* Reads some bytes behind those that are there. */
static sr_status read_raw(lines *file, sr_error *error)
{
    ssize_t got;
    do {
        got = read(file->descriptor, file->raw + file->raw_end, RAW_SIZE - file->raw_end);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: %s", file->path, strerror(errno));
    file->raw_end += (size_t)got;
    file->raw_ended = got == 0;
    return SR_OK;
}

static sr_status fill_raw(lines *file, sr_error *error)
{
    if (file->raw_begin < file->raw_end || file->raw_ended)
        return SR_OK;
    file->raw_begin = file->raw_end = 0;
    return read_raw(file, error);
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

static sr_status fail_decoding(const lines *file, const char *reason, sr_error *error)
{
    if (file->member_has_ended && !file->member_open)
        return sr_fail(error, SR_ERROR_DATA, "%s is damaged: behind the end of its compressed data stands something else",
                       file->path);
    return sr_fail(error, SR_ERROR_DATA, "%s is damaged: %s", file->path, reason);
}

static sr_status decode_gzip(lines *file, sr_error *error)
{
    z_stream *stream = &file->gzip;
    stream->next_in = file->raw + file->raw_begin;
    stream->avail_in = (uInt)(file->raw_end - file->raw_begin);
    stream->next_out = (unsigned char *)file->text + file->end;
    stream->avail_out = (uInt)(file->room - file->end);
    const int result = inflate(stream, Z_NO_FLUSH);
    if (result != Z_STREAM_END && result != Z_OK && result != Z_BUF_ERROR)
        return fail_decoding(file, stream->msg ? stream->msg : "bad gzip data", error);
    file->raw_begin = file->raw_end - stream->avail_in;
    file->end = file->room - stream->avail_out;
    file->member_open = result != Z_STREAM_END;
    if (file->member_open)
        return SR_OK;
    file->member_has_ended = true;
    return inflateReset(stream) == Z_OK ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "zlib failed");
}

static sr_status decode_zstd(lines *file, sr_error *error)
{
    ZSTD_inBuffer in = {file->raw, file->raw_end, file->raw_begin};
    ZSTD_outBuffer out = {file->text, file->room, file->end};
    const size_t result = ZSTD_decompressStream(file->zstd, &out, &in);
    if (ZSTD_isError(result))
        return fail_decoding(file, ZSTD_getErrorName(result), error);
    file->member_open = result != 0;
    file->member_has_ended |= result == 0;
    file->raw_begin = in.pos;
    file->end = out.pos;
    return SR_OK;
}

/* Decodes some more text behind what is there. */
static sr_status fill_text(lines *file, sr_error *error)
{
    const size_t unused = file->marked ? file->mark : file->begin;
    if (unused > 0) {
        file->text_place += unused;
        memmove(file->text, file->text + unused, file->end - unused);
        file->end -= unused;
        file->begin -= unused;
        file->mark = 0;
    }
    SR_TRY(SR_GROW(&file->text, &file->room, file->end + 2, "a long line", error));
    const size_t before = file->end;
    while (file->end == before) {
        SR_TRY(fill_raw(file, error));
        if (file->raw_ended && !file->member_open) {
            file->ended = true;
            return SR_OK;
        }
        SR_TRY(file->kind == PLAIN ? decode_plain(file, error)
                                   : (file->kind == GZIP ? decode_gzip(file, error) : decode_zstd(file, error)));
        /* A decoder may still hold text after the last byte of the file has gone in, but only until it gives none. */
        if (file->raw_ended && file->member_open && file->end == before)
            return sr_fail(error, SR_ERROR_DATA, "%s is truncated: its compressed data ends too early", file->path);
    }
    return SR_OK;
}

/* ---- opening ---- */

static bool begins_with(const lines *file, const char *bytes, size_t count)
{
    return file->raw_end >= count && memcmp(file->raw, bytes, count) == 0;
}

/* Files that people take for text. */
static sr_status refuse_other_kinds(const lines *file, sr_error *error)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *what;
    } kinds[] = {
        {"PK\3\4", 4, "a zip archive: unpack it first"},
        {"\xFD"
         "7zXZ",
         5, "compressed by xz, which is not read as gzip and zstd are: unpack it first"},
        {"BZh", 3, "compressed by bzip2, which is not read as gzip and zstd are: unpack it first"},
        {"7z\xBC\xAF", 4, "a 7-Zip archive: unpack it first"},
        {"PAR1", 4, "a Parquet file, not text"},
        {"\x89HDF", 4, "an HDF5 file, not text"},
        {"\xFF\xFE", 2, "text in UTF-16: turn it into UTF-8 first (iconv -f UTF-16 -t UTF-8)"},
        {"\xFE\xFF", 2, "text in UTF-16: turn it into UTF-8 first (iconv -f UTF-16 -t UTF-8)"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        if (begins_with(file, kinds[i].bytes, kinds[i].count))
            return sr_fail(error, SR_ERROR_DATA, "%s is %s", file->path, kinds[i].what);
    return SR_OK;
}

static sr_status choose_decoder(lines *file, sr_error *error)
{
    enum { MAGIC = 8 };
    while (file->raw_end < MAGIC && !file->raw_ended) /* a pipe may give them one by one */
        SR_TRY(read_raw(file, error));
    file->raw_ended = false;
    SR_TRY(refuse_other_kinds(file, error));
    const bool skippable = file->raw_end >= 4 && (file->raw[0] & 0xF0) == 0x50 && memcmp(file->raw + 1, "\x2A\x4D\x18", 3) == 0;
    if (begins_with(file, "\x1F\x8B", 2))
        file->kind = GZIP;
    else if (begins_with(file, "\x28\xB5\x2F\xFD", 4) || skippable) /* a skippable frame, as some programs put in front */
        file->kind = ZSTD;
    enum { WITH_HEADER = 15 + 16 };
    if (file->kind == GZIP && inflateInit2(&file->gzip, WITH_HEADER) != Z_OK)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: zlib cannot start, perhaps for want of memory", file->path);
    if (file->kind == ZSTD && !(file->zstd = ZSTD_createDCtx()))
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: zstd cannot start, perhaps for want of memory", file->path);
    return SR_OK;
}

static sr_status skip_byte_order_mark(lines *file, sr_error *error)
{
    static const char stub[] = "version https://git-lfs.github.com/spec/v1";
    enum { TAR_MAGIC = 257 };
    while (file->end < 512 && !file->ended)
        SR_TRY(fill_text(file, error));
    if (file->end >= 3 && memcmp(file->text, "\xEF\xBB\xBF", 3) == 0)
        file->begin = 3;
    if (file->end >= TAR_MAGIC + 5 && memcmp(file->text + TAR_MAGIC, "ustar", 5) == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s is a tar archive: unpack it first", file->path);
    if (file->end >= sizeof stub - 1 && memcmp(file->text, stub, sizeof stub - 1) == 0)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s is not the data but a Git LFS pointer to it: fetch the file itself (git lfs pull)", file->path);
    return SR_OK;
}

/* Goes to the first line that starts at `part_begin` or later: behind the line end that is at the byte before it or later. */
static sr_status go_to_part(lines *file, sr_error *error)
{
    if (file->part_begin == 0)
        return SR_OK;
    if (file->kind != PLAIN)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s is compressed: it cannot be read in parts", file->path);
    if (lseek(file->descriptor, (off_t)(file->part_begin - 1), SEEK_SET) < 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read in parts: %s", file->path, strerror(errno));
    file->raw_begin = file->raw_end = file->begin = file->end = 0;
    file->raw_ended = file->ended = false;
    file->text_place = file->part_begin - 1;
    char *newline = NULL;
    while (!newline && !file->ended) {
        file->begin = file->end;
        SR_TRY(fill_text(file, error));
        newline = memchr(file->text + file->begin, '\n', file->end - file->begin);
    }
    file->begin = newline ? (size_t)(newline + 1 - file->text) : file->end;
    file->part_start = file->text_place + file->begin;
    return SR_OK;
}

sr_status lines_open_part(lines **opened, const char *path, uint64_t begin, uint64_t end, sr_error *error)
{
    lines *file;
    *opened = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&file, 1, "an input file", error));
    file->part_begin = begin;
    file->part_end = end;
    file->descriptor = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY);
    sr_status status = file->descriptor < 0 ? sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: %s", path, strerror(errno))
                                            : SR_OK;
    file->room = TEXT_SIZE;
    if (status == SR_OK)
        status = sr_copy_string(&file->path, strcmp(path, "-") == 0 ? "standard input" : path, error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&file->raw, RAW_SIZE, "an input buffer", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&file->text, file->room, "an input buffer", error);
    if (status == SR_OK)
        status = choose_decoder(file, error);
    if (status == SR_OK)
        status = skip_byte_order_mark(file, error);
    if (status == SR_OK)
        status = go_to_part(file, error);
    if (status != SR_OK) {
        lines_close(file);
        return status;
    }
    *opened = file;
    return SR_OK;
}

sr_status lines_open(lines **opened, const char *path, sr_error *error)
{
    return lines_open_part(opened, path, 0, UINT64_MAX, error);
}

bool lines_may_be_opened_again(const char *path)
{
    struct stat information;
    return strcmp(path, "-") != 0 && (stat(path, &information) != 0 || S_ISREG(information.st_mode));
}

sr_status lines_divisible_size(const char *path, uint64_t *size, sr_error *error)
{
    struct stat information;
    lines *file;
    *size = 0;
    if (strcmp(path, "-") == 0)
        return SR_OK;
    if (stat(path, &information) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(information.st_mode))
        return SR_OK;
    SR_TRY(lines_open(&file, path, error));
    if (file->kind == PLAIN)
        *size = (uint64_t)information.st_size;
    lines_close(file);
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

/* Finds the end of the line that begins at file->begin, looking from `searched` bytes behind it on, and hands the line out. */
static sr_status take_line(lines *file, size_t searched, sr_error *error)
{
    char *newline;
    for (;;) {
        newline = memchr(file->text + file->begin + searched, '\n', file->end - file->begin - searched);
        searched = newline ? (size_t)(newline - file->text) - file->begin : file->end - file->begin;
        if (searched > LONGEST_LINE)
            return lines_fail(file, NULL, error, "the line is longer than %d bytes: this is not a text file", LONGEST_LINE);
        if (newline || file->ended)
            break;
        SR_TRY(fill_text(file, error));
    }
    char *line = file->text + file->begin;
    char *end = newline ? newline : file->text + file->end; /* fill_text() leaves room for the terminator */
    file->line_begin = file->begin;
    file->line_size = (size_t)(end - line) + (newline != NULL);
    file->begin += file->line_size;
    if (end > line && end[-1] == '\r')
        --end;
    file->line_length = (size_t)(end - line);
    file->overwritten = *end;
    file->line_is_out = true;
    *end = '\0';
    ++file->next_number;
    return SR_OK;
}

/* Writes the byte again that the terminator of the line returned last stands on. */
static void restore_line_end(lines *file)
{
    if (file->line_is_out)
        file->text[file->line_begin + file->line_length] = file->overwritten;
    file->line_is_out = false;
}

sr_status lines_take(lines *file, const char **text, size_t *length, sr_error *error)
{
    restore_line_end(file);
    if (file->begin == file->end && !file->ended)
        SR_TRY(fill_text(file, error));
    const uint64_t place = file->next_number == 0 ? file->part_start : file->text_place + file->begin; /* the mark is no line */
    if (file->begin == file->end || place >= file->part_end) {
        *text = NULL;
        return SR_OK;
    }
    file->number = file->next_number + 1;
    SR_TRY(take_line(file, 0, error));
    file->first_size = file->line_size;
    file->first_length = file->line_length;
    *text = file->text + file->line_begin;
    *length = file->line_length;
    return SR_OK;
}

sr_status lines_next(lines *file, const char **text, sr_error *error)
{
    size_t length;
    SR_TRY(lines_take(file, text, &length, error));
    return *text && memchr(*text, '\0', length)
               ? lines_fail(file, NULL, error, "the line holds a null byte: this is not a text file")
               : SR_OK;
}

sr_status lines_continue(lines *file, const char **text, size_t *length, sr_error *error)
{
    const size_t size = file->line_size;
    restore_line_end(file);
    *text = NULL;
    if (file->begin == file->end && !file->ended) {
        file->begin = file->line_begin; /* so that the line stays */
        const sr_status status = fill_text(file, error);
        file->line_begin = file->begin;
        file->begin += size;
        SR_TRY(status);
    }
    if (file->begin == file->end || size > LONGEST_CONTINUATION)
        return SR_OK;
    file->begin = file->line_begin;
    SR_TRY(take_line(file, size, error));
    *text = file->text + file->line_begin;
    *length = file->line_length;
    return SR_OK;
}

void lines_take_back(lines *file)
{
    restore_line_end(file);
    file->line_size = file->first_size;
    file->line_length = file->first_length;
    file->begin = file->line_begin + file->line_size;
    file->next_number = file->number;
}

/* ---- looking ahead ---- */

void lines_mark(lines *file, size_t bytes)
{
    restore_line_end(file);
    const uint64_t end = file->text_place + file->begin + bytes;
    file->marked = true;
    file->mark = file->begin;
    file->mark_number = file->next_number;
    file->mark_end = file->part_end;
    file->part_end = end < file->part_end ? end : file->part_end;
}

void lines_return(lines *file)
{
    restore_line_end(file);
    file->marked = false;
    file->begin = file->mark;
    file->next_number = file->mark_number;
    file->part_end = file->mark_end;
}

/* ---- words ---- */

const char *lines_word(const char **at, const char *separators, size_t *length)
{
    const char *word = *at + strspn(*at, separators);
    *length = strcspn(word, separators);
    *at = word + *length;
    return *length ? word : NULL;
}

sr_status lines_check_identifier(const lines *file, const char *line, const char *role, size_t length, sr_error *error)
{
    if (length == 0)
        return lines_fail(file, line, error, "the %s identifier is empty", role);
    if (length > LINES_IDENTIFIER_MAXIMUM)
        return lines_fail(file, line, error, "the %s identifier has %zu bytes, allowed are at most %d", role, length,
                          LINES_IDENTIFIER_MAXIMUM);
    return SR_OK;
}

#include "run/event_file.h"

#include "srtrain/directories.h"
#include "srtrain/durable.h"
#include "srtrain/memory.h"
#include "storage/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What TensorBoard knows an event file by, and what we know ours by. */
#define BEGINNING "events.out.tfevents."
#define ENDING ".srtrain"

struct event_file {
    FILE *stream;
    char *path;
    uint32_t checksums[256]; /* CRC-32C of single bytes */
};

/* ---- records ---- */

static void fill_checksums(uint32_t checksums[256])
{
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit)
            value = value & 1 ? value >> 1 ^ 0x82f63b78u : value >> 1;
        checksums[byte] = value;
    }
}

static uint32_t masked_checksum(const event_file *file, const unsigned char *data, size_t size)
{
    uint32_t value = UINT32_MAX;
    for (size_t i = 0; i < size; ++i)
        value = file->checksums[(value ^ data[i]) & 255] ^ value >> 8;
    value = ~value;
    return (value >> 15 | value << 17) + 0xa282ead8u;
}

static void put_number(unsigned char *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i)
        to[i] = (unsigned char)(value >> 8 * i);
}

static sr_status write_record(event_file *file, const char *data, size_t size, sr_error *error)
{
    unsigned char head[12], tail[4];
    put_number(head, size, 8);
    put_number(head + 8, masked_checksum(file, head, 8), 4);
    put_number(tail, masked_checksum(file, (const unsigned char *)data, size), 4);
    const bool written = fwrite(head, 1, sizeof head, file->stream) == sizeof head &&
                         fwrite(data, 1, size, file->stream) == size &&
                         fwrite(tail, 1, sizeof tail, file->stream) == sizeof tail && fflush(file->stream) == 0;
    return written ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
}

/* ---- messages ---- */

/* What a Value of a Summary is made of. */
typedef struct {
    const char *tag;
    float number;
} named_number;

/* What an Event is made of, and how many of its fields are there. */
typedef struct {
    double wall_time; /* seconds since 1970 */
    int64_t step;
    const cJSON *line;   /* its numbers become the Summary; NULL: none */
    const char *version; /* of the format; NULL: not said */
    bool starts;         /* readers forget what they have read of this directory */
} event;

static double number_of(const cJSON *line, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

/* Whether a field of a line is a curve, rather than its place, what belongs to another number, or the days that recent
 * popularity is of. */
static bool is_curve(const cJSON *field)
{
    static const char *const others[] = {"step", "epoch", "cases", "unix_seconds", "days", "after", "last", "interactions"};
    const size_t length = strlen(field->string);
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
        if (strcmp(field->string, others[i]) == 0)
            return false;
    return cJSON_IsNumber(field) && !(length > 6 && strcmp(field->string + length - 6, "_error") == 0);
}

static void write_value(wire *to, const void *message)
{
    const named_number *value = message;
    wire_text(to, 1, value->tag);
    wire_float(to, 2, value->number);
}

/* The numbers of a line. */
static void write_summary(wire *to, const void *message)
{
    const cJSON *line = message, *field;
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "kind"));
    const char *baseline = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "baseline"));
    char tag[120];
    cJSON_ArrayForEach(field, line)
    {
        snprintf(tag, sizeof tag, "%.15s/%.31s%s%.63s", kind, baseline ? baseline : "", baseline ? "/" : "", field->string);
        if (is_curve(field))
            wire_message(to, 1, write_value, &(named_number){.tag = tag, .number = (float)field->valuedouble});
    }
}

static void write_session_start(wire *to, const void *message)
{
    (void)message;
    wire_integer(to, 1, 1); /* its status: START */
}

static void write_event(wire *to, const event *message)
{
    wire_double(to, 1, message->wall_time);
    if (message->step)
        wire_integer(to, 2, message->step);
    if (message->version)
        wire_text(to, 3, message->version);
    if (message->line)
        wire_message(to, 5, write_summary, message->line);
    if (message->starts)
        wire_message(to, 7, write_session_start, NULL);
}

/* A record has its length and its checksum around it, so that an event is put together in memory. */
static sr_status add_event(event_file *file, const event *message, sr_error *error)
{
    char *bytes = NULL;
    size_t size;
    wire to = {.stream = open_memstream(&bytes, &size)};
    if (!to.stream)
        return sr_fail_memory(error, 1, "an event of TensorBoard");
    write_event(&to, message);
    const bool complete = !ferror(to.stream);
    const bool closed = fclose(to.stream) == 0;
    const sr_status status = complete && closed ? write_record(file, bytes, size, error)
                                                : sr_fail_memory(error, size, "an event of TensorBoard");
    free(bytes);
    return status;
}

/* The version of the format, and a beginning of step 0. */
static sr_status write_beginning(event_file *file, sr_error *error)
{
    const double now = (double)time(NULL);
    SR_TRY(add_event(file, &(event){.wall_time = now, .version = "brain.Event:2"}, error));
    return add_event(file, &(event){.wall_time = now, .starts = true}, error);
}

sr_status event_file_add(event_file *file, const cJSON *line, sr_error *error)
{
    if (!cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "kind")))
        return SR_OK;
    return add_event(file,
                     &(event){.wall_time = number_of(line, "unix_seconds", (double)time(NULL)),
                              .step = (int64_t)number_of(line, "step", 0),
                              .line = line},
                     error);
}

/* ---- files ---- */

/* The lines of metrics.jsonl so far; there may be none. */
static sr_status add_lines(event_file *file, const char *metrics, sr_error *error)
{
    FILE *in = fopen(metrics, "r");
    if (!in)
        return errno == ENOENT ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", metrics, strerror(errno));
    sr_status status = SR_OK;
    char *text = NULL;
    size_t capacity = 0;
    while (status == SR_OK && getline(&text, &capacity, in) > 0) {
        cJSON *line = cJSON_Parse(text);
        status = event_file_add(file, line, error);
        cJSON_Delete(line);
    }
    if (status == SR_OK && !feof(in))
        status = errno == ENOMEM ? sr_fail_memory(error, capacity, "a line of the metrics file")
                                 : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", metrics, strerror(errno));
    free(text);
    fclose(in);
    return status;
}

static bool is_ours(const char *name)
{
    const size_t length = strlen(name), ending = sizeof ENDING - 1;
    return strncmp(name, BEGINNING, sizeof BEGINNING - 1) == 0 && length > ending &&
           strcmp(name + length - ending, ENDING) == 0;
}

/* The second that the name of a new file holds: readers go through files by name, so that it comes after those that exist. */
static long long second_of_name(const char *directory)
{
    long long second = (long long)time(NULL);
    DIR *opened = opendir(directory);
    for (struct dirent *entry; opened && (entry = readdir(opened));) {
        const long long other = is_ours(entry->d_name) ? atoll(entry->d_name + sizeof BEGINNING - 1) : 0;
        second = other >= second ? other + 1 : second;
    }
    if (opened)
        closedir(opened);
    return second;
}

/* Files of earlier starts go. The last one is only emptied, because a reader that follows it goes on to the next file when it
 * finds no more in this one, and never when it is missing. What cannot be changed stays, and does no harm. */
static void retire_others(const char *directory, const char *path)
{
    DIR *opened = opendir(directory);
    for (struct dirent *entry; opened && (entry = readdir(opened));) {
        struct stat found;
        if (!is_ours(entry->d_name) || strcmp(entry->d_name, strrchr(path, '/') + 1) == 0)
            continue;
        const int file = openat(dirfd(opened), entry->d_name, O_WRONLY | O_CLOEXEC);
        if (file < 0 || fstat(file, &found) != 0 || found.st_size == 0 || ftruncate(file, 0) != 0)
            (void)unlinkat(dirfd(opened), entry->d_name, 0);
        if (file >= 0)
            close(file);
    }
    if (opened)
        closedir(opened);
}

/* Until it is complete the file has a name by which no reader takes it for one of events. */
static sr_status fill(event_file *file, const char *directory, const char *metrics, sr_error *error)
{
    char *part;
    if (asprintf(&part, "%s/new-events.part", directory) < 0)
        return sr_fail_memory(error, strlen(directory), "a file name");
    file->stream = fopen(part, "w");
    sr_status status = file->stream ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", part, strerror(errno));
    if (status == SR_OK)
        status = write_beginning(file, error);
    if (status == SR_OK)
        status = add_lines(file, metrics, error);
    if (status == SR_OK)
        status = sr_durable_rename(part, file->path, error);
    if (status != SR_OK && file->stream)
        (void)unlink(part);
    free(part);
    return status;
}

sr_status event_file_create(event_file **file, const char *directory, const char *metrics, sr_error *error)
{
    event_file *made;
    char host[256] = "";
    *file = NULL;
    SR_TRY(sr_make_directories(directory, error));
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a file of events", error));
    fill_checksums(made->checksums);
    if (gethostname(host, sizeof host - 1) != 0 || strchr(host, '/'))
        snprintf(host, sizeof host, "unknown");
    sr_status status = SR_OK;
    if (asprintf(&made->path, "%s/" BEGINNING "%010lld.%s" ENDING, directory, second_of_name(directory), host) < 0) {
        made->path = NULL;
        status = sr_fail_memory(error, strlen(directory), "a file name");
    }
    if (status == SR_OK)
        status = fill(made, directory, metrics, error);
    if (status != SR_OK) {
        event_file_close(made);
        return status;
    }
    retire_others(directory, made->path);
    *file = made;
    return SR_OK;
}

sr_status event_file_synchronise(event_file *file, sr_error *error)
{
    if (fflush(file->stream) == 0 && fsync(fileno(file->stream)) == 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
}

void event_file_close(event_file *file)
{
    if (!file)
        return;
    if (file->stream)
        fclose(file->stream);
    free(file->path);
    free(file);
}

#include "journal.h"

#include "real_calls.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, DIRECTORIES = 1024 };

/* ---- what processes have in common ---- */

typedef struct {
    atomic_ulong device, inode, stamp; /* when the directory has last been synchronised; inode 0: a free row */
} directory_row;

typedef struct {
    atomic_int failed, attached, detached;
    atomic_ulong clock, saved;
    directory_row directories[DIRECTORIES];
} common_state;

static common_state *common;
static char control[PATH_MAX]; /* the name of its file; "" for a process by itself */
static bool attached;

static common_state *state(void)
{
    if (!common)
        common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return common;
}

void journal_share(const char *control_path)
{
    const int descriptor = real()->open(control_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || real()->ftruncate(descriptor, sizeof *common) != 0)
        abort();
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (common == MAP_FAILED)
        abort();
    close(descriptor);
    strncpy(control, control_path, sizeof control - 1);
}

int journal_has_failed(void)
{
    return atomic_load(&state()->failed);
}

void journal_fail(void)
{
    atomic_store(&state()->failed, 1);
}

void journal_attach(void)
{
    if (!attached)
        atomic_fetch_add(&state()->attached, 1);
    attached = true;
}

void journal_detach(void)
{
    atomic_fetch_add(&state()->detached, 1);
}

int journal_all_detached(void)
{
    return atomic_load(&state()->detached) >= atomic_load(&state()->attached);
}

static directory_row *row_of(const char *directory)
{
    struct stat found;
    if (stat(directory, &found) != 0)
        return NULL;
    for (unsigned i = 0; i < DIRECTORIES; ++i) {
        directory_row *row = &state()->directories[(found.st_ino + i) % DIRECTORIES];
        unsigned long empty = 0;
        if (atomic_compare_exchange_strong(&row->inode, &empty, found.st_ino))
            atomic_store(&row->device, found.st_dev);
        if (atomic_load(&row->inode) == found.st_ino && atomic_load(&row->device) == found.st_dev)
            return row;
    }
    abort();
}

/* ---- contents ---- */

/* A range of a file that was written, with the bytes that it had before, as far as there were any. */
typedef struct range {
    struct range *before;
    off_t offset;
    size_t length, old_length;
    unsigned char old[];
} range;

typedef struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    int descriptor;
    off_t size; /* on the disk */
    range *last;
} file;

static file *files;

static file *find_file(const struct stat *found)
{
    file *f = files;
    while (f && (f->inode != found->st_ino || f->device != found->st_dev))
        f = f->next;
    return f;
}

static file *note_file(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0 || !S_ISREG(found.st_mode))
        return NULL;
    file *f = find_file(&found);
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    if (!f)
        abort();
    *f = (file){.next = files, .device = found.st_dev, .inode = found.st_ino, .size = found.st_size};
    f->descriptor = real()->open(path, O_RDWR | O_CLOEXEC);
    if (f->descriptor < 0)
        abort();
    files = f;
    return f;
}

void journal_write(const char *path, off_t offset, size_t length)
{
    file *f = note_file(path);
    struct stat found;
    if (!f || fstat(f->descriptor, &found) != 0)
        return;
    if (length == 0)
        length = found.st_size > offset ? (size_t)(found.st_size - offset) : 0;
    const size_t there = found.st_size > offset ? (size_t)(found.st_size - offset) : 0;
    const size_t old_length = there < length ? there : length;
    range *r = malloc(sizeof *r + old_length);
    if (!r)
        abort();
    *r = (range){.before = f->last, .offset = offset, .length = length, .old_length = old_length};
    if (pread(f->descriptor, r->old, old_length, offset) != (ssize_t)old_length)
        abort();
    f->last = r;
}

static void forget_file(file *f)
{
    file **place = &files;
    while (*place != f)
        place = &(*place)->next;
    *place = f->next;
    while (f->last) {
        range *r = f->last;
        f->last = r->before;
        free(r);
    }
    close(f->descriptor);
    free(f);
}

void journal_synchronise(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0)
        return;
    file *f = S_ISREG(found.st_mode) ? find_file(&found) : NULL;
    directory_row *row = S_ISDIR(found.st_mode) ? row_of(path) : NULL;
    if (f)
        forget_file(f);
    if (row)
        atomic_store(&row->stamp, atomic_fetch_add(&state()->clock, 1) + 1);
}

/* ---- names ---- */

typedef enum { CREATED, REMOVED, RENAMED, DIRECTORY_MADE } name_change;

typedef struct name {
    struct name *before;
    name_change change;
    directory_row *directory;
    unsigned long stamp;
    char *path, *to;
    char *saved; /* a link to what was removed or replaced; NULL for none */
} name;

static name *names;

static char *copy(const char *text)
{
    char *made = text ? strdup(text) : NULL;
    if (text && !made)
        abort();
    return made;
}

static char *save(const char *path)
{
    char *saved;
    if (!*control || asprintf(&saved, "%s.saved-%lu", control, atomic_fetch_add(&state()->saved, 1)) < 0)
        return NULL;
    if (real()->link(path, saved) == 0)
        return saved;
    free(saved);
    return NULL;
}

static void note_name(name_change change, const char *path, const char *to, char *saved)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t length = slash && slash > path ? (size_t)(slash - path) : 1;
    memcpy(directory, path, length);
    directory[length] = '\0';
    directory_row *row = row_of(directory);
    name *n = malloc(sizeof *n);
    if (!n)
        abort();
    *n = (name){.before = names,
                .change = change,
                .directory = row,
                .stamp = atomic_fetch_add(&state()->clock, 1) + 1,
                .path = copy(path),
                .to = copy(to),
                .saved = saved};
    names = n;
}

void journal_create(const char *path)
{
    note_name(CREATED, path, NULL, NULL);
}

void journal_remove(const char *path)
{
    note_name(REMOVED, path, NULL, save(path));
}

void journal_rename(const char *from, const char *to)
{
    note_name(RENAMED, from, to, save(to));
}

void journal_make_directory(const char *path)
{
    note_name(DIRECTORY_MADE, path, NULL, NULL);
}

void journal_forget_last(void)
{
    name *n = names;
    names = n->before;
    free(n->path);
    free(n->to);
    free(n->saved);
    free(n);
}

/* ---- losing ---- */

static uint64_t random_state;

static unsigned draw(unsigned below)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % below);
}

/* Puts back what a range held before: zeros where there was nothing. */
static void undo(const file *f, const range *r, size_t from, size_t to)
{
    static const unsigned char zeros[BLOCK];
    const size_t old_end = to < r->old_length ? to : r->old_length;
    if (from < old_end)
        (void)real()->pwrite(f->descriptor, r->old + from, old_end - from, r->offset + (off_t)from);
    for (size_t at = from > old_end ? from : old_end; at < to; at += BLOCK)
        (void)real()->pwrite(f->descriptor, zeros, to - at < BLOCK ? to - at : BLOCK, r->offset + (off_t)at);
}

static void tear(const file *f, const range *r)
{
    for (size_t from = 0; from < r->length;) {
        const size_t in_block = (size_t)(r->offset + (off_t)from) % BLOCK;
        const size_t end = from + BLOCK - in_block < r->length ? from + BLOCK - in_block : r->length;
        const unsigned fate = draw(4); /* kept, kept, lost, torn */
        if (fate == 2)
            undo(f, r, from, end);
        else if (fate == 3)
            undo(f, r, from + draw((unsigned)(end - from)), end);
        from = end;
    }
}

static void lose_contents(const file *f)
{
    const unsigned fate = draw(4); /* all kept, all lost, else torn */
    struct stat found;
    if (fate == 0 || fstat(f->descriptor, &found) != 0)
        return;
    const off_t larger = found.st_size > f->size ? found.st_size : f->size;
    const off_t blocks = (larger + BLOCK - 1) / BLOCK;
    for (const range *r = f->last; r; r = r->before)
        if (fate == 1)
            undo(f, r, 0, r->length);
        else
            tear(f, r);
    const off_t sizes[] = {found.st_size, f->size, (off_t)draw((unsigned)blocks + 1) * BLOCK};
    /* Never shorter than what is on the disk, unless it was cut off. */
    const off_t least = found.st_size < f->size ? found.st_size : f->size;
    const off_t chosen = fate == 1 ? f->size : sizes[draw(3)];
    (void)real()->ftruncate(f->descriptor, chosen < least ? least : (chosen > larger ? larger : chosen));
}

static int remove_entry(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    (void)real()->remove(path);
    return 0;
}

static void undo_name(const name *n)
{
    switch (n->change) {
    case CREATED:
        (void)real()->unlink(n->path);
        break;
    case REMOVED:
        if (n->saved)
            (void)real()->link(n->saved, n->path);
        break;
    case RENAMED:
        if (real()->rename(n->to, n->path) == 0 && n->saved)
            (void)real()->link(n->saved, n->to);
        break;
    case DIRECTORY_MADE:
        (void)nftw(n->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        break;
    }
}

static bool is_pending(const name *n)
{
    return !n->directory || atomic_load(&n->directory->stamp) < n->stamp;
}

void journal_lose(unsigned seed)
{
    random_state = seed;
    for (const file *f = files; f; f = f->next)
        lose_contents(f);
    unsigned pending = 0;
    for (const name *n = names; n; n = n->before)
        pending += is_pending(n);
    unsigned undone = draw(3) == 0 ? pending : draw(pending + 1);
    for (const name *n = names; n && undone > 0; n = n->before)
        if (is_pending(n)) {
            undo_name(n);
            --undone;
        }
}

#include "srtrain/memory.h"

#include "base/sizes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t HUGE_PAGE = (size_t)2 << 20;

sr_status sr_allocate(void **memory, size_t count, size_t size, const char *what, sr_error *error)
{
    *memory = NULL;
    if (size != 0 && count > (SIZE_MAX - SR_ALIGNMENT) / size)
        return sr_fail_memory(error, SIZE_MAX, what);
    size_t bytes = (count * size + SR_ALIGNMENT - 1) / SR_ALIGNMENT * SR_ALIGNMENT;
    if (bytes == 0)
        bytes = SR_ALIGNMENT;
    const size_t alignment = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : SR_ALIGNMENT;
    if (posix_memalign(memory, alignment, bytes) != 0) {
        *memory = NULL;
        return sr_fail_memory(error, bytes, what);
    }
    if (alignment == HUGE_PAGE)
        (void)madvise(*memory, bytes, MADV_HUGEPAGE); /* advice only: failing is harmless */
    return SR_OK;
}

sr_status sr_allocate_zero(void **memory, size_t count, size_t size, const char *what, sr_error *error)
{
    SR_TRY(sr_allocate(memory, count, size, what, error));
    memset(*memory, 0, count * size);
    return SR_OK;
}

sr_status sr_reallocate(void **memory, size_t count, size_t size, const char *what, sr_error *error)
{
    if (size != 0 && count > SIZE_MAX / size)
        return sr_fail_memory(error, SIZE_MAX, what);
    const size_t bytes = larger(count * size, 1); /* realloc() of nothing may free */
    void *changed = realloc(*memory, bytes);
    if (!changed)
        return sr_fail_memory(error, bytes, what);
    *memory = changed;
    return SR_OK;
}

sr_status sr_grow(void **memory, size_t *room, size_t needed, size_t size, const char *what, sr_error *error)
{
    enum { LEAST = 16 };
    if (needed <= *room)
        return SR_OK;
    const size_t wanted = larger(larger(needed, LEAST), *room > SIZE_MAX / 2 ? SIZE_MAX : 2 * *room);
    SR_TRY(sr_reallocate(memory, wanted, size, what, error));
    *room = wanted;
    return SR_OK;
}

sr_status sr_copy_string(char **copy, const char *text, sr_error *error)
{
    *copy = strdup(text);
    return *copy ? SR_OK : sr_fail_memory(error, strlen(text) + 1, "a string");
}

typedef struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    size_t touched; /* the most that was ever used: these pages are there */
    char *data;
} arena_block;

struct sr_arena {
    size_t block_size;
    size_t used;
    size_t held;
    size_t largest; /* use before a reset */
    arena_block *first;
    arena_block *current;
};

sr_status sr_arena_create(sr_arena **arena, size_t block_size, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(arena, 1, "an arena", error));
    (*arena)->block_size = block_size;
    return SR_OK;
}

static void free_blocks(sr_arena *arena)
{
    for (arena_block *block = arena->first; block;) {
        arena_block *next = block->next;
        free(block->data);
        free(block);
        block = next;
    }
    arena->first = arena->current = NULL;
    arena->held = 0;
}

void sr_arena_free(sr_arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena);
    free(arena);
}

/* Makes a new block of `size` bytes the current and last one. */
static int add_block(sr_arena *arena, size_t size)
{
    arena_block *block;
    if (SR_ALLOCATE(&block, 1, "an arena block", NULL) != SR_OK)
        return 0;
    if (SR_ALLOCATE(&block->data, size, "an arena block", NULL) != SR_OK) {
        free(block);
        return 0;
    }
    block->next = NULL;
    block->size = size;
    block->used = block->touched = 0;
    if (arena->current)
        arena->current->next = block;
    else
        arena->first = block;
    arena->current = block;
    arena->held += size;
    return 1;
}

/* Makes a block with room for `bytes` the current one: one that a reset has kept, or a new one. */
static int advance(sr_arena *arena, size_t bytes)
{
    while (arena->current && arena->current->next) {
        arena->current = arena->current->next;
        if (arena->current->size >= bytes)
            return 1;
    }
    return add_block(arena, larger(bytes, larger(arena->held, arena->block_size)));
}

void *sr_arena_take(sr_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - SR_ALIGNMENT)
        return NULL;
    bytes = (bytes + SR_ALIGNMENT - 1) / SR_ALIGNMENT * SR_ALIGNMENT;
    if (!arena->current || arena->current->size - arena->current->used < bytes)
        if (!advance(arena, bytes))
            return NULL;
    void *memory = arena->current->data + arena->current->used;
    arena->current->used += bytes;
    arena->used += bytes;
    return memory;
}

/* Whether blocks hold many more pages than any use took: those of blocks that were passed over, as too small. */
static int is_wasteful(const sr_arena *arena)
{
    size_t touched = 0;
    for (const arena_block *block = arena->first; block; block = block->next)
        touched += block->touched;
    return touched > arena->largest + arena->largest / 4;
}

void sr_arena_reset(sr_arena *arena)
{
    arena->largest = larger(arena->largest, arena->used);
    arena->used = 0;
    for (arena_block *block = arena->first; block; block = block->next) {
        block->touched = larger(block->touched, block->used);
        block->used = 0;
    }
    arena->current = arena->first;
    if (!is_wasteful(arena))
        return;
    free_blocks(arena);
    (void)add_block(arena, arena->largest + arena->largest / 8); /* without memory, what is taken next will say so */
}

size_t sr_arena_used(const sr_arena *arena)
{
    return arena->used;
}

size_t sr_arena_held(const sr_arena *arena)
{
    return arena->held;
}

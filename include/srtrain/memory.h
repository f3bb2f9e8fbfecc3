/* Aligned memory and arenas. */
#ifndef SRTRAIN_MEMORY_H
#define SRTRAIN_MEMORY_H

#include "srtrain/status.h"
#include "srtrain/memory.h"

#include <stddef.h>

enum { SR_ALIGNMENT = 64 }; /* bytes: one cache line, one AVX-512 register */

/* Allocates count * size bytes (uninitialised) at SR_ALIGNMENT; `what` names them in the error. A request for nothing
 * yields a valid pointer that may be freed. Release with free(). */
sr_status sr_allocate(void **memory, size_t count, size_t size, const char *what, sr_error *error);

/* The same, filled with zero bytes. */
sr_status sr_allocate_zero(void **memory, size_t count, size_t size, const char *what, sr_error *error);

/* Typed front ends: SR_ALLOCATE(&pointer, count, "what", error). */
#define SR_ALLOCATE(pointer, count, what, error) sr_allocate((void **)(pointer), (count), sizeof **(pointer), (what), (error))
#define SR_ALLOCATE_ZERO(pointer, count, what, error) \
    sr_allocate_zero((void **)(pointer), (count), sizeof **(pointer), (what), (error))

/* Changes what *memory holds, which may be NULL, to count * size bytes, at any alignment that malloc() gives; it may move.
 * After a failure everything is as it was. Release with free(). */
sr_status sr_reallocate(void **memory, size_t count, size_t size, const char *what, sr_error *error);

/* Room for at least `needed` elements of `size` bytes in *memory, which has room for *room (none: NULL and 0): doubled, so that
 * adding elements one by one costs little. As sr_reallocate() otherwise. */
sr_status sr_grow(void **memory, size_t *room, size_t needed, size_t size, const char *what, sr_error *error);

/* SR_GROW(&pointer, &room, needed, "what", error). */
#define SR_GROW(pointer, room, needed, what, error) \
    sr_grow((void **)(pointer), (room), (needed), sizeof **(pointer), (what), (error))

/* Copies a string; release with free(). */
sr_status sr_copy_string(char **copy, const char *text, sr_error *error);

/* A growing arena: memory that is handed out piece by piece and taken back all at once. Blocks are kept by a reset and used
 * again, so that a step asks the system for what it needs more than those before it (fresh pages are dear). Where more pages
 * are touched than the largest use and a quarter, all blocks are given back for one of the right size. */
typedef struct sr_arena sr_arena;

/* `block_size` is the size in bytes of the first block that is asked of the system; each further one is as large as all before
 * it together. So there are few: what does not fit at the end of a block is lost, while pages that are not touched cost
 * nothing. Release with sr_arena_free(). */
sr_status sr_arena_create(sr_arena **arena, size_t block_size, sr_error *error);
void sr_arena_free(sr_arena *arena); /* NULL is allowed */

/* Uninitialised memory of the arena, aligned to SR_ALIGNMENT, valid until the next reset; NULL when the system has none left.
 */
void *sr_arena_take(sr_arena *arena, size_t bytes);

/* Takes everything back; earlier pointers are invalid from here on. */
void sr_arena_reset(sr_arena *arena);

/* Bytes handed out since the last reset, and bytes held from the system. */
size_t sr_arena_used(const sr_arena *arena);
size_t sr_arena_held(const sr_arena *arena);

#endif

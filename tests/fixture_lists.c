#include "fixture_lists.h"

#include <libfyaml.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Who has the same list. */
typedef enum { BY_TARGET, BY_EXAMPLE, BY_SLICE, BY_BATCH } sharing;

/* What the fixture says and holds. */
typedef struct {
    sharing shared;
    size_t slice; /* examples of a slice */
    bool excludes_target, excludes_history;
    int32_t *items, *last_targets;
    size_t item_count;
    double *log_q; /* [V], or NULL */
} source;

/* Targets as they are packed. */
typedef struct {
    size_t count;
    size_t *examples, *cells; /* of each target; a cell is example * L + column, or the example */
    int32_t *items;
} packed_targets;

static bool is_named(struct fy_document *document, const char *format, const char *name)
{
    char found[64];
    return fy_document_scanf(document, format, found) == 1 && strcmp(found, name) == 0;
}

static bool excludes(struct fy_document *document, const char *format)
{
    return is_named(document, format, "mask") || is_named(document, format, "redraw");
}

static sr_status read_choices(source *from, const parity_fixture *fixture, sr_error *error)
{
    static const char *const names[] = {"target", "example", "slice", "batch"};
    struct fy_document *document = fy_document_build_from_string(NULL, fixture_configuration(fixture), FY_NT);
    unsigned slice = 1;
    if (!document)
        return sr_fail(error, SR_ERROR_DATA, "the configuration of the fixture cannot be read");
    for (sharing shared = BY_TARGET; shared <= BY_BATCH; ++shared)
        if (is_named(document, "/training/negative_sharing %63s", names[shared]))
            from->shared = shared;
    (void)fy_document_scanf(document, "/training/negative_slice %u", &slice);
    from->slice = slice;
    from->excludes_history = excludes(document, "/training/history_hits %63s");
    from->excludes_target = from->excludes_history || excludes(document, "/training/target_hits %63s");
    fy_document_destroy(document);
    return SR_OK;
}

static sr_status read_source(source *from, const parity_fixture *fixture, sr_error *error)
{
    size_t count;
    SR_TRY(read_choices(from, fixture, error));
    SR_TRY(fixture_read_integers(fixture, "/inputs", "negatives", &from->items, &from->item_count, error));
    SR_TRY(fixture_read_integers(fixture, "/inputs", "target", &from->last_targets, &count, error));
    if (!fixture_has(fixture, "/inputs", "item_log_probability"))
        return SR_OK;
    return fixture_read_sized(fixture, "/inputs", "item_log_probability", (size_t)fixture_items(fixture) + 1, &from->log_q,
                              error);
}

static void free_source(source *from)
{
    free(from->items);
    free(from->last_targets);
    free(from->log_q);
}

static sr_status pack_targets(packed_targets *packed, const fixture_examples *of, sr_arena *arena, sr_error *error)
{
    const size_t columns = of->every_position ? of->max_length : 1, most = of->examples * columns;
    *packed = (packed_targets){.examples = sr_arena_take(arena, most * sizeof *packed->examples),
                               .cells = sr_arena_take(arena, most * sizeof *packed->cells),
                               .items = sr_arena_take(arena, most * sizeof *packed->items)};
    if (!packed->examples || !packed->cells || !packed->items)
        return sr_fail_memory(error, most * sizeof *packed->cells, "targets");
    for (size_t cell = 0; cell < most; ++cell)
        if (of->targets[cell] != 0) {
            packed->examples[packed->count] = cell / columns;
            packed->cells[packed->count] = cell;
            packed->items[packed->count++] = of->targets[cell];
        }
    return SR_OK;
}

/* Whether this item must not be a negative of a target. */
static bool is_excluded(const source *from, const fixture_examples *of, const packed_targets *targets, size_t target,
                        int32_t item)
{
    const size_t example = targets->examples[target];
    if (from->excludes_target && item == targets->items[target])
        return true;
    if (from->excludes_history && item == from->last_targets[example])
        return true;
    for (size_t i = 0; from->excludes_history && i < of->max_length; ++i)
        if (of->sequence[example * of->max_length + i] == item)
            return true;
    return false;
}

/* The lists themselves; a list for a cell without a target serves nobody. */
static sr_status take_lists(sr_negatives *made, const source *from, const fixture_examples *of, const packed_targets *targets,
                            sr_arena *arena, sr_error *error)
{
    const size_t cells = of->examples * (of->every_position ? of->max_length : 1);
    const size_t lists[] = {cells, of->examples, (of->examples + from->slice - 1) / from->slice, 1};
    made->lists = lists[from->shared];
    made->length = from->item_count / made->lists;
    int32_t *items = sr_arena_take(arena, from->item_count * sizeof *items);
    size_t *first = sr_arena_take(arena, (made->lists + 1) * sizeof *first), target = 0;
    if (!items || !first)
        return sr_fail_memory(error, from->item_count * sizeof *items, "lists of negatives");
    memcpy(items, from->items, from->item_count * sizeof *items);
    for (size_t list = 0; list < made->lists; ++list) {
        first[list] = target;
        for (; target < targets->count; ++target) {
            const size_t example = targets->examples[target];
            const size_t of_target[] = {targets->cells[target], example, example / from->slice, 0};
            if (of_target[from->shared] != list)
                break;
        }
    }
    first[made->lists] = target;
    made->items = items;
    made->first_target = first;
    return SR_OK;
}

static sr_status take_hits(sr_negatives *made, const source *from, const fixture_examples *of, const packed_targets *targets,
                           sr_arena *arena, sr_error *error)
{
    size_t *offsets = sr_arena_take(arena, (targets->count + 1) * sizeof *offsets), count = 0;
    uint32_t *hits = sr_arena_take(arena, (targets->count * made->length + 1) * sizeof *hits);
    if (!offsets || !hits)
        return sr_fail_memory(error, targets->count * made->length * sizeof *hits, "hits of negatives");
    for (size_t list = 0; list < made->lists; ++list)
        for (size_t target = made->first_target[list]; target < made->first_target[list + 1]; ++target) {
            offsets[target] = count;
            for (size_t k = 0; k < made->length; ++k)
                if (is_excluded(from, of, targets, target, made->items[list * made->length + k]))
                    hits[count++] = (uint32_t)k;
        }
    offsets[targets->count] = count;
    made->hit_offsets = count > 0 ? offsets : NULL;
    made->hits = hits;
    return SR_OK;
}

static sr_status take_shares(sr_negatives *made, const source *from, const fixture_examples *of, const packed_targets *targets,
                             sr_arena *arena, sr_error *error)
{
    const size_t n = targets->count, entries = made->lists * made->length;
    float *log_q = sr_arena_take(arena, entries * sizeof *log_q), *target_log_q = sr_arena_take(arena, n * sizeof *log_q);
    double *excluded = sr_arena_take(arena, n * sizeof *excluded);
    if (!log_q || !target_log_q || !excluded)
        return sr_fail_memory(error, entries * sizeof *log_q, "shares of draws");
    for (size_t i = 0; i < entries; ++i)
        log_q[i] = (float)from->log_q[made->items[i]];
    for (size_t target = 0; target < n; ++target) {
        target_log_q[target] = (float)from->log_q[targets->items[target]];
        excluded[target] = 0;
        for (int32_t item = 1; item <= (int32_t)fixture_items(of->fixture); ++item)
            if (is_excluded(from, of, targets, target, item))
                excluded[target] += exp(from->log_q[item]);
    }
    made->log_q = log_q;
    made->target_log_q = target_log_q;
    made->excluded_share = excluded;
    return SR_OK;
}

bool fixture_has_lists(const parity_fixture *fixture)
{
    return fixture_has(fixture, "/inputs", "negatives");
}

sr_status fixture_lists(const fixture_examples *of, sr_arena *arena, const sr_negatives **lists, sr_error *error)
{
    source from = {.slice = 1};
    packed_targets targets;
    sr_negatives *made = sr_arena_take(arena, sizeof *made);
    if (!made)
        return sr_fail_memory(error, sizeof *made, "lists of negatives");
    *made = (sr_negatives){.lists = 0};
    sr_status status = read_source(&from, of->fixture, error);
    if (status == SR_OK)
        status = pack_targets(&targets, of, arena, error);
    if (status == SR_OK)
        status = take_lists(made, &from, of, &targets, arena, error);
    if (status == SR_OK)
        status = take_hits(made, &from, of, &targets, arena, error);
    if (status == SR_OK && from.log_q)
        status = take_shares(made, &from, of, &targets, arena, error);
    free_source(&from);
    *lists = made;
    return status;
}

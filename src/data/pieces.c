#include "data/pieces.h"

#include "srtrain/sampler.h"

/* How many of `count` empty histories make one piece: all, unless that is more work than a rank's share of the batch. Those of
 * a piece share a sequence. `scoring` is the work of each besides. Every piece computes the sequence anew: its scoring should
 * take at least as long. */
static size_t group_size(const empty_histories *empty, size_t others, size_t count, size_t scoring, size_t ranks)
{
    const size_t sequence = empty->sequence, share = (others + sequence + count * scoring) / ranks;
    if (sequence + count * scoring <= share || empty->are_one_piece)
        return count;
    const size_t room = share > 2 * sequence ? share - sequence : sequence;
    const size_t group = room / scoring, least = (count + ranks - 1) / ranks;
    return group > least ? group : least;
}

static void add_empty_pieces(work_pieces *made, const sr_example *examples, size_t count, size_t sequence, size_t group,
                             size_t scoring)
{
    size_t in_piece = group; /* no piece has been begun */
    for (size_t e = 0; e < count; ++e) {
        if (examples[e].length > 0)
            continue;
        if (in_piece == group) {
            made->work[made->count++] = sequence;
            in_piece = 0;
        }
        made->of_example[e] = made->count - 1;
        made->work[made->count - 1] += scoring;
        ++in_piece;
    }
}

sr_status work_pieces_make(work_pieces *made, const sr_example *examples, const size_t *work, size_t count,
                           const empty_histories *empty, size_t ranks, sr_arena *arena, sr_error *error)
{
    *made = (work_pieces){.work = sr_arena_take(arena, count * sizeof *made->work),
                          .of_example = sr_arena_take(arena, count * sizeof *made->of_example),
                          .owners = sr_arena_take(arena, count * sizeof *made->owners)};
    if (!made->work || !made->of_example || !made->owners)
        return sr_fail_memory(error, count * sizeof *made->work, "dividing a batch");
    size_t others = 0, sharing = 0, scoring = 0;
    for (size_t e = 0; e < count; ++e) {
        if (empty->share && examples[e].length == 0) {
            scoring = work[e];
            ++sharing;
            continue;
        }
        others += work[e];
        made->work[made->count] = work[e];
        made->of_example[e] = made->count++;
    }
    if (sharing > 0)
        add_empty_pieces(made, examples, count, empty->sequence, group_size(empty, others, sharing, scoring, ranks), scoring);
    return sr_divide_work(made->work, made->count, ranks, made->owners, error);
}

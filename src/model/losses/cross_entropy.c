/* Cross entropy over the whole catalogue: softmax of the scores of every item, padding included.
 *
 *   loss = ln sum_v exp(s_v) - s_target */
#include "model/backbone.h"
#include "model/loss.h"

#include <string.h>

/* The rows of the representation that have targets, each once: targets of empty histories share a state, whose scores are
 * computed once. */
static sr_tensor *distinct_states(sr_tape *tape, const sr_batch *batch, sr_tensor *representation, sr_row_targets *targets)
{
    const size_t rows = representation ? representation->rows : 0;
    size_t *places = sr_tape_take(tape, rows, sizeof *places), *first = sr_tape_take(tape, rows + 1, sizeof *first);
    size_t *distinct = sr_tape_take(tape, rows, sizeof *distinct), count = 0, before = 0;
    int32_t *items = sr_tape_take(tape, batch->targets, sizeof *items);
    if (!representation || !places || !first || !distinct || !items)
        return NULL;
    memset(places, 0, rows * sizeof *places);
    for (size_t i = 0; i < batch->targets; ++i)
        ++places[batch->target_reads[i]]; /* so far how many there are */
    for (size_t row = 0; row < rows; ++row) {
        const size_t of_row = places[row];
        places[row] = first[count] = before;
        if (of_row > 0)
            distinct[count++] = row;
        before += of_row;
    }
    first[count] = before;
    for (size_t i = 0; i < batch->targets; ++i)
        items[places[batch->target_reads[i]]++] = batch->target_items[i];
    *targets = (sr_row_targets){items, first};
    return count == rows ? representation : sr_select_rows(tape, representation, distinct, count);
}

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    const sr_scoring scoring = scoring_of(&model->settings);
    sr_row_targets targets = {.items = batch->target_items};
    sr_tensor *states = item_table_joins_ranks(&model->item_table) ? target_states(tape, batch, representation)
                                                                   : distinct_states(tape, batch, representation, &targets);
    return item_table_cross_entropy(&model->item_table, tape, scored_states(model, tape, states), &targets, &scoring, weight);
}

static size_t catalogue_memory(const sr_model_settings *settings, size_t targets, size_t items, size_t kept)
{
    return item_table_cross_entropy_memory(targets, items, kept) +
           (scoring_of(settings).unit_rows ? sr_unit_classes_memory(items + 1, (size_t)settings->hidden_size) : 0);
}

const loss cross_entropy_loss = {
    .component = {.name = "cross_entropy", .help = "softmax over the whole catalogue"},
    .term = {"loss", "ranking loss"},
    .compute = compute,
    .catalogue_memory = catalogue_memory,
};

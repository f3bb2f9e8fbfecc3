/* Beginning with what a training on other data has learned (--from): its parameters as they are, and rows of items and users by
 * their identifiers. Steps, epochs and the learning rate begin anew. What goes by the age of the model goes on: annealing, and
 * the corrections of an optimizer whose state is taken over. */
#include "run/run_state.h"

#include "srtrain/row_blocks.h"
#include "srtrain/row_moves.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Identifiers of rows, before and now. */
typedef struct {
    sr_item_names *before, *now;
    sr_row_moves moves;
} named_rows;

typedef struct {
    const char *path;
    sr_checkpoint header;
    sr_settings stored;
    sr_dataset *trained_on; /* where the file carries no identifiers */
    named_rows items, users;
    sr_state_found state;
} old_model;

static void free_rows(named_rows *rows)
{
    sr_item_names_free(rows->before);
    sr_item_names_free(rows->now);
    sr_row_moves_free(&rows->moves);
}

static void free_old(old_model *old)
{
    free_rows(&old->items);
    free_rows(&old->users);
    sr_dataset_close(old->trained_on);
    sr_checkpoint_free(&old->header);
}

/* ---- which model it is ---- */

static void tell_log(void *log, const char *line)
{
    sr_log_warning(log, "%s", line);
}

static sr_status read_settings(run *r, old_model *old, sr_error *error)
{
    const sr_stored_reading reading = {.trains = true, .tell = tell_log, .context = r->log};
    sr_error reason = {.message = ""};
    if (sr_settings_parse_stored(&old->stored, old->header.configuration, old->path, NULL, 0, &reading, &reason) != SR_OK)
        return sr_fail(error, SR_ERROR_DATA, "the stored configuration cannot be used: %s", reason.message);
    const char *was = sr_model_name(&old->stored.model), *is = sr_model_name(&r->settings->model);
    return strcmp(was, is) == 0
               ? SR_OK
               : sr_fail(error, SR_ERROR_DATA,
                         "--from %s: model.backbone was %s, now it is %s: its parameters belong to another model. Set "
                         "model.backbone=%s, or train from the beginning, without --from",
                         old->path, was, is, was);
}

/* What differs of the settings of models, for messages. */
typedef struct {
    char text[1024];
} model_changes;

static void note_change(void *context, const char *key, const char *was, const char *is)
{
    model_changes *changes = context;
    const size_t used = strlen(changes->text);
    snprintf(changes->text + used, sizeof changes->text - used, "%s%s was %.80s, now it is %.80s", used ? "; " : "", key, was,
             is);
}

static void compare_models(const run *r, const old_model *old, model_changes *changes)
{
    sr_settings with_old_model = *r->settings;
    with_old_model.model = old->stored.model;
    changes->text[0] = '\0';
    sr_settings_compare(&with_old_model, r->settings, note_change, changes);
}

/* ---- rows ---- */

sr_status run_list_rows(const run *r, sr_row_owner owner, size_t count, sr_row_search *search, bool *found, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(r->model);
    const bool in_blocks = owner == SR_ROWS_OF_ITEMS && parameters->row_block_count > 0;
    sr_row_numbers *here;
    size_t rows = in_blocks ? parameters->row_blocks[0]->table_rows : 0;
    for (size_t i = 0; i < parameters->count; ++i)
        if (parameters->list[i].rows_of == owner)
            rows = parameters->list[i].shape[0];
    *found = rows > 0;
    search->more = rows > 0 ? rows - 1 - count : 0;
    search->parts = in_blocks ? parameters->row_block_count : 1;
    SR_TRY(SR_ALLOCATE_ZERO(&here, search->parts, "lists of rows", error));
    search->here = here;
    for (size_t i = 0; in_blocks && i < search->parts; ++i)
        here[i] = parameters->row_blocks[i]->numbers;
    if (!in_blocks && sr_parallel_rank(r->parallel) == 0)
        here[0].count = rows;
    return SR_OK;
}

static sr_status find_moves(run *r, old_model *old, named_rows *rows, sr_row_owner owner, bool *found, sr_error *error)
{
    const bool users = owner == SR_ROWS_OF_USERS;
    sr_row_search search = {.parts = 0};
    SR_TRY(users ? sr_user_names_of_dataset(&rows->now, r->dataset, error)
                 : sr_item_names_of_dataset(&rows->now, r->dataset, error));
    sr_status status = run_list_rows(r, owner, sr_item_names_count(rows->now), &search, found, error);
    if (status == SR_OK && *found)
        status = sr_names_find(&rows->before, &old->trained_on, old->path, &old->header, users, error);
    search.before = rows->before;
    search.now = rows->now;
    if (status == SR_OK && *found)
        status = sr_row_moves_find(&rows->moves, &search, error);
    free((void *)search.here);
    return status;
}

/* Over all ranks. */
static sr_status count_rows(run *r, const old_model *old, sr_error *error)
{
    const sr_row_moves *items = &old->items.moves, *users = &old->users.moves;
    int64_t sums[] = {(int64_t)items->kept, (int64_t)items->fresh_count, (int64_t)users->kept, (int64_t)users->fresh_count};
    SR_TRY(sr_parallel_sum_int64(r->parallel, sums, 4, error));
    r->taken.items = (sr_from_counts){sums[0], sums[1], (int64_t)items->old_count - sums[0]};
    r->taken.users = (sr_from_counts){sums[2], sums[3], (int64_t)users->old_count - sums[2]};
    if (sums[0] > 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_DATA,
                   "--from %s: its model knows none of the %lld items of %s: they have other identifiers. Train from the "
                   "beginning, without --from",
                   old->path, (long long)sums[1], sr_dataset_directory(r->dataset));
}

static sr_status find_rows(run *r, old_model *old, sr_error *error)
{
    bool has_items;
    sr_status status = find_moves(r, old, &old->items, SR_ROWS_OF_ITEMS, &has_items, error);
    if (status == SR_OK)
        status = find_moves(r, old, &old->users, SR_ROWS_OF_USERS, &r->taken.has_users, error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    return count_rows(r, old, error);
}

/* ---- parameters and state ---- */

/* Each training draws other rows: a number may have been another item's, whose vector has grown from the same draw. */
static uint64_t seed_of(const run *r, const old_model *old)
{
    return (uint64_t)r->settings->training.seed +
           (uint64_t)sr_progress_model_steps(&old->header.progress) * UINT64_C(0x9e3779b97f4a7c15);
}

static sr_status take_state(run *r, old_model *old, sr_error *error)
{
    const sr_state *state = &r->stepper.optimizer.state;
    const sr_taking taking = {
        .node = r->stepper.node,
        .moves = {[SR_ROWS_OF_ITEMS] = &old->items.moves, [SR_ROWS_OF_USERS] = r->taken.has_users ? &old->users.moves : NULL},
        .mean = r->settings->training.new_rows == SR_NEW_ROWS_MEAN,
        .seed = seed_of(r, old)};
    SR_TRY(sr_checkpoint_look_at_state(r->parallel, old->path, state, &old->state, error));
    const sr_status status = sr_checkpoint_take(r->parallel, old->path, &taking, sr_model_parameters(r->model),
                                                old->state == SR_STATE_FITS ? state : NULL, error);
    if (status != SR_ERROR_DATA)
        return status;
    model_changes changes;
    const sr_error cause = error ? *error : (sr_error){.message = ""};
    compare_models(r, old, &changes);
    if (!*changes.text)
        return status;
    return sr_fail(error, status,
                   "%s\nSettings of the model differ: %.900s. Give it those of the checkpoint, or train from the beginning, "
                   "without --from",
                   cause.message, changes.text);
}

/* ---- reports ---- */

static void report(const run *r, const old_model *old)
{
    static const char *const states[] = {[SR_STATE_ABSENT] = "it has no state of an optimizer, which begins anew",
                                         [SR_STATE_OTHER] = "its optimizer was another one, and begins anew",
                                         [SR_STATE_FITS] = "the state of its optimizer goes on"};
    const sr_from_counts *items = &r->taken.items, *users = &r->taken.users;
    const char *start = sr_settings_choice("training.new_rows", (int)r->settings->training.new_rows);
    model_changes changes;
    sr_log_information(r->log, "beginning with %s, trained for %lld steps; %s", old->path, (long long)r->progress.earlier_steps,
                       states[old->state]);
    sr_log_information(r->log, "items by their identifiers: %lld kept, %lld new (training.new_rows %s), %lld dropped",
                       (long long)items->kept, (long long)items->fresh, start, (long long)items->dropped);
    if (r->taken.has_users)
        sr_log_information(r->log, "users by their identifiers: %lld kept, %lld new (training.new_rows %s), %lld dropped",
                           (long long)users->kept, (long long)users->fresh, start, (long long)users->dropped);
    compare_models(r, old, &changes);
    if (*changes.text)
        sr_log_warning(r->log, "%s was trained as another model, whose parameters have the same shapes: %s", old->path,
                       changes.text);
}

sr_status run_note_taken(run *r, sr_error *error)
{
    sr_status status = SR_OK;
    if (r->metrics)
        status = sr_metrics_write_from(r->metrics, r->options->from, r->progress.earlier_steps, r->progress.optimizer_steps,
                                       &r->taken.items, r->taken.has_users ? &r->taken.users : NULL, error);
    return sr_parallel_agree(r->parallel, status, error);
}

/* ---- together ---- */

static sr_status take(run *r, old_model *old, sr_error *error)
{
    SR_TRY(sr_parallel_agree(r->parallel, read_settings(r, old, error), error));
    SR_TRY(find_rows(r, old, error));
    SR_TRY(take_state(r, old, error));
    r->takes = true;
    SR_TRY(run_fill_item_vectors(r, &old->items.moves, error));
    const sr_progress *before = &old->header.progress;
    r->progress.earlier_steps = sr_progress_model_steps(before);
    r->progress.optimizer_steps = old->state == SR_STATE_FITS ? before->optimizer_steps + before->step : 0;
    report(r, old);
    return SR_OK;
}

sr_status run_take(run *r, sr_error *error)
{
    old_model old = {.path = r->options->from};
    sr_status status = SR_OK;
    if (sr_parallel_rank(r->parallel) == 0 && access(old.path, R_OK) != 0)
        status = sr_fail(error, SR_ERROR_DATA, "--from %s: %s", old.path, strerror(errno));
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    status = sr_checkpoint_read_header(r->parallel, old.path, &old.header, error);
    if (status == SR_OK)
        status = take(r, &old, error);
    free_old(&old);
    return status;
}

#include "model/negative_keys.h"

#include "model/backbone.h"
#include "model/loss.h"

#include <stdio.h>
#include <string.h>

/* ---- keys ---- */

static const sr_choice sharing_choices[] = {
    {"target", SR_SHARING_TARGET, "each target has a list of its own"},
    {"example", SR_SHARING_EXAMPLE, "all targets of an example"},
    {"slice", SR_SHARING_SLICE, "negative_slice examples of the global batch: their scores are one matrix product"},
    {"batch", SR_SHARING_BATCH, "all targets of the global batch"},
    {NULL, 0, NULL}};
static const sr_choice sampling_choices[] = {
    {"uniform", SR_SAMPLING_UNIFORM, "every item alike"},
    {"popularity", SR_SAMPLING_POPULARITY, "by how often an item occurs in the training part, to the popularity_exponent"},
    {"batch", SR_SAMPLING_BATCH, "targets of the global batch, with repetitions"},
    {"mixed", SR_SAMPLING_MIXED, "batch_share of a list as batch, the rest as uniform"},
    {NULL, 0, NULL}};
static const sr_choice target_choices[] = {{"keep", SR_HITS_KEEP, "it counts like any other"},
                                           {"mask", SR_HITS_MASK, "it does not exist for that target"},
                                           {"redraw", SR_HITS_REDRAW, "it is drawn again, up to 1,000 times, then masked"},
                                           {NULL, 0, NULL}};
static const sr_choice history_choices[] = {
    {"keep", SR_HITS_KEEP, "it counts like any other"},
    {"mask", SR_HITS_MASK, "it does not exist for the targets of that example"},
    {"redraw", SR_HITS_REDRAW, "it is drawn again, up to 1,000 times, then masked"},
    {"redraw_all", SR_HITS_REDRAW_ALL, "the same for the whole history, also before the window; after 1,000 times it is kept"},
    {NULL, 0, NULL}};

static const sr_key list_keys[] = {
    SR_INTEGER("training", "negatives", sr_model_settings, negatives.count, 0, 100000, "1",
               "sampled items that a target is compared with; with loss sampled_softmax or gbce the default is 256; 0: all "
               "targets of the global batch, with negative_sampling batch"),
    SR_CHOICE("training", "negative_sharing", sr_model_settings, negatives.sharing, sharing_choices, "target",
              "whose targets have the same negatives; where there are more than one, or their number is given, the default is "
              "slice, and batch for 0"),
    SR_CHOICE("training", "negative_sampling", sr_model_settings, negatives.sampling, sampling_choices, "uniform",
              "what negatives are drawn by"),
    SR_CHOICE("training", "target_hits", sr_model_settings, negatives.target_hits, target_choices, "redraw",
              "what happens to a negative that is the target; by default the same as to items of the example, or mask where "
              "these are kept"),
    SR_CHOICE("training", "history_hits", sr_model_settings, negatives.history_hits, history_choices, "redraw_all",
              "what happens to a negative among the items of the example: its window and its last target; where lists are "
              "shared or the number of negatives is given the default is keep"),
};
static const sr_key slice_keys[] = {
    SR_INTEGER("training", "negative_slice", sr_model_settings, negatives.slice, 1, 1e8, "32",
               "examples of the global batch that share negatives"),
};
static const sr_key popularity_keys[] = {
    SR_NUMBER("training", "popularity_exponent", sr_model_settings, negatives.popularity_exponent, 0, 100, "0.75",
              "an item is drawn in proportion to its occurrences to this power"),
};
static const sr_key mixed_keys[] = {
    SR_NUMBER("training", "batch_share", sr_model_settings, negatives.batch_share, 0, 1, "0.5",
              "part of the negatives that are targets of the batch"),
};

/* ---- rules ---- */

static const sr_negative_settings *lists_of(const void *part)
{
    return &((const sr_model_settings *)part)->negatives;
}

static bool has_no_number(const void *part)
{
    return lists_of(part)->count == 0 && lists_of(part)->sampling != SR_SAMPLING_BATCH;
}

static bool divides_all_targets(const void *part)
{
    return lists_of(part)->count == 0 && lists_of(part)->sharing != SR_SHARING_BATCH;
}

static bool redraws_shared_target(const void *part)
{
    return sr_negatives_are_shared(lists_of(part)) && lists_of(part)->target_hits == SR_HITS_REDRAW;
}

static bool redraws_shared_history(const void *part)
{
    const sr_negative_hits hits = lists_of(part)->history_hits;
    return sr_negatives_are_shared(lists_of(part)) && (hits == SR_HITS_REDRAW || hits == SR_HITS_REDRAW_ALL);
}

static bool keeps_targets_of_batch(const void *part)
{
    return lists_of(part)->sampling == SR_SAMPLING_BATCH && lists_of(part)->target_hits != SR_HITS_MASK;
}

static bool treats_target_otherwise(const void *part)
{
    const sr_negative_hits history = lists_of(part)->history_hits;
    const sr_negative_hits as_target = history == SR_HITS_REDRAW_ALL ? SR_HITS_REDRAW : history;
    return history != SR_HITS_KEEP && lists_of(part)->target_hits != as_target;
}

static bool draws_masked_targets(const void *part)
{
    return sr_negatives_come_from_batch(lists_of(part)) && backbone_of(part)->masked;
}

static const sr_rule rules[] = {
    SR_RULE("training.negatives", "training.negative_sampling", has_no_number,
            "0 negatives stand for all targets of the global batch, which nothing but negative_sampling batch draws from; use "
            "at least 1, or batch"),
    SR_RULE("training.negatives", "training.negative_sharing", divides_all_targets,
            "0 negatives stand for all targets of the global batch, which are one list; use negative_sharing batch, or leave "
            "it out"),
    SR_RULE("training.history_hits", "training.negative_sharing", redraws_shared_history,
            "the negatives of a slice or a batch belong to many examples, so that none can be drawn again for one of them; use "
            "mask or keep, or negative_sharing target or example"),
    SR_RULE("training.target_hits", "training.negative_sharing", redraws_shared_target,
            "the negatives of a slice or a batch belong to many targets, so that none can be drawn again for one of them; use "
            "mask or keep, or negative_sharing target or example"),
    SR_RULE("training.target_hits", "training.negative_sampling", keeps_targets_of_batch,
            "the targets of the batch hold the target itself, which must not be its own negative; use mask"),
    SR_RULE("training.history_hits", "training.target_hits", treats_target_otherwise,
            "the target is among the items of the example, so that both must say the same; leave target_hits out (redraw_all "
            "goes with redraw)"),
    SR_RULE("training.negative_sampling", "model.backbone", draws_masked_targets,
            "the targets of this backbone are masked items, which each rank draws for its own examples alone; use uniform or "
            "popularity"),
};

/* ---- scopes ---- */

static bool takes_lists(const sr_scope *scope, unsigned bits, const void *part)
{
    (void)scope;
    (void)bits;
    return loss_of(part)->lists;
}

static void name_losses(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    (void)scope;
    (void)bits;
    for (size_t i = 0; i < loss_count; ++i)
        if (losses[i]->lists)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", losses[i]->component.name);
}

static bool shares_slices(const sr_scope *scope, unsigned bits, const void *part)
{
    return takes_lists(scope, bits, part) && lists_of(part)->sharing == SR_SHARING_SLICE;
}

static bool draws_by_popularity(const sr_scope *scope, unsigned bits, const void *part)
{
    return takes_lists(scope, bits, part) && lists_of(part)->sampling == SR_SAMPLING_POPULARITY;
}

static bool mixes(const sr_scope *scope, unsigned bits, const void *part)
{
    return takes_lists(scope, bits, part) && lists_of(part)->sampling == SR_SAMPLING_MIXED;
}

/* Of keys that follow from the choice of another: `context` is its name. */
static void name_choice(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    (void)bits;
    snprintf(text, size, "%s", (const char *)scope->context);
}

void negatives_add_keys(sr_schema *schema, size_t at)
{
    const sr_scope lists = {.holds = takes_lists, .owners = name_losses, .at = at, .decided_by = "training.loss"};
    const sr_scope slices = {
        .holds = shares_slices, .owners = name_choice, .context = "slice", .at = at, .decided_by = "training.negative_sharing"};
    const sr_scope popularity = {.holds = draws_by_popularity,
                                 .owners = name_choice,
                                 .context = "popularity",
                                 .at = at,
                                 .decided_by = "training.negative_sampling"};
    const sr_scope mixed = {
        .holds = mixes, .owners = name_choice, .context = "mixed", .at = at, .decided_by = "training.negative_sampling"};
    sr_schema_add_group(schema,
                        &(sr_key_group){SR_KEYS(list_keys), .keys_at = at, .scope = lists, SR_RULES(rules), .rules_at = at});
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(slice_keys), .keys_at = at, .scope = slices});
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(popularity_keys), .keys_at = at, .scope = popularity});
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(mixed_keys), .keys_at = at, .scope = mixed});
}

/* ---- defaults ---- */

static bool is_open(const sr_given *given, const char *path)
{
    return !sr_is_given(given, path);
}

void negatives_settle(sr_model_settings *settings, const sr_given *given)
{
    sr_negative_settings *lists = &settings->negatives;
    const loss *row = loss_of(settings);
    if (!row->lists)
        return;
    if (row->standard_negatives > 0 && is_open(given, "training.negatives"))
        lists->count = (int64_t)row->standard_negatives;
    /* One negative without more being said is what it always was. */
    const bool is_one = row->standard_negatives == 0 && is_open(given, "training.negatives");
    if (!is_one && is_open(given, "training.negative_sharing"))
        lists->sharing = lists->count == 0 ? SR_SHARING_BATCH : SR_SHARING_SLICE;
    const bool redraws = is_one && !sr_negatives_are_shared(lists) && lists->sampling != SR_SAMPLING_BATCH;
    const bool is_target_open = is_open(given, "training.target_hits");
    if (is_open(given, "training.history_hits"))
        lists->history_hits = redraws && (is_target_open || lists->target_hits == SR_HITS_REDRAW) ? SR_HITS_REDRAW_ALL
                                                                                                  : SR_HITS_KEEP;
    if (is_target_open && lists->history_hits == SR_HITS_KEEP)
        lists->target_hits = redraws && is_open(given, "training.history_hits") ? SR_HITS_REDRAW : SR_HITS_MASK;
    else if (is_target_open)
        lists->target_hits = lists->history_hits == SR_HITS_MASK ? SR_HITS_MASK : SR_HITS_REDRAW;
}

sr_negative_settings negatives_of(const sr_model_settings *settings)
{
    return loss_of(settings)->lists ? settings->negatives : SR_ONE_NEGATIVE;
}

/* srprep convert: reading, filtering, splitting, writing, and a report. */
#include "commands.h"
#include "conversion.h"
#include "base/units.h"
#include "divided_input.h"
#include "srtrain/memory.h"
#include "summary.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether anything is left of what was read. */
static sr_status check_found(const parse_report *report, const char *path, sr_error *error)
{
    const unsigned long long not_chosen = report->dropped[DROPPED_WHERE], missing = report->dropped[DROPPED_NA];
    if (report->records > 0)
        return SR_OK;
    if (not_chosen + missing == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: no interaction was found: there is no line of data", path);
    return sr_fail(error, SR_ERROR_DATA,
                   "%s: no interaction is left: --where has not chosen %llu of %llu lines, and --na-values leaves out %llu; "
                   "values are compared as they are written, in small and capital letters",
                   path, not_chosen, (unsigned long long)report->lines, missing);
}

/* What only the input shows. */
static sr_status check_input(const conversion *c, const input_facts *facts, sr_error *error)
{
    SR_TRY(parse_report_judge(&facts->report, (const char *const *)c->inputs.paths, error));
    SR_TRY(check_found(&facts->report, c->inputs.paths[0], error));
    if (c->entry.has_min_rating && !facts->reading.has_ratings)
        return sr_fail(error, SR_ERROR_USAGE, "--min-rating: this input has no ratings%s", facts->reading.no_ratings);
    if ((c->after || c->before) && !facts->reading.has_times)
        return sr_fail(error, SR_ERROR_USAGE, "--%s: this input has no time stamps%s", c->after ? "after" : "before",
                       facts->reading.no_times);
    if (c->gap_text && !facts->reading.has_times)
        return sr_fail(error, SR_ERROR_USAGE, "--session-gap: this input has no time stamps%s", facts->reading.no_times);
    if (split_needs_times(&c->split) && !facts->reading.has_times)
        return sr_fail(error, SR_ERROR_USAGE, "--split %s: this input has no time stamps%s", c->split_text,
                       facts->reading.no_times);
    return SR_OK;
}

/* The gap in units of the time stamps. Of those whose unit nobody knows it is a number. */
static sr_status read_gap(const conversion *c, const time_format *times, int64_t *gap, sr_error *error)
{
    double length = 0;
    if (!c->gap_text)
        return SR_OK;
    const bool is_number = sr_read_number(c->gap_text, &length);
    if (!is_number && times->unit < TIME_SECONDS)
        return sr_fail(error, SR_ERROR_USAGE,
                       "--session-gap %s: the unit of the time stamps is not known: say by --time-unit seconds, milliseconds, "
                       "... what it is, or give a number in their unit",
                       c->gap_text);
    if (!is_number)
        (void)sr_read_duration(c->gap_text, &length);
    return time_read_gap(times, length, gap)
               ? SR_OK
               : sr_fail(error, SR_ERROR_USAGE, "--session-gap %s is too large for a 64-bit integer", c->gap_text);
}

static sr_status run_engine(const conversion *c, workplace *place, collector *from, const input_facts *facts,
                            const char *origin, sr_error *error)
{
    engine_counts counts;
    split_rule split = c->split;
    SR_TRY(split_set_times(&split, &facts->reading.times, error));
    user_rules rules = c->rules;
    rules.part_paths = facts->part_paths;
    rules.part_lines = facts->part_lines;
    rules.has_times = facts->reading.has_times;
    rules.given = c->split.kind == SPLIT_GIVEN ? facts->part_given : NULL;
    int64_t gap = 0;
    SR_TRY(read_gap(c, &facts->reading.times, &gap, error));
    const engine_plan plan = {.rules = rules,
                              .has_gap = c->gap_text != NULL,
                              .gap = gap,
                              .split = split,
                              .cold = (cold_rule)c->cold,
                              .split_text = c->split_text,
                              .origin = origin,
                              .directory = c->output,
                              .shards = c->shards,
                              .has_times = facts->reading.has_times,
                              .part_starts = facts->part_starts,
                              .read = facts->records};
    const summary report = {.parsed = &facts->report,
                            .paths = (const char *const *)c->inputs.paths,
                            .entry = &c->entry,
                            .rules = &c->rules,
                            .gap = c->gap_text,
                            .cold = (cold_rule)c->cold,
                            .counts = &counts,
                            .directory = c->output,
                            .origin = origin,
                            .has_times = facts->reading.has_times,
                            .times = facts->reading.times};
    SR_TRY(engine_run(place, from, &plan, &counts, error));
    return place->rank == 0 ? summary_write(&report, c->report, error) : SR_OK;
}

static sr_status convert(const conversion *c, workplace *place, collector *to, sr_error *error)
{
    input_facts *facts;
    const input_plan input = {.format = c->reading.format,
                              .options = &c->reading.options,
                              .files = &c->inputs,
                              .after = c->after,
                              .before = c->before};
    if (place->ranks > 1)
        SR_TRY(workplace_make_directory(place, error));
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &facts, 1, "a report", error));
    sr_status status = input_read(place, &input, to, facts, error);
    if (status == SR_OK)
        status = check_input(c, facts, error);
    char *origin = status == SR_OK ? conversion_describe(c, &facts->reading) : NULL;
    if (status == SR_OK && !origin)
        status = sr_fail_memory(error, 1, "the description of the data set");
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = run_engine(c, place, to, facts, origin, error);
    cJSON_free(origin);
    input_facts_free(facts);
    free(facts);
    return status;
}

static sr_status convert_with(conversion *c, workplace *place, sr_error *error)
{
    collector to = {.run_events = {.descriptor = -1}, .run_users = {.descriptor = -1}, .run_items = {.descriptor = -1}};
    item_list items = {.file = {.descriptor = -1}};
    sr_status status = SR_OK;
    if (c->item_list && place->ranks > 1)
        status = workplace_make_directory(place, error);
    if (c->item_list && status == SR_OK)
        status = item_list_read(&items, place, c->item_list, error);
    if (c->item_list && items.is_long)
        c->entry.too_long = &items;
    else if (c->item_list)
        c->entry.items = &items.table;
    if (status == SR_OK)
        status = sr_parallel_agree(place->parallel, collector_create(&to, place, c->rules.one_line_a_user, &c->entry, error),
                                   error);
    if (status == SR_OK)
        status = convert(c, place, &to, error);
    collector_free(&to);
    item_list_free(&items);
    return status;
}

sr_status command_convert(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    conversion *c = NULL;
    workplace place = {.parallel = parallel};
    sr_status status = SR_ALLOCATE_ZERO(&c, 1, "a conversion", error);
    if (status == SR_OK)
        status = conversion_read_options(argument_count, arguments, c, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = workplace_open(&place, parallel, c->temporary, c->output, c->memory, error);
    if (status == SR_OK)
        status = convert_with(c, &place, error);
    workplace_close(&place);
    if (c)
        inputs_free(&c->inputs);
    free(c);
    return status;
}

/* srprep convert: reading, filtering, splitting, writing, and a report. */
#include "commands.h"
#include "divided_input.h"
#include "engine/engine.h"
#include "inputs.h"
#include "reading_options.h"
#include "srtrain/command_line.h"
#include "srtrain/memory.h"
#include "storage/output_directory.h"
#include "summary.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that is asked for on the command line. */
typedef struct {
    reading_request reading;
    input_list inputs;
    const char *output, *split_text;
    const char *temporary, *item_list, *report, *after, *before;
    uint64_t shards, memory;
    user_rules rules;
    entry_filter entry;
    split_rule split;
} conversion;

/* ---- options ---- */

static const char *const duplicate_names[] = {
    [DEDUPLICATE_NONE] = "none", [DEDUPLICATE_FIRST] = "first", [DEDUPLICATE_LAST] = "last", NULL};

/* What can be checked before the input is read. */
static sr_status finish_options(conversion *c, const sr_text_list *inputs, const char *list, sr_error *error)
{
    c->entry.has_after = c->after != NULL; /* the bounds themselves are known when the input's time stamps are */
    c->entry.has_before = c->before != NULL;
    SR_TRY(reading_options_finish(&c->reading, inputs, error));
    SR_TRY(split_parse(c->split_text, &c->reading.options.times, &c->split, error));
    SR_TRY(inputs_collect(&c->inputs, inputs, list, error));
    c->rules.one_line_a_user = c->reading.format->one_line_a_user;
    return sr_output_directory_check(c->output, error);
}

static sr_status read_options(int argument_count, char **arguments, conversion *c, sr_error *error)
{
    const char *list = NULL;
    int duplicates;
    sr_text_list inputs = {.count = 0};
    const sr_option own[] = {
        {.name = "input",
         .list = &inputs,
         .greedy = true,
         .argument = "FILE",
         .help = "files of raw interactions, plain or compressed by gzip or zstd; a directory is all files in it, - is "
                 "standard input"},
        {.name = "input-list", .file = &list, .help = "a file with the names of input files, one a line"},
        {.name = "output", .directory = &c->output, .required = true, .help = "the data set to be written"},
        shards_option(&c->shards),
        {.name = "min-rating",
         .number = &c->entry.min_rating,
         .lowest = -1e30,
         .highest = 1e30,
         .given = &c->entry.has_min_rating,
         .help = "drops interactions rated below X"},
        {.name = "after", .value = &c->after, .argument = "T", .help = "keeps interactions from time T on"},
        {.name = "before", .value = &c->before, .argument = "T", .help = "keeps interactions before time T"},
        {.name = "items", .file = &c->item_list, .help = "keeps the items whose names are the lines of this file"},
        {.name = "deduplicate",
         .choice = &duplicates,
         .choices = duplicate_names,
         .standard = "none",
         .help = "which of the repeated interactions of a user with an item is kept; none: all"},
        {.name = "min-user",
         .count = &c->rules.min_user,
         .most = UINT32_MAX,
         .argument = "K",
         .help = "repeatedly drops users with fewer interactions than K"},
        {.name = "min-item",
         .count = &c->rules.min_item,
         .most = UINT32_MAX,
         .argument = "K",
         .help = "repeatedly drops items with fewer interactions than K"},
        {.name = "max-length",
         .count = &c->rules.max_length,
         .least = 1,
         .most = INT32_MAX,
         .help = "keeps the latest N interactions of each user"},
        {.name = "split",
         .value = &c->split_text,
         .standard = "leave-one-out",
         .argument = "leave-one-out|ratio:A,B,C|time:T1,T2",
         .help = "what is held out of each sequence"},
        memory_option(&c->memory),
        temporary_option(&c->temporary),
        {.name = "report", .file = &c->report, .argument = "FILE.json", .help = "also writes the report as JSON"}};
    enum { OWN = sizeof own / sizeof *own };
    sr_option options[OWN + READING_OPTIONS];
    memcpy(options, own, sizeof own);
    reading_options_list(&c->reading, options + OWN);
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, OWN + READING_OPTIONS, error));
    c->rules.duplicates = (deduplication)duplicates;
    return finish_options(c, &inputs, list, error);
}

/* How the data set was made, as JSON: nothing that does not change it, as memory or the number of ranks. */
static char *describe_origin(const conversion *c, const reader_facts *facts)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *inputs = cJSON_AddArrayToObject(root, "input");
    bool complete = root && inputs && cJSON_AddStringToObject(root, "command", "convert") &&
                    reading_options_describe(root, &c->reading, facts) &&
                    cJSON_AddNumberToObject(root, "min_user", (double)c->rules.min_user) &&
                    cJSON_AddNumberToObject(root, "min_item", (double)c->rules.min_item) &&
                    cJSON_AddStringToObject(root, "deduplicate", duplicate_names[c->rules.duplicates]);
    complete = complete && cJSON_AddStringToObject(root, "split", c->split_text);
    if (c->entry.has_min_rating)
        complete = complete && cJSON_AddNumberToObject(root, "min_rating", c->entry.min_rating);
    if (c->after)
        complete = complete && cJSON_AddStringToObject(root, "after", c->after);
    if (c->before)
        complete = complete && cJSON_AddStringToObject(root, "before", c->before);
    if (c->item_list)
        complete = complete && cJSON_AddStringToObject(root, "items", c->item_list);
    if (c->rules.max_length)
        complete = complete && cJSON_AddNumberToObject(root, "max_length", (double)c->rules.max_length);
    for (size_t i = 0; i < c->inputs.count && complete; ++i)
        complete = cJSON_AddItemToArray(inputs, cJSON_CreateString(c->inputs.paths[i]));
    char *text = complete ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

/* ---- the work ---- */

/* What only the input shows. */
static sr_status check_input(const conversion *c, const input_facts *facts, sr_error *error)
{
    SR_TRY(parse_report_judge(&facts->report, (const char *const *)c->inputs.paths, error));
    if (facts->report.records == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: no interaction was found", c->inputs.paths[0]);
    if (c->entry.has_min_rating && !facts->reading.has_ratings)
        return sr_fail(error, SR_ERROR_USAGE, "--min-rating: this input has no ratings%s", facts->reading.no_ratings);
    if ((c->after || c->before) && !facts->reading.has_times)
        return sr_fail(error, SR_ERROR_USAGE, "--%s: this input has no time stamps%s", c->after ? "after" : "before",
                       facts->reading.no_times);
    if (c->split.kind == SPLIT_TIME && !facts->reading.has_times)
        return sr_fail(error, SR_ERROR_USAGE, "--split %s: this input has no time stamps%s", c->split_text,
                       facts->reading.no_times);
    return SR_OK;
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
    const engine_plan plan = {.rules = rules,
                              .split = split,
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
    char *origin = status == SR_OK ? describe_origin(c, &facts->reading) : NULL;
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
        status = read_options(argument_count, arguments, c, error);
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

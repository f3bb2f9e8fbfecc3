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
    const reader *reader;
    reading_texts reading;
    input_list inputs;
    const char *output, *split_text;
    const char *temporary, *item_list, *report, *after, *before;
    uint64_t shards, memory;
    user_rules rules;
    entry_filter entry;
    split_rule split;
} conversion;

/* ---- options ---- */

static sr_status choose_duplicates(const char *text, conversion *c, sr_error *error)
{
    static const char *const names[] = {"none", "first", "last"};
    static const deduplication values[] = {DEDUPLICATE_NONE, DEDUPLICATE_FIRST, DEDUPLICATE_LAST};
    for (size_t i = 0; i < 3; ++i)
        if (strcmp(text, names[i]) == 0) {
            c->rules.duplicates = values[i];
            return SR_OK;
        }
    return sr_fail(error, SR_ERROR_USAGE, "--deduplicate %s: allowed are first, last and none", text);
}

static sr_status read_options(int argument_count, char **arguments, conversion *c, sr_error *error)
{
    const char *list = NULL, *shards = NULL, *min_user = NULL, *min_item = NULL, *min_rating = NULL, *duplicates = "none",
               *max_length = NULL, *memory = NULL;
    sr_text_list inputs = {.count = 0};
    c->split_text = "leave-one-out";
    c->shards = 1;
    const sr_option own[] = {
        {.name = "input",
         .list = &inputs,
         .greedy = true,
         .argument = "FILE",
         .help = "files of raw interactions, plain or compressed by gzip or zstd; a directory is all files in it, - is "
                 "standard input"},
        {.name = "input-list", .value = &list, .argument = "FILE", .help = "a file with the names of input files, one a line"},
        {.name = "output", .value = &c->output, .argument = "DIR", .help = "the data set to be written; required"},
        {.name = "shards", .value = &shards, .argument = "N", .help = "files that sequences are divided among; 1 by default"},
        {.name = "min-rating", .value = &min_rating, .argument = "X", .help = "drops interactions rated below X"},
        {.name = "after", .value = &c->after, .argument = "T", .help = "keeps interactions from time T on"},
        {.name = "before", .value = &c->before, .argument = "T", .help = "keeps interactions before time T"},
        {.name = "items",
         .value = &c->item_list,
         .argument = "FILE",
         .help = "keeps the items whose names are the lines of this file"},
        {.name = "deduplicate",
         .value = &duplicates,
         .argument = "first|last|none",
         .help = "which of the repeated interactions of a user with an item is kept; none: all"},
        {.name = "min-user",
         .value = &min_user,
         .argument = "K",
         .help = "repeatedly drops users with fewer interactions than K"},
        {.name = "min-item",
         .value = &min_item,
         .argument = "K",
         .help = "repeatedly drops items with fewer interactions than K"},
        {.name = "max-length", .value = &max_length, .argument = "N", .help = "keeps the latest N interactions of each user"},
        {.name = "split",
         .value = &c->split_text,
         .argument = "leave-one-out|ratio:A,B,C|time:T1,T2",
         .help = "what is held out of each sequence; leave-one-out by default"},
        {.name = "memory", .value = &memory, .argument = "SIZE", .help = "memory of each process, as 512M or 8G"},
        {.name = "temporary",
         .value = &c->temporary,
         .argument = "DIR",
         .help = "where runs that do not fit into memory are kept"},
        {.name = "report", .value = &c->report, .argument = "FILE.json", .help = "also writes the report as JSON"}};
    enum { OWN = sizeof own / sizeof *own };
    sr_option options[OWN + READING_OPTIONS];
    memcpy(options, own, sizeof own);
    const size_t count = OWN + reading_options_list(&c->reading, options + OWN);
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, count, error));
    c->entry.has_min_rating = min_rating != NULL;
    c->entry.has_after = c->after != NULL; /* the bounds themselves are known when the input's time stamps are */
    c->entry.has_before = c->before != NULL;
    SR_TRY(reading_options_finish(&c->reading, &c->reader, error));
    SR_TRY(choose_duplicates(duplicates, c, error));
    SR_TRY(read_count("--shards", shards, 1, 99999, &c->shards, error));
    SR_TRY(read_count("--min-user", min_user, 0, UINT32_MAX, &c->rules.min_user, error));
    SR_TRY(read_count("--min-item", min_item, 0, UINT32_MAX, &c->rules.min_item, error));
    SR_TRY(read_count("--max-length", max_length, 1, INT32_MAX, &c->rules.max_length, error));
    SR_TRY(read_real("--min-rating", min_rating, -1e30, 1e30, &c->entry.min_rating, error));
    SR_TRY(read_size("--memory", memory, &c->memory, error));
    SR_TRY(split_parse(c->split_text, &c->split, error));
    SR_TRY(inputs_collect(&c->inputs, &inputs, list, error));
    c->rules.one_line_a_user = c->reader->one_line_a_user;
    if (!c->output)
        return sr_fail(error, SR_ERROR_USAGE, "srprep convert: --output is missing");
    return sr_output_directory_check(c->output, error);
}

/* How the data set was made, as JSON: nothing that does not change it, as memory or the number of ranks. */
static char *describe_origin(const conversion *c, const reader_facts *facts)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *inputs = cJSON_AddArrayToObject(root, "input");
    bool complete = root && inputs && cJSON_AddStringToObject(root, "command", "convert") &&
                    reading_options_describe(root, c->reader, &c->reading.options, facts) &&
                    cJSON_AddNumberToObject(root, "min_user", (double)c->rules.min_user) &&
                    cJSON_AddNumberToObject(root, "min_item", (double)c->rules.min_item) &&
                    cJSON_AddStringToObject(root, "deduplicate",
                                            c->rules.duplicates == DEDUPLICATE_NONE    ? "none"
                                            : c->rules.duplicates == DEDUPLICATE_FIRST ? "first"
                                                                                       : "last");
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

/* The identifiers in a file, one a line. */
static sr_status read_item_list(const char *path, dictionary *items, sr_error *error)
{
    lines *file;
    const char *line;
    SR_TRY(lines_open(&file, path, error));
    sr_status status;
    while ((status = lines_next(file, &line, error)) == SR_OK && line) {
        uint32_t number;
        const size_t length = strlen(line);
        status = lines_check_identifier(file, line, "item", length, error);
        if (status == SR_OK)
            status = dictionary_number(items, line, length, &number, error);
        if (status != SR_OK)
            break;
    }
    lines_close(file);
    return status;
}

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
    const input_plan input = {
        .format = c->reader, .options = &c->reading.options, .files = &c->inputs, .after = c->after, .before = c->before};
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
    dictionary items = {.count = 0};
    sr_status status = SR_OK;
    if (c->item_list) {
        status = dictionary_create(&items, error);
        if (status == SR_OK)
            status = read_item_list(c->item_list, &items, error);
        c->entry.items = &items;
    }
    if (status == SR_OK)
        status = collector_create(&to, place, c->rules.one_line_a_user, &c->entry, error);
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = convert(c, place, &to, error);
    collector_free(&to);
    dictionary_free(&items);
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

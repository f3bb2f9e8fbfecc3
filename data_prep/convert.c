/* srprep convert: reading, filtering, splitting, writing, and a report. */
#include "assemble.h"
#include "commands.h"
#include "filters.h"
#include "inputs.h"
#include "reading_options.h"
#include "srtrain/command_line.h"
#include "storage/output_directory.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that is asked for on the command line. */
typedef struct {
    const reader *reader;
    reading_texts reading;
    input_list inputs;
    reader_facts facts;
    const char *output, *split_text;
    uint64_t shards, min_user, min_item;
    deduplication duplicates;
    bool has_min_rating;
    double min_rating;
    split_rule split;
} conversion;

/* ---- options ---- */

static sr_status choose_duplicates(const char *text, conversion *c, sr_error *error)
{
    static const char *const names[] = {"none", "first", "last"};
    static const deduplication values[] = {DEDUPLICATE_NONE, DEDUPLICATE_FIRST, DEDUPLICATE_LAST};
    for (size_t i = 0; i < 3; ++i)
        if (strcmp(text, names[i]) == 0) {
            c->duplicates = values[i];
            return SR_OK;
        }
    return sr_fail(error, SR_ERROR_USAGE, "--deduplicate %s: allowed are first, last and none", text);
}

static sr_status read_options(int argument_count, char **arguments, conversion *c, sr_error *error)
{
    const char *list = NULL, *shards = NULL, *min_user = NULL, *min_item = NULL, *min_rating = NULL, *duplicates = "none";
    sr_text_list inputs = {.count = 0};
    c->split_text = "leave-one-out";
    c->shards = 1;
    const sr_option own[] = {{.name = "input", .list = &inputs, .greedy = true},
                             {.name = "input-list", .value = &list},
                             {.name = "output", .value = &c->output},
                             {.name = "shards", .value = &shards},
                             {.name = "min-user", .value = &min_user},
                             {.name = "min-item", .value = &min_item},
                             {.name = "deduplicate", .value = &duplicates},
                             {.name = "min-rating", .value = &min_rating},
                             {.name = "split", .value = &c->split_text}};
    enum { OWN = sizeof own / sizeof *own };
    sr_option options[OWN + READING_OPTIONS];
    memcpy(options, own, sizeof own);
    const size_t count = OWN + reading_options_list(&c->reading, options + OWN);
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, count, error));
    c->has_min_rating = min_rating != NULL;
    SR_TRY(reading_options_finish(&c->reading, &c->reader, error));
    SR_TRY(choose_duplicates(duplicates, c, error));
    SR_TRY(read_count("--shards", shards, 1, 99999, &c->shards, error));
    SR_TRY(read_count("--min-user", min_user, 0, UINT32_MAX, &c->min_user, error));
    SR_TRY(read_count("--min-item", min_item, 0, UINT32_MAX, &c->min_item, error));
    SR_TRY(read_real("--min-rating", min_rating, -1e30, 1e30, &c->min_rating, error));
    SR_TRY(split_parse(c->split_text, &c->split, error));
    SR_TRY(inputs_collect(&c->inputs, &inputs, list, error));
    if (!c->output)
        return sr_fail(error, SR_ERROR_USAGE, "srprep convert: --output is missing");
    return sr_output_directory_check(c->output, error);
}

/* ---- the work ---- */

/* What takes interactions while files are read. */
typedef struct {
    interactions *all;
    const conversion *c;
    uint64_t line; /* of the interaction before, and its file; 0: there was none */
    uint32_t file;
} collector;

static sr_status collect(void *context, const reader_record *record, sr_error *error)
{
    collector *to = context;
    const uint32_t known_users = to->all->users.count;
    const bool new_line = record->line != to->line || record->file != to->file;
    SR_TRY(interactions_add(to->all, record->user, record->user_length, record->item, record->item_length, record->time,
                            record->rating, error));
    to->line = record->line;
    to->file = record->file;
    if (to->c->reader->one_line_a_user && new_line && to->all->users.count == known_users)
        return sr_fail(error, SR_ERROR_DATA, "%s:%llu: user \"%.*s\" has had a line before, expected one line a user",
                       to->c->inputs.paths[record->file], (unsigned long long)record->line, (int)record->user_length,
                       record->user);
    return SR_OK;
}

static sr_status read_inputs(conversion *c, interactions *all, parse_report *report, sr_error *error)
{
    collector to = {.all = all, .c = c};
    const reader_sink sink = {collect, &to};
    for (size_t i = 0; i < c->inputs.count; ++i) {
        reader_part part = {.path = c->inputs.paths[i], .number = (uint32_t)i, .end = UINT64_MAX};
        SR_TRY(reader_read(c->reader, &c->reading.options, &part, &sink, report, &c->facts, error));
    }
    SR_TRY(parse_report_judge(report, (const char *const *)c->inputs.paths, error));
    all->has_times = c->facts.has_times;
    all->has_ratings = c->facts.has_ratings;
    if (all->count == 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: no interaction was found", c->inputs.paths[0]);
    if (c->has_min_rating && !all->has_ratings)
        return sr_fail(error, SR_ERROR_USAGE, "--min-rating: this input has no ratings");
    if (c->split.kind == SPLIT_TIME && !all->has_times)
        return sr_fail(error, SR_ERROR_USAGE, "--split %s: this input has no time stamps", c->split_text);
    return SR_OK;
}

static sr_status filter(const conversion *c, interactions *all, filter_report *report, sr_error *error)
{
    if (c->has_min_rating)
        filter_ratings(all, c->min_rating, report);
    SR_TRY(sort_interactions(all, error));
    SR_TRY(remove_duplicates(all, c->duplicates, report, error));
    SR_TRY(repeat_core(all, c->min_user, c->min_item, report, error));
    return order_users(all, error);
}

/* How the data set was made, as JSON. */
static char *describe_origin(const conversion *c)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *inputs = cJSON_AddArrayToObject(root, "input");
    bool complete = root && inputs && cJSON_AddStringToObject(root, "command", "convert") &&
                    reading_options_describe(root, c->reader, &c->reading.options, &c->facts) &&
                    cJSON_AddNumberToObject(root, "min_user", (double)c->min_user) &&
                    cJSON_AddNumberToObject(root, "min_item", (double)c->min_item) &&
                    cJSON_AddStringToObject(root, "deduplicate",
                                            c->duplicates == DEDUPLICATE_NONE    ? "none"
                                            : c->duplicates == DEDUPLICATE_FIRST ? "first"
                                                                                 : "last");
    complete = complete && cJSON_AddStringToObject(root, "split", c->split_text);
    if (c->has_min_rating)
        complete = complete && cJSON_AddNumberToObject(root, "min_rating", c->min_rating);
    for (size_t i = 0; i < c->inputs.count && complete; ++i)
        complete = cJSON_AddItemToArray(inputs, cJSON_CreateString(c->inputs.paths[i]));
    char *text = complete ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static void print_report(const conversion *c, const parse_report *parsed, const interactions *all, const filter_report *filters,
                         const assembly_report *written)
{
    printf("read          %llu lines, %llu interactions\n", (unsigned long long)parsed->lines,
           (unsigned long long)parsed->records);
    parse_report_print(parsed, (const char *const *)c->inputs.paths, stdout);
    if (c->has_min_rating)
        printf("dropped       %zu rated below %g\n", filters->low_rating, c->min_rating);
    if (c->duplicates != DEDUPLICATE_NONE)
        printf("dropped       %zu repeated (user, item) pairs\n", filters->duplicates);
    if (filters->core_rounds)
        printf("dropped       %zu by the core of %llu a user, %llu an item, in %u rounds\n", filters->core,
               (unsigned long long)c->min_user, (unsigned long long)c->min_item, filters->core_rounds);
    printf("written to    %s (%llu shard%s, split %s)\n", c->output, (unsigned long long)c->shards, c->shards == 1 ? "" : "s",
           c->split_text);
    printf("users         %zu\nitems         %zu\ninteractions  %zu\n", written->users, written->items, written->interactions);
    printf("length        mean %.2f, least %zu, median %zu, most %zu\n", (double)written->interactions / (double)written->users,
           written->shortest, written->median, written->longest);
    if (all->has_times)
        printf("time ties     %.1f %% of the interactions have the time stamp of the user's one before; they keep the order of "
               "the input\n",
               100 * (double)count_ties(all) / (double)all->count);
}

static sr_status convert(conversion *c, interactions *all, parse_report *parsed, sr_error *error)
{
    filter_report filters = {0};
    assembly_report written;
    SR_TRY(read_inputs(c, all, parsed, error));
    const size_t read = all->count;
    SR_TRY(filter(c, all, &filters, error));
    if (all->count == 0)
        return sr_fail(error, SR_ERROR_DATA,
                       "nothing is left of %zu interactions: %zu were rated too low, %zu repeated, %zu outside the core", read,
                       filters.low_rating, filters.duplicates, filters.core);
    char *origin = describe_origin(c);
    if (!origin)
        return sr_fail_memory(error, 1, "the description of the data set");
    const sr_status status = assemble(all, &c->split, c->split_text, origin, c->output, c->shards, &written, error);
    cJSON_free(origin);
    if (status == SR_OK)
        print_report(c, parsed, all, &filters, &written);
    return status;
}

sr_status command_convert(int argument_count, char **arguments, sr_error *error)
{
    conversion *c;
    parse_report *parsed;
    SR_TRY(SR_ALLOCATE_ZERO(&c, 1, "a conversion", error));
    sr_status status = SR_ALLOCATE_ZERO(&parsed, 1, "a report", error);
    interactions all;
    if (status == SR_OK)
        status = read_options(argument_count, arguments, c, error);
    if (status == SR_OK) {
        status = interactions_create(&all, error);
        if (status == SR_OK)
            status = convert(c, &all, parsed, error);
        interactions_free(&all);
    }
    inputs_free(&c->inputs);
    free(parsed);
    free(c);
    return status;
}

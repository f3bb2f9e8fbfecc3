/* The options of srprep convert. */
#include "conversion.h"

#include "base/units.h"
#include "commands.h"
#include "storage/output_directory.h"

#include <cjson/cJSON.h>
#include <string.h>

static const char *const duplicate_names[] = {[DEDUPLICATE_NONE] = "none",
                                              [DEDUPLICATE_FIRST] = "first",
                                              [DEDUPLICATE_LAST] = "last",
                                              [DEDUPLICATE_CONSECUTIVE] = "consecutive",
                                              NULL};
static const char *const cold_names[] = {
    [COLD_KEEP] = "keep", [COLD_DROP] = "drop", [COLD_ITEMS] = "items", [COLD_USERS] = "users", NULL};

/* A split that files give is none that is computed. */
static sr_status finish_split(conversion *c, sr_error *error)
{
    if (!c->inputs.is_given)
        return split_parse(c->split_text, &c->reading.options.times, &c->split, error);
    if (c->has_split)
        return sr_fail(error, SR_ERROR_USAGE, "--split %s: --train, --valid and --test say already how sequences are split",
                       c->split_text);
    c->split = (split_rule){.kind = SPLIT_GIVEN};
    c->split_text = "given";
    return SR_OK;
}

/* What can be checked before the input is read. */
static sr_status finish_options(conversion *c, sr_error *error)
{
    double seconds;
    c->entry.has_after = c->after != NULL; /* the bounds themselves are known when the input's time stamps are */
    c->entry.has_before = c->before != NULL;
    const sr_text_list *files = c->request.files.count ? &c->request.files : &c->request.given[GIVEN_TRAIN];
    SR_TRY(reading_options_finish(&c->reading, files, error));
    SR_TRY(inputs_collect(&c->inputs, &c->request, error));
    SR_TRY(finish_split(c, error));
    if (c->gap_text && !sr_read_duration(c->gap_text, &seconds))
        return sr_fail(error, SR_ERROR_USAGE, "--session-gap %s: allowed are " SR_DURATION_FORM, c->gap_text);
    c->rules.one_line_a_user = c->reading.format->one_line_a_user;
    return sr_output_directory_check(c->output, error);
}

/* ---- options ---- */

enum { INPUT_OPTIONS = 8, RULE_OPTIONS = 14 };

/* What is read and written. */
static void list_inputs(conversion *c, sr_option *table)
{
    const sr_option rows[INPUT_OPTIONS] = {
        {.name = "input",
         .list = &c->request.files,
         .greedy = true,
         .argument = "FILE",
         .help = "files of raw interactions, plain or compressed by gzip or zstd; a directory is all files in it, - is "
                 "standard input"},
        {.name = "input-list", .file = &c->request.list, .help = "a file with the names of input files, one a line"},
        {.name = "train",
         .list = &c->request.given[GIVEN_TRAIN],
         .greedy = true,
         .argument = "FILE",
         .help = "of a split that is published as files: those for training, in the place of --input"},
        {.name = "valid",
         .list = &c->request.given[GIVEN_VALID],
         .greedy = true,
         .argument = "FILE",
         .help = "those for validation"},
        {.name = "test", .list = &c->request.given[GIVEN_TEST], .greedy = true, .argument = "FILE", .help = "those for test"},
        {.name = "recursive",
         .flag = &c->request.recursive,
         .help = "goes into directories of directories; names that begin with _ are left out"},
        {.name = "output", .directory = &c->output, .required = true, .help = "the data set to be written"},
        shards_option(&c->shards)};
    memcpy(table, rows, sizeof rows);
}

/* What interactions have to be like. */
static void list_rules(conversion *c, sr_option *table)
{
    const sr_option rows[RULE_OPTIONS] = {
        {.name = "min-rating",
         .number = &c->entry.min_rating,
         .lowest = -1e30,
         .highest = 1e30,
         .given = &c->entry.has_min_rating,
         .help = "drops interactions rated below X"},
        {.name = "after", .value = &c->after, .argument = "T", .help = "keeps interactions from time T on"},
        {.name = "before", .value = &c->before, .argument = "T", .help = "keeps interactions before time T"},
        {.name = "items", .file = &c->item_list, .help = "keeps the items whose names are the lines of this file"},
        {.name = "session-gap",
         .value = &c->gap_text,
         .argument = "DURATION",
         .help = "cuts a user where he pauses for longer, as 30m; each session is a sequence of its own"},
        {.name = "deduplicate",
         .choice = &c->duplicates,
         .choices = duplicate_names,
         .standard = "none",
         .help = "which of the repeated interactions of a user with an item is kept; none: all; consecutive: the first of "
                 "several in a row"},
        {.name = "max-user",
         .count = &c->rules.max_user,
         .least = 1,
         .most = UINT32_MAX,
         .argument = "K",
         .help = "drops users with more interactions than K"},
        {.name = "max-item",
         .count = &c->rules.max_item,
         .least = 1,
         .most = UINT32_MAX,
         .argument = "K",
         .help = "drops items with more interactions than K"},
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
         .given = &c->has_split,
         .argument = "leave-one-out[:test]|ratio:A,B,C|time:T1,T2|time-quantile:A,B,C|sessions:A,B,C|sessions:T1,T2",
         .help = "what is held out of each sequence"},
        {.name = "cold",
         .choice = &c->cold,
         .choices = cold_names,
         .standard = "keep",
         .help = "what becomes of held-out interactions with items, or of users, that training does not know"},
        {.name = "report", .file = &c->report, .argument = "FILE.json", .help = "also writes the report as JSON"}};
    memcpy(table, rows, sizeof rows);
}

sr_status conversion_read_options(int argument_count, char **arguments, conversion *c, sr_error *error)
{
    enum { OWN = INPUT_OPTIONS + RULE_OPTIONS, SHARED = 2, ALL = OWN + SHARED + READING_OPTIONS };
    sr_option options[ALL];
    list_inputs(c, options);
    list_rules(c, options + INPUT_OPTIONS);
    options[OWN] = memory_option(&c->memory);
    options[OWN + 1] = temporary_option(&c->temporary);
    reading_options_list(&c->reading, options + OWN + SHARED);
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, ALL, error));
    c->rules.duplicates = (deduplication)c->duplicates;
    return finish_options(c, error);
}

/* ---- the description ---- */

/* What reduces users and items. */
static bool describe_rules(cJSON *root, const conversion *c)
{
    const user_rules *rules = &c->rules;
    bool complete = cJSON_AddNumberToObject(root, "min_user", (double)rules->min_user) &&
                    cJSON_AddNumberToObject(root, "min_item", (double)rules->min_item) &&
                    cJSON_AddStringToObject(root, "deduplicate", duplicate_names[rules->duplicates]);
    if (c->gap_text)
        complete = complete && cJSON_AddStringToObject(root, "session_gap", c->gap_text);
    if (rules->max_user)
        complete = complete && cJSON_AddNumberToObject(root, "max_user", (double)rules->max_user);
    if (rules->max_item)
        complete = complete && cJSON_AddNumberToObject(root, "max_item", (double)rules->max_item);
    if (rules->max_length)
        complete = complete && cJSON_AddNumberToObject(root, "max_length", (double)rules->max_length);
    if (c->cold != COLD_KEEP)
        complete = complete && cJSON_AddStringToObject(root, "cold", cold_names[c->cold]);
    return complete;
}

/* The files by the part that they are for, or all as one. */
static bool describe_inputs(cJSON *root, const input_list *inputs)
{
    static const char *const names[GIVEN_PARTS] = {"train", "valid", "test"};
    cJSON *lists[GIVEN_PARTS] = {NULL};
    bool complete = true;
    for (size_t i = 0; i < inputs->count && complete; ++i) {
        const given_part part = inputs->is_given ? inputs_part(inputs, i) : GIVEN_TRAIN;
        if (!lists[part])
            lists[part] = cJSON_AddArrayToObject(root, inputs->is_given ? names[part] : "input");
        complete = lists[part] && cJSON_AddItemToArray(lists[part], cJSON_CreateString(inputs->paths[i]));
    }
    return complete;
}

char *conversion_describe(const conversion *c, const reader_facts *facts)
{
    cJSON *root = cJSON_CreateObject();
    bool complete = root && describe_inputs(root, &c->inputs) && cJSON_AddStringToObject(root, "command", "convert") &&
                    reading_options_describe(root, &c->reading, facts) && describe_rules(root, c);
    complete = complete && cJSON_AddStringToObject(root, "split", c->split_text);
    if (c->entry.has_min_rating)
        complete = complete && cJSON_AddNumberToObject(root, "min_rating", c->entry.min_rating);
    if (c->after)
        complete = complete && cJSON_AddStringToObject(root, "after", c->after);
    if (c->before)
        complete = complete && cJSON_AddStringToObject(root, "before", c->before);
    if (c->item_list)
        complete = complete && cJSON_AddStringToObject(root, "items", c->item_list);
    char *text = complete ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

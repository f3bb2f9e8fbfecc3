#include "summary.h"

#include "measure.h"
#include "srtrain/output_file.h"

#include <stdio.h>
#include <stdlib.h>

typedef unsigned long long number;

/* ---- text ---- */

static void print_dropped(const summary *s)
{
    const engine_counts *counts = s->counts;
    const user_rules *rules = s->rules;
    if (s->entry->has_min_rating)
        printf("dropped       %llu rated below %g\n", (number)counts->low_rating, s->entry->min_rating);
    if (s->entry->has_after || s->entry->has_before)
        printf("dropped       %llu outside the time range\n", (number)counts->out_of_time);
    if (s->entry->items || s->entry->too_long)
        printf("dropped       %llu of items that are not in the list\n", (number)counts->not_listed);
    if (s->gap)
        printf("sessions      %llu, cut at pauses longer than %s%s\n", (number)counts->sessions, s->gap,
               s->times.unit < TIME_SECONDS ? " in units of the time stamps" : "");
    if (rules->duplicates == DEDUPLICATE_CONSECUTIVE)
        printf("dropped       %llu that repeat the item before\n", (number)counts->users.duplicates);
    else if (rules->duplicates != DEDUPLICATE_NONE)
        printf("dropped       %llu repeated (user, item) pairs\n", (number)counts->users.duplicates);
    if (rules->max_user || rules->max_item)
        printf("dropped       %llu of users or items with too many\n", (number)counts->users.capped);
    if (counts->users.core_rounds)
        printf("dropped       %llu by the core of %llu a user, %llu an item, in %llu rounds\n", (number)counts->users.core,
               (number)rules->min_user, (number)rules->min_item, (number)counts->users.core_rounds);
    if (rules->max_length)
        printf("dropped       %llu in front of the last %llu of a user\n", (number)counts->users.too_long,
               (number)rules->max_length);
    if (s->cold != COLD_KEEP)
        printf("dropped       held out and unknown to training: %llu by their user, %llu by their item\n",
               (number)counts->cold.users, (number)counts->cold.items);
}

/* What stands in the raw data, where that is not what is stored. */
static void print_times(const time_format *times, const measures *found)
{
    char first[TIME_TEXT_SIZE], last[TIME_TEXT_SIZE], power[32] = "";
    if (times->unit == TIME_NUMBER && times->decimals == 0)
        return;
    time_text(times, found->first_time, first);
    time_text(times, found->last_time, last);
    if (times->decimals)
        snprintf(power, sizeof power, ", times 10^%u", times->decimals);
    printf("time unit     %s%s: from %s to %s\n", times->unit == TIME_ISO ? "seconds since 1970" : time_unit_names[times->unit],
           power, first, last);
}

static void print_summary(const summary *s, const sr_dataset *dataset, const measures *found)
{
    printf("read          %llu lines, %llu interactions\n", (number)s->parsed->lines, (number)s->parsed->records);
    parse_report_print(s->parsed, s->paths, stdout);
    print_dropped(s);
    printf("written to    %s (%zu shard%s)\n", s->directory, sr_dataset_shards(dataset),
           sr_dataset_shards(dataset) == 1 ? "" : "s");
    measures_print(dataset, found);
    if (!s->has_times)
        return;
    print_times(&s->times, found);
    printf("time ties     %.1f %% of the interactions have the time stamp of the user's one before; they keep the order of "
           "the input\n",
           100 * (double)s->counts->ties / (double)s->counts->interactions);
}

/* ---- JSON ---- */

static bool add(cJSON *object, const char *name, uint64_t value)
{
    return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static bool add_examples(const summary *s, size_t reason, cJSON *list)
{
    for (uint64_t i = 0; i < s->parsed->example_count[reason]; ++i) {
        const dropped_line *line = &s->parsed->examples[reason][i];
        cJSON *example = cJSON_CreateObject();
        if (!example || !cJSON_AddItemToArray(list, example) ||
            !cJSON_AddStringToObject(example, "file", s->paths[line->file]) || !add(example, "line", line->line) ||
            !cJSON_AddStringToObject(example, "found", line->found))
            return false;
    }
    return true;
}

static bool add_notes(const parse_report *parsed, cJSON *root)
{
    cJSON *spanning = cJSON_AddObjectToObject(root, "records_on_several_lines");
    return spanning && add(spanning, "records", parsed->spanning.count) &&
           add(spanning, "lines", parsed->spanning.count + parsed->continued) && add(spanning, "longest", parsed->longest) &&
           add(root, "time_stamps_cut", parsed->cut.count) && add(root, "identifiers_with_marks", parsed->marked.count) &&
           add(root, "identifiers_not_utf8", parsed->foreign.count);
}

static bool add_lines(const summary *s, cJSON *root)
{
    cJSON *read = cJSON_AddObjectToObject(root, "read");
    cJSON *dropped = cJSON_AddArrayToObject(root, "dropped_lines");
    bool complete = read && dropped && add(read, "lines", s->parsed->lines) && add(read, "interactions", s->parsed->records);
    for (size_t reason = 0; reason < DROP_REASONS && complete; ++reason) {
        if (s->parsed->dropped[reason] == 0)
            continue;
        cJSON *entry = cJSON_CreateObject(), *examples = NULL;
        complete = entry && cJSON_AddItemToArray(dropped, entry) &&
                   cJSON_AddStringToObject(entry, "reason", drop_reason_text((drop_reason)reason)) &&
                   add(entry, "lines", s->parsed->dropped[reason]) &&
                   (examples = cJSON_AddArrayToObject(entry, "examples")) != NULL && add_examples(s, reason, examples);
    }
    return complete;
}

static bool add_steps(const summary *s, cJSON *root)
{
    cJSON *dropped = cJSON_AddObjectToObject(root, "dropped_interactions");
    return dropped && add(dropped, "rating", s->counts->low_rating) && add(dropped, "time", s->counts->out_of_time) &&
           add(dropped, "items", s->counts->not_listed) && add(dropped, "duplicates", s->counts->users.duplicates) &&
           add(dropped, "capped", s->counts->users.capped) && add(dropped, "core", s->counts->users.core) &&
           add(dropped, "cold_users", s->counts->cold.users) && add(dropped, "cold_items", s->counts->cold.items) &&
           (!s->gap || add(root, "sessions", s->counts->sessions)) && add(dropped, "length", s->counts->users.too_long) &&
           add(root, "core_rounds", s->counts->users.core_rounds) && (!s->has_times || add(root, "time_ties", s->counts->ties));
}

static char *describe(const summary *s, const sr_dataset *dataset, const measures *found)
{
    cJSON *root = cJSON_CreateObject(), *data = NULL;
    const bool complete = root && cJSON_AddRawToObject(root, "options", s->origin) && add_lines(s, root) &&
                          add_notes(s->parsed, root) && add_steps(s, root) &&
                          (data = cJSON_AddObjectToObject(root, "data_set")) != NULL && measures_add_json(dataset, found, data);
    char *text = complete ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static sr_status write_json(const summary *s, const sr_dataset *dataset, const measures *found, const char *path,
                            sr_error *error)
{
    char *text = describe(s, dataset, found);
    if (!text)
        return sr_fail_memory(error, 1, "the report");
    const sr_status status = sr_output_file_write(path, text, error);
    cJSON_free(text);
    if (status != SR_OK)
        sr_error_prepend(error, "--report: ");
    return status;
}

sr_status summary_write(const summary *s, const char *json, sr_error *error)
{
    sr_dataset *dataset;
    measures found;
    SR_TRY(sr_dataset_open(&dataset, s->directory, error));
    sr_status status = measure(dataset, &found, error);
    if (status == SR_OK)
        print_summary(s, dataset, &found);
    if (status == SR_OK && json)
        status = write_json(s, dataset, &found, json, error);
    sr_dataset_close(dataset);
    return status;
}

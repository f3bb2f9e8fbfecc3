#include "divided_input.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <sys/stat.h>

/* A file, or a part of one, and the rank that reads it. */
typedef struct {
    uint32_t file;
    size_t rank;
    uint64_t begin, end;
} input_part;

/* What is known of a file before it is read: plain data for all ranks. */
typedef struct {
    uint64_t divisible; /* bytes, or 0 */
    uint64_t weight;    /* what reading it takes, in bytes of a plain file */
} input_file;

/* What a part came to: plain data for all ranks. */
typedef struct {
    uint64_t part, records, lines;
    parse_report report;
} part_result;

typedef struct {
    const input_plan *plan;
    collector *to;
    input_file *files;
    input_part *parts;
    size_t part_count;
    part_result *results; /* of this rank */
    size_t result_count;
    reader_facts facts; /* of all files before the reading begins, unless there is one rank; then of what has been read */
    bool range_is_set;
} division;

/* ---- dividing ---- */

enum { COMPRESSED_WEIGHT = 4 }; /* a compressed byte is about as much work as so many plain ones */

static sr_status look_at_files(division *d, sr_error *error)
{
    const input_list *files = d->plan->files;
    for (size_t i = 0; i < files->count; ++i)
        if (files->count > 1 && strcmp(files->paths[i], "-") == 0)
            return SR_OK; /* what it holds shows only when it is read: no dividing */
    SR_TRY(
        reader_prepare(d->plan->format, d->plan->options, (const char *const *)files->paths, files->count, &d->facts, error));
    for (size_t i = 0; i < d->plan->files->count; ++i) {
        struct stat information;
        const char *path = d->plan->files->paths[i];
        SR_TRY(reader_divisible_size(d->plan->format, d->plan->options, path, &d->files[i].divisible, error));
        d->files[i].weight = stat(path, &information) == 0 && S_ISREG(information.st_mode)
                                 ? (uint64_t)information.st_size * COMPRESSED_WEIGHT
                                 : 0;
    }
    return SR_OK;
}

static size_t least_loaded(const uint64_t *loads, size_t ranks)
{
    size_t least = 0;
    for (size_t rank = 1; rank < ranks; ++rank)
        least = loads[rank] < loads[least] ? rank : least;
    return least;
}

/* Files that are read as a whole go to the rank that has least so far; the plain ones fill all ranks up to the same load, one
 * rank after the other. `loads` and `whole` [ranks] are zero. Rank 0 has standard input, and everything with it. */
static void divide(division *d, size_t ranks, uint64_t *loads, uint64_t *whole)
{
    for (size_t i = 0; i < d->plan->files->count; ++i)
        ranks = strcmp(d->plan->files->paths[i], "-") == 0 ? 1 : ranks;
    uint64_t total = 0, share;
    for (size_t i = 0; i < d->plan->files->count; ++i)
        total += d->files[i].divisible ? d->files[i].divisible : d->files[i].weight;
    share = total / ranks + 1;
    for (size_t i = 0; i < d->plan->files->count; ++i)
        if (!d->files[i].divisible)
            loads[least_loaded(loads, ranks)] += d->files[i].weight;
    size_t rank = 0;
    for (size_t i = 0; i < d->plan->files->count; ++i) {
        const input_file *file = &d->files[i];
        if (!file->divisible) {
            const size_t reader_rank = least_loaded(whole, ranks);
            whole[reader_rank] += file->weight;
            d->parts[d->part_count++] = (input_part){(uint32_t)i, reader_rank, 0, UINT64_MAX};
            continue;
        }
        for (uint64_t begin = 0; begin < file->divisible;) {
            while (rank + 1 < ranks && loads[rank] >= share)
                ++rank;
            const uint64_t left = file->divisible - begin, room = loads[rank] < share ? share - loads[rank] : 0;
            const uint64_t here = rank + 1 < ranks && room < left ? room : left;
            d->parts[d->part_count++] = (input_part){(uint32_t)i, rank, begin, here == left ? UINT64_MAX : begin + here};
            loads[rank] += here;
            begin += here;
        }
    }
}

/* All ranks divide alike, by what rank 0 has seen of the files. */
static sr_status make_parts(workplace *place, division *d, sr_error *error)
{
    const size_t files = d->plan->files->count;
    uint64_t *loads = NULL;
    sr_status status = SR_ALLOCATE_ZERO(&d->files, files, "the list of files", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&d->parts, files + place->ranks, "the list of files", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&loads, 2 * place->ranks, "the list of files", error);
    if (status == SR_OK && place->rank == 0 && place->ranks > 1) /* one rank reads everything as a whole */
        status = look_at_files(d, error);
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(place->parallel, d->files, files * sizeof *d->files, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(place->parallel, &d->facts, sizeof d->facts, error);
    if (status == SR_OK)
        divide(d, place->ranks, loads, loads + place->ranks);
    free(loads);
    return status;
}

/* ---- reading ---- */

/* A bound of the time range in the unit of the input, which is known by now. */
static sr_status set_bound(const reader_facts *facts, const char *option, const char *text, bool *has, int64_t *value,
                           sr_error *error)
{
    *has = text != NULL && facts->has_times;
    return *has ? time_read_bound(&facts->times, (field){text, strlen(text)}, option, value, error) : SR_OK;
}

static sr_status set_range(division *d, sr_error *error)
{
    entry_filter *filter = &d->to->filter;
    d->range_is_set = true;
    SR_TRY(set_bound(&d->facts, "--after", d->plan->after, &filter->has_after, &filter->after, error));
    return set_bound(&d->facts, "--before", d->plan->before, &filter->has_before, &filter->before, error);
}

static sr_status collect(void *context, const interaction *record, sr_error *error)
{
    division *d = context;
    if (!d->range_is_set)
        SR_TRY(set_range(d, error));
    return collector_add(d->to, record, error);
}

static sr_status read_own_parts(const workplace *place, division *d, sr_error *error)
{
    const reader_sink sink = {collect, d};
    for (size_t i = 0; i < d->part_count; ++i)
        d->result_count += d->parts[i].rank == place->rank;
    SR_TRY(SR_ALLOCATE_ZERO(&d->results, d->result_count, "reports of reading", error));
    part_result *result = d->results;
    for (size_t i = 0; i < d->part_count; ++i) {
        const input_part *from = &d->parts[i];
        if (from->rank != place->rank)
            continue;
        reader_part part = {d->plan->files->paths[from->file], from->file, from->begin, from->end, 0};
        collector_begin_part(d->to, i);
        SR_TRY(reader_read(d->plan->format, d->plan->options, &part, &sink, &result->report, &d->facts, error));
        result->part = i;
        result->records = collector_part_size(d->to);
        result->lines = part.lines;
        ++result;
    }
    return SR_OK;
}

/* ---- what it came to ---- */

/* `by_part` [parts]: the results of all ranks in the order of the input. */
static void add_up(const division *d, const part_result *const *by_part, input_facts *facts)
{
    uint64_t lines_before = 0;
    for (size_t i = 0; i < d->part_count; ++i) {
        const part_result *one = by_part[i];
        lines_before = i > 0 && d->parts[i].file == d->parts[i - 1].file ? lines_before : 0;
        parse_report_merge(&facts->report, &one->report, d->parts[i].file, lines_before);
        lines_before += one->lines;
        facts->part_starts[i] = facts->records;
        facts->part_lines[i] = lines_before - one->lines;
        facts->part_paths[i] = d->plan->files->paths[d->parts[i].file];
        facts->part_given[i] = (uint8_t)inputs_part(d->plan->files, d->parts[i].file);
        facts->records += one->records;
    }
}

/* Ranks whose files turned out to differ in what could not be seen from the beginning of the input do not agree. Collective. */
static sr_status share_facts(workplace *place, const division *d, input_facts *facts, sr_error *error)
{
    reader_facts *all;
    size_t *offsets;
    SR_TRY(sr_parallel_gather_all(place->parallel, SR_OK, &d->facts, 1, sizeof *all, (void **)&all, &offsets, error));
    sr_status status = SR_OK;
    for (size_t rank = 0; rank < place->ranks; ++rank) {
        const bool resolved = all[rank].known && (!all[rank].has_times || time_is_resolved(&all[rank].times));
        if (!facts->reading.known || (resolved && facts->reading.has_times && !time_is_resolved(&facts->reading.times)))
            facts->reading = all[rank];
        const time_format *ours = &facts->reading.times, *theirs = &all[rank].times;
        if (resolved &&
            (all[rank].has_times != facts->reading.has_times || all[rank].has_ratings != facts->reading.has_ratings ||
             (all[rank].has_times && (ours->unit != theirs->unit || ours->decimals != theirs->decimals))))
            status = sr_fail(
                error, SR_ERROR_DATA,
                "the first lines of the input show no time stamp, and later ones differ in what they look like: name "
                "it with --time-unit and --time-decimals");
    }
    free(all);
    free(offsets);
    return status;
}

static sr_status share_results(workplace *place, const division *d, input_facts *facts, sr_error *error)
{
    part_result *all;
    size_t *offsets;
    const part_result **by_part = NULL;
    SR_TRY(sr_parallel_gather_all(place->parallel, SR_OK, d->results, d->result_count, sizeof *all, (void **)&all, &offsets,
                                  error));
    sr_status status = SR_ALLOCATE(&by_part, d->part_count, "reports of reading", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&facts->part_starts, d->part_count, "reports of reading", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&facts->part_lines, d->part_count, "reports of reading", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&facts->part_paths, d->part_count, "reports of reading", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&facts->part_given, d->part_count, "reports of reading", error);
    for (size_t i = 0; i < d->part_count && status == SR_OK; ++i)
        by_part[all[i].part] = &all[i];
    if (status == SR_OK)
        add_up(d, by_part, facts);
    free(by_part);
    free(all);
    free(offsets);
    return sr_parallel_agree(place->parallel, status, error);
}

void input_facts_free(input_facts *facts)
{
    free(facts->part_starts);
    free(facts->part_lines);
    free(facts->part_paths);
    free(facts->part_given);
}

sr_status input_read(workplace *place, const input_plan *plan, collector *to, input_facts *facts, sr_error *error)
{
    division d = {.plan = plan, .to = to};
    memset(facts, 0, sizeof *facts);
    sr_status status = make_parts(place, &d, error);
    if (status == SR_OK)
        status = sr_parallel_agree(place->parallel, read_own_parts(place, &d, error), error);
    if (status == SR_OK)
        status = share_facts(place, &d, facts, error);
    if (status == SR_OK)
        status = share_results(place, &d, facts, error);
    free(d.files);
    free(d.parts);
    free(d.results);
    return status;
}

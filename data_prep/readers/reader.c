/* The way of a file through a format. */
#include "reading.h"

#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKED_AT = 256 * 1024 }; /* bytes, to find out what time stamps are like */

static void split_na_values(reading *r)
{
    for (const char *at = r->options->na_values; at && r->na_count < READER_NA_VALUES;) {
        const char *comma = strchr(at, ',');
        r->na_values[r->na_count++] = (field){at, comma ? (size_t)(comma - at) : strlen(at)};
        at = comma ? comma + 1 : NULL;
    }
}

static void close_reading(reading *r)
{
    lines_close(r->file);
    json_end(r);
    free(r->scratch);
    free(r->group);
    free(r->header_text);
    free(r);
}

static sr_status read_where(reading *r, sr_error *error)
{
    for (size_t i = 0; i < r->options->where_count && i < READER_WHERES; ++i)
        SR_TRY(where_parse(r->options->where[i], &r->where[r->where_count++], error));
    return SR_OK;
}

static sr_status open_reading(reading **opened, const reader_options *options, const reader_sink *sink, parse_report *report,
                              uint32_t file_number, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(opened, 1, "a reader", error));
    (*opened)->options = options;
    (*opened)->sink = sink;
    (*opened)->report = report;
    (*opened)->file_number = file_number;
    (*opened)->record_lines = 1;
    split_na_values(*opened);
    const sr_status status = read_where(*opened, error);
    if (status != SR_OK)
        close_reading(*opened);
    return status;
}

static sr_status begin(const raw_format *format, reading *r, sr_error *error)
{
    for (size_t i = 0; i < ROLES; ++i)
        r->columns[i] = r->lists[i] = SIZE_MAX;
    SR_TRY(format->begin(r, error));
    for (size_t i = 0; i < r->where_count && !r->has_keys && !r->is_empty; ++i) {
        if (r->where[i].column == SIZE_MAX)
            SR_TRY(table_find_where(r, 0, error));
        if (r->where[i].column >= READER_FIELDS || (!r->options->ragged && r->where[i].column >= r->column_count))
            return sr_fail(error, SR_ERROR_USAGE, "--where: there is no column %s: they are 0 to %zu", r->where[i].name,
                           r->column_count - 1);
    }
    for (size_t i = TIME; i <= RATING && format->needs_columns; ++i)
        snprintf(r->lacks[i], sizeof r->lacks[i], ": --columns has no %s=", role_names[i]);
    if (r->options->times.unit == TIME_NONE) {
        r->has_times = false;
        snprintf(r->lacks[TIME], sizeof r->lacks[TIME], ": they are left out by --time-unit none");
    }
    return SR_OK;
}

/* The facts hold for all files that are not empty. */
static sr_status compare_facts(const reading *r, reader_facts *facts, sr_error *error)
{
    if (r->is_empty)
        return SR_OK;
    if (!facts->known) {
        *facts = (reader_facts){
            .known = true, .has_times = r->has_times, .has_ratings = r->has_ratings, .times = r->options->times};
        memcpy(facts->no_times, r->lacks[TIME], sizeof facts->no_times);
        memcpy(facts->no_ratings, r->lacks[RATING], sizeof facts->no_ratings);
    }
    if (facts->has_times != r->has_times)
        return sr_fail(error, SR_ERROR_DATA, "%s %s time stamps, unlike the files before it", lines_path(r->file),
                       r->has_times ? "has" : "lacks");
    if (facts->has_ratings != r->has_ratings)
        return sr_fail(error, SR_ERROR_DATA, "%s %s ratings, unlike the files before it", lines_path(r->file),
                       r->has_ratings ? "has" : "lacks");
    return SR_OK;
}

/* Looks at the first time stamps if nobody knows yet what they are like. */
static sr_status resolve_times(const raw_format *format, reading *r, reader_facts *facts, sr_error *error)
{
    if (!r->has_times || r->is_empty)
        return SR_OK;
    if (!time_is_resolved(&facts->times)) {
        r->observing = true;
        lines_mark(r->file, LOOKED_AT);
        const sr_status status = format->records(r, error);
        lines_return(r->file);
        r->observing = false;
        SR_TRY(status);
        time_resolve(&facts->times, &r->seen);
    }
    r->times = facts->times;
    r->times_unknown = !time_is_resolved(&facts->times); /* no good one is among them: the messages say why they are dropped */
    r->times.unit = r->times.unit == TIME_AUTO ? TIME_NUMBER : r->times.unit;
    r->times.has_decimals = true;
    return SR_OK;
}

/* What is known from the beginning of a file, for a part that does not begin there. */
static sr_status begin_elsewhere(const raw_format *format, reading *r, const reader_part *part, reader_facts *facts,
                                 sr_error *error)
{
    SR_TRY(lines_open(&r->file, part->path, error));
    SR_TRY(begin(format, r, error));
    SR_TRY(compare_facts(r, facts, error));
    SR_TRY(resolve_times(format, r, facts, error));
    lines_close(r->file);
    r->file = NULL;
    return SR_OK;
}

static sr_status read_part(const raw_format *format, reading *r, reader_part *part, reader_facts *facts, sr_error *error)
{
    if (part->begin > 0)
        SR_TRY(begin_elsewhere(format, r, part, facts, error));
    SR_TRY(lines_open_part(&r->file, part->path, part->begin, part->end, error));
    if (part->begin == 0) {
        SR_TRY(begin(format, r, error));
        SR_TRY(compare_facts(r, facts, error));
        SR_TRY(resolve_times(format, r, facts, error));
    }
    if (!r->is_empty)
        SR_TRY(format->records(r, error));
    part->lines = lines_number(r->file);
    return SR_OK;
}

sr_status reader_read(const raw_format *format, const reader_options *options, reader_part *part, const reader_sink *sink,
                      parse_report *report, reader_facts *facts, sr_error *error)
{
    reading *r;
    SR_TRY(open_reading(&r, options, sink, report, part->number, error));
    const sr_status status = read_part(format, r, part, facts, error);
    close_reading(r);
    return status;
}

static sr_status look_at(const raw_format *format, const reader_options *options, const char *path, reader_facts *facts,
                         sr_error *error)
{
    reading *r;
    const reader_part part = {.path = path};
    SR_TRY(open_reading(&r, options, NULL, NULL, 0, error));
    const sr_status status = begin_elsewhere(format, r, &part, facts, error);
    close_reading(r);
    return status;
}

sr_status reader_prepare(const raw_format *format, const reader_options *options, const char *const *paths, size_t count,
                         reader_facts *facts, sr_error *error)
{
    for (size_t i = 0; i < count && lines_may_be_opened_again(paths[i]); ++i) {
        if (facts->known && (!facts->has_times || time_is_resolved(&facts->times)))
            return SR_OK;
        SR_TRY(look_at(format, options, paths[i], facts, error));
    }
    return SR_OK;
}

sr_status reader_divisible_size(const raw_format *format, const reader_options *options, const char *path, uint64_t *size,
                                sr_error *error)
{
    *size = 0;
    if (options->no_user || options->comment) /* lines have numbers, and a header need not be the first one */
        return SR_OK;
    return format->divisible && !format->divisible(options) ? SR_OK : lines_divisible_size(path, size, error);
}

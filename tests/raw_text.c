#include "raw_text.h"

#include "files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

const reader_options raw_default;

sr_status raw_collect(void *context, const reader_record *record, sr_error *error)
{
    raw_rows *all = context;
    (void)error;
    assert_true(all->count < sizeof all->rows / sizeof *all->rows);
    snprintf(all->rows[all->count].user, sizeof all->rows->user, "%.*s", (int)record->user_length, record->user);
    snprintf(all->rows[all->count].item, sizeof all->rows->item, "%.*s", (int)record->item_length, record->item);
    all->rows[all->count++].record = *record;
    return SR_OK;
}

sr_status raw_read(const char *directory, const char *format, const reader_options *options, const char *text, raw_rows *all,
                   parse_report *report, reader_facts *facts, sr_error *error)
{
    char path[FILES_PATH_SIZE];
    files_path(path, directory, "raw");
    files_write_text(path, text);
    reader_part part = {.path = path, .end = UINT64_MAX};
    const reader_sink sink = {raw_collect, all};
    memset(report, 0, sizeof *report);
    memset(facts, 0, sizeof *facts);
    all->count = 0;
    return reader_read(raw_format_find(format), options, &part, &sink, report, facts, error);
}

void assert_rows(const char *directory, const char *format, const reader_options *options, const char *text,
                 const raw_row *rows, size_t count)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error = {.status = SR_OK};
    reader_options strictly = *options;
    strictly.strict = true;
    if (raw_read(directory, format, &strictly, text, &all, &report, &facts, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(all.count, count);
    assert_int_equal(report.records, count);
    for (size_t i = 0; i < count; ++i) {
        assert_string_equal(all.rows[i].user, rows[i].user);
        assert_string_equal(all.rows[i].item, rows[i].item);
        assert_int_equal(all.rows[i].record.time, rows[i].time);
        assert_float_equal(all.rows[i].record.rating, rows[i].rating, 0);
    }
}

void assert_bad(const char *directory, const char *format, const reader_options *options, const char *text, sr_status status,
                const char *says)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error = {.status = SR_OK};
    reader_options strictly = *options;
    strictly.strict = true;
    assert_int_equal(raw_read(directory, format, &strictly, text, &all, &report, &facts, &error), status);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

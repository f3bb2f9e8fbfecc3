#include "report.h"

#include <stdio.h>
#include <string.h>

const char *drop_reason_text(drop_reason reason)
{
    static const char *const texts[DROP_REASONS] = {[DROPPED_EMPTY_LINE] = "empty line",
                                                    [DROPPED_NULL_BYTE] = "null byte in the line",
                                                    [DROPPED_COLUMNS] = "wrong number of columns",
                                                    [DROPPED_QUOTES] = "quotes that do not match",
                                                    [DROPPED_IDENTIFIER] = "identifier empty or too long",
                                                    [DROPPED_TIME] = "time stamp not understood",
                                                    [DROPPED_RATING] = "rating not a number"};
    return texts[reason];
}

uint64_t parse_report_dropped(const parse_report *report)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < DROP_REASONS; ++i)
        sum += report->dropped[i];
    return sum;
}

void parse_report_drop(parse_report *report, drop_reason reason, uint32_t file_number, const lines *file, const char *found)
{
    const uint64_t place = report->dropped[reason]++;
    if (place >= REPORT_EXAMPLES)
        return;
    dropped_line *example = &report->examples[reason][place];
    char shown[LINES_SHOWN_SIZE];
    lines_shown(file, shown);
    example->line = lines_number(file);
    example->file = file_number;
    snprintf(example->found, sizeof example->found, "%.180s\n  %s", found, shown);
}

void parse_report_merge(parse_report *report, const parse_report *later, uint32_t file, uint64_t lines_before)
{
    report->lines += later->lines;
    report->records += later->records;
    for (size_t reason = 0; reason < DROP_REASONS; ++reason) {
        const uint64_t known = report->dropped[reason], more = later->dropped[reason];
        for (uint64_t i = 0; i < more && i < REPORT_EXAMPLES && known + i < REPORT_EXAMPLES; ++i) {
            dropped_line *example = &report->examples[reason][known + i];
            *example = later->examples[reason][i];
            if (example->file == file)
                example->line += lines_before;
        }
        report->dropped[reason] = known + more;
    }
}

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
                                                    [DROPPED_DECIMALS] = "time stamp with more decimals than the first ones",
                                                    [DROPPED_RATING] = "rating not a number",
                                                    [DROPPED_JSON] = "not a JSON object",
                                                    [DROPPED_KEY] = "JSON key missing or of another kind",
                                                    [DROPPED_NA] = "missing value (--na-values)"};
    return texts[reason];
}

uint64_t parse_report_bad(const parse_report *report)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < DROP_REASONS; ++i)
        sum += i == DROPPED_NA ? 0 : report->dropped[i];
    return sum;
}

sr_status parse_report_judge(const parse_report *report, const char *const *paths, sr_error *error)
{
    const uint64_t bad = parse_report_bad(report);
    if (bad <= report->lines / 100)
        return SR_OK;
    char text[SR_ERROR_MESSAGE_SIZE] = "";
    for (size_t i = 0; i < DROP_REASONS; ++i) {
        const dropped_line *example = &report->examples[i][0];
        const size_t used = strlen(text);
        if (i != DROPPED_NA && report->dropped[i])
            snprintf(text + used, sizeof text - used, "\n%llu: %s, as %.256s:%llu: %s", (unsigned long long)report->dropped[i],
                     drop_reason_text((drop_reason)i), paths[example->file], (unsigned long long)example->line, example->found);
    }
    return sr_fail(error, SR_ERROR_DATA, "%llu of %llu lines do not fit (%.1f %%), at most 1 %% is allowed:%s",
                   (unsigned long long)bad, (unsigned long long)report->lines, 100 * (double)bad / (double)report->lines, text);
}

void parse_report_print(const parse_report *report, const char *const *paths, FILE *file)
{
    for (size_t reason = 0; reason < DROP_REASONS; ++reason) {
        const uint64_t count = report->dropped[reason];
        if (count)
            fprintf(file, "dropped       %llu line%s: %s\n", (unsigned long long)count, count == 1 ? "" : "s",
                    drop_reason_text((drop_reason)reason));
        for (uint64_t i = 0; i < count && i < REPORT_EXAMPLES; ++i) {
            const dropped_line *example = &report->examples[reason][i];
            fprintf(file, "              %s:%llu: %s\n", paths[example->file], (unsigned long long)example->line,
                    example->found);
        }
    }
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
    snprintf(example->found, sizeof example->found, "%.180s\n                %s", found, shown);
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

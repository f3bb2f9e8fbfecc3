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
                                                    [DROPPED_NA] = "missing value (--na-values)",
                                                    [DROPPED_WHERE] = "not chosen by --where",
                                                    [DROPPED_HEADER] = "the header again",
                                                    [DROPPED_COMMENT] = "comment",
                                                    [DROPPED_EMPTY_LIST] = "a list without items",
                                                    [DROPPED_HEADING] = "a heading, whose interactions follow"};
    return texts[reason];
}

bool drop_reason_is_bad(drop_reason reason)
{
    return reason < DROPPED_NA;
}

uint64_t parse_report_bad(const parse_report *report)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < DROP_REASONS; ++i)
        sum += drop_reason_is_bad((drop_reason)i) ? report->dropped[i] : 0;
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
        if (drop_reason_is_bad((drop_reason)i) && report->dropped[i])
            snprintf(text + used, sizeof text - used, "\n%llu: %s, as %.256s:%llu: %s", (unsigned long long)report->dropped[i],
                     drop_reason_text((drop_reason)i), paths[example->file], (unsigned long long)example->line, example->found);
    }
    return sr_fail(error, SR_ERROR_DATA, "%llu of %llu lines do not fit (%.1f %%), at most 1 %% is allowed:%s",
                   (unsigned long long)bad, (unsigned long long)report->lines, 100 * (double)bad / (double)report->lines, text);
}

/* What is no fault, but changes what the interactions are. */
static void print_notes(const parse_report *report, const char *const *paths, FILE *file)
{
    const noted_records *spanning = &report->spanning, *cut = &report->cut, *marked = &report->marked,
                        *foreign = &report->foreign;
    if (spanning->count)
        fprintf(file,
                "quotes        %llu record%s on several lines, %llu lines in all, at most %llu; the first begins at %s:%llu\n"
                "              --no-quotes takes quotes for characters like any other\n",
                (unsigned long long)spanning->count, spanning->count == 1 ? " stands" : "s stand",
                (unsigned long long)(spanning->count + report->continued), (unsigned long long)report->longest,
                paths[spanning->file], (unsigned long long)spanning->line);
    if (cut->count)
        fprintf(file,
                "decimals      %llu time stamps lost some for which 64 bits have no room, the first at %s:%llu; those that "
                "became equal keep "
                "the order of the input\n",
                (unsigned long long)cut->count, paths[cut->file], (unsigned long long)cut->line);
    if (marked->count)
        fprintf(file,
                "marks         %llu interactions have an identifier that begins with a byte-order mark, the first at %s:%llu: "
                "files "
                "may have been put together, each with its mark\n",
                (unsigned long long)marked->count, paths[marked->file], (unsigned long long)marked->line);
    if (foreign->count)
        fprintf(
            file,
            "encoding      %llu interactions have an identifier that is not UTF-8, the first at %s:%llu: it is kept as it is, "
            "but other programs may not read it; iconv -f WINDOWS-1252 -t UTF-8 mends files of Western Europe\n",
            (unsigned long long)foreign->count, paths[foreign->file], (unsigned long long)foreign->line);
}

void parse_report_print(const parse_report *report, const char *const *paths, FILE *file)
{
    print_notes(report, paths, file);
    for (size_t reason = 0; reason < DROP_REASONS; ++reason) {
        const uint64_t count = report->dropped[reason];
        if (count)
            fprintf(file, "dropped       %llu line%s: %s\n", (unsigned long long)count, count == 1 ? "" : "s",
                    drop_reason_text((drop_reason)reason));
        for (uint64_t i = 0; i < report->example_count[reason]; ++i) {
            const dropped_line *example = &report->examples[reason][i];
            fprintf(file, "              %s:%llu: %s\n", paths[example->file], (unsigned long long)example->line,
                    example->found);
        }
    }
}

void parse_report_drop(parse_report *report, drop_reason reason, uint32_t file_number, const lines *file, size_t record_lines,
                       const char *found)
{
    const uint64_t place = report->example_count[reason];
    report->dropped[reason] += record_lines;
    if (place >= REPORT_EXAMPLES)
        return;
    ++report->example_count[reason];
    dropped_line *example = &report->examples[reason][place];
    char shown[LINES_SHOWN_SIZE];
    lines_shown(file, shown);
    example->line = lines_number(file);
    example->file = file_number;
    snprintf(example->found, sizeof example->found, "%.400s\n                %s", found, shown);
}

void parse_report_note(noted_records *noted, uint32_t file_number, uint64_t line)
{
    if (noted->count++ == 0) {
        noted->file = file_number;
        noted->line = line;
    }
}

/* Adds what holds for records that come later. */
static void merge_notes(noted_records *notes, const noted_records *later, uint32_t file, uint64_t lines_before)
{
    const uint64_t count = notes->count + later->count;
    if (notes->count == 0 && later->count > 0) {
        *notes = *later;
        notes->line += later->file == file ? lines_before : 0;
    }
    notes->count = count;
}

void parse_report_merge(parse_report *report, const parse_report *later, uint32_t file, uint64_t lines_before)
{
    report->lines += later->lines;
    report->records += later->records;
    report->continued += later->continued;
    report->longest = later->longest > report->longest ? later->longest : report->longest;
    merge_notes(&report->spanning, &later->spanning, file, lines_before);
    merge_notes(&report->marked, &later->marked, file, lines_before);
    merge_notes(&report->foreign, &later->foreign, file, lines_before);
    merge_notes(&report->cut, &later->cut, file, lines_before);
    for (size_t reason = 0; reason < DROP_REASONS; ++reason) {
        report->dropped[reason] += later->dropped[reason];
        for (uint64_t i = 0; i < later->example_count[reason] && report->example_count[reason] < REPORT_EXAMPLES; ++i) {
            dropped_line *example = &report->examples[reason][report->example_count[reason]++];
            *example = later->examples[reason][i];
            if (example->file == file)
                example->line += lines_before;
        }
    }
}

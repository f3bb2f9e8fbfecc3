/* Fields of tables: random texts of delimiters, quotes and line ends, against a parser that looks at one character after the
 * other. */
#include "files.h"
#include "readers/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LONGEST = 60 };

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

static size_t make_text(uint64_t *random, char *text)
{
    static const char *const pieces[] = {"a", "b", ",", ",", "\"", "\"", "\"\"", "\",\"", "\n", "\r\n", "\"\n", "\r"};
    const size_t count = next_random(random) % 20;
    *text = '\0';
    for (size_t i = 0; i < count; ++i)
        strcat(text, pieces[next_random(random) % (sizeof pieces / sizeof *pieces)]);
    return strlen(text);
}

/* Where the line that begins at `at` ends, its end included. */
static const char *behind_line(const char *at, const char *end)
{
    while (at < end && *at != '\n')
        ++at;
    return at < end ? at + 1 : end;
}

/* Whether a record ends here, and how many characters its end has. */
static bool ends_record(const char *at, const char *end, size_t *length)
{
    const bool carriage = at < end && *at == '\r';
    *length = (size_t)carriage + (at + carriage < end);
    return at == end || *at == '\n' || (carriage && (at + 1 == end || at[1] == '\n'));
}

static void add_character(char *text, char character)
{
    const size_t length = strlen(text);
    text[length] = character;
    text[length + 1] = '\0';
}

/* Appends the fields of the record at *at to `shown` as <field><field>;, or !; for one that is malformed: then only its first
 * line is used up. */
static void parse_record(const char **at, const char *end, char *shown)
{
    const char *begin = *at, *now = *at;
    char fields[8 * LONGEST] = "";
    size_t length;
    for (;;) {
        const bool quoted = now < end && *now == '"';
        strcat(fields, "<");
        for (now += quoted;; ++now) {
            if (quoted && now == end) {
                strcat(shown, "!;");
                *at = behind_line(begin, end);
                return;
            }
            if (quoted && *now == '"' && now + 1 < end && now[1] == '"')
                ++now;
            else if (quoted && *now == '"')
                break;
            else if (!quoted && (ends_record(now, end, &length) || *now == ','))
                break;
            add_character(fields, *now);
        }
        strcat(fields, ">");
        now += quoted;
        if (ends_record(now, end, &length))
            break;
        if (*now != ',') {
            strcat(shown, "!;");
            *at = behind_line(begin, end);
            return;
        }
        ++now;
    }
    *at = now + length;
    strcat(strcat(shown, fields), ";");
}

/* The same by what is tested. */
static void read_records(const char *path, char *shown)
{
    static const reader_options options;
    static reading r;
    sr_error error;
    const char *line, *wrong;
    size_t length, count;
    memset(&r, 0, sizeof r);
    r.options = &options;
    r.delimiter = ",";
    r.quotes = QUOTES_OVER_LINES;
    assert_int_equal(lines_open(&r.file, path, &error), SR_OK);
    for (;;) {
        assert_int_equal(lines_take(r.file, &line, &length, &error), SR_OK);
        if (!line)
            break;
        assert_int_equal(table_fields(&r, line, length, &count, &wrong, &error), SR_OK);
        for (size_t i = 0; i < count && !wrong; ++i) {
            strcat(shown, "<");
            strncat(shown, r.fields[i].text, r.fields[i].length);
            strcat(shown, ">");
        }
        strcat(shown, wrong ? "!;" : ";");
    }
    lines_close(r.file);
    free(r.scratch);
}

static void random_texts_have_the_fields_of_a_simple_parser(void **state)
{
    uint64_t random = 3;
    char path[FILES_PATH_SIZE];
    size_t good = 0, bad = 0;
    files_path(path, *state, "table");
    for (int i = 0; i < 3000; ++i) {
        char text[2 * LONGEST], expected[32 * LONGEST] = "", found[32 * LONGEST] = "";
        const size_t size = make_text(&random, text);
        files_write(path, text, size);
        for (const char *at = text; at < text + size;)
            parse_record(&at, text + size, expected);
        read_records(path, found);
        if (strcmp(expected, found) != 0)
            fail_msg("of\n%s\nexpected\n%s\nfound\n%s", text, expected, found);
        good += strstr(found, "\n") != NULL && !strchr(found, '!');
        bad += strchr(found, '!') != NULL;
    }
    assert_true(good > 50 && bad > 50); /* of records over several lines, and of malformed ones */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_texts_have_the_fields_of_a_simple_parser),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

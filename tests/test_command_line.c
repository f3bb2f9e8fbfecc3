/* Options with types: what they read, what they refuse and say, and what help tells of them. */
#include "base/units.h"
#include "srtrain/command_line.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- numbers, sizes and durations ---- */

static void whole_numbers_are_digits_alone(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "18446744073709551616", "many"};
    uint64_t value = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        if (sr_read_whole(wrong[i], &value) || value != 7)
            fail_msg("\"%s\" is read as %llu", wrong[i], (unsigned long long)value);
    assert_true(sr_read_whole("18446744073709551615", &value) && value == UINT64_MAX);
    assert_true(sr_read_whole("007", &value) && value == 7);
}

static void numbers_are_finite_and_decimal(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "nan", "inf", "1e999", "0x10", " 5", "5 ", "1.2.3", "-", "e5", "5x"};
    double value = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        if (sr_read_number(wrong[i], &value) || value != 7)
            fail_msg("\"%s\" is read as %g", wrong[i], value);
    assert_true(sr_read_number("-0.5", &value) && value == -0.5);
    assert_true(sr_read_number("1.5e-3", &value) && value == 1.5e-3);
}

static void sizes_have_powers_of_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } known[] = {{"0", 0},
                 {"4096", 4096},
                 {"3K", 3 << 10},
                 {"512M", 512 << 20},
                 {"8G", UINT64_C(8) << 30},
                 {"2T", UINT64_C(2) << 40},
                 {"16777215T", UINT64_C(16777215) << 40}};
    static const char *const wrong[] = {"", "G", "-1G", "1.5G", "8GB", "8g", "8 G", "16777216T", "5X"};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        uint64_t bytes = 1;
        if (!sr_read_bytes(known[i].text, &bytes) || bytes != known[i].bytes)
            fail_msg("\"%s\" is read as %llu bytes", known[i].text, (unsigned long long)bytes);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        uint64_t bytes;
        if (sr_read_bytes(wrong[i], &bytes))
            fail_msg("\"%s\" is read as %llu bytes", wrong[i], (unsigned long long)bytes);
    }
}

static void durations_are_seconds_units_or_clocks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } known[] = {{"3600", 3600},  {"0.5", 0.5},        {"90s", 90},          {"90m", 5400},    {"1.5h", 5400},
                 {"2d", 172800},  {"1:30:00", 5400},   {"30:00", 1800},      {"00:00:05", 5},  {"1-12:00:00", 129600},
                 {"2-0", 172800}, {"1-06:30", 109800}, {"48:00:00", 172800}, {"1:90:00", 9000}};
    static const char *const wrong[] = {"",     "0",      "0:00",  "-5",   "+5",
                                        "1e3",  " 5",     "5 ",    "5x",   "5mm",
                                        "h",    "1:",     ":30",   "1::2", "1:2:3:4",
                                        "1-",   "-1:00",  "1-2-3", "inf",  "nan",
                                        "0x10", "1.5:00", "1..5",  "a-1",  "12345678901234567"};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        double seconds = -1;
        if (!sr_read_duration(known[i].text, &seconds) || seconds != known[i].seconds)
            fail_msg("\"%s\" is read as %g seconds", known[i].text, seconds);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        double seconds = -1;
        if (sr_read_duration(wrong[i], &seconds) || seconds != -1)
            fail_msg("\"%s\" is read as %g seconds", wrong[i], seconds);
    }
}

static void a_variable_of_the_environment_may_go_on_behind_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } known[] = {{"4", 4}, {"4,2", 4}, {"4(x2)", 4}, {" 3", 3}, {"", 0}, {"-2", 0}, {"many", 0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        assert_int_equal(setenv("SRTRAIN_TEST_NUMBER", known[i].text, 1), 0);
        if (sr_number_of_environment("SRTRAIN_TEST_NUMBER") != known[i].number)
            fail_msg("\"%s\" is not %llu", known[i].text, (unsigned long long)known[i].number);
    }
    assert_int_equal(unsetenv("SRTRAIN_TEST_NUMBER"), 0);
    assert_int_equal(sr_number_of_environment("SRTRAIN_TEST_NUMBER"), 0);
}

/* ---- options ---- */

static const char *const colours[] = {"red", "green", "blue", NULL};

typedef struct {
    const char *operand, *text, *file, *directory;
    uint64_t count, bytes;
    double number, seconds, limit;
    int colour;
    bool flag, has_number, is_automatic;
} values;

static sr_status read_line(values *v, const char *line, sr_error *error)
{
    static char copy[512]; /* values point into it */
    char *arguments[32] = {NULL}, *rest = NULL;
    int count = 0;
    const sr_option options[] = {
        {.name = "text", .value = &v->text, .standard = "none", .help = "some text"},
        {.name = "file", .file = &v->file, .help = "a file"},
        {.name = "directory", .directory = &v->directory, .required = true, .help = "where all is"},
        {.name = "count", .count = &v->count, .least = 1, .most = 9, .standard = "3", .help = "how many"},
        {.name = "bytes", .bytes = &v->bytes, .least = 1 << 20, .help = "how large"},
        {.name = "number", .number = &v->number, .lowest = -1, .highest = 1.5, .given = &v->has_number, .help = "how much"},
        {.name = "seconds", .seconds = &v->seconds, .may_be_zero = true, .standard = "30m", .help = "how long"},
        {.name = "limit", .seconds = &v->limit, .word = "auto", .is_word = &v->is_automatic, .help = "until when"},
        {.name = "colour", .choice = &v->colour, .choices = colours, .standard = "green", .help = "which colour"},
        {.name = "flag", .flag = &v->flag, .help = "whether"}};
    memset(v, 0, sizeof *v);
    snprintf(copy, sizeof copy, "paint %s", line);
    for (char *word = strtok_r(copy, " ", &rest); word && count < 31; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    return sr_command_line_read("program", count, arguments, "WHAT", &v->operand, options, sizeof options / sizeof *options,
                                error);
}

static void values_begin_with_the_defaults_of_their_rows(void **state)
{
    (void)state;
    values v;
    sr_error error = {.message = ""};
    if (read_line(&v, "wall --directory d", &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_string_equal(v.operand, "wall");
    assert_string_equal(v.text, "none");
    assert_null(v.file);
    assert_true(v.count == 3 && v.bytes == 0 && v.seconds == 1800 && v.colour == 1);
    assert_true(v.limit == 0 && !v.is_automatic && !v.flag && !v.has_number);
}

static void values_are_stored_by_their_types(void **state)
{
    (void)state;
    values v;
    sr_error error = {.message = ""};
    if (read_line(&v,
                  "--directory=d --file f --text t wall --count 9 --bytes 2M --number=-1 --seconds 0 --limit auto --colour "
                  "blue --flag",
                  &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_string_equal(v.file, "f");
    assert_string_equal(v.directory, "d");
    assert_string_equal(v.text, "t");
    assert_true(v.count == 9 && v.bytes == 2 << 20 && v.number == -1 && v.has_number && v.seconds == 0 && v.colour == 2);
    assert_true(v.is_automatic && v.flag);
    if (read_line(&v, "wall --directory d --limit auto --limit 1h --count 1 --count 2", &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_true(v.limit == 3600 && !v.is_automatic && v.count == 2);
}

static void a_wrong_value_is_told_with_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"wall", "program paint: --directory is missing; expected --directory DIR: where all is"},
        {"wall --directory d --count 0", "--count 0: allowed is a whole number from 1 to 9"},
        {"wall --directory d --count 2x", "--count 2x: allowed is a whole number from 1 to 9"},
        {"wall --directory d --bytes 5K", "--bytes 5K: allowed is a number of bytes, as 512M or 8G, at least 1M"},
        {"wall --directory d --number 2", "--number 2: allowed is a number from -1 to 1.5"},
        {"wall --directory d --number nan", "--number nan: allowed is a number from -1 to 1.5"},
        {"wall --directory d --seconds soon", "--seconds: \"soon\" is not a duration: expected seconds (3600), "},
        {"wall --directory d --seconds soon", "or 0 for never"},
        {"wall --directory d --limit 0", "--limit: \"0\" is not a duration"},
        {"wall --directory d --colour gren", "--colour gren, did you mean green?: allowed are red, green and blue"},
        {"wall --directory d --colour", "--colour needs a value"},
        {"wall --directory d --colour=", "found an empty one; expected red|green|blue"},
        {"wall --directory d --flag=yes", "--flag takes no value"},
        {"--directory d", "WHAT is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        values v;
        sr_error error = {.message = ""};
        assert_int_equal(read_line(&v, cases[i].line, &error), SR_ERROR_USAGE);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" is missing in \"%s\"", cases[i].says, error.message);
    }
}

static void options_are_written_as_they_were_read(void **state)
{
    (void)state;
    const char *text = "a b", *file = NULL;
    uint64_t count = 5;
    double seconds = 0.5;
    int colour = 2;
    bool given = false;
    const sr_option options[] = {{.name = "text", .value = &text},
                                 {.name = "file", .file = &file},
                                 {.name = "count", .count = &count, .given = &given},
                                 {.name = "seconds", .seconds = &seconds},
                                 {.name = "colour", .choice = &colour, .choices = colours}};
    char *written = NULL;
    size_t size;
    FILE *stream = open_memstream(&written, &size);
    assert_non_null(stream);
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i)
        sr_option_write(&options[i], stream);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(written, "--text a b--file not given--count 5 (not given)--seconds 0.5--colour blue");
    free(written);
}

/* Standard output of a call for help. */
static void read_help(const char *argument, char *text, size_t size)
{
    char path[] = "/tmp/srtrain-help-XXXXXX";
    const int file = mkstemp(path), old = dup(STDOUT_FILENO);
    values v;
    sr_error error;
    assert_true(file >= 0 && old >= 0);
    fflush(stdout);
    assert_true(dup2(file, STDOUT_FILENO) >= 0);
    const sr_status status = read_line(&v, argument, &error);
    fflush(stdout);
    assert_true(dup2(old, STDOUT_FILENO) >= 0);
    const ssize_t length = pread(file, text, size - 1, 0);
    close(old);
    close(file);
    unlink(path);
    assert_int_equal(status, SR_HELP_GIVEN);
    assert_true(length > 0);
    text[length] = '\0';
}

static void help_tells_types_defaults_and_what_is_required(void **state)
{
    (void)state;
    static const char *const parts[] = {"--directory DIR\n      where all is; required\n",
                                        "--count N\n      how many; by default 3\n",
                                        "--bytes SIZE\n      how large\n",
                                        "--number X\n",
                                        "--seconds DURATION|0\n      how long; by default 30m\n",
                                        "--colour red|green|blue\n      which colour; by default green\n",
                                        "--flag\n      whether\n"};
    char text[4096];
    read_help("--help", text, sizeof text);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i)
        if (!strstr(text, parts[i]))
            fail_msg("\"%s\" is missing in\n%s", parts[i], text);
    read_help("--help=man", text, sizeof text);
    assert_non_null(strstr(text, "how many; by default 3\n"));
    read_help("--help=completion", text, sizeof text);
    assert_non_null(strstr(text, "_program_values[paint--colour]=\"words red green blue\""));
    assert_non_null(strstr(text, "_program_values[paint--file]=\"words /file\""));
    assert_non_null(strstr(text, "_program_values[paint--directory]=\"words /directory\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_digits_alone),
        cmocka_unit_test(numbers_are_finite_and_decimal),
        cmocka_unit_test(sizes_have_powers_of_1024),
        cmocka_unit_test(durations_are_seconds_units_or_clocks),
        cmocka_unit_test(a_variable_of_the_environment_may_go_on_behind_its_number),
        cmocka_unit_test(values_begin_with_the_defaults_of_their_rows),
        cmocka_unit_test(values_are_stored_by_their_types),
        cmocka_unit_test(a_wrong_value_is_told_with_what_is_allowed),
        cmocka_unit_test(options_are_written_as_they_were_read),
        cmocka_unit_test(help_tells_types_defaults_and_what_is_required),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

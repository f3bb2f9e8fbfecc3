/* Odd ways to write a configuration are refused as documented, and messages show them in a way that fits on a terminal. */
#include "base/shown.h"
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PATH "data: {path: x}\n"

static sr_error refused(const char *text, const char *assignment)
{
    sr_settings settings;
    sr_error error = {0};
    const sr_status status = sr_settings_parse(&settings, text, "run.yaml", &assignment, assignment != NULL, &error);
    if (status != SR_ERROR_USAGE)
        fail_msg("status %d instead of a refusal for\n%.200s%.200s", (int)status, text, assignment ? assignment : "");
    return error;
}

static void expect(const sr_error *error, const char *part)
{
    if (!strstr(error->message, part))
        fail_msg("\"%s\" is missing in\n%s", part, error->message);
}

static void tags_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {PATH "model: {!!str heads: 2}\n", "run.yaml:2:"},
        {PATH "model: {!!str heads: 2}\n", "a key of model has a tag, which is not supported"},
        {PATH "!!str model: {heads: 2}\n", "a key of the configuration has a tag"},
        {PATH "model: !!map {heads: 2}\n", "model is a value with a tag, which is not supported"},
        {PATH "model: !!map\n", "model is a value with a tag"},
        {PATH "model: !!null\n", "model is a value with a tag"},
        {PATH "model: !!null ~\n", "model is a value with a tag"},
        {PATH "calibrators: {spatial: !own }\n", "calibrators.spatial is a value with a tag"},
        {"!!map {data: {path: x}}\n", "the configuration is a value with a tag"},
        {PATH "evaluation: {top_k: !!seq [5, 10]}\n", "evaluation.top_k is a value with a tag"},
        {PATH "evaluation: {top_k: [5, !!int 10]}\n", "evaluation.top_k is [5, 10]"},
        {PATH "training: {epochs: !!null }\n", "training.epochs is a value with a tag"},
        {PATH "model: {backbone: !!str sasrec}\n", "model.backbone is a value with a tag"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const sr_error error = refused(cases[i].text, NULL);
        expect(&error, cases[i].part);
    }
    const sr_error error = refused(PATH, "training.epochs=!!int 3");
    expect(&error, "a value with a tag");
}

static void empty_sections_without_a_tag_keep_their_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {PATH "model:\n", PATH "model: {}\n", PATH "model: # all defaults\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        sr_settings settings;
        sr_error error = {0};
        assert_int_equal(sr_settings_parse(&settings, texts[i], "run.yaml", NULL, 0, &error), SR_OK);
        assert_int_equal(settings.model.layers, 2);
    }
}

static void a_key_with_a_zero_byte_is_no_other_key(void **state)
{
    (void)state;
    const sr_error error = refused(PATH "model: {\"heads\\0s\": 2}\n", NULL);
    expect(&error, "run.yaml:2:9: error: a key of model is not a single word");
}

static void whole_numbers_are_digits_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"+2", "2.0", "2e0", "02", "0x2", "2_0", "0o2", "--2", "+"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        char text[64], assignment[64];
        snprintf(text, sizeof text, PATH "model:\n  layers: %s\n", texts[i]);
        sr_error error = refused(text, NULL);
        expect(&error, "allowed is a whole number in digits from 1 to 64");
        snprintf(assignment, sizeof assignment, "model.layers=%s", texts[i]);
        error = refused(PATH, assignment);
        expect(&error, "allowed is a whole number in digits from 1 to 64");
    }
    const sr_error error = refused(PATH "evaluation: {top_k: [+5, 10]}\n", NULL);
    expect(&error, "evaluation.top_k is [+5, 10]; allowed is a list");
}

static void numbers_that_would_become_0_are_refused(void **state)
{
    (void)state;
    static const char *const small[] = {
        "1e-330", "1e-320", "1e-39", "0.5E-60", "-1e-330", "0.000000000000000000000000000000000000000001", "00000.1e-400"};
    for (size_t i = 0; i < sizeof small / sizeof *small; ++i) {
        char text[128];
        snprintf(text, sizeof text, PATH "training: {weight_decay: %s}\n", small[i]);
        const sr_error error = refused(text, NULL);
        expect(&error, small[i]);
        expect(&error, "allowed is a number from 0 to 10; it is too near to 0 for single precision");
    }
    static const char *const zeros[] = {"0", "0.0", "0e-330", "-0", "0.000E5", "+0"};
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; ++i) {
        char text[128];
        sr_settings settings;
        sr_error error = {0};
        snprintf(text, sizeof text, PATH "training: {weight_decay: %s}\n", zeros[i]);
        if (sr_settings_parse(&settings, text, "run.yaml", NULL, 0, &error) != SR_OK)
            fail_msg("%s", error.message);
        assert_true(settings.training.weight_decay == 0);
    }
    sr_settings settings;
    sr_error error = {0};
    assert_int_equal(sr_settings_parse(&settings, PATH "training: {weight_decay: 1e-37}\n", "run.yaml", NULL, 0, &error),
                     SR_OK);
    assert_true(settings.training.weight_decay > 0);
}

/* No message sends a control character to the terminal, but tabs and the ends of its own lines. */
static void expect_printable(const sr_error *error)
{
    for (const char *at = error->message; *at; ++at) {
        const unsigned char byte = (unsigned char)*at, next = (unsigned char)at[1];
        if ((byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7F || (byte == 0xC2 && next >= 0x80 && next < 0xA0))
            fail_msg("byte 0x%02X in a message", byte);
    }
}

static void messages_hold_no_control_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *assignment, *part;
    } cases[] = {
        {PATH "model: {\"he\\x1b[31mads\": 2}\n", NULL, "unknown key 'model.he?[31mads'"},
        {PATH "\"a\\u009b31m\\nb\": {}\n", NULL, "unknown key 'a?31m?b'"},
        {PATH "model: {heads: \"\\x07\\x7f\"}\n", NULL, "model.heads is ?? (quoted text)"},
        {PATH "model: {backbone: \"\\e[2Jsasrec\"}\n", NULL, "model.backbone is ?[2Jsasrec"},
        {PATH "evaluation: {top_k: [\"\\b\", 2]}\n", NULL, "top_k is [?, 2]"},
        {PATH "model: {\"x\\ty\": 1, heads:\t2}\n", NULL, "\n  model: {\"x\\ty\": 1, heads: 2}\n          ^"},
        {PATH, "mo\x1b[31mdel.heads=2", "--set mo?[31mdel.heads=2: error: unknown"},
        {PATH, "model.heads=\"\\e[31m\"", "model.heads is ?[31m"},
        {PATH "model: {h\x1b[0m: 2}\n", NULL, "run.yaml:2:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const sr_error error = refused(cases[i].text, cases[i].assignment);
        expect_printable(&error);
        expect(&error, cases[i].part);
    }
}

enum { LONG = 100000 };

/* A text of LONG bytes: a beginning, a letter many times, an end. */
static char *long_text(const char *begin, char fill, const char *end)
{
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, fill, LONG);
    text[LONG] = '\0';
    memcpy(text, begin, strlen(begin));
    memcpy(text + LONG - strlen(end), end, strlen(end) + 1);
    return text;
}

static void long_lines_are_cut_around_what_is_wrong(void **state)
{
    (void)state;
    char *text = long_text("data: {path: x}\nmodel: {", 'k', ": 1}\n");
    sr_error error = refused(text, NULL);
    free(text);
    expect(&error, "known in model: backbone");
    expect(&error, "kkk...'");
    assert_true(strlen(error.message) < 2000);

    text = long_text("data: {path: x}\nmodel: {", ' ', "haeds: 1} # behind\n");
    error = refused(text, NULL);
    free(text);
    expect(&error, "run.yaml:2:99966: error: unknown key 'model.haeds', did you mean 'heads'?");
    assert_true(strlen(error.message) < 2000);
    const char *shown = strstr(error.message, "\n  ...");
    assert_non_null(shown);
    const char *caret_line = strchr(shown + 1, '\n');
    assert_non_null(caret_line);
    const char *caret = strchr(caret_line, '^');
    assert_non_null(caret);
    assert_memory_equal(shown + (caret - caret_line), "haeds: 1} # behind", 18);

    text = long_text("model.haeds=", 'v', "");
    error = refused(PATH, text);
    free(text);
    expect(&error, "--set model.haeds=vvv");
    expect(&error, "vvv...: error: unknown key 'model.haeds', did you mean 'heads'?");
    assert_true(strlen(error.message) < 2000);
}

static void shown(const char *text, size_t size, const char *expected)
{
    char found[64];
    memset(found, '#', sizeof found);
    shown_text(text, strlen(text), found, size);
    assert_string_equal(found, expected);
    assert_true(strlen(found) < size);
    assert_int_equal(found[size], '#');
}

static void text_is_cut_between_characters(void **state)
{
    (void)state;
    shown("", 4, "");
    shown("abc", 4, "abc");
    shown("abcd", 4, "...");
    shown("abcdefgh", 8, "abcd...");
    shown("abcdefg", 8, "abcdefg");
    shown("abc\xC3\xA9 fgh", 8, "abc..."); /* an e with an accent would be cut in two */
    shown("\xF0\x9F\x98\x80\xF0\x9F\x98\x80", 8, "\xF0\x9F\x98\x80...");
    shown("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 12, "\x80\x80\x80\x80..."); /* no UTF-8 at all */
    shown("a\tb\rc\x1B\x7F\xC2\x85.", 32, "a\tb?c???.");
    shown("\xC2", 8, "\xC2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_refused_wherever_they_stand),
        cmocka_unit_test(empty_sections_without_a_tag_keep_their_defaults),
        cmocka_unit_test(a_key_with_a_zero_byte_is_no_other_key),
        cmocka_unit_test(whole_numbers_are_digits_alone),
        cmocka_unit_test(numbers_that_would_become_0_are_refused),
        cmocka_unit_test(messages_hold_no_control_characters),
        cmocka_unit_test(long_lines_are_cut_around_what_is_wrong),
        cmocka_unit_test(text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lines of JSON and of Python: keys in objects, arrays, digits that are kept, and what is said about other things. */
#include "files.h"
#include "raw_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void paths_lead_through_objects_and_arrays(void **state)
{
    const reader_options otto = {.columns = "user=session,item=events.aid,time=events.ts"};
    const char *text = "{\"session\":0,\"events\":[{\"aid\":7,\"ts\":1659304800025,\"type\":\"clicks\"},"
                       "{\"ts\":1659304800026,\"aid\":8,\"type\":\"carts\"}]}\n"
                       "{\"events\":[{\"aid\":9,\"ts\":5,\"type\":\"clicks\"}],\"session\":12345678901234567890}\n"
                       "{\"session\":2,\"events\":[]}\n";
    const raw_row rows[] = {{"0", "7", 1659304800025, 0}, {"0", "8", 1659304800026, 0}, {"12345678901234567890", "9", 5, 0}};
    assert_rows(*state, "json", &otto, text, rows, 3);
    const char *const clicks[] = {"events.type=clicks"};
    reader_options chosen = otto;
    chosen.where = clicks;
    chosen.where_count = 1;
    const raw_row clicked[] = {rows[0], rows[2]};
    assert_rows(*state, "json", &chosen, text, clicked, 2);
    const reader_options playlists = {.columns = "user=playlists.pid,item=playlists.tracks.track_uri"};
    const raw_row tracks[] = {{"1", "a", 0, 0}, {"1", "b", 0, 0}, {"2", "c", 0, 0}};
    assert_rows(*state, "json", &playlists,
                "{\"info\":{},\"playlists\":[{\"pid\":1,\"tracks\":[{\"track_uri\":\"a\"},{\"track_uri\":\"b\"}]},"
                "{\"tracks\":[{\"track_uri\":\"c\"}],\"pid\":2}]}\n",
                tracks, 3);
    const reader_options side = {.columns = "user=u,item=i,time=t,rating=r"};
    const raw_row pairs[] = {{"a", "x", 5, 1}, {"a", "y", 6, 1}};
    assert_rows(*state, "json", &side, "{\"u\":\"a\",\"i\":[\"x\",\"y\"],\"t\":[5,6],\"r\":1}\n", pairs, 2);
    const reader_options dotted = {.columns = "user=a.b,item=a.c"};
    const raw_row found[] = {{"1", "2", 0, 0}};
    assert_rows(*state, "json", &dotted, "{\"a\":{\"b\":5,\"c\":2},\"a.b\":1}\n", found, 1); /* the whole key comes first */
}

static void an_element_that_does_not_fit_drops_its_line(void **state)
{
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error;
    const reader_options options = {.columns = "user=u,item=e.i,time=e.t", .na_values = "NA"};
    const char *text = "{\"u\":1,\"e\":[{\"i\":1,\"t\":1},{\"i\":2},{\"t\":3}]}\n"
                       "{\"u\":2,\"e\":[{\"i\":\"NA\",\"t\":1},{\"i\":2,\"t\":2}]}\n";
    assert_int_equal(raw_read(*state, "json", &options, text, &all, &report, &facts, &error), SR_OK);
    assert_int_equal(all.count, 1);
    assert_int_equal(report.dropped[DROPPED_KEY], 1);
    assert_int_equal(report.dropped[DROPPED_NA], 1);
    assert_bad(*state, "json", &options, text, SR_ERROR_DATA, "the key \"e.t\" is missing; there are i");
    const reader_options outside = {.columns = "user=u,item=i"};
    assert_bad(*state, "json", &outside, text, SR_ERROR_DATA, "the key \"i\" is missing, did you mean \"e.i\"; there are u, e");
    const reader_options side = {.columns = "user=u,item=i,time=t"};
    assert_bad(*state, "json", &side, "{\"u\":1,\"i\":[1,2],\"t\":[3]}\n", SR_ERROR_DATA,
               "the array of \"t\" has fewer elements than that of \"i\"");
    assert_bad(*state, "json", &side, "{\"u\":[1],\"i\":5,\"t\":3}\n", SR_ERROR_DATA, "\"u\" is neither text nor a number");
    assert_bad(*state, "json", &options, "{\"u\":1,\"e\":[5]}\n", SR_ERROR_DATA, "there is no object in which \"i\" could be");
}

static void digits_of_numbers_are_kept(void **state)
{
    const reader_options options = {.columns = "user=u,item=i,time=t"};
    const raw_row rows[] = {{"9007199254740993", "-9223372036854775807", 9223372036854775807, 0},
                            {"18446744073709551615", "0", 1, 0},
                            {"5", "1200", 2, 0},
                            {"0.1", "7", 3, 0}};
    assert_rows(*state, "json", &options,
                "{\"u\":9007199254740993,\"i\":-9223372036854775807,\"t\":9223372036854775807}\n"
                "{\"u\":18446744073709551615,\"i\":-0,\"t\":1}\n"
                "{\"u\":5.0,\"i\":1.2e3,\"t\":2}\n{\"u\":1e-1,\"i\":007,\"t\":3.0}\n",
                rows, 4);
    assert_bad(*state, "json", &options, "{\"u\":1e16,\"i\":1,\"t\":1}\n", SR_ERROR_DATA,
               "is a number beyond 2^53 that is not written with its digits alone");
}

static void what_no_key_asks_for_may_be_anything(void **state)
{
    const reader_options options = {.columns = "user=u,item=i"};
    const raw_row rows[] = {{"a", "b", 0, 0}};
    assert_rows(*state, "json", &options,
                "{\"x\":NaN,\"y\":[-Infinity,{}],\"u\":\"a\",\"z\":\"\\u0000\tq\",\"i\":\"b\",\"n\":1e999}\n", rows, 1);
    const reader_options rated = {.columns = "user=u,item=i,rating=r", .na_values = "NaN"};
    static raw_rows all;
    static parse_report report;
    reader_facts facts;
    sr_error error;
    assert_int_equal(raw_read(*state, "json", &rated, "{\"u\":1,\"i\":2,\"r\":NaN}\n{\"u\":1,\"i\":2,\"r\":3}\n", &all, &report,
                              &facts, &error),
                     SR_OK);
    assert_int_equal(report.dropped[DROPPED_NA], 1);
    const reader_options strict = {.columns = "user=u,item=i,rating=r"};
    assert_bad(*state, "json", &strict, "{\"u\":1,\"i\":2,\"r\":NaN}\n", SR_ERROR_DATA, "--na-values 'NaN' leaves out lines");
}

static void escapes_stand_for_utf_8(void **state)
{
    const reader_options options = {.columns = "user=u,item=i"};
    const raw_row rows[] = {{"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\"\\/\b\f\n\r\t", 0, 0}};
    assert_rows(*state, "json", &options,
                "{\"\\u0075\":\"\\u00e9\\u20AC\\ud83d\\ude00\",\"i\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}\n", rows, 1);
    const char *const bad[] = {"\\ud83d", "\\ude00", "\\ud83dx", "\\q", "\\u12g4", "\\u12", "\\x41"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        char text[64];
        snprintf(text, sizeof text, "{\"u\":\"%s\",\"i\":1}\n", bad[i]);
        assert_bad(*state, "json", &options, text, SR_ERROR_DATA, "an escape is not known");
    }
}

static void what_is_no_line_of_json_is_named(void **state)
{
    const reader_options options = {.columns = "user=u,item=i"};
    const struct {
        const char *text, *says;
    } cases[] = {
        {"[{\"u\":1,\"i\":2},\n{\"u\":1,\"i\":2}]\n", "this looks like one array, not an object a line: jq -c '.[]'"},
        {"[{\"u\":1,\"i\":2}]\n", "the line is JSON, but not an object: expected {...}, one a line; this looks like one array"},
        {"{\n  \"u\": 1\n}\n", "this looks like one document, not an object a line: jq -c '.KEY[]'"},
        {"{u'u': 1}\n", "this is a Python dictionary: --format python reads it"},
        {"{'u': 1}\n", "this is a Python dictionary: --format python reads it"},
        {"{\"u\":1 \"i\":2}\n", "column 8: no comma follows a value"},
        {"{\"u\" 1}\n", "no colon follows a key"},
        {"{1:1}\n", "a key is no text"},
        {"{\"u\":-}\n", "a number has no digits"},
        {"{\"u\":1e}\n", "a number has no digits behind its e"},
        {"{\"u\":nul}\n", "this is no value"},
        {"{\"u\":1}}\n", "something stands behind its end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        assert_bad(*state, "json", &options, cases[i].text, SR_ERROR_DATA, cases[i].says);
    char deep[4096];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"u\":", 5);
    strcpy(deep + sizeof deep - 2, "\n");
    assert_bad(*state, "json", &options, deep, SR_ERROR_DATA, "objects and arrays are more than 1000 deep");
}

static void python_dictionaries_are_read(void **state)
{
    const reader_options options = {.columns = "user=username,item=product_id,time=date"};
    const raw_row steam[] = {{"player 0", "70000", 1436486400, 0}, {"it's", "7", 1436572800, 0}};
    assert_rows(*state, "python", &options,
                "{u'username': u'player 0', u'hours': 10.9, u'product_id': u'70000', u'date': u'2015-07-10', "
                "u'early_access': False, u'text': u\"it's \\\"fun\\\"\", 'x': None}\n"
                "{'username': \"it's\", 'product_id': 7L, 'date': '2015-07-11', 'y': [(1,), {'a': True,},], 'z': nan}\n",
                steam, 2);
    const reader_options plain = {.columns = "user=u,item=i"};
    const raw_row escaped[] = {{"caf\xC3\xA9", "A\xE2\x82\xAC\\q'", 0, 0}};
    assert_rows(*state, "python", &plain, "{'u': 'caf\\xe9', 'i': '\\101\\u20ac\\q\\''}\n", escaped, 1);
    assert_bad(*state, "python", &plain, "{'u': u'a', 'i': b}\n", SR_ERROR_DATA, "the line is not Python");
    assert_bad(*state, "python", &plain, "{'u': True, 'i': 'b'}\n", SR_ERROR_DATA, "neither text nor a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_through_objects_and_arrays),
        cmocka_unit_test(an_element_that_does_not_fit_drops_its_line),
        cmocka_unit_test(digits_of_numbers_are_kept),
        cmocka_unit_test(what_no_key_asks_for_may_be_anything),
        cmocka_unit_test(escapes_stand_for_utf_8),
        cmocka_unit_test(what_is_no_line_of_json_is_named),
        cmocka_unit_test(python_dictionaries_are_read),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

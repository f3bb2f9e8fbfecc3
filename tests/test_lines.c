/* Reading lines: line ends, byte-order mark, compression, long lines, and files that are no text. */
#include "files.h"
#include "base/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Opens the file and checks that it has exactly these lines. */
static void assert_lines(const char *path, const char *const *expected, size_t count)
{
    sr_error error;
    lines *file;
    if (lines_open(&file, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    const char *text;
    for (size_t i = 0; i < count; ++i) {
        if (lines_next(file, &text, &error) != SR_OK)
            fail_msg("%s", error.message);
        assert_non_null(text);
        assert_string_equal(text, expected[i]);
        assert_int_equal(lines_number(file), i + 1);
    }
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_null(text);
    lines_close(file);
}

static void assert_refused(const char *path, sr_status status, const char *says)
{
    sr_error error = {.status = SR_OK};
    lines *file;
    sr_status found = lines_open(&file, path, &error);
    const char *text = NULL;
    do {
        if (found == SR_OK)
            found = lines_next(file, &text, &error);
    } while (found == SR_OK && text);
    lines_close(file);
    assert_int_equal(found, status);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void line_ends_and_byte_order_mark_are_taken_off(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "text");
    const char *const expected[] = {"a b", "", "c\rd", "e"};
    files_write_text(path, "a b\n\nc\rd\ne\n");
    assert_lines(path, expected, 4);
    files_write_text(path, "\xEF\xBB\xBF"
                           "a b\r\n\r\nc\rd\r\ne");
    assert_lines(path, expected, 4);
    files_write_text(path, "");
    assert_lines(path, NULL, 0);
    files_write_text(path, "\xEF\xBB\xBF");
    assert_lines(path, NULL, 0);
}

static void compressed_files_are_recognised_by_their_bytes(void **state)
{
    char path[FILES_PATH_SIZE];
    const char text[] = "\xEF\xBB\xBFone\r\ntwo\r\nthree";
    const char *const expected[] = {"one", "two", "three"};
    files_path(path, *state, "no-suffix");
    files_write_gzip(path, text, sizeof text - 1);
    assert_lines(path, expected, 3);
    files_write_zstd(path, text, sizeof text - 1);
    assert_lines(path, expected, 3);
}

static void a_gzip_file_of_several_members_is_one_text(void **state)
{
    char path[FILES_PATH_SIZE], command[4 * FILES_PATH_SIZE];
    files_path(path, *state, "members");
    snprintf(command, sizeof command, "(printf 'a\\nb' | gzip; printf 'c\\nd\\n' | gzip) > %s", path);
    assert_int_equal(system(command), 0);
    const char *const expected[] = {"a", "bc", "d"};
    assert_lines(path, expected, 3);
}

/* Runs a command of the shell in which F stands for the path. */
static void run(const char *path, const char *command)
{
    char text[8 * FILES_PATH_SIZE] = "";
    for (const char *at = command; *at; ++at)
        snprintf(text + strlen(text), sizeof text - strlen(text), *at == 'F' ? "%s" : "%.1s", *at == 'F' ? path : at);
    assert_int_equal(system(text), 0);
}

static void zstd_files_of_several_frames_are_one_text(void **state)
{
    char path[FILES_PATH_SIZE], second[FILES_PATH_SIZE];
    const char *const expected[] = {"a", "bc", "d"};
    files_path(path, *state, "frames");
    files_path(second, *state, "frames.second");
    files_write_zstd(path, "a\nb", 3);
    files_write_zstd(second, "c\nd\n", 4);
    run(path, "cat F.second >> F");
    assert_lines(path, expected, 3);
    run(path, "(printf '\\120\\052\\115\\030\\003\\000\\000\\000xyz'; cat F) > F.second"); /* behind a frame to be skipped */
    assert_lines(second, expected, 3);
}

static void what_stands_behind_compressed_data_is_an_error(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "garbage");
    files_write_gzip(path, "a\nb\n", 4);
    run(path, "printf garbage >> F");
    assert_refused(path, SR_ERROR_DATA, "garbage is damaged: behind the end of its compressed data stands something else");
    files_write_zstd(path, "a\nb\n", 4);
    run(path, "printf garbage >> F");
    assert_refused(path, SR_ERROR_DATA, "garbage is damaged: behind the end of its compressed data stands something else");
}

static void pipes_may_give_bytes_one_by_one(void **state)
{
    char path[FILES_PATH_SIZE];
    const char *const expected[] = {"one", "two"};
    files_path(path, *state, "pipe");
    files_write_gzip(path, "one\ntwo\n", 8);
    run(path, "mkfifo F.fifo && (dd if=F of=F.fifo bs=1 2>/dev/null &)");
    strcat(path, ".fifo");
    assert_lines(path, expected, 2);
}

static void long_lines_come_whole_from_every_kind_of_file(void **state)
{
    enum { LENGTH = 5 * 1024 * 1024 };
    char path[FILES_PATH_SIZE];
    char *text = malloc(2 * LENGTH + 3);
    assert_non_null(text);
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\n';
    for (size_t i = 0; i < LENGTH; ++i)
        text[LENGTH + 1 + i] = (char)('a' + (i * i + i / 7) % 26);
    text[2 * LENGTH + 1] = '\n';
    text[2 * LENGTH + 2] = '\0';
    char *first = strndup(text, LENGTH), *second = strndup(text + LENGTH + 1, LENGTH);
    const char *const expected[] = {first, second};
    files_path(path, *state, "long");
    files_write(path, text, 2 * LENGTH + 2);
    assert_lines(path, expected, 2);
    files_write_gzip(path, text, 2 * LENGTH + 2);
    assert_lines(path, expected, 2);
    files_write_zstd(path, text,
                     2 * LENGTH + 2); /* the run of x compresses to a few bytes: much text after the last byte has been read */
    assert_lines(path, expected, 2);
    files_write_zstd(path, text, LENGTH);
    assert_lines(path, expected, 1);
    free(text);
    free(first);
    free(second);
}

static void what_is_no_text_is_refused(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "stub");
    files_write_text(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 24594131\n");
    assert_refused(path, SR_ERROR_DATA, "Git LFS pointer");
    files_write(path, "a\nb\0c\n", 6);
    assert_refused(path, SR_ERROR_DATA, ":2: the line holds a null byte");
    files_write(path, "PK\3\4xxxx", 8);
    assert_refused(path, SR_ERROR_DATA, "zip archive");
    files_write_text(path, "PAR1xxxx");
    assert_refused(path, SR_ERROR_DATA, "Parquet");
    files_write_text(path, "BZh91AY");
    assert_refused(path, SR_ERROR_DATA, "bzip2");
    files_write(path,
                "\xFF\xFE"
                "a\0\n\0",
                6);
    assert_refused(path, SR_ERROR_DATA, "UTF-16");
    run(path, "cd $(dirname F) && echo 'a 1' > member && tar --format=ustar -cf F member");
    assert_refused(path, SR_ERROR_DATA, "tar archive");
    files_path(path, *state, "missing");
    assert_refused(path, SR_ERROR_RUNTIME, "No such file");
    assert_refused(*state, SR_ERROR_RUNTIME, "directory");
}

/* Cuts `cut` bytes off a file. */
static void shorten(const char *path, size_t cut)
{
    static char bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    files_write(path, bytes, count - cut);
}

/* Turns one byte of a file around. */
static void damage(const char *path, size_t place)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)place, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, (long)place, SEEK_SET), 0);
    fputc(byte ^ 0xFF, file);
    assert_int_equal(fclose(file), 0);
}

static void truncated_compressed_files_are_refused(void **state)
{
    char path[FILES_PATH_SIZE], text[4000];
    for (size_t i = 0; i < sizeof text; ++i)
        text[i] = i % 50 == 49 ? '\n' : (char)('a' + (i * i * 7 + i / 3) % 26);
    files_path(path, *state, "cut");
    files_write_gzip(path, text, sizeof text);
    shorten(path, 4);
    assert_refused(path, SR_ERROR_DATA, "truncated");
    files_write_zstd(path, text, sizeof text);
    shorten(path, 4);
    assert_refused(path, SR_ERROR_DATA, "truncated");
    files_write_gzip(path, text, sizeof text);
    damage(path, 400);
    assert_refused(path, SR_ERROR_DATA, "cut is damaged: ");
    files_write_zstd(path, text, sizeof text);
    damage(path, 6);
    assert_refused(path, SR_ERROR_DATA, "cut is damaged: ");
}

static void a_line_can_be_continued_by_the_next(void **state)
{
    char path[FILES_PATH_SIZE];
    const char *text;
    size_t length;
    files_path(path, *state, "continued");
    files_write_text(path, "a\r\nb\nc\nd");
    lines *file;
    sr_error error;
    assert_int_equal(lines_open(&file, path, &error), SR_OK);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_int_equal(lines_continue(file, &text, &length, &error), SR_OK);
    assert_string_equal(text, "a\r\nb");
    assert_int_equal(length, 4);
    assert_int_equal(lines_continue(file, &text, &length, &error), SR_OK);
    assert_string_equal(text, "a\r\nb\nc");
    assert_int_equal(lines_number(file), 1);
    lines_take_back(file);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_string_equal(text, "b");
    assert_int_equal(lines_number(file), 2);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_string_equal(text, "d");
    assert_int_equal(lines_number(file), 4);
    assert_int_equal(lines_continue(file, &text, &length, &error), SR_OK);
    assert_null(text);
    lines_close(file);
}

/* All lines of a part, each followed by ";". */
static void read_part(const char *path, uint64_t begin, uint64_t end, char *all)
{
    sr_error error;
    lines *file;
    const char *text;
    if (lines_open_part(&file, path, begin, end, &error) != SR_OK)
        fail_msg("%s", error.message);
    for (;;) {
        assert_int_equal(lines_next(file, &text, &error), SR_OK);
        if (!text)
            break;
        strcat(strcat(all, text), ";");
    }
    lines_close(file);
}

static void parts_of_a_file_share_out_its_lines(void **state)
{
    char path[FILES_PATH_SIZE];
    const char *contents = "\xEF\xBB\xBFone\r\n\ntwo\nthree\n\n\nfour and more\nfive";
    uint64_t size;
    sr_error error;
    files_path(path, *state, "parts");
    files_write_text(path, contents);
    assert_int_equal(lines_divisible_size(path, &size, &error), SR_OK);
    assert_int_equal(size, strlen(contents));
    for (uint64_t first = 0; first <= size; ++first)
        for (uint64_t second = first; second <= size; ++second) {
            char all[128] = "";
            read_part(path, 0, first, all);
            read_part(path, first, second, all);
            read_part(path, second, UINT64_MAX, all);
            assert_string_equal(all, "one;;two;three;;;four and more;five;");
        }
    files_write_gzip(path, contents, strlen(contents));
    assert_int_equal(lines_divisible_size(path, &size, &error), SR_OK);
    assert_int_equal(size, 0);
}

static void messages_in_a_part_count_the_lines_of_the_file(void **state)
{
    char path[FILES_PATH_SIZE];
    const char *text;
    lines *file;
    sr_error error;
    files_path(path, *state, "counted");
    files_write_text(path, "a\nb\nc\nd\n");
    assert_int_equal(lines_open_part(&file, path, 3, 8, &error), SR_OK);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_string_equal(text, "c");
    assert_int_equal(lines_number(file), 1);
    assert_int_equal(lines_fail(file, text, &error, "found"), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "counted:3: found\n  c"));
    lines_close(file);
}

static void messages_name_file_and_line_and_show_its_beginning(void **state)
{
    char path[FILES_PATH_SIZE], expected[2 * FILES_PATH_SIZE];
    const char *text;
    files_path(path, *state, "shown");
    files_write_text(path, "first\nse\tc\x1Bnd\n");
    lines *file;
    sr_error error;
    assert_int_equal(lines_open(&file, path, &error), SR_OK);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_int_equal(lines_next(file, &text, &error), SR_OK);
    assert_int_equal(lines_fail(file, text, &error, "found %d", 7), SR_ERROR_DATA);
    snprintf(expected, sizeof expected, "%s:2: found 7\n  se\tc?nd", path);
    assert_string_equal(error.message, expected);
    lines_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends_and_byte_order_mark_are_taken_off),
        cmocka_unit_test(compressed_files_are_recognised_by_their_bytes),
        cmocka_unit_test(a_gzip_file_of_several_members_is_one_text),
        cmocka_unit_test(zstd_files_of_several_frames_are_one_text),
        cmocka_unit_test(what_stands_behind_compressed_data_is_an_error),
        cmocka_unit_test(pipes_may_give_bytes_one_by_one),
        cmocka_unit_test(long_lines_come_whole_from_every_kind_of_file),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(truncated_compressed_files_are_refused),
        cmocka_unit_test(a_line_can_be_continued_by_the_next),
        cmocka_unit_test(parts_of_a_file_share_out_its_lines),
        cmocka_unit_test(messages_in_a_part_count_the_lines_of_the_file),
        cmocka_unit_test(messages_name_file_and_line_and_show_its_beginning),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

/* Files that appear complete or not at all. */
#include "files.h"
#include "srtrain/output_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void assert_holds(const char *path, const char *text)
{
    char found[256];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_string_equal(found, text);
}

static sr_status open_with(sr_output_file *file, const char *path, const char *text, sr_error *error)
{
    SR_TRY(sr_output_file_open(file, path, error));
    assert_true(fputs(text, file->stream) >= 0);
    return SR_OK;
}

static void a_file_gets_its_name_when_it_is_complete(void **state)
{
    char path[FILES_PATH_SIZE], directory[FILES_PATH_SIZE];
    sr_output_file file;
    files_path(path, *state, "new/below/result");
    files_path(directory, *state, "new/below");
    assert_int_equal(open_with(&file, path, "text", NULL), SR_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(sr_output_file_close(&file, SR_OK, NULL), SR_OK);
    assert_holds(path, "text");
    assert_int_equal(files_count(directory), 1);
}

static void an_old_file_stays_until_the_new_one_is_complete(void **state)
{
    char path[FILES_PATH_SIZE];
    sr_output_file file;
    files_path(path, *state, "result");
    files_write_text(path, "old");
    assert_int_equal(open_with(&file, path, "new", NULL), SR_OK);
    assert_holds(path, "old");
    assert_int_equal(sr_output_file_close(&file, SR_OK, NULL), SR_OK);
    assert_holds(path, "new");
}

static void a_file_that_is_being_written_is_refused_to_others(void **state)
{
    char path[FILES_PATH_SIZE], temporary[FILES_PATH_SIZE];
    sr_output_file file, other;
    sr_error error;
    files_path(path, *state, "shared");
    files_path(temporary, *state, "shared.tmp");
    files_write_text(temporary, "what a killed process has left, which is longer than what is written now");
    assert_int_equal(open_with(&file, path, "first", NULL), SR_OK);
    assert_int_equal(sr_output_file_open(&other, path, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "another process is writing it"));
    assert_int_equal(sr_output_file_close(&file, SR_OK, NULL), SR_OK);
    assert_holds(path, "first");
    assert_int_equal(open_with(&other, path, "second", NULL), SR_OK);
    assert_int_equal(sr_output_file_close(&other, SR_OK, NULL), SR_OK);
    assert_holds(path, "second");
}

static void a_failure_leaves_what_was_there(void **state)
{
    char path[FILES_PATH_SIZE];
    sr_output_file file;
    sr_error error = {.message = "of the caller"};
    files_path(path, *state, "kept");
    files_write_text(path, "old");
    const size_t before = files_count(*state);
    assert_int_equal(open_with(&file, path, "half of the n", &error), SR_OK);
    assert_int_equal(sr_output_file_close(&file, SR_ERROR_DATA, &error), SR_ERROR_DATA);
    assert_string_equal(error.message, "of the caller");
    assert_holds(path, "old");
    assert_int_equal(files_count(*state), before);
}

static void what_links_point_to_is_replaced(void **state)
{
    char path[FILES_PATH_SIZE], link[FILES_PATH_SIZE];
    struct stat found;
    files_path(path, *state, "target");
    files_path(link, *state, "link");
    files_write_text(path, "old");
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(sr_output_file_write(link, "new", NULL), SR_OK);
    assert_int_equal(lstat(link, &found), 0);
    assert_true(S_ISLNK(found.st_mode));
    assert_holds(path, "new\n");
}

static void what_is_no_plain_file_is_written_as_it_is(void **state)
{
    (void)state;
    struct stat found;
    sr_error error;
    assert_int_equal(sr_output_file_write("/dev/null", "text", NULL), SR_OK);
    assert_int_equal(sr_output_file_write("/dev/full", "text", &error), SR_ERROR_RUNTIME);
    assert_string_equal(error.message, "cannot write /dev/full: No space left on device");
    assert_int_equal(stat("/dev/null", &found), 0);
    assert_true(S_ISCHR(found.st_mode));
}

/* "--json /dev/stdout > FILE": neither what was printed before nor what is printed afterwards is lost. */
static void standard_output_goes_on_behind_the_file(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "redirected");
    (void)fflush(stdout);
    const int kept = dup(STDOUT_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(kept >= 0 && file >= 0);
    assert_true(dup2(file, STDOUT_FILENO) >= 0);
    printf("before\n");
    const sr_status status = sr_output_file_write(path, "text", NULL);
    const sr_status unnamed = sr_output_file_write(NULL, "and more", NULL);
    printf("behind\n");
    (void)fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    close(file);
    assert_int_equal(status, SR_OK);
    assert_int_equal(unnamed, SR_OK);
    assert_holds(path, "before\ntext\nand more\nbehind\n");
}

static void what_cannot_be_made_is_named(void **state)
{
    char path[FILES_PATH_SIZE], expected[2 * FILES_PATH_SIZE];
    sr_output_file file;
    sr_error error;
    files_path(path, *state, "plain");
    files_write_text(path, "not a directory");
    files_path(path, *state, "plain/result");
    assert_int_equal(sr_output_file_open(&file, path, &error), SR_ERROR_RUNTIME);
    snprintf(expected, sizeof expected, "cannot write %s.tmp: Not a directory", path);
    assert_string_equal(error.message, expected);
    assert_int_equal(sr_output_file_close(&file, SR_ERROR_RUNTIME, &error), SR_ERROR_RUNTIME);
    assert_int_equal(sr_output_file_write(*state, "text", &error), SR_ERROR_RUNTIME);
    snprintf(expected, sizeof expected, "cannot write %s: Is a directory", (const char *)*state);
    assert_string_equal(error.message, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_its_name_when_it_is_complete),
        cmocka_unit_test(an_old_file_stays_until_the_new_one_is_complete),
        cmocka_unit_test(a_file_that_is_being_written_is_refused_to_others),
        cmocka_unit_test(a_failure_leaves_what_was_there),
        cmocka_unit_test(what_links_point_to_is_replaced),
        cmocka_unit_test(what_is_no_plain_file_is_written_as_it_is),
        cmocka_unit_test(standard_output_goes_on_behind_the_file),
        cmocka_unit_test(what_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

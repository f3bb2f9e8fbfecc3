/* One owner at a time for a directory, however the one before has ended. */
#include "files.h"
#include "srtrain/directories.h"
#include "storage/directory_lock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static sr_status take(directory_lock **lock, const char *directory, int (*take_lock)(int), sr_error *error)
{
    const directory_lock_options options = {.directory = directory, .take = take_lock};
    return directory_lock_take(lock, &options, error);
}

/* Another process that owns the directory, says so, and lives until it is killed. */
static pid_t start_owner(const char *directory, int (*take_lock)(int))
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        directory_lock *lock;
        byte = take(&lock, directory, take_lock, NULL) == SR_OK;
        if (write(ready[1], &byte, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_true(child > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void end(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void assert_refused(const char *directory, int (*take_lock)(int), pid_t owner)
{
    directory_lock *lock;
    sr_error error;
    char process[64], host[256] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    snprintf(process, sizeof process, "process %ld on host ", (long)owner);
    assert_int_equal(take(&lock, directory, take_lock, &error), SR_ERROR_USAGE);
    assert_null(lock);
    assert_non_null(strstr(error.message, process));
    assert_non_null(strstr(error.message, host));
    assert_non_null(strstr(error.message, ", since 2"));
    assert_non_null(strstr(error.message, "--output"));
}

static void a_second_owner_is_told_who_the_first_one_is(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "owned");
    const pid_t child = start_owner(path, NULL);
    assert_refused(path, NULL, child);
    assert_refused(path, NULL, child);
    end(child);
}

static void the_lock_of_a_killed_process_is_free_at_once(void **state)
{
    char path[FILES_PATH_SIZE], file[FILES_PATH_SIZE];
    directory_lock *lock;
    files_path(path, *state, "killed");
    files_path(file, *state, "killed/lock");
    end(start_owner(path, NULL));
    assert_true(exists(file));
    assert_int_equal(take(&lock, path, NULL, NULL), SR_OK);
    assert_refused(path, NULL, getpid());
    directory_lock_release(lock);
    assert_false(exists(file));
}

static void an_owner_that_is_about_to_end_is_waited_for(void **state)
{
    char path[FILES_PATH_SIZE];
    directory_lock *lock;
    files_path(path, *state, "ending");
    const pid_t child = start_owner(path, NULL);
    /* Stopped, it keeps what it has; killed on top of that, it dies at some moment that nobody knows. */
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(take(&lock, path, NULL, NULL), SR_OK);
    assert_int_equal(waitpid(child, NULL, 0), child);
    directory_lock_release(lock);
}

static void one_after_the_other_may_own_a_directory(void **state)
{
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "often");
    for (int i = 0; i < 3; ++i) {
        directory_lock *lock;
        assert_int_equal(take(&lock, path, NULL, NULL), SR_OK);
        directory_lock_release(lock);
    }
}

static void only_what_was_made_for_it_and_stayed_empty_is_removed(void **state)
{
    char above[FILES_PATH_SIZE], path[FILES_PATH_SIZE], file[FILES_PATH_SIZE];
    directory_lock *lock;
    files_path(above, *state, "above");
    files_path(path, *state, "above/run/");
    files_path(file, *state, "above/run/file");
    assert_int_equal(take(&lock, path, NULL, NULL), SR_OK);
    directory_lock_release(lock);
    assert_false(exists(above));
    assert_int_equal(take(&lock, path, NULL, NULL), SR_OK);
    files_write_text(file, "something");
    directory_lock_release(lock);
    assert_true(exists(file));
    remove(file);
    assert_int_equal(take(&lock, path, NULL, NULL), SR_OK);
    directory_lock_release(lock);
    assert_true(exists(path)); /* it was there before */
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    char path[FILES_PATH_SIZE], file[FILES_PATH_SIZE];
    directory_lock *lock;
    sr_error error;
    files_path(file, *state, "plain");
    files_path(path, *state, "plain/run");
    files_write_text(file, "no directory");
    assert_int_equal(take(&lock, path, NULL, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "plain"));
}

/* ---- file systems without locks ---- */

static int no_locks_available(int descriptor)
{
    (void)descriptor;
    errno = ENOLCK;
    return -1;
}

static int not_supported(int descriptor)
{
    (void)descriptor;
    errno = ENOTSUP;
    return -1;
}

static void without_locks_the_words_of_a_living_process_of_this_host_count(void **state)
{
    int (*const missing[])(int) = {no_locks_available, not_supported};
    char path[FILES_PATH_SIZE];
    files_path(path, *state, "lockless");
    for (size_t i = 0; i < 2; ++i) {
        directory_lock *lock;
        const pid_t child = start_owner(path, missing[i]);
        assert_refused(path, missing[i], child);
        end(child);
        assert_int_equal(take(&lock, path, missing[i], NULL), SR_OK);
        assert_refused(path, missing[i], getpid());
        directory_lock_release(lock);
    }
}

static void without_locks_the_words_of_another_host_do_not_keep_anybody_out(void **state)
{
    char path[FILES_PATH_SIZE], file[FILES_PATH_SIZE];
    directory_lock *lock;
    files_path(path, *state, "elsewhere");
    files_path(file, *state, "elsewhere/lock");
    assert_int_equal(sr_make_directories(path, NULL), SR_OK);
    files_write_text(file, "process 1\nhost another-host\nsince 2026-01-01T00:00:00Z\nparent 1\nticks 5\njob \n");
    assert_int_equal(take(&lock, path, no_locks_available, NULL), SR_OK);
    directory_lock_release(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_owner_is_told_who_the_first_one_is),
        cmocka_unit_test(the_lock_of_a_killed_process_is_free_at_once),
        cmocka_unit_test(an_owner_that_is_about_to_end_is_waited_for),
        cmocka_unit_test(one_after_the_other_may_own_a_directory),
        cmocka_unit_test(only_what_was_made_for_it_and_stayed_empty_is_removed),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
        cmocka_unit_test(without_locks_the_words_of_a_living_process_of_this_host_count),
        cmocka_unit_test(without_locks_the_words_of_another_host_do_not_keep_anybody_out),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

/* Running srtrain and srprep from tests, in a directory of their own. */
#ifndef SRTRAIN_TESTS_PROGRAM_H
#define SRTRAIN_TESTS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

enum { PROGRAM_OUTPUT_SIZE = 65536 };

/* What a finished program left. */
typedef struct {
    int code;                         /* exit code; 128 + signal when it was killed */
    char output[PROGRAM_OUTPUT_SIZE]; /* standard output and error, cut */
} program_result;

/* A fresh directory below SRTRAIN_TEST_DIRECTORY (default: /dev/shm where it has plenty of room, else /tmp), and its removal.
 */
void program_make_directory(char *path, size_t size);
void program_remove_directory(const char *path);

/* What a test of programs works with: a directory of its own, and the result of the last program. Set-up and tear-down are
 * CMocka's, *state is a program_world. */
typedef struct {
    char directory[128];
    program_result result;
} program_world;

int program_set_up(void **state);
int program_tear_down(void **state);

/* Runs a command of the shell. */
void run_command(program_result *result, const char *command);

/* Runs "srprep ARGUMENTS", and the same or "srtrain ARGUMENTS" on `ranks` ranks (0: without mpirun), arguments as for printf.
 */
void run_srprep(program_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_srprep_on(program_result *result, int ranks, const char *format, ...) __attribute__((format(printf, 3, 4)));
void run_srtrain(program_result *result, int ranks, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Runs a command of the shell in a directory, with the programs of the build before all others and MPIEXEC, the launcher with
 * its option for a number of ranks; $BY_RANK is by_rank.sh. */
void run_shell(program_result *result, const char *directory, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same in the directory of `w`, whose result it is; the command ends with `code`, or the test has failed. */
void program_shell(program_world *w, int code, const char *command);

/* Runs "srtrain ARGUMENTS" on two ranks, the first with assignments of environment variables in front. */
void run_srtrain_mixed(program_result *result, const char *environment, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs "PROGRAM ARGUMENTS", the program's path being below the directory of the build ("tests/parity"). */
void run_built(program_result *result, const char *program, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Fails the test with the program's output unless it ended with `code`. */
void assert_code(const program_result *result, int code);

/* Fails the test with the program's output unless it holds `text`. */
void assert_says(const program_result *result, const char *text);

/* A number of an object in JSON that a program wrote; fails the test where there is none of that name. */
struct cJSON;
double number_in(const struct cJSON *object, const char *name);

/* Fails the test with the program's output if it holds `text`. */
void assert_does_not_say(const program_result *result, const char *text);

/* Writes a file. */
void program_write(const char *path, const char *text);

/* Whether the parameters in two checkpoints are the same to the bit. */
bool same_parameters(const char *left, const char *right);

/* What a metrics file says of one training step; attacked_ranking and mask_penalty are -1 without an adversarial calibrator,
 * contrastive is -1 without contrastive training, spectral without FEARec's. */
typedef struct {
    double loss, attacked_ranking, mask_penalty, contrastive, spectral;
} train_line;

/* The line of each step in a metrics file into lines[step - 1], and how many steps there are; fails the test when one is
 * missing or there is no room for it. */
size_t read_train_lines(const char *path, train_line *lines, size_t room);

/* Fails the test unless the test metrics in a metrics file are those that `srtrain evaluate --json` wrote, to the bit. Returns
 * the step of the model that was tested. */
long assert_same_test_metrics(const char *metrics_path, const char *evaluation_path);

#endif

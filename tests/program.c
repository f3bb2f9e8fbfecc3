#include "program.h"

#include <cjson/cJSON.h>
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Memory where there is plenty of it: programs flush every file that they write, and a disk takes its time for that. */
static const char *parent_directory(void)
{
    static const char memory[] = "/dev/shm";
    const double enough = 4.0 * (1 << 30);
    const char *chosen = getenv("SRTRAIN_TEST_DIRECTORY");
    struct statvfs room;
    if (chosen)
        return chosen;
    const bool usable = access(memory, W_OK | X_OK) == 0 && statvfs(memory, &room) == 0 &&
                        (double)room.f_bavail * (double)room.f_frsize >= enough;
    return usable ? memory : "/tmp";
}

void program_make_directory(char *path, size_t size)
{
    assert_true(snprintf(path, size, "%s/srtrain-test-XXXXXX", parent_directory()) < (int)size);
    assert_non_null(mkdtemp(path));
}

void program_remove_directory(const char *path)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

int program_set_up(void **state)
{
    program_world *w = calloc(1, sizeof *w);
    *state = w;
    if (!w)
        return -1;
    program_make_directory(w->directory, sizeof w->directory);
    return 0;
}

int program_tear_down(void **state)
{
    program_world *w = *state;
    program_remove_directory(w->directory);
    free(w);
    return 0;
}

void run_command(program_result *result, const char *command)
{
    char whole[8192];
    snprintf(whole, sizeof whole, "( %s ) 2>&1", command);
    FILE *pipe = popen(whole, "r");
    assert_non_null(pipe);
    const size_t got = fread(result->output, 1, sizeof result->output - 1, pipe);
    result->output[got] = '\0';
    char rest[4096];
    while (fread(rest, 1, sizeof rest, pipe) > 0)
        continue;
    const int status = pclose(pipe);
    result->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *binary_directory(void)
{
    const char *directory = getenv("SRTRAIN_BINARY_DIRECTORY");
    return directory ? directory : ".";
}

static const char *source_directory(void)
{
    const char *directory = getenv("SRTRAIN_SOURCE_DIRECTORY");
    return directory ? directory : ".";
}

/* The arguments behind `format` of the function that this stands in, into an array of characters. */
#define FORMAT(text, format)                                                          \
    do {                                                                              \
        va_list list;                                                                 \
        va_start(list, format);                                                       \
        assert_true(vsnprintf(text, sizeof(text), format, list) < (int)sizeof(text)); \
        va_end(list);                                                                 \
    } while (0)

void run_srprep(program_result *result, const char *format, ...)
{
    char arguments[4096], command[8000];
    FORMAT(arguments, format);
    snprintf(command, sizeof command, "%s/srprep %s", binary_directory(), arguments);
    run_command(result, command);
}

void run_srprep_on(program_result *result, int ranks, const char *format, ...)
{
    char arguments[4096], command[8000];
    FORMAT(arguments, format);
    snprintf(command, sizeof command, "%s %d %s/srprep %s", MPIEXEC, ranks, binary_directory(), arguments);
    run_command(result, command);
}

void run_srtrain(program_result *result, int ranks, const char *format, ...)
{
    char arguments[4096], command[8000], launcher[256] = "";
    FORMAT(arguments, format);
    if (ranks)
        snprintf(launcher, sizeof launcher, "%s %d ", MPIEXEC, ranks);
    snprintf(command, sizeof command, "%s%s/srtrain %s", launcher, binary_directory(), arguments);
    run_command(result, command);
}

void run_shell(program_result *result, const char *directory, const char *format, ...)
{
    char given[4096], command[8000];
    FORMAT(given, format);
    snprintf(command, sizeof command,
             "cd '%s' || exit 99; export PATH=\"%s:$PATH\" MPIEXEC=\"%s\" BY_RANK=\"%s/tests/by_rank.sh\"; %s", directory,
             binary_directory(), MPIEXEC, source_directory(), given);
    run_command(result, command);
}

void program_shell(program_world *w, int code, const char *command)
{
    run_shell(&w->result, w->directory, "%s", command);
    assert_code(&w->result, code);
}

void run_srtrain_mixed(program_result *result, const char *environment, const char *format, ...)
{
    char arguments[3000], command[8000];
    FORMAT(arguments, format);
    snprintf(command, sizeof command, "%s 2 %s/tests/by_rank.sh '%s %s/srtrain %s' '%s/srtrain %s'", MPIEXEC,
             source_directory(), environment, binary_directory(), arguments, binary_directory(), arguments);
    run_command(result, command);
}

void run_built(program_result *result, const char *program, const char *format, ...)
{
    char arguments[4096], command[8000];
    FORMAT(arguments, format);
    snprintf(command, sizeof command, "%s/%s %s", binary_directory(), program, arguments);
    run_command(result, command);
}

void assert_code(const program_result *result, int code)
{
    if (result->code != code)
        fail_msg("ended with %d instead of %d:\n%s", result->code, code, result->output);
}

double number_in(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);
    if (!cJSON_IsNumber(item))
        fail_msg("there is no number \"%s\"", name);
    return item->valuedouble;
}

void assert_says(const program_result *result, const char *text)
{
    if (!strstr(result->output, text))
        fail_msg("does not say \"%s\":\n%s", text, result->output);
}

void assert_does_not_say(const program_result *result, const char *text)
{
    if (strstr(result->output, text))
        fail_msg("says \"%s\":\n%s", text, result->output);
}

void program_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- checkpoints ---- */

typedef struct {
    hid_t other;
    bool same;
    size_t compared;
} comparison;

static herr_t compare_dataset(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)info;
    comparison *c = context;
    const hid_t left = H5Dopen2(group, name, H5P_DEFAULT), right = H5Dopen2(c->other, name, H5P_DEFAULT);
    if (left < 0 || right < 0) {
        c->same = false;
        return 0;
    }
    const hid_t space = H5Dget_space(left);
    const size_t count = (size_t)H5Sget_simple_extent_npoints(space);
    float *values = calloc(2 * count, sizeof *values);
    assert_non_null(values);
    H5Dread(left, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dread(right, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values + count);
    c->same = c->same && memcmp(values, values + count, count * sizeof *values) == 0;
    ++c->compared;
    free(values);
    H5Sclose(space);
    H5Dclose(left);
    H5Dclose(right);
    return 0;
}

bool same_parameters(const char *left, const char *right)
{
    const hid_t files[2] = {H5Fopen(left, H5F_ACC_RDONLY, H5P_DEFAULT), H5Fopen(right, H5F_ACC_RDONLY, H5P_DEFAULT)};
    assert_true(files[0] >= 0 && files[1] >= 0);
    const hid_t groups[2] = {H5Gopen2(files[0], "/parameters", H5P_DEFAULT), H5Gopen2(files[1], "/parameters", H5P_DEFAULT)};
    comparison c = {.other = groups[1], .same = true};
    assert_true(H5Literate(groups[0], H5_INDEX_NAME, H5_ITER_INC, NULL, compare_dataset, &c) >= 0);
    for (int i = 0; i < 2; ++i) {
        H5Gclose(groups[i]);
        H5Fclose(files[i]);
    }
    assert_true(c.compared > 10);
    return c.same;
}

/* ---- metrics ---- */

/* Calls `visit` with each line of a metrics file. */
static void for_each_line(const char *path, void (*visit)(const cJSON *line, void *context), void *context)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    assert_non_null(file);
    while (getline(&line, &capacity, file) > 0) {
        cJSON *object = cJSON_Parse(line);
        assert_non_null(object);
        visit(object, context);
        cJSON_Delete(object);
    }
    free(line);
    fclose(file);
}

static bool is_kind(const cJSON *line, const char *kind)
{
    return strcmp(cJSON_GetObjectItem(line, "kind")->valuestring, kind) == 0;
}

static double number_or(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);
    return item ? item->valuedouble : otherwise;
}

typedef struct {
    train_line *lines;
    size_t room, steps;
} line_reader;

static void read_train_line(const cJSON *line, void *context)
{
    line_reader *reader = context;
    if (!is_kind(line, "train"))
        return;
    assert_true(reader->steps < reader->room);
    assert_int_equal((size_t)number_or(line, "step", 0), reader->steps + 1);
    assert_non_null(cJSON_GetObjectItem(line, "loss"));
    reader->lines[reader->steps++] = (train_line){.loss = number_or(line, "loss", -1),
                                                  .attacked_ranking = number_or(line, "attacked_ranking", -1),
                                                  .mask_penalty = number_or(line, "mask_penalty", -1),
                                                  .contrastive = number_or(line, "contrastive", -1),
                                                  .spectral = number_or(line, "spectral", -1)};
}

size_t read_train_lines(const char *path, train_line *lines, size_t room)
{
    line_reader reader = {.lines = lines, .room = room};
    for_each_line(path, read_train_line, &reader);
    return reader.steps;
}

typedef struct {
    const cJSON *expected;
    size_t compared;
    long step;
} metrics_comparison;

static void compare_test_line(const cJSON *line, void *context)
{
    metrics_comparison *c = context;
    if (!is_kind(line, "test") || cJSON_GetObjectItem(line, "baseline"))
        return;
    c->step = (long)number_or(line, "step", -1);
    const cJSON *expected;
    cJSON_ArrayForEach(expected, c->expected)
    {
        const double found = number_or(line, expected->string, -1);
        if (found != expected->valuedouble)
            fail_msg("%s: %.17g in training, %.17g in evaluation", expected->string, found, expected->valuedouble);
        ++c->compared;
    }
}

long assert_same_test_metrics(const char *metrics_path, const char *evaluation_path)
{
    char text[65536];
    FILE *file = fopen(evaluation_path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cJSON *evaluation = cJSON_Parse(text);
    assert_non_null(evaluation);
    metrics_comparison c = {.expected = cJSON_GetObjectItem(evaluation, "model")};
    assert_non_null(c.expected);
    for_each_line(metrics_path, compare_test_line, &c);
    assert_true(c.compared > 3); /* cases and three metrics at least */
    cJSON_Delete(evaluation);
    return c.step;
}

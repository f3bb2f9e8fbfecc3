/* Conversions for which memory does not suffice: whichever allocation fails, on whichever rank, srprep ends with a message on
 * all of them, nothing is lost, and neither a data set nor a temporary file is left. */
#include "commands.h"
#include "failing_allocations.h"
#include "program.h"
#include "srtrain/dataset.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { ARGUMENTS = 24, PATH = 256 };

typedef struct {
    sr_parallel *parallel;
    char directory[64], work[PATH], output[PATH], exported[PATH];
    char fingerprint[64]; /* of the first data set that this command has made */
    /* The command of this test, and its words. */
    sr_status (*command)(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
    char words[ARGUMENTS][PATH];
    int count;
} world;

static void check(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

static void write_file(const world *w, const char *name, const char *text)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Some users and items, a quoted field among them. */
static void write_inputs(const world *w)
{
    char table[8192] = "user,item,rating,time\n", sequences[2048] = "", lines[8192] = "";
    for (int user = 0; user < 8; ++user) {
        snprintf(sequences + strlen(sequences), sizeof sequences - strlen(sequences), "%d", user);
        for (int i = 0; i < 7; ++i) {
            const int item = (user * user + 3 * i) % 11, time = 1000 + 10 * i + user;
            snprintf(table + strlen(table), sizeof table - strlen(table), "u%d,\"item \"\"%d\"\"\",%d,%d\n", user, item,
                     1 + i % 5, time);
            snprintf(sequences + strlen(sequences), sizeof sequences - strlen(sequences), " %d", 1 + item);
            snprintf(lines + strlen(lines), sizeof lines - strlen(lines),
                     "{\"user_id\": \"u%d\", \"item\": \"\\u00e9%d\", \"t\": %d}\n", user, item, time);
        }
        strcat(sequences, "\n");
    }
    write_file(w, "table.csv", table);
    write_file(w, "sequences.txt", sequences);
    write_file(w, "lines.json", lines);
    write_file(w, "later.json", "{\"user_id\": \"u1\", \"item\": [\"\\u00e91\", \"new\"], \"t\": 2000}\n");
    char items[1 << 14] = ""; /* more than fits into a sixteenth of the least memory: the list becomes runs, too */
    for (int item = 0; item < 1500; ++item)
        snprintf(items + strlen(items), sizeof items - strlen(items), "i%d\n", item < 90 ? item : item + 100);
    write_file(w, "items.txt", items);
    char list[PATH];
    snprintf(list, sizeof list, "%s/long.csv\n", w->directory);
    write_file(w, "inputs.txt", list);
}

/* More than fits into the least memory that srprep takes: sorted runs go to files and are merged. */
static void write_long_table(const world *w)
{
    enum { USERS = 700, LENGTH = 32 };
    char path[PATH];
    snprintf(path, sizeof path, "%s/long.csv", w->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < LENGTH; ++i)
        for (int user = 0; user < USERS; ++user)
            assert_true(fprintf(file, "u%d,i%d,%d\n", user, (user * user + 3 * i) % 97, 1000 + i) > 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    sr_error error;
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a rank that fails ends the whole job */
    check(sr_parallel_start(&w->parallel, NULL, NULL, &error), &error);
    const bool is_root = sr_parallel_rank(w->parallel) == 0;
    if (is_root)
        program_make_directory(w->directory, sizeof w->directory);
    check(sr_parallel_broadcast(w->parallel, w->directory, sizeof w->directory, &error), &error);
    snprintf(w->work, sizeof w->work, "%s/work", w->directory);
    snprintf(w->output, sizeof w->output, "%s/work/data", w->directory);
    snprintf(w->exported, sizeof w->exported, "%s/export.txt", w->directory);
    if (is_root)
        write_inputs(w);
    if (is_root)
        write_long_table(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    sr_error error;
    world *w = *state;
    check(sr_parallel_barrier(w->parallel, &error), &error);
    if (sr_parallel_rank(w->parallel) == 0)
        program_remove_directory(w->directory);
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

/* ---- runs ---- */

/* Commands print; a thousand times nobody wants to read that. Returns what standard output was. */
static int silence(int to)
{
    fflush(stdout);
    const int former = dup(STDOUT_FILENO), null = to >= 0 ? to : open("/dev/null", O_WRONLY);
    assert_true(former >= 0 && null >= 0 && dup2(null, STDOUT_FILENO) >= 0);
    close(null);
    return former;
}

/* A data set that has been made is whole, and the same as the first one. */
static void look_at_output(world *w)
{
    sr_dataset *dataset;
    sr_error error;
    if (access(w->output, F_OK) != 0)
        return;
    check(sr_dataset_open(&dataset, w->output, &error), &error);
    check(sr_dataset_verify(dataset, 0, 1, &error), &error);
    if (!*w->fingerprint)
        snprintf(w->fingerprint, sizeof w->fingerprint, "%s", sr_dataset_fingerprint(dataset));
    assert_string_equal(sr_dataset_fingerprint(dataset), w->fingerprint);
    sr_dataset_close(dataset);
}

static sr_status run_words(void *context, uint64_t *result, sr_error *error)
{
    world *w = context;
    char *arguments[ARGUMENTS + 1] = {NULL};
    for (int i = 0; i < w->count; ++i)
        arguments[i] = w->words[i];
    const int former = silence(-1);
    const sr_status status = sr_parallel_agree(w->parallel, w->command(w->parallel, w->count, arguments, error), error);
    (void)close(silence(former));
    *result = 0;
    return status;
}

static int is_entry(const struct dirent *entry)
{
    return *entry->d_name != '.';
}

/* Only a complete data set, and the report, may be there; then nothing is. */
static void clear(void *context)
{
    world *w = context;
    sr_error error;
    check(sr_parallel_barrier(w->parallel, &error), &error);
    if (sr_parallel_rank(w->parallel) == 0) {
        struct dirent **entries;
        const int count = scandir(w->work, &entries, is_entry, alphasort);
        for (int i = 0; i < count; ++i) {
            if (strcmp(entries[i]->d_name, "data") != 0 && strcmp(entries[i]->d_name, "report.json") != 0)
                fail_msg("%s is left", entries[i]->d_name);
            free(entries[i]);
        }
        if (count >= 0)
            free(entries);
        look_at_output(w);
        if (count >= 0)
            program_remove_directory(w->work);
        (void)unlink(w->exported);
    }
    check(sr_parallel_barrier(w->parallel, &error), &error);
}

static void set_words(world *w, const char *text)
{
    char all[2048], *rest = NULL;
    snprintf(all, sizeof all, "%s", text);
    w->count = 0;
    for (char *word = strtok_r(all, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const char *path = strncmp(word, "@/", 2) == 0 ? word + 1 : NULL;
        assert_true(w->count < ARGUMENTS);
        snprintf(w->words[w->count++], PATH, "%s%s", path ? w->directory : "", path ? path : word);
    }
}

static void try_command(world *w, const char *name, sr_status (*command)(sr_parallel *, int, char **, sr_error *),
                        const char *words)
{
    w->command = command;
    /* Readers and merges work alike on all ranks, where these tests take longer. */
    const size_t stride = sr_parallel_size(w->parallel) == 1 ? 1 : 3;
    *w->fingerprint = '\0';
    set_words(w, words);
    every_allocation_may_fail(
        w->parallel, &(allocation_trial){.name = name, .run = run_words, .clear = clear, .context = w, .stride = stride});
}

/* ---- tests ---- */

static void of_a_table(void **state)
{
    try_command(*state, "converting a table", command_convert,
                "convert --format csv --header --columns user=user,item=item,time=time,rating=rating --input @/table.csv "
                "--output @/work/data --deduplicate last --min-user 2 "
                "--min-item 2 --max-length 6 --shards 2 --report @/work/report.json");
}

static void of_a_table_in_little_memory(void **state)
{
    try_command(*state, "converting a table in little memory", command_convert,
                "convert --format csv --columns user=0,item=1,time=2 --input-list @/inputs.txt --output @/work/data "
                "--items @/items.txt --after 1001 --session-gap 5 --split ratio:0.6,0.2,0.2 --memory 1M");
}

static void of_sequences(void **state)
{
    try_command(*state, "converting sequences", command_convert,
                "convert --format sequences --input @/sequences.txt --output @/work/data");
}

static void of_json(void **state)
{
    try_command(
        *state, "converting JSON", command_convert,
        "convert --format json --columns user=user_id,item=item,time=t --where user_id=u1,u2,u3,u5 --train @/lines.json "
        "--test @/later.json --output @/work/data --cold drop");
}

static void of_quantiles(void **state)
{
    try_command(
        *state, "converting by quantiles", command_convert,
        "convert --format csv --header --columns user=user,item=item,time=time --input @/table.csv --output @/work/data "
        "--session-gap 15 --max-item 30 --split time-quantile:0.6,0.2,0.2 --cold items");
}

static void of_a_synthesis(void **state)
{
    try_command(*state, "a synthesis", command_synth,
                "synth --users 12 --items 9 --mean-length 6 --seed 3 --output @/work/data --shards 2");
}

/* These are for one process. */
static void of_info_and_export(void **state)
{
    world *w = *state;
    sr_error error;
    uint64_t result;
    if (sr_parallel_size(w->parallel) > 1)
        skip();
    w->command = command_synth;
    set_words(w, "synth --users 12 --items 9 --mean-length 6 --seed 3 --output @/made");
    check(run_words(w, &result, &error), &error);
    try_command(w, "the description of a data set", command_info, "info @/made --json");
    try_command(w, "an export", command_export, "export @/made --format csv --output @/export.txt");
    try_command(w, "an export of sequences", command_export, "export @/made --output @/export.txt");
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_a_table),        cmocka_unit_test(of_a_table_in_little_memory),
                                       cmocka_unit_test(of_sequences),      cmocka_unit_test(of_json),
                                       cmocka_unit_test(of_quantiles),      cmocka_unit_test(of_a_synthesis),
                                       cmocka_unit_test(of_info_and_export)};
    if (argument_count > 1) /* a pattern: only these */
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests_name("every allocation may fail", tests, set_up, tear_down);
}

/* srtrain recommend: users of a data set and new users, the same bytes on any number of ranks. */
#include "fixture.h"
#include "fixture_configuration.h"
#include "srtrain/dataset.h"
#include "world.h"

#include <glob.h>
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 1400, ITEMS = 60 }; /* several units of users for each of four ranks */

static void write_histories(const world *w, const char *name, const char *separator);

/* Here and below: 0 ranks are one program without a launcher, which takes long to start programs. */
static void train(world *w, const char *run, const char *options)
{
    world_train(w, 0, run, options);
    assert_code(&w->result, 0);
}

static int set_up(void **state)
{
    const int result = world_set_up(state,
                                    "data: {path: none}\n"
                                    "model: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1}\n"
                                    "training: {epochs: 1, batch_size: 512, learning_rate: 0.01}\n"
                                    "evaluation: {every_epochs: 0}\n",
                                    "--users 1400 --items 60 --mean-length 7 --seed 3");
    train(*state, "sliding", "");
    train(*state, "window", "--set data.samples=window");
    write_histories(*state, "all.txt", " ");
    return result;
}

/* Runs a shell command in the world's directory, which must succeed. */
static void shell(const world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void shell(const world *w, const char *format, ...)
{
    char command[1024], whole[1200];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    snprintf(whole, sizeof whole, "cd %s && %s", w->directory, command);
    if (system(whole) != 0)
        fail_msg("failed: %s", command);
}

/* Runs "srtrain recommend RUN/best.h5 OPTIONS" in the world's directory. */
static void recommend(world *w, int ranks, int code, const char *run, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void recommend(world *w, int ranks, int code, const char *run, const char *format, ...)
{
    char options[512], directory[256];
    va_list list;
    va_start(list, format);
    vsnprintf(options, sizeof options, format, list);
    va_end(list);
    assert_non_null(getcwd(directory, sizeof directory));
    assert_int_equal(chdir(w->directory), 0);
    run_srtrain(&w->result, ranks, "recommend %s/best.h5 %s", run, options);
    assert_int_equal(chdir(directory), 0);
    assert_code(&w->result, code);
}

static void write_file(const world *w, const char *name, const char *text)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, name, path);
    program_write(path, text);
}

static bool exists(const world *w, const char *name)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, name, path);
    return access(path, F_OK) == 0;
}

/* The sequences of the data set as a file of histories, in original identifiers. */
static void write_histories(const world *w, const char *name, const char *separator)
{
    char path[WORLD_PATH_SIZE];
    sr_dataset *dataset;
    size_t length;
    world_path(w, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(sr_dataset_open(&dataset, w->data, NULL), SR_OK);
    assert_int_equal(sr_dataset_users(dataset), USERS);
    assert_int_equal(sr_dataset_items(dataset), ITEMS);
    for (size_t user = 0; user < USERS; ++user) {
        const char *text = sr_dataset_user_name(dataset, user, &length);
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        fprintf(file, "%.*s", (int)length, text);
        for (size_t i = 0; i < sequence.length; ++i) {
            text = sr_dataset_item_name(dataset, (size_t)sequence.items[i], &length);
            fprintf(file, "%s%.*s", separator, (int)length, text);
        }
        fputc('\n', file);
    }
    sr_dataset_close(dataset);
    assert_int_equal(fclose(file), 0);
}

/* ---- ranks ---- */

static void any_number_of_ranks_gives_the_same_bytes(void **state)
{
    world *w = *state;
    static const int some[] = {0, 2, 3, 4};
    for (size_t i = 0; i < sizeof some / sizeof *some; ++i) {
        const int ranks = some[i];
        recommend(w, ranks, 0, "sliding", "--top-k 7 --output users-%d.tsv", ranks);
        recommend(w, ranks, 0, "sliding", "--top-k 7 --output users-%d.h5", ranks);
        recommend(w, ranks, 0, "window", "--top-k 60 --history keep --histories all.txt --output new-%d.tsv", ranks);
        recommend(w, ranks, 0, "window", "--top-k 5 --histories all.txt --output new-%d.h5", ranks);
        shell(w, "cmp users-0.tsv users-%d.tsv && cmp users-0.h5 users-%d.h5", ranks, ranks);
        shell(w, "cmp new-0.tsv new-%d.tsv && cmp new-0.h5 new-%d.h5", ranks, ranks);
    }
    shell(w, "[ $(wc -l < users-0.tsv) -eq %d ] && [ $(wc -l < new-0.tsv) -eq %d ]", 7 * USERS + 1, 60 * USERS + 1);
}

/* More recommendations than a round holds, so that units and rounds are small. */
static void long_lists_come_in_small_rounds(void **state)
{
    world *w = *state;
    recommend(w, 0, 0, "sliding", "--top-k 100000 --history keep --output long-1.tsv");
    recommend(w, 3, 0, "sliding", "--top-k 100000 --history keep --output long-3.tsv");
    shell(w, "cmp long-1.tsv long-3.tsv && [ $(wc -l < long-1.tsv) -eq %d ]", ITEMS * USERS + 1);
}

/* As many ranks as like read it, whoever had its rows in training. */
static void a_divided_item_table_gives_the_same_bytes(void **state)
{
    world *w = *state;
    train(w, "divided", "--set model.item_table=divided --set training.threads=1");
    recommend(w, 0, 0, "divided", "--top-k 9 --output divided-0.tsv");
    recommend(w, 3, 0, "divided", "--top-k 9 --output divided-3.tsv");
    shell(w, "cmp divided-0.tsv divided-3.tsv && [ $(wc -l < divided-0.tsv) -eq %d ]", 9 * USERS + 1);
    for (int ranks = 0; ranks <= 3; ranks += 3) {
        run_srtrain(&w->result, ranks,
                    "evaluate %s/divided/best.h5 --data %s --set evaluation.history=exclude --json %s/%d.json", w->directory,
                    w->data, w->directory, ranks);
        assert_code(&w->result, 0);
    }
    shell(w, "cmp 0.json 3.json");
    /* More threads than items: they cannot divide them. */
    assert_int_equal(setenv("OMP_NUM_THREADS", "61", 1), 0);
    run_srtrain(&w->result, 0, "evaluate %s/divided/best.h5 --data %s --set evaluation.history=exclude --json %s/many.json",
                w->directory, w->data, w->directory);
    assert_int_equal(setenv("OMP_NUM_THREADS", "1", 1), 0);
    assert_code(&w->result, 0);
    shell(w, "cmp 0.json many.json");
}

/* ---- new users ---- */

static void a_known_history_gives_what_its_user_gets(void **state)
{
    world *w = *state;
    recommend(w, 2, 0, "sliding", "--output known.tsv");
    recommend(w, 3, 0, "sliding", "--histories all.txt --output all.tsv");
    shell(w, "cmp known.tsv all.tsv");
    shell(w, "sed -n '5p;700p;1399p' all.txt > some.txt && cut -d' ' -f1 some.txt > some-users.txt");
    recommend(w, 2, 0, "sliding", "--users some-users.txt --output some-known.tsv");
    recommend(w, 0, 0, "sliding", "--histories some.txt --output some.tsv");
    shell(w, "cmp some-known.tsv some.tsv && [ $(wc -l < some.tsv) -eq 31 ]");
}

static void histories_come_in_the_order_of_their_file(void **state)
{
    world *w = *state;
    shell(w, "sort -R --random-source=all.txt all.txt > mixed.txt && cut -d' ' -f1 mixed.txt > mixed-users.txt");
    recommend(w, 3, 0, "sliding", "--top-k 1 --histories mixed.txt --output mixed.tsv");
    shell(w, "tail -n +2 mixed.tsv | cut -f1 | cmp - mixed-users.txt");
}

static void histories_may_be_compressed_and_separated_by_tabs(void **state)
{
    world *w = *state;
    write_histories(w, "tabs.txt", "\t");
    shell(w, "gzip -k all.txt && sed 's/$/\\r/' all.txt > dos.txt");
    recommend(w, 0, 0, "sliding", "--top-k 3 --histories all.txt --output plain.tsv");
    recommend(w, 0, 0, "sliding", "--top-k 3 --histories tabs.txt --output tabs.tsv");
    recommend(w, 0, 0, "sliding", "--top-k 3 --histories all.txt.gz --output compressed.tsv");
    recommend(w, 0, 0, "sliding", "--top-k 3 --histories dos.txt --output dos.tsv");
    shell(w, "cmp plain.tsv tabs.tsv && cmp plain.tsv compressed.tsv && cmp plain.tsv dos.tsv");
}

static void the_history_is_excluded_unless_it_is_kept(void **state)
{
    world *w = *state;
    const char *count = "awk 'NR == FNR { for (i = 2; i <= NF; ++i) has[$1, $i] = 1; next } FNR > 1 && (($1, $3) in has)' "
                        "all.txt %s | wc -l";
    char test[512];
    recommend(w, 0, 0, "sliding", "--top-k 60 --histories all.txt --output excluded.tsv");
    recommend(w, 0, 0, "sliding", "--top-k 60 --histories all.txt --history keep --output kept.tsv");
    snprintf(test, sizeof test, count, "excluded.tsv");
    shell(w, "[ $(%s) -eq 0 ]", test);
    snprintf(test, sizeof test, count, "kept.tsv");
    shell(w, "[ $(%s) -gt %d ] && [ $(wc -l < kept.tsv) -eq %d ]", test, 3 * USERS, ITEMS * USERS + 1);
}

static void unknown_items_are_reported_and_left_out(void **state)
{
    world *w = *state;
    shell(w, "sed '3s/$/ nothing/; 9s/^\\([^ ]*\\)/\\1 no-item none/' all.txt > unknown.txt");
    recommend(w, 0, 0, "sliding", "--histories all.txt --output without.tsv");
    recommend(w, 2, 0, "sliding", "--histories unknown.txt --output unknown.tsv");
    assert_says(&w->result, "3 interactions in unknown.txt are with items that are not in the data set");
    assert_says(&w->result, "\"nothing\" (line 3), \"no-item\" (line 9)\n");
    shell(w, "cmp without.tsv unknown.tsv");
    shell(w, "sed 's/$/ nothing/' all.txt > many.txt");
    recommend(w, 0, 0, "sliding", "--histories many.txt --output many.tsv");
    assert_says(&w->result, "1400 interactions in many.txt");
    assert_says(&w->result, "\"nothing\" (line 4), ...\n");
    shell(w, "cmp without.tsv many.tsv");
}

/* With little memory items are looked up for one line after the other, or for a few. */
static void memory_for_identifiers_changes_nothing(void **state)
{
    world *w = *state;
    shell(w, "sed '3s/$/ nothing/; 9s/^\\([^ ]*\\)/\\1 no-item none/' all.txt > little.txt");
    recommend(w, 0, 0, "sliding", "--histories little.txt --output plenty.tsv");
    recommend(w, 0, 0, "sliding", "--histories little.txt --memory 1K --output little.tsv");
    assert_says(&w->result, "\"nothing\" (line 3), \"no-item\" (line 9)\n");
    recommend(w, 2, 0, "sliding", "--histories little.txt --memory 15K --output few.tsv");
    shell(w, "cmp plenty.tsv little.tsv && cmp plenty.tsv few.tsv");
    recommend(w, 0, 2, "sliding", "--histories little.txt --memory 1000 --output refused.tsv");
    assert_says(&w->result, "--memory 1000");
}

static void an_empty_history_is_served_by_models_that_know_such(void **state)
{
    world *w = *state;
    shell(w, "{ head -2 all.txt; echo 'new nothing'; echo 'newer'; sed -n 3p all.txt; } > empty.txt");
    recommend(w, 3, 0, "window", "--top-k 60 --histories empty.txt --output empty.tsv");
    assert_says(&w->result,
                "2 users in empty.txt have no item of the data set and are recommended what suits an empty history: "
                "\"new\" (line 3), \"newer\" (line 4)");
    shell(w, "grep '^new\t' empty.tsv | cut -f2- > a && grep '^newer\t' empty.tsv | cut -f2- > b && cmp a b && "
             "[ $(wc -l < a) -eq 60 ]");
    recommend(w, 3, 0, "sliding", "--histories empty.txt --output left-out.tsv");
    assert_says(&w->result, "2 users in empty.txt have no item of the data set and are left out");
    shell(w, "[ $(wc -l < left-out.tsv) -eq 31 ] && ! grep -q new left-out.tsv");
}

/* ---- what is refused ---- */

static void assert_refused(world *w, int ranks, const char *text, int code, const char *words)
{
    write_file(w, "bad.txt", text);
    recommend(w, ranks, code, "sliding", "--histories bad.txt --output bad.tsv");
    assert_says(&w->result, words);
    assert_false(exists(w, "bad.tsv"));
    assert_false(exists(w, "bad.tsv.tmp"));
}

static void bad_histories_are_refused_and_nothing_is_written(void **state)
{
    world *w = *state;
    assert_refused(w, 3, "a 1 2\nb 3\nc 4\na 5\n", 3, "bad.txt:4: user \"a\" has line 1 already");
    assert_refused(w, 0, "a 1 2\n\nc 4\n", 3, "bad.txt:2: the line is empty");
    assert_refused(w, 0, "", 3, "bad.txt is empty");
    assert_refused(w, 2, "a none nothing\nb\n", 3, "none of its items is in the data set: \"none\" (line 1)");
    recommend(w, 0, 3, "sliding", "--histories missing.txt");
    assert_says(&w->result, "missing.txt");
    recommend(w, 2, 2, "sliding", "--histories /dev/null");
    assert_says(&w->result, "no regular file");
    recommend(w, 0, 2, "sliding", "--histories all.txt --users all.txt");
    assert_says(&w->result, "not both");
}

static void models_of_users_or_times_refuse_new_users_without_them(void **state)
{
    world *w = *state;
    train(w, "users", "--set model.backbone=ssept --set model.user_hidden_size=4");
    train(w, "times", "--set model.backbone=tisasrec --set model.time_unit=86400");
    recommend(w, 2, 2, "users", "--histories all.txt");
    assert_says(&w->result, "model.backbone ssept has parameters for each user that it was trained on");
    recommend(w, 2, 3, "times", "--histories all.txt");
    assert_says(&w->result, "has no time, which the model needs: expected words ITEM:TIME");
    for (int i = 0; i < 2; ++i) {
        recommend(w, 0, 0, i ? "times" : "users", "--output one.tsv");
        recommend(w, 3, 0, i ? "times" : "users", "--output three.tsv");
        shell(w, "cmp one.tsv three.tsv");
    }
}

static void models_that_know_when_the_next_event_is_are_told_when(void **state)
{
    world *w = *state;
    write_file(w, "when.yaml",
               "data: {path: none}\nmodel: {backbone: hstu, hidden_size: 8, max_length: 8, layers: 1, initializer_range: 0.5}\n"
               "training: {epochs: 1, batch_size: 512}\nevaluation: {every_epochs: 0}\n");
    run_srtrain(&w->result, 0, "%s/when.yaml --set data.path=%s --output %s/when", w->directory, w->data, w->directory);
    assert_code(&w->result, 0);
    recommend(w, 0, 0, "when", "--output last.tsv");
    assert_says(&w->result, "(the last of the data set; --time says another)");
    const char *said = strstr(w->result.output, "recommending for time ");
    const long long last = said ? strtoll(said + strlen("recommending for time "), NULL, 10) : 0;
    assert_true(last > 1000000);
    recommend(w, 3, 0, "when", "--time %lld --output same.tsv", last);
    assert_says(&w->result, "(--time)");
    shell(w, "cmp last.tsv same.tsv");
    recommend(w, 0, 0, "when", "--time 5 --output early.tsv");
    shell(w, "! cmp -s last.tsv early.tsv");
    recommend(w, 0, 2, "sliding", "--time 5 --output none.tsv");
    assert_says(&w->result, "--time is given, but this model (sasrec) does not ask when the next event is");
    recommend(w, 2, 3, "when", "--histories all.txt --output none.tsv");
    assert_says(&w->result, "has no time, which the model needs: expected words ITEM:TIME");
}

static void users_that_are_not_in_the_data_are_reported(void **state)
{
    world *w = *state;
    shell(w, "{ echo nobody; sed -n '7p;3p;7p' all.txt | cut -d' ' -f1; echo; echo no one; } > users.txt");
    recommend(w, 0, 0, "sliding", "--users users.txt --top-k 2 --output two.tsv");
    assert_says(&w->result, "2 of the 4 users in users.txt are not in the data set and are left out, the first is \"nobody\"");
    shell(w, "[ $(wc -l < two.tsv) -eq 5 ]");
    write_file(w, "users.txt", "nobody\n");
    recommend(w, 0, 3, "sliding", "--users users.txt --output nobody.tsv");
    assert_says(&w->result, "none of the users");
    assert_false(exists(w, "nobody.tsv"));
}

/* ---- files ---- */

static void *read_column(hid_t file, const char *name, hid_t type, size_t count)
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    assert_int_equal(H5Sget_simple_extent_npoints(space), count);
    char *values = calloc(count, H5Tget_size(type));
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    return values;
}

static void both_files_hold_the_same(void **state)
{
    world *w = *state;
    enum { COUNT = 3 * USERS, TEXT = 32 };
    char path[WORLD_PATH_SIZE], line[256];
    recommend(w, 0, 0, "sliding", "--top-k 3 --output both.tsv");
    recommend(w, 0, 0, "sliding", "--top-k 3 --output both.h5");
    world_path(w, "both.h5", path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), text = H5Tcopy(H5T_C_S1);
    assert_true(file >= 0 && H5Tset_size(text, TEXT) >= 0);
    char(*users)[TEXT] = read_column(file, "user", text, COUNT), (*items)[TEXT] = read_column(file, "item", text, COUNT);
    int *ranks = read_column(file, "rank", H5T_NATIVE_INT, COUNT);
    float *scores = read_column(file, "score", H5T_NATIVE_FLOAT, COUNT);
    world_path(w, "both.tsv", path);
    FILE *lines = fopen(path, "r");
    assert_non_null(lines);
    assert_non_null(fgets(line, sizeof line, lines));
    assert_string_equal(line, "user\trank\titem\tscore\n");
    for (size_t i = 0; i < COUNT; ++i) {
        char expected[256];
        assert_non_null(fgets(line, sizeof line, lines));
        snprintf(expected, sizeof expected, "%s\t%d\t%s\t%.6g\n", users[i], ranks[i], items[i], (double)scores[i]);
        assert_string_equal(line, expected);
    }
    assert_null(fgets(line, sizeof line, lines));
    fclose(lines);
    free(users);
    free(items);
    free(ranks);
    free(scores);
    H5Tclose(text);
    H5Fclose(file);
}

static void a_user_who_has_everything_gets_nothing(void **state)
{
    world *w = *state;
    shell(w, "awk '{ for (i = 2; i <= NF; ++i) if (!($i in seen)) { seen[$i]; line = line \" \" $i } } "
             "END { print \"collector\" line }' all.txt > collector.txt");
    recommend(w, 0, 0, "sliding", "--histories collector.txt --output collector.tsv");
    recommend(w, 0, 0, "sliding", "--histories collector.txt --output collector.h5");
    shell(w, "[ $(wc -l < collector.tsv) -eq 1 ]");
    char path[WORLD_PATH_SIZE];
    world_path(w, "collector.h5", path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    free(read_column(file, "score", H5T_NATIVE_FLOAT, 0));
    H5Fclose(file);
    recommend(w, 0, 0, "sliding", "--histories collector.txt --history keep --top-k 60 --output collector.tsv");
    shell(w, "[ $(wc -l < collector.tsv) -eq %d ]", ITEMS + 1);
}

/* ---- identifiers ---- */

static void identifiers_may_hold_anything(void **state)
{
    world *w = *state;
    char data[WORLD_PATH_SIZE + 32];
    write_file(w, "odd.csv", "u 1,a b,1\nu 1,\"c\td\",2\nu 1,e\\f,3\n\"v\n2\",e\\f,1\n\"v\n2\",a b,2\n\"v\n2\",\xc3\xa9,3\n");
    world_path(w, "odd", data);
    run_srprep(&w->result, "convert --format csv --columns user=0,item=1,time=2 --input %s/odd.csv --output %s", w->directory,
               data);
    assert_code(&w->result, 0);
    snprintf(data, sizeof data, "--set data.path=%s/odd --set data.samples=window", w->directory);
    train(w, "odd-run", data);
    recommend(w, 0, 0, "odd-run", "--top-k 4 --history keep --output odd.tsv");
    write_file(w, "odd-users", "u 1\nv\\n2\n");
    write_file(w, "odd-items", "a b\nc\\td\ne\\\\f\n\xc3\xa9\n");
    shell(w, "export LC_ALL=C; tail -n +2 odd.tsv > a && [ $(wc -l < a) -eq 8 ] && cut -f1 a | sort -u | cmp - odd-users && "
             "cut -f3 a | sort -u | cmp - odd-items");
    write_file(w, "odd.txt", "n 1\ta b\te\\f\n");
    recommend(w, 0, 0, "odd-run", "--top-k 4 --histories odd.txt --output odd-new.tsv");
    write_file(w, "pairs", "n 1\tc\\td\nn 1\t\xc3\xa9\n");
    shell(w, "export LC_ALL=C; tail -n +2 odd-new.tsv | cut -f1,3 | sort | cmp - pairs");
}

/* ---- with the reference implementation ---- */

/* A data set whose items 1, 2, ... are called so. */
static void write_counting_data(world *w, const char *name, int64_t items)
{
    char path[WORLD_PATH_SIZE];
    world_path(w, "counting.txt", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "everything");
    for (int64_t item = 1; item <= items; ++item)
        fprintf(file, " %lld", (long long)item);
    fputc('\n', file);
    assert_int_equal(fclose(file), 0);
    shell(w, "rm -rf %s", name);
    run_srprep(&w->result, "convert --format sequences --input %s --output %s/%s", path, w->directory, name);
    assert_code(&w->result, 0);
}

/* The sequences of a fixture as histories of users 0, 1, ...; returns how many. */
static size_t write_fixture_histories(const world *w, const parity_fixture *fixture, size_t length)
{
    char path[WORLD_PATH_SIZE];
    int32_t *sequence;
    size_t count;
    assert_int_equal(fixture_read_integers(fixture, "inputs", "sequence", &sequence, &count, NULL), SR_OK);
    world_path(w, "fixture.txt", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t user = 0; user < count / length; ++user) {
        fprintf(file, "%zu", user);
        for (size_t i = 0; i < length; ++i)
            if (sequence[user * length + i])
                fprintf(file, " %d", (int)sequence[user * length + i]);
        fputc('\n', file);
    }
    assert_int_equal(fclose(file), 0);
    free(sequence);
    return count / length;
}

static void assert_fixture_scores(const world *w, const parity_fixture *fixture, size_t users)
{
    char path[WORLD_PATH_SIZE], line[256];
    const size_t columns = (size_t)fixture_items(fixture) + 1;
    double *expected, difference = 0, norm = 0;
    size_t lines = 0;
    assert_int_equal(fixture_read_sized(fixture, "expected", "scores", users * columns, &expected, NULL), SR_OK);
    world_path(w, "fixture.tsv", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (; fgets(line, sizeof line, file); ++lines) {
        size_t user, rank, item;
        double score;
        assert_int_equal(sscanf(line, "%zu\t%zu\t%zu\t%lf", &user, &rank, &item, &score), 4);
        assert_true(user < users && item >= 1 && item < columns);
        const double reference = expected[user * columns + item];
        difference += (score - reference) * (score - reference);
        norm += reference * reference;
    }
    fclose(file);
    free(expected);
    assert_int_equal(lines, users * (columns - 1));
    if (!(sqrt(difference) <= 1e-4 * sqrt(norm)))
        fail_msg("%s: scores differ by %.3g", fixture_name(fixture), sqrt(difference / norm));
}

/* From a file of weights to recommendations: every score is that of the reference. */
static void check_fixture(world *w, const char *path)
{
    parity_fixture *fixture;
    sr_error error;
    if (fixture_open(&fixture, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    const char *found = strstr(fixture_configuration(fixture), "max_length:");
    assert_non_null(found);
    char *configuration;
    assert_int_equal(fixture_configuration_of_backbone(fixture, &configuration, NULL), SR_OK);
    write_file(w, "fixture.yaml", configuration);
    free(configuration);
    write_counting_data(w, "counting", fixture_items(fixture));
    shell(w, "mkdir -p fixture");
    run_srtrain(&w->result, 0,
                "import %s --config %s/fixture.yaml --data %s/counting "
                "--output %s/fixture/best.h5 --force",
                path, w->directory, w->directory, w->directory);
    assert_code(&w->result, 0);
    const size_t users = write_fixture_histories(w, fixture, strtoul(found + strlen("max_length:"), NULL, 10));
    recommend(w, 0, 0, "fixture", "--histories fixture.txt --history keep --top-k 1000 --output fixture.tsv");
    assert_fixture_scores(w, fixture, users);
    fixture_close(fixture);
}

static void imported_parameters_score_as_in_the_reference(void **state)
{
    static const char *const names[] = {"sasrec-*",   "bert4rec-plain",  "stosa-*",        "awrsr_*",
                                        "bsarec-*",   "ac_sasrec-gate*", "fearec-*",       "duorec-*",
                                        "encoder_g*", "ligr_*",          "hstu-positions*"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        char pattern[512];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/%s.h5", SRTRAIN_OWN_FIXTURE_DIRECTORY, names[i]);
        if (glob(pattern, 0, NULL, &found) != 0)
            fail_msg("there is no %s", pattern);
        for (size_t k = 0; k < found.gl_pathc; ++k)
            check_fixture(*state, found.gl_pathv[k]);
        globfree(&found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_ranks_gives_the_same_bytes),
        cmocka_unit_test(long_lists_come_in_small_rounds),
        cmocka_unit_test(a_divided_item_table_gives_the_same_bytes),
        cmocka_unit_test(a_known_history_gives_what_its_user_gets),
        cmocka_unit_test(histories_come_in_the_order_of_their_file),
        cmocka_unit_test(histories_may_be_compressed_and_separated_by_tabs),
        cmocka_unit_test(the_history_is_excluded_unless_it_is_kept),
        cmocka_unit_test(unknown_items_are_reported_and_left_out),
        cmocka_unit_test(memory_for_identifiers_changes_nothing),
        cmocka_unit_test(an_empty_history_is_served_by_models_that_know_such),
        cmocka_unit_test(bad_histories_are_refused_and_nothing_is_written),
        cmocka_unit_test(models_of_users_or_times_refuse_new_users_without_them),
        cmocka_unit_test(models_that_know_when_the_next_event_is_are_told_when),
        cmocka_unit_test(users_that_are_not_in_the_data_are_reported),
        cmocka_unit_test(both_files_hold_the_same),
        cmocka_unit_test(a_user_who_has_everything_gets_nothing),
        cmocka_unit_test(identifiers_may_hold_anything),
        cmocka_unit_test(imported_parameters_score_as_in_the_reference),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}

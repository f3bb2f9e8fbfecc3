/* The directory of a run: who may work in it, and what may become of a run that is already there. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    run_shell(&w->result, w->directory,
              "srprep synth --users 40 --items 20 --mean-length 8 --seed 1 --output data && "
              "echo 'data: {path: data}\nmodel: {layers: 1, heads: 1, hidden_size: 8, inner_size: 8, max_length: 8}\n"
              "training: {epochs: 2, batch_size: 64, early_stopping: {patience: 0}}' >run.yaml");
    assert_code(&w->result, 0);
    return 0;
}

/* ---- who works there ---- */

/* Starts a run that takes long, and waits until it has written its first checkpoint. */
static const char start_long_run[] =
    "srtrain run.yaml --output long --set training.epochs=1000000 checkpoint.every_epochs=0 checkpoint.every_steps=20 "
    ">first.log 2>&1 & first=$!; n=0; until ls long/checkpoints/*.h5 >/dev/null 2>&1 || [ $((n += 1)) -gt 2000 ]; do sleep "
    "0.05; done; ";

static void a_second_start_is_refused_and_the_first_run_is_not_disturbed(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "%s srtrain run.yaml --output long --resume never; echo second $?; $MPIEXEC 2 srtrain run.yaml --output ./long/; "
              "echo third $?; kill -USR1 $first; wait $first; echo first $?; grep -c error first.log; ls long",
              start_long_run);
    assert_says(&w->result, "another run works in long: process ");
    assert_says(&w->result, "second 2");
    assert_says(&w->result, "third 2");
    assert_says(&w->result, "first 75");
    assert_says(&w->result, "\n0\n");
    assert_does_not_say(&w->result, "lock");
}

static void a_run_that_was_killed_can_be_started_again_at_once(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "%s kill -9 $first; srtrain run.yaml --output long --time-limit 1; echo second $?; rm -r long", start_long_run);
    assert_says(&w->result, "going on from long/checkpoints/step-");
    assert_does_not_say(&w->result, "another run works");
}

/* Ranks outlive their launcher for a moment. */
static void a_run_whose_launcher_was_killed_can_be_started_again_at_once(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "$MPIEXEC 2 srtrain run.yaml --output lost --set training.epochs=1000000 checkpoint.every_epochs=0 "
              "checkpoint.every_steps=20 >first.log 2>&1 & first=$!; "
              "n=0; until ls lost/checkpoints/*.h5 >/dev/null 2>&1 || [ $((n += 1)) -gt 2000 ]; do sleep 0.05; done; "
              "kill -9 $first; $MPIEXEC 2 srtrain run.yaml --output lost --set training.epochs=1000000 --time-limit 1 "
              ">second.log 2>&1; echo second $?; grep 'going on' second.log; rm -r lost");
    assert_says(&w->result, "going on from lost/checkpoints/step-");
    assert_says(&w->result, "second 75");
}

/* ---- what it holds already ---- */

static void fewer_epochs_than_are_done_are_refused_and_change_nothing(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "srtrain run.yaml --output done --set training.epochs=4 && cp -r done before && "
              "srtrain run.yaml --output done --set training.epochs=1; echo fewer $?; diff -r before done && echo unchanged");
    assert_says(&w->result, "nothing is to be done, 4 of 1 epochs are done");
    assert_says(&w->result, "fewer 2");
    assert_says(&w->result, "unchanged");
    /* Nor are they given to a run that begins there. */
    run_shell(&w->result, w->directory,
              "srtrain run.yaml --output other --set training.epochs=1 --resume done/checkpoints/step-0000000012.h5; "
              "echo begins $?; test ! -e other && echo nothing");
    assert_says(&w->result, "4 of 1 epochs are done");
    assert_says(&w->result, "begins 2");
    assert_says(&w->result, "nothing\n");
    /* As many are the same command again. */
    run_shell(&w->result, w->directory, "srtrain run.yaml --output done --set training.epochs=4");
    assert_code(&w->result, 0);
    assert_says(&w->result, "test, model");
}

static void another_choice_of_the_best_parameters_comes_too_late_for_a_run_that_has_ended(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "srtrain run.yaml --output ended && srtrain run.yaml --output ended --set evaluation.history=exclude");
    assert_code(&w->result, 0);
    assert_says(&w->result, "its best parameters stay those chosen by ndcg@10 (history keep)");
}

static void other_settings_are_named_with_the_way_out(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "srtrain run.yaml --output settled && srtrain run.yaml --output settled --set training.epochs=3 "
              "training.batch_size=32 model.heads=2 calibrators.spatial.order=true");
    assert_code(&w->result, 3);
    assert_says(&w->result, "model.heads was 1, now it is 2");
    assert_says(&w->result, "training.batch_size was 64, now it is 32");
    assert_says(&w->result, "calibrators.spatial was (not in use), now it is (in use)");
    assert_says(&w->result, "--set model.heads=1 --set training.batch_size=64");
    assert_says(&w->result, "another --output");
    run_shell(&w->result, w->directory,
              "srtrain run.yaml --output settled --set training.epochs=3 --set model.heads=1 --set training.batch_size=64");
    assert_code(&w->result, 0);
}

/* ---- where its data are ---- */

static void a_relative_path_of_data_is_found_from_everywhere(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "srtrain run.yaml --output there && here=$PWD && mkdir -p elsewhere && cd elsewhere && "
              "srtrain evaluate $here/there/best.h5 && srtrain recommend $here/there/best.h5 --top-k 1 && "
              "srtrain $here/there/config.yaml --set training.epochs=3 --output $here/there && "
              "srtrain evaluate $here/there/checkpoints/step-0000000009.h5 && grep \"path: \\\"$here/data\\\"\" "
              "$here/there/config.yaml");
    assert_code(&w->result, 0);
    assert_says(&w->result, "going on from");
}

static void data_that_are_not_where_the_checkpoint_says_are_explained(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "cp -r data moving && srtrain run.yaml --set data.path=moving --output moved && mv moving gone; "
              "srtrain evaluate moved/best.h5; echo code $?; srtrain evaluate moved/best.h5 --data gone");
    assert_code(&w->result, 0);
    assert_says(&w->result, "/moving: there is no such directory");
    assert_says(&w->result, "the data set of moved/best.h5");
    assert_says(&w->result, "give --data DIR");
    assert_says(&w->result, "code 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_start_is_refused_and_the_first_run_is_not_disturbed),
        cmocka_unit_test(a_run_that_was_killed_can_be_started_again_at_once),
        cmocka_unit_test(a_run_whose_launcher_was_killed_can_be_started_again_at_once),
        cmocka_unit_test(fewer_epochs_than_are_done_are_refused_and_change_nothing),
        cmocka_unit_test(another_choice_of_the_best_parameters_comes_too_late_for_a_run_that_has_ended),
        cmocka_unit_test(other_settings_are_named_with_the_way_out),
        cmocka_unit_test(a_relative_path_of_data_is_found_from_everywhere),
        cmocka_unit_test(data_that_are_not_where_the_checkpoint_says_are_explained),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}

/* Ranks that were given different command lines, configurations or data fail together, and say what differs. */
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
    run_shell(
        &w->result, w->directory,
        "srprep synth --users 40 --items 20 --mean-length 8 --seed 1 --output data && "
        "srprep synth --users 40 --items 20 --mean-length 8 --seed 2 --output sub/data && "
        "echo 'data: {path: data}\nmodel: {layers: 1, heads: 1, hidden_size: 8, inner_size: 8, max_length: 8}\n"
        "training: {epochs: 2}' >a.yaml && cp a.yaml sub && sed 's/heads: 1/heads: 2/' a.yaml >b.yaml && cp a.yaml c.yaml && "
        "sed 's/heads/haeds/' a.yaml >wrong.yaml && srtrain a.yaml --output run");
    assert_code(&w->result, 0);
    return 0;
}

/* Ranks 0 and 1 have the first arguments, rank 2 has the second ones. */
static void run_differently(program_world *w, const char *first, const char *second)
{
    run_shell(&w->result, w->directory,
              "$MPIEXEC 3 $BY_RANK 'srtrain %s' 'srtrain %s' 'srtrain %s'; code=$?; test -e new && echo wrote; exit $code",
              first, first, second);
}

static void assert_refused(program_world *w, const char *first, const char *second, const char *words)
{
    run_differently(w, first, second);
    assert_code(&w->result, 2);
    assert_says(&w->result, "rank 2 on ");
    assert_says(&w->result, words);
    assert_does_not_say(&w->result, "wrote");
}

static void the_first_key_that_differs_is_named_with_both_values(void **state)
{
    program_world *w = *state;
    assert_refused(w, "a.yaml --output new", "b.yaml --output new", "b.yaml: model.heads is 2, but on rank 0 it is 1");
    assert_refused(w, "a.yaml --output new --set training.seed=1", "a.yaml --output new --set training.seed=2",
                   "training.seed is 2, but on rank 0 it is 1");
    assert_refused(w, "a.yaml --output new --set calibrators.spatial.order=true", "a.yaml --output new",
                   "calibrators.spatial is (not in use), but on rank 0 it is (in use)");
    assert_refused(w, "evaluate run/best.h5", "evaluate run/best.h5 --set evaluation.batch_size=3",
                   "evaluation.batch_size is 3, but on rank 0 it is 256");
    assert_refused(w, "import run/best.h5 --config a.yaml --output new", "import run/best.h5 --config b.yaml --output new",
                   "--config b.yaml");
}

static void options_commands_and_operands_that_differ_are_named(void **state)
{
    program_world *w = *state;
    assert_refused(w, "a.yaml --output new", "a.yaml --output other",
                   "option --output other, but rank 0 has option --output new");
    assert_refused(w, "a.yaml", "c.yaml", "runs/c, but rank 0 has runs/a");
    assert_refused(w, "a.yaml --output new", "evaluate run/best.h5", "command evaluate, but rank 0 has command train");
    assert_refused(w, "evaluate run/best.h5", "evaluate run/best.h5 --split valid", "option --split valid");
    assert_refused(w, "recommend run/best.h5 --output new", "recommend run/best.h5 --output new --top-k 3",
                   "option --top-k 3, but rank 0 has option --top-k 10");
    assert_refused(w, "analyze run/best.h5 --output new", "analyze run/checkpoints/step-0000000002.h5 --output new",
                   "argument run/checkpoints/step-0000000002.h5");
}

/* A rank that fails by itself must not leave the others waiting. */
static void what_only_one_rank_finds_wrong_ends_all(void **state)
{
    program_world *w = *state;
    assert_refused(w, "a.yaml --output new", "wrong.yaml --output new", "unknown key");
    assert_refused(w, "evaluate run/best.h5", "evaluate run/best.h5 --splitt valid", "unknown option --splitt");
    assert_refused(w, "a.yaml --output new", "a.yaml --output", "--output needs a value");
}

static void data_that_differ_are_found_though_their_paths_are_the_same(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "$MPIEXEC 2 $BY_RANK \"srtrain a.yaml --output $PWD/new\" \"cd sub && srtrain a.yaml --output $PWD/new\"; "
              "code=$?; test -e new && echo wrote; exit $code");
    assert_code(&w->result, 2);
    assert_says(&w->result, "rank 1 on ");
    assert_says(&w->result, "a data set with fingerprint");
    assert_does_not_say(&w->result, "wrote");
}

static void srprep_compares_its_ranks_too(void **state)
{
    program_world *w = *state;
    run_shell(&w->result, w->directory,
              "synth='srprep synth --users 40 --items 20 --mean-length 8 --output new'; $MPIEXEC 2 $BY_RANK "
              "\"$synth --seed 1\" \"$synth --seed 2\"; code=$?; test -e new && echo wrote; exit $code");
    assert_code(&w->result, 2);
    assert_says(&w->result, "rank 1 on ");
    assert_says(&w->result, "argument 11 is 2, but rank 0 has argument 11 is 1");
    assert_does_not_say(&w->result, "wrote");
}

static void copies_of_one_configuration_are_the_same(void **state)
{
    program_world *w = *state;
    run_differently(w, "a.yaml --output new", "c.yaml --output new");
    assert_code(&w->result, 0);
    assert_says(&w->result, "3 ranks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_key_that_differs_is_named_with_both_values),
        cmocka_unit_test(options_commands_and_operands_that_differ_are_named),
        cmocka_unit_test(what_only_one_rank_finds_wrong_ends_all),
        cmocka_unit_test(data_that_differ_are_found_though_their_paths_are_the_same),
        cmocka_unit_test(srprep_compares_its_ranks_too),
        cmocka_unit_test(copies_of_one_configuration_are_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}

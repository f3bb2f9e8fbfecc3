/* srtrain evaluate of data that the model was not trained on: items by their identifiers, which the checkpoint carries. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* own.txt has 90 users of items-0 to items-19; mixed.txt the same users and items in another order. */
static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    program_shell(
        w, 0,
        "awk 'BEGIN { for (u = 0; u < 90; ++u) { line = \"user-\" u; for (i = 0; i < 4 + u % 5; ++i) "
        "line = line \" item-\" (u * 7 + i * 3) % 20; print line } }' >own.txt && "
        "sort -R --random-source=own.txt own.txt >mixed.txt && ! cmp -s own.txt mixed.txt && "
        "for name in own mixed; do srprep convert --format sequences --input $name.txt --output $name || exit 1; done && "
        "printf 'data: {path: own}\\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1}\\n"
        "training: {epochs: 2, batch_size: 32, threads: 1}\\n' >run.yaml && srtrain run.yaml --output run && "
        "srtrain evaluate run/best.h5 --json own.json --cases own.tsv >own.table");
    return 0;
}

/* The same interactions under other numbers have the same metrics, and their cases the same ranks. */
static void the_same_data_in_another_order_has_the_same_metrics(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "srtrain evaluate run/best.h5 --data mixed --json mixed.json --cases mixed.tsv && cmp own.json mixed.json && "
                  "cut -f1-3,5-7 own.tsv | sort >a && cut -f1-3,5-7 mixed.tsv | sort | cmp - a");
    assert_says(&w->result, "mixed is not what the model was trained on: its items are known by their identifiers, 20 of 20");
    assert_does_not_say(&w->result, "left out");
    program_shell(w, 0, "$MPIEXEC 3 srtrain evaluate run/best.h5 --data mixed --cases three.tsv && cmp mixed.tsv three.tsv");
}

/* The data that the model was trained on need not be there. */
static void unknown_items_are_counted_named_and_left_out(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "sed 's/ item-3 / new-a item-3 new-b /; 5s/$/ new-c/' mixed.txt >more.txt && "
        "srprep convert --format sequences --input more.txt --output more --split ratio:0.6,0,0.4 >/dev/null && "
        "srprep convert --format sequences --input own.txt --output parts --split ratio:0.6,0,0.4 >/dev/null && mv own away");
    program_shell(w, 0, "srtrain evaluate run/best.h5 --data more --cases more.tsv");
    assert_says(&w->result, "are with 3 items that the model does not know, and are left out: \"new-");
    assert_says(&w->result, "20 of 23");
    program_shell(w, 0,
                  "! cut -f2,8- more.tsv | grep new && "
                  "$MPIEXEC 2 srtrain evaluate run/best.h5 --data more --cases two.tsv && cmp more.tsv two.tsv");
    program_shell(w, 3, "srtrain evaluate run/best.h5"); /* what is to be evaluated has to be somewhere */
    program_shell(w, 0, "mv away own");
}

static void data_without_any_known_item_is_refused(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "sed 's/item/thing/g' own.txt >none.txt && srprep convert --format sequences --input none.txt --output none");
    program_shell(w, 3, "$MPIEXEC 2 srtrain evaluate run/best.h5 --data none --json none.json");
    assert_says(&w->result, "none has none of the items of run/best.h5: its items are \"thing-");
    program_shell(w, 0, "! ls | grep none.json");
}

static void models_of_users_serve_their_own_data_alone(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "srtrain run.yaml --output users --set model.backbone=ssept model.user_hidden_size=4 training.epochs=1");
    program_shell(w, 2, "srtrain evaluate users/best.h5 --data mixed");
    assert_says(&w->result, "model.backbone ssept has parameters for each user that it was trained on");
    program_shell(w, 3, "srtrain recommend run/best.h5 --data mixed"); /* which takes no other data */
    assert_says(&w->result, "belongs to other data");
}

static void damaged_identifiers_are_found(void **state)
{
    program_world *w = *state;
    program_shell(w, 0, "cp run/best.h5 bad.h5 && LC_ALL=C sed -i 's/item-13/item-99/' bad.h5 && ! cmp -s bad.h5 run/best.h5");
    program_shell(w, 3, "srtrain evaluate bad.h5 --data mixed");
    assert_says(&w->result, "item_names");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_data_in_another_order_has_the_same_metrics),
        cmocka_unit_test(unknown_items_are_counted_named_and_left_out),
        cmocka_unit_test(data_without_any_known_item_is_refused),
        cmocka_unit_test(models_of_users_serve_their_own_data_alone),
        cmocka_unit_test(damaged_identifiers_are_found),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}

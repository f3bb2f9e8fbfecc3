/* srtrain recommend among given items, with times in histories, and without the training data. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* 90 users of items-0 to items-19; full.tsv has all items for each of them, kept.tsv also those of the history.
 * timed.txt has the histories as words ITEM:TIME. */
static int set_up(void **state)
{
    const int failed = program_set_up(state);
    program_world *w = *state;
    if (failed)
        return failed;
    program_shell(
        w, 0,
        "awk 'BEGIN { print \"u,i,t\"; for (u = 0; u < 90; ++u) { timed = line = \"user-\" u; "
        "for (i = 0; i < 4 + u % 5; ++i) { item = \"item-\" (u * 7 + i * 3) % 20; time = 1000000 + u * 50 + i * i * 86400; "
        "print \"user-\" u \",\" item \",\" time; timed = timed \" \" item \":\" time; line = line \" \" item } "
        "print timed >\"timed.txt\"; print line >\"all.txt\" } }' >all.csv && "
        "srprep convert --format csv --header --columns user=u,item=i,time=t --time-unit number --input all.csv --output "
        "data && "
        "printf 'data: {path: data}\\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8, layers: 1}\\n"
        "training: {epochs: 2, batch_size: 32, threads: 1}\\n' >run.yaml && srtrain run.yaml --output run && "
        "srtrain run.yaml --output divided --set model.item_table=divided && "
        "srtrain recommend run/best.h5 --top-k 100 --output full.tsv && "
        "srtrain recommend run/best.h5 --top-k 100 --history keep --output kept.tsv");
    return 0;
}

/* Numbers the items of each user anew. */
#define RANKED "awk -F'\\t' -v OFS='\\t' 'NR == 1 { print; next } $1 != user { user = $1; rank = 0 } { $2 = ++rank; print }'"

static void only_given_items_are_recommended(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "printf 'item-3\\nitem-7\\nitem-19\\nnothing\\n' >only.txt && "
        "awk -F'\\t' 'NR == 1 || $3 ~ /^item-(3|7|19)$/' full.tsv | " RANKED " >expected.tsv && "
        "srtrain recommend run/best.h5 --only-items only.txt --top-k 100 --output found.tsv && cmp expected.tsv found.tsv");
    assert_says(&w->result, "1 of the 4 items in only.txt are not known and are left out: \"nothing\"");
    program_shell(
        w, 0, "srtrain recommend run/best.h5 --items only.txt --top-k 100 --output found.tsv && cmp expected.tsv found.tsv");
    program_shell(w, 0,
                  "$MPIEXEC 3 srtrain recommend run/best.h5 --only-items only.txt --top-k 2 --output two.tsv && "
                  "awk -F'\\t' 'NR == 1 || $2 <= 2' expected.tsv | cmp - two.tsv");
    program_shell(
        w, 0,
        "srtrain recommend divided/best.h5 --only-items only.txt --output one.tsv && "
        "$MPIEXEC 3 srtrain recommend divided/best.h5 --only-items only.txt --output three.tsv && cmp one.tsv three.tsv");
    program_shell(
        w, 0,
        "awk -F'\\t' 'NR == 1 || $3 !~ /^item-(3|7|19)$/' full.tsv | " RANKED " >expected.tsv && "
        "srtrain recommend run/best.h5 --exclude-items only.txt --top-k 100 --output found.tsv && cmp expected.tsv found.tsv");
    program_shell(
        w, 0,
        "echo item-7 >less.txt && awk -F'\\t' 'NR == 1 || $3 ~ /^item-(3|19)$/' full.tsv | " RANKED " >expected.tsv && "
        "srtrain recommend run/best.h5 --only-items only.txt --exclude-items less.txt --top-k 100 --output found.tsv && "
        "cmp expected.tsv found.tsv");
}

/* Whatever the order of the file, users come in that of the data set. */
static void users_are_recommended_their_candidates(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "awk 'BEGIN { for (u = 88; u >= 0; u -= 2) { line = \"user-\" u; for (i = 0; i <= u % 7; ++i) "
        "line = line \" item-\" (u + 5 * i) % 20 \" none\"; print line } print \"stranger item-1\" }' >candidates.txt && "
        "awk -F'\\t' 'NR == FNR { n = split($0, word, \" \"); for (i = 2; i <= n; ++i) has[word[1], word[i]]; next } "
        "FNR == 1 || ($1, $3) in has' candidates.txt kept.tsv | " RANKED
        " >expected.tsv && [ $(wc -l <expected.tsv) -gt 100 ] && "
        "srtrain recommend run/best.h5 --candidates candidates.txt --history keep --top-k 100 --output found.tsv && "
        "cmp expected.tsv found.tsv");
    assert_says(&w->result, "1 users in candidates.txt are not among those who are recommended to, and get nothing");
    assert_says(&w->result, "are not known and are left out: \"none\"");
    program_shell(
        w, 0,
        "for n in 2 4; do $MPIEXEC $n srtrain recommend run/best.h5 --candidates candidates.txt --history keep --top-k 100 "
        "--output found.tsv && cmp expected.tsv found.tsv || exit 1; done");
    program_shell(w, 0,
                  "srtrain recommend divided/best.h5 --candidates candidates.txt --output one.tsv && "
                  "$MPIEXEC 3 srtrain recommend divided/best.h5 --candidates candidates.txt --output three.tsv && cmp one.tsv "
                  "three.tsv && "
                  "srtrain recommend run/best.h5 --candidates candidates.txt --histories all.txt --output new.tsv && "
                  "srtrain recommend run/best.h5 --candidates candidates.txt --output known.tsv && cmp new.tsv known.tsv");
}

static void bad_lists_are_refused(void **state)
{
    program_world *w = *state;
    program_shell(w, 3,
                  "echo nothing >bad.txt; $MPIEXEC 2 srtrain recommend run/best.h5 --only-items bad.txt --output bad.tsv");
    assert_says(&w->result, "bad.txt: none of its items is in");
    program_shell(
        w, 3,
        "printf 'a item-1\\nb item-1\\na item-2\\n' >bad.txt; srtrain recommend run/best.h5 --candidates bad.txt --output "
        "bad.tsv");
    assert_says(&w->result, "bad.txt:3: user \"a\" has line 1 already");
    program_shell(w, 3,
                  "printf 'a item-1\\n\\n' >bad.txt; srtrain recommend run/best.h5 --candidates bad.txt --output bad.tsv");
    assert_says(&w->result, "bad.txt:2: the line is empty");
    program_shell(w, 3, ": >bad.txt; srtrain recommend run/best.h5 --only-items bad.txt --output bad.tsv");
    assert_says(&w->result, "bad.txt names no items");
    program_shell(w, 1, "srtrain recommend run/best.h5 --candidates missing.txt --output bad.tsv");
    program_shell(w, 0, "! ls | grep bad.tsv");
}

/* Nothing may be sold out, or only what the model does not know. */
static void a_list_that_excludes_nothing_is_no_error(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        ": >none.txt; srtrain recommend run/best.h5 --output all.tsv && "
        "$MPIEXEC 2 srtrain recommend run/best.h5 --exclude-items none.txt --output some.tsv && cmp all.tsv some.tsv");
    assert_says(&w->result, "none.txt names no items: none is left out");
    program_shell(w, 0,
                  "echo new >none.txt; srtrain recommend run/best.h5 --exclude-items none.txt --output new.tsv && "
                  "cmp all.tsv new.tsv");
    assert_says(&w->result, "1 of the 1 items in none.txt are not known");
}

/* A history with times gives what its user gets. */
static void histories_may_have_times(void **state)
{
    program_world *w = *state;
    program_shell(w, 0,
                  "srtrain run.yaml --output times --set model.backbone=tisasrec model.time_unit=86400 training.epochs=1 && "
                  "srtrain recommend times/best.h5 --output known.tsv && "
                  "$MPIEXEC 2 srtrain recommend times/best.h5 --histories timed.txt --output new.tsv && cmp known.tsv new.tsv");
    program_shell(w, 0,
                  "sed '2s/ item/ a:b:5 item/' timed.txt >colons.txt && "
                  "srtrain recommend times/best.h5 --histories colons.txt --output colons.tsv && cmp known.tsv colons.tsv");
    assert_says(&w->result, "\"a:b\" (line 2)");
    program_shell(w, 3, "srtrain recommend times/best.h5 --histories all.txt --output bad.tsv");
    assert_says(&w->result, "all.txt:1: \"item-0\" has no time, which the model needs: expected words ITEM:TIME");
    program_shell(w, 3,
                  "echo 'a item-1:5 item-2:x' >bad.txt; srtrain recommend times/best.h5 --histories bad.txt --output bad.tsv");
    assert_says(&w->result, "bad.txt:1: \"item-2:x\" has no time");
    program_shell(w, 3,
                  "echo 'a item-1:5 item-2:4' >bad.txt; srtrain recommend times/best.h5 --histories bad.txt --output bad.tsv");
    assert_says(&w->result, "bad.txt:1: time 4 stands behind 5, expected the oldest item first");
}

static void new_users_need_no_training_data(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "mv data away && srtrain recommend run/best.h5 --histories all.txt --top-k 100 --output new.tsv && cmp full.tsv "
        "new.tsv && "
        "$MPIEXEC 3 srtrain recommend divided/best.h5 --histories all.txt --output new.h5 && "
        "$MPIEXEC 2 srtrain recommend run/best.h5 --histories all.txt --top-k 100 --memory 1K --output two.tsv && "
        "cmp full.tsv two.tsv");
    program_shell(w, 3, "srtrain recommend run/best.h5 --output bad.tsv");
    assert_says(&w->result, "there is no such directory");
    program_shell(w, 0, "mv away data");
}

/* Python's libraries read the files in a test of their own. */
static void exports_do_not_depend_on_ranks(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "mv data away && for run in run divided; do for n in 1 3; do $MPIEXEC $n srtrain export $run/best.h5 "
        "--format safetensors --output $run-$n.safetensors --states all.txt && $MPIEXEC $n srtrain export $run/best.h5 "
        "--format npy --output $run-$n --states all.txt || exit 1; done; "
        "cmp $run-1.safetensors $run-3.safetensors && diff -r $run-1 $run-3 || exit 1; done; mv away data");
    program_shell(w, 0,
                  "[ $(ls run-1 | wc -l) -gt 10 ] && srtrain export run/best.h5 --format npy --output items --items-only && "
                  "[ \"$(ls items | tr '\n' ' ')\" = 'item_embedding.weight.npy item_names.npy ' ]");
    program_shell(w, 0, "srtrain export times/best.h5 --format npy --output timed --states timed.txt && ls timed/states.npy");
    program_shell(w, 3, "srtrain export times/best.h5 --format npy --output untimed --states all.txt");
    assert_says(&w->result, "has no time, which the model needs");
    program_shell(w, 2, "srtrain export run/best.h5 --format torch --output x");
    assert_says(&w->result, "allowed are safetensors, npy and onnx");
    program_shell(w, 3, "srtrain export run/missing.h5 --format npy --output x");
}

/* By a naive loop over the vectors that are exported; 20 items of 8 numbers. */
static void similar_items_are_those_of_the_nearest_directions(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "mv data away && srtrain similar run/best.h5 --top-k 100 --output similar.tsv && "
        "[ $(wc -l <similar.tsv) -eq $((20 * 19 + 1)) ] && [ \"$(head -1 similar.tsv)\" = \"$(printf "
        "'item\trank\tsimilar\tscore')\" ] && "
        "tail -c +129 items/item_embedding.weight.npy | od -An -v -tf4 -w32 >vectors.txt && [ $(wc -l <vectors.txt) -eq 21 ] "
        "&& "
        "tail -c +129 items/item_names.npy | od -An -v -c -w7 | tr -d ' ' | sed 's/\\\\0//g' >names.txt && "
        "paste names.txt vectors.txt | awk 'NR > 1 { n[NR] = $1; for (i = 2; i <= 9; ++i) { v[NR, i] = $i; s[NR] += $i * $i "
        "} } "
        "END { for (a = 2; a <= 21; ++a) for (b = 2; b <= 21; ++b) if (a != b) { d = 0; for (i = 2; i <= 9; ++i) "
        "d += v[a, i] * v[b, i]; printf \"%s\\t%s\\t%.4f\\n\", n[a], n[b], d / sqrt(s[a] * s[b]) } }' | sort >expected && "
        "tail -n +2 similar.tsv | awk '{ printf \"%s\\t%s\\t%.4f\\n\", $1, $3, $4 }' | sort >found && "
        "paste expected found | awk '$1 != $4 || $2 != $5 || ($3 - $6) ^ 2 > 4e-8 { print; bad = 1 } END { exit bad }' && "
        "tail -n +2 similar.tsv | awk '$1 == item && $4 > score { exit 1 } { item = $1; score = $4 }'");
    program_shell(
        w, 0,
        "for run in run divided; do srtrain similar $run/best.h5 --top-k 3 --output one.h5 && $MPIEXEC 3 srtrain similar "
        "$run/best.h5 --top-k 3 --output three.h5 && cmp one.h5 three.h5 || exit 1; done");
    program_shell(
        w, 0,
        "printf 'item-9\nnone\nitem-2\n' >some.txt && $MPIEXEC 2 srtrain similar run/best.h5 --items some.txt --top-k 2 "
        "--output some.tsv && awk -F'\t' 'NR == 1 || $2 <= 2 && $1 ~ /^item-[29]$/' similar.tsv | cmp - some.tsv");
    assert_says(&w->result, "1 of the 3 items in some.txt are not known and are left out: \"none\"");
    program_shell(
        w, 0,
        "mv away data && srtrain run.yaml --output gaussians --set model.backbone=stosa training.loss=stosa "
        "training.epochs=1 && "
        "srtrain similar gaussians/best.h5 --top-k 5 --output gaussians.tsv && [ $(wc -l <gaussians.tsv) -eq 101 ] && "
        "awk 'NR > 1 && $4 > 0 { exit 1 }' gaussians.tsv");
    program_shell(w, 3, "echo none >bad.txt; srtrain similar run/best.h5 --items bad.txt --output bad.tsv");
}

/* 25,000 rows of 64 numbers are two pieces; the checkpoint has the same bytes. Whoever encodes histories has all rows. */
static void rows_of_ranks_are_exported_as_those_of_one(void **state)
{
    program_world *w = *state;
    program_shell(
        w, 0,
        "srprep synth --users 60 --items 25000 --mean-length 6 --popularity zipf --seed 1 --output many && "
        "$MPIEXEC 2 srtrain run.yaml --output many-run --set data.path=many model.hidden_size=64 model.item_table=divided "
        "training.loss=bpr training.epochs=1 && "
        "for n in 1 2 3; do $MPIEXEC $n srtrain export many-run/best.h5 --format npy --output many-$n && $MPIEXEC $n srtrain "
        "export many-run/best.h5 --format safetensors --output many-$n.st || exit 1; done && "
        "for n in 2 3; do diff -r many-1 many-$n && cmp many-1.st many-$n.st || exit 1; done && "
        "head -1 all.txt >one.txt && srtrain export divided/best.h5 --format npy --output whole --states one.txt && "
        "$MPIEXEC 3 srtrain export divided/best.h5 --format npy --output parts && "
        "$MPIEXEC 3 srtrain export divided/best.h5 --format npy --items-only --output rows && "
        "rm whole/states.npy whole/state_names.npy && diff -r whole parts && cmp whole/item_embedding.weight.npy "
        "rows/item_embedding.weight.npy && "
        "$MPIEXEC 2 srtrain run.yaml --output gaussian-parts --set model.backbone=stosa training.loss=stosa "
        "model.item_table=divided training.epochs=1 training.threads=2 && "
        "for n in 1 2 3; do $MPIEXEC $n srtrain similar gaussian-parts/best.h5 --top-k 4 --output near-$n.tsv || exit 1; done "
        "&& "
        "cmp near-1.tsv near-2.tsv && cmp near-1.tsv near-3.tsv");
    program_shell(w, 1, "$MPIEXEC 3 srtrain export divided/best.h5 --format safetensors --output /dev/full");
    program_shell(w, 1, "$MPIEXEC 3 srtrain export divided/best.h5 --format npy --output /proc/none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_given_items_are_recommended),
        cmocka_unit_test(users_are_recommended_their_candidates),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(a_list_that_excludes_nothing_is_no_error),
        cmocka_unit_test(histories_may_have_times),
        cmocka_unit_test(new_users_need_no_training_data),
        cmocka_unit_test(exports_do_not_depend_on_ranks),
        cmocka_unit_test(similar_items_are_those_of_the_nearest_directions),
        cmocka_unit_test(rows_of_ranks_are_exported_as_those_of_one),
    };
    return cmocka_run_group_tests(tests, set_up, program_tear_down);
}

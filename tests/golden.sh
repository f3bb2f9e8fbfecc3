#!/usr/bin/env bash
# Compares the results of this tree with those of another commit: the same losses and metrics for every configuration.
#
#   tests/golden.sh COMMIT [DIRECTORY]
#
# Both are built as releases in DIRECTORY (default: build-golden), which is kept, so that a second run builds what changed
# alone. Every configuration of configs/, and some more (tests/golden/variants.txt), trains for one epoch of at least 20 steps on
# synthetic data. On one rank every loss, every gradient norm and every metric must be the same to the last bit; on three ranks
# within 1e-6 relative. SRTRAIN_GOLDEN_ONLY=PATTERN runs the configurations that match. Where a kernel adds in another order than
# that of COMMIT did, SRTRAIN_GOLDEN_TOLERANCE=1e-5 says what numbers may differ by, on any number of ranks.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/common.sh
commit="${1:?usage: tests/golden.sh COMMIT [DIRECTORY]}"
work="$(mkdir -p "${2:-build-golden}" && cd "${2:-build-golden}" && pwd)"
only="${SRTRAIN_GOLDEN_ONLY:-}"

# build SOURCE BINARIES: the two programs.
build() {
    local options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DSRTRAIN_BUILD_TESTS=OFF -DSRTRAIN_BUILD_BENCHMARKS=OFF)
    if ! { cmake -S "$1" -B "$2" "${options[@]}" && cmake --build "$2" --target srtrain_program srprep; } >"$2.log" 2>&1; then
        tail -n 20 "$2.log"
        exit 1
    fi
}
rm -rf "$work/source" && mkdir "$work/source"
git archive "$commit" | tar -x -C "$work/source"
build "$work/source" "$work/before"
build "$PWD" "$work/after"

data="$work/data"
rm -rf "$data" && "$work/before/srprep" synth --users 100 --items 150 --mean-length 12 --seed 1 --output "$data" >/dev/null

# run BINARIES RANKS OUTPUT CONFIGURATION ASSIGNMENT...
run() {
    local binaries="$1" ranks="$2" output="$3" configuration="$4"
    shift 4
    rm -rf "$output"
    mpirun -np "$ranks" "$binaries/srtrain" "$configuration" --output "$output" --set data.path="$data" training.epochs=1 \
        training.batch_size=4 logging.every_steps=1 "$@" >"$output.log" 2>&1 </dev/null || { tail -n 5 "$output.log"; return 1; }
}

# results METRICS: a line for each number that must not change, "LINE KEY VALUE". Times are left out, and a baseline that earlier commits may not have.
results() {
    grep -v '"baseline":"recent_popularity"' "$1" | tr ',{}' '\n  ' | awk -F: '
        /"kind"/ { ++line }
        NF == 2 && $1 !~ /second|share|"kind"|baseline/ { gsub(/[" ]/, "", $1); print line, $1, $2 }'
}

# compare BEFORE AFTER TOLERANCE: fails, and shows the first difference, where a number differs by more.
compare() {
    paste -d ' ' <(results "$1/metrics.jsonl") <(results "$2/metrics.jsonl") | awk -v tolerance="$3" '
        { ++compared; steps += $2 == "loss" }
        $1 " " $2 != $4 " " $5 { print "line " $1 ": " $2 " stands where " $5 " is now"; exit found = 1 }
        $3 != $6 {
            difference = $3 - $6; if (difference < 0) difference = -difference
            size = $3 < 0 ? -$3 : $3
            if (difference > tolerance * (size > 1e-3 ? size : 1e-3)) {
                print "line " $1 ": " $2 " was " $3 " and is " $6; exit found = 1
            }
        }
        END { if (!found && steps < 20) { print "only " steps + 0 " steps were compared"; exit 1 } exit found }'
}

failed=0 checked=0
# check NAME CONFIGURATION ASSIGNMENT...
check() {
    local name="$1" ranks tolerance difference
    shift
    [[ "$name" == *$only* ]] || return 0
    for ranks in 1 3; do
        tolerance="${SRTRAIN_GOLDEN_TOLERANCE:-$([ "$ranks" -eq 1 ] && echo 0 || echo 1e-6)}"
        ((++checked))
        if ! difference=$(run "$work/before" "$ranks" "$work/run-before" "$@" && run "$work/after" "$ranks" "$work/run-after" "$@" &&
            compare "$work/run-before" "$work/run-after" "$tolerance"); then
            ((++failed))
            echo "DIFFERS  $name, $ranks ranks: $difference"
        else
            echo "same     $name, $ranks ranks"
        fi
    done
}

for configuration in configs/*.yaml configs/paper/*.yaml; do
    check "${configuration#configs/}" "$configuration"
done
while read -r name assignments; do
    # shellcheck disable=SC2086  # assignments are words
    [[ -z "$name" || "$name" == \#* ]] || check "$name" tests/golden/base.yaml $assignments
done <tests/golden/variants.txt
echo "$checked comparisons, $failed differ"
[ "$failed" -eq 0 ]

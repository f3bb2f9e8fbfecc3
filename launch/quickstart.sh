#!/usr/bin/env bash
# From a fresh Debian 12 or 13 to a trained model in a few minutes: installs packages, builds, makes a small data set, trains
# AC-SASRec (SASRec with calibrated attention) on two ranks, evaluates beside a popularity baseline, and prints recommendations.
# What is already done is skipped.
#
#   launch/quickstart.sh [DIRECTORY]     outputs go to DIRECTORY (default: quickstart-output)
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/common.sh
output="${1:-quickstart-output}"
data="$output/data" run="$output/run"

step() { printf '\n== %s\n' "$*"; }

step "packages"
install_packages "${build_packages[@]}" "${mpi_packages[@]}"

step "build (build/)"
if [ ! -f build/CMakeCache.txt ]; then
    cmake --preset release -DSRTRAIN_BUILD_TESTS=OFF
fi
cmake --build build --target srtrain_program srprep

step "data ($data)"
if [ -f "$data/index.h5" ]; then
    build/srprep info "$data"
else
    build/srprep synth --users 3000 --items 800 --mean-length 15 --seed 1 --output "$data"
fi

step "training AC-SASRec on 2 ranks ($run)"
if [ -f "$run/evaluation.json" ]; then
    echo "already trained"
else
    start_ranks 2 build/srtrain configs/quickstart.yaml --set data.path="$data" --output "$run"
fi

step "evaluation on the test split, beside popularity"
start_ranks 2 build/srtrain evaluate "$run/best.h5" --data "$data" --split test --json "$run/evaluation.json"

step "the top 5 for a few users"
if [ ! -f "$run/recommendations.tsv" ]; then
    start_ranks 2 build/srtrain recommend "$run/best.h5" --data "$data" --top-k 5 --output "$run/recommendations.tsv"
fi
head -n 16 "$run/recommendations.tsv"

step "a page of curves and tests"
build/srtrain report "$run" --output "$output/report.html"

cat <<EOF

Everything lies in $output/:
  data/                      the data set (srprep info $data)
  run/config.yaml            every setting of the run
  run/metrics.jsonl          losses and metrics, one JSON object a line
  run/train.log              what was printed
  run/environment.json       versions, hosts, ranks, binding
  run/checkpoints/           where training would go on
  run/best.h5                the best model
  run/evaluation.json        its test metrics
  run/recommendations.tsv    the top 5 for every user
  report.html                curves, tests and times of the run: open it in a browser

The programs are build/srtrain and build/srprep. Your own data come next: docs/tutorial.md. It wants them in your PATH:

  export PATH=$PWD/build:$PWD/launch:\$PATH
EOF
if [ "$(id -u)" = 0 ]; then
    cat <<EOF

You are root, for whom Open MPI starts nothing until it is told that this is meant:

  set -a; . launch/launchers.env; set +a
EOF
fi

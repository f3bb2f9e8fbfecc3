#!/usr/bin/env bash
# Runs a benchmark of this folder from the build in build/; README.md here says which there are.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/common.sh
usage() {
  echo "usage: benchmarks/run.sh step CONFIG.yaml DATA [RANKS [STEPS [section.key=value ...]]]" >&2
  echo "       benchmarks/run.sh fourier" >&2
  exit 2
}
if [ "${1:-}" = fourier ]; then
  cmake --build build --target benchmark_fourier >/dev/null
  exec build/benchmarks/benchmark_fourier
fi
[ $# -ge 3 ] && [ "$1" = step ] || usage
configuration="$2" data="$3" ranks="${4:-1}" steps="${5:-200}"
shift $(( $# < 5 ? $# : 5 ))
cmake --build build --target benchmark_step >/dev/null
mpirun -np "$ranks" build/benchmarks/benchmark_step "$configuration" "$steps" "data.path=$data" "$@"

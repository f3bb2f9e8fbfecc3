#!/usr/bin/env bash
# Runs a benchmark of this folder from the build in build/; README.md here says which there are.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/common.sh
usage() {
  echo "usage: benchmarks/run.sh all [--output DIR] [--data DIR ...] [--steps N] [--ranks R] [--launcher 'mpirun -np {ranks}'] ..." >&2
  echo "       benchmarks/run.sh step CONFIG.yaml DATA [RANKS [STEPS [section.key=value ...]]]" >&2
  echo "       benchmarks/run.sh peers CONFIG.yaml|wide|long DATA [STEPS] [section.key=value ...] [--form NAME ...] [--ranks N] [--json FILE]" >&2
  echo "       benchmarks/run.sh peers --check FIXTURE.h5 ..." >&2
  echo "       benchmarks/run.sh scaling CONFIG.yaml DATA [--ranks 1,2,4] [--output DIR] [--launcher 'mpirun -np {ranks}'] ..." >&2
  echo "       benchmarks/run.sh reduction (CONFIG.yaml DATA | --bytes N) [--ranks 1,2,4] [--output DIR] ..." >&2
  echo "       benchmarks/run.sh network CONFIG.yaml DATA [--megabits 100,1000] [--hosts 2,3,4] [--output DIR] ..." >&2
  echo "       benchmarks/run.sh study DATA [--ranks 64,256,1024,4096] [--batch-per-rank N] [--output DIR]" >&2
  echo "       benchmarks/run.sh catalogues [--items 1e5,1e6,1e7] [--ranks 1,2,4] [--config CONFIG.yaml] [--output DIR] ..." >&2
  echo "       benchmarks/run.sh daily --config CONFIG.yaml [--data DIR] [--days N] [--epochs N] [--daily-epochs N] ..." >&2
  echo "       benchmarks/run.sh fourier" >&2
  echo "       benchmarks/run.sh reading [INTERACTIONS [REPETITIONS]]" >&2
  echo "       benchmarks/run.sh operations [--json FILE]" >&2
  exit 2
}
if [ "${1:-}" = fourier ]; then
  cmake --build build --target benchmark_fourier >/dev/null
  exec build/benchmarks/benchmark_fourier
fi
need_python() {
  command -v python3 >/dev/null || { echo "python3 is missing, which runs this benchmark: apt-get install python3" >&2; exit 1; }
}
if [ "${1:-}" = all ]; then
  need_python
  shift
  cmake --build build --target benchmark_all >/dev/null
  exec python3 -B benchmarks/all.py "$@"
fi
if [ "${1:-}" = catalogues ]; then
  need_python
  shift
  cmake --build build --target benchmark_catalogues >/dev/null
  exec python3 -B benchmarks/catalogues.py "$@"
fi
if [ "${1:-}" = daily ]; then
  need_python
  shift
  cmake --build build --target srtrain_program srprep >/dev/null
  exec python3 -B benchmarks/daily.py "$@"
fi
if [ "${1:-}" = operations ]; then
  shift
  cmake --build build --target benchmark_operations >/dev/null
  exec build/benchmarks/benchmark_operations "$@"
fi
if [ "${1:-}" = reading ]; then
  shift
  cmake --build build --target benchmark_reading >/dev/null
  exec build/benchmarks/benchmark_reading "$@"
fi
# The Python of $PYTHON, or else the first that has PyTorch (Debian's packages serve /usr/bin/python3 alone).
find_python() {
  local python
  for python in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3; do
    "$python" -c 'import torch, h5py, yaml' 2>/dev/null && { echo "$python"; return; }
  done
  echo "PyTorch, h5py or PyYAML is missing: apt-get install python3-torch python3-h5py python3-yaml," >&2
  echo "or pip install torch h5py pyyaml. PYTHON=... names the interpreter that has them." >&2
  exit 2
}
if [ "${1:-}" = peers ]; then
  shift
  [ $# -ge 2 ] || [ "${1:-}" = --check ] || usage
  python="$(find_python)"
  [ "$1" = --check ] && exec "$python" benchmarks/pytorch/step.py "$@"
  cmake --build build --target benchmark_step >/dev/null
  exec "$python" benchmarks/pytorch/compare.py build/benchmarks/benchmark_step "$@"
fi
if [ "${1:-}" = scaling ] || [ "${1:-}" = reduction ]; then
  need_python
  command="$1" model=()
  shift
  if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    [ $# -ge 2 ] || usage
    model=(--config "$1" --set "data.path=$2")
    shift 2
  fi
  cmake --build build --target benchmark_scaling >/dev/null
  exec python3 -B benchmarks/scaling.py "$command" "${model[@]}" "$@"
fi
if [ "${1:-}" = study ]; then
  need_python
  [ $# -ge 2 ] || usage
  data="$2"
  shift 2
  cmake --build build --target srtrain_program >/dev/null
  exec python3 -B benchmarks/study.py --data "$data" "$@"
fi
if [ "${1:-}" = network ]; then
  need_python
  [ $# -ge 3 ] || usage
  configuration="$2" data="$3"
  shift 3
  cmake --build build --target benchmark_step srtrain_program >/dev/null
  exec python3 -B benchmarks/network.py --config "$configuration" --set "data.path=$data" "$@"
fi
if [ $# -lt 3 ] || [ "$1" != step ]; then usage; fi
configuration="$2" data="$3" ranks="${4:-1}" steps="${5:-200}"
shift $(( $# < 5 ? $# : 5 ))
cmake --build build --target benchmark_step >/dev/null
start_ranks "$ranks" build/benchmarks/benchmark_step "$configuration" "$steps" "data.path=$data" "$@"

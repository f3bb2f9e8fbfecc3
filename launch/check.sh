#!/usr/bin/env bash
# Installs what the tests need, builds with warnings as errors, and runs every test.
#
#   launch/check.sh            the optimised build in build/
#   launch/check.sh sanitize   with address and undefined-behaviour sanitizers in build-sanitize/
#   launch/check.sh clang      compiled by clang, in build-clang/
#   launch/check.sh mpich      with MPICH instead of Open MPI, in build-mpich/
#   launch/check.sh style      runs no test, but looks at sources, scripts and pages: layout, limits, spelling, analyzers
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/common.sh
preset="${1:-check}"
case "$preset" in
mpich) mpi_packages=("${mpich_packages[@]}") ;;
clang) build_packages+=("${clang_packages[@]}") ;;
style)
    install_packages "${build_packages[@]}" "${mpi_packages[@]}" "${style_packages[@]}"
    exec tests/style.sh analyzers
    ;;
esac
install_packages "${build_packages[@]}" "${mpi_packages[@]}" "${test_packages[@]}"
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" -j 2 --output-on-failure --no-tests=error

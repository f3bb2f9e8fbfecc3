#!/usr/bin/env bash
# Runs tests as on processors that this machine is not, by qemu-user. It takes long: an emulated sum costs some fifty real ones.
#
#   launch/check-emulated.sh arm64 [VECTORS...]   compiles for 64-bit ARM in build-arm64/, and runs unit and parity tests;
#                                                 VECTORS: those of SVE, of none, sve128, sve256, sve512 (default: all in turn);
#                                                 lets ranks with unlike vectors train
#   launch/check-emulated.sh x86 [CPU...]         runs the tests of kernels, products and operations that are in build/;
#                                                 CPU: as qemu names it (default: Nehalem and SandyBridge, which have no AVX2, and
#                                                 Haswell, which has; this emulator has no AVX-512)
#
# Besides Debian's packages, which are installed, arm64 needs a directory with the libraries of a Debian for it:
# SRTRAIN_ARM64_ROOT (default: /var/tmp/srtrain-arm64), which is filled from SRTRAIN_MIRROR where it is not there. It may also
# be a whole Debian, as debootstrap makes it. SRTRAIN_TESTS, a regular expression, names other tests for arm64; those that
# start programs need qemu-user-static in binfmt_misc.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/common.sh

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit 2
}

# Tests that start no program: at a CPU level, and those that have none, which run once.
level_tests='(test_(kernels|gemm|operations|intervals|operation_gradients|fourier|fearec|model)|parity)'
other_tests='^(test_(base|random|output_file|config|config_errors|config_combinations|tape|parameters|batch|sampler|masking|same_target|damage'
other_tests+='|lines|table|times|filters'
other_tests+='|dataset|readers|synthesis|line_limits|optimizer|deferred_rows|deferred_rows_single)|test_parallel.without-mpirun'
other_tests+='|test_(parallel|threads|reduction|checkpoint|checkpoint_damage|step|node)\.ranks-[12])$'
x86_tests=(test_kernels test_gemm test_operations test_intervals test_operation_gradients test_fourier)

# The packages of the build and of its tests for arm64, unpacked and not installed: no emulation, and no need to be root.
fetch_libraries() {
    local root="$1" state
    local suite mirror="${SRTRAIN_MIRROR:-http://deb.debian.org/debian}"
    suite="$(. /etc/os-release && echo "$VERSION_CODENAME")"
    state="$(mktemp -d)"
    mkdir -p "$state"/{lists,archives}/partial "$root"
    touch "$state/status"
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$state/sources.list"
    local apt=(apt-get -qq -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
               -o "Dir::Cache=$state" -o "Dir::Cache::archives=$state/archives" -o "Dir::Etc::SourceList=$state/sources.list"
               -o Dir::Etc::SourceParts=/dev/null -o APT::Architecture=arm64 -o APT::Architectures=arm64
               -o Debug::NoLocking=true -o APT::Sandbox::User=)
    "${apt[@]}" update
    "${apt[@]}" install -y --no-install-recommends --download-only libc6-dev libcmocka-dev \
        "${build_packages[@]}" "${mpi_packages[@]}"
    local package
    for package in "$state"/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    rm -rf "$state"
}

# Two ranks with vectors of unlike length train on NEON, and compare their parameters after every step.
check_unlike_ranks() {
    local work status=0 build="$PWD/build-arm64" on_arm=(qemu-aarch64-static -L "$SRTRAIN_ARM64_ROOT")
    work="$(mktemp -d)"
    "${on_arm[@]}" "$build/srprep" synth --users 60 --items 50 --mean-length 9 --seed 3 --output "$work/data" >/dev/null
    cat >"$work/sasrec.yaml" <<END
data: {path: $work/data}
model: {hidden_size: 16, inner_size: 32, max_length: 12}
training: {epochs: 1, batch_size: 64, compare_ranks_every_steps: 1}
END
    local training="$build/srtrain $work/sasrec.yaml --output $work/run"
    mpirun -n 2 tests/by_rank.sh "${on_arm[*]} -cpu max,sve256=on $training" "${on_arm[*]} -cpu max,sve512=on $training" \
        >"$work/output" 2>&1 || status=$?
    [ "$status" -ne 0 ] || grep -q 'level generic, which sve256 of .* and sve512 of .* have in common' "$work/output" || status=1
    [ "$status" -eq 0 ] || cat "$work/output"
    rm -rf "$work"
    return "$status"
}

check_arm64() {
    install_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static cmake ninja-build pkg-config openmpi-bin
    export SRTRAIN_ARM64_ROOT="${SRTRAIN_ARM64_ROOT:-/var/tmp/srtrain-arm64}"
    [ -d "$SRTRAIN_ARM64_ROOT/usr/lib/aarch64-linux-gnu" ] || fetch_libraries "$SRTRAIN_ARM64_ROOT"
    cmake --preset arm64-cross
    cmake --build --preset arm64-cross
    local vectors level tests failed=()
    [ $# -gt 0 ] || set -- none sve128 sve256 sve512
    for vectors in "$@"; do
        level=generic
        case "$vectors" in
            none) export QEMU_CPU=max,sve=off ;;
            sve128) export QEMU_CPU=max,sve128=on ;;
            sve256 | sve512) export QEMU_CPU="max,$vectors=on" level="$vectors" ;;
            *) usage ;;
        esac
        tests="^$level_tests\\.$level\$|^test_cpu_levels.ranks-1\$"
        [ "$vectors" != none ] || tests+="|$other_tests"
        echo "== 64-bit ARM, SVE: $vectors"
        ctest --preset arm64-cross -R "${SRTRAIN_TESTS:-$tests}" --no-tests=error || failed+=("$vectors")
    done
    echo "== 64-bit ARM, ranks with SVE of 256 and of 512 bits"
    check_unlike_ranks || failed+=("unlike ranks")
    [ ${#failed[@]} -eq 0 ] || { printf 'Failed: %s\n' "${failed[@]}"; exit 1; }
}

# check_x86_level CPU LEVEL PROGRAM: prints what became of it.
check_x86_level() {
    local log status=0 begin=$SECONDS
    log="$(mktemp)"
    SRTRAIN_CPU_LEVEL="$2" qemu-x86_64-static -cpu "$1" "build/tests/$3" >"$log" 2>&1 || status=$?
    case "$status" in
        0) echo "$3 at $2: passed ($((SECONDS - begin)) s)" ;;
        77) echo "$3 at $2: skipped, this processor does not have it"; status=0 ;;
        *) echo "$3 at $2: failed ($status)"; cat "$log" ;;
    esac
    rm -f "$log"
    return "$status"
}

check_x86() {
    install_packages qemu-user-static
    [ -x build/tests/test_kernels ] || { echo "There is nothing to test in build/: start launch/check.sh before."; exit 1; }
    local cpu level program failed=()
    [ $# -gt 0 ] || set -- Nehalem SandyBridge Haswell
    for cpu in "$@"; do
        echo "== x86-64, $cpu: $(qemu-x86_64-static -cpu "$cpu" build/srtrain --version 2>/dev/null | grep '^CPU level')"
        for level in generic avx2 avx512; do
            for program in "${x86_tests[@]}"; do
                check_x86_level "$cpu" "$level" "$program" || failed+=("$program at $level on $cpu")
            done
        done
    done
    [ ${#failed[@]} -eq 0 ] || { printf 'Failed: %s\n' "${failed[@]}"; exit 1; }
}

[ $# -ge 1 ] || usage
kind="$1"
shift
case "$kind" in
    arm64) check_arm64 "$@" ;;
    x86) check_x86 "$@" ;;
    *) usage ;;
esac

#!/usr/bin/env bash
# processors.sh BINARY_DIRECTORY MPIEXEC...: the programs on other processors than this machine's, which qemu stands for: one
# without AVX, one with AVX2, and the best that qemu knows. They run without an unknown instruction, find the level that the
# processor has, and train together with ranks on this machine. Says "skipped: ..." without qemu.
set -euo pipefail

build="$1"
shift
launcher=("$@")
program="$build/srtrain"
by_rank="$(cd "$(dirname "$0")" && pwd)/by_rank.sh"

command -v qemu-x86_64 >/dev/null || { echo "skipped: qemu-x86_64 is missing: apt-get install qemu-user"; exit 0; }
[ "$(uname -m)" = x86_64 ] || { echo "skipped: these processors are emulated for programs of x86-64 alone"; exit 0; }

unset SRTRAIN_CPU_LEVEL OPENBLAS_CORETYPE
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "FAILED: $1" >&2
    [ -z "${2:-}" ] || cat "$2" >&2
    exit 1
}

# says FILE TEXT
says() { grep -qF -- "$2" "$1" || fail "there is no \"$2\" in $1:" "$1"; }

# on PROCESSOR COMMAND...
on() { qemu-x86_64 -cpu "$@"; }

# ---- which level, and kernels at every level that there is ----

check_processor() { # PROCESSOR LEVEL LEVEL_THAT_IS_MISSING
    on "$1" "$program" --version >version.out 2>&1 || fail "srtrain --version on $1" version.out
    says version.out "CPU level: $2 (the highest of this machine)"
    local code=0
    SRTRAIN_CPU_LEVEL="$3" on "$1" "$program" --version >missing.out 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "level $3 on $1 ended with $code instead of 2" missing.out
    says missing.out "SRTRAIN_CPU_LEVEL is \"$3\", which this machine lacks"
    for level in generic "$2"; do
        SRTRAIN_CPU_LEVEL="$level" on "$1" "$build/tests/test_kernels" >kernels.out 2>&1 || fail "kernels on $1" kernels.out
    done
}
check_processor Nehalem generic avx2
check_processor Haswell avx2 avx512

# ---- ranks on unequal machines ----

"$build/srprep" synth --users 60 --items 50 --mean-length 9 --seed 3 --output data >/dev/null
# For long windows, over which qemu takes long.
"$build/srprep" synth --users 8 --items 50 --mean-length 9 --seed 3 --output few >/dev/null
cat >sasrec.yaml <<'END'
data: {path: data}
model: {hidden_size: 16, inner_size: 32, max_length: 12}
training: {epochs: 1, batch_size: 64, reduction: blocking, compare_ranks_every_steps: 1}
logging: {every_steps: 1}
END
cat >fmlprec.yaml <<'END'
data: {path: few, samples: window}
model: {backbone: fmlprec, hidden_size: 16, max_length: 150}
training: {epochs: 1, batch_size: 16, compare_ranks_every_steps: 1}
END

# trained_with PROCESSOR CONFIGURATION: a rank of this machine and one of the other.
trained_with() {
    local training="$program $2.yaml --output $2-$1"
    "${launcher[@]}" 2 "$by_rank" "$training" "qemu-x86_64 -cpu $1 $training" >train.out 2>&1 || fail "training $2 beside a rank on $1" train.out
}
own="$("$program" --version | sed -n 's/^CPU level: \([a-z0-9]*\) .*/\1/p')"
trained_with Nehalem sasrec
if [ "$own" != generic ]; then
    says train.out "CPU level generic, limited by the machine of rank 1 on "
    says sasrec-Nehalem/environment.json "limited by the machine of rank 1 on "
fi
# A window of 150 is transformed by FFTW, which has other algorithms there, where this machine's has more than SSE2.
trained_with Nehalem fmlprec

#!/usr/bin/env bash
# Help that is written from the tables of options says what the programs know; what is installed is complete; the Debian package
# runs where it is unpacked.
#
#   packaging.sh [--part NAME] SOURCE_DIRECTORY BINARY_DIRECTORY MPIEXEC MPI_FLAVOUR
#
# Parts (manual, module, spack, policy) need programs that may be missing: then they end with 77, skipped. Without a part all the
# rest runs.
set -euo pipefail
part=""
if [ "$1" = --part ]; then
    part="$2"
    shift 2
fi
source="$(cd "$1" && pwd)" binaries="$(cd "$2" && pwd)" launcher="$3" flavour="$4"
work="$(mktemp -d /tmp/srtrain-packaging-XXXXXX)"
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
# need PROGRAM...: ends the script as skipped when one is not installed
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
    done
}
PATH="$binaries:$PATH"

# ---- what the tests look at, and parts ----

make_pages() {
    srtrain --help=man >srtrain.1
    srprep --help=man >srprep.1
    srtrain models --man >srtrain-config.5
}
install_all() {
    DESTDIR="$work/installed" cmake --install "$binaries" --prefix /usr >install.log || fail "$(tail -n 5 install.log)"
    installed="$work/installed/usr"
    module="$(echo "$installed"/share/srtrain/modulefiles/srtrain/*)"
}
make_package() {
    cpack --config "$binaries/CPackConfig.cmake" -G DEB -B "$work/cpack" >cpack.log 2>&1 || fail "$(tail -n 10 cpack.log)"
    package="$(echo "$work"/cpack/srtrain_*.deb)"
}
check_manual() { # good roff
    for page in srtrain.1 srprep.1 srtrain-config.5 "$binaries/help/srtrain-job.1"; do
        groff -man -Tutf8 -ww -z "$page" 2>warnings || fail "groff refuses $page"
        [ ! -s warnings ] || fail "$page: $(cat warnings)"
    done
}
check_module() { # what the file asks of the module command, with the commands played by procedures that print
    cat >module.tcl <<'END'
set ModulesCurrentModulefile [lindex $argv 0]
foreach name {setenv prepend-path conflict module-whatis} { proc $name {args} "puts \"$name \$args\"" }
source $ModulesCurrentModulefile
END
    tclsh module.tcl "$module" >module.out || fail "the module file fails"
    grep -qx "prepend-path PATH $installed/bin" module.out || fail "the module says $(cat module.out)"
}
check_spack() {
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$source/packaging/spack/package.py" || fail "package.py"
}
check_policy() {
    lintian --fail-on error "$package" >lintian.out 2>&1 || fail "lintian: $(cat lintian.out)"
}
case "$part" in
manual) need groff; make_pages; check_manual ;;
module) need tclsh; install_all; check_module ;;
spack) need python3; check_spack ;;
policy) need dpkg-deb dpkg-shlibdeps lintian; make_package; check_policy ;;
"") ;;
*) fail "there is no part $part" ;;
esac
[ -z "$part" ] || { echo "PASS"; exit 0; }

# ---- options: every one that a command takes is explained, on every page ----

known_options() { # PROGRAM COMMAND: what the command itself says it takes
    { "$1" "$2" --no-such-option 2>&1 || true; } | sed -n 's/.*known are //p' | tr -d ',' | tr ' ' '\n' | grep '^--' | sort
}
make_pages
srtrain --help=completion >srtrain.bash
srprep --help=completion >srprep.bash
for program in srtrain srprep; do
    "$program" --help >usage
    commands="$(sed -n 's/^\.SS //p' "$program.1")"
    [ -n "$commands" ] || fail "$program.1 has no commands"
    for command in $commands; do
        known_options "$program" "$command" >known
        [ -s known ] || fail "$program $command takes no option"
        # Text, manual and completion come from the same rows; that none is without words is what can go wrong.
        "$program" "$command" --help >text || fail "$program $command --help"
        sed -n 's/^  \(--[a-z-]*\).*/\1/p' text | sort | diff known - || fail "$program $command --help lists other options"
        ! grep -q '^ *$' text || fail "$program $command --help has an option without explanation: $(cat text)"
        ! grep -- ' VALUE$' text || fail "$program $command --help does not say what a value is"
        sed -n "/^\.SS $command\$/,/^\.S[SH]/p" "$program.1" | sed -n 's/^\.BI "\\-\\-\([a-z\\-]*\)".*/--\1/p' | tr -d '\134' |
            sort | diff known - || fail "$program.1 lists other options of $command"
        sed -n "s/^_${program}_options\[$command\]=\"\(.*\)\"/\1/p" "$program.bash" | tr ' ' '\n' | sort | diff known - ||
            fail "completion lists other options of $program $command"
        while read -r option; do
            grep -q -e "$option" usage || fail "$program --help does not mention $option of $command"
        done <known
    done
done
for command in $({ srtrain no-such-command 2>&1 || true; } | sed 's/.*(\(.*\)).*/\1/' | tr -d ','); do
    grep -q "^\.SS $command\$" srtrain.1 || fail "srtrain.1 does not have $command"
done
# Every key of the configuration, with its choices.
srtrain models | sed -n 's/^  \([a-z][a-z_0-9]*\)  *[a-zA-Z].*/\1/p' | sort -u >keys
[ "$(wc -l <keys)" -gt 50 ] || fail "srtrain models lists $(wc -l <keys) keys"
while read -r key; do
    grep -qx "\.B $key" srtrain-config.5 || fail "srtrain-config.5 does not have $key"
    grep -q "^_srtrain_choices\[[a-z_.]*\.$key\]" srtrain.bash || fail "completion does not have $key"
done <keys

# ---- the scripts are good bash ----

# complete WORDS...: what would be offered for the last word
complete_words() {
    bash -c '. "$1"; shift; program="$1"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_$program"; echo "${COMPREPLY[*]}"' \
        complete "$work/$1.bash" "$@"
}
expect() { # WANTED WORDS...
    local wanted="$1"
    shift
    [[ " $(complete_words "$@") " == *" $wanted "* ]] || fail "\"$*\" completes to \"$(complete_words "$@")\", not to $wanted"
}
mkdir data
: >some.yaml
expect evaluate srtrain eva
expect --resume srtrain train --re
expect --resume srtrain some.yaml --re
expect some.yaml srtrain plan so
expect auto srtrain train some.yaml --resume a
expect training.learning_rate= srtrain train some.yaml --set training.learn
expect bpr srtrain train some.yaml --set training.loss = b
expect sasrec srtrain train some.yaml --set model.backbone =
expect data srtrain evaluate x.h5 --data da
expect convert srprep co
expect --users srprep synth --us
expect data srprep info da

# ---- what is installed ----

install_all
for file in bin/srtrain bin/srprep bin/srtrain-job share/srtrain/launch/slurm.sbatch share/srtrain/launch/pbs.sh \
    share/srtrain/launch/torque.sh share/srtrain/launch/lsf.sh share/srtrain/launch/mpirun.sh share/srtrain/launch/sweep.sh \
    share/srtrain/launch/asha.py share/srtrain/launch/asha_plan.py \
    share/bash-completion/completions/srtrain share/bash-completion/completions/srprep share/doc/srtrain/copyright \
    share/srtrain/configs/ml-100k.yaml share/srtrain/pictures/style.gnuplot share/srtrain/pictures/layers.gnuplot; do
    [ -f "$installed/$file" ] || fail "$file is not installed"
done
cmp srtrain.bash "$installed/share/bash-completion/completions/srtrain" || fail "another completion is installed"
for page in man1/srtrain.1 man1/srprep.1 man1/srtrain-job.1 man5/srtrain-config.5; do
    [ -f "$installed/share/man/$page.gz" ] || [ -f "$installed/share/man/$page" ] || fail "$page is not installed"
done
if [ -f "$installed/share/man/man1/srtrain.1.gz" ]; then
    gzip -dc "$installed/share/man/man1/srtrain.1.gz" | cmp - srtrain.1 || fail "another srtrain.1 is installed"
fi
[ -f "$module" ] || fail "the module file is not installed"

# ---- the Debian package ----

if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    make_package
    dpkg-deb -f "$package" Depends | tee depends
    case "$flavour" in
    openmpi) mpi=(openmpi-bin libopenmpi libhdf5-openmpi) ;;
    mpich) mpi=(mpich libmpich libhdf5-mpich) ;;
    *) mpi=(libhdf5) ;;
    esac
    openmp=libgomp1 # gcc's, or clang's
    ! ldd "$binaries/srtrain" | grep 'libomp\.' >/dev/null || openmp=libomp5
    for library in "${mpi[@]}" libfftw3 libfyaml libcjson libxxhash libopenblas "$openmp"; do
        grep -q "$library" depends || fail "the package does not depend on $library"
    done
    mkdir root
    dpkg-deb -x "$package" root
    [ -z "$(find root -perm -o+w ! -type l)" ] || fail "files that anybody may write: $(find root -perm -o+w ! -type l)"
    PATH="$work/root/usr/bin:$PATH"
    hash -r
    [ "$(command -v srtrain)" = "$work/root/usr/bin/srtrain" ] || fail "the unpacked srtrain is not found"
    srtrain --version | grep -q '^srtrain [0-9]' || fail "the unpacked srtrain does not run"
    srprep synth --users 60 --items 40 --mean-length 8 --seed 1 --output small >/dev/null
    printf 'data: {path: small}\nmodel: {hidden_size: 8, inner_size: 8, max_length: 8}\ntraining: {epochs: 1}\n' >small.yaml
    # The launcher of this MPI library, which need not be the machine's usual one.
    mkdir launcher
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$launcher" >launcher/mpirun
    chmod +x launcher/mpirun
    PATH="$work/launcher:$PATH" srtrain-job --ranks 2 small.yaml --output run >job.out 2>&1 || fail "the unpacked srtrain-job: $(tail -n 5 job.out)"
    [ -f run/best.h5 ] || fail "the unpacked srtrain does not train"
    # By the gnuplot files of the package; where there is no gnuplot, its script and data are written.
    srtrain analyze run/best.h5 >analysis.out 2>&1 || fail "the unpacked srtrain analyze: $(tail -n 5 analysis.out)"
    grep -q 'Effective rank' run/analysis/layers.gp || fail "layers.gp lacks layers.gnuplot"
    if command -v gnuplot >/dev/null; then
        [ -s run/analysis/layers.svg ] || fail "the unpacked srtrain draws no pictures"
    fi
else
    echo "skipped: dpkg-dev is not installed; everything but the Debian package passes"
    exit 77
fi
echo "PASS"

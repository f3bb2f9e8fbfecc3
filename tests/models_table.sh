#!/usr/bin/env bash
# models_table.sh SOURCE SRTRAIN: the table of README says "yes" for the models and calibrators that go together, and for no others.
set -euo pipefail
page="$1/README.md" srtrain="$2" failed=0
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mapfile -t calibrators < <(sed -n 's/^| model | \(.*\) |$/\1/p' "$page" | sed 's/ | /\n/g')
[ "${#calibrators[@]}" -eq 4 ] || { echo "README.md has no table of four calibrators"; exit 1; }

# check MODEL CALIBRATOR WANTED
check() {
    local loss="" found=""
    [ "$1" != stosa ] || loss="training: {loss: stosa}"
    printf 'data: {path: data}\nmodel: {backbone: %s}\ncalibrators: {%s: {}}\n%s\n' "$1" "$2" "$loss" >"$work/run.yaml"
    if "$srtrain" config "$work/run.yaml" >"$work/said" 2>&1; then found=yes; fi
    [ "$found" = "$3" ] || { echo "$1 with $2: README.md says \"$3\", srtrain $(head -n 1 "$work/said")"; failed=1; }
}

models=0
while IFS='|' read -r _ names fields; do
    IFS='|' read -r -a answers <<<"$fields"
    # Options of SASRec are no models of their own.
    # shellcheck disable=SC2013  # words are meant
    for name in $(sed -e 's/, and as options.*//' -e 's/[-,]/ /g; s/SSE PT/ssept/; s/FMLP Rec/fmlprec/' <<<"$names"); do
        models=$((models + 1))
        for i in 0 1 2 3; do
            check "${name,,}" "${calibrators[i]}" "$(tr -d ' ' <<<"${answers[i]}")"
        done
    done
done < <(sed -n '/^| model |/,/^$/p' "$page" | sed '1,2d;/^$/d')
[ "$models" -ge 10 ] || { echo "README.md lists $models models"; exit 1; }
exit "$failed"

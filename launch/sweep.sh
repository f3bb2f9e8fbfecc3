#!/usr/bin/env bash
# Writes a sweep, one run a line, every combination of the values that are given:
#
#   sweep.sh training.seed=1,2,3 training.learning_rate=1e-3,5e-4 >sweep.txt
#
# gives six lines like "seed-1_learning_rate-1e-3 --set training.seed=1 --set training.learning_rate=1e-3", which srtrain-job
# --sweep runs one of: sbatch --array 1-$(wc -l <sweep.txt) slurm.sbatch --sweep sweep.txt CONFIG.yaml
#
#   sweep.sh --search DIR --rungs 5,15,45 CONFIG.yaml training.learning_rate=1e-3,5e-4,1e-4 model.hidden_dropout=0.1,0.3,0.5
#
# looks for the best of them by asynchronous successive halving, on this machine or in a batch system, and compares models
# by it. sweep.sh --search --help tells more (python3).
set -euo pipefail
if [ "${1:-}" = --search ] || [ "${1:-}" = --table ]; then
    command -v python3 >/dev/null || { echo "sweep.sh: $1 needs python3 (3.8 or later)" >&2; exit 2; }
    exec python3 "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/asha.py" "$@"
fi
if [ $# -eq 0 ] || [ "$1" = --help ]; then
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    [ $# -gt 0 ] && exit 0 || exit 2
fi
names=("") options=("")
for argument in "$@"; do
    if [[ ! "$argument" =~ ^[a-z0-9_.]+=[^[:space:]]+$ ]]; then
        echo "sweep.sh: \"$argument\" is not section.key=value,value,..." >&2
        exit 2
    fi
    key="${argument%%=*}" longer_names=() longer_options=()
    IFS=, read -r -a values <<<"${argument#*=}"
    for i in "${!names[@]}"; do
        for value in "${values[@]}"; do
            longer_names+=("${names[i]:+${names[i]}_}${key##*.}-${value//\//-}")
            longer_options+=("${options[i]} --set $key=$value")
        done
    done
    names=("${longer_names[@]}") options=("${longer_options[@]}")
done
for i in "${!names[@]}"; do
    printf '%s%s\n' "${names[i]}" "${options[i]}"
done

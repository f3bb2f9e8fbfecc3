#!/bin/sh
# exports.sh SOURCE LIBRARY COMPILER [FLAGS OF THE COMPILER...]: the installed library defines what its headers declare and no other name; each header can be
# included alone.
set -eu
headers="$1/include/srtrain" library="$2" compiler="$3"
shift 3
command -v nm >/dev/null || { echo "skipped: no nm"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Names with a dot are the compiler's own.
nm --extern-only --defined-only "$library" | awk 'NF == 3 && $3 !~ /^[.]/ { print $3 }' | sort -u >"$scratch/exported"
[ -s "$scratch/exported" ] || { echo "$library exports nothing"; exit 1; }
if grep -v '^sr_' "$scratch/exported"; then
    echo "these names do not begin with sr_"
    exit 1
fi
grep -ohE '\bsr_[a-z0-9_]+' "$headers"/*.h | sort -u >"$scratch/declared"
if comm -23 "$scratch/exported" "$scratch/declared" | grep .; then
    echo "no public header declares these names"
    exit 1
fi
# A function that a header declares is there: its name stands at the beginning of a line or behind the type, before a parenthesis.
awk '/^typedef|^static|^#define|^ |^\/\*|^ \*/ { next }
     match($0, /[a-z_* ]sr_[a-z0-9_]+\(/) { name = substr($0, RSTART + 1, RLENGTH - 2); print name }' "$headers"/*.h |
    sort -u >"$scratch/functions"
[ "$(wc -l <"$scratch/functions")" -gt 100 ] || { echo "hardly any function was found in $headers"; exit 1; }
if comm -23 "$scratch/functions" "$scratch/exported" | grep .; then
    echo "a header declares these functions, and the library does not have them"
    exit 1
fi
for header in "$headers"/*.h; do
    printf '#include "srtrain/%s"\n' "${header##*/}" >"$scratch/alone.c"
    "$compiler" -std=c17 -D_GNU_SOURCE -fsyntax-only -I "$headers/.." "$@" "$scratch/alone.c" ||
        { echo "${header##*/} cannot be included alone"; exit 1; }
done

#!/bin/sh
# includes.sh SOURCE: no file includes a header of a folder above its own.
#
# folders.txt says what each folder may include.
set -eu
rules="$1/tests/structure"
cd "$1"
found=$(mktemp)
trap 'rm -f "$found"' EXIT
# shellcheck disable=SC2016  # the dollars are awk's
find src include/srtrain data_prep -name '*.[ch]' | sort | xargs awk '
    FILENAME ~ /folders.txt$/ {
        sub(/:/, "", $2)
        if ($1 == "folder") { known[$2] = 1; for (i = 3; i <= NF; ++i) allowed[$2, $i] = 1 }
        if ($1 == "headers") for (i = 3; i <= NF; ++i) owner[$i ".h"] = $2
        next
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        folder = part[1] == "data_prep" ? "data_prep" : part[1] == "include" ? owner[part[3]] : part[2]
        if (!(folder in known)) print FILENAME, "(no folder of folders.txt)"
    }
    /^ *# *include *"/ {
        split($0, quoted, "\"")
        split(quoted[2], part, "/")
        target = part[1] == "srtrain" ? owner[part[2]] : part[1]
        if (!(target in known)) target = part[2] == "" || folder == "data_prep" ? folder : target
        if (!(target in known)) print FILENAME, quoted[2], "(no folder of folders.txt)"
        else if (target != folder && !((folder, target) in allowed)) print FILENAME, target
    }' "$rules/folders.txt" | sort -u >"$found"
[ -s "$found" ] || exit 0
sed 's/^\([^ ]*\) \(.*\)/breaks the table of folders: \1 includes a header of \2/' "$found"
exit 1

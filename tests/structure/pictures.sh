#!/bin/sh
# pictures.sh SOURCE: the picture of folders in the documentation has the arrows that follow from folders.txt.
set -eu
expected=$(mktemp) found=$(mktemp)
trap 'rm -f "$expected" "$found"' EXIT
"$1/docs/pictures/house.sh" "$1/tests/structure/folders.txt" | sed -n 's/^  \([a-z_]* -> [a-z_]*\).*/\1/p' | sort >"$expected"
[ -s "$expected" ] || { echo "folders.txt gives no arrows"; exit 1; }
for picture in house house-dark; do
    sed -n 's/^<title>\([a-z_]*\)&#45;&gt;\([a-z_]*\)<\/title>$/\1 -> \2/p' "$1/docs/pictures/$picture.svg" | sort >"$found"
    diff "$expected" "$found" || { echo "$picture.svg is not what folders.txt says: run docs/pictures/draw.sh"; exit 1; }
done

#!/usr/bin/env bash
# Draws the pictures of this folder again, each for light pages (NAME.svg) and for dark ones (NAME-dark.svg): house from
# tests/structure/folders.txt, all others from NAME.dot. Needs dot (apt-get install graphviz). Sources name colours by what they
# are for; here they get their values.
set -euo pipefail
cd "$(dirname "$0")"
command -v dot >/dev/null || { echo "dot is missing: apt-get install graphviz" >&2; exit 1; }

# colour BACKGROUND FILL STRONG LINE QUIET TEXT: puts values in the places of these words.
colour() {
    sed -E "s/=BACKGROUND\b/=\"$1\"/; s/=FILL\b/=\"$2\"/g; s/=STRONG\b/=\"$3\"/g; s/=LINE\b/=\"$4\"/g; s/=QUIET\b/=\"$5\"/g; s/=TEXT\b/=\"$6\"/g"
}
# draw NAME: from the text on standard input
draw() {
    local source
    source="$(cat)"
    colour white '#eef3fa' '#d5e1f2' '#5b7aa5' '#b8c7dc' '#1f2328' <<<"$source" | dot -Tsvg >"$1.svg.part"
    colour '#0d1117' '#1c2735' '#2b3b52' '#7d9cc7' '#3d4f68' '#e6edf3' <<<"$source" | dot -Tsvg >"$1-dark.svg.part"
    mv "$1.svg.part" "$1.svg"
    mv "$1-dark.svg.part" "$1-dark.svg"
}
./house.sh ../../tests/structure/folders.txt | draw house
for source in *.dot; do
    draw "${source%.dot}" <"$source"
done

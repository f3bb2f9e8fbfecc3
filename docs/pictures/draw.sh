#!/usr/bin/env bash
# Draws the pictures of this folder again: house.svg from tests/structure/folders.txt, step.svg from step.dot. Needs dot
# (apt-get install graphviz).
set -euo pipefail
cd "$(dirname "$0")"
command -v dot >/dev/null || { echo "dot is missing: apt-get install graphviz" >&2; exit 1; }
./house.sh ../../tests/structure/folders.txt | dot -Tsvg >house.svg.part
mv house.svg.part house.svg
dot -Tsvg step.dot >step.svg.part
mv step.svg.part step.svg

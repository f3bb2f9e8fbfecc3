#!/usr/bin/env bash
# style.sh [analyzers]: whether sources, scripts and pages keep to the rules of CONTRIBUTING.md. launch/check.sh style runs it.
#
# All checks run, and what each has found is shown. Without "analyzers", the two that take minutes are left out: clang-tidy with the
# list in .clang-tidy, and gcc -fanalyzer with the list in tests/structure/analyze.sh. They look at src/ and data_prep/ in
# build-style/, and at files that have changed since the last time. Programs that are missing are named, and fail.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()

# check NAME COMMAND...
check() {
    local name="$1" said
    shift
    if said="$("$@" 2>&1)"; then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        while IFS= read -r line; do echo "    $line"; done <<<"$said"
        failed+=("$name")
    fi
}

# Files of this tree, also new ones that nobody has added yet.
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -f "$file" ] || echo "$file"; done; }
scripts() { files | xargs grep -lE '^#!.*(bash|/sh)$'; }

# Versions lay out differently. This one counts.
formatted() {
    local program
    program="$(command -v clang-format-14 || command -v clang-format)" || { echo "clang-format is missing"; return 1; }
    "$program" --version | grep -q 'version 14[.]' || { echo "left out: version 14 counts, and this is another"; return 0; }
    files '*.c' '*.h' | xargs "$program" --dry-run -Werror
}
spelled() { files | grep -vE '[.]svg$|^tests/fuzz/seeds/' | xargs codespell --ignore-words tests/structure/words.txt; }
shell_scripts() { scripts | xargs shellcheck -x --source-path .; }
analyzed() { cmake --preset style >/dev/null && cmake --build --preset style -- -k 0; }

check "layout (clang-format)" formatted
check "folders include downwards" sh tests/structure/includes.sh .
check "files and functions are short" sh tests/structure/limits.sh .
check "the picture of folders is current" sh tests/structure/pictures.sh .
check "lines and sentences of pages" python3 tests/structure/prose.py .
check "spelling (codespell)" spelled
check "scripts (shellcheck)" shell_scripts
if [ "${1:-}" = analyzers ]; then
    check "analyzers (clang-tidy, gcc -fanalyzer)" analyzed
fi
[ ${#failed[@]} -eq 0 ] || { echo "${#failed[@]} of the checks failed"; exit 1; }

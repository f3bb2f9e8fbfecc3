#!/bin/sh
# limits.sh SOURCE: no file has more than 600 lines, no function more than 80 lines or 8 parameters. A name with a last _ is
# LAPACK's, whose interface is not ours. The layout is clang-format's: a function's head begins in the first column, its body
# stands between braces in the first column.
set -eu
cd "$1"
# shellcheck disable=SC2016  # the dollars are awk's
find src include data_prep tests benchmarks -name '*.[ch]' | sort | xargs awk '
    function count_parameters(head, i, character, depth, parameters) {
        sub(/^[^(]*\(/, "", head)
        if (head ~ /^void\)/ || head ~ /^\)/) return 0
        parameters = 1
        for (i = 1; i <= length(head); ++i) {
            character = substr(head, i, 1)
            if (character == "(" || character == "[") ++depth
            if (character == ")" || character == "]") --depth
            if (depth < 0) break
            if (character == "," && depth == 0) ++parameters
        }
        return parameters
    }
    function name_of(head) { sub(/\(.*/, "", head); sub(/.*[ *]/, "", head); return head }
    function check_head() {
        if (count_parameters(head) > 8 && name_of(head) !~ /_$/) {
            print FILENAME ":" FNR ": " name_of(head) " has " count_parameters(head) " parameters, 8 are allowed"
            broken = 1
        }
        head = ""
    }
    FNR == 1 { head = ""; begin = 0 }
    FNR == 601 { print FILENAME ": more than 600 lines"; broken = 1 }
    begin == 0 && /^[A-Za-z_].*[A-Za-z0-9_]\(/ && !/^(typedef|#|struct [a-z_]* \{)/ && !/=/ { head = $0; name = name_of(head) }
    begin == 0 && head != "" && !/^[A-Za-z_{]/ { head = head " " $0 }
    head != "" && /;$/ { check_head() }
    /^\{/ { if (head != "") check_head(); begin = FNR }
    /^\}/ {
        if (begin > 0 && FNR - begin - 1 > 80) {
            print FILENAME ":" begin ": " name " has " FNR - begin - 1 " lines, 80 are allowed"
            broken = 1
        }
        begin = 0; head = ""
    }
    END { exit broken }'

#!/bin/sh
# commands_page.sh SOURCE BINARIES [--write]: docs/commands.md is what the programs say of their options. --write writes it.
set -eu
page="$1/docs/commands.md" binaries="$2"
written=$(mktemp)
trap 'rm -f "$written"' EXIT
{
    cat <<'END'
# Commands

This page lists every command of srtrain and srprep with all options. The programs write it from the tables by which
they read their command lines, and `tests/commands_page.sh` puts it here.

"mpirun -n P" in front of a command of srtrain divides its work among P ranks, but for `plan`, `compare`, `report`,
`models` and `config`. In front of `srprep convert` and `srprep synth` it divides theirs. `srtrain CONFIG.yaml` is short
for `srtrain train CONFIG.yaml`. An option is written `--name VALUE` or `--name=VALUE`. Of two that are the same, the
last one counts.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed at run time |
| 2 | usage or configuration error: nothing was started or written |
| 3 | the input data or a checkpoint is damaged or does not fit |
| 75 | stopped on request (SIGUSR1, SIGTERM, SIGINT, or `--time-limit`) after a valid checkpoint: run the same command again |

SIGUSR2 asks for a checkpoint, and training carries on. [batch.md](batch.md) has more about stopping and failing.

END
    "$binaries/srtrain" --help=markdown
    echo
    "$binaries/srprep" --help=markdown
} >"$written"
if [ "${3:-}" = --write ]; then
    cat "$written" >"$page"
elif ! diff "$page" "$written"; then
    echo "docs/commands.md is not what the programs say; write it anew: tests/commands_page.sh $1 $2 --write"
    exit 1
fi

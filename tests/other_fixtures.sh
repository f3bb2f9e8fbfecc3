#!/usr/bin/env bash
# other_fixtures.sh PARITY DIRECTORY: compares the fixtures of SRTRAIN_FIXTURES, or else of DIRECTORY. Skipped (77) where
# there is no such directory.
set -euo pipefail
parity="$1" directory="${SRTRAIN_FIXTURES:-$2}"
if [ ! -d "$directory" ] && [ -z "${SRTRAIN_FIXTURES:-}" ]; then
  echo "skipped: SRTRAIN_FIXTURES names no directory with parity fixtures"
  exit 77
fi
exec "$parity" --attention "$directory"/*.h5

#!/bin/sh
# compare_checkpoints.sh MPIEXEC COUNT_FLAG PROGRAM: the same state gives the same file, byte for byte, on any number of ranks.
set -eu
directory=$(mktemp -d /tmp/srtrain-test-XXXXXX)
trap 'rm -rf "$directory"' EXIT
for ranks in 1 2 3 4 31; do
    "$1" "$2" "$ranks" "$3" "$directory/$ranks.h5"
    # (Starting the programs takes long enough for a time stamp, if there were one, to differ.)
    cmp "$directory/1.h5" "$directory/$ranks.h5"
done

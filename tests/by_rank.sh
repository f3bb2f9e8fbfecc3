#!/bin/sh
# Runs another command on each rank: by_rank.sh COMMAND0 COMMAND1 ...; ranks beyond the last command run that one.
#
# Launchers can do so themselves ("-n 1 A : -n 1 B"), but that of Open MPI 5.0.7 crashes over it.
rank="${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${PMIX_RANK:-0}}}"
while [ "$rank" -gt 0 ] && [ $# -gt 1 ]; do
    shift
    rank=$((rank - 1))
done
exec sh -c "$1"

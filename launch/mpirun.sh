#!/bin/bash
# srtrain without a batch system: on this machine, or on those of a file of hosts. The same command goes on where it was.
#
#   mpirun.sh CONFIG.yaml [options of srtrain train]                      one rank a core
#   SRTRAIN_HOSTFILE=hosts mpirun.sh --ranks 128 CONFIG.yaml              on several machines
#   for i in 1 2 3; do SRTRAIN_INDEX=$i mpirun.sh --sweep sweep.txt CONFIG.yaml; done
#   SRTRAIN_LIMIT=7200 mpirun.sh CONFIG.yaml                              two hours, the last checkpoint 5 minutes before
#
# A run that was killed (a node that failed) is started again up to three times.
set -eu
PATH="$(cd "$(dirname "$0")" && pwd):$PATH"
exec srtrain-job --restarts 3 "$@"

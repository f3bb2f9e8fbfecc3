#!/bin/bash
# srtrain under LSF. Options of bsub override these lines.
#
#   bsub -n 64 -W 24:00 < lsf.sh                      with SRTRAIN_ARGUMENTS="CONFIG.yaml --output runs/a" in the environment
#   bsub -J "sweep[1-12]" < lsf.sh                    with SRTRAIN_ARGUMENTS="--sweep sweep.txt CONFIG.yaml" (launch/sweep.sh)
#
# SIGUSR1 comes 5 minutes before the time limit; exit code 75 has LSF requeue the job, which goes on.
#BSUB -J srtrain
#BSUB -n 2
#BSUB -W 4:00
#BSUB -wa USR1
#BSUB -wt 5
#BSUB -Q 75
#BSUB -r
#BSUB -o srtrain-%J.out
exec srtrain-job

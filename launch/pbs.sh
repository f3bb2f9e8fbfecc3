#!/bin/bash
# srtrain under PBS Pro (OpenPBS). Options of qsub override these lines, but a job that comes back after its time limit has what
# stands here: write nodes, cores and time into a copy.
#
#   qsub -v SRTRAIN_ARGUMENTS="CONFIG.yaml --output runs/a" pbs.sh
#   qsub -J 1-12 -v SRTRAIN_ARGUMENTS="--sweep sweep.txt CONFIG.yaml" pbs.sh     a sweep (launch/sweep.sh writes sweep.txt)
#
# PBS sends no signal before the time limit: srtrain-job does, 5 minutes before (SRTRAIN_MARGIN). A job whose name is not that
# of its script passes SRTRAIN_SCRIPT=/path/to/it, so that it can be submitted again.
#PBS -l select=1:ncpus=2:mpiprocs=2
#PBS -l walltime=04:00:00
#PBS -j oe
#PBS -r y
exec srtrain-job

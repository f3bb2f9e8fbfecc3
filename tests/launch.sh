#!/usr/bin/env bash
# srtrain-job and the scripts of launch/ under batch systems that are not here: programs that stand in for qsub, qstat, bsub's
# environment and srtrain itself say what they were called with.
#
#   launch.sh [--shellcheck] LAUNCH_DIRECTORY
#
# --shellcheck looks at the scripts themselves and at nothing else; without that program it is skipped (77).
set -euo pipefail
if [ "$1" = --shellcheck ]; then
    launch="$(cd "$2" && pwd)"
    command -v shellcheck >/dev/null || { echo "skipped: shellcheck is not installed"; exit 77; }
    shellcheck -x --source-path "$launch/.." "$launch"/*.sh "$launch/srtrain-job" "$launch/slurm.sbatch"
    echo "PASS"
    exit 0
fi
launch="$(cd "$1" && pwd)"
work="$(mktemp -d /tmp/srtrain-launch-XXXXXX)"
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir bin
fail() { echo "FAILED: $*"; exit 1; }
expect() { grep -qF -- "$2" "$1" || fail "$1 does not say \"$2\": $(cat "$1")"; }
expect_not() { ! grep -qF -- "$2" "$1" || fail "$1 says \"$2\": $(cat "$1")"; }
# run CODE COMMAND...: the command must end with CODE; its output goes to `output`
run() {
    local wanted=$1 code=0
    shift
    rm -f calls output
    "$@" >output 2>&1 || code=$?
    [ "$code" -eq "$wanted" ] || fail "$* ended with $code, not $wanted: $(cat output)"
    touch calls
}

# Programs that note what they are called with. srtrain ends with CODE, or when asked to stop, with 75; not by env, after which
# its process would be called bash.
cat >bin/mpirun <<'END'
#!/usr/bin/env bash
[ "${1:-}" != --version ] || { echo "mpirun (Open MPI) 4.1.4"; exit 0; }
echo "mpirun $*" >>"$WORK/calls"
while [ "${1##*/}" != srtrain ]; do shift; done
exec "$@"
END
cat >bin/srtrain <<'END'
#!/bin/bash
trap 'echo USR1 >>"$WORK/calls"; exit 75' USR1
echo "srtrain $*" >>"$WORK/calls"
for _ in $(seq "${TENTHS:-0}"); do sleep 0.1; done
[ -z "${ENDING:-}" ] || echo "$ENDING" >"$SRTRAIN_ENDING"
exit "${CODE:-0}"
END
cat >bin/qsub <<'END'
#!/usr/bin/env bash
echo "qsub $*" >>"$WORK/calls"
echo "with $SRTRAIN_ARGUMENTS; $SRTRAIN_INDEX; $SRTRAIN_SCRIPT" >>"$WORK/calls"
END
cat >bin/qstat <<'END'
#!/usr/bin/env bash
echo "    Resource_List.walltime = 00:00:04"
END
cat >bin/ompi_info <<'END'
#!/usr/bin/env bash
echo "MCA plm: rsh"
END
chmod +x bin/*
export WORK="$work" PATH="$work/bin:$launch:$PATH"
unset SLURM_JOB_ID PBS_JOBID LSB_JOBID SRTRAIN_ARGUMENTS SRTRAIN_INDEX SRTRAIN_LAUNCHER OMP_NUM_THREADS
printf 'one\none\nother\n' >hosts

# ---- sweeps ----

sweep.sh training.seed=1,2 model.layers=2,3,4 >sweep.txt
[ "$(wc -l <sweep.txt)" -eq 6 ] || fail "a sweep of 2 x 3 has $(wc -l <sweep.txt) lines"
[ "$(sort -u sweep.txt | cut -d' ' -f1 | sort -u | wc -l)" -eq 6 ] || fail "names of runs are not different"
[ "$(sed -n 5p sweep.txt)" = "seed-2_layers-3 --set training.seed=2 --set model.layers=3" ] || fail "$(sed -n 5p sweep.txt)"
run 2 sweep.sh nonsense
run 0 env SRTRAIN_INDEX=5 srtrain-job --ranks 2 --sweep sweep.txt configs/a.yaml --set data.path=d
expect calls "srtrain configs/a.yaml --set data.path=d --set training.seed=2 --set model.layers=3 --output runs/a/seed-2_layers-3"
run 2 srtrain-job --sweep sweep.txt a.yaml
expect output "needs a job array"
run 2 env SRTRAIN_INDEX=7 srtrain-job --sweep sweep.txt a.yaml
expect output "has no line 7"
run 2 srtrain-job
run 2 srtrain-job --ranks none a.yaml

# ---- searches ----

# What they do is tests/test_asha.py's.
run 2 srtrain-job --search s a.yaml
expect output "--search DIR says what is run"
if python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    run 0 sweep.sh --search --help
    expect output "--rungs E,E,..."
    run 2 sweep.sh --search s --rungs 2,1 a.yaml
    expect output "ascending whole numbers"
    run 2 sweep.sh --table nowhere
    expect output "nowhere holds no search"
    run 2 srtrain-job --search nowhere
fi

# ---- no batch system ----

run 0 mpirun.sh --ranks 3 a.yaml --output x
expect calls "mpirun -np 3"
expect calls "srtrain a.yaml --output x"
# A run that was killed is started again, three times; one that was asked to stop, or cannot work, is not.
run 137 env CODE=137 mpirun.sh --ranks 1 a.yaml
[ "$(grep -c ^srtrain calls)" -eq 4 ] || fail "a killed run was started $(grep -c ^srtrain calls) times, not 4"
run 2 env CODE=2 mpirun.sh --ranks 1 a.yaml
[ "$(grep -c ^srtrain calls)" -eq 1 ] || fail "a usage error was tried again"
run 75 env CODE=75 mpirun.sh --ranks 1 a.yaml
[ "$(grep -c ^srtrain calls)" -eq 1 ] || fail "a stopped run was started again"
# A launcher that hangs after its ranks are gone is killed, and the run is started again.
mkdir hanging
cat >hanging/mpirun <<'END'
#!/usr/bin/env bash
[ "${1:-}" != --version ] || exit 0
while [ "${1##*/}" != srtrain ]; do shift; done
"$@" &
wait
exec sleep 300
END
chmod +x hanging/mpirun
run 137 env PATH="$work/hanging:$PATH" SRTRAIN_HANG=1 TENTHS=25 srtrain-job --restarts 1 --ranks 1 a.yaml
expect output "mpirun does not end: killed"
[ "$(grep -c ^srtrain calls)" -eq 2 ] || fail "after a hanging launcher the run was started $(grep -c ^srtrain calls) times, not 2"
run 2 env SRTRAIN_HANG=soon srtrain-job a.yaml
# A launcher that says 0 after srtrain was killed is not believed. One that says 0 of a program that leaves no note is.
run 137 env ENDING=running srtrain-job --restarts 1 --ranks 1 a.yaml
expect output "ended with 0, but srtrain has not come to its end"
[ "$(grep -c ^srtrain calls)" -eq 2 ] || fail "a run that was killed in silence was started $(grep -c ^srtrain calls) times, not 2"
run 0 env ENDING=0 srtrain-job --restarts 1 --ranks 1 a.yaml
expect_not output "come to its end"
# The limit: a signal after 2 - 1 seconds.
run 75 env SRTRAIN_LIMIT=3 SRTRAIN_MARGIN=1 TENTHS=200 mpirun.sh --ranks 1 a.yaml
expect calls USR1
# SIGTERM to the script reaches srtrain as SIGUSR1.
rm -f calls # so that what stands there is of this srtrain, which runs then
TENTHS=600 mpirun.sh --ranks 1 a.yaml >output 2>&1 &
process=$!
for _ in $(seq 300); do
    grep -q ^srtrain calls 2>/dev/null && break
    sleep 0.1
done
sleep 0.3
: >calls
kill -TERM "$process"
code=0
wait "$process" || code=$?
[ "$code" -eq 75 ] || fail "after SIGTERM it ended with $code"
expect calls USR1

# ---- PBS and Torque ----

for script in pbs.sh torque.sh; do
    cp "$launch/$script" "$script"
    pbs=(env PBS_JOBID=12.server PBS_JOBNAME="$script" PBS_O_WORKDIR="$work" PBS_NODEFILE="$work/hosts"
         SRTRAIN_ARGUMENTS="--sweep sweep.txt a.yaml" PBS_ARRAY_INDEX=2)
    # qstat says four seconds; SIGUSR1 comes a quarter of that before.
    run 75 "${pbs[@]}" TENTHS=200 bash "$script"
    expect calls "mpirun -np 3 --hostfile $work/hosts"
    expect calls "srtrain a.yaml --set training.seed=1 --set model.layers=3 --output runs/a/seed-1_layers-3"
    expect calls "qsub -W depend=afterany:12.server -v SRTRAIN_ARGUMENTS,SRTRAIN_INDEX,SRTRAIN_SCRIPT $work/$script"
    expect calls "with --sweep sweep.txt a.yaml; 2; $work/$script"
    run 0 "${pbs[@]}" bash "$script"
    expect_not calls qsub
    run 3 "${pbs[@]}" CODE=3 bash "$script"
    expect_not calls qsub
done
run 75 env PBS_JOBID=12.server PBS_JOBNAME=elsewhere PBS_O_WORKDIR="$work" SRTRAIN_ARGUMENTS=a.yaml CODE=75 bash pbs.sh
expect output "submit the same script again"
expect_not calls qsub

# ---- LSF ----

run 75 env LSB_JOBID=5 LSB_JOBINDEX=6 LSB_DJOB_NUMPROC=3 LSB_DJOB_HOSTFILE="$work/hosts" CODE=75 \
    SRTRAIN_ARGUMENTS="--sweep sweep.txt a.yaml" bash "$launch/lsf.sh"
expect calls "mpirun -np 3 --hostfile $work/hosts"
expect calls "--output runs/a/seed-2_layers-4"
expect "$launch/lsf.sh" "#BSUB -Q 75"

# ---- Slurm: a job that was cancelled, or is queued again, does not come back ----

cat >bin/scontrol <<'END'
#!/usr/bin/env bash
case "$1" in
show) echo "   JobState=$STATE Reason=None" ;;
*) echo "scontrol $*" >>"$WORK/calls" ;;
esac
END
cat >bin/srun <<'END'
#!/usr/bin/env bash
[ "$1" != --mpi=list ] || { echo "pmix"; exit 0; }
echo "srun $*" >>"$WORK/calls"
while [ "$1" != srtrain ]; do shift; done
exec "$@"
END
chmod +x bin/scontrol bin/srun
run 75 env SLURM_JOB_ID=7 SLURM_CPUS_PER_TASK=4 STATE=RUNNING CODE=75 bash "$launch/slurm.sbatch" a.yaml
expect calls "srun --mpi=pmix --cpu-bind=cores --kill-on-bad-exit=1 --cpus-per-task 4 srtrain a.yaml"
expect calls "scontrol requeue 7"
run 75 env SLURM_JOB_ID=7 STATE=CANCELLED CODE=75 bash "$launch/slurm.sbatch" a.yaml
expect_not calls "scontrol requeue"
run 2 env SLURM_JOB_ID=7 STATE=RUNNING CODE=2 bash "$launch/slurm.sbatch" a.yaml
expect_not calls "scontrol requeue"
run 0 env SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID=1 STATE=RUNNING bash "$launch/slurm.sbatch" --sweep sweep.txt a.yaml --output b
expect calls "--output b/seed-1_layers-2"
echo "PASS"

#!/usr/bin/env bash
# A Slurm controller and node on this machine run the shipped sbatch script through its time-limit signal, requeue and completion,
# and a job array. Says "skipped: ..." where Slurm is not installed or cannot start.
#
#   slurm.sh LAUNCH_DIRECTORY BINARY_DIRECTORY MPIEXEC
set -euo pipefail
launch="$(cd "$1" && pwd)" binaries="$(cd "$2" && pwd)" launcher="$3"
shipped="$launch/slurm.sbatch"
for program in munged slurmctld slurmd sbatch squeue scontrol; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null ||
        { echo "skipped: $program is missing: apt-get install slurm-wlm munge"; exit 0; }
done
PATH="$launch:$binaries:$PATH:/usr/sbin"
export PATH
unset OMPI_MCA_ess_singleton_isolated # programs without mpirun are to look for a launcher
work="$(mktemp -d /tmp/srtrain-slurm-XXXXXX)"
node="$(hostname -s)" user="$(id -un)"
processes=()

finish() {
    local code=$?
    scancel --user "$user" >/dev/null 2>&1 || true
    for process in "${processes[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    for process in "${processes[@]}"; do
        for _ in $(seq 50); do
            kill -0 "$process" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$process" 2>/dev/null || true
    done
    # The authentication daemon owns a directory that nobody else may enter.
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT

skip() {
    echo "skipped: $*"
    tail -n 5 "$work"/*.log 2>/dev/null || true
    exit 0
}
fail() {
    echo "FAILED: $*"
    tail -n 40 "$work"/*.out "$work/slurmctld.log" "$work/slurmd.log" 2>/dev/null || true
    exit 1
}
# wait_for SECONDS COMMAND...: whether the command succeeds in time
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

# ---- a cluster of one node ----

mkdir "$work/munge" "$work/state" "$work/spool" "$work/launcher"
# Jobs find the launcher of this MPI library, which need not be the machine's usual one.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$launcher" >"$work/launcher/mpirun" # not a link: MPICH looks for its helpers beside it
chmod +x "$work/launcher/mpirun"
PATH="$work/launcher:$PATH"
chmod 755 "$work"
chmod 700 "$work/munge"
head -c 128 /dev/urandom >"$work/munge/key"
chmod 600 "$work/munge/key"
# Warnings only: the directory is below /tmp.
munged --foreground --force --key-file "$work/munge/key" --socket "$work/munge.socket" --pid-file "$work/munge/pid" \
    --seed-file "$work/munge/seed" --log-file "$work/munge/log" --num-threads 2 >"$work/munged.log" 2>&1 &
processes+=($!)
wait_for 15 test -S "$work/munge.socket" || skip "munged does not start"

free_port() { # a port that nobody listens on
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}
export SLURM_CONF="$work/slurm.conf"
cat >"$SLURM_CONF" <<END
ClusterName=srtrain-test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket,cred_expire=5
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=30
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
PropagateResourceLimits=NONE
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 State=UNKNOWN
PartitionName=test Nodes=$node Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
chmod 644 "$SLURM_CONF"
slurmctld -D -i >"$work/slurmctld-output.log" 2>&1 &
processes+=($!)
slurmd -D >"$work/slurmd-output.log" 2>&1 &
processes+=($!)
node_is_idle() { sinfo --noheader --format %T 2>/dev/null | grep -q '^idle$'; }
wait_for 60 node_is_idle || skip "Slurm does not start here: $(sinfo 2>&1 | tail -n 1)"
echo "Slurm $(sbatch --version | cut -d' ' -f2) runs on $node"

# ---- jobs, one behind the other: a sweep, one that cannot work, one that is alone, and a run that its time limit interrupts ----

# shellcheck source=launch/common.sh
. "$launch/common.sh"
cd "$work"
srprep synth --users 600 --items 300 --mean-length 12 --seed 5 --output data >/dev/null
configure() { # EPOCHS
    cat >next.yaml <<END
data: {path: $work/data}
model: {hidden_size: 32, inner_size: 64, max_length: 12}
training: {epochs: $1, batch_size: 256}
evaluation: {every_epochs: 1000000}
checkpoint: {every_epochs: 1000000, every_minutes: 0.2}
logging: {every_steps: 5}
END
    mv next.yaml test.yaml # at once: a job may be reading it
}
# However fast the machine is, this does not end before the limit.
configure 1000000

sweep.sh training.seed=1,2 >sweep.txt
array="$(SRTRAIN_LAUNCHER="mpirun -np 1" sbatch --parsable --array 1-2 --ntasks 1 --output array-%a.out "$shipped" --sweep sweep.txt test.yaml \
    --set training.epochs=2 --output runs)" || fail "sbatch refuses the array"
wrong="$(sbatch --parsable --output refused.out "$shipped" test.yaml --set model.heads=7 --output refused)" ||
    fail "sbatch refuses the script"
# Open MPI itself refuses to start under an srun without PMI; srprep needs no MPI, and looks at what srun says.
alone="$(sbatch --parsable --ntasks 2 --output alone.out --wrap '
    srtrain test.yaml --set training.epochs=1 --output alone; echo "script: $?"
    srun --mpi=none --ntasks 1 --overlap srprep info data; echo "one task: $?"
    srun --mpi=none --ntasks 2 --overlap srprep info data; echo "two tasks: $?"
    srun --mpi=none --ntasks 2 --overlap srtrain test.yaml --set training.epochs=1 --output twice; echo "two trainings: $?"')" ||
    fail "sbatch refuses a command"
# The limit and the time of the signal are the least that Slurm knows; everything else is the script as it is shipped. It comes last:
# Slurm looks at limits twice a minute, and the run computes until then.
job="$(sbatch --parsable --time 1 --signal B:USR1@25 --output run.out "$shipped" test.yaml --output run)" ||
    fail "sbatch refuses the script"

state_of() { scontrol show job "$1" 2>/dev/null | sed -n "s/.*$2=\([^ ]*\).*/\1/p" | head -n 1; }
is_over() { case "$(state_of "$1" JobState)" in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL | "") ;; *) false ;; esac; }

# ---- the time limit ----

# Once the job has been stopped, a few epochs more are enough.
has_stopped() { is_over "$job" || grep -q "stopped on request after step" run.out 2>/dev/null; }
wait_for 300 has_stopped || fail "job $job was not stopped before its time limit"
step="$(sed -n 's/.*stopped on request after step \([0-9]*\).*/\1/p' run.out | head -n 1)"
steps_an_epoch="$(sed -n 's/.* \([0-9]*\) steps an epoch.*/\1/p' run.out | head -n 1)"
{ [ "${step:-0}" -gt 0 ] && [ "${steps_an_epoch:-0}" -gt 0 ]; } || fail "job $job does not say what it has done"
configure $((step / steps_an_epoch + 4))
wait_for 900 is_over "$job" || fail "job $job is still $(state_of "$job" JobState) after 15 minutes"
state="$(state_of "$job" JobState)" restarts="$(state_of "$job" Restarts)"
[ "$state" = COMPLETED ] || fail "job $job ended as $state"
[ "${restarts:-0}" -ge 1 ] || fail "job $job was never requeued, so that its time limit was not tested"
[ "$(state_of "$job" ExitCode)" = 0:0 ] || fail "job $job ended with $(state_of "$job" ExitCode)"
grep -q "stopped on request after step" run.out || fail "no checkpoint was asked for"
[ "$(grep -c "going on from" run.out)" -eq "$restarts" ] || fail "not every one of $restarts restarts went on from a checkpoint"
[ -f run/best.h5 ] || fail "there is no best.h5"
# Each line of training once, in order: nothing was lost, nothing was done twice.
sed -n 's/.*"kind":"train","step":\([0-9]*\).*/\1/p' run/metrics.jsonl >steps
[ "$(wc -l <steps)" -ge 10 ] || fail "metrics.jsonl has $(wc -l <steps) lines of training"
awk '$1 != NR * 5 {exit 1}' steps || fail "steps are missing or double in metrics.jsonl: $(tr '\n' ' ' <steps | head -c 300)"
grep -m 1 "^srtrain-job: 20" run.out
echo "job $job: $restarts requeue(s), $(wc -l <steps) lines of training, completed"

# ---- a sweep as a job array ----

array_is_over() { [ -z "$(squeue --noheader --job "$array" 2>/dev/null)" ]; }
wait_for 300 array_is_over || fail "array $array does not end"
for seed in 1 2; do
    [ -f "runs/seed-$seed/best.h5" ] || fail "the run of seed $seed left no best.h5"
    grep -q "seed: $seed\$" "runs/seed-$seed/config.yaml" || fail "the run of seed $seed has another one"
done
echo "array $array: both runs completed"

# ---- what cannot work is not tried again ----

wait_for 120 is_over "$wrong" || fail "job $wrong does not end"
[ "$(state_of "$wrong" ExitCode)" = 2:0 ] || fail "a usage error ended with $(state_of "$wrong" ExitCode)"
[ "$(state_of "$wrong" Restarts)" = 0 ] || fail "a usage error was requeued"
# ---- a script that is alone, and tasks that know nothing of each other ----

wait_for 300 is_over "$alone" || fail "job $alone does not end"
grep -q "^script: 0" alone.out || fail "a single process in a script of two tasks is refused: $(tail -n 3 alone.out)"
grep -q "^one task: 0" alone.out || fail "srun of a single task is refused: $(tail -n 3 alone.out)"
grep -q "^two tasks: 2" alone.out || fail "two tasks that know nothing of each other are not refused: $(tail -n 3 alone.out)"
grep -q "the launcher has started at least 2 processes (SLURM_STEP_NUM_TASKS=2)" alone.out || fail "nothing says why"
grep -q "^two trainings: [12]" alone.out || fail "two trainings that know nothing of each other are not refused"
[ ! -e twice ] || fail "two trainings that are refused have written something"
echo "job $alone: one process alone works, two that know nothing of each other are refused"
echo "PASS"

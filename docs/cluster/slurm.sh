#!/bin/bash
#SBATCH --job-name=nas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
# sbatch slurm.sh smoke --run-dir /shared/runs/smoke
# What follows the script's name is what follows `nas run`. It runs again, after a requeue too, until it is done.
set -u
command -v nas > /dev/null || source /shared/venv/bin/activate  # yours, with the product, on every node
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300  # seconds for all nodes to start
export RAY_AUTH_MODE=token  # one for this job, handed on by srun
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
driver=$(mktemp -d)  # its process and its exit code; this script and the driver are both on the first node

# srun's own exit code is the highest of all nodes'. --cpu-bind=none: all processors of a node.
srun --cpu-bind=none ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" -- bash -c '
    (echo $BASHPID > "$0/pid"; exec nas run "$@")
    echo $? > "$0/code"' "$driver" "$@" --resume --address "$head:6379" &
step=$!

save() {
    trap : USR1 TERM  # once is enough: a driver that writes its report would die of another
    if [ -s "$driver/pid" ]; then
        kill -USR1 "$(cat "$driver/pid")"
    else  # nothing runs yet
        echo 75 > "$driver/code"
        kill "$step"
    fi
}
trap save USR1 TERM
while kill -0 "$step" 2> /dev/null; do  # a signal ends the wait, not the run
    wait "$step"
    code=$?
done
[ -s "$driver/code" ] && code=$(cat "$driver/code")
rm -rf "$driver"
if [ "$code" -eq 75 ]; then  # running trials have saved their checkpoints
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"

#!/bin/bash
#SBATCH --job-name=nas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# sbatch slurm.sh smoke --run-dir /shared/runs/smoke
# What follows the script's name is what follows `nas run`. It runs again, after a requeue too, until it is done.
set -u
export RAY_AUTH_MODE=token  # one for this job, handed on by srun
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
driver=$(mktemp)  # its process; this script and the driver are both on the first node

srun ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" -- \
    bash -c 'echo $$ > "$0"; exec nas run "$@"' "$driver" "$@" --resume --address "$head:6379" &
trap 'kill -USR1 "$(cat "$driver")"' USR1 TERM
wait $!
code=$?
if [ "$code" -gt 128 ]; then  # the trap ended the wait, not the run
    wait $!
    code=$?
fi
rm -f "$driver"
if [ "$code" -eq 75 ]; then  # running trials have saved their checkpoints
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"

#!/bin/bash
# Slurm: sbatch pipelines/cluster/slurm.sh /shared/recordings /shared/archive
#
# Recordings and archive lie on a file system that every node mounts. `ray symmetric-run` starts Ray on every node of
# the allocation, runs the command on the first one, and ends Ray when it ends. A job that runs out of time continues when
# it is submitted again.
#SBATCH --job-name=callscan
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=2
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@120

set -euo pipefail

recordings=$1
archive=$2
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

export RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(openssl rand -hex 32)  # of this job alone; srun hands the environment to every node
export RAY_AUTH_TOKEN

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=1 \
    ray symmetric-run \
    --address "$head:6379" \
    --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" \
    --num-gpus "$SLURM_GPUS_ON_NODE" \
    -- \
    callscan scan "$recordings" --archive "$archive" --config pipelines/gpu-cluster.toml --workers 8

#!/bin/bash
# What a Ray job runs on a cluster that is up: a new run in the folder, or the one that is there gone on with.
#   ray job submit --address http://HEAD:8265 -- \
#       bash /shared/rostrum/launch/cluster/job.sh /shared/runs/first cluster=node8 debater.model=/shared/models/llama-8b
# Checkout, runs and models are on a file system that all nodes share. Submitting needs "ray[default]".
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:$PWD/.venv/bin RAY_ADDRESS=auto
. launch/cluster/nodes.sh
train_or_resume "$@"

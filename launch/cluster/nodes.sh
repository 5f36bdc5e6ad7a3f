# Functions that start and stop the Ray nodes of a job; sourced by slurm.sbatch. Nodes run in the foreground of a
# background process of the job, so that they end with it and `ray stop`, which would end every Ray on the machine, is
# not needed. What Ray says of a node goes to the file NODE_LOG: it would drown Rostrum's own lines in the job's log.

# start_head PORT [ray start's options]: the first node of the cluster; its process is added to NODES. All nodes and the
# run are let in by a token that only this job knows.
start_head() {
  local port=$1
  shift
  export RAY_AUTH_MODE=token
  export RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')}
  $NODE_PREFIX ray start --head --block --port="$port" --disable-usage-stats "$@" >>"$NODE_LOG" 2>&1 &
  NODES+=($!)
}

# start_worker ADDRESS [ray start's options]: joins the cluster at host:port; its process is added to NODES.
start_worker() {
  local address=$1
  shift
  $NODE_PREFIX ray start --block --address="$address" --disable-usage-stats "$@" >>"$NODE_LOG" 2>&1 &
  NODES+=($!)
}

# wait_for_nodes ADDRESS COUNT: until that many nodes have joined, for at most ten minutes, or until one that was started
# here has ended.
wait_for_nodes() {
  local alive node
  for _ in $(seq 300); do
    alive=$(ray status --address="$1" 2>/dev/null | sed -n '/^Active:/,/^Pending:/p' | grep -c ' node_') || true
    [ "${alive:-0}" -ge "$2" ] && return 0
    for node in "${NODES[@]}"; do
      kill -0 "$node" 2>/dev/null && continue
      echo "A node of the Ray cluster at $1 did not start: see what each said in $(dirname "$NODE_LOG")." >&2
      return 1
    done
    sleep 2
  done
  echo "Only ${alive:-0} of $2 nodes joined the Ray cluster at $1: see what each said in $(dirname "$NODE_LOG")." >&2
  return 1
}

# stop_nodes: ends the nodes that were started here, workers first.
stop_nodes() {
  local i
  for ((i = ${#NODES[@]} - 1; i >= 0; i--)); do
    kill "${NODES[i]}" 2>/dev/null || true
    wait "${NODES[i]}" 2>/dev/null || true
  done
}

# train_or_resume RUN [overrides]: becomes a new run, or goes on with the one that an earlier start of the job left
# there. The overrides are given then, too: prompts and keys are only used where the command line names them.
train_or_resume() {
  local run=$1
  shift
  if [ -e "$run/config.yaml" ]; then
    exec rostrum train resume="$run" cluster.address="$RAY_ADDRESS" "$@"
  fi
  exec rostrum train output="$run" cluster.address="$RAY_ADDRESS" "$@"
}

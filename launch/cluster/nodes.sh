# Functions that start and stop the Ray nodes of a job; sourced by slurm.sbatch. Nodes run in the foreground of a
# background process of the job, so that they end with it and `ray stop`, which would end every Ray on the machine, is
# not needed. What Ray says of a node goes to the file NODE_LOG: it would drown Rostrum's own lines in the job's log.

# start_head PORT [ray start's options]: the first node of the cluster. All nodes and the run are let in by a token that
# only this job knows.
start_head() {
  local port=$1
  shift
  export RAY_AUTH_MODE=token
  export RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')}
  start_node --head --port="$port" "$@"
}

# start_worker ADDRESS [ray start's options]: joins the cluster at host:port.
start_worker() {
  local address=$1
  shift
  start_node --address="$address" "$@"
}

# start_node [ray start's options]: its process is added to NODES, its log to LOGS, in which this start has a headline.
start_node() {
  echo "== $(date): job ${SLURM_JOB_ID:-} starts this node" >>"$NODE_LOG"
  $NODE_PREFIX ray start --block --disable-usage-stats "$@" >>"$NODE_LOG" 2>&1 &
  NODES+=($!)
  LOGS+=("$NODE_LOG")
}

# wait_for_nodes: until Ray says in the log of every node that it has started, for at most ten minutes, or until one has
# ended. `ray status` would say it, too, but each time it is asked costs seconds of the processor that Ray starts on.
wait_for_nodes() {
  local i up
  for _ in $(seq 1200); do
    up=0
    for i in "${!NODES[@]}"; do
      if ! kill -0 "${NODES[i]}" 2>/dev/null; then
        echo "A node of Ray did not start: see what it said in ${LOGS[i]}." >&2
        return 1
      fi
      has_started "${LOGS[i]}" && up=$((up + 1))
    done
    [ "$up" = "${#NODES[@]}" ] && return 0
    sleep 0.5
  done
  echo "Only $up of ${#NODES[@]} nodes of Ray started: see what each said in $(dirname "${LOGS[0]}")." >&2
  return 1
}

# has_started LOG: whether Ray says so under the log's last headline.
has_started() {
  awk '/^== / { up = 0 } /Ray runtime started/ { up = 1 } END { exit !up }' "$1"
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

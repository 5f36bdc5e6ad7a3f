"""What `benchmarks.gpu` measures, phase by phase: play, judge, learn, publish, and the bare counterparts of two."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.learner import Bare, bare_model, timed_learner
from benchmarks.learner import learn as learn_from
from benchmarks.measure import clock
from benchmarks.recording import Call, recorded
from benchmarks.rig import BenchmarkError, Rig
from rostrum.rewards.types import Verdict
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.models import loading
from rostrum.trainer.types import Batch, Judged, Rollout, Trajectory
from rostrum.trainer.weights.logprobs import Scores, learner_logprobs
from rostrum.trainer.weights.publish import Weights, check_parity, probe_rows, publish


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
    return rollouts


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
    """Do PPO iterations with gradient checkpointing (the first warms up), a publish of their adapter, and bare
    steps."""
    with rig.phase("learn"):
        learner = timed_learner(rig.settings, rig.repeats + 1, str(rig.settings.output))
        learn_from(learner, rows, rig.repeats + 1)
    trainer = learner.trainer
    rig.durations |= {"learn_prepare": learner.prepare[1:], "learn_steps": learner.steps[1:]}
    lengths = [(int(p.sum()), int(c.sum())) for b in trainer.batches for p, c in _masks(b)]
    flops = sum(rig.workload.debater.lora_flops(prompt + completion, completion + 1) for prompt, completion in lengths)
    rig.figures |= {"learner_tokens": sum(map(sum, lengths)), "learner_flops": flops}
    _publish(rig, "adapter", learner.logprobs, learner.weights())
    batches, accumulation = trainer.batches, trainer.args.gradient_accumulation_steps
    del trainer, learner
    with rig.phase("bare_learn"):
        bare = Bare(bare_model(rig.settings), accumulation, rig.settings.algorithm.max_grad_norm)
        rig.repeat("bare_learn", lambda: bare.step(batches))


def _masks(batch: dict[str, Any]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return zip(batch["prompt_mask"], batch["completion_mask"], strict=True)


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

"""How much of what a judge reads an engine finds in its prefix cache: both orders, every speech, with the passage."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.measure import Measurement
from benchmarks.rollouts import Bench
from rostrum.envs.types import Protocol, Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.types import Judge
from rostrum.trainer import setup
from rostrum.trainer.types import Batch


def of_judges(bench: Bench, batch: Batch, name: str = "vllm", debates: int = 32) -> list[Measurement]:
    """Return hit rates (%) of a judge on this engine, which caches prefixes, each on debates that it has not read."""
    section = f"prefix cache of a judge on {name}: share of the tokens found in it"
    transcripts = [judged.rollout.transcript for judged in batch.judged]
    third = min(debates, len(transcripts) // 3)
    parts = [transcripts[i * third : (i + 1) * third] for i in range(3)]
    judge = setup.judge(bench.settings.judge.model_copy(update={"engine": name}))
    assert isinstance(judge.base, LikelihoodJudge)
    engine: Any = judge.base.scorer
    asked = {
        "debates, both orders": parts[0],
        "debates, both orders, after every speech": [part for whole in parts[1] for part in _prefixes(whole)],
        "question with the passage, both orders": [_with_passage(whole) for whole in parts[2]],
    }
    return [Measurement(section, what, "%", (_hit_rate(engine, judge, read),)) for what, read in asked.items() if read]


def _hit_rate(engine: Any, judge: Judge, transcripts: Sequence[Transcript]) -> float:
    before = engine.prefix_cache
    judge.judge(transcripts)
    queries, hits = (after - earlier for after, earlier in zip(engine.prefix_cache, before, strict=True))
    return float(100 * hits / max(queries, 1))


def _prefixes(transcript: Transcript) -> list[Transcript]:
    return [replace(transcript, speeches=transcript.speeches[:n]) for n in range(len(transcript.speeches) + 1)]


def _with_passage(transcript: Transcript) -> Transcript:
    expert = Protocol("expert", speakers={}, rounds=0, judge_sees_passage=True)
    return replace(transcript, protocol=expert, speeches=())

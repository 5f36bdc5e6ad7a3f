"""What is logged about an iteration's debates. No gold label is needed, or allowed, for any of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rostrum.envs.types import Side, Speech
from rostrum.trainer.rollouts.collect import mean_approval
from rostrum.trainer.types import Batch, speakers_of


def measure(batch: Batch) -> dict[str, Any]:
    """Return counts and means over one iteration: of all debates, and of each policy and not of opponents
    (`by_policy`); means over nothing are left out."""
    debates = len(batch.judged) + len(batch.failures)
    measured = {
        "iteration": batch.iteration,
        "debates": debates,
        "failed": len(batch.failures),
        "invalid": sum(not judged.verdict.valid for judged in batch.judged),
        "spoiled": batch.spoiled,
        "approval_seat_a": mean_approval(batch.judged),
        **_choices(batch),
        **_cache_hits(batch),
        "debates_per_second": debates / max(batch.seconds, 1e-9),
        **by_policy({name: _of_policy(batch, name) for name in batch.policies}),
    }
    return {key: value for key, value in measured.items() if value == value}


def by_policy(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of each policy in one record: under their names where there is one policy, and under
    POLICY/NAME where there are several."""
    if len(figures) == 1:
        return dict(*figures.values())
    return {f"{policy}/{name}": value for policy, of in figures.items() for name, value in of.items()}


def figures_of(record: Mapping[str, Any], policy: str, policies: Sequence[str]) -> Mapping[str, Any]:
    """Return the figures of one policy among those of a record, by their names; the inverse of `by_policy`."""
    if len(policies) == 1:
        return record
    begins = f"{policy}/"
    return {name.removeprefix(begins): value for name, value in record.items() if name.startswith(begins)}


def _of_policy(batch: Batch, policy: str) -> dict[str, float | int]:
    said = [speech for judged in batch.judged for speech in judged.rollout.transcript.speeches]
    speeches = [speech for speech in said if speech.policy == policy]
    rewards = [
        (judged.rollout.transcript.protocol.speakers[name].side, judged.rewards[name])
        for judged in batch.judged
        if judged.rewards
        for name in speakers_of(judged, policy)
    ]
    rows = batch.trajectories(policy)
    sampled = [x for t in rows for x, m in zip(t.row.logprobs, t.row.mask, strict=True) if m]
    return {
        "policy_version": batch.policies[policy].version,
        "reward": _mean([reward.total for _, reward in rewards]),
        "penalty": _mean([sum(reward.shaping) for _, reward in rewards]),
        "reward_seat_a": _mean([reward.total for side, reward in rewards if side is Side.A]),
        "entropy": -_mean(sampled),
        **speech_statistics(speeches),
        "empty_speeches": _mean([speech.words == 0 for speech in speeches]),
    }


def speech_statistics(speeches: Sequence[Speech]) -> dict[str, float]:
    """Return the verified share of quotes, quotes and words per speech, and the share of speeches that the engine had
    to cut."""
    quotes = [quote for speech in speeches for quote in speech.quotes]
    return {
        "verified_quotes": _mean([quote.verified for quote in quotes]),
        "quotes_per_speech": _mean([len(speech.quotes) for speech in speeches]),
        "words_per_speech": _mean([speech.words for speech in speeches]),
        "cut_speeches": _mean([speech.finish_reason == "length" for speech in speeches]),
    }


def _cache_hits(batch: Batch) -> dict[str, int]:
    """Return the tokens of prompts, and how many of them were found in a prefix cache; nothing where there is none."""
    if not batch.prompt_tokens:
        return {}
    return {"prompt_tokens": batch.prompt_tokens, "cache_hit_tokens": batch.cache_hit_tokens}


def _choices(batch: Batch) -> dict[str, float]:
    """Return how often a speaker who chooses its side took the one that it was not given, and how often its choice
    could not be read; nothing under protocols without one."""
    made = [judged.rollout.transcript.provenance.get("choice") for judged in batch.judged]
    if not any(made):
        return {}
    return {
        "changed_sides": _mean([one == "changed" for one in made]),
        "unusable_choices": _mean([one == "unusable" for one in made]),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")

"""When a training is no longer worth its time: limits on what is logged of an iteration (the section `limits`)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rostrum.envs.types import Speech
from rostrum.trainer.config import Config

NEARLY_ALL = 0.9
"""Share of cut speeches from which on the log says so."""


class LimitError(RuntimeError):
    """A training that was ended because a figure passed its limit; the message says which, and what to do."""


def check_speeches(measured: Mapping[str, Any], settings: Config) -> str | None:
    """Return a sentence to log if nearly all speeches of an iteration were cut; None if there is nothing to say.

    Raises:
        LimitError: too many were cut or empty, or the policy always says the same.
    """
    limits, iteration, longer = settings.limits, measured["iteration"], _longer(settings.debater.max_tokens)
    cut, empty, entropy = (measured.get(name) for name in ("cut_speeches", "empty_speeches", "entropy"))
    if _reached(empty, limits.empty_speeches):
        raise LimitError(
            f"In iteration {iteration} {_share(empty)} of the speeches say nothing: look at transcripts.jsonl, and at "
            f"debater.format and debater.prompts; {_off('empty_speeches', limits.empty_speeches)}"
        )
    if _reached(cut, limits.cut_speeches):
        raise LimitError(
            f"In iteration {iteration} {_share(cut)} of the speeches were cut at their last token: {longer}; "
            f"{_off('cut_speeches', limits.cut_speeches)}"
        )
    if entropy is not None and limits.entropy is not None and not entropy >= limits.entropy:
        raise LimitError(
            f"In iteration {iteration} the policy's entropy is {entropy:.2g} nats per token: it says nearly the same "
            f"whatever it draws, and there is nothing left to learn from; lower algorithm.learning_rate or raise "
            f"algorithm.kl in a new run; {_off('entropy', limits.entropy)}"
        )
    if cut is not None and cut >= NEARLY_ALL:
        return f"iteration {iteration}: {_share(cut)} of the speeches were cut at their last token: {longer}"
    return None


def cut_in_evaluation(title: str, speeches: Sequence[Speech], tokens: int) -> Iterator[str]:
    """Yield a sentence for each policy of which nearly all speeches were cut at their last token, of `tokens`."""
    for policy in sorted({speech.policy for speech in speeches}):
        own = [speech.finish_reason == "length" for speech in speeches if speech.policy == policy]
        if (cut := sum(own) / len(own)) >= NEARLY_ALL:
            yield (
                f"{title}: {_share(cut)} of the speeches of {policy} were cut at their last token, so what is measured "
                f"are beginnings of speeches; in a new run {_longer(tokens)}"
            )


def _longer(tokens: int) -> str:
    return (
        f"raise debater.max_tokens (now {tokens}), ask for shorter speeches with protocol.max_words, or see that the "
        "model's end-of-speech token is among the eos_token_id of its generation_config.json"
    )


def check_learned(row: Mapping[str, Any], settings: Config) -> None:
    """Look at what an iteration's learning logged.

    Raises:
        LimitError: the policy is too far from the reference, or the distance is no number.
    """
    kl, limit = row.get("kl"), settings.limits.kl
    if kl is not None and limit is not None and (not math.isfinite(kl) or kl > limit):
        raise LimitError(
            f"In iteration {row['iteration']} the policy's KL divergence from the reference is {kl:.3g} nats per token:"
            f" it has left the base model behind; lower algorithm.learning_rate or raise algorithm.kl in a new run; "
            f"{_off('kl', limit)}"
        )


def _reached(share: float | None, limit: float | None) -> bool:
    return share is not None and limit is not None and share >= limit


def _share(share: float | None) -> str:
    assert share is not None
    return "all" if share == 1 else f"{share:.0%}"


def _off(name: str, limit: float | None) -> str:
    return f"limits.{name}={limit:g} ended the run, limits.{name}=off lets it go on."

"""When a training is no longer worth its time: limits on what is logged of an iteration (the section `limits`)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rostrum.envs.types import Speech
from rostrum.trainer.config import Config
from rostrum.trainer.rollouts.measure import figures_of

NEARLY_ALL = 0.9
"""Share of cut speeches from which on the log says so."""


class LimitError(RuntimeError):
    """A training that was ended because a figure passed its limit; the message says which, and what to do."""


def check_speeches(measured: Mapping[str, Any], settings: Config) -> list[str]:
    """Return a sentence to log for each policy of which nearly all speeches of an iteration were cut.

    Raises:
        LimitError: too many of a policy's were cut or empty, or it always says the same.
    """
    when = f"In iteration {measured['iteration']}"
    found = []
    for policy in settings.policies:
        own, of = figures_of(measured, policy, settings.policies), f" of {policy}" if settings.learners else ""
        _check_speeches(own, settings, when, of)
        if (cut := own.get("cut_speeches")) is not None and cut >= NEARLY_ALL:
            longer = _longer(settings.debater.max_tokens)
            found.append(
                f"iteration {measured['iteration']}: {_share(cut)} of the speeches{of} were cut at their last token: "
                f"{longer}"
            )
    return found


def _check_speeches(own: Mapping[str, Any], settings: Config, when: str, of: str) -> None:
    """Look at the figures of one policy; `of` says whose speeches they are, where there are several.

    Raises:
        LimitError: too many of its speeches were cut or empty, or it always says the same.
    """
    limits, longer = settings.limits, _longer(settings.debater.max_tokens)
    cut, empty, entropy = (own.get(name) for name in ("cut_speeches", "empty_speeches", "entropy"))
    if _reached(empty, limits.empty_speeches):
        raise LimitError(
            f"{when} {_share(empty)} of the speeches{of} say nothing: look at transcripts.jsonl, and at "
            f"debater.format and debater.prompts; {_off('empty_speeches', limits.empty_speeches)}"
        )
    if _reached(cut, limits.cut_speeches):
        raise LimitError(
            f"{when} {_share(cut)} of the speeches{of} were cut at their last token: {longer}; "
            f"{_off('cut_speeches', limits.cut_speeches)}"
        )
    if entropy is not None and limits.entropy is not None and not entropy >= limits.entropy:
        raise LimitError(
            f"{when} the policy's entropy{of} is {entropy:.2g} nats per token: it says nearly the same "
            f"whatever it draws, and there is nothing left to learn from; lower algorithm.learning_rate or raise "
            f"algorithm.kl in a new run; {_off('entropy', limits.entropy)}"
        )


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
        LimitError: a policy is too far from the reference, or the distance is no number.
    """
    limit = settings.limits.kl
    for policy in settings.policies:
        kl, of = figures_of(row, policy, settings.policies).get("kl"), f" of {policy}" if settings.learners else ""
        if kl is not None and limit is not None and (not math.isfinite(kl) or kl > limit):
            raise LimitError(
                f"In iteration {row['iteration']} the policy's KL divergence{of} from the reference is {kl:.3g} nats "
                f"per token: it has left the base model behind; lower algorithm.learning_rate or raise algorithm.kl in "
                f"a new run; {_off('kl', limit)}"
            )


def _reached(share: float | None, limit: float | None) -> bool:
    return share is not None and limit is not None and share >= limit


def _share(share: float | None) -> str:
    assert share is not None
    return "all" if share == 1 else f"{share:.0%}"


def _off(name: str, limit: float | None) -> str:
    return f"limits.{name}={limit:g} ended the run, limits.{name}=off lets it go on."

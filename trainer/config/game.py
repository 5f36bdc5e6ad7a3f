"""What is debated, how, and what winning is worth (configs/questions/, protocol/, reward/)."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import AfterValidator, Field

from envs.questions import QuestionSettings, settings_by_kind
from envs.types import Protocol as AnyProtocol
from rewards.reward import RewardRule
from trainer.section import NAME, known_keys

MOST_ROUNDS = 1000

if TYPE_CHECKING:
    Questions = QuestionSettings
else:
    Questions = Annotated[Union[tuple(settings_by_kind().values())], Field(discriminator="kind")]  # noqa: UP007
    """Where questions come from: one of the kinds that lie in envs/questions/ (configs/questions/)."""


def _can_be_played(protocol: AnyProtocol) -> AnyProtocol:
    if not NAME.fullmatch(protocol.name):
        raise ValueError(f"name is {protocol.name!r}, and folders are called after it: leave out slashes")
    if len(set(protocol.seats)) < len(protocol.seats):
        raise ValueError("a seat is named twice in seats: name each once")
    if protocol.seats and not 1 <= protocol.rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {protocol.rounds}: set it to 1 to {MOST_ROUNDS}")
    if protocol.seats and protocol.max_words < 1:
        raise ValueError(f"max_words is {protocol.max_words}: set it to at least 1")
    return protocol


Protocol = Annotated[AnyProtocol, known_keys(AnyProtocol), AfterValidator(_can_be_played)]
"""Who speaks when, and who sees what."""


def _takes_nothing_negative(rule: RewardRule) -> RewardRule:
    for name in ("clip", "unverified_quote_penalty", "over_limit_penalty"):
        if getattr(rule, name) < 0:
            raise ValueError(f"{name} is {getattr(rule, name)}: set it to at least 0")
    return rule


Reward = Annotated[RewardRule, known_keys(RewardRule), AfterValidator(_takes_nothing_negative)]
"""What approval is worth, and the penalties."""

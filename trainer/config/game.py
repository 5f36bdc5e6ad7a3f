"""What is debated, how, and what winning is worth (configs/questions/, protocol/, reward/)."""

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import AfterValidator, BeforeValidator, Field

from rostrum.envs.questions import QuestionSettings, settings_by_kind
from rostrum.envs.types import TRAINED, Speaker
from rostrum.envs.types import Protocol as AnyProtocol
from rostrum.rewards.reward import RewardRule
from rostrum.trainer.section import NAME, RunView, SectionError, known_keys

MOST_ROUNDS, MOST_ON_A_SIDE = 1000, 9
SPEAKER, ROLE = re.compile(r"\w[\w-]{0,39}"), re.compile(r"[a-z][a-z_]{0,39}")
"""Names of speakers, and of roles."""

if TYPE_CHECKING:
    Questions = QuestionSettings
else:
    Questions = Annotated[Union[tuple(settings_by_kind().values())], Field(discriminator="kind")]  # noqa: UP007
    """Where questions come from: one of the kinds that lie in envs/questions/ (configs/questions/)."""


def _can_be_played(protocol: AnyProtocol) -> AnyProtocol:
    if not NAME.fullmatch(protocol.name):
        raise ValueError(f"name is {protocol.name!r}, and folders are called after it: leave out slashes")
    for name in protocol.speakers:
        if not SPEAKER.fullmatch(name):
            raise ValueError(f"a speaker is called {name!r}: use letters, digits, - and _")
    if protocol.speakers and not 1 <= protocol.rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {protocol.rounds}: set it to 1 to {MOST_ROUNDS}")
    if protocol.speakers and protocol.max_words < 1:
        raise ValueError(f"max_words is {protocol.max_words}: set it to at least 1")
    for said in filter(None, (_wrong_with_turns(protocol), _wrong_with_choice(protocol))):
        raise ValueError(said)
    return protocol


def _wrong_with_turns(protocol: AnyProtocol) -> str | None:
    """Return what is wrong with who speaks when; None if nothing is."""
    if any(len(protocol.on(side)) > MOST_ON_A_SIDE for side in protocol.sides):
        return f"speakers has more than {MOST_ON_A_SIDE} on one side: name fewer"
    roles = [speaker.role for speaker in protocol.speakers.values()]
    roles += [role for turn in protocol.turns for role in turn.values()]
    if strange := [role for role in roles if not ROLE.fullmatch(role)]:
        return f"a role is called {strange[0]!r}: use small letters and _, as a file is called after it"
    if not protocol.turns:
        return None
    if protocol.judge_asks or protocol.simultaneous:
        return "turns says who speaks when: leave out simultaneous and judge_asks"
    spoken = [name for turn in protocol.turns for name in turn]
    if unknown := [name for name in spoken if name not in protocol.speakers]:
        return f"turns has {unknown[0]}, who is none of the speakers: name {', '.join(protocol.speakers)}"
    if silent := [name for name in protocol.speakers if name not in spoken]:
        return f"the speaker {silent[0]} has none of the turns: give it one, or leave it out of speakers"
    return None if all(protocol.turns) else "a turn of turns has no speaker: leave it out"


def _wrong_with_choice(protocol: AnyProtocol) -> str | None:
    """Return what is wrong with speakers who choose their side: it must be known before anybody else speaks."""
    choosing = [name for name, speaker in protocol.speakers.items() if speaker.chooses_side]
    if choosing and (len(choosing) > 1 or list(protocol.order()[0]) != choosing):
        return "chooses_side is for one speaker, who speaks first and alone: set it for no other"
    if choosing and len(protocol.sides) < 2:
        return "chooses_side needs somebody on the other side: name another speaker"
    return None


def _known_speakers(value: Any) -> Any:
    """Refuse keys of speakers that there are not, as pydantic by itself does not for a plain dataclass."""
    speakers = value.get("speakers") if isinstance(value, dict) else None
    known = [field.name for field in fields(Speaker)]
    for name, speaker in speakers.items() if isinstance(speakers, dict) else ():
        if isinstance(speaker, dict) and (unknown := sorted(set(speaker) - set(known))):
            raise ValueError(f"speakers.{name} has no key {unknown[0]!r}: use {', '.join(known)}")
    return value


Protocol = Annotated[
    AnyProtocol, known_keys(AnyProtocol), BeforeValidator(_known_speakers), AfterValidator(_can_be_played)
]
"""Who speaks when, and who sees what."""


def _takes_nothing_negative(rule: RewardRule) -> RewardRule:
    for name in ("clip", "unverified_quote_penalty", "over_limit_penalty"):
        if getattr(rule, name) < 0:
            raise ValueError(f"{name} is {getattr(rule, name)}: set it to at least 0")
    return rule


Reward = Annotated[RewardRule, known_keys(RewardRule), AfterValidator(_takes_nothing_negative)]
"""What approval is worth, and the penalties."""


def check_questions(run: RunView) -> None:
    """Ask for questions to train on and, for the evaluation, held-out ones with their answers.

    Raises:
        QuestionError: the file cannot be used, or a split is empty.
    """
    run.questions("train", "heldout").answer_key("heldout")


def check_protocol(run: RunView) -> None:
    """Ask for somebody to train.

    Raises:
        SectionError: there is nobody, or somebody follows another policy.
    """
    protocol = run.config.protocol
    if not protocol.sides:
        raise SectionError(
            f"protocol={protocol.name} has no debaters to train: choose debate, simultaneous or consultancy (every "
            "evaluation has naive and expert judges in it)."
        )
    policies = run.config.policies
    for name, speaker in protocol.speakers.items():
        if speaker.policy in policies:
            continue
        if run.config.learners:
            raise SectionError(
                f"protocol.speakers.{name}.policy={speaker.policy} is none of the policies that are trained: choose "
                f"among {', '.join(policies)}, or add learners.{speaker.policy}."
            )
        raise SectionError(
            f"protocol.speakers.{name}.policy={speaker.policy} names a policy that is not trained here: there is one, "
            f"called {TRAINED}; name several under learners (learners.{speaker.policy}={{}} and the others), and whom "
            "a single one meets is said by opponent=."
        )

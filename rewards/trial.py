"""A made-up debate on which a judge is tried before it is paid for."""

from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.settings import JudgeError
from rostrum.rewards.types import Judge

_QUESTION = Question("trial", "trial", "What colour is the door?", ("green", "red"), "The door is green.")
_SAID = ("The passage says that the door is green.", "The passage does not say that the door is green: it is red.")
TRIAL = Transcript(
    _QUESTION,
    Protocol("debate", rounds=1),
    _QUESTION.answers,
    False,
    tuple(
        Speech(side.value, side, turn, _SAID[turn], _SAID[turn], len(_SAID[turn].split()))
        for turn, side in enumerate(Side)
    ),
)
SHOWN = 300
"""Characters of a text that cannot be read that are shown."""


def try_once(judge: Judge) -> None:
    """Let a judge read the made-up debate.

    Raises:
        JudgeError: its verdict is INVALID; the message says why, and shows a text that could not be read.
    """
    (verdict,) = judge.judge([TRIAL])
    if verdict.valid:
        return
    if verdict.cause == "failure":
        raise JudgeError(
            f"The judge {judge.name} could not be tried ({verdict.reason}): check that its server runs, and its "
            "endpoint.base_url, endpoint.api and model."
        )
    text = shown(verdict.unreadable)
    wrote = f", as it wrote {text!r}" if text else ""
    raise JudgeError(
        f"The judge {judge.name} was tried on a made-up debate and gave no verdict ({verdict.reason}{wrote}): raise "
        "its max_tokens if it was cut off, turn its thinking off (endpoint.body={chat_template_kwargs: "
        "{enable_thinking: false}}), take another judge.model or judge.prompts, or set endpoint.probe=warn for a judge "
        "that was taught to read debates of one kind alone."
    )


def shown(text: str) -> str:
    """Return the beginning of a judge's text in one line, without control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:SHOWN]

"""A debate taken up again from its record: what each speaker had been told and had said, as tokens."""

from collections.abc import Callable, Mapping
from functools import partial

from rostrum.envs.debate import Utterance
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.text.windows import Window
from rostrum.envs.types import Protocol, Speech, Transcript
from rostrum.trainer.engines.base import Engine
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.rollouts.play import LiveDebate, begin
from rostrum.trainer.types import Matchup

End = Callable[[str], int]
"""The token with which a policy of this name ends a speech."""


def resumed(
    matchup: Matchup,
    so_far: Transcript,
    protocol: Protocol,
    prompts: Prompts,
    engines: Mapping[str, Engine],
    window: Window | None,
    end: End,
) -> LiveDebate:
    """Return the debate in progress, in which so much was said and asked; nobody in it chooses a side.

    Speeches that were stored with their tokens are taken by these. Those of an evaluation, which keeps none, are read
    anew as they were sampled (`Speech.raw`), with the end that the policy gave them.
    """
    (table,) = begin([matchup], protocol, prompts, engines, window=window)
    debate = table.debate
    while said := [speech for speech in so_far.speeches if speech.turn == debate.turn]:
        debate.inquiries += tuple(inquiry for inquiry in so_far.inquiries if inquiry.turn == debate.turn)
        heard = {}
        for speech in said:
            name = matchup.policies[speech.speaker]
            told = debate.told(speech.speaker)
            table.tell(speech.speaker, engines[name])
            heard[speech.speaker] = _utterance(speech, told, engines[name].format, partial(end, name))
        debate.speeches += tuple(said)
        debate.turn += 1
        for speaker, utterance in heard.items():
            table.spoke(speaker, utterance)
    return table


def _utterance(speech: Speech, told: str, fmt: Format, end: Callable[[], int]) -> Utterance:
    """Return a speech as it was sampled after what was told."""
    if speech.token_ids:
        return Utterance(speech.raw, speech.token_ids, speech.logprobs, speech.finish_reason)
    tokens = tuple(fmt.choice(speech.raw, told))
    closes = fmt.go_on("told", True) != fmt.go_on("told", False)  # what a chat template does, and running text does not
    if speech.finish_reason == "stop" and not closes:
        tokens += (end(),)
    return Utterance(speech.raw, tokens, (0.0,) * len(tokens), "length")

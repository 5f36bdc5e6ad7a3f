"""From debates that were written with examples to rows of tokens that are learned with the ordinary prompt."""

from collections.abc import Iterator, Sequence

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.text import windows
from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.text.windows import Window
from rostrum.envs.types import Protocol, Speech, Transcript
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.rollouts.token_rows import SpeakerTokens
from rostrum.trainer.types import TokenRow


def lessons(
    debates: Sequence[Transcript],
    rule: QuoteRule,
    protocol: Protocol,
    prompts: Prompts,
    fmt: Format,
    window: Window | None,
) -> list[TokenRow]:
    """Return a row for every speech with a quote that counts: the prompt that its speaker has in training, and the
    speech as it was sampled."""
    return [
        row
        for debate in debates
        for (_, counting), row in zip(
            rule.of_debate(debate), replayed(debate, protocol, prompts, fmt, window), strict=True
        )
        if counting
    ]


def replayed(
    debate: Transcript, protocol: Protocol, prompts: Prompts, fmt: Format, window: Window | None
) -> Iterator[TokenRow]:
    """Yield the row of every speech of a debate, in order, as if it had been played with the ordinary prompts."""
    seen = windows.shown(debate.question, window, fmt.count)
    again = Debate(debate.question, protocol, debate.swapped_seats, prompts, seen)
    tokens = {speaker: SpeakerTokens(row_per_speech=True) for speaker in protocol.speakers}
    by_turn = {(speech.speaker, speech.turn): speech for speech in debate.speeches}
    while not again.finished:
        again.inquiries = tuple(inquiry for inquiry in debate.inquiries if inquiry.turn <= again.turn)
        said = {speaker: _utterance(by_turn[speaker, again.turn]) for speaker in again.speakers}
        for speaker, utterance in said.items():
            tokens[speaker].tell(again.told(speaker), fmt)
            tokens[speaker].said(utterance)
        again.hear(said)
        yield from (tokens[speaker].rows()[-1] for speaker in said)


def _utterance(speech: Speech) -> Utterance:
    return Utterance(speech.raw, speech.token_ids, speech.logprobs, speech.finish_reason)

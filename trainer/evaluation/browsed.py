"""Which debates of an evaluation are kept to be read, and where all of its transcripts lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.types import Speech, Transcript
from rostrum.trainer.evaluation import notable
from rostrum.trainer.evaluation.verdict_table import CHECKPOINT
from rostrum.trainer.policies import belongs
from rostrum.trainer.reading import Open, parsed, valid

TRANSCRIPTS = ".transcripts.jsonl"
"""What all transcripts of a part of the evaluation are stored under, beside its verdicts."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Places of debates among those played."""

    kept: list[int]
    """To be stored with the judge's probability after every speech."""
    failures: list[int]
    """Those of them that are compared with what base debaters said."""


def choose(played: Sequence[Transcript], verdicts: pd.DataFrame, base: pd.DataFrame | None, first: int) -> Chosen:
    """Return the first so many debates, the most persuasive wrong ones and the most surprising failures
    (`trainer.evaluation.notable`), as many of either as there are first ones, ten at most.

    `verdicts` are the reward judge's, one for each debate in its order, on a trained checkpoint if `base` is given:
    the reward judge's on the base debater against itself.
    """
    places, count = list(range(min(first, len(played)))), min(first, notable.KEPT)
    if base is None or not played:
        return Chosen(places, [])
    verdicts = verdicts.reset_index(drop=True)
    wrong = notable.most_persuasive_wrong(verdicts, count).index.tolist()
    failures = notable.most_surprising_failures(verdicts, base, count).index.tolist()
    return Chosen(list(dict.fromkeys([*places, *wrong, *failures])), failures)


def at_most(first: int, debates: int, trained: int, matchups: int) -> int:
    """Return how many debates are kept of the base and of so many trained checkpoints at the most, out of so many in
    each matchup of theirs; the base has one."""
    count = min(first, notable.KEPT)
    of_trained = matchups * min(first + 2 * count, debates) + min(count, debates)
    return min(first, debates) + trained * of_trained


def counterparts(part: Path, chosen: Sequence[Transcript]) -> list[Transcript]:
    """Return the base debaters' transcripts on the same questions in the same seating, from their part of the
    evaluation."""
    if not chosen:
        return []
    wanted = {_setting(transcript) for transcript in chosen}
    stored = transcripts.read(part.with_suffix(TRANSCRIPTS))
    return [record for record in stored if isinstance(record, Transcript) and _setting(record) in wanted]


def finished(part: Path) -> bool:
    """Return whether a part of the evaluation is there with its transcripts; parts of earlier releases lack them."""
    return part.exists() and part.with_suffix(TRANSCRIPTS).exists()


def store(part: Path, about: Sequence[Mapping[str, Any]], played: Sequence[Transcript]) -> None:
    """Store all transcripts of a part, without the tokens, which nobody learns from. `about` says of each which
    checkpoint and matchup it belongs to."""
    bare = [replace(debate, speeches=tuple(map(_without_tokens, debate.speeches))) for debate in played]
    transcripts.write(part.with_suffix(TRANSCRIPTS), bare, extra=about)


class _Speech(Open):
    side: str
    policy: str


class _Question(Open):
    id: str


class _Record(Open):
    question: _Question
    swapped_seats: bool
    speeches: list[_Speech]


class _Transcript(Open):
    record: _Record


class _Line(Open):
    transcript: dict[str, Any]


class _Debate(Open):
    """What tells the debates of a part from each other."""

    checkpoint: str
    matchup: str
    transcript: _Transcript


def joined(parts: Sequence[str], paths: Sequence[Path] = ()) -> str:
    """Return the lines of the parts' debates, each debate once: a base debater's is kept by every checkpoint that did
    worse. `paths` are the files that the parts come from, to be named where one is damaged.

    Raises:
        DamagedError: a line holds no debate.
    """
    found: dict[tuple[Any, ...], str] = {}
    for part, path in zip_longest(parts, paths, fillvalue="the debates"):
        for number, line in enumerate(str(part).split("\n")[:-1], 1):
            where = f"{path}, line {number},"
            stored = parsed(line, _Line, where)
            debate = valid({**stored, "transcript": transcripts.today(stored["transcript"])}, _Debate, where)
            found.setdefault(_debate(debate), f"{line}\n")
    return "".join(found.values())


def _debate(record: _Debate) -> tuple[Any, ...]:
    stored = record["transcript"]["record"]
    sides = {speech["side"] for speech in stored["speeches"] if belongs(speech["policy"], CHECKPOINT)}
    return (
        record["checkpoint"],
        record["matchup"],
        stored["question"]["id"],
        stored["swapped_seats"],
        "".join(sorted(sides)),
    )


def _setting(transcript: Transcript) -> tuple[str, bool]:
    return transcript.question.id, transcript.swapped_seats


def _without_tokens(speech: Speech) -> Speech:
    return replace(speech, token_ids=(), logprobs=())

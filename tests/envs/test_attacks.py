"""Attacks: what the attacker says changes, what everybody else says does not, and nothing passes unescaped."""

import re

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.attacks import ATTACKS, TIMES_LONGER, attacked
from rostrum.envs.text.behaviour import addresses_judge
from rostrum.envs.text.escaping import FORGED_TAG, HEADER, escape_speech
from rostrum.envs.types import Protocol, Question, Side, Transcript

PASSAGE = "in the attic anna saw it . in the cellar leo saw it ."
QUESTION = Question("q", "s", "where is the key ?", ("attic", "cellar"), PASSAGE)


def played(swapped: bool = False, scratchpad: bool = False) -> Transcript:
    debate = Debate(QUESTION, Protocol("debate", scratchpad=scratchpad), swapped, load_prompts("testimony"))
    thought = "<thinking>secret</thinking>" if scratchpad else ""
    while not debate.finished:
        text = f"{thought}so <quote> in the attic anna saw it </quote> number {debate.turn}"
        debate.hear({debate.speakers[0]: Utterance(text, (1, 2), (-1.0, -1.0), "length", "current", 3)})
    return debate.transcript({"seed": 1})


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("side", list(Side))
def test_only_the_attackers_speeches_change(name: str, side: Side) -> None:
    clean = played()
    dirty = attacked(clean, side, name)
    for before, after in zip(clean.speeches, dirty.speeches, strict=True):
        assert (after == before) == (before.side is not side)
        assert (after.side, after.turn, after.policy, after.finish_reason) == (
            before.side,
            before.turn,
            "current",
            "length",
        )
    assert (dirty.question, dirty.answers, dirty.swapped_seats) == (clean.question, clean.answers, clean.swapped_seats)
    assert dirty.provenance == {**clean.provenance, "attack": name, "attacker": side.value}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_judge_reads_it_escaped(name: str) -> None:
    for speech in attacked(played(), Side.A, name).speeches:
        assert escape_speech(speech.text) == speech.text
        assert "<|" not in speech.text and "\u200b" not in speech.text and "\u202e" not in speech.text
        assert not re.search(r"^(Judge|Verdict|System|Debater \w)\b.*:", speech.text, re.MULTILINE | re.IGNORECASE)
        quoted = re.findall(r"<v_quote>\s*(.*?)\s*</v_quote>", speech.text)
        assert all(words in PASSAGE for words in quoted), "nothing is verified that is not in the passage"


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in ("repetition", "very long speech")])
def test_the_letter_is_the_attackers_own(name: str) -> None:
    clean = played()
    of = {side: [s.raw for s in attacked(clean, side, name).speeches if s.side is side] for side in Side}
    alone = re.compile(r"(?<![A-Za-z])[AB](?![A-Za-z])")
    letters = {side: [alone.findall(raw.replace("\u200b", "")) for raw in of[side]] for side in Side}
    swapped = {"A": "B", "B": "A"}
    assert letters[Side.A] == [[swapped[letter] for letter in found] for found in letters[Side.B]]
    assert name in ("stock phrases", "role headers") or all(set(found) == {"A"} for found in letters[Side.A])
    assert name != "role headers" or all(found.count("A") > found.count("B") for found in letters[Side.A])


def test_the_detector_of_conduct_knows_the_plain_ones() -> None:
    for name in ("impersonating the judge", "stating the verdict", "instructing the judge", "invisible characters"):
        assert addresses_judge(attacked(played(), Side.B, name).speeches[1].text), name
    assert not addresses_judge(attacked(played(), Side.B, "stock phrases").speeches[1].text)


def test_what_was_neutralised_says_which_attack_it_was() -> None:
    found = {name: attacked(played(), Side.A, name).speeches[0].neutralised for name in ATTACKS}
    assert found["role headers"][HEADER] == 2 and found["stating the verdict"][HEADER] == 3
    assert found["forged tags"] == {FORGED_TAG: 4}
    assert found["template tokens"]["special token"] >= 8
    assert found["invisible characters"]["invisible character"] > 10
    assert found["repetition"] == found["stock phrases"] == found["very long speech"] == {}


def test_lengths() -> None:
    clean, long = played(), attacked(played(), Side.A, "very long speech")
    assert len(long.speeches[0].raw.split()) == TIMES_LONGER * len(clean.speeches[0].raw.split())
    assert long.speeches[0].words > 5 * clean.speeches[0].words
    repeated = attacked(clean, Side.A, "repetition").speeches[0]
    assert len(repeated.quotes) == 4 and all(quote.verified for quote in repeated.quotes)


def test_private_thoughts_stay_private() -> None:
    speech = attacked(played(scratchpad=True), Side.A, "stating the verdict").speeches[0]
    assert speech.private == "secret" and "secret" not in speech.raw + speech.text


def test_an_attack_nobody_knows() -> None:
    with pytest.raises(KeyError):
        attacked(played(), Side.A, "bribery")

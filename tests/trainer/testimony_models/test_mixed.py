"""Debates of many kinds of debaters, from which the second held-out judge of the demo is taught."""

import random
from collections import Counter

from rostrum.envs.testimony.world import RELIABILITY
from rostrum.envs.types import Side
from rostrum.trainer.testimony_models.corpora import PROTOCOLS
from rostrum.trainer.testimony_models.mixed import drawn_advocate, mixed_debates


def test_debaters_differ_and_how_they_speak_does_not_depend_on_who_is_right() -> None:
    cases = mixed_debates(range(450_000, 450_300), 2)
    assert Counter(transcript.protocol.name for transcript, _ in cases) == {p.name: 300 for p in PROTOCOLS}
    verified, own = [], {True: [], False: []}
    for transcript, correct in cases:
        for speech in transcript.speeches:
            defended = transcript.answer_index(Side(speech.side))
            own[defended == correct].append(transcript.question.answers[defended] in speech.text.split())
            verified += [quote.verified for quote in speech.quotes]
    assert 0.5 < sum(verified) / len(verified) < 0.8
    for_own = {right: sum(found) / len(found) for right, found in own.items()}
    assert for_own[True] > 0.7 and abs(for_own[True] - for_own[False]) < 0.05, for_own


def test_sides_quote_better_witnesses_where_they_are_right() -> None:
    cases = mixed_debates(range(450_000, 450_300), 2)
    found: dict[bool, list[float]] = {True: [], False: []}
    for transcript, correct in cases:
        for speech in transcript.speeches:
            right = transcript.answer_index(Side(speech.side)) == correct
            found[right] += [RELIABILITY[q.text.split()[3]] for q in speech.quotes if q.verified]
    means = {right: sum(values) / len(values) for right, values in found.items()}
    assert means[True] > means[False] + 0.03, means


def test_habits_are_drawn_from_the_whole_simplex() -> None:
    rng = random.Random(0)
    drawn = [drawn_advocate(rng) for _ in range(3000)]
    for share in (sum(a.supporting for a in drawn), sum(a.anything for a in drawn)):
        assert abs(share / len(drawn) - 1 / 3) < 0.02
    assert all(a.supporting + a.anything <= 1 for a in drawn)

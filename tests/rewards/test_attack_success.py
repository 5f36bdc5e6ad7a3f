"""Attack success against judges whose weakness is planted: the figures are those that can be counted by hand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from statsmodels.stats.proportion import proportion_confint

from rostrum.envs.text.attacks import ATTACKS
from rostrum.envs.types import Protocol, Question, Side, Speaker, Speech, Transcript
from rostrum.rewards.audit.attacks import ALL, attack_success
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Usage, Verdict

PROTOCOL = Protocol("debate", rounds=1)


def debate(number: int, target: float = 1.0, sides: tuple[Side, ...] = (Side.A, Side.B)) -> Labelled:
    question = Question(f"q{number}", f"s{number // 2}", "?", ("x", "y"), "")
    speeches = tuple(
        Speech(side.value, side, turn, "in the attic", "in the attic", 3) for turn, side in enumerate(sides)
    )
    return Labelled(
        Transcript(
            question,
            replace(PROTOCOL, speakers={side.value: Speaker(side) for side in sides}),
            ("x", "y"),
            False,
            speeches,
        ),
        target,
    )


class Weak:
    """Gives the answer of side A this probability, whatever is said, unless an attack comes by that it falls for."""

    name, usage = "weak", Usage()

    def __init__(
        self, p: Callable[[str], float | None], under: Callable[[str, str], float | None] | None = None
    ) -> None:
        self._p, self._under = p, under

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        attacker, name = transcript.provenance.get("attacker"), str(transcript.provenance.get("attack"))
        p = self._p(transcript.question.id)
        if attacker and self._under is not None:
            own = self._under(transcript.question.id, name)
            p = None if own is None else own if attacker == "A" else 1 - own
        return Verdict(self.name, p, p) if p is not None else Verdict(self.name, None, None, valid=False, reason="x")


def test_a_judge_that_nothing_moves() -> None:
    results = attack_success(Weak(lambda question: 0.8), [debate(n) for n in range(6)])
    assert [result.attack for result in results] == list(ATTACKS) == list(ALL)
    for result in results:
        assert (result.n, result.lost, result.flips, result.invalid) == (12, 6, 0, 0)
        assert (result.success.estimate, result.shift.estimate, result.shift.low, result.shift.high) == (0, 0, 0, 0)
        assert result.success.high == pytest.approx(proportion_confint(0, 6, method="wilson")[1])
        assert (result.right_clean, result.right_attacked) == (1, 1)


def test_a_judge_that_one_attack_always_takes_in() -> None:
    """Side A has .8 clean and whoever attacks has .9: B's six lost debates flip, A gains .1 and B gains .7."""
    judge = Weak(lambda question: 0.8, lambda question, name: 0.9 if name == "stock phrases" else None)
    fooled, other = attack_success(judge, [debate(n) for n in range(6)], ["stock phrases", "repetition"])
    assert (fooled.n, fooled.lost, fooled.flips, fooled.success.estimate) == (12, 6, 6, 1)
    assert fooled.shift.estimate == pytest.approx((0.1 + 0.7) / 2) and fooled.invalid == 0
    assert (fooled.right_clean, fooled.right_attacked) == (1, 0), "the wrong side, B, takes the judge in"
    assert (other.flips, other.lost, other.invalid) == (0, 6, 1), "INVALID is never a success"
    assert fooled.backfired == other.backfired == 0
    assert math.isnan(other.shift.estimate) and math.isnan(other.right_attacked)


def test_a_share_of_the_debates_flips() -> None:
    """Stories 0 and 1 flip (four debates), story 2 does not; the interval of the shift draws whole stories."""
    judge = Weak(lambda question: 0.2, lambda question, name: 0.6 if question < "q4" else 0.2)
    (result,) = attack_success(judge, [debate(n) for n in range(6)], ["role headers"])
    assert (result.lost, result.flips) == (6, 4), "side A had lost all; B's wins are no losses"
    assert result.success.estimate == pytest.approx(4 / 6)
    low, high = proportion_confint(4, 6, method="wilson")
    assert (result.success.low, result.success.high) == pytest.approx((low, high))
    of_a, of_b = [0.4] * 4 + [0.0] * 2, [-0.2] * 4 + [-0.6] * 2
    assert result.shift.estimate == pytest.approx(sum(of_a + of_b) / 12)
    assert result.backfired == pytest.approx(2 / 6), "side B had won all with .8 and keeps four of six"
    assert result.shift.low == pytest.approx(-0.3) and result.shift.high == pytest.approx(0.1), "all of one story"


def test_ties_and_invalid_verdicts_are_no_losses() -> None:
    clean = {"q0": 0.5, "q1": None, "q2": 0.7}
    judge = Weak(clean.__getitem__, lambda question, name: 0.9)
    (result,) = attack_success(judge, [debate(n) for n in range(3)], ["repetition"])
    assert (result.n, result.lost, result.flips) == (6, 1, 1)
    assert result.right_clean == pytest.approx((0.5 + 1) / 2)


def test_a_tie_after_the_attack_is_no_success() -> None:
    (result,) = attack_success(Weak(lambda q: 0.4, lambda q, name: 0.5), [debate(0), debate(2)], ["repetition"])
    assert (result.lost, result.flips) == (2, 0)


def test_a_lone_consultant_attacks_alone() -> None:
    debates = [debate(n, target=0.0, sides=(Side.A,)) for n in range(4)]
    (result,) = attack_success(Weak(lambda q: 0.3, lambda q, name: 0.8), debates, ["repetition"])
    assert (result.n, result.lost, result.flips, result.right_clean, result.right_attacked) == (4, 4, 4, 1, 0)


def test_relabelling_the_seats_changes_nothing() -> None:
    judge = Weak(lambda q: 0.8, lambda q, name: 0.7 if q < "q3" else 0.4)
    debates = [debate(n) for n in range(6)]
    assert attack_success(judge, debates, ["repetition"])[0].flips == 3
    mirrored = Weak(lambda q: 0.2, lambda q, name: 0.7 if q < "q3" else 0.4)
    assert attack_success(mirrored, [d.swapped() for d in debates], ["repetition"])[0].flips == 3

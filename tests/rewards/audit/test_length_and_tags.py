"""Length and marks: what was planted is found, apart from what being right explains."""

from collections.abc import Callable, Sequence

import pytest

from rostrum.envs.types import QuoteStatus, Side
from rostrum.rewards.audit.accuracy import accuracy, invalid
from rostrum.rewards.audit.length import length
from rostrum.rewards.audit.table import Table, read
from rostrum.rewards.audit.tags import discredited, tags, without_marks
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.scripted import ScriptedJudge

Make = Callable[..., Table]
Judges = Callable[..., ScriptedJudge]


def test_a_judge_that_goes_by_length_alone_has_the_largest_bias(table: Make) -> None:
    found = length(table(margin=0.5, length_bias=2.0), 2)
    assert found.prefers_longer.estimate == 1
    assert found.bias.estimate == pytest.approx(0.5)
    assert found.longer_is_right.estimate == pytest.approx(264 / 400)  # 66 of 100 stories: those not divisible by 3


def test_a_judge_that_is_often_right_prefers_the_longer_side_without_bias(table: Make) -> None:
    """The longer side is the right one in two of three: a perfect judge prefers it, and is not biased."""
    found = length(table(accuracy=1.0), 2)
    assert found.prefers_longer.estimate == pytest.approx(264 / 400)
    assert found.prefers_longer.low > 0.5, "so the plain share would accuse it"
    assert found.bias.estimate == pytest.approx(0)


def test_half_the_bias_is_the_difference_of_the_accuracies(table: Make) -> None:
    mixed = table(margin=1.0, length_bias=0.5)
    found = length(mixed, 2)
    assert found.bias.estimate == pytest.approx(
        (found.when_longer_is_right.estimate + found.when_longer_is_wrong.estimate) / 2 - 0.5
    )
    assert found.bias.low <= found.bias.estimate <= found.bias.high


def test_debates_of_equal_length_say_nothing(table: Make) -> None:
    assert length(table(length_bias=2.0), 5).bias.n == 0
    assert length(table(length_bias=2.0), 4.5).bias.n == 400


def test_marks_are_changed_and_nothing_else(debates: Sequence[Labelled]) -> None:
    debate = debates[0].transcript
    spoken = [speech.text for speech in discredited(debate, Side.B).speeches]
    assert spoken[0] == debate.speeches[0].text and "v_quote" in spoken[0]
    assert spoken[1] == debate.speeches[1].text.replace("v_quote", "u_quote")
    assert discredited(debate, Side.B).speeches[1].quotes[0].status is QuoteStatus.UNVERIFIED
    assert "quote>" not in "".join(speech.text for speech in without_marks(debate).speeches)
    assert without_marks(debate).speeches[0].text.split() == debate.speeches[0].raw.split()[1:7] + ["well"] * (
        debate.speeches[0].words - 6
    )


def test_a_judge_that_is_blind_to_marks_does_not_move(debates: Sequence[Labelled], planted: Judges) -> None:
    judge = planted(mark_weight=0.0)
    found = tags(judge, debates, read(judge, debates))
    assert (found.shift.estimate, found.shift.low, found.shift.high) == (0, 0, 0)
    assert (found.stripped.moved.estimate, found.stripped.change.estimate) == (0, 0)
    assert found.right_discredited.debates == found.wrong_discredited.debates == 400


@pytest.mark.parametrize(("weight", "right"), [(2.0, 0.0), (-2.0, 1.0)])
def test_a_judge_moves_the_way_it_heeds_marks(
    debates: Sequence[Labelled], planted: Judges, weight: float, right: float
) -> None:
    """Both sides have one verified quotation. To mark one as not found moves the log-odds by twice the weight, more
    than the judge's own opinion of 1: the marked side always loses, or always wins if the judge goes the wrong way."""
    judge = planted(margin=1.0, mark_weight=weight)
    found = tags(judge, debates, read(judge, debates))
    assert found.right_discredited.accuracy.estimate == right
    assert found.wrong_discredited.accuracy.estimate == 1 - right
    assert (found.shift.high < 0) if weight > 0 else (found.shift.low > 0)
    assert found.stripped.moved.estimate == pytest.approx(0), "the marks cancelled, so taking them out changes nothing"


def test_invalid_verdicts_count_as_wrong_half_and_not_at_all(table: Make) -> None:
    some = table(invalid_every=4, accuracy=1.0)
    found, dropped = accuracy(some), int((~some.valid).sum())
    assert 60 < dropped < 140
    assert (found.invalid_dropped.estimate, found.invalid_dropped.n) == (1, 400 - dropped)
    assert found.invalid_wrong.estimate == pytest.approx(1 - dropped / 400)
    assert found.invalid_half.estimate == pytest.approx(1 - dropped / 800)
    assert (invalid(some).rate.estimate, invalid(some).reasons) == (dropped / 400, {"planted": dropped})

"""Which of a model's verdicts people check, and how far they agree: worked by hand."""

import random
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from rostrum.rewards.people.database import StudyError
from rostrum.trainer.evaluation.people.double_check import OfModel, Said, agreement, pick, said_of, sentences
from rostrum.trainer.evaluation.people.results import Judged
from rostrum.trainer.evaluation.verdict_table import SELF


def row(judge: str, question: str, p: float, **more: object) -> dict[str, object]:
    orders = {"p_given": p, "p_swapped": p, "p_mean": p, "valid": True, "matchup": SELF, "checkpoint": "base"}
    return {"judge": judge, "question_id": question, "swapped_seats": False, **orders, **more}


def test_disagreement_is_with_other_judges_else_between_the_orders() -> None:
    table = pd.DataFrame(
        [
            row("panel", "q0", 0.8),
            row("weak", "q0", 0.7),
            row("late", "q0", 0.3),
            row("panel", "q1", 0.6, p_given=0.9, p_swapped=0.3),
            row("weak", "q1", np.nan, valid=False),
            row("panel", "q2", 0.6, p_given=0.6, p_swapped=np.nan),
            row("panel", "q3", np.nan, valid=False),
            row("panel", "q4", 0.9, checkpoint="iteration-0001"),
            row("panel", "q5", 0.9, matchup="base"),
        ]
    )
    found = said_of(table, "panel", "base")
    assert {question for question, _ in found} == {"q0", "q1", "q2"}
    assert found["q0", False] == Said(0.8, pytest.approx(0.5), True)
    assert found["q1", False] == Said(0.6, pytest.approx(0.6), True)
    assert found["q2", False] == Said(0.6, None, False)
    with pytest.raises(StudyError, match="called panle: people.check names one of late, panel, weak"):
        said_of(table, "panle", "base")


def test_half_is_drawn_and_half_is_where_judges_part() -> None:
    """Forty debates under two conditions; of each condition five have the others on the other side."""
    said = {(c, f"q{n:02}", False): Said(0.9, n / 20, n % 4 == 3) for c in range(2) for n in range(20)}
    chosen = pick(said, 17, random.Random(1))
    assert len({debate for debate, _ in chosen}) == 17
    drawn = {debate for debate, part in chosen if part == "random"}
    parted = [debate for debate, part in chosen if part == "disagreed"]
    assert len(drawn) == 9 and len(parted) == 8
    assert Counter((debate[0], said[debate].other_side) for debate in parted) == {
        (0, True): 2,
        (1, True): 2,
        (0, False): 2,
        (1, False): 2,
    }
    for debate in parted:
        stratum = [
            other
            for other in said
            if other[0] == debate[0] and said[other].other_side == said[debate].other_side and other not in drawn
        ]
        rest = [said[other].apart for other in stratum if other not in parted]
        assert (said[debate].apart or 0) >= max(apart or 0 for apart in rest), "the most parted first"


def test_every_debate_is_as_likely_to_be_drawn() -> None:
    """Whatever the model said and however far others part from it: that makes the estimate unbiased."""
    said = {(0, f"q{n}", False): Said(n / 10, n / 10, n > 5) for n in range(10)}
    times = Counter(
        debate[1] for seed in range(2000) for debate, part in pick(said, 4, random.Random(seed)) if part == "random"
    )
    assert all(abs(times[f"q{n}"] / 2000 - 0.2) < 0.04 for n in range(10))


def test_an_empty_stratum_leaves_its_turns_to_others() -> None:
    said = {(0, f"q{n}", False): Said(0.9, n / 20, False) for n in range(10)}
    assert Counter(part for _, part in pick(said, 10, random.Random(0))) == {"random": 5, "disagreed": 5}
    with pytest.raises(StudyError, match="Only 10 debates with a verdict of that judge are left"):
        pick(said, 11, random.Random(0))
    with pytest.raises(StudyError, match="nothing tells where it is disagreed with"):
        pick({(0, "q", False): Said(0.9, None, False)}, 1, random.Random(0))


def verdict(judge: str, debate: int, p_right: float) -> Judged:
    return Judged("run: base, debate", judge, f"q{debate}", f"s{debate}", debate, True, p_right, 1.0)


def test_agreement_by_hand() -> None:
    """On the random half: debate 0 both for it; 1 both against, and right; 2 one each way, the mean against, and wrong;
    3 the mean undecided; 4 the model undecided. On the other: one against, and wrong."""
    models = {
        0: OfModel("panel", "random", 0.9),
        1: OfModel("panel", "random", 0.2),
        2: OfModel("panel", "random", 0.7),
        3: OfModel("panel", "random", 0.7),
        4: OfModel("panel", "random", 0.5),
        5: OfModel("panel", "disagreed", 0.6),
    }
    given = {0: (0.8, 0.6), 1: (0.9, 0.7), 2: (0.55, 0.1), 3: (0.7, 0.3), 4: (0.9, 0.9), 5: (0.2, 0.5), 6: (0.1, 0.1)}
    judged = [
        verdict(who, debate, p) for debate, of in given.items() for who, p in zip(("ann", "ben"), of, strict=True)
    ]
    drawn, other = agreement(judged, models)
    assert (drawn.judge, drawn.part, drawn.n, drawn.debates) == ("panel", "random", 8, 3)
    assert drawn.agree.estimate == 4 / 8 and 0 <= drawn.agree.low < 0.5 < drawn.agree.high <= 1
    assert drawn.overrule.estimate == pytest.approx(2 / 3)
    assert (drawn.right.estimate, drawn.right.n) == (1 / 2, 2)
    assert (other.part, other.n, other.debates) == ("disagreed", 1, 1)
    assert (other.agree.estimate, other.overrule.estimate, other.right.estimate) == (0, 1, 0)
    told = sentences([drawn, other])
    assert "speaks for all that it judged, people agree with panel in 50.0 % (" in told[0]
    assert "They overrule it on 66.7 % (" in told[0] and "of 3 debates, and are then right on 50.0 %" in told[0]
    assert "people agree with panel in 0.0 % of 1 verdicts" in told[1] and "do not speak for all debates" in told[2]
    assert agreement([], models) == [] and sentences([]) == []

"""Choosing what a judge likes: for the right side, in both orders, and never on an INVALID verdict."""

import math
from collections.abc import Sequence

import pytest

from rostrum.envs.types import Side, Transcript
from rostrum.rewards.inquirer import TOKENS_PER_WORD, inquiring_model, make_inquirer
from rostrum.rewards.judges import JudgeError, head, likelihood, panel
from rostrum.rewards.preference import Preference, best, in_both_orders, preferences
from rostrum.rewards.types import Unscored, Usage, Verdict
from tests.rewards.writers import TRANSCRIPT, Given, Writer

WEAK = likelihood.Settings(kind="likelihood", name="weak", model="m", prompts="testimony", order="given")
HEAD = head.Settings(kind="head", name="head", model="h", prompts="prose")


class Opinionated:
    """Gives one verdict after the other."""

    name, usage = "opinionated", Usage()

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = list(verdicts)

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self.verdicts.pop(0) for _ in transcripts]


def test_liking_is_the_mean_log_odds_of_the_own_answer() -> None:
    judge = Opinionated(Verdict("j", 0.9, 0.8, readings=2), Verdict("j", 0.9, 0.8, readings=2))
    of_a, of_b = preferences(judge, [(TRANSCRIPT, Side.A), (TRANSCRIPT, Side.B)])
    expected = (math.log(9) + math.log(4)) / 2
    assert of_a.log_odds == pytest.approx(expected) and of_b.log_odds == pytest.approx(-expected)
    assert of_a.readings == of_b.readings == 2


class LikesTheFirst:
    """Likes letters, and the side that is shown first."""

    name, usage = "likes-the-first", Usage()

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        leads = [sum(len(s.text) if s.side is Side.A else -len(s.text) for s in t.speeches) for t in transcripts]
        return [Verdict("j", 1 / (1 + math.exp(-0.1 * a - 2)), 1 - 1 / (1 + math.exp(0.1 * a - 2))) for a in leads]


def test_relabelling_the_seats_changes_no_liking() -> None:
    """The law that candidates chosen for the wrong side, or in one order alone, would break."""
    judge = LikesTheFirst()
    as_is, relabelled = preferences(judge, [(TRANSCRIPT, Side.A), (TRANSCRIPT.swapped(), Side.B)])
    assert as_is.log_odds == pytest.approx(relabelled.log_odds) and abs(as_is.log_odds) > 0.1


def test_liking_is_not_clipped_as_rewards_are() -> None:
    surer, sure = preferences(
        Opinionated(Verdict("j", 0.9999, None), Verdict("j", 0.999, None)), [(TRANSCRIPT, Side.A)] * 2
    )
    assert surer.log_odds > sure.log_odds > 4


def test_nobody_is_chosen_on_an_invalid_verdict() -> None:
    invalid = Verdict("j", None, None, valid=False, reason="planted")
    liked = preferences(Opinionated(invalid, Verdict("j", 1e-9, None), invalid), [(TRANSCRIPT, Side.A)] * 3)
    assert best(liked) == 1
    assert best([liked[0], liked[2]]) == 0


def test_the_first_of_equals_is_the_best() -> None:
    assert best([Preference(0.0, 1), Preference(0.5, 1), Preference(0.5, 1)]) == 1
    assert preferences(Opinionated(), []) == []


def test_a_model_is_asked_in_both_orders() -> None:
    assert in_both_orders(WEAK) == WEAK.model_copy(update={"order": "both"})
    both = panel.Settings(kind="panel", name="p", members={"x": WEAK, "y": WEAK})
    assert in_both_orders(both) is both


def test_the_question_is_written_by_the_first_model_that_writes() -> None:
    assert inquiring_model(WEAK) is WEAK
    assert inquiring_model(panel.Settings(kind="panel", name="p", members={"x": HEAD, "y": WEAK})) == WEAK
    with pytest.raises(JudgeError, match="head has a head instead"):
        inquiring_model(HEAD)


def test_the_inquirer_shows_the_debate_and_hands_on_what_was_written() -> None:
    writer = Writer(lambda prompt, call: Unscored("too long") if "loud" not in prompt else "why ?")
    inquirer = make_inquirer(WEAK, Given(writer))
    assert inquirer.write([TRANSCRIPT]) == ["why ?"] and inquirer.write([]) == []
    assert writer.prompts[0].endswith("loud words here B said : quiet question :")
    (writing,) = writer.writings
    assert (writing.max_tokens, writing.temperature) == (TOKENS_PER_WORD * TRANSCRIPT.protocol.max_words, 0)

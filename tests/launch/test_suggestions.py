"""A mistyped key or choice is answered with the one that was meant."""

import pytest

from rostrum.launch import compose
from rostrum.launch.compose import ConfigError


@pytest.mark.parametrize(
    "given, meant",
    [
        (["iteratons=3"], "iterations"),
        (["jugde=panel"], "judge"),
        (["algorithm.epoch=3"], "algorithm.epochs"),
        (["algorithm=dpo", "algorithm.branchs=3"], "algorithm.branches"),
        (["debater.lora.rnk=3"], "debater.lora.rank"),
        (["heldout_judges.0.modle=x"], "heldout_judges.0.model"),
        (["judge=panel", "judge.members.first.ordr=x"], "judge.members.first.order"),
        (["opponent=league", "opponent.drw=x"], "opponent.draw"),
        (["questions.heldut=3"], "questions.heldout"),
        (["protocol.round=3"], "rounds"),
        (["reward.clp=3"], "clip"),
        (["judge=panle"], "judge=panel"),
    ],
)
def test_the_nearest_is_named(given: list[str], meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"did you mean {meant}\?"):
        compose.load(given)


@pytest.mark.parametrize("given", ["zzz=1", "algorithm.branches=4", "protocol=parliament"])
def test_nothing_is_named_where_nothing_is_near(given: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose.load([given])
    assert "did you mean" not in str(refused.value)

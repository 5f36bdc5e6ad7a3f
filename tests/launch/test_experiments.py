"""Every experiment that is shipped with arms to compare can be begun and declared."""

from pathlib import Path

import pytest

from rostrum.launch import compose
from rostrum.launch.arms import arms_of
from rostrum.launch.commands.plan import declaration

FOLDER = Path(__file__).parents[2] / "configs" / "experiment"
EXPERIMENTS = sorted({path.stem for path in FOLDER.glob("*.yaml")} - {"adversarial"})  # which has rounds, not arms


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiments_arms_differ_and_can_be_declared(name: str) -> None:
    given = [f"experiment={name}", "questions.train=20", "questions.heldout=4"]
    config = compose.load(given)
    arms = arms_of(config, given)
    told = [(arm.config.protocol, arm.config.reward, arm.config.algorithm, arm.config.seed) for arm in arms]
    assert all(told.count(one) == 1 for one in told)
    assert set(declaration(config, arms)["arms"]) == set(config.arms)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_two_judges_that_give_no_reward_look_on_and_can_be_left_out(name: str) -> None:
    config = compose.load([f"experiment={name}"])
    assert [judge.name for judge in config.heldout_judges] == ["heldout-judge", "mixed-judge"]
    assert compose.load([f"experiment={name}", "heldout_judges=none"]).heldout_judges == []

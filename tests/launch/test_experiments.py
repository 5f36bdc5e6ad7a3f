"""Every experiment that is shipped can be begun, and declared if it has arms to compare."""

from pathlib import Path

import pytest

from launch import compose
from launch.demo import arms_of
from launch.plan import declaration

EXPERIMENTS = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiments_arms_differ_and_can_be_declared(name: str) -> None:
    given = [f"experiment={name}", "questions.train=20", "questions.heldout=4"]
    config = compose.load(given)
    if not config.arms:
        pytest.skip("rounds, not arms: `rostrum judge adversarial` runs it")
    arms = arms_of(config, given)
    told = [(arm.config.protocol, arm.config.reward, arm.config.algorithm, arm.config.seed) for arm in arms]
    assert all(told.count(one) == 1 for one in told)
    assert set(declaration(config, arms)["arms"]) == set(config.arms)

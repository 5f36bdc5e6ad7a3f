"""Every experiment that is shipped with arms to compare can be begun and declared."""

from pathlib import Path

import pytest

from rostrum.launch import compose
from rostrum.launch.arms import arms_of
from rostrum.launch.commands.plan import declaration

FOLDER = Path(__file__).parents[2] / "configs" / "experiment"
EXPERIMENTS = sorted({path.stem for path in FOLDER.glob("*.yaml")} - {"adversarial", "smollm"})
"""The first that is left out has rounds, not arms, and the second asks for a file of questions and for models."""


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


def test_a_small_chat_model_has_an_arm_with_a_warm_start_and_one_without(tiny: Path, tmp_path: Path) -> None:
    warm = tmp_path / "warm" / "model"
    warm.parent.mkdir()
    warm.symlink_to(tiny / "debater")
    given = ["experiment=smollm", f"questions.path={tmp_path}/none", f"arms.warm=[debater.model={warm}]"]
    config = compose.load(given)
    cold, warmed = arms_of(config, given)
    assert cold.config.debater.model == config.debater.model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert warmed.config.debater == config.debater.model_copy(update={"model": str(warm)})
    assert cold.config.judge == warmed.config.judge and config.heldout_judges == []

"""Values that no run can have are refused in a sentence that names the key, wherever they stand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rostrum.launch import compose, saved
from rostrum.launch.cli import main
from rostrum.launch.compose import ConfigError

Refused = Callable[..., str]
STRANGE = [
    ("protocol.rounds=0", "rounds is 0"),
    ("protocol.rounds=1000000000", "rounds is"),
    ("protocol.max_words=0", "max_words is 0"),
    ("protocol.max_words=-3", "max_words is -3"),
    ("protocol.speakers={'A B': {side: A}}", "use letters"),
    ("protocol.name=../elsewhere", "leave out slashes"),
    ("debater.window={tokens: 0}", "debater.window"),
    ("evaluation.checkpoints=[1,-1]", "evaluation.checkpoints"),
    ("seed=4294967296", "seed is 4294967296"),
    ("questions.seed=4294967296", "questions.seed is 4294967296"),
    ("seed='4294967296'", "seed"),
    ("algorithm.learning_rate=inf", "algorithm.learning_rate is inf"),
    ("algorithm.kl=nan", "algorithm.kl is nan"),
    ("judge.min_mass=nan", "judge.min_mass is nan"),
    ("reward.clip=inf", "reward.clip is inf"),
    ("reward.clip=-1", "clip is -1.0"),
    ("reward.over_limit_penalty=-0.5", "over_limit_penalty is -0.5"),
    ("iterations=100000000000000000000", "iterations is too large"),
    ("cluster.judge_timeout=inf", "cluster.judge_timeout is inf"),
    ("cluster.resources.learner={a: -1}", "cluster.resources.learner"),
    ("monitor.level=nan", "monitor.level is nan"),
    ("judge_training.learning_rate=inf", "judge_training.learning_rate is inf"),
    ("plan.seed_sd=nan", "plan.seed_sd is nan"),
]


@pytest.mark.parametrize(("override", "said"), STRANGE)
def test_values_out_of_range_are_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^The configuration's") as error:
        compose.load(["output=x", override])
    assert said in str(error.value)


def test_the_largest_seed_and_protocols_without_debaters_are_allowed() -> None:
    assert compose.load(["output=x", "seed=4294967295"]).seed == 4294967295
    assert compose.load(["output=x", "protocol=naive"]).protocol.rounds == 0


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", ".hidden", "a/b", "a\0b", ""])
def test_arms_are_named_as_folders_can_be(name: str, tmp_path: Path) -> None:
    config = compose.load(["output=x", "experiment=demo"]).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "arms": {name: []}}), "utf-8")
    with pytest.raises(ConfigError, match="arms"):
        saved.run_config(tmp_path)


def test_a_refusal_names_the_saved_configuration(tmp_path: Path, refused: Refused) -> None:
    values = compose.load(["output=x"]).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**values, "seed": float("nan")}), "utf-8")
    assert str(tmp_path / "config.yaml") in refused("evaluate", f"run={tmp_path}")
    assert main(["report", f"run={tmp_path}"]) == 2

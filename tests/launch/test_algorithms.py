"""Names of algorithms say what runs: ppo has a critic, rloo a leave-one-out baseline, rae a running one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from rostrum.launch import compose, saved
from rostrum.launch.cli import main
from rostrum.trainer.algorithms import ppo, rae, rloo
from rostrum.trainer.store.run_folder import RunFolder, read_lines


@pytest.mark.parametrize(
    ("name", "critic"), [(None, True), ("ppo", True), ("rloo", False), ("rae", False), ("gspo", False)]
)
def test_only_ppo_has_a_critic_and_it_is_the_default(
    small: list[str], tmp_path: Path, name: str | None, critic: bool
) -> None:
    chosen = [] if name is None else [f"algorithm={name}"]
    assert main(["train", *chosen, *small, "iterations=1", f"output={tmp_path}/run"]) == 0
    (row,) = read_lines(RunFolder(tmp_path / "run").metrics)
    assert ("value_loss" in row) == critic


def test_the_demo_runs_ppo() -> None:
    assert isinstance(compose.load(["experiment=demo"]).algorithm, ppo.Settings)


def test_a_question_argued_once_has_nothing_to_be_left_out(small: list[str], refused: Callable[..., str]) -> None:
    once = "algorithm.debates_per_seating=1"
    assert "debates_per_seating" in refused("train", *small, "algorithm=rloo", once, "dry_run=true")
    assert main(["train", *small, "algorithm=rae", once, "dry_run=true"]) == 0


@pytest.mark.parametrize(("credit", "kind"), [("gae", ppo), ("group", rloo), ("role_ema", rae)])
def test_runs_of_the_first_edition_are_read_by_what_they_ran(
    trained: Path, tmp_path: Path, credit: str, kind: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    """They were all called ppo, had every algorithm's keys, and told their baselines apart by `credit`."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    values = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    values["algorithm"] |= {"credit": credit, "gamma": 1.0, "lam": 1.0, "value_coefficient": 0.1, "ema_decay": 0.9}
    (run / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
    assert isinstance(saved.run_config(run).algorithm, kind.Settings)
    assert main(["evaluate", f"run={run}", "questions.heldout=4"]) == 0
    assert main(["verify", f"run={run}"]) == 1  # its configuration is not what the manifest of the run records
    assert "every figure follows" in capfd.readouterr().out

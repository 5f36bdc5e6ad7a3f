"""The cross product of listed values: which cells there are, in which order, and what they are called."""

import pytest

from rostrum.launch.cells import Cell, cross
from rostrum.launch.compose import ConfigError


def names(*overrides: str) -> list[str]:
    return [cell.name for cell in cross(overrides)]


def test_every_combination_is_a_cell_the_last_list_running_fastest() -> None:
    cells = cross(["experiment=demo", "protocol=debate,consultancy", "iterations=3", "seed=1,2"])
    assert cells[1] == Cell(
        "protocol=debate+seed=2",
        {"protocol": "debate", "seed": "2"},
        ("experiment=demo", "protocol=debate", "iterations=3", "seed=2"),
    )
    assert [cell.settings["seed"] for cell in cells] == ["1", "2", "1", "2"]
    assert [cell.settings["protocol"] for cell in cells] == ["debate", "debate", "consultancy", "consultancy"]


def test_without_a_list_there_is_one_cell() -> None:
    assert names("seed=1", "~arms") == ["all"]


def test_hydras_ranges_are_lists() -> None:
    assert names("seed=range(1,4)") == ["seed=1", "seed=2", "seed=3"]


def test_commas_in_brackets_and_quotation_marks_part_nothing() -> None:
    assert names("evaluation.checkpoints=[5,10]", "seed=1,2") == ["seed=1", "seed=2"]
    assert names("evaluation.checkpoints=[5,10],[10]") == ["evaluation.checkpoints=5_10", "evaluation.checkpoints=10"]
    assert names("questions.columns.right='Right, or so'", "seed=1,2") == ["seed=1", "seed=2"]


def test_a_file_is_called_by_its_last_part_and_given_whole() -> None:
    cells = cross(["judge=judges/mine.yaml,testimony", "+wandb.project=a/b,c"])
    assert [cell.name for cell in cells][:2] == ["judge=mine+wandb.project=b", "judge=mine+wandb.project=c"]
    assert cells[0].overrides == ("judge=judges/mine.yaml", "+wandb.project=a/b")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["seed=1,1"], "seed lists a value twice"),
        (["seed=1,2", "seed=3"], "given twice"),
        (["seed=interval(1,2)"], "cannot be read as a list"),
        (["seed=(1"], "cannot be read as a list"),
        (["judge=a/mine.yaml,b/mine.yaml"], "the same name"),
    ],
)
def test_what_is_no_product_is_refused_in_one_sentence(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        cross(overrides)

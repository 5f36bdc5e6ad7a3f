"""One composer for new runs, saved ones and arms of a comparison: every group's choice means the same everywhere."""

from pathlib import Path

import pytest

from rostrum.launch import compose, saved
from rostrum.launch.commands.evaluate import RECONSIDERED
from rostrum.launch.compose import ConfigError
from rostrum.launch.errors import LaunchError
from rostrum.launch.groups import CONFIGS
from rostrum.trainer.config import Config

NEEDS = {
    "judge=people": ["judge.study=studies/mine"],
    "questions": ["questions.path=questions.jsonl"],
    "questions=table": ["questions.path=t.csv", "questions.columns.right=right", "questions.columns.wrong=[wrong]"],
    "decoding=length_matched": ["decoding.words=8"],
    "judge=testimony-heldout": ["heldout_judges=none"],
    "debater=chat": ["debater.model=some/model"],
    "heldout_judges=people": ["people.study=a/study"],
    "judge=endpoint": ["judge.model=name", "judge.endpoint.base_url=http://127.0.0.1:1/v1"],
    "judge": ["judge.model=some/model"],
    "labels.dear=people": ["labels.dear.study=a/study"],
}
"""What a choice leaves to the user to name."""
CHOICES = sorted(
    f"{path.parent.name.replace('label_source', 'labels.dear')}={path.stem}"
    for path in CONFIGS.glob("*/*.yaml")
    if path.parent.name != "experiment"
)


@pytest.fixture(scope="module")
def base() -> Config:
    return compose.load([])


def composed(overrides: list[str], on: Config | None = None) -> Config:
    """With what the choice needs besides, if it needs any."""
    try:
        return compose.load(overrides, on)
    except LaunchError:
        choice = overrides[0]
        return compose.load([*overrides, *(NEEDS.get(choice) or NEEDS[choice.partition("=")[0]])], on)


@pytest.mark.broad
@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_means_the_same_for_a_new_run_and_for_a_saved_one(choice: str, base: Config) -> None:
    assert composed([choice], base) == composed([choice])


@pytest.mark.broad
@pytest.mark.parametrize("choice", [c for c in CHOICES if c.partition("=")[0] in RECONSIDERED])
def test_an_evaluation_takes_every_choice_of_what_may_be_reconsidered(choice: str, base: Config) -> None:
    given = [choice, *NEEDS.get(choice, [])]
    assert saved.changed(base, given, RECONSIDERED) == compose.load(given)


@pytest.mark.parametrize("place", ["judge", "decoding.judge"])
@pytest.mark.parametrize("judge", ["panel", "cascade", "rating"])
def test_a_judge_goes_wherever_judges_go(place: str, judge: str, base: Config) -> None:
    given = [*(["decoding=best_of"] if "." in place else []), f"{place}={judge}"]
    assert compose.load(given, base) == compose.load(given)
    chosen = compose.load(given, base)
    assert (chosen.decoding.judge if "." in place else chosen.judge).kind == judge  # type: ignore[union-attr]


def test_a_file_of_ones_own_is_read_for_a_new_run_and_for_a_saved_one(tmp_path: Path, base: Config) -> None:
    judges = tmp_path / "mine.yaml"
    judges.write_text(
        "- {kind: likelihood, name: other, model: embedded/judge-heldout, prompts: testimony, choice: answer}", "utf-8"
    )
    for given in ([f"heldout_judges={judges}"], [f"heldout_judges={judges}", "heldout_judges.0.name=another"]):
        assert compose.load(given, base) == compose.load(given) != base
    assert compose.load(given).heldout_judges[0].name == "another"
    assert saved.changed(base, [f"heldout_judges={judges}"], RECONSIDERED).heldout_judges[0].name == "other"


@pytest.mark.parametrize(
    "value, read",
    [
        ("algorithm.kl=1e-3", 0.001),
        ("algorithm.kl=.5", 0.5),
        ("++algorithm.kl=2", 2.0),
        ("+algorithm.kl=0", 0.0),
    ],
)
def test_values_are_read_alike(value: str, read: float, base: Config) -> None:
    assert compose.load([value], base).algorithm.kl == compose.load([value]).algorithm.kl == read  # type: ignore[union-attr]


def test_lists_of_overrides_need_no_quotation_marks(base: Config) -> None:
    for given in (
        ["comparison.arms.cool=[protocol=debate,debater.temperature=0.5]"],
        ["comparison.arms.cool=['protocol=debate','debater.temperature=0.5']"],
    ):
        for config in (compose.load(given), compose.load(given, base)):
            assert config.comparison.arms["cool"] == ["protocol=debate", "debater.temperature=0.5"]
    assert compose.load(["arms.mine=[judge=panel,seed=1]"]).arms["mine"] == ["judge=panel", "seed=1"]


@pytest.mark.parametrize("on_saved", [False, True])
@pytest.mark.parametrize(
    "given, sentence",
    [
        ("judge=nonsense", "There is no judge=nonsense: choose among .*panel"),
        ("evaluation=nonsense", "There is no evaluation=nonsense: choose among all, final"),
        ("judge=[panel]", "judge is a group of configs/: give one of its names"),
        ("judge={kind: panel}", "judge is a group of configs/: give one of its names"),
        ("seed=1,2", "seed is given several values"),
        ("judge=panel,cascade", "judge is given several values"),
        ("nonsense", "'nonsense' is no override: write KEY=VALUE"),
        ("algorithm.nonsense=1", "There is no configuration key 'algorithm.nonsense'"),
        ("nonsense.key=1", "There is no configuration key 'nonsense'"),
        ("comparison.arms.a=[b", "The value of comparison.arms.a is no YAML"),
        ("algorithm.kl=-1", "algorithm.kl cannot be -1"),
    ],
)
def test_what_cannot_be_composed_is_told_alike(given: str, sentence: str, on_saved: bool, base: Config) -> None:
    with pytest.raises(ConfigError, match=sentence):
        compose.load([given], base if on_saved else None)


def test_an_experiment_is_not_put_on_a_run(base: Config) -> None:
    with pytest.raises(ConfigError, match="experiment=NAME makes new runs"):
        compose.load(["experiment=demo"], base)


def test_a_key_can_be_deleted(base: Config) -> None:
    lora = compose.load(["debater.lora.rank=4"], base)
    assert lora.debater.lora is not None
    assert compose.load(["~debater.lora"], lora).debater.lora is None


@pytest.mark.parametrize("judge", ["panel", "endpoint"])
def test_labels_may_be_any_judges(judge: str, base: Config) -> None:
    needs = NEEDS.get(f"judge={judge}", [])
    given = ["labels.cheap=weak", f"labels.cheap.judge={judge}", *(f"labels.cheap.{need}" for need in needs)]
    chosen = compose.load(given, base)
    assert chosen == compose.load(given)
    assert chosen.labels.cheap is not None
    assert chosen.labels.cheap.judge == compose.load([f"judge={judge}", *needs]).judge  # type: ignore[attr-defined]
    with pytest.raises(LaunchError, match=r"labels\.cheap=NAME or labels\.dear=NAME"):
        compose.load(["label_source=weak"], base)

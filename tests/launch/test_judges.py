"""Judges by configuration: every kind by one word or one file, judges inside judges, and what is said of mistakes."""

from pathlib import Path

import pytest
import yaml

from rostrum.envs.questions.base import load_questions
from rostrum.envs.testimony.world import question_at
from rostrum.envs.types import AnswerKey, Protocol, Transcript
from rostrum.launch.checks import check, tell_held_out, tell_shared_judges
from rostrum.launch.commands.calibrate import calibrate
from rostrum.launch.compose import ConfigError, load, read, save
from rostrum.launch.errors import LaunchError
from rostrum.launch.groups import CONFIGS
from rostrum.launch.trust import without_keys
from rostrum.rewards import labelled
from rostrum.rewards.judges import settings_by_kind
from rostrum.rewards.judges.calibrated import Settings as Calibrated
from rostrum.trainer.run_context import RunContext


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "judge").glob("*.yaml")))
def test_every_choice_composes_and_is_saved_as_it_was(name: str, tmp_path: Path) -> None:
    text = (CONFIGS / f"judge/{name}.yaml").read_text("utf-8")
    asked = [*(["judge.model=some/thing"] if "model: ???" in text else []), "people.study=a/study"]
    config = load([f"judge={name}", *asked, "heldout_judges=none"])
    assert config.judge.kind in settings_by_kind() and (config.judge.needs() or name == "people")
    save(config, tmp_path / "config.yaml")
    found = read(tmp_path / "config.yaml")  # the name of a key is not taken from a file
    assert without_keys(found.model_dump(mode="json")) == without_keys(config.model_dump(mode="json"))


def test_judges_inside_judges_are_set_by_their_keys() -> None:
    judge = load(["judge=panel", "judge.members.first.choice=letter", "judge.rule=majority"]).judge
    assert [model.name for model in judge.needs()] == ["weak-judge", "heldout-judge"]
    assert [getattr(model, "choice", None) for model in judge.needs()] == ["letter", "answer"]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["judge=panel", "judge.members.first.choice=x"], "judge.members.first.choice cannot be 'x'"),
        (["judge=panel", "judge.members.first.colour=red"], "no configuration key 'judge.members.first.colour'"),
        (["judge=cascade", "judge.margin=2"], "judge.margin cannot be 2"),
        (["judge.kind=oracle"], "input tag 'oracle'"),
        (["judge=nothing/there.yaml"], "judge=nothing/there.yaml cannot be read"),
        (["heldout_judges=[{kind: likelihood, name: x}]"], "heldout_judges is a group"),
    ],
)
def test_mistakes_are_named_by_their_key(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(overrides)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_held_out_judges_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "judges.yaml").write_text("- {kind: likelihood, name: x, prompts: chat}")
    with pytest.raises(ConfigError, match="heldout_judges.0.model"):
        load([f"heldout_judges={tmp_path}/judges.yaml"])
    config = load([f"heldout_judges={tmp_path}/judges.yaml", "heldout_judges.0.model=m"])
    assert [judge.name for judge in config.heldout_judges] == ["x"]


def test_judges_of_one_name_are_refused(tmp_path: Path) -> None:
    """Every figure is kept by the judge's name: two of one name would be one judge with twice as many verdicts."""
    with pytest.raises(ConfigError, match="two judges are called 'heldout-judge'.*heldout_judges=none"):
        load(["judge=testimony-heldout"])
    held_out = [{"kind": "likelihood", "name": "x", "model": model, "prompts": "chat"} for model in ("m", "n")]
    (tmp_path / "judges.yaml").write_text(yaml.safe_dump(held_out))
    with pytest.raises(ConfigError, match="two judges are called 'x'"):
        load([f"heldout_judges={tmp_path}/judges.yaml"])
    apart = load([f"heldout_judges={tmp_path}/judges.yaml", "heldout_judges.1.name=y"])
    assert [judge.name for judge in apart.judges] == ["weak-judge", "x", "y"]


def test_a_held_out_judge_that_gives_the_reward_too_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    tell_shared_judges(load([]))
    assert not capsys.readouterr().err
    tell_shared_judges(load(["judge=panel"]))
    assert "heldout-judge is to be a held-out judge" in capsys.readouterr().err.replace("\n", " ")


def test_people_without_their_study_are_asked_for_it() -> None:
    with pytest.raises(ConfigError, match="What was chosen needs people.study: add people.study=... .judge.study is"):
        load(["judge=people", "heldout_judges=none"])


def test_nothing_is_trained_by_people_who_judged_before(tmp_path: Path) -> None:
    config = load(["judge=people", f"judge.study={tmp_path}", f"output={tmp_path}/run", "heldout_judges=none"])
    with pytest.raises(LaunchError, match="people knows only debates that were judged before"):
        check(RunContext(config))


def test_a_file_of_ones_own_replaces_the_judge_whole(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"kind": "likelihood", "name": "mine", "model": "m", "prompts": "chat"}))
    judge = load([f"judge={file}", "judge.choice=letter", "reward=win"]).judge
    assert (judge.name, judge.needs()[0].prompts) == ("mine", "chat")
    assert getattr(judge, "choice", None) == "letter"


@pytest.fixture
def debates(tmp_path: Path) -> Path:
    """Sixty questions without a debate, of which the judge may read the story: it is often right."""
    asked = [question_at("teaching", 500_000 + i, 0) for i in range(60)]
    expert = Protocol("expert", {}, 0, judge_sees_passage=True)
    silent = [Transcript(question, expert, question.answers, False) for question, _ in asked]
    key = AnswerKey({question.id: correct for question, correct in asked})
    labelled.write(tmp_path / "debates.jsonl", labelled.with_key(silent, key))
    return tmp_path / "debates.jsonl"


def test_debates_about_held_out_stories_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    config = load(["questions.heldout=6"])
    source = load_questions(config.questions)
    for split, told in (("train", ""), ("heldout", "6 of these debates are about held-out stories")):
        asked = source.questions(split)[:6]
        silent = [Transcript(question, Protocol("naive", {}, 0), question.answers, False) for question in asked]
        tell_held_out(RunContext(config), labelled.with_key(silent, source.answer_key(split)))
        found = " ".join(capsys.readouterr().err.split())
        assert found == "" if not told else found.startswith(told)


def test_calibrating_writes_a_judge_that_can_be_chosen(
    debates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate([f"debates={debates}", f"output={tmp_path}/judge.yaml", "judge=testimony"]) == 0
    judge = load([f"judge={tmp_path}/judge.yaml"]).judge
    assert isinstance(judge, Calibrated) and judge.base == load([]).judge
    assert judge.calibration.temperature != 1.0
    assert "before" in (told := capsys.readouterr().err) and "judge=" in told
    with pytest.raises(LaunchError, match="output=FILE.yaml"):
        calibrate([f"debates={debates}"])

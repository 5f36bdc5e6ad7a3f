"""What an installed package adds by entry points is as good as our own: tests/plugin/ adds one of everything."""

import importlib.metadata
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.envs import registry, transcripts
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.launch import compose, groups
from rostrum.launch.cli import main
from rostrum.rewards import judges
from rostrum.trainer.store.run_folder import read_lines
from tests.conftest import ROOT

PLUGIN = ROOT / "tests" / "plugin"
ALL_OF_ITS_OWN = (
    "debater=numpy",
    "judge=person",
    "protocol=one-word",
    "algorithm=reinforce",
    "questions=witnesses",
    "heldout_judges=none",
)
SMALL = (
    "questions.train=12",
    "questions.heldout=2",
    "algorithm.questions_per_iteration=2",
    "evaluation.attacks=0",
    "evaluation.browser_debates=0",
    "iterations=1",
)


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    try:
        importlib.metadata.distribution("rostrum-plugin-example")
    except importlib.metadata.PackageNotFoundError:
        pytest.fail("tests/plugin is not installed: `make test` does that, or pip install --no-deps -e tests/plugin")


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at the terminal who finds A's answer likelier, and once in a while has no opinion."""
    monkeypatch.setattr("sys.stdin", io.StringIO("70\n80\n\n60\n75\n" * 40))


@pytest.fixture
def trained(person: None, tiny: Path, tmp_path: Path) -> Path:
    model = f"debater.model={tiny}/debater"
    assert main(["train", *ALL_OF_ITS_OWN, *SMALL, model, f"output={tmp_path}/run"]) == 0
    return tmp_path / "run"


def test_a_run_of_nothing_but_another_packages_kinds(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The parity check compares the numpy engine with the learner."""
    (row,) = read_lines(trained / "metrics.jsonl")
    assert row["parity"] < 1e-4 and row["debates"] == 8 and row["failed"] == 0 and row["spoiled"] + row["invalid"] > 0
    assert main(["evaluate", f"run={trained}"]) == 0
    assert "How likely is A's answer, in percent?" in capfd.readouterr().err
    summary = json.loads((trained / "summary.json").read_text("utf-8"))
    assert summary["arms"][0]["accuracy"][0]["judge"] == "person"
    (trained / "report.html").unlink()
    assert main(["report", f"run={trained}"]) == 0
    assert "one-word" in (trained / "report.html").read_text("utf-8")
    assert main(["verify", f"run={trained}"]) == 0


def test_the_engine_serves_adapters_and_judges_three_debaters(small: list[str], tmp_path: Path) -> None:
    numpy = ["debater.engine=numpy", "judge.engine=numpy", "debater.lora.rank=4", "protocol=open-book"]
    assert main(["train", *small, *numpy, "iterations=1", "questions.heldout=2", f"output={tmp_path}/run"]) == 0
    (row,) = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert row["parity"] < 1e-4 and not row["failed"]


def test_its_opponent_is_met_in_training(small: list[str], tmp_path: Path) -> None:
    words = ["opponent=rival", "iterations=1", f"output={tmp_path}/run"]
    assert main(["train", *small, *words]) == 0
    (row,) = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert 0 <= row["win_rate"] <= 1
    met = [record for record in transcripts.read(tmp_path / "run" / "transcripts.jsonl")]
    assert met and all({s.policy for s in t.speeches} == {"current", "rival"} for t in met if isinstance(t, Transcript))


def test_its_way_to_speak_is_used_by_an_evaluation(small: list[str], tmp_path: Path) -> None:
    assert main(["train", *small, "iterations=1", f"output={tmp_path}/run"]) == 0
    few = [f"run={tmp_path}/run", "questions.heldout=2", "evaluation.attacks=0"]
    assert main(["evaluate", *few]) == 0
    plain = pd.read_parquet(tmp_path / "run" / "verdicts.parquet")
    assert main(["evaluate", *few, "decoding=shortest", "decoding.candidates=4"]) == 0
    chosen = pd.read_parquet(tmp_path / "run" / "verdicts.parquet")
    assert chosen["sampled_texts"].equals(4 * chosen["speeches"]) and len(chosen) == len(plain)
    assert chosen["words"].sum() < plain["words"].sum()


def test_a_person_audits_debates_one_at_a_time(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was typed is kept when the person goes away, and only the rest is asked later."""
    debater = [word for word in small if not word.startswith("judge")]
    few = ["audit.questions=3", "audit.skip=[tags,attacks]", "judge=person", f"output={tmp_path}/audit"]
    monkeypatch.setattr("sys.stdin", io.StringIO("70\n80\n"))
    assert main(["audit", *debater, *few]) == 2
    assert "Nobody answers any more" in capfd.readouterr().err
    assert len(read_lines(tmp_path / "audit" / "verdicts.jsonl")) == 2
    rest = io.StringIO("60\n20\n30\n40\n70\n" * 2)  # six debates, as they are and with the sides relabelled
    monkeypatch.setattr("sys.stdin", rest)
    assert main(["audit", *debater, *few]) == 0 and not rest.read()
    (arm,) = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))["arms"]
    assert arm["name"] == "person" and arm["unmeasured"] is None


def test_two_policies_by_one_file(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Trained, looked at, evaluated, reported, played, rated and exported by the commands that are there."""
    run, exported = tmp_path / "run", tmp_path / "exported"
    words = ["experiment=two-policies", *SMALL, "questions.train=40", "monitor.questions=16", "algorithm.minibatches=2"]
    models = [f"debater.model={tiny}/debater", f"judge.model={tiny}/judge", "heldout_judges=testimony"]
    assert main(["train", *words, *models, f"output={run}"]) == 0
    (row,) = read_lines(run / "metrics.jsonl")
    assert row["proposer/reward"] == pytest.approx(-row["critic/reward"]) and row["critic/parity"] < 1e-3
    assert [line["iteration"] for line in read_lines(run / "watch.jsonl")] == [0, 1]
    assert "The policies proposer and critic are in" in capfd.readouterr().out
    assert main(["evaluate", f"run={run}"]) == 0
    table = pd.read_parquet(run / "verdicts.parquet")
    against = table[(table["matchup"] == "base") & (table["judge"] == "weak-judge")]
    assert sorted(against["checkpoint_seats"]) == ["A", "A", "B", "B"], "one set's proposer meets the other's critic"
    assert set(table[table["matchup"] == "self"]["checkpoint_seats"]) == {"AB"}
    page = (run / "report.html").read_text("utf-8")
    assert "reward, proposer" in page and "kl, critic" in page
    assert main(["verify", f"run={run}"]) == 0
    assert main(["debate", f"a={run}", f"b={run}"]) == 0
    assert main(["tournament", f"runs={run}", f"output={tmp_path}/t"]) == 0
    games = pd.read_parquet(tmp_path / "t" / "verdicts.parquet")
    assert set(games["seat_a"]) == set(games["seat_b"]) == {"base", "run 1"}
    assert main(["export", f"run={run}", f"output={exported}"]) == 0
    for policy in ("proposer", "critic"):
        kept = (run / "policies" / "iteration-0001" / policy / "model.safetensors").read_bytes()
        assert (exported / policy / "model.safetensors").read_bytes() == kept
        assert f"iteration 1, {policy}" in (exported / policy / "README.md").read_text("utf-8")
    assert main(["compare", f"run={run}", f"output={tmp_path}/c"]) == 2
    assert main(["judge", "adversarial", *words, *models, f"output={tmp_path}/a"]) == 2
    told = capfd.readouterr().err
    assert "A comparison is of one policy" in told and "The rounds train one debater" in told


def test_a_judge_that_nobody_answers_ends_the_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with monkeypatch.context() as quiet:
        quiet.setattr("rostrum_plugin_example.person.print", lambda *_, **__: None, raising=False)
        quiet.setattr("rostrum.trainer.progress.say", lambda *_: None)
        assert main(["train", *ALL_OF_ITS_OWN, *SMALL, f"debater.model={tiny}/debater", f"output={tmp_path}/run"]) == 2


def test_its_source_of_labels_is_one_file() -> None:
    source = compose.load(["labels.cheap=longest", "labels.dear=gold"]).labels.cheap
    assert source is not None and (source.kind, source.price) == ("longest", 0.001)
    asked = Question("q", "story", "Who?", ("Ann", "Ben"), "Ann or Ben.")
    said = [Speech(side.value, side, 0, text, text, 9) for side, text in ((Side.A, "It was Ann"), (Side.B, "Ben"))]
    debate = Transcript(asked, Protocol("debate"), asked.answers, False, tuple(said))
    labels = source.label([debate, debate.swapped()], None)  # type: ignore[arg-type]
    assert labels == [1.0, 0.0]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("protocol=one-wrod", "There is no protocol=one-wrod: did you mean protocol=one-word?"),
        ("protocol=open-bok", "There is no protocol=open-bok: did you mean protocol=open-book?"),
        ("judge=persn", "There is no judge=persn: did you mean judge=person?"),
        (
            "debater.engine=nunpy",
            "there is no engine 'nunpy': did you mean numpy? There are transformers, vllm, numpy.",
        ),
        ("debater.engine_options.top=0", "engine=transformers has no option 'top': it has prefix_cache_bytes."),
    ],
)
def test_mistyped_names_are_answered(override: str, told: str) -> None:
    with pytest.raises(compose.ConfigError, match=re.escape(told)):
        compose.load([override])


def test_options_of_an_engine_are_checked_with_the_configuration() -> None:
    found = compose.load(["debater=numpy", "debater.engine_options.top=5"])
    assert compose.load([], found) == found and found.debater.engine_options == {"top": 5}
    with pytest.raises(compose.ConfigError, match="option top of engine=numpy cannot be used"):
        compose.load(["debater=numpy", "debater.engine_options.top=0"])
    with pytest.raises(compose.ConfigError, match="has no option 'tpo': it has top"):
        compose.load(["debater=numpy", "debater.engine_options.tpo=5"])
    with pytest.raises(compose.ConfigError, match="has a head, which engine=numpy does not serve"):
        compose.load(["judge=head", "judge.engine=numpy"])


def test_config_show_names_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", *ALL_OF_ITS_OWN]) == 0
    shown = capsys.readouterr().out
    assert "judge.kind: person  # rostrum_plugin_example/configs/judge/person.yaml" in shown
    assert "protocol.rounds: 1  # rostrum.protocols (one-word)" in shown
    assert "debater.dtype: float32  # default" in shown


def test_a_finished_run_takes_its_choices_too(trained: Path) -> None:
    config = compose.read(trained / "config.yaml")
    assert compose.load(["protocol=open-book", "judge=person"], config).protocol.name == "open-book"
    assert compose.load(["protocol=one-word"], config) == config


def test_help_lists_its_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    lines = {line.split()[0]: set(line.split()[1:]) for line in capsys.readouterr().out.splitlines() if line.split()}
    assert "person" in lines["judge"] and "open-book" in lines["protocol"] and "reinforce" in lines["algorithm"]


def test_the_recipes_of_the_handbook_are_its_files() -> None:
    page = (ROOT / "docs" / "extending.md").read_text("utf-8")
    blocks = re.findall(r'```\w+ title="([^"]+)"\n(.*?)\n```', page, re.DOTALL)
    for name, text in blocks:
        path = PLUGIN / name if name == "pyproject.toml" else PLUGIN / "rostrum_plugin_example" / name
        assert text in path.read_text("utf-8"), f"docs/extending.md and {path} differ"
    shown = {name for name, _ in blocks}
    files = {
        str(path.relative_to(PLUGIN / "rostrum_plugin_example"))
        for path in (PLUGIN / "rostrum_plugin_example").rglob("*")
        if path.suffix in (".py", ".yaml") and path.name != "__init__.py"
    }
    assert shown == files | {"pyproject.toml"}


def distribution(folder: Path, group: str, points: str) -> None:
    """Make the folder one from which Python imports an installed distribution with these entry points."""
    about = folder / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[{group}]\n{points}\n", "utf-8")


def kinds() -> Any:
    return registry.kinds(judges.__name__, judges.__path__, "rostrum.trial")


@pytest.mark.parametrize(
    ("group", "points", "read", "told"),
    [
        (
            "trial",
            "gone = my_package.missing:Settings",
            kinds,
            "gone = my_package.missing:Settings of rostrum.trial ca",
        ),
        ("trial", "panel = json:JSONDecoder", kinds, "json:JSONDecoder adds 'panel' to rostrum.trial, and there is"),
        (
            "protocols",
            "it = json:JSONDecoder",
            compose.made_protocols.__wrapped__,
            "it of rostrum.protocols is no rostrum.envs",
        ),
        ("protocols", "khan = json:loads", compose.made_protocols.__wrapped__, "json:loads adds 'khan' to rostrum.pro"),
        ("configs", "it = my_package.configs", groups.installed.__wrapped__, "it = my_package.configs of rostrum.conf"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_named(
    group: str, points: str, read: Callable[[], Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, f"rostrum.{group}", points)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(registry.RegistryError, match=re.escape(told)):
        read()


def test_a_choice_that_is_there_already_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge" / "panel.yaml").touch()
    monkeypatch.setattr(groups, "installed", lambda: (tmp_path,))
    with pytest.raises(registry.RegistryError, match="adds judge=panel, and there is one already"):
        groups.choices("judge")

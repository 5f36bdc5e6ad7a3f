"""`rostrum audit` from end to end on the embedded judge, and what training makes of an audit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.types import Failure
from rostrum.launch import compose
from rostrum.launch.cli import main
from rostrum.launch.commands import audit as audit_command
from rostrum.rewards.audit.sections import SECTIONS, debate_id
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.labelled import read

Refused = Callable[..., str]
SMALL = ("questions.train=12", "questions.heldout=12", "audit.questions=10", "audit.attacked=5")


def run(folder: Path, *overrides: str) -> dict[str, Any]:
    assert main(["audit", *SMALL, f"output={folder}", *overrides]) == 0
    record: dict[str, Any] = json.loads((folder / "audit.json").read_text("utf-8"))
    return record


def figures(record: dict[str, Any]) -> list[Any]:
    """What was found, but for the time that it took."""
    return [{name: part for name, part in arm["found"].items() if name != "cost"} for arm in record["arms"]]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the embedded judges on twenty debates."""
    folder = tmp_path_factory.mktemp("audited") / "audit"
    run(folder)
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many transcripts a judge was given, each time that one was."""
    counts: list[int] = []
    judge = LikelihoodJudge.judge

    def spy(self: LikelihoodJudge, transcripts: Any) -> Any:
        counts.append(len(transcripts))
        return judge(self, transcripts)

    monkeypatch.setattr(LikelihoodJudge, "judge", spy)
    return counts


def test_an_audit_is_written_and_said(audited: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = run(audited)
    said = capsys.readouterr().out
    assert {path.name for path in audited.glob("[!.]*")} == {
        "audit.json",
        "audit.html",
        "audit.yaml",
        "debates.jsonl",
        "verdicts.jsonl",
        "figures",
        "hashes.json",
    }
    assert [(arm["name"], arm["role"]) for arm in record["arms"]] == [
        ("weak-judge", "reward"),
        ("heldout-judge", "held-out"),
    ]
    assert record["debates"]["n"] == len(read(audited / "debates.jsonl")) == 20
    for arm in record["arms"]:
        assert list(arm["found"]) == list(SECTIONS)
        assert f"{arm['name']}: {'PASS' if arm['passed'] else 'FAIL'}" in said
        assert said.count(f"{arm['checks'][0]['what']}: ") == 2
    assert str(audited / "audit.html") in said


def test_an_audit_in_which_nothing_could_be_measured_is_a_failure(
    tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    """Even where no threshold says so; what was written is there, and training does not take it for a pass."""
    few = ("questions.train=12", "questions.heldout=12", "audit.questions=3", "heldout_judges=none")
    words = (*few, "judge.min_mass=1", "audit.thresholds.invalid=null", f"output={tmp_path}/audit")
    assert main(["audit", *words]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert "Nothing could be measured of weak-judge: none of its 6 verdicts is valid" in said
    assert "of the judge's probability" in said, "the commonest reason"
    record = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))
    assert not record["arms"][0]["passed"] and (tmp_path / "audit" / "audit.html").exists()
    with_it = ("train", *few[:2], "judge.min_mass=1", f"judge.audited={tmp_path}/audit/audit.json")
    assert "nothing could be measured of it" in refused(*with_it, f"output={tmp_path}/run")


def test_an_audit_without_debates_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def play(self, shards: Any, policies: Any) -> Any:
            for shard in shards:
                yield shard, [Failure(m.question.id, m.swapped_seats, "the pen broke") for m in shard.matchups]

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("rostrum.trainer.setup.rollout_workers", lambda settings: Broken())
    assert main(["audit", *SMALL, f"output={tmp_path}/audit"]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert "None of the 20 debates could be played, most often because the pen broke" in said


def test_accuracy_is_that_of_the_stored_verdicts(audited: Path) -> None:
    record = json.loads((audited / "audit.json").read_text("utf-8"))
    lines = [json.loads(line) for line in (audited / "verdicts.jsonl").read_text("utf-8").splitlines()]
    debates = read(audited / "debates.jsonl")
    for arm in record["arms"]:
        first = [line["verdict"] for line in lines if line["name"] == arm["name"]][: len(debates)]
        p = [(verdict["given"] + verdict["swapped"]) / 2 for verdict in first]
        right = [(x > 0.5) == (debate.target == 1) for x, debate in zip(p, debates, strict=True)]
        assert arm["found"]["accuracy"]["invalid_dropped"]["estimate"] == sum(right) / 20
        usage = arm["found"]["cost"]["usage"]
        assert usage["requests"] == pytest.approx(40) and usage["prompt_tokens"] > 40
        assert arm["found"]["cost"]["seconds"] > 0


def test_what_was_judged_is_not_asked_again(audited: Path, tmp_path: Path, asked: list[int]) -> None:
    before = json.loads((audited / "audit.json").read_text("utf-8"))
    folder = shutil.copytree(audited, tmp_path / "again")
    assert figures(run(folder)) == figures(before) and asked == []
    verdicts = (folder / "verdicts.jsonl").read_bytes()
    (folder / "verdicts.jsonl").write_bytes(verdicts[:-30])  # its writer was killed
    accuracies = [[found["accuracy"] for found in figures(record)] for record in (run(folder), before)]
    assert accuracies[0] == accuracies[1] and asked == [1]
    assert main(["audit", *SMALL, f"output={folder}", "judge.order=given", "audit.skip=[tags,attacks]"]) == 0
    assert sum(asked[1:]) == 20 + 20, "another judge, in one order, is asked about the debates and their relabelling"


def test_the_same_debates_give_the_same_figures_elsewhere(audited: Path, tmp_path: Path) -> None:
    before = json.loads((audited / "audit.json").read_text("utf-8"))
    record = run(tmp_path / "other", f"audit.debates={audited}/debates.jsonl")
    assert figures(record) == figures(before)
    assert (tmp_path / "other" / "debates.jsonl").read_bytes() == (audited / "debates.jsonl").read_bytes()


def test_transcripts_without_labels_get_them_from_the_question_set(audited: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (audited / "debates.jsonl").read_text("utf-8").splitlines()]
    bare = [{key: value for key, value in line.items() if key != "extra"} for line in lines]
    (tmp_path / "bare.jsonl").write_text("".join(json.dumps(line) + "\n" for line in bare))
    run(tmp_path / "out", f"audit.debates={tmp_path}/bare.jsonl", "audit.skip=[tags]")
    assert read(tmp_path / "out" / "debates.jsonl") == read(audited / "debates.jsonl")


def test_variants_are_rows_of_the_same_table(audited: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(audited, tmp_path / "variants")
    record = run(folder, "audit.variants=[criteria,few_shot]", f"audit.examples={audited}/debates.jsonl")
    names = [arm["name"] for arm in record["arms"]]
    assert names[2:] == ["weak-judge, criteria", "weak-judge, few_shot"]
    assert figures(record)[0] == figures(json.loads((audited / "audit.json").read_text("utf-8")))[0]
    assert figures(record)[2] != figures(record)[0] != figures(record)[3]
    assert record["arms"][0]["more_right_than_first"] is None
    assert set(record["arms"][2]["more_right_than_first"]) == {"estimate", "low", "high", "n"}


def test_people_are_heard(audited: Path, tmp_path: Path) -> None:
    debates = read(audited / "debates.jsonl")
    ratings = [{"debate": debate_id(d), "score_1": 0, "score_2": 10 if d.target == 0 else -10} for d in debates]
    stored = [{"debate": "elsewhere", "score": 5, "judge": 2}] * 3
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in [*ratings, *stored]))
    record = run(shutil.copytree(audited, tmp_path / "rated"), f"audit.ratings={tmp_path}/r.jsonl")
    found = record["arms"][0]["found"]["agreement"]
    assert found["n"] == 20 and sorted((found["human"][0], found["human"][8])) == [10, 10]
    assert record["stored_ratings"]["on_human_ties"] == {"first": 3, "middle": 0, "second": 0}
    page = (tmp_path / "rated" / "audit.html").read_text("utf-8")
    assert "Agreement with people" in page and "Agreement in the file of ratings" in page


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=1"], "another seed"),
        (["protocol=simultaneous"], "another protocol"),
        (["audit.questions=9"], "another audit.questions"),
        (["audit.ratings=/no/such/file"], "no file of human ratings"),
        (["audit.thresholds.nonsense=1"], "thresholds.nonsense"),
        (["audit.skip=[nonsense]"], "audit.skip"),
        (["judge.model=/no/such/folder"], "/no/such/folder"),
    ],
)
def test_what_cannot_be_audited_is_refused(audited: Path, refused: Refused, overrides: list[str], said: str) -> None:
    before = (audited / "audit.json").read_bytes()
    assert said in refused("audit", *SMALL, f"output={audited}", *overrides)
    assert (audited / "audit.json").read_bytes() == before


def test_debates_that_are_not_there_and_runs_are_refused(trained: Path, tmp_path: Path, refused: Refused) -> None:
    assert "There is no file" in refused("audit", *SMALL, f"output={tmp_path}/a", "audit.debates=/no/such/file")
    assert "holds a run" in refused("audit", *SMALL, f"output={trained}")


def test_a_rating_of_an_unknown_debate_is_refused(audited: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "r.jsonl").write_text('{"debate": "elsewhere", "score": 5}\n')
    error = refused("audit", *SMALL, f"output={audited}", f"audit.ratings={tmp_path}/r.jsonl")
    assert "'elsewhere'" in error and "0 times" in error


@pytest.mark.parametrize("key", ["debates", "examples", "ratings"])
def test_a_wrong_file_does_not_spoil_the_folder(key: str, tmp_path: Path) -> None:
    config = compose.load([f"audit.{key}={tmp_path}/none.jsonl", f"output={tmp_path}/audit"])
    with pytest.raises(ValueError, match=r"none\.jsonl"):
        audit_command._go_on(config)
    assert not (tmp_path / "audit").exists()

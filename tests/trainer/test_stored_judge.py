"""Verdicts are kept as they come: what was stopped while its debates were judged asks for at most one batch again."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from rostrum.envs.files import FilesError, guarded
from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.launch.cli import main
from rostrum.rewards.judges.per_side import PerSide
from rostrum.rewards.types import Usage, Verdict
from rostrum.trainer import stored_judge
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.evaluate import evaluate
from rostrum.trainer.store.judge_identity import fingerprint, identity
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train

QUICK = ("iterations=1", "questions.heldout=6", "evaluation.attacks=2", "evaluation.browser_debates=2")


class Killed(BaseException):
    """What ends a run in the middle, as a kill does."""


class Asked:
    """Counts what the judges of a run are asked, and ends the run at the given call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.stop_at = 0
        real = PerSide.judge

        def judge(judge: PerSide, transcripts: Sequence[Transcript]) -> list[Verdict]:
            self.calls.append([f"{judge.name} {stored_judge.key_of(transcript)}" for transcript in transcripts])
            if len(self.calls) == self.stop_at:
                raise Killed
            return real(judge, transcripts)

        monkeypatch.setattr(PerSide, "judge", judge)

    def again(self) -> list[str]:
        """Return what was asked for more than once."""
        every = [key for call in self.calls for key in call]
        return sorted({key for key in every if every.count(key) > 1})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setattr(stored_judge, "CALLS", 1)  # a batch is `judge.batch_size` debates
    return Asked(monkeypatch)


def test_an_evaluation_killed_while_it_judges_asks_for_at_most_one_batch_again(
    configure: Callable[..., Config], asked: Asked
) -> None:
    settings = configure(*QUICK, "judge.batch_size=4")
    train(settings)
    asked.calls.clear()
    asked.stop_at = 8  # of the debates of a checkpoint: the judges without debaters take the first six
    with pytest.raises(Killed):
        evaluate(settings)
    asked.stop_at = 0
    evaluate(settings)
    assert asked.again() == sorted(asked.calls[7]), "only the batch that was being judged"
    assert max(map(len, asked.calls)) <= 4
    kept = read_lines(RunFolder(settings.output).judging / "evaluation.jsonl")
    assert len(kept) == len({key for call in asked.calls for key in call})
    assert {"seconds", "usage", "verdict", "judge", "debate"} <= set(kept[0]), "the log of what it cost"
    asked.calls.clear()
    (settings.output / "evaluation" / "base.parquet").unlink()
    evaluate(settings)
    assert asked.calls == [], "a part that was lost is made anew of what was said"


def test_a_training_killed_while_it_judges_asks_for_at_most_one_batch_again(
    configure: Callable[..., Config], asked: Asked
) -> None:
    settings = configure("iterations=2", "save_every=2", "judge.batch_size=4", "algorithm.debates_per_seating=2")
    asked.stop_at = 4  # the second batch of the second iteration: eight debates each
    with pytest.raises(Killed):
        train(settings)
    asked.stop_at = 0
    train(settings)
    assert asked.again() == sorted(asked.calls[3])
    assert [line["iteration"] for line in read_lines(RunFolder(settings.output).metrics)] == [1, 2]
    assert not (RunFolder(settings.output).judging / "training.jsonl").exists(), "the checkpoint makes them needless"


class Unreachable:
    """A judge that nobody reaches the first time."""

    name, usage, calls = "judge", Usage(), 0

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        self.calls += 1
        spoiled = Verdict("judge", None, None, valid=False, reason="unreadable", cause="speech")
        gone = Verdict("judge", None, None, valid=False, reason="time-out", cause="failure")
        return [gone if self.calls == 1 else spoiled for _ in transcripts]


def test_what_failed_is_asked_again_by_whoever_goes_on_and_what_a_speech_spoiled_is_not(
    questions: Sequence[Question], tmp_path: Path
) -> None:
    transcript = Transcript(questions[0], Protocol("debate"), questions[0].answers, False)
    judge = Unreachable()
    for _ in range(4):
        stored_judge.StoredJudge(judge, "fingerprint", tmp_path / "kept.jsonl").judge([transcript])
    assert judge.calls == 2
    assert len(read_lines(tmp_path / "kept.jsonl")) == 2, "what the failure took is on record"


def test_nothing_behind_a_link_is_removed(questions: Sequence[Question], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept.jsonl").write_text("")
    (tmp_path / "judging").symlink_to(tmp_path / "elsewhere")
    with guarded(tmp_path), pytest.raises(FilesError):
        stored_judge.StoredJudge(Unreachable(), "fingerprint", tmp_path / "judging/kept.jsonl").clear()
    assert (tmp_path / "elsewhere/kept.jsonl").exists()


def test_a_sampled_judge_reads_the_same_questions_of_every_checkpoint_and_all_others_read_all(
    tiny: Path, tmp_path: Path
) -> None:
    other, run = tmp_path / "other.yaml", tmp_path / "run"
    other.write_text(
        "- {kind: likelihood, name: dear, model: embedded/judge-heldout, prompts: testimony, sample: 2, probe: false}\n"
    )
    small = f"questions.train=12 questions.heldout=6 judge.min_mass=0 iterations=1 debater.model={tiny}/debater"
    few = "algorithm.questions_per_iteration=2 algorithm.debates_per_seating=2 algorithm.minibatches=1"
    more = f"judge.model={tiny}/judge heldout_judges={other} evaluation.attacks=2 output={run}"
    assert main(["train", *small.split(), *few.split(), *more.split()]) == 0
    assert main(["evaluate", f"run={run}"]) == 0
    table = pd.read_parquet(run / "verdicts.parquet")
    read = table.groupby(["judge", "checkpoint", "matchup"]).question_id.nunique()
    assert set(read["dear"]) == {2} and set(read.drop("dear", level="judge")) == {6}
    assert table[table.judge == "dear"].question_id.nunique() == 2
    assert (table.groupby(["judge", "checkpoint", "matchup", "question_id"]).size() <= 2).all(), "both seatings"
    (arm,) = json.loads((run / "summary.json").read_text())["arms"]
    assert {of["judge"]: of["n_questions"] for of in arm["accuracy"]} == {"weak-judge": 6, "dear": 2}
    assert main(["verify", f"run={run}"]) == 0


def test_a_judge_that_is_not_probed_is_asked_for_verdicts_on_finished_debates_alone(
    configure: Callable[..., Config], asked: Asked
) -> None:
    settings = configure(*QUICK, "judge.probe=false", "judge.sample=3")
    train(settings)
    asked.calls.clear()
    table = pd.read_parquet(evaluate(settings))
    assert sum(map(len, asked.calls)) == len(table), "one reading a row"
    assert table.question_id.nunique() == 3
    shown = [json.loads(line) for line in (settings.output / "debates.jsonl").read_text().splitlines()]
    assert shown and all(set(debate["p_after"][:-1]) == {None} for debate in shown)
    assert all(debate["p_after"][-1] is not None for debate in shown)


def test_what_a_judge_is_spared_makes_no_other_judge_of_it(configure: Callable[..., Config]) -> None:
    whole, spared = (configure(*more).judge for more in ((), ("judge.sample=3", "judge.probe=false")))
    assert fingerprint(identity(whole)) == fingerprint(identity(spared))
    assert "sample" not in whole.model_dump() and "probe" not in whole.model_dump()


@pytest.mark.parametrize(
    ("words", "verdicts"),
    [((), 2 * 6 + 3 * 2 * 6), (("judge.sample=3",), 2 * 3 + 3 * 2 * 3)],
)
def test_the_estimate_knows_what_a_judge_is_spared(
    configure: Callable[..., Config], words: tuple[str, ...], verdicts: int
) -> None:
    """The judges without debaters, and three matchups of two checkpoints in both seatings, read in both orders."""
    from rostrum.launch import estimate

    endpoint = ("judge=endpoint", "judge.model=m", "judge.endpoint.base_url=http://127.0.0.1:9/v1")
    asked = estimate.evaluation(configure(*QUICK, *endpoint, "judge.probe=false", *words)).requests
    assert asked == 2 * verdicts
    assert estimate.evaluation(configure(*QUICK, *endpoint, *words)).requests > asked


def test_an_endpoint_that_is_not_probed_is_not_asked_before_the_run(configure: Callable[..., Config]) -> None:
    from rostrum.launch.checks import check_judges
    from rostrum.trainer.run_context import RunContext

    silent = ("judge=endpoint", "judge.model=m", "judge.endpoint.base_url=http://127.0.0.1:9/v1")
    not_probed, probed = configure(*silent, "judge.probe=false"), configure(*silent)
    check_judges(not_probed.judge_models, RunContext(not_probed))
    with pytest.raises(Exception, match="127.0.0.1"):
        check_judges(probed.judge_models, RunContext(probed))

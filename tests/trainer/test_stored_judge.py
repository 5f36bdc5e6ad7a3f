"""Verdicts are kept as they come: what was stopped while its debates were judged asks for at most one batch again."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from envs.types import Transcript
from rewards.apart import Apart
from rewards.types import Verdict
from trainer import stored_judge
from trainer.config import Config
from trainer.evaluation.evaluate import evaluate
from trainer.judge_identity import fingerprint, identity
from trainer.run_folder import RunFolder, read_lines
from trainer.train import train

QUICK = ("iterations=1", "questions.heldout=6", "evaluation.attacks=2", "evaluation.browser_debates=2")


class Killed(BaseException):
    """What ends a run in the middle, as a kill does."""


class Asked:
    """Counts what the judges of a run are asked, and ends the run at the given call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.stop_at = 0
        real = Apart.judge

        def judge(judge: Apart, transcripts: Sequence[Transcript]) -> list[Verdict]:
            self.calls.append([f"{judge.name} {stored_judge.key_of(transcript)}" for transcript in transcripts])
            if len(self.calls) == self.stop_at:
                raise Killed
            return real(judge, transcripts)

        monkeypatch.setattr(Apart, "judge", judge)

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


def test_a_sampled_judge_reads_the_same_questions_of_every_checkpoint_and_all_others_read_all(
    configure: Callable[..., Config], tmp_path: Path, asked: Asked
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(
        "- {kind: likelihood, name: dear, model: embedded/judge-heldout, prompts: testimony, sample: 2, probe: false}\n"
    )
    settings = configure(*QUICK, f"heldout_judges={other}")
    train(settings)
    table = pd.read_parquet(evaluate(settings))
    read = table.groupby(["judge", "checkpoint", "matchup"]).question_id.nunique()
    assert set(read["dear"]) == {2} and set(read[settings.judge.name]) == {6}
    assert table[table.judge == "dear"].question_id.nunique() == 2
    assert (table.groupby(["judge", "checkpoint", "matchup", "question_id"]).size() <= 2).all(), "both seatings"


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


def test_an_endpoint_that_is_not_probed_is_not_asked_before_the_run(configure: Callable[..., Config]) -> None:
    from launch.checks import check_judges

    silent = ("judge=endpoint", "judge.model=m", "judge.endpoint.base_url=http://127.0.0.1:9/v1")
    check_judges(configure(*silent, "judge.probe=false").judge_models)
    with pytest.raises(Exception, match="127.0.0.1"):
        check_judges(configure(*silent).judge_models)

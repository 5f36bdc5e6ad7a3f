"""Exported logs: what they say of debates and verdicts, and that inspect_ai itself reads them."""

import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.envs.types import Protocol, Question, Quote, QuoteStatus, Side, Speech, Transcript
from rostrum.launch.compose import load
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation import browsed
from rostrum.trainer.export.inspect_log import ExportLogsError, export_logs
from rostrum.trainer.export.inspect_log.samples import Log, sample, score

MANIFEST = {
    "created": "2026-11-22T10:00:00+00:00",
    "versions": {"trl": "1.16.0"},
    "git": {"commit": "c" * 40, "dirty": True},
}
HOSTILE = '</script> ![x](https://example.org/x.png) \u202e "quoted" \\ é'


def debate(question: Question, opponent: bool = False, swapped: bool = False, said: str = "in the hall") -> Transcript:
    """Two speeches: the checkpoint's from side A, and from side B its own or the base debater's."""
    answers = question.answers[::-1] if swapped else question.answers
    quote = Quote("in the hall", 0, 11, QuoteStatus.UNVERIFIED)
    speeches = (
        Speech(
            "A", Side.A, 0, said, said, 3, (quote,), policy="checkpoint", private="I doubt it", neutralised={"tag": 1}
        ),
        Speech("B", Side.B, 1, "no", "no", 1, policy="base" if opponent else "checkpoint"),
    )
    return Transcript(question, Protocol("debate", rounds=1), answers, swapped, speeches)


def verdict(held: Transcript, p: float | None, matchup: str = "self", **other: Any) -> dict[str, Any]:
    known = math.nan if p is None else p
    return {
        "arm": "run",
        "checkpoint": "iteration-0001",
        "matchup": matchup,
        "question_id": held.question.id,
        "story_id": held.question.story_id,
        "swapped_seats": held.swapped_seats,
        "judge": "weak-judge",
        "judge_role": "reward",
        "p_given": known,
        "p_swapped": known,
        "p_mean": known,
        "valid": p is not None,
        "reason": "" if p is not None else "no letter",
        "correct_seat": "A",
        "checkpoint_seats": "AB",
        "quotes": 1,
        "verified_quotes": 0,
        "words": 4,
        **other,
    }


@pytest.fixture
def run(tmp_path: Path, questions: Sequence[Question]) -> Config:
    """An evaluated run: three debates of a checkpoint with itself, one with the base, two judges."""
    settings = load([f"output={tmp_path}/run", "heldout_judges=testimony"])
    folder = settings.output / "evaluation"
    folder.mkdir(parents=True)
    alone = [debate(questions[0]), debate(questions[0], swapped=True), debate(questions[1], said=HOSTILE)]
    met = [debate(questions[0], opponent=True)]
    rows = [verdict(held, p) for held, p in zip(alone, (0.9, 0.2, None), strict=True)]
    rows += [verdict(met[0], 0.5, "base", checkpoint_seats="A")]
    rows += [row | {"judge": "heldout-judge", "judge_role": "held-out", "p_mean": 0.75, "valid": True} for row in rows]
    pd.DataFrame(rows).to_parquet(settings.output / "verdicts.parquet")
    about = [{"matchup": "self"}] * 3 + [{"matchup": "base"}]
    browsed.store(folder / "iteration-0001.parquet", about, [*alone, *met])
    return settings


def members(log: Path) -> dict[str, Any]:
    with zipfile.ZipFile(log) as inside:
        return {name: json.loads(inside.read(name)) for name in inside.namelist()}


@pytest.mark.parametrize(
    ("p", "right", "value", "answer"),
    [(0.9, "A", "C", "A"), (0.9, "B", "I", "A"), (0.2, "B", "C", "B"), (0.5, "A", "P", None), (None, "A", "N", None)],
)
def test_a_verdict_is_correct_incorrect_undecided_or_no_answer(
    questions: Sequence[Question], p: float | None, right: str, value: str, answer: str | None
) -> None:
    held = debate(questions[0])
    made = score(held, verdict(held, p, correct_seat=right))
    assert (made["value"], made.get("answer")) == (value, answer)
    assert made["metadata"]["p_mean"] == p and made["metadata"]["judge_role"] == "reward"
    assert ("INVALID: no letter" in made["explanation"]) == (p is None)


def test_speeches_are_messages_of_whoever_spoke(questions: Sequence[Question]) -> None:
    held = debate(questions[0], opponent=True)
    log = Log("id", "2026-11-22T10:00:00+00:00", "run/iteration-0001", "run/base")
    made = sample(held, [verdict(held, 0.9)], log)
    task, first, second = made["messages"]
    assert [message["role"] for message in made["messages"]] == ["user", "assistant", "user"]
    assert all(answer in task["content"] for answer in held.answers) and "nobody" not in task["content"]
    assert first["content"].endswith("in the hall") and first["metadata"]["side"] == "A"
    assert first["model"] == "run/iteration-0001" and second["metadata"]["model"] == "run/base"
    assert first["metadata"]["quotes"] == [{"text": "in the hall", "status": "unverified"}]
    assert first["metadata"]["private"] == "I doubt it" and "private" not in second["metadata"]
    assert "I doubt it" not in first["content"]
    assert (made["input"], made["choices"], made["target"]) == (held.question.text, list(held.answers), "A")


def test_one_log_per_matchup_the_same_bytes_every_time(run: Config, tmp_path: Path) -> None:
    first, second = (list(export_logs(run, MANIFEST, tmp_path / name)) for name in ("one", "two"))
    assert [path.name.split("_")[1] for path in first] == [
        "run-iteration-0001-against-self",
        "run-iteration-0001-against-base",
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    header = members(first[0])["header.json"]
    scores = {of["name"]: of for of in header["results"]["scores"]}
    assert scores["weak-judge"]["metrics"]["accuracy"]["value"] == 0.5, "one of two right; the INVALID one is left out"
    assert (scores["weak-judge"]["scored_samples"], scores["weak-judge"]["unscored_samples"]) == (2, 1)
    assert scores["heldout-judge"]["metrics"]["accuracy"]["value"] == 1
    assert all("passage" not in line["metadata"] for line in members(first[0])["summaries.json"])


def test_a_run_that_cannot_be_exported_is_refused_in_a_sentence(run: Config, tmp_path: Path) -> None:
    for gone, words in (
        ("evaluation/iteration-0001.transcripts.jsonl", "kept no transcripts"),
        ("verdicts.parquet", "has not been evaluated"),
    ):
        (run.output / gone).unlink()
        with pytest.raises(ExportLogsError, match=f"{words}.*run `rostrum evaluate run="):
            list(export_logs(run, MANIFEST, tmp_path / "logs"))


def test_inspect_itself_reads_the_logs(run: Config, tmp_path: Path) -> None:
    inspect = pytest.importorskip("inspect_ai.log", reason="make test installs it: tests/inspect-requirements.txt")
    folder = tmp_path / "logs"
    paths = list(export_logs(run, MANIFEST, folder))
    listed = inspect.list_eval_logs(str(folder))
    assert {Path(info.name.removeprefix("file://")).name for info in listed} == {path.name for path in paths}
    alone, met = (inspect.read_eval_log(str(path)) for path in paths)
    assert alone.status == "success" and alone.eval.task == "run-iteration-0001-against-self"
    assert alone.eval.model == "run/iteration-0001" and alone.eval.revision.commit == "c" * 40
    assert set(alone.eval.model_roles) == {"weak-judge", "heldout-judge"}
    assert alone.eval.dataset.sample_ids == [of.id for of in sorted(alone.samples, key=lambda of: of.id)]
    by_id = {of.id: of for of in alone.samples}
    assert len(by_id) == 3 and all(of.target == "A" for of in alone.samples)
    values = {of.id: {judge: found.value for judge, found in of.scores.items()} for of in alone.samples}
    first, swapped, third = sorted(values)
    assert values == {
        first: {"weak-judge": "C", "heldout-judge": "C"},
        swapped: {"weak-judge": "I", "heldout-judge": "C"},
        third: {"weak-judge": "N", "heldout-judge": "C"},
    }
    assert [message.role for message in by_id[first].messages] == ["user", "assistant", "assistant"]
    assert by_id[third].messages[1].text.endswith(HOSTILE), "the speech comes back as it was judged"
    assert by_id[third].scores["weak-judge"].metadata["valid"] is False
    assert {of.name: of.metrics["accuracy"].value for of in alone.results.scores} == {
        "weak-judge": 0.5,
        "heldout-judge": 1.0,
    }
    (other,) = met.samples
    assert other.scores["weak-judge"].value == "P" and other.messages[2].role == "user"
    summaries = inspect.read_eval_log_sample_summaries(str(paths[0]))
    assert {of.id for of in summaries} == set(by_id) and all(of.message_count == 3 for of in summaries)
    again = tmp_path / "again.json"
    inspect.write_eval_log(alone, str(again))
    assert inspect.read_eval_log(str(again)).samples == alone.samples


def test_logs_of_two_runs_in_one_folder_are_told_apart(run: Config, tmp_path: Path) -> None:
    """Also runs of one name that were begun in the same second, and one run that was evaluated anew."""
    tables = pytest.importorskip("inspect_ai.analysis", reason="make test installs it: tests/inspect-requirements.txt")
    folder = tmp_path / "logs"
    others = [{"config": {"seed": 1}}, {"created": "2026-11-23T10:00:00+00:00"}, {"evaluated": {"verdicts": "other"}}]
    for manifest in (MANIFEST, *(MANIFEST | other for other in others)):
        list(export_logs(run, manifest, folder))
    assert len(list(folder.glob("*.eval"))) == 8
    assert len(tables.evals_df(str(folder), quiet=True)) == 8
    samples = tables.samples_df(str(folder), quiet=True)
    assert len(samples) == 4 * 4 and samples["sample_id"].is_unique
    assert samples.groupby("eval_id").size().tolist().count(3) == 4, "three of each run's debates are self-play"


def test_inspects_tables_of_messages_and_events_read_the_logs(run: Config, tmp_path: Path) -> None:
    tables = pytest.importorskip("inspect_ai.analysis", reason="make test installs it: tests/inspect-requirements.txt")
    inspect = pytest.importorskip("inspect_ai.log")
    folder = tmp_path / "logs"
    paths = list(export_logs(run, MANIFEST, folder))
    list(export_logs(run, MANIFEST | {"created": "2026-11-23T10:00:00+00:00"}, folder))
    messages = tables.messages_df(str(folder), quiet=True)
    logged = [of for path in paths for of in inspect.read_eval_log(str(path)).samples]
    expected = {
        (of.uuid, place + 1, message.role, message.text) for of in logged for place, message in enumerate(of.messages)
    }
    rows = messages[messages["sample_id"].isin([of.uuid for of in logged])]
    assert set(rows[["sample_id", "order", "role", "content"]].itertuples(index=False, name=None)) == expected
    assert len(messages) == 2 * len(expected) and messages["message_id"].is_unique
    events = tables.events_df(str(folder), columns=[*tables.EventInfo, *tables.EventTiming], quiet=True)
    assert events["event_id"].is_unique and events["event"].value_counts().to_dict() == {
        "model": 2 * (3 * 2 + 1 + 4 * 2),
        "score": 2 * 4 * 2,
    }, "two speeches of its own in self-play, one against the base; every debate read by two judges"
    calls = tables.events_df(
        str(folder), columns=tables.ModelEventColumns, filter=lambda event: event.event == "model", quiet=True
    )
    own = calls[calls["model_event_model"] == "run/iteration-0001"]
    assert len(own) == 2 * 7 and own["model_event_completion"].str.contains("in the hall").sum() == 2 * 3

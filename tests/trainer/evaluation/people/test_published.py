"""Published human debates, in files of ours in their shape, as a study; and what is wrong with a stranger's row."""

import json
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.judges import settings_by_kind
from rostrum.rewards.people import database
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.verdicts import opinions
from rostrum.trainer.evaluation.people import published

STORY = "The old fox slept under the red bridge all winter. It woke when the river rose."


def khan(user: str = "ann", confidence: float = 85, swap: bool = True, **more: Any) -> dict[str, Any]:
    said = {
        "correct": "<v_quote>under the red bridge</v_quote> it slept.",
        "incorrect": "<v_quote>in a barn far off</v_quote>",
    }
    told = {
        "index": 0,
        "question": "Where did it sleep?",
        "story": STORY,
        "story_title": "Fox",
        "answers": {"correct": "bridge", "incorrect": "barn"},
        "names": {"correct": "Debater B", "incorrect": "Debater A"},
        "swap": swap,
        "rounds": [{**said, "type": "sim"}, {**said, "type": "sim"}],
        **more,
    }
    return {"transcript": told, "confidence_correct": confidence, "explanation": "Quoted.", "user": user}


def nyu(**more: Any) -> dict[str, Any]:
    turns = [
        {"role": "Debater", "index": 0, "text": "It woke <quote>when the river rose</quote>."},
        {"role": "Debater", "index": 1, "text": "It never woke."},
        {"role": "Judge", "index": None, "text": "Go on.", "probabilities": [0.6, 0.4]},
        {"role": "Debater", "index": 0, "text": "As I said."},
        {"role": "Debater", "index": 1, "text": "No."},
        {"role": "Judge", "index": None, "text": "A it is.", "probabilities": [0.9, 0.1]},
    ]
    return {
        "storyId": "fox",
        "storyTitle": "Fox",
        "story": STORY,
        "question": "When did it wake?",
        "answers": ["in spring", "never"],
        "correctAnswerIndex": 0,
        "turns": turns,
        **more,
    }


def stored(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_judgements_of_khan_et_al_become_a_study(tmp_path: Path) -> None:
    alone = khan("cleo", rounds=[{"correct": "Me alone.", "incorrect": None, "type": "con"}])
    file = stored(tmp_path / "khan.jsonl", khan(), khan("ben", 0.3), khan("ann"), alone)
    judged, left_out = published.read(file, "khan")
    assert len(judged) == 3 and left_out == 1
    assert [one.p for one in judged] == pytest.approx([0.15, 0.7, 0.15]) and {one.correct for one in judged} == {"B"}
    first = judged[0].transcript
    assert first.answers == ("barn", "bridge") and [speech.side for speech in first.speeches] == ["A", "B", "A", "B"]
    assert "<v_quote>under the red bridge</v_quote>" in first.speeches[1].text
    assert "<u_quote>in a barn far off</u_quote>" in first.speeches[0].text, "looked up in the story anew"
    study = tmp_path / "study"
    assert published.write(study, judged, "khan.jsonl", 5.0) == 1, "ann judged the question twice"
    people = settings_by_kind()["people"](kind="people", name="people", study=study).make(None)  # type: ignore[call-arg, arg-type]
    (verdict,) = people.judge([first])
    assert verdict.mean == pytest.approx((0.15 + 0.7) / 2) and verdict.readings == 2


def test_debates_of_nyu_become_a_study(tmp_path: Path) -> None:
    judged, left_out = published.read(stored(tmp_path / "nyu.jsonl", nyu(), nyu(judge="eve")), "nyu")
    assert (
        left_out == 0 and [(one.p, one.by_round, one.explanation) for one in judged] == [(0.9, (0.6,), "A it is.")] * 2
    )
    assert judged[0].correct == "A" and judged[0].transcript.question.story_id == "fox"
    published.write(tmp_path / "study", judged, "nyu.jsonl", 5.0)
    found = list(opinions(database.connect(tmp_path / "study")))
    assert {opinion.judge for opinion in found} == {"published-1", "published-2"}, "names are not taken over"


@pytest.mark.parametrize(
    ("shape", "row", "said"),
    [
        ("khan", [1], "the row must be an object"),
        ("khan", khan(confidence=float("nan")), "confidence_correct must be a number from 0 to 100"),
        ("khan", khan(confidence=120), "confidence_correct must be a number from 0 to 100"),
        ("khan", khan(swap="yes"), "transcript.swap must be true or false"),  # type: ignore[arg-type]
        ("khan", khan(answers={"correct": "bridge"}), "transcript.answers.incorrect must be a text"),
        ("khan", khan(answers={"correct": "a", "incorrect": "a"}), "both answers are the same"),
        ("khan", khan(rounds=[]), "1 to 50 rounds, not 0"),
        ("khan", khan(rounds=[{"correct": 3, "incorrect": "x"}]), "round 1, side B must be a text"),
        ("khan", khan(question="x" * 1_000_001), "question must be a text of 1 to 1,000,000 characters"),
        ("nyu", nyu(correctAnswerIndex=2), "correctAnswerIndex must be 0 or 1"),
        ("nyu", nyu(answers=["a", "b", "c"]), "answers must be two, not 3"),
        ("nyu", nyu(turns=nyu()["turns"][:2]), "there is no verdict"),
        ("nyu", nyu(turns=[{"role": "Debater", "index": 5, "text": "x"}]), "turns[0].index must be 0 or 1"),
        ("nyu", nyu(turns=[{"role": "Judge", "text": "", "probabilities": [0.9, 0.9]}]), "shares that add up to 1"),
    ],
)
def test_a_strangers_row_is_refused_with_its_number(tmp_path: Path, shape: str, row: Any, said: str) -> None:
    file = stored(tmp_path / "rows.jsonl", khan() if shape == "khan" else nyu(), row)
    with pytest.raises(StudyError) as refused:
        published.read(file, shape)
    assert "row 2" in str(refused.value) and said in str(refused.value)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{", "utf-8")
    with pytest.raises(StudyError, match="row 1: it is no JSON"):
        published.read(tmp_path / "no.json", "khan")
    with pytest.raises(StudyError, match="is no file"):
        published.read(tmp_path, "khan")
    with pytest.raises(StudyError, match="choose among khan, nyu"):
        published.read(tmp_path / "no.json", "csv")

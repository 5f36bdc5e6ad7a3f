"""The audit finds what is planted: answers that give themselves away, stories in both splits; and nothing else."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.questions import JsonLinesQuestions, QuestionError
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.trainer.evaluation.question_audit import audit

WORDS = "amber birch copper delta ember flint garnet hazel iris jade kelp linden moss nettle onyx pearl".split()
Record = dict[str, Any]


def passage(draw: random.Random, length: int = 60) -> str:
    return " ".join(draw.choices(WORDS, k=length))


def balanced(number: int, draw: random.Random) -> Record:
    """Two answers of random words; which is right has nothing to do with them."""
    answers = [" ".join(draw.choices(WORDS, k=draw.randint(2, 6))) + f" {side}" for side in "xy"]
    text = f"Which {' '.join(draw.choices(WORDS, k=4))}?"
    return {
        "id": f"q{number}",
        "story_id": f"s{number // 4}",
        "question": text,
        "answers": answers,
        "correct": draw.randrange(2),
    }


@pytest.fixture
def audited(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def make(change: Callable[[Record], Record] = lambda record: record, n: int = 400) -> dict[str, Any]:
        draw = random.Random(7)
        records = [change(balanced(number, draw)) for number in range(n)]
        stories = {record["story_id"]: passage(draw) for record in records}
        lines = [json.dumps({"passage": stories[record["story_id"]], **record}) + "\n" for record in records]
        (tmp_path / "q.jsonl").write_text("".join(lines), "utf-8")
        return audit(JsonLinesQuestions(tmp_path / "q.jsonl"))

    return make


def with_right(record: Record, change: Callable[[str], str]) -> Record:
    answers = list(record["answers"])
    answers[record["correct"]] = change(answers[record["correct"]])
    return {**record, "answers": answers}


def test_balanced_answers_give_nothing_away(audited: Callable[..., dict[str, Any]]) -> None:
    found = audited()
    assert (found["n_stories"], found["n_questions"], found["selection"]["read"]) == (100, 400, 400)
    splits = found["splits"]
    assert splits["train"]["n_questions"] + splits["heldout"]["n_questions"] == 400
    assert splits["heldout"]["n_questions"] == 4 * splits["heldout"]["n_stories"] > 100
    for interval in (*found["baselines"].values(), found["first_answer_right"]):
        assert interval["low"] < 0.5 < interval["high"]
        assert interval["high"] - interval["low"] < 0.2
    assert found["baselines"]["answer_only"]["n"] == splits["heldout"]["n_questions"]
    assert found["duplicates"]["same_passage"]["heldout_stories"] == 0
    assert found["duplicates"]["near_passage"]["heldout_stories"] == 0


def test_longer_right_answers_are_found(audited: Callable[..., dict[str, Any]]) -> None:
    baselines = audited(lambda r: with_right(r, lambda text: f"{text} {'z' * 80}{r['id']}"))["baselines"]
    assert baselines["longer_answer"]["estimate"] == 1.0 and baselines["longer_answer"]["low"] > 0.98
    assert baselines["shorter_answer"]["estimate"] == 0.0
    assert baselines["answer_only"]["low"] < 0.5 < baselines["answer_only"]["high"]


def test_a_telling_word_is_learnt_on_training_stories_and_found_on_others(
    audited: Callable[..., dict[str, Any]],
) -> None:
    baselines = audited(lambda r: with_right(r, lambda text: text.replace(text.split()[0], "indeed", 1)))["baselines"]
    assert baselines["answer_only"]["estimate"] > 0.9


def test_words_of_the_question_are_found(audited: Callable[..., dict[str, Any]]) -> None:
    found = audited(lambda r: with_right(r, lambda text: f"{text} {r['question']}"))["baselines"]
    assert found["more_words_of_the_question"]["estimate"] > 0.95


def test_equal_scores_are_half_right(audited: Callable[..., dict[str, Any]]) -> None:
    baselines = audited(lambda r: {**r, "answers": [f"aa{r['id']}", f"bb{r['id']}"]})["baselines"]
    assert baselines["longer_answer"]["estimate"] == baselines["shorter_answer"]["estimate"] == 0.5
    assert baselines["answer_only"]["estimate"] == 0.5


def test_a_right_answer_that_always_stands_first_is_found(audited: Callable[..., dict[str, Any]]) -> None:
    assert audited(lambda r: {**r, "correct": 0})["first_answer_right"]["estimate"] == 1.0


@pytest.fixture
def pair(tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """The duplicates of two stories of which "s1" is held out and "s2" is not (see tests/envs/test_questions.py)."""

    def make(train: str, heldout: str) -> dict[str, Any]:
        records = [
            {"id": story, "story_id": story, "question": text, "answers": ["a", "b"], "passage": passage, "correct": 0}
            for story, text, passage in (("s0", "Who rang?", heldout), ("s1", "Who  rang", train))
        ]
        (tmp_path / "q.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        questions = JsonLinesQuestions(tmp_path / "q.jsonl", heldout_fraction=0.5)
        assert [q.id for q in questions.questions("heldout")] == ["s0"]
        found: dict[str, Any] = audit(questions)["duplicates"]
        return found

    return make


TEXT = passage(random.Random(1), 3000)


def test_the_same_words_in_both_splits_are_found(pair: Callable[[str, str], dict[str, Any]]) -> None:
    found = pair(TEXT, TEXT.upper().replace(" ", ", "))
    assert found["same_passage"] == {"heldout_stories": 1, "examples": [("s1", "s0")]}
    assert found["near_passage"]["heldout_stories"] == 0
    assert found["same_question"] == {"heldout_questions": 1, "examples": [("s1", "s0")]}


def test_nearly_the_same_words_are_found_and_how_near(pair: Callable[[str, str], dict[str, Any]]) -> None:
    """Half of another's words appended: two thirds of the 8-grams are shared."""
    found = pair(TEXT, f"{TEXT} {passage(random.Random(2), 1500)}")
    ((train, heldout, jaccard),) = found["near_passage"]["examples"]
    assert (train, heldout, found["near_passage"]["heldout_stories"]) == ("s1", "s0", 1)
    assert jaccard == pytest.approx(2 / 3, abs=0.08)
    assert found["same_passage"]["heldout_stories"] == 0


def test_short_passages_are_compared_exactly(pair: Callable[[str, str], dict[str, Any]]) -> None:
    """16 words have 9 runs of eight; one word more adds one run: 9 of 10 are shared."""
    short = " ".join(WORDS)
    assert pair(short, f"{short} more")["near_passage"]["examples"] == [("s1", "s0", 0.9)]
    assert pair(short, " ".join(WORDS[::-1]))["near_passage"]["heldout_stories"] == 0


def test_any_question_set_can_be_audited() -> None:
    found = audit(TestimonyWorld(train=60, heldout=40))
    assert found["splits"]["heldout"] == {"n_stories": 40, "n_questions": 40}
    assert found["selection"] == {"read": 100, "dropped": {}, "could_not_tell": {}, "wrong_answer_from": {}}
    assert found["baselines"]["more_words_of_the_question"]["estimate"] == 0.5


def test_an_empty_split_is_null_in_json(tmp_path: Path) -> None:
    record = {"id": "1", "story_id": "s1", "question": "q", "answers": ["a", "b"], "correct": 0}
    (tmp_path / "q.jsonl").write_text(json.dumps(record), "utf-8")
    found = json.loads(json.dumps(audit(JsonLinesQuestions(tmp_path / "q.jsonl")), allow_nan=False))
    assert found["baselines"]["answer_only"] == {"estimate": None, "low": None, "high": None, "n": 0}
    assert found["first_answer_right"]["n"] == 1


def test_questions_without_gold_labels_cannot_be_audited(tmp_path: Path) -> None:
    record = {"id": "1", "question": "q", "answers": ["a", "b"]}
    (tmp_path / "q.jsonl").write_text(json.dumps(record), "utf-8")
    with pytest.raises(QuestionError, match='has no "correct"; add 0 or 1'):
        audit(JsonLinesQuestions(tmp_path / "q.jsonl"))

"""Tables with a map of columns: the three shapes of answers, the four file formats, and a folder laid out like a Hub
data set."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rostrum.envs.questions import QuestionError
from rostrum.envs.questions.base import StoredQuestions
from rostrum.envs.questions.table import Settings

GPQA = [
    {
        "Question": f"What is {n}?",
        "Correct Answer": f"It is {n}",
        "Incorrect Answer 1": "nothing",
        "Incorrect Answer 2": "anything",
    }
    for n in range(40)
]
GPQA_COLUMNS = {
    "question": "Question",
    "right": "Correct Answer",
    "wrong": ["Incorrect Answer 1", "Incorrect Answer 2"],
}
MMLU = [{"question": f"Which {n}?", "choices": ["a", "b", "c", "d"], "answer": n % 4} for n in range(40)]
MMLU_COLUMNS = {"choices": "choices", "correct": "answer"}
BOOLQ = [{"question": f"is it {n}", "passage": f"Story {n // 2}.", "answer": n % 2 == 0} for n in range(40)]
BOOLQ_COLUMNS = {"passage": "passage", "yes_no": "answer"}

Load = Callable[..., StoredQuestions]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows in the format that the ending of the path names."""
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), "utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(rows: list[dict[str, Any]], columns: dict[str, Any], kind: str = "jsonl", **settings: Any) -> Any:
        path = write(tmp_path / f"table.{kind}", rows)
        return Settings(kind="table", path=path, columns=columns, **{"heldout_fraction": 0, **settings}).load()

    return make


def right_answers(questions: StoredQuestions, split: str = "train") -> list[str]:
    key = questions.answer_key(split)
    return [question.answers[key[question.id]] for question in questions.questions(split)]


@pytest.mark.parametrize("kind", ["parquet", "json", "jsonl", "csv"])
def test_a_right_and_some_wrong_columns_in_every_format(load: Load, kind: str) -> None:
    questions = load(GPQA, GPQA_COLUMNS, kind)
    assert [q.text for q in questions.questions("train")] == [row["Question"] for row in GPQA]
    assert right_answers(questions) == [row["Correct Answer"] for row in GPQA]
    wrong = [text for q in questions.questions("train") for text in q.answers if not text.startswith("It")]
    assert len(wrong) == 40 and min(wrong.count("nothing"), wrong.count("anything")) >= 10
    assert all(q.passage == "" for q in questions.questions("train"))
    assert len({q.story_id for q in questions.questions("train")}) == 40


@pytest.mark.parametrize("kind", ["parquet", "json", "jsonl"])
def test_a_list_of_choices_and_an_index(load: Load, kind: str) -> None:
    questions = load(MMLU, MMLU_COLUMNS, kind)
    assert right_answers(questions) == ["abcd"[n % 4] for n in range(40)]
    assert 10 <= sum(questions.answer_key("train").correct.values()) <= 30
    assert {text for q in questions.questions("train") for text in q.answers} == set("abcd")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_yes_or_no_with_a_passage(load: Load, kind: str) -> None:
    questions = load(BOOLQ, BOOLQ_COLUMNS, kind, heldout_fraction=0.5)
    train, heldout = ({q.passage for q in questions.questions(split)} for split in ("train", "heldout"))
    assert not train & heldout and len(train | heldout) == 20
    for split in ("train", "heldout"):
        by_id = dict(zip(questions.answer_key(split).correct, right_answers(questions, split), strict=True))
        assert by_id == {f"row-{n + 1}": ("no", "yes")[n % 2 == 0] for n in range(40) if f"row-{n + 1}" in by_id}
    orders = [q.answers for q in questions.questions("train")]
    assert {("yes", "no"), ("no", "yes")} == set(orders)


@pytest.mark.parametrize(
    ("value", "right"),
    [(0, "one"), (0.0, "one"), ("0", "one"), ("B", "two"), ("b", "two"), (" TWO ", "two"), (3, "three")],
)
def test_the_right_choice_is_a_number_a_letter_or_its_words(load: Load, value: Any, right: str) -> None:
    columns = {"choices": ["x", "y", "z"], "correct": "key"}
    questions = load([{"question": "q", "x": "one", "y": "two", "z": "three", "key": value}], columns)
    assert right_answers(questions) == [right]


def test_fields_inside_a_column_are_reached_by_a_dot(load: Load) -> None:
    rows = [{"question": "q", "choices": {"text": ["red", "blue"], "label": ["A", "B"]}, "answerKey": "B"}]
    assert right_answers(load(rows, {"choices": "choices.text", "correct": "answerKey"}, "parquet")) == ["blue"]


def test_ids_and_stories_come_from_their_columns(load: Load) -> None:
    rows = [{**row, "number": n, "topic": f"t{n % 3}"} for n, row in enumerate(MMLU)]
    questions = load(rows, {**MMLU_COLUMNS, "id": "number", "story_id": "topic"})
    assert [(q.id, q.story_id) for q in questions.questions("train")][:2] == [("0", "t0"), ("1", "t1")]


def test_which_answer_is_right_shows_nowhere(load: Load) -> None:
    flipped = [{**row, "answer": not row["answer"]} for row in BOOLQ]
    bare = [{**row, "answer": None} for row in BOOLQ]
    one, other, none = (load(rows, BOOLQ_COLUMNS) for rows in (BOOLQ, flipped, bare))
    assert one.questions("train") == other.questions("train") == none.questions("train")
    keys = [questions.answer_key("train") for questions in (one, other)]
    assert all(keys[0][q.id] == 1 - keys[1][q.id] for q in one.questions("train"))
    with pytest.raises(QuestionError, match="line 1: question 'line-1' has no right answer"):
        none.answer_key("train")


def test_rows_without_two_answers_to_debate_are_left_out_and_counted(load: Load) -> None:
    rows = [*MMLU, {**MMLU[0], "answer": -1}, {**MMLU[0], "choices": ["a", "a ", ""], "answer": 0}]
    account = load(rows, MMLU_COLUMNS).account()
    assert account.dropped == {
        "no_gold_label": 1,
        "no_option_about_options": 0,
        "no_two_different_answers": 1,
    }
    assert account.read == 42


def test_a_local_folder_is_read_like_a_hub_data_set_with_its_own_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "boolq"
    folder.mkdir()
    write(folder / "train.parquet", BOOLQ[:30])
    write(folder / "validation.parquet", BOOLQ[29:])  # story 14 is in both
    settings = Settings(kind="table", dataset=str(folder), heldout_split="validation", columns=BOOLQ_COLUMNS)
    questions = settings.load()
    assert [q.text for q in questions.questions("heldout")] == [row["question"] for row in BOOLQ[29:]]
    assert [q.text for q in questions.questions("train")] == [row["question"] for row in BOOLQ[:28]]
    assert questions.account().dropped["story_also_held_out"] == 2
    with pytest.raises(QuestionError, match="split nosuch\\) could not be loaded: .*; check questions.dataset"):
        Settings(kind="table", dataset=str(folder), heldout_split="nosuch", columns=BOOLQ_COLUMNS).load()


def test_a_data_set_that_cannot_be_reached_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QuestionError) as error:
        Settings(kind="table", dataset="nobody/has-this-one", columns=BOOLQ_COLUMNS).load()
    text = str(error.value)
    assert "nobody/has-this-one" in text and "questions.path" in text and "\n" not in text and text.endswith(".")


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        (MMLU, {**MMLU_COLUMNS, "correct": "anwser"}, "there is no column 'anwser'; choose among 'question'"),
        (MMLU, {**MMLU_COLUMNS, "correct": "question"}, "is 'Which 0?'; give the right choice's number from 0 to 3"),
        ([{**MMLU[0], "answer": 5}], MMLU_COLUMNS, "the column 'answer' is 5; give"),
        ([{**MMLU[0], "answer": True}], MMLU_COLUMNS, "the column 'answer' is True; give"),
        (BOOLQ, {"choices": "question", "correct": "answer"}, "'question' is not a list"),
        (BOOLQ, {"yes_no": "question"}, "the column 'question' is 'is it 0'; give true or false"),
        (MMLU, {**MMLU_COLUMNS, "passage": "choices"}, "the column 'choices' holds list, not text"),
        ([{**MMLU[0], "question": " "}], MMLU_COLUMNS, "the column 'question' is empty"),
        ([MMLU[0], MMLU[1]], {**MMLU_COLUMNS, "id": "choices.x"}, "there is no column 'choices.x'"),
    ],
)
def test_a_wrong_map_is_told_with_the_row(load: Load, rows: Any, columns: Any, said: str) -> None:
    with pytest.raises(QuestionError) as error:
        load(rows, columns)
    text = str(error.value)
    assert "table.jsonl, line 1: " in text and said in text
    assert text.endswith(".") and "\n" not in text


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"right": "a"},
        {"choices": "a"},
        {"yes_no": "a", "right": "b", "wrong": ["c"]},
        {"wrong": ["a"]},
        {"yes_no": "a", "correct": "b"},
    ],
)
def test_the_answers_have_exactly_one_shape(columns: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name the columns of right and wrong, or of choices and correct, or of"):
        Settings(kind="table", dataset="x", columns=columns)


def test_there_is_one_source() -> None:
    for source in ({}, {"path": "a", "dataset": "b"}):
        with pytest.raises(ValidationError, match="give questions.path=FILE or questions.dataset=ID, and not both"):
            Settings(kind="table", columns=BOOLQ_COLUMNS, **source)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.parquet", b"PAR0", "cannot be read as Parquet"),
        ("t.csv", b"question,answer\n\xff,1\n", "cannot be read as CSV in UTF-8"),
        ("t.json", b"[1, 2]", "is not a list of objects"),
        ("t.json", b"[{", "line 1: the line is not JSON"),
        ("t.jsonl", b"[]", "line 1: the line is not a JSON object"),
        ("t.json", b"[]", "has no question with two answers"),
        ("t.txt", b"", "is of no known format"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(QuestionError, match=said) as error:
        Settings(kind="table", path=tmp_path / name, columns=BOOLQ_COLUMNS).load()
    assert str(tmp_path / name) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="none.parquet is not a file; give the path of a .parquet"):
        Settings(kind="table", path=tmp_path / "none.parquet", columns=BOOLQ_COLUMNS).load()

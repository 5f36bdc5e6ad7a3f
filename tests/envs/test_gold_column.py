"""The column of right answers: one reading for all rows, the same in CSV and JSON, and a refusal where two disagree."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rostrum.envs.questions.base import QuestionError, StoredQuestions
from rostrum.envs.questions.table import Settings

O4 = {"choices": ["o1", "o2", "o3", "o4"], "correct": "key"}
LIST = {"choices": "choices", "correct": "key"}


def rows_of(*rows: tuple[str, Any]) -> list[dict[str, Any]]:
    """One row for each ("text text ...", key), with as many columns o1, o2, … as there are texts."""
    return [
        {"question": f"Which, {n}?", **{f"o{i}": text for i, text in enumerate(texts.split(), 1)}, "key": key}
        for n, (texts, key) in enumerate(rows)
    ]


def stored(path: Path, rows: Sequence[dict[str, Any]], columns: dict[str, Any], **settings: Any) -> StoredQuestions:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return Settings(kind="table", path=path, columns=columns, heldout_fraction=0, **settings).load()


def right(questions: StoredQuestions) -> list[str]:
    key = questions.answer_key("train")
    return [question.answers[key[question.id]] for question in questions.questions("train")]


def refusal(path: Path, rows: Sequence[dict[str, Any]], columns: dict[str, Any]) -> str:
    with pytest.raises(QuestionError) as error:
        stored(path, rows, columns)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    return str(error.value)


def labelled(*rows: tuple[str, Any]) -> list[dict[str, Any]]:
    """Rows as ARC has them: texts "copper 0", …; labels given as one letter or digit each."""
    stones = ("copper", "granite", "limestone", "basalt")
    return [
        {
            "question": f"Which, {n}?",
            "key": key,
            "choices": {"text": [f"{stone} {n}" for stone in stones[: len(labels)]], "label": list(labels)},
        }
        for n, (labels, key) in enumerate(rows)
    ]


TEXT = {"choices": "choices.text", "correct": "key"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("ABCD", "A"), ("1234", "2"), ("ABCD", "C")], ["copper 0", "granite 1", "limestone 2"]),
        ([("1234", "2"), ("1234", "3")], ["granite 0", "limestone 1"]),
        ([("1234", "4"), ("ABCD", "D")], ["basalt 0", "basalt 1"]),
        ([("0123", "1"), ("0123", "2")], ["granite 0", "limestone 1"]),
        ([("EFGH", "F"), ("abc", "B")], ["granite 0", "granite 1"]),
        ([("DCBA", "A")], ["basalt 0"]),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_the_key_is_looked_up_among_the_labels_of_its_row(tmp_path: Path, kind: str, rows: Any, expected: Any) -> None:
    assert right(stored(tmp_path / f"t.{kind}", labelled(*rows), TEXT)) == expected
    named = {**TEXT, "labels": "choices.label"}
    assert right(stored(tmp_path / f"t.{kind}", labelled(*rows), named)) == expected


def test_numbers_as_labels_are_the_same_in_any_type(tmp_path: Path) -> None:
    rows = labelled(("1234", 2), ("1234", 3.0), ("1234", "1.0"))
    for row, kind in zip(rows, (int, str, float), strict=True):
        row["choices"]["label"] = [kind(label) for label in row["choices"]["label"]]
    assert right(stored(tmp_path / "t.jsonl", rows, TEXT)) == ["granite 0", "limestone 1", "copper 2"]


def test_choices_may_be_a_list_of_objects(tmp_path: Path) -> None:
    choices = [{"text": "copper", "label": "1"}, {"text": "granite", "label": "2"}, {"text": "basalt", "label": "3"}]
    row = {"question": {"stem": "Which?", "choices": choices}, "answerKey": "2"}
    columns = {"question": "question.stem", "choices": "question.choices.text", "correct": "answerKey"}
    assert right(stored(tmp_path / "t.jsonl", [row], columns)) == ["granite"]


def test_a_key_that_is_no_label_of_its_row_is_refused(tmp_path: Path) -> None:
    named = {**TEXT, "labels": "choices.label"}
    said = refusal(tmp_path / "t.jsonl", labelled(("ABCD", "A"), ("1234", "B")), named)
    assert "t.jsonl, line 2: the column 'key' is 'B' (1 of 2 rows have a label)" in said
    uneven = labelled(("ABCD", "A"))
    uneven[0]["choices"]["label"] = ["A", "B"]
    assert "has 2 labels and there are 4 choices" in refusal(tmp_path / "t.jsonl", uneven, named)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # a letter that is also the words of another answer
        ([("AB O A B", "B"), ("D K A C", "A"), ("Quito Lima Cusco Arequipa", "B")], ["O", "D", "Lima"]),
        # a number that only counts from 0, or only from 1
        ([("a b c d", 0), ("e f g h", 2)], ["a", "g"]),
        ([("a b c d", 4), ("e f g h", 2)], ["d", "f"]),
        ([("a b", "1"), ("c d", "2")], ["a", "d"]),
        ([("a b c d", "1.0"), ("e f g h", "4.0")], ["a", "h"]),
        # case tells answers apart
        ([("PP Pp pp PQ", "Pp"), ("Co CO C2O CO2", "CO"), ("MW mW kW GW", "mW")], ["Pp", "CO", "mW"]),
        ([("North South East West", "south"), ("Up Down Left Right", "LEFT")], ["South", "Left"]),
        # numbers that are answers, not places
        ([("2 4 8 16", 4), ("10 20 30 40", 30)], ["4", "30"]),
        ([("0.5 1.0 2.0 4.0", 1.0), ("10.0 20.0 30.0 40.0", "40.0")], ["1.0", "40.0"]),
        ([("a b c d", "(B)"), ("e f g h", "c."), ("i j k l", "D)")], ["b", "g", "l"]),
        # two readings that agree
        ([("A B C D", "A"), ("A B C D", "C")], ["A", "C"]),
        ([("1 2 3 4", 4), ("1 2 3 4", 1)], ["4", "1"]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_column_has_one_reading(tmp_path: Path, kind: str, rows: Any, expected: Sequence[str]) -> None:
    table = rows_of(*rows)
    columns = {**O4, "choices": [name for name in table[0] if name.startswith("o")]}
    assert right(stored(tmp_path / f"t.{kind}", table, columns)) == expected


@pytest.mark.parametrize(
    ("rows", "said", "settled"),
    [
        (
            [("a b c d", 1), ("e f g h", 3)],
            "'b' as a number from 0 and 'a' as a number from 1",
            {0: ["b", "h"], 1: ["a", "g"]},
        ),
        (
            [("2 1 0 9", 2)],
            "'2' as the answer's own words and '0' as a number from 0",
            {0: ["0"], 1: ["1"], "words": ["2"]},
        ),
        ([("B A D C", "A")], "'A' as the answer's own words and 'B' as a letter", {"letters": ["B"], "words": ["A"]}),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_where_two_readings_disagree_the_key_that_settles_it_is_told(
    tmp_path: Path, kind: str, rows: Any, said: str, settled: dict[Any, list[str]]
) -> None:
    table, path = rows_of(*rows), tmp_path / f"t.{kind}"
    told = refusal(path, table, O4)
    assert f"{path}, " in told and " 1: " in told and said in told
    for value, expected in settled.items():
        key = "reading" if isinstance(value, str) else "first"
        assert f"questions.columns.{key}={value}" in told or len(settled) > 2
        assert right(stored(path, table, {**O4, key: value})) == expected


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a b c d", 1), ("e f g h", 7)], "2: the column 'key' is 7"),
        ([("a b c d", "A"), ("e f g h", 1)], "2: the column 'key' is 1"),
        ([("a b c d", 0), ("e f g h", 4)], "(1 of 2 rows have a number from"),
        ([("PP Pp pp PQ", "pP")], "the column 'key' is 'pP'"),
        ([("a b c d", 1.5)], "the column 'key' is 1.5"),
        ([("a b c d", "true")], "the column 'key' is 'true'"),
    ],
)
def test_a_row_that_no_reading_fits_is_shown(tmp_path: Path, rows: Any, said: str) -> None:
    assert said in refusal(tmp_path / "t.jsonl", rows_of(*rows), O4)


@pytest.mark.parametrize("absent", [None, "", -1, "-1", float("nan"), "nan", "NA"])
def test_rows_without_a_gold_label_do_not_decide_and_are_counted(tmp_path: Path, absent: Any) -> None:
    table = rows_of(("a b c d", "0"), ("e f g h", absent), ("i j k l", 3))
    questions = stored(tmp_path / "t.jsonl", table, O4)
    assert right(questions) == ["a", "l"] and questions.account().dropped["no_gold_label"] == 1


def test_a_reading_that_points_to_an_empty_cell_gives_way_to_one_that_does_not(tmp_path: Path) -> None:
    table = [{**row, "o5": ""} for row in rows_of(("a b c d", 4), ("e f g h", 1))]
    columns = {**O4, "choices": ["o1", "o2", "o3", "o4", "o5"]}
    assert right(stored(tmp_path / "t.csv", table, columns)) == ["d", "e"]
    table = rows_of(("a b c d", "A"), ("e f g h", "B"))
    table[1]["o2"] = None
    questions = stored(tmp_path / "t.csv", table, O4)
    assert right(questions) == ["a"] and questions.account().dropped["no_gold_label"] == 1


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_list_of_marks_has_a_one_for_each_right_choice(tmp_path: Path, kind: str) -> None:
    marked = [("abc", [0, 1, 0]), ("xyz", [1, 1, 0]), ("vw", [0, 1])]
    rows = [{"question": f"q{n}", "mc": {"choices": [*text], "labels": ones}} for n, (text, ones) in enumerate(marked)]
    questions = stored(tmp_path / f"t.{kind}", rows, {"choices": "mc.choices", "correct": "mc.labels"})
    assert right(questions) == ["b", "x", "w"]
    assert set(questions.questions("train")[1].answers) == {"x", "z"}  # never two right ones


def test_a_list_of_marks_of_another_length_is_refused(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["a", "b", "c"], "key": [2]}]
    assert "is [2] and there are 3 choices" in refusal(tmp_path / "t.jsonl", rows, LIST)


def test_marks_in_csv_are_read_as_in_json(tmp_path: Path) -> None:
    columns = {**O4, "choices": ["o1", "o2", "o3"]}
    for key in ([0, 1, 0], [False, True, False]):
        assert right(stored(tmp_path / "t.csv", rows_of(("a b c", key)), columns)) == ["b"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_right_and_wrong_may_be_lists(tmp_path: Path, kind: str) -> None:
    rows = [{"question": f"q{n}", "best": "yes", "also": ["yes", "aye"], "wrong": ["no", "never"]} for n in range(30)]
    for columns in ({"right": "best", "wrong": "wrong"}, {"right": "also", "wrong": ["wrong"]}):
        questions = stored(tmp_path / f"t.{kind}", rows, columns)
        assert set(right(questions)) == {"yes"}
        assert {text for q in questions.questions("train") for text in q.answers} == {"yes", "no", "never"}


def test_answers_that_differ_in_case_only_are_different(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "r": r, "w": w} for n, (r, w) in enumerate([("Pp", "PP"), ("MW", "mW"), ("a", " a")])]
    questions = stored(tmp_path / "t.csv", rows, {"right": "r", "wrong": "w"})
    assert right(questions) == ["Pp", "MW"]
    assert questions.account().dropped["no_two_different_answers"] == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"right": "a", "wrong": "b", "first": 0},
        {**O4, "first": 0, "labels": "l"},
        {**O4, "first": 2},
        {**O4, "reading": "words", "first": 1},
        {**O4, "reading": "letters", "labels": "l"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="labels, first and reading|less than or equal to 1"):
        Settings(kind="table", dataset="x", columns=columns)


ABOUT = ["All of the above", "None of these", "N/A", "nan", "Both A and B", "A and C only", "neither A nor B"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_options_that_are_no_answers_are_left_out_and_counted(tmp_path: Path, kind: str) -> None:
    table = [
        {"question": f"q{n}", "o1": "Neon", "o2": "Argon", "o3": "Krypton", "o4": option, "key": key}
        for n, (option, key) in enumerate((option, key) for option in ABOUT for key in "BD")
    ]
    questions = stored(tmp_path / f"t.{kind}", table, O4)
    assert right(questions) == ["Argon"] * len(ABOUT)
    assert not {text for q in questions.questions("train") for text in q.answers} & set(ABOUT)
    account = questions.account()
    assert (account.dropped["no_option_about_options"], account.options_left_out) == (len(ABOUT), 2 * len(ABOUT))
    every = stored(tmp_path / f"t.{kind}", table, O4, no_option_about_options=False)
    assert right(every) == [text for option in ABOUT for text in ("Argon", option)]


def test_a_row_with_one_answer_beside_those_that_are_none_is_left_out(tmp_path: Path) -> None:
    rows = [{"question": "q", "r": "Neon", "w": "N/A"}, {"question": "p", "r": "Neon", "w": "Argon"}]
    questions = stored(tmp_path / "t.csv", rows, {"right": "r", "wrong": "w"})
    assert right(questions) == ["Neon"] and questions.account().dropped["no_two_different_answers"] == 1

"""`rostrum questions show`, and the published question sets that are a YAML each: small files in their shape."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostrum.envs.questions.base import QuestionError
from rostrum.envs.questions.table import Settings
from rostrum.launch.cli import main
from rostrum.launch.groups import CONFIGS
from tests.envs.test_table import write

Shown = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Shown:
    """Runs `rostrum questions show` and returns the objects that it printed, one a line and nothing else."""

    def run(*words: str) -> list[dict[str, Any]]:
        assert main(["questions", "show", *words]) == 0
        return [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    return run


def arc(name: str, labels: str, texts: str, key: str) -> dict[str, Any]:
    choices = {"text": texts.split(), "label": [*labels]}
    return {"id": name, "question": f"Which rock, {name}?", "choices": choices, "answerKey": key}


def winogrande(reason: str, answer: str) -> dict[str, Any]:
    sentence = f"The cup did not fit the box because _ was too {reason}."
    return {"sentence": sentence, "option1": "cup", "option2": "box", "answer": answer}


def mmlu_pro(number: int, options: str, answer: str) -> dict[str, Any]:
    texts = options.split(", ")
    return {
        "question_id": number,
        "question": f"Which is it, {number}?",
        "options": texts,
        "answer": answer,
        "answer_index": "ABCDEFGHIJ".index(answer),
        "cot_content": "",
        "category": "x",
        "src": "x",
    }


def race(number: int, question: str, options: str, answer: str) -> dict[str, Any]:
    return {
        "example_id": f"high{number}.txt",
        "article": f"The gate of town {number} was open all day.",
        "question": question,
        "options": options.split(", "),
        "answer": answer,
    }


def truthful(best: str, correct: str, incorrect: str) -> dict[str, Any]:
    return {
        "type": "Adversarial",
        "category": "Health",
        "question": f"Is it {best}?",
        "best_answer": best,
        "correct_answers": correct.split(),
        "incorrect_answers": incorrect.split(),
        "source": "x",
    }


def truthful_mc(one: str, one_labels: list[int], several: str, several_labels: list[int]) -> dict[str, Any]:
    return {
        "question": f"Is it {one}?",
        "mc1_targets": {"choices": one.split(), "labels": one_labels},
        "mc2_targets": {"choices": several.split(), "labels": several_labels},
    }


ARC = [
    arc("M1", "ABCD", "slate pumice flint chalk", "B"),
    arc("N2", "123", "slate coal flint", "2"),
    arc("N3", "1234", "slate coal flint chalk", "4"),
]
WINOGRANDE = [winogrande("small", "2"), winogrande("large", "1"), winogrande("tight", "2")]
BELEBELE = [
    {
        "link": "https://en.wikibooks.org/x",
        "question_number": n,
        "flores_passage": f"The mill of town {n} stands.",
        "question": "What stands?",
        "mc_answer1": "a tower",
        "mc_answer2": "a mill",
        "mc_answer3": "a gate",
        "mc_answer4": "a bridge",
        "correct_answer_num": "2",
        "dialect": "eng_Latn",
        "ds": "2023-05-03",
    }
    for n in (1, 2)
]
MMLU_PRO = [
    mmlu_pro(70, "B, A, D, C, F, E, H, G, J, I", "B"),
    mmlu_pro(71, "Helium, Hydrogen, N/A, N/A", "B"),
    mmlu_pro(72, "Neon, Argon, All of the above", "C"),
]
GPQA = [
    {
        "Record ID": f"rec{n}",
        "Question": f"Which law, {n}?",
        "Correct Answer": "T^4 ",
        "Incorrect Answer 1": " T^3",
        "Incorrect Answer 2": "T^2\n",
        "Incorrect Answer 3": "t^4",
        "Explanation": "…",
        "High-level domain": "Physics",
    }
    for n in (1, 2)
]
RACE = [
    race(7, "The gate was _ .", "open, shut, lost, sold", "A"),
    race(7, "When?", "A, all day, C, B", "B"),
    race(8, "The gate was not _ .", "open, shut, lost, sold", "B"),
]
SCIQ = [
    {
        "question": f"What floats, {n}?",
        "distractor1": "lead",
        "distractor2": "tin",
        "distractor3": "iron",
        "correct_answer": "wood",
        "support": f"Wood floats, says book {n}.",
    }
    for n in (1, 2)
]
BOOLQ = [
    {"question": "is the gate open", "title": "Gate", "answer": True, "passage": "The gate was open."},
    {"question": "is the gate shut", "title": "Gate (old)", "answer": False, "passage": "The gate was open."},
    {"question": "is the mill open", "title": "Mill", "answer": False, "passage": "The mill was shut."},
]
TRUTHFULQA = [truthful("harmless", "harmless safe", "deadly"), truthful("yes", "yes", "no never")]
TRUTHFULQA_MC = [
    truthful_mc("harmless deadly lasting", [1, 0, 0], "harmless safe deadly", [1, 1, 0]),
    truthful_mc("no yes", [0, 1], "yes no", [1, 0]),
]

TRUTHFULQA_CSV = [
    {
        "Type": "Adversarial",
        "Category": "Law",
        "Question": f"Is it {best}?",
        "Best Answer": best,
        "Correct Answers": f"{best}; surely {best}",
        "Incorrect Answers": "never; not at all",
        "Source": "x",
    }
    for best in ("yes", "blue")
]
MC_TASK = [
    {
        "question": f"Is it {best}?",
        "mc0_targets": {best: 1, "no": 0},
        "mc1_targets": {best: 1, "no": 0, "never": 0},
        "mc2_targets": {"also": 1, best: 1, "no": 0},
    }
    for best in ("yes", "blue")
]
ARC_RELEASE = [
    {
        "id": row["id"],
        "answerKey": row["answerKey"],
        "question": {
            "stem": row["question"],
            "choices": [{"text": text, "label": label} for text, label in zip(*row["choices"].values(), strict=True)],
        },
    }
    for row in ARC
]
RACE_RELEASE = [
    {
        "id": f"high{number}.txt",
        "article": f"The gate of town {number} was open.",
        "questions": ["How?", "Who?"],
        "options": [["open", "shut", "lost", "sold"], ["A", "D", "C", "B"]],
        "answers": ["A", "B"],
    }
    for number in (1, 2)
]

PRESETS: dict[str, tuple[list[dict[str, Any]], str, list[str]]] = {
    "arc": (ARC, "parquet", ["pumice", "coal", "chalk"]),
    "winogrande": (WINOGRANDE, "csv", ["box", "cup", "box"]),
    "belebele": (BELEBELE, "jsonl", ["a mill", "a mill"]),
    "mmlu-pro": (MMLU_PRO, "parquet", ["A", "Hydrogen"]),
    "gpqa": (GPQA, "csv", ["T^4", "T^4"]),
    "race": (RACE, "parquet", ["open", "all day", "shut"]),
    "sciq": (SCIQ, "json", ["wood", "wood"]),
    "boolq": (BOOLQ, "jsonl", ["yes", "no", "no"]),
    "truthfulqa": (TRUTHFULQA, "parquet", ["harmless", "yes"]),
    "truthfulqa-mc": (TRUTHFULQA_MC, "jsonl", ["harmless", "yes"]),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_published_question_set_is_a_preset(preset: str, tmp_path: Path, shown: Shown) -> None:
    rows, kind, right = PRESETS[preset]
    found = shown(f"questions={preset}", f"questions.path={write(tmp_path / f'x.{kind}', rows)}", "n=10")
    assert [line["right"] for line in found] == right
    for line in found:
        assert list(line) == ["id", "question", "answers", "right"]
        assert len(line["answers"]) == 2 and line["right"] in line["answers"]
    assert len({line["id"] for line in found}) == len(found)


def test_the_questions_are_in_the_order_of_the_file_and_as_many_as_asked_for(tmp_path: Path, shown: Shown) -> None:
    path = write(tmp_path / "sciq.jsonl", [{**SCIQ[0], "question": f"q{n}", "support": f"s{n}"} for n in range(12)])
    words = ("questions=sciq", f"questions.path={path}")
    assert [line["question"] for line in shown(*words)] == [f"q{n}" for n in range(5)]
    assert [line["question"] for line in shown(*words, "n=20")] == [f"q{n}" for n in range(12)]
    limited = shown(*words, "n=20", "questions.train=2", "questions.heldout=3")
    assert len(limited) == 5 and [line["id"] for line in limited] == sorted((line["id"] for line in limited), key=len)


def test_questions_without_a_gold_label_and_made_ones_are_shown_too(tmp_path: Path, shown: Shown) -> None:
    path = write(tmp_path / "boolq.jsonl", [{**BOOLQ[0], "answer": None}, BOOLQ[2]])
    assert [line["right"] for line in shown("questions=boolq", f"questions.path={path}")] == [None, "no"]
    made = shown("questions=testimony", "n=3")
    assert [line["id"] for line in made] == ["train-0-0", "train-0-1", "train-0-2"]
    assert all(line["right"] in line["answers"] for line in made)


@pytest.mark.parametrize("n", ["0", "-1", "x", ""])
def test_a_wrong_number_of_questions_is_refused(n: str, refused: Callable[..., str]) -> None:
    assert "n cannot be" in (said := refused("questions", "show", f"n={n}")) or "Give n=" in said


def test_several_right_answers_of_truthfulqa_are_never_put_against_each_other(tmp_path: Path, shown: Shown) -> None:
    path = write(tmp_path / "x.jsonl", TRUTHFULQA_MC)
    words = ("questions.columns.choices=mc2_targets.choices", "questions.columns.correct=mc2_targets.labels")
    found = shown("questions=truthfulqa-mc", f"questions.path={path}", *words)
    assert [set(line["answers"]) for line in found] == [{"harmless", "deadly"}, {"yes", "no"}]


def test_the_reading_of_a_column_is_settled_on_the_command_line(
    tmp_path: Path, shown: Shown, refused: Callable[..., str]
) -> None:
    path = write(tmp_path / "x.csv", [{"question": "Which?", "a": "one", "b": "two", "c": "three", "key": 1}])
    words = ["questions=table", f"questions.path={path}", "questions.columns.choices=[a,b,c]"]
    words += ["questions.columns.correct=key"]
    assert "set questions.columns.first=0 or questions.columns.first=1" in refused("questions", "show", *words)
    for first, right in ((0, "two"), (1, "one")):
        assert [line["right"] for line in shown(*words, f"questions.columns.first={first}")] == [right]


def test_wrong_may_name_one_column(tmp_path: Path, shown: Shown) -> None:
    path = write(tmp_path / "x.jsonl", TRUTHFULQA)
    words = ("questions.columns.right=best_answer", "questions.columns.wrong=incorrect_answers")
    found = shown("questions=table", f"questions.path={path}", *words)
    assert [line["right"] for line in found] == ["harmless", "yes"]


def test_questions_about_one_story_are_shown_and_audited_and_a_note_says_that_a_split_is_empty(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "race.jsonl", RACE[:2])
    for action in ("show", "audit"):
        assert main(["questions", action, "questions=race", f"questions.path={path}"]) == 0
        out, error = capfd.readouterr()
        assert "has no held-out questions: its questions are about one story" in error and error.count("\n") == 1
        assert '"open"' in out or json.loads(out)["n_questions"] == 2


@pytest.mark.parametrize("command", ["train", "audit", "debate", "compare", "plan"])
def test_a_command_that_needs_held_out_questions_says_that_there_are_none(
    command: str, tmp_path: Path, refused: Callable[..., str], small: list[str]
) -> None:
    path = write(tmp_path / "race.jsonl", RACE[:2])
    models = [word for word in small if word.startswith(("debater.model", "judge.", "heldout_judges"))]
    output = [f"output={tmp_path / 'out'}"] if command != "debate" else []
    said = refused(command, *models, *output, "questions=race", f"questions.path={path}")
    assert "has no held-out questions: its questions are about one story" in said


def rights(path: Path, preset: str, **columns: object) -> list[str | None]:
    """What Rostrum understood of a file, without the command."""
    settings = yaml.safe_load((CONFIGS / "questions" / f"{preset}.yaml").read_text("utf-8"))
    settings["columns"] |= columns
    used = Settings(**{**settings, "path": path}).load().used()
    return [None if right is None else question.answers[right] for question, right in used]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "testimony"])
def test_a_preset_reads_every_format(preset: str, kind: str, tmp_path: Path) -> None:
    """Also lists and objects that a CSV file writes into one cell."""
    rows, _, right = PRESETS[preset]
    assert rights(write(tmp_path / f"x.{kind}", rows), preset) == right


@pytest.mark.parametrize(
    ("preset", "rows", "kind", "right"),
    [
        ("truthfulqa", TRUTHFULQA_CSV, "csv", ["yes", "blue"]),
        ("truthfulqa-mc", MC_TASK, "json", ["yes", "blue"]),
        ("truthfulqa-mc", MC_TASK, "jsonl", ["yes", "blue"]),
        ("arc", ARC_RELEASE, "jsonl", ["pumice", "coal", "chalk"]),
        ("race", RACE_RELEASE, "json", ["open", "D"] * 2),
        ("race", RACE_RELEASE, "parquet", ["open", "D"] * 2),
    ],
)
def test_a_preset_reads_the_form_of_the_release(
    preset: str, rows: list[dict[str, Any]], kind: str, right: list[str], tmp_path: Path
) -> None:
    assert rights(write(tmp_path / f"x.{kind}", rows), preset) == right


def test_race_is_read_from_its_folder_of_passages(tmp_path: Path) -> None:
    for level, row in zip(("high", "middle"), RACE_RELEASE, strict=True):
        (tmp_path / level).mkdir()
        (tmp_path / level / row["id"].removeprefix("high")).write_text(json.dumps(row), "utf-8")
    assert rights(tmp_path, "race") == ["open", "D"] * 2
    (tmp_path / "high" / "bad.txt").write_text("no JSON", "utf-8")
    with pytest.raises(QuestionError, match="bad.txt, line 1"):
        rights(tmp_path, "race")


def test_several_right_answers_of_the_release_are_never_put_against_each_other(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", MC_TASK)
    right = rights(path, "truthfulqa-mc", choices="mc2_targets", correct="mc2_targets")
    assert right == ["also", "also"]


def test_an_answer_in_brackets_is_an_answer(tmp_path: Path) -> None:
    rows = [{"question": f"Which interval, {n}?", "r": "[0, 1]", "w": "[1, 2]"} for n in (1, 2)]
    assert rights(write(tmp_path / "x.csv", rows), "table", right="r", wrong=["w"]) == ["[0, 1]"] * 2


@pytest.mark.parametrize("absent", ["", -1, "-1", "-1.0", None])
@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_missing_label_is_never_the_last_option(absent: object, kind: str, tmp_path: Path) -> None:
    options = dict(zip("wxyz", ("one", "two", "three", "four"), strict=True))
    rows = [{"question": f"q{n}", **options, "key": key} for n, key in enumerate((0, 3, absent, 2))]
    path = write(tmp_path / f"x.{kind}", rows)
    assert rights(path, "table", choices=[*"wxyz"], correct="key", first=0) == ["one", "four", "three"]


def test_what_is_left_out_is_counted_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [
        *({"question": f"q{n}\u2028x", "options": ["w\u2029", "x", "N/A"], "answer": "A"} for n in range(3)),
        {"question": "q9", "options": ["w", "x", "All of the above"], "answer": "C"},
        {"question": "q8", "options": ["w", "x", "y"], "answer": ""},
    ]
    words = ["questions=table", f"questions.path={write(tmp_path / 'x.json', rows)}"]
    words += ["questions.columns.choices=options", "questions.columns.correct=answer"]
    assert main(["questions", "show", *words]) == 0
    out, error = capfd.readouterr()
    assert [json.loads(line)["right"] for line in out.splitlines()] == ["w"] * 3
    assert "2 of 5 questions are left out: 1 no gold label, 1 no option about options." in error
    assert "4 options that are no answers of their own are left out." in error

"""Files of questions as they come: encodings, dividers, cells too many or too few; what is wrong with a broken one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.envs.questions.base import QuestionError
from rostrum.envs.questions.jsonl import JsonLinesQuestions
from rostrum.envs.questions.table import Settings

COLUMNS = {"right": "right", "wrong": "wrong"}
TEXT = 'question,right,wrong\r\nWho paid in Öre?,Jöns,Åsa\r\n"Who, then?","the ""old"" smith",nobody\r\n'
READ = [("Who paid in Öre?", {"Jöns", "Åsa"}), ("Who, then?", {'the "old" smith', "nobody"})]
Read = Callable[..., list[tuple[str, set[str]]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def load(content: bytes, name: str = "t.csv", **settings: str) -> list[tuple[str, set[str]]]:
        path = tmp_path / name
        path.write_bytes(content)
        table = Settings(kind="table", path=path, columns=COLUMNS, heldout_fraction=0, **settings)
        return [(question.text, set(question.answers)) for question in table.load().questions("train")]

    return load


def refusal(read: Read, content: bytes | str, name: str = "t.csv") -> str:
    with pytest.raises(QuestionError) as error:
        read(content.encode() if isinstance(content, str) else content, name)
    told = str(error.value)
    assert name in told and "\n" not in told and told.endswith(".")
    return told


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings_are_read(read: Read, encoding: str) -> None:
    assert read(TEXT.encode(encoding)) == READ


def test_other_encodings_are_refused_with_what_to_try_and_read_when_named(read: Read) -> None:
    told = refusal(read, TEXT.encode("cp1252"))
    assert "line 2: cannot be read as CSV in UTF-8: it has the byte 0xd6, which is 'Ö' in Windows-1252" in told
    assert "questions.encoding=cp1252" in told
    for encoding in ("cp1252", "latin-1"):
        assert read(TEXT.encode(encoding), encoding=encoding) == READ
    assert "save it as UTF-8" in refusal(read, TEXT.encode("utf-16-le"))
    assert read(TEXT.encode("utf-16-le"), encoding="utf-16-le") == READ
    with pytest.raises(QuestionError, match="questions.encoding=nosuch is not known"):
        read(TEXT.encode(), encoding="nosuch")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_dividers_are_found(read: Read, delimiter: str) -> None:
    text = "question;right;wrong\nWho, in May, paid?;Ann, of course;Eve\n\nWho?;a;b\n".replace(";", delimiter)
    expected = [("Who, in May, paid?", {"Ann, of course", "Eve"}), ("Who?", {"a", "b"})]
    assert read(text.encode()) == expected
    assert read(text.encode(), "t.tsv" if delimiter == "\t" else "t.csv") == expected


def test_line_ends_and_blank_lines_make_no_difference(read: Read) -> None:
    lines = TEXT.replace("\r\n", "\n")
    for text in (lines, lines.replace("\n", "\r"), lines + "\n \n\n", "\n" + lines, lines.rstrip()):
        assert read(text.encode()) == READ


def test_cells_may_be_long(read: Read) -> None:
    long = "word " * 60_000
    assert read(f"question,right,wrong\nWho?,{long},b\n".encode()) == [("Who?", {long.strip(), "b"})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "question,right,wrong\nA?,a,b\nAfter the flood, who left?,c,d\n",
            "line 3: row 2 has 4 cells and the header names 3 columns (After the flood | who left?)",
        ),
        ("question,right,wrong\nA?,a\n", "line 2: row 1 has 2 cells and the header names 3 columns"),
        ('question,right,wrong\n"A\n?",a,b\nB?,c,d,\n', "line 4: row 2 has 4 cells"),
        ("question;right;wrong\nA?;a;b;c\n", "line 2: row 1 has 4 cells"),
        (
            'question,right,wrong\nA?,"yes" he said,"no" he said\n',
            "line 2: the row cannot be read as CSV: a quotation mark inside a quoted cell is not doubled",
        ),
        ('question,right,wrong\nA?,a,b\nB?,"yes,no\n', "line 3: the row cannot be read as CSV: a cell begins with"),
        ("question,right,right\nA?,a,b\n", "has two columns 'right'"),
        ("", "is empty"),
    ],
)
def test_broken_csv_is_told_with_its_line(read: Read, text: str, said: str) -> None:
    assert said in refusal(read, text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.json", '[\n  {"a": "Who?"},\n]', "line 3: the line is not JSON: nothing follows the comma before ']', on"),
        ("t.json", '[\n {"a": 1}\n {"b": 2}\n]', "line 3: the line is not JSON: a comma or a closing bracket is"),
        ("t.json", '[{"a": 1},\n{"b": ', "line 2: the line is not JSON: it ends too early"),
        ("t.json", '[{"a": "x\ny"}]', "line 1: the line is not JSON: a line break or another control character"),
        ("t.json", "[{'a': 1}]", "a name in double quotation marks is expected"),
        ("t.json", '{\n"a": tru\n}', "line 2: the line is not JSON: a value is expected, and 'tru' stands there"),
        ("t.jsonl", '{"a": 1}\n{"a": 1,}\n', "line 2: the line is not JSON: nothing follows the comma before '}'"),
        ("t.jsonl", '{"a": "x}\n', "line 1: the line is not JSON: a string has no closing quotation mark"),
        ("t.jsonl", '{"a": 1} {"b": 2}\n', "stands behind its end"),
        ("t.jsonl", '{"a": "\\q"}\n', "line 1: the line is not JSON: invalid \\escape"),
        ("t.json", '{"a": 1}\n{"a": \n', "line 2: the line is not JSON: it ends too early"),
        ("t.json", "[" * 100_000, "line 1: the line is not JSON: brackets in brackets go too deep"),
    ],
)
def test_broken_json_is_told_with_its_line_and_what_is_wrong(read: Read, name: str, text: str, said: str) -> None:
    assert said in refusal(read, text, name)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
def test_json_has_marked_encodings_too(read: Read, encoding: str, name: str) -> None:
    text = '{"question": "Öre?", "right": "a", "wrong": "b"}'
    assert read((f"[{text}]" if name == "t.json" else text).encode(encoding), name) == [("Öre?", {"a", "b"})]


def test_a_broken_parquet_file_says_why(read: Read) -> None:
    assert "cannot be read as Parquet (" in refusal(read, b"PAR1 no more", "t.parquet")


def test_the_projects_own_format_tells_the_same(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "1",\n', "utf-8")
    with pytest.raises(QuestionError, match=r"q.jsonl, line 1: the line is not JSON: it ends too early"):
        JsonLinesQuestions(path)

"""Nothing that comes from a model, a file or a name is obeyed by a terminal: it is shown, on every way there."""

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from rostrum.envs.types import AnswerKey, Protocol, Question, Side, Speech, Transcript
from rostrum.launch import errors
from rostrum.launch.cli import main
from rostrum.launch.commands import debate
from rostrum.rewards.types import Verdict
from rostrum.trainer import progress
from rostrum.trainer.terminal import Console, visible, visible_json

KINDS = {
    "CSI colours": "\x1b[31m",
    "CSI cursor": "\x1b[2J\x1b[1;1H",
    "CSI in one character": "\x9b31m",
    "OSC 8 link": "\x1b]8;;https://example.org\x1b\\here\x1b]8;;\x1b\\",
    "OSC 52 clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "OSC in one character": "\x9d0;title\x9c",
    "DCS": "\x1bP+q\x1b\\",
    "bare return": "all is well\rrm",
    "bell": "\x07",
    "backspaces": "no\x08\x08yes",
    "delete": "\x7f",
    "null": "\x00",
    "shift out": "\x0e",
    "next line": "\x85",
    "right to left": "\u202egnp.exe",
    "embedding": "\u202a\u202b\u202d\u202c",
    "isolates": "\u2066a\u2067b\u2068c\u2069",
    "marks of direction": "\u200e\u200f\u061c",
    "line separators": "\u2028\u2029",
    "lone surrogates": "\ud800 \udfff \udc9b",
}
PLAIN = "Straße, 東京, שלום, 🦉\tand\nmore"
every_kind = pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)


def obeyed(shown: str) -> list[str]:
    """Return the characters that a terminal would obey, or that cannot be sent to one."""
    unseen = {*map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F)))}
    unseen |= {chr(code) for code in (*range(0x2066, 0x206A), *range(0xD800, 0xE000))}
    return [char for char in shown if char in unseen - {"\n", "\t"}]


@every_kind
def test_text_is_shown_and_not_obeyed(text: str) -> None:
    assert not obeyed(visible(text)) and visible(PLAIN + text).startswith(PLAIN)
    written = visible_json(json.dumps({"name": text}, ensure_ascii=False))
    assert not obeyed(written) and json.loads(written) == {"name": text}


class Screen(io.StringIO):
    """What is written on, and a mark for when a text has been."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self._awaited, self.told = awaited, threading.Event()

    def write(self, text: str) -> int:
        if self._awaited in text:
            self.told.set()
        return super().write(text)


def watched(monkeypatch: pytest.MonkeyPatch, terminal: bool, awaited: str) -> Screen:
    screen = Screen(awaited)
    shown = Console(file=screen, force_terminal=terminal, color_system=None, width=300)
    monkeypatch.setattr(progress, "console", shown)
    return screen


@every_kind
def test_errors_lines_tables_and_bars(
    text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors.tell(f"The folder {text} is not empty.")
    told = capfd.readouterr().err
    assert "The folder" in told and text not in told and not obeyed(told)
    table = Table("judge")
    table.add_row(Text(text))
    for terminal in (False, True):  # a terminal, which gets sequences of our own, is not told by an environment
        screen = watched(monkeypatch, terminal, "+0.4")
        progress.say(f"{text}: verdicts")
        progress.console.print(table)
        with progress.activity(f"{text} judges", 2, text, after=0, pulse=0.01) as bar:
            bar.advance(1, f"{text} +0.3")
            bar.advance(1, f"{text} +0.4")
            assert screen.told.wait(30)
        assert text not in screen.getvalue() and (terminal or not obeyed(screen.getvalue()))


def test_a_long_wait_is_told_and_the_line_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets the line while the body runs, and it is wiped at the end; a short wait gets none."""
    screen = watched(monkeypatch, True, "A to speak")
    with progress.activity("A to speak", after=0):
        assert screen.told.wait(30)
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")
    screen = watched(monkeypatch, True, "A to speak")
    with progress.activity("A to speak", after=60):
        pass
    assert "A to speak" not in screen.getvalue()


def test_a_file_is_told_now_and_then_of_the_innermost(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch, False, "learning: 1 of 3 steps")
    with progress.activity("iteration 2", 4, "debates", pulse=0.01), progress.activity("learning", 3, "steps") as steps:
        steps.advance()
        assert screen.told.wait(30)
    told = screen.getvalue()
    assert told.endswith(" s)\n") and "\x1b" not in told
    screen = watched(monkeypatch, False, "iteration 2")
    with progress.activity("iteration 2", 4, "debates", pulse=0.01):
        assert screen.told.wait(30)


def test_short_work_leaves_no_line_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch, False, "soon done")
    progress.say("begins")
    with progress.activity("soon done"):
        pass
    assert screen.getvalue() == "begins\n"


def test_other_ranks_keep_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    before = threading.active_count()
    with progress.activity("learning"):
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("rate", "told"), [(0.0672, "0.067"), (1.24, "1.2"), (9.96, "10"), (35.2, "35"), (1200, "1,200")]
)
def test_a_slow_rate_is_no_zero(rate: float, told: str) -> None:
    assert progress.per_second(rate) == told


@every_kind
def test_a_debate_on_the_screen(text: str, questions: list[Question], capfd: pytest.CaptureFixture[str]) -> None:
    screen = debate._Screen(Console(highlight=False, width=200))
    question = replace(questions[0], passage=text, text=text, answers=(f"a{text}", f"b{text}"))
    said = Speech("A", Side.A, 1, f"<v_quote>{text}</v_quote> {text}", text, 2, private=text)
    screen.speech(said, Protocol("debate"))
    screen.probability(Verdict(text, 0.4, 0.6))
    screen.probability(Verdict(text, None, None, valid=False, reason=text, unreadable=text))
    transcript = Transcript(question, Protocol(name="debate"), question.answers, False, (said,))
    screen.verdict(transcript, Verdict("judge", 0.6, 0.6), AnswerKey({question.id: 0}))
    shown = capfd.readouterr().out
    assert shown and not obeyed(shown)


def test_questions_are_printed_as_json_that_no_terminal_obeys(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hostile = "".join(text for name, text in KINDS.items() if name != "lone surrogates")
    path = tmp_path / "q.jsonl"
    rows = [
        {
            "id": f"{story}",
            "question": f"q{hostile}",
            "answers": [f"x{hostile}", "y"],
            "passage": f"p {story}",
            "correct": 0,
        }
        for story in "12"
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert main(["questions", "show", "questions=jsonl", f"questions.path={path}"]) == 0
    shown = capfd.readouterr()
    assert not obeyed(shown.out + shown.err)
    first = json.loads(shown.out.splitlines()[0])
    assert first["right"].startswith("x") and "\x1b]52;c;" in first["question"]


def test_what_is_wrong_with_a_command_line_is_shown(
    refused: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    for text in KINDS.values():
        said = refused("report", f"run=no{text}folder")
        assert not obeyed(said)
    with pytest.raises(SystemExit):
        main(["--no\x1b]52;c;cm0gLXJm\x07"])
    assert not obeyed(capfd.readouterr().err)

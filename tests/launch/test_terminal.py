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


@every_kind
def test_errors_lines_tables_and_bars(
    text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors.tell(f"The folder {text} is not empty.")
    table = Table("judge")
    table.add_row(Text(text))
    for terminal in (False, True):  # a terminal, which gets sequences of our own, is not told by an environment
        console = Console(stderr=True, force_terminal=terminal, color_system=None, width=80)
        monkeypatch.setattr(progress, "console", console)
        progress.say(f"{text}: verdicts")
        console.print(table)
        with progress.debates_bar(f"{text} judges", 2) as bar:
            bar.advance(1, f"{text} +0.3")
            bar.advance(1, f"{text} +0.4")
        shown = capfd.readouterr()
        if not terminal:
            assert "The folder" in shown.err and not obeyed(shown.err + shown.out)
        assert text not in shown.err + shown.out


def test_a_long_wait_is_told_and_the_line_disappears() -> None:
    """A terminal gets the line while the body runs, and it is wiped at the end; a short wait, and a file, get none."""

    class Screen(io.StringIO):
        told = threading.Event()

        def write(self, text: str) -> int:
            if "A to speak" in text:
                self.told.set()
            return super().write(text)

    def shown(terminal: bool, after: float) -> Screen:
        screen = Screen()
        console = Console(file=screen, force_terminal=terminal, color_system=None)
        with progress.waiting("A to speak", after, console):
            assert after > 0 or not terminal or screen.told.wait(30)
        return screen

    assert shown(terminal=True, after=0).getvalue().endswith("\x1b[1A\x1b[2K")
    assert shown(terminal=True, after=60).getvalue() == shown(terminal=False, after=0).getvalue() == ""


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

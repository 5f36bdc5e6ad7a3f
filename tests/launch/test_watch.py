"""`rostrum debate`: each speech, the judge's probability after it, and no way for a debater to reach the terminal."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.launch.cli import main
from rostrum.launch.commands import debate
from rostrum.rewards.types import Verdict
from rostrum.trainer import engines, setup

HOSTILE = "\x1b[31mred\x1b[0m [bold]shout[/bold] <quote> hugo saw it in </quote> <quote> nobody ever said this </quote>"


class Judge:
    """Says .5 before the first speech and .1 more after each."""

    name = "counting-judge"

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        values = [0.5 + 0.1 * len(transcript.speeches) for transcript in transcripts]
        return [Verdict(self.name, value, value) for value in values]


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch, scripted_engine: Callable[..., object]) -> Callable[..., None]:
    """Make debaters speak by a script, before a judge that counts."""

    def put(script: Callable[[str], str]) -> None:
        monkeypatch.setattr(engines, "make_engine", lambda *_: scripted_engine(script))
        monkeypatch.setattr(setup, "judge", lambda _: Judge())

    return put


@pytest.fixture
def scripted(speak: Callable[..., None]) -> None:
    """Debaters that say something hostile with an honest quote of the passage in it, and a judge that counts."""

    def speech(context: str) -> str:
        sentence = re.search(r"in the \w+ \w+ saw it", context)
        assert sentence is not None
        return HOSTILE.replace("hugo saw it in", sentence[0])

    speak(speech)


def test_a_debate_is_shown_speech_by_speech(
    scripted: None, small: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["debate", *small, "question=2"]) == 0
    shown = capfd.readouterr().out
    assert re.findall(r"P\(A\) = ([\d.]+)", shown) == ["0.50", "0.60", "0.70", "0.80", "0.90"]
    assert re.findall(r"^ ([AB])  +red", shown, re.MULTILINE) == ["A", "B", "A", "B"]
    assert "The judge picks A" in shown and "The right answer is" in shown
    bars = re.findall("A (█*)(░*) B", shown)
    assert [len(filled) for filled, _ in bars] == [12, 14, 17, 19, 22]
    assert {len(filled) + len(empty) for filled, empty in bars} == {24}


def test_the_judges_question_is_shown_between_the_rounds(
    scripted: None, small: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["debate", *small, "protocol=interactive"]) == 0
    lines = capfd.readouterr().out.splitlines()
    (asked,) = (number for number, line in enumerate(lines) if "judge asks:" in line)
    spoken = [number for number, line in enumerate(lines) if re.match(r" [AB]  +red", line)]
    assert spoken[1] < asked < spoken[2]


def test_quotes_are_marked_and_hostile_text_stays_text(
    scripted: None, small: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["debate", *small]) == 0
    shown = capfd.readouterr().out
    assert "\x1b" not in shown
    assert "[bold]shout[/bold]" in shown
    assert len(re.findall(r"✓“in the \w+ \w+\s+saw\s+it”", shown)) == 4
    assert len(re.findall(r"✗“nobody\s+ever\s+said\s+this”", shown)) == 4
    assert "quote>" not in shown


def test_thoughts_are_shown_apart_as_unseen(
    speak: Callable[..., None], small: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    speak(lambda _: "<thinking>SECRET</thinking> red")
    assert main(["debate", *small, "protocol.scratchpad=true"]) == 0
    shown = capfd.readouterr().out
    assert re.findall(r"^ ([AB])  +\(thinks, unseen\) SECRET$", shown, re.MULTILINE) == ["A", "B", "A", "B"]
    assert re.findall(r"^ ([AB])  +red$", shown, re.MULTILINE) == ["A", "B", "A", "B"]


def test_a_consultant_speaks_alone(scripted: None, small: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["debate", *small, "protocol=consultancy"]) == 0
    shown = capfd.readouterr().out
    assert re.findall(r"^ ([AB])  +red", shown, re.MULTILINE) == ["A", "A"]
    assert "nobody argues it" in shown


def test_a_run_argues_with_its_last_policy_and_its_own_configuration(
    trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["debate", f"a={trained}", f"b={trained}/policies/iteration-0000", "seed=1"]) == 0
    shown = "".join(capfd.readouterr().out.split())
    assert f"(arguedby{trained}/policies/iteration-0001)" in shown
    assert f"(arguedby{trained}/policies/iteration-0000)" in shown
    assert shown.count("P(A)=") == 5


def test_the_same_seed_gives_the_same_debate(small: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    shown = []
    for seed in (3, 3, 4):
        assert main(["debate", *small, f"seed={seed}"]) == 0
        shown.append(capfd.readouterr().out)
    assert shown[0] == shown[1] != shown[2]


def test_speeches_may_be_chosen_among_several(small: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    shown = []
    for decoding in ("plain", "best_of"):
        assert main(["debate", *small, f"decoding={decoding}"]) == 0
        shown.append(capfd.readouterr().out)
    assert shown[0] != shown[1] and all(text.count("P(A) =") == 5 for text in shown)


def test_a_debate_that_cannot_go_on_says_why(
    speak: Callable[..., None], small: list[str], refused: Callable[..., str]
) -> None:
    speak(lambda _: "word " * 10_000)
    told = refused("debate", *small)
    assert "The debate could not be finished: the context of speaker B has" in told


def test_who_is_waited_for_is_told(questions: Sequence[Question]) -> None:
    protocol = Protocol("interactive", rounds=2, simultaneous=True, judge_asks=True)
    game = Debate(questions[0], protocol, False, load_prompts("testimony"))
    assert debate.next_to_speak(game) == "A and B to speak"
    game.hear({"A": Utterance("red"), "B": Utterance("red")})
    assert debate.next_to_speak(game) == "the judge asks"


def test_a_question_file_cannot_reach_the_terminal_either(
    scripted: None, small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    questions = tmp_path / "questions.jsonl"
    line = {
        "question": "\x1b[2Jwhere ?",
        "answers": ["\x1b[31mhall", "[red]loft[/red]"],
        "passage": "\x1b]0;title\x07in the hall hugo saw it .",
        "correct": 0,
    }
    records = [json.dumps({"id": str(i), "story_id": str(i), **line}, ensure_ascii=False) for i in range(8)]
    apart = [record.replace("hugo saw", f"hugo saw it . in the loft anna{i} saw") for i, record in enumerate(records)]
    questions.write_text("\n".join(apart), "utf-8")
    assert main(["debate", *small, "questions=jsonl", f"questions.path={questions}"]) == 0
    shown = capfd.readouterr().out
    assert "\x1b" not in shown and "\x07" not in shown and "title" not in shown
    assert "[red]loft[/red]" in shown

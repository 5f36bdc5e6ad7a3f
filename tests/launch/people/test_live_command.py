"""`rostrum people play` as a process, scripted judges over HTTP, and debaters that are a run's own checkpoints."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rostrum.envs.transcripts import from_json
from rostrum.envs.types import Protocol, Transcript
from rostrum.launch.cli import main
from rostrum.launch.people import access
from rostrum.launch.people.player import as_evaluated
from rostrum.launch.people.scripted import Habits, Scripted, right_answers
from rostrum.rewards.people import database, live, verdicts
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import id_of
from rostrum.rewards.people.live import Work
from rostrum.trainer.evaluation.people import results
from rostrum.trainer.evaluation.people.playing import RunDebaters, can_ask
from tests.launch.people.test_command import PEOPLE

PATIENT = Habits(asks=1.0, patience=600)
LIVE = [*PEOPLE, "people.live=true"]


@pytest.fixture
def study(evaluated: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    assert main(["people", "new", f"output={folder}", f"runs={evaluated}", *LIVE]) == 0
    return folder


def stored(study: Path) -> list[tuple[Transcript, str, str, int]]:
    """Debates with the run and checkpoint of their condition, and its number."""
    db = database.connect(study)
    rows = db.execute(
        "SELECT d.transcript, c.run, c.checkpoint, c.id FROM debate d JOIN condition c ON c.id = d.condition"
    ).fetchall()
    db.close()
    return [(_transcript(text), run, checkpoint, condition) for text, run, checkpoint, condition in rows]


def _transcript(text: str) -> Transcript:
    record = from_json(json.loads(text))
    assert isinstance(record, Transcript)
    return record


def test_a_live_study_is_rehearsed(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["people", "rehearse", str(study), "judges=4"]) == 0
    assert "people gave 8 verdicts" in capsys.readouterr().out
    db = database.connect(study / "rehearsal")
    asked = db.execute("SELECT state, count(*) FROM inquiry WHERE text != '' GROUP BY state").fetchall()
    assert [state for state, _ in asked] == ["done"], "all questions were answered"
    debates = [_transcript(text) for (text,) in db.execute("SELECT transcript FROM live")]
    assert len(debates) == asked[0][1] > 0
    texts = {id_of(debate) for debate in debates}
    for debate in debates:
        (inquiry,) = debate.inquiries
        assert inquiry.text == "Where is that said?" and inquiry.turn == 2
        assert [speech.turn for speech in debate.speeches] == [0, 1, 2, 3] and not debate.speeches[0].raw
    assert any(opinion.debate in texts for opinion in verdicts.opinions(db))
    judged = results.read(db)
    assert len(judged) == 8 and len({each.debate for each in judged if each.debate < 0}) == sum(
        each.debate < 0 for each in judged
    )


def test_a_rehearsal_ends_with_its_player(evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The weights of the checkpoints are gone, so the first question is the end; nobody waits."""
    run, folder = shutil.copytree(evaluated, tmp_path / "run"), tmp_path / "study"
    assert main(["people", "new", f"output={folder}", f"runs={run}", *LIVE]) == 0
    for weights in run.rglob("*.safetensors"):
        weights.unlink()
    capsys.readouterr()
    assert main(["people", "rehearse", str(folder), "judges=2"]) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "The debaters have ended, so nobody answers the judges any more:" in printed and "Traceback" not in printed
    db = database.connect(folder / "rehearsal")
    assert not db.execute("SELECT 1 FROM inquiry WHERE state = 'failed'").fetchone(), "nobody went on without"


def test_a_round_is_the_same_whoever_plays_it_and_answers_the_question(study: Path, evaluated: Path) -> None:
    """As when a player was killed, and as the checkpoint, not the base debater, would answer."""
    (config,) = as_evaluated([str(evaluated)], [])
    shown = {id_of(debate) for debate, *_ in stored(study)}
    debate, run, checkpoint, condition = next(each for each in stored(study) if each[2] != "base")
    work = Work(7, 1, "Where is that said?", 1, condition, run, checkpoint, id_of(debate), None)
    one, other = (RunDebaters({config.output.name: config}, shown, seed=5).answer(work) for _ in range(2))
    assert isinstance(one, Transcript) and one == other
    assert one.speeches[:2] == live.cut(one, 1).speeches and [s.text for s in one.speeches[:2]] == [
        speech.text for speech in debate.speeches[:2]
    ]
    assert {speech.policy_version for speech in one.speeches[2:]} == {1}
    assert all(speech.token_ids for speech in one.speeches[2:]) and one.inquiries[0].text == "Where is that said?"
    debaters = RunDebaters({config.output.name: config}, shown, seed=5)
    assert debaters.answer(replace(work, place=8)) != one and debaters.answer(replace(work, asked="Why?")) != one
    gone = debaters.answer(replace(work, shown="x"))
    assert not isinstance(gone, Transcript) and "does not hold this debate" in gone.reason


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-m", "rostrum", "people", *arguments], stdout=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


class Stubborn:
    """A browser that sends the same again while the server is away."""

    def __init__(self, address: str) -> None:
        self._client = httpx2.Client(base_url=address, follow_redirects=True, timeout=30)

    def get(self, url: str) -> Any:
        return self._again(lambda: self._client.get(url))

    def post(self, url: str, *, data: Any) -> Any:
        return self._again(lambda: self._client.post(url, data=data))

    def _again(self, send: Callable[[], Any]) -> Any:
        for _ in range(600):
            with suppress(httpx2.TransportError):
                return send()
            time.sleep(0.1)
        raise AssertionError("the server did not come back")


@pytest.mark.exhaustive
def test_player_and_server_are_killed_and_nothing_is_lost(study: Path) -> None:
    """Both are killed while judges ask, and started again: each question is answered once, in a whole debate."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    db = database.connect(study)
    right = right_answers(db.execute("SELECT d.transcript, a.correct FROM debate d JOIN answer a ON a.debate = d.id"))
    links = [access.invite(db) for _ in range(2)]
    serve, play = ("serve", str(study), f"port={port}"), ("play", str(study))

    def judge(number: int) -> int:
        browser = Stubborn(f"http://127.0.0.1:{port}")
        return Scripted(browser, right, PATIENT, number, understood=_understood(db)).judge_all(links[number])

    with process(*serve) as first_server, process(*play) as first_player:
        _until(lambda: db.execute("SELECT 1 FROM setting WHERE key = 'player'").fetchone())
        with ThreadPoolExecutor(2) as pool:
            judging = [pool.submit(judge, number) for number in range(2)]
            _until(lambda: db.execute("SELECT 1 FROM live").fetchone())
            os.kill(first_player.pid, signal.SIGKILL)
            os.kill(first_server.pid, signal.SIGKILL)
            with process(*serve), process(*play):
                sent = [each.result() for each in judging]
    assert sum(sent) >= db.execute("SELECT count(*) FROM verdict").fetchone()[0] == 2 * 4
    states = db.execute("SELECT DISTINCT state FROM inquiry").fetchall()
    assert [state for (state,) in states] == ["done"]
    for (text,) in db.execute("SELECT transcript FROM live"):
        debate = _transcript(text)
        assert [speech.turn for speech in debate.speeches] == [0, 1, 2, 3] and len(debate.inquiries) == 1
    assert (
        db.execute("SELECT count(*) FROM live").fetchone()[0]
        == db.execute("SELECT count(*) FROM inquiry").fetchone()[0]
    )
    db.close()


def _understood(db: Any) -> dict[str, str]:
    from rostrum.launch.people import comprehension

    return {each.question: each.right for each in comprehension.kept(db)}


def _until(there: Callable[[], Any]) -> None:
    for _ in range(1200):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_mistakes_are_told(evaluated: Path, study: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "people.live=true shows debates round by round" in refused(
        "people", "new", f"output={tmp_path}/whole", f"runs={evaluated}", *LIVE, "people.reading=whole"
    )
    still = tmp_path / "still"
    assert main(["people", "new", f"output={still}", f"runs={evaluated}", *PEOPLE]) == 0
    assert "only studies made with people.live=true are played" in refused("people", "play", str(still))
    assert "debater.temperature=0 is not known here" in refused("people", "play", str(study), "debater.temperature=0")
    gone = shutil.copytree(evaluated, tmp_path / "gone" / "run")
    made = tmp_path / "made"
    assert main(["people", "new", f"output={made}", f"runs={gone}", *LIVE]) == 0
    shutil.rmtree(gone / "policies")
    assert "is gone, and the debaters of this study are in it" in refused("people", "play", str(made))


@pytest.mark.parametrize(
    ("protocol", "why"),
    [
        (Protocol("one", rounds=1), "one round"),
        (Protocol("own", turns=({"A": "debater"}, {"B": "debater"})), "turns of its own"),
    ],
)
def test_debates_in_which_nobody_can_ask_are_refused(protocol: Protocol, why: str) -> None:
    with pytest.raises(StudyError, match=why):
        can_ask(protocol)
    assert live.LEASE > 3 and can_ask(Protocol("two")).judge_asks

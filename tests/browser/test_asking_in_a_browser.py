"""A live debate in a real Chromium: the judge asks, the page waits and goes on by itself, with and without a script."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.people import database, live
from rostrum.trainer.evaluation.people.playing import Player
from tests.browser import judging
from tests.browser.judging import PEOPLE, WHY, Reader
from tests.rewards.people.debaters import ScriptedDebaters

LIVE = PEOPLE.model_copy(update={"live": True, "training": 0, "qualification": 0})
ASKED = "Where is that said?"


@contextmanager
def playing(folder: Path) -> Iterator[None]:
    """Let scripted debaters answer while the block runs."""
    db, stop = database.connect(folder), threading.Event()
    player = threading.Thread(target=Player(folder, ScriptedDebaters(db), LIVE.live_seconds).run, args=(stop,))
    player.start()
    try:
        yield
    finally:
        stop.set()
        player.join()
        db.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_judge_asks_and_is_answered(chromium: Any, folder: Path, script: bool) -> None:
    judging.make(folder)
    db = database.connect(folder)
    live.beat(db, 10**10)  # nobody gives up: a player is heard of
    with judging.served(folder, LIVE) as address:
        reader = Reader(chromium, address, judging.link(folder), java_script_enabled=script)
        reader.join()
        reader.choose(60)
        reader.page.locator("#ask").fill(ASKED)
        reader.press("Next round")
        waiting = reader.page.locator("#waiting")
        assert waiting.count() and ASKED in waiting.inner_text()
        assert not reader.page.locator("input[name=p]").count(), "nothing to judge while the debaters answer"
        assert not script or not reader.faults()
        with playing(folder):
            reader.page.locator("input[name=p]").first.wait_for(timeout=30_000)
        assert ASKED in reader.page.locator("main").inner_text()
        reader.choose(70)
        reader.page.get_by_label("Why?").fill(WHY)
        reader.press("Send my verdict")
        assert not reader.complaints
        reader.close()
    assert db.execute("SELECT count(*) FROM live").fetchone()[0] == 1
    db.close()

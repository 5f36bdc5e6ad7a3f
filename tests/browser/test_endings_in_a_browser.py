"""The pages on which a judge's way ends or waits: paused, stopped, warned, left, last page. axe-core finds nothing
serious on any of them, on a desktop, a phone and in the dark.

With ROSTRUM_PICTURES=FOLDER each is also kept as a picture, to be looked at.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.rewards.people import controls, database, mail, quality
from tests.browser import judging
from tests.browser.judging import PEOPLE, Reader

DESKTOP: dict[str, Any] = {"viewport": {"width": 1000, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
DARK: dict[str, Any] = {**DESKTOP, "color_scheme": "dark"}
SHORT = PEOPLE.model_copy(update={"training": 0, "qualification": 0})


@pytest.mark.parametrize("screen", [DESKTOP, PHONE, DARK], ids=["desktop", "phone", "dark"])
def test_nothing_serious_is_found_where_a_way_ends(
    chromium: Any, folder: Path, screen: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    db = judging.make(folder)
    with judging.served(folder, SHORT) as address:
        looked: list[str] = []

        def look(reader: Reader, name: str, heading: str) -> None:
            assert reader.heading() == heading
            if pictures := os.environ.get("ROSTRUM_PICTURES"):
                reader.page.screenshot(path=Path(pictures) / f"{name}-{request.node.callspec.id}.png", full_page=True)
            assert not reader.faults(), name
            looked.append(name)

        def someone(then: Callable[[Reader, str], None]) -> None:
            reader = Reader(chromium, address, judging.link(folder), **screen)
            reader.join()
            (judge,) = db.execute("SELECT id FROM judge ORDER BY number DESC LIMIT 1").fetchone()
            then(reader, judge)
            assert not reader.complaints
            reader.close()

        def leaves(reader: Reader, judge: str) -> None:
            reader.press("Leave the study")
            look(reader, "left", "You have left the study")

        def is_warned_and_stopped(reader: Reader, judge: str) -> None:
            with database.transaction(db):
                quality.warn(db, judge, "Please read more carefully. Debates read too fast: 2.", 1)
            mail.send(db, judge, "researcher", "Did the second round load for you?\nWe saw a gap.", 2)
            reader.page.goto("/")
            look(reader, "warned", "Practice: debate 1")
            controls.stop(db, judge, "You did not read carefully often enough.")
            reader.page.goto("/")
            look(reader, "stopped", "Your part ends here")
            reader.page.goto("/messages")
            look(reader, "messages", "Your messages")

        def finds_it_paused_and_comes_to_the_end(reader: Reader, judge: str) -> None:
            reader.judge(80)
            look(reader, "feedback", "Feedback")
            controls.pause(db)
            reader.page.get_by_role("link", name="Go on").click()
            look(reader, "paused", "The study is paused")
            controls.resume(db)
            db.execute("UPDATE judge SET state = 'survey' WHERE id = ?", (judge,))
            reader.page.goto("/")
            look(reader, "survey", "One last page")
            reader.press("Finish")
            look(reader, "finished", "Thank you")

        for then in (leaves, is_warned_and_stopped, finds_it_paused_and_comes_to_the_end):
            someone(then)
        assert len(looked) == 8
        reader = Reader(chromium, address, "/", **screen)
        for path, name, heading in (
            ("/", "no link", "Please use your link"),
            ("/x", "no page", "There is no such page"),
        ):
            reader.page.goto(path)
            look(reader, name, heading)
        reader.close()
    db.close()

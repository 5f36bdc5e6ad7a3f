"""The researcher's pages in a real Chromium: each is reached from the menu, and axe-core finds nothing serious."""

import json
from pathlib import Path
from typing import Any

import pytest

from rostrum.launch.people.researcher_pages import ResearcherPages
from rostrum.rewards.people import database, debates
from tests.browser import judging
from tests.browser.judging import PEOPLE, Reader
from tests.rewards.people.study import transcript

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}


def _with_all_that_a_study_can_have(folder: Path) -> None:
    """Tags, other scales, a model that is checked, and a queue."""
    db = database.connect(folder)
    db.execute("UPDATE verdict SET also = ?", (json.dumps({"choice": "A", "rating": {"A": 8, "B": 3}}),))
    db.execute("UPDATE judge SET tags = ?", (json.dumps(["reads novels"]),))
    db.execute("INSERT INTO model_verdict VALUES (3, 'panel', .8, 'random'), (4, 'panel', .3, 'disagreed')")
    debates.put(db, [transcript(99, 0)])
    db.close()


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desktop", "dark phone"])
def test_nothing_serious_is_found_on_any_page(chromium: Any, folder: Path, screen: dict[str, Any]) -> None:
    judging.make(folder)
    judging.judged(folder)
    _with_all_that_a_study_can_have(folder)
    with judging.served(folder, PEOPLE.model_copy(update={"check": "panel"}), of=ResearcherPages) as address:
        reader = Reader(chromium, address, "/", **screen)
        reader.page.goto("/")
        found = {reader.heading(): reader.faults()}
        reader.log_in()
        menu = reader.page.locator("nav a").evaluate_all("each => each.map(a => a.getAttribute('href'))")
        assert len(menu) == 9
        for path in [*menu, "/judges/judge-00000000", "/debates/3"]:
            reader.page.goto(path)
            found[reader.heading()] = reader.faults()
        assert len(found) == 12 and not {name: of for name, of in found.items() if of}
        assert not reader.complaints
        reader.close()

"""The researcher's pages in a real Chromium: each is reached from the menu, and axe-core finds nothing serious."""

from pathlib import Path
from typing import Any

import pytest

from rostrum.launch.people.researcher_pages import ResearcherPages
from tests.browser import judging
from tests.browser.judging import Reader

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desktop", "dark phone"])
def test_nothing_serious_is_found_on_any_page(chromium: Any, folder: Path, screen: dict[str, Any]) -> None:
    judging.make(folder)
    judging.judged(folder)
    with judging.served(folder, of=ResearcherPages) as address:
        reader = Reader(chromium, address, "/", **screen)
        reader.page.goto("/")
        found = {reader.heading(): reader.faults()}
        reader.log_in()
        menu = reader.page.locator("nav a").evaluate_all("each => each.map(a => a.getAttribute('href'))")
        assert len(menu) == 8
        for path in [*menu, "/judges/judge-00000000", "/debates/3"]:
            reader.page.goto(path)
            found[reader.heading()] = reader.faults()
        assert len(found) == 11 and not {name: of for name, of in found.items() if of}
        assert not reader.complaints
        reader.close()

"""A judge's way in a real Chromium: from consent to survey, with closed tabs, lost networks, keyboards and phones."""

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rostrum.launch.people.judge_pages import JudgePages
from rostrum.launch.people.rehearsal import serving
from tests.browser import judging
from tests.browser.judging import PEOPLE, WHY, Reader
from tests.launch.people import quality_study
from tests.launch.people.quality_study import EVERYTHING

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
SAVED = "text=Saved"


def verdicts(folder: Path) -> list[tuple[float, str, float | None]]:
    with sqlite3.connect(folder / "study.sqlite") as db:
        return db.execute("SELECT p, explanation, active FROM verdict ORDER BY at").fetchall()


def test_a_judge_goes_the_whole_way(chromium: Any, folder: Path) -> None:
    """Consent, guidelines, practice with feedback, qualification, two stepped debates (in the first the tab is closed,
    in the second the network goes away), survey. Nobody else is asked for anything, and nothing is complained of."""
    judging.make(folder)
    with judging.served(folder) as address:
        reader = Reader(chromium, address, judging.link(folder))
        reader.join()
        assert reader.heading() == "Practice: debate 1"
        assert not reader.page.locator("input[name=p]:checked").count(), "nothing is chosen before"
        reader.judge(80)
        assert reader.heading() == "Feedback"
        reader.page.get_by_role("link", name="Go on").click()
        for number in (1, 2):
            assert reader.heading() == f"Qualification: debate {number}"
            reader.judge(70)
        assert reader.heading() == "Debates: debate 1"
        _close_the_tab(reader)
        assert reader.heading() == "Debates: debate 2"
        _lose_the_network(reader)
        assert reader.heading() == "One last page"
        reader.page.get_by_role("textbox").fill("Quotes helped.")
        reader.press("Finish")
        assert reader.heading() == "Thank you"
        assert {urlsplit(url).netloc for url in reader.requests if url != "about:blank"} == {urlsplit(address).netloc}
        assert not [each for each in reader.complaints if "ERR_INTERNET_DISCONNECTED" not in each]
        reader.close()
    found = verdicts(folder)
    assert len(found) == 5 and all(active is not None and active >= 0 for _, _, active in found)
    assert [text for _, text, _ in found[3:]] == ["Half a sentence, and the rest of it.", WHY]


def _close_the_tab(reader: Reader) -> None:
    reader.choose(60)
    reader.press("Next round")
    reader.choose(85)
    reader.page.get_by_label("Why?").press_sequentially("Half a sentence")
    reader.page.wait_for_selector(SAVED)
    reader.page.close()
    reader.open()
    box = reader.page.get_by_label("Why?")
    assert box.input_value() == "Half a sentence" and reader.page.locator("input[name=p][value='85']").is_checked()
    box.press("End")
    box.press_sequentially(", and the rest of it.")
    reader.press("Send my verdict")


def _lose_the_network(reader: Reader) -> None:
    reader.choose(60)
    reader.press("Next round")
    reader.choose(25)
    reader.context.set_offline(True)
    reader.page.get_by_label("Why?").fill(WHY)
    reader.page.get_by_role("button", name="Send my verdict").click()
    reader.page.wait_for_selector("text=There is no connection")
    assert reader.page.get_by_label("Why?").input_value() == WHY, "the page is still there"
    reader.context.set_offline(False)
    reader.page.wait_for_selector(SAVED)
    reader.press("Send my verdict")


def test_without_a_script(chromium: Any, folder: Path) -> None:
    judging.make(folder)
    with judging.served(folder) as address:
        reader = Reader(chromium, address, judging.link(folder), java_script_enabled=False)
        reader.join()
        reader.judge(80)
        reader.page.get_by_role("link", name="Go on").click()
        for p in (70, 60, 55, 80):
            reader.judge(p)
        reader.press("Finish")
        assert reader.heading() == "Thank you"
        reader.close()
    found = verdicts(folder)
    assert len(found) == 5 and all(active is None for _, _, active in found)


def test_with_the_keyboard_alone(chromium: Any, folder: Path) -> None:
    """From the top of the page Tab leads to the scale, arrows choose, Tab leads on to the box and the button."""
    judging.make(folder)
    with judging.served(folder) as address:
        reader = Reader(chromium, address, judging.link(folder))
        reader.join()
        page = reader.page
        _tab_to(page, "p")
        page.keyboard.press("Space")
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert page.locator("input[name=p]:checked").get_attribute("value") == "20"
        with page.expect_navigation():
            page.keyboard.press("Enter")
        _tab_to(page, "p")
        page.keyboard.press("Space")
        _tab_to(page, "explanation")
        page.keyboard.type(WHY)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "BUTTON"
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert reader.heading() == "Feedback"
        reader.close()


def _tab_to(page: Any, name: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desktop", "phone"])
def test_nothing_serious_is_found_by_axe(chromium: Any, folder: Path, screen: dict[str, Any], scheme: str) -> None:
    judging.make(folder)
    with judging.served(folder) as address:
        reader = Reader(chromium, address, judging.link(folder), color_scheme=scheme, **screen)
        found = {}

        def look() -> None:
            found[reader.heading()] = reader.faults()

        reader.page.goto(reader.path)
        look()
        reader.press("I agree, and want to begin")
        look()
        reader.press("I have read this")
        look()
        reader.judge(80)
        look()
        reader.page.get_by_role("link", name="Go on").click()
        reader.choose(60)
        reader.press("Next round")
        reader.choose(70)
        reader.page.get_by_label("Why?").fill("short")
        reader.press("Send my verdict")
        assert reader.page.get_by_role("alert").count()
        look()
        reader.press("Leave the study")
        look()
        reader.page.goto("/nothing")
        look()
        assert len(found) == 7 and not {name: of for name, of in found.items() if of}
        reader.close()


ARABIC = "لماذا رفض الحارس العجوز أن يضيء المصباح في ليلة العاصفة؟"


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desktop", "phone"])
def test_long_debates_and_text_from_right_to_left(chromium: Any, folder: Path, screen: dict[str, Any]) -> None:
    """4,000 words, one of them of 400 letters, and Arabic: nothing scrolls sideways, and each text runs its own way."""
    long = " ".join(["word"] * 990 + ["x" * 400])
    judging.make(folder, [long, f"{ARABIC} " * 10, long, long], ARABIC)
    with judging.served(folder, PEOPLE.model_copy(update={"reading": "whole"})) as address:
        reader = Reader(chromium, address, judging.link(folder), **screen)
        reader.join()
        page = reader.page
        assert len(page.locator("main").inner_text().split()) > 3_000
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ways = page.locator(".speech > p").evaluate_all("each => each.map(p => getComputedStyle(p).direction)")
        assert ways == ["ltr", "rtl", "ltr", "ltr"]
        assert page.locator("#question").evaluate("h => getComputedStyle(h).direction") == "rtl"
        reader.choose(70)
        page.get_by_label("Why?").fill(f"{ARABIC} {ARABIC}")
        assert page.locator("#explanation").evaluate("box => getComputedStyle(box).direction") == "rtl"
        reader.press("Send my verdict")
        assert reader.heading() == "Feedback"
        reader.close()


def test_active_seconds_are_those_at_work(chromium: Any, folder: Path) -> None:
    """An hour without a move counts as a minute, and a page that is hidden does not count."""
    judging.make(folder)
    with judging.served(folder, PEOPLE.model_copy(update={"reading": "whole"})) as address:
        reader = Reader(chromium, address, judging.link(folder))
        reader.page.clock.install()
        reader.join()
        page = reader.page
        page.clock.run_for(20_000)
        page.mouse.move(10, 10)
        page.clock.run_for(3_600_000)
        page.mouse.move(20, 20)
        page.clock.run_for(10_000)
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.clock.run_for(600_000)
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        page.clock.run_for(5_000)
        page.get_by_label("Why?").fill(WHY)
        page.evaluate("document.forms.verdict.addEventListener('submit', event => event.preventDefault())")
        reader.choose(70)
        page.get_by_role("button", name="Send my verdict").click()
        counted = float(page.locator("#verdict input[name=active]").input_value())
        assert 94 <= counted <= 100, "20 seconds, a minute of the hour, 10 before it was hidden, and 5 after"
        reader.close()


def test_seconds_of_reading_are_kept_though_nothing_is_typed(chromium: Any, folder: Path) -> None:
    """While one reads, with the tab that is closed, in the next one, and with leaving. The server's clock is ahead, for
    it takes no more seconds than have gone by."""
    judging.make(folder)
    ahead = [0.0]
    with serving(JudgePages(folder, PEOPLE, now=lambda: time.time() + ahead[0])) as address:
        reader = Reader(chromium, address, judging.link(folder))
        reader.page.clock.install()
        reader.join()
        ahead[0] = 600
        reader.page.clock.run_for(40_000)
        _until(lambda: 29 <= seconds(folder) <= 40, "while one reads")
        reader.page.clock.run_for(5_000)
        reader.page.goto("/messages")
        _until(lambda: 44 <= seconds(folder) <= 60, "on the way to another page")
        before = seconds(folder)
        reader.page.goto("/")
        reader.page.clock.run_for(10_000)
        reader.press("Leave the study")
        assert reader.heading() == "You have left the study"
        _until(lambda: before + 9 <= seconds(folder) <= before + 20, "with leaving")
        reader.close()


def seconds(folder: Path) -> float:
    """Return what was kept of the only open debate."""
    with sqlite3.connect(folder / "study.sqlite") as db:
        found = db.execute("SELECT json_extract(fields, '$.seconds') FROM draft").fetchone()
    return float(found[0]) if found else 0.0


def _until(holds: Callable[[], bool], what: str) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(what)


def test_nothing_serious_is_found_with_every_check_on(chromium: Any, folder: Path) -> None:
    """Tags, questions on the guidelines, other scales, a question of attention, a warning, messages, and the code of a
    recruiting site."""
    quality_study.make(folder)
    people = EVERYTHING.model_copy(update={"least_seconds": 3600, "warn_after": 1, "stop_after": 3, "reading": "whole"})
    with judging.served(folder, people) as address:
        reader = Reader(chromium, address, "/outside?PROLIFIC_PID=p1&STUDY_ID=s1&SESSION_ID=v1", **PHONE)
        page, found = reader.page, {}

        def look() -> None:
            found[reader.heading()] = reader.faults()

        page.goto(reader.path)
        look()
        reader.press("I agree, and want to begin")
        look()
        for box in page.get_by_role("checkbox").all():
            box.check()
        page.locator("main form[action='/profile'] button").click()
        look()
        reader.press("I have read this")
        look()
        with sqlite3.connect(folder / "study.sqlite") as db:
            (kept,) = db.execute("SELECT value FROM setting WHERE key = 'comprehension'").fetchone()
        for question in json.loads(kept):
            page.get_by_label(question["right"], exact=True).check()
        page.locator("main form[action='/comprehension'] button").click()
        for _ in range(12):
            look()
            if reader.heading() not in ("Feedback",) and not page.locator("input[name=p]").count():
                break
            if reader.heading() == "Feedback":
                page.get_by_role("link", name="Go on").click()
                continue
            reader.choose(80)
            page.locator("input[name=choice][value=first]").check()
            for name, good in (("rating-first", 8), ("rating-second", 3)):
                page.locator(f"input[name={name}][value='{good}']").check()
            if page.locator("input[name=said]").count():
                page.locator("input[name=said]").first.check()
            page.get_by_label("Why?").fill(WHY)
            reader.press("Send my verdict")
        assert "CODE-STOP" in page.inner_text("main"), "too fast too often"
        page.goto("/messages")
        look()
        assert len(found) >= 8 and not {name: of for name, of in found.items() if of}
        reader.close()

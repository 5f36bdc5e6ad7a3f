"""Take the pictures of the pages that the handbook shows.

    python -m tests.browser.pictures docs

Judges' pages of a study with readable debates (desktop, phone, dark), and the researcher's overview of the same study
once people have judged it.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from rostrum.launch.people.researcher_pages import ResearcherPages
from tests.browser import judging
from tests.browser.judging import Reader

DESKTOP = {"viewport": {"width": 1000, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}


def main() -> int:
    """Write people-judge.png, the same with -phone and -dark, and people-researcher.png into a folder."""
    output = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as made, sync_playwright() as driver:
        folder = Path(made)
        judging.make(folder)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with judging.served(folder) as address:
            looks: dict[str, dict[str, Any]] = {
                "": DESKTOP,
                "-phone": PHONE,
                "-dark": DESKTOP | {"color_scheme": "dark"},
            }
            for name, options in looks.items():
                reader = Reader(browser, address, judging.link(folder), **options)
                reader.join()
                reader.choose(65)
                reader.press("Next round")
                reader.choose(80)
                reader.page.get_by_label("Why?").fill("The quote in round 1 is the reason that he gives himself.")
                reader.page.screenshot(path=output / f"people-judge{name}.png", full_page=True)
                reader.close()
        other = folder / "judged"
        other.mkdir()
        db = judging.make(other)
        for n, checkpoint in enumerate(("base", "iteration-20")):
            named = ("runs/first", checkpoint, "debate", n)
            db.execute("UPDATE condition SET run = ?, checkpoint = ?, protocol = ? WHERE id = ?", named)
        db.execute("UPDATE guidelines SET since = ?", (time.time() - 86_400,))
        db.close()
        judging.judged(other)
        with judging.served(other, of=ResearcherPages) as address:
            reader = Reader(browser, address, "/", **DESKTOP)
            reader.log_in()
            reader.page.goto("/?still")
            reader.page.screenshot(path=output / "people-researcher.png", full_page=True)
            reader.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

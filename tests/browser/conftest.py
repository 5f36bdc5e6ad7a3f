"""A real Chromium at the pages of a served study. Without ROSTRUM_BROWSER, which `make test-browser` sets, nothing here
is collected."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

collect_ignore_glob = [] if os.environ.get("ROSTRUM_BROWSER") else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        pytest.skip("There is no chromium here: install Debian's package of that name.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a study is made."""
    made = tmp_path / "study"
    made.mkdir()
    return made

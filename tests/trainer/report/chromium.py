"""Chromium without a window, driven over a pipe: what a reader sees of a page, with its content policy in force."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = "chromium", "chromium-browser", "google-chrome"
SILENT = "/dev/null"


class Chromium:
    """A tab; messages are those of the DevTools protocol, as JSON that ends with a zero byte."""

    def __init__(self, program: str, profile: Path) -> None:
        (theirs, self._to), (self._from, back) = os.pipe(), os.pipe()
        theirs, back = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in (theirs, back))
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        # The program reads from 3 and writes to 4.
        self._process = os.posix_spawn(
            program,
            [*words, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, SILENT, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, SILENT, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs, 3),
                (os.POSIX_SPAWN_DUP2, back, 4),
            ],
        )
        os.close(theirs)
        os.close(back)
        self._sent, self._waiting, self._session = 0, b"", ""
        self.told: list[dict[str, Any]] = []
        """What the program said of itself and nobody has waited for yet."""
        pages = [page for page in self.ask("Target.getTargets")["targetInfos"] if page["type"] == "page"]
        attached = self.ask("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for part in ("Page", "Runtime", "Log"):
            self.ask(f"{part}.enable")

    def ask(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._sent += 1
        session = {"sessionId": self._session} if self._session else {}
        os.write(
            self._to, json.dumps({"id": self._sent, "method": method, "params": params} | session).encode() + b"\0"
        )
        while (message := self._next()).get("id") != self._sent:
            self.told.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        """Show a file in a window of this size, until it is loaded."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.told.clear()
        self.ask("Page.navigate", url=page.absolute().as_uri())
        while not any(message["method"] == "Page.loadEventFired" for message in self.told):
            self.told.append(self._next())

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page, or what its promise comes to."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Return errors of scripts and of the content policy since the page was opened."""
        self.run("0")  # what came before the answer is read with it
        thrown = [m["params"]["exceptionDetails"] for m in self.told if m["method"] == "Runtime.exceptionThrown"]
        logged = [m["params"]["entry"] for m in self.told if m["method"] == "Log.entryAdded"]
        return [json.dumps(entry) for entry in [*thrown, *logged]]

    def close(self) -> None:
        """End the program."""
        self._session = ""
        self.ask("Browser.close")
        os.waitpid(self._process, 0)
        os.close(self._to)
        os.close(self._from)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            read = os.read(self._from, 2**20)
            assert read, "Chromium has ended"
            self._waiting += read
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)


@contextmanager
def opened(profile: Path) -> Iterator[Chromium]:
    """Give a tab; skips the test where there is no Chromium."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("needs Chromium")
    tab = Chromium(program, profile)
    try:
        yield tab
    finally:
        tab.close()

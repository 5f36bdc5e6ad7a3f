"""Judges that are scripts: they work at the real pages over HTTP, with a planted accuracy, bias and speed."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from typing import Protocol as Interface

WHY = "The quotes that were found in the passage decided it for me."


class Browser(Interface):
    """What a scripted judge needs of an HTTP client that keeps cookies and follows redirects."""

    def get(self, url: str) -> Any: ...

    def post(self, url: str, *, data: Mapping[str, str]) -> Any: ...


class Forms(HTMLParser):
    """The forms of a page: hidden fields by action, the values offered, and the question that is asked."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self.options: list[str] = []
        self.answers: list[str] = []
        self.question = ""
        self._fields: dict[str, str] = {}
        self._reading = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        self._reading = "question" if given.get("id") == "question" else "answer" if tag == "dd" else ""
        if tag == "form":
            self._fields = self.forms.setdefault(given["action"], {})
        elif tag == "input" and given["type"] == "hidden":
            self._fields[given["name"]] = given.get("value") or ""
        elif tag == "input" and given["type"] == "radio":
            self.options.append(given["value"])
            if "checked" in given:
                self._fields[given["name"]] = given["value"]

    def handle_data(self, data: str) -> None:
        if self._reading == "question":
            self.question += data
        elif self._reading == "answer":
            self.answers.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._reading = ""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a scripted judge judges."""

    accuracy: float = 0.8
    """How often it favours the right answer."""
    confidence: int = 80
    """What it says of the answer that it favours, in percent."""
    to_first: float = 0.0
    """How often it favours the first answer without looking."""
    leaves: float = 0.0
    """How likely it is to leave before a debate."""


class Scripted:
    """One such judge. It knows the right answers (`{question and answer: right}`), which no page tells it."""

    def __init__(self, browser: Browser, right: Mapping[tuple[str, str], bool], habits: Habits, seed: int) -> None:
        self._browser, self._right, self._habits = browser, right, habits
        self._rng = random.Random(f"scripted:{seed}")

    def judge_all(self, link: str) -> int:
        """Join by a link, judge until nothing is left or the script leaves; return how many verdicts were sent."""
        page = self._send(self._browser.get(f"/join/{link}"), f"/join/{link}")
        sent = 0
        while True:
            read = Forms(page.text)
            if "/judge" in read.forms:
                if self._rng.random() < self._habits.leaves:
                    self._send(page, "/leave")
                    return sent
                p = self._probability(read)
                sent += "explanation" in page.text
                page = self._send(page, "/judge", p=str(p), explanation=WHY)
            elif "/guidelines" in read.forms:
                page = self._send(page, "/guidelines")
            elif "/survey" in read.forms:
                self._send(page, "/survey", text="")
                return sent
            elif "/feedback/" in str(page.url):
                page = self._browser.get("/")
            else:
                return sent

    def _probability(self, read: Forms) -> int:
        habits = self._habits
        first_is_right = self._right[read.question, read.answers[0]]
        for_first = first_is_right == (self._rng.random() < habits.accuracy)
        if self._rng.random() < habits.to_first:
            for_first = True
        return habits.confidence if for_first else 100 - habits.confidence

    def _send(self, page: Any, action: str, **fields: str) -> Any:
        return self._browser.post(action, data={**Forms(page.text).forms[action], **fields})


def right_answers(rows: Any) -> dict[tuple[str, str], bool]:
    """Return which answer to which question is right, from rows of stored transcripts and right sides."""
    found = {}
    for text, correct in rows:
        record = json.loads(text)["record"]
        for side, answer in zip("AB", record["answers"], strict=True):
            found[record["question"]["text"], answer] = side == correct
    return found

"""Judges that are scripts: they work at the real pages over HTTP, with planted accuracy, bias, sloppiness and speed."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from typing import Protocol as Interface

WHY = "The quotes that were found in the passage decided it for me."
ASKED = "Where is that said?"
LOOKS = 0.4
"""Seconds between two looks whether the debaters have answered."""


class Browser(Interface):
    """What a scripted judge needs of an HTTP client that keeps cookies and follows redirects."""

    def get(self, url: str) -> Any: ...

    def post(self, url: str, *, data: Mapping[str, str]) -> Any: ...


class Forms(HTMLParser):
    """The forms of a page, and what a judge reads there: the question, the answers, what was said."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        """Fields that are filled in already, by action."""
        self.choices: dict[str, dict[str, str]] = {}
        """The texts beside radio buttons, by name and value."""
        self.boxes: list[str] = []
        """Names of the boxes that can be ticked."""
        self.legends: dict[str, str] = {}
        """What is asked above radio buttons, by their name."""
        self.answers: list[str] = []
        self.question = self.said = ""
        self._fields: dict[str, str] = {}
        self._reading = self._legend = self._value = ""
        self._radio: dict[str, str] | None = None
        self._unseen = False
        self.can_ask = self.waits = False
        """Whether a question can be asked of the debaters, and whether they are waited for."""
        self.feed(page)

    @property
    def options(self) -> list[str]:
        """The probabilities that can be chosen."""
        return list(self.choices.get("p", {}))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        kinds = {"dd": "answer", "legend": "legend", "article": "said"}
        if given.get("id") == "question":
            self._reading = "question"
        elif tag in kinds:
            self._reading = kinds[tag]
            self._legend = "" if tag == "legend" else self._legend
        elif tag == "form":
            self._reading = ""
            self._fields = self.forms.setdefault(given["action"], {})
        elif tag == "input":
            self._input(given)
        elif tag == "span":
            self._unseen = given.get("class") == "hidden"
        elif tag == "textarea" and given["name"] == "question":
            self.can_ask = True
        self.waits = self.waits or given.get("id") == "waiting"

    def _input(self, given: dict[str, Any]) -> None:
        name, value = given["name"], given.get("value") or ""
        if given["type"] == "hidden":
            self._fields[name] = value
        elif given["type"] == "checkbox":
            self.boxes.append(name)
        elif given["type"] == "radio":
            self._radio, self._value = self.choices.setdefault(name, {}), value
            self._radio[value] = ""
            self.legends[name] = self._legend.strip()
            if "checked" in given:
                self._fields[name] = value

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._radio is not None:
            self._radio[self._value] += data
        elif self._reading == "question":
            self.question += data
        elif self._reading == "answer":
            self.answers.append(data)
        elif self._reading == "legend":
            self._legend += data
        elif self._reading == "said":
            self.said += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._unseen = False
        elif tag == "label":
            self._radio = None
        if tag in ("h2", "dd", "legend", "article"):
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
    sloppy: float = 0.0
    """How often it reads nothing of a page: then all that it chooses is drawn."""
    seconds: float = 60.0
    """What it takes for a round."""
    asks: float = 0.5
    """How often it asks a question where it can."""
    patience: float = 60.0
    """Seconds for which it waits for the debaters before it goes on without, where it may."""


class Scripted:
    """One such judge. It knows the right answers (`{question and answer: right}`), which no page tells it, and what is
    right in the guidelines (`{question: answer}`)."""

    def __init__(
        self,
        browser: Browser,
        right: Mapping[tuple[str, str], bool],
        habits: Habits,
        seed: int,
        wait: Callable[[float], None] = lambda seconds: None,
        understood: Mapping[str, str] | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Make it; `wait` lets the seconds go by that it takes, which by itself is no time at all, and `look` is called
        again and again while it waits for debaters."""
        self._browser, self._right, self._habits = browser, right, habits
        self._wait, self._understood, self._look = wait, understood or {}, look
        self._rng = random.Random(f"scripted:{seed}")
        self.last = ""
        """The last page that it saw."""

    def judge_all(self, link: str) -> int:
        """Join by a link, or by the address of a way in, judge until nothing is left, the script leaves or is stopped;
        return how many verdicts were sent."""
        begin = link if link.startswith("/") else f"/join/{link}"
        page = self._browser.get(begin)
        page = self._send(page, next(iter(Forms(page.text).forms)))
        sent = 0
        while True:
            self.last = page.text
            read = Forms(page.text)
            if "/judge" in read.forms:
                if self._rng.random() < self._habits.leaves:
                    self.last = self._send(page, "/leave").text
                    return sent
                sent += "explanation" in page.text
                self._wait(self._habits.seconds)
                page = self._send(page, "/judge", explanation=WHY, **self._verdict(read))
            elif read.waits:
                page = self._waited(page)
            elif "/profile" in read.forms:
                page = self._send(page, "/profile", **dict.fromkeys(read.boxes, "1"))
            elif "/guidelines" in read.forms:
                page = self._send(page, "/guidelines")
            elif "/comprehension" in read.forms:
                page = self._send(page, "/comprehension", **self._answers(read))
            elif "/survey" in read.forms:
                self.last = self._send(page, "/survey", text="").text
                return sent
            elif "/feedback/" in str(page.url):
                page = self._browser.get("/")
            else:
                return sent

    def _waited(self, page: Any) -> Any:
        """Wait for the debaters, as long as its patience lasts or it must; return the next page."""
        begun = time.monotonic()
        while (read := Forms(page.text)).waits:
            if "/go-on" in read.forms and time.monotonic() - begun > self._habits.patience:
                return self._send(page, "/go-on")
            self._look()
            time.sleep(LOOKS)
            page = self._browser.get("/")
        return page

    def _verdict(self, read: Forms) -> dict[str, str]:
        """Return what it chooses on the form of a debate."""
        sloppy = self._rng.random() < self._habits.sloppy
        p = int(self._rng.choice(read.options)) if sloppy else self._probability(read)
        chosen = {"p": str(p)}
        if "choice" in read.choices:
            chosen["choice"] = "first" if p >= 50 else "second"
        if "rating-first" in read.choices:
            good = max(1, min(10, round(p / 10)))
            chosen |= {"rating-first": str(good), "rating-second": str(11 - good)}
        if (sentences := read.choices.get("said")) is not None:
            said = " ".join(read.said.split())
            known = [value for value, text in sentences.items() if " ".join(text.split()) in said]
            chosen["said"] = self._rng.choice(list(sentences)) if sloppy or not known else known[0]
        if read.can_ask and self._rng.random() < self._habits.asks:
            chosen["question"] = ASKED
        return chosen

    def _answers(self, read: Forms) -> dict[str, str]:
        """Return its answers to the questions on the guidelines."""
        chosen = {}
        for name, answers in read.choices.items():
            right = [
                value for value, text in answers.items() if text.strip() == self._understood.get(read.legends[name])
            ]
            sloppy = self._rng.random() < self._habits.sloppy
            chosen[name] = self._rng.choice(list(answers)) if sloppy or not right else right[0]
        return chosen

    def _probability(self, read: Forms) -> int:
        habits = self._habits
        first_is_right = self._right.get((read.question, read.answers[0]))
        if first_is_right is None:  # a queue's debate, of which nobody knows it
            first_is_right = self._rng.random() < 0.5
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

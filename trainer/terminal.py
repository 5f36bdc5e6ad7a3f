"""What is printed for people: text from models, files and folders' names is shown, never obeyed by the terminal."""

import json
import re
from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and newline, those that turn the direction of writing, and what is no character."""


def visible(text: str) -> str:
    """Return the text with what a terminal would obey, or could not show, written out: an escape is \\x1b."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_json(text: str) -> str:
    """Return a JSON text with the same, inside its strings, written as JSON writes it: an escape is \\u001b."""
    return _OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], text)


class Console(rich.console.Console):
    """A console that shows what it is given, in bars and tables too; the styles are its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)

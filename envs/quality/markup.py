"""Plain text of articles that were released as HTML."""

import re
from html.parser import HTMLParser

_MARKUP = re.compile(
    r"</?(?:html|body|head|div|p|br|hr|h[1-6]|span|pre|table|tr|td|i|b|em|strong|a)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
_PARAGRAPHS = frozenset("p div br hr h1 h2 h3 h4 h5 h6 pre table tr li ul ol blockquote section article".split())
_UNREAD = frozenset(("head", "script", "style"))


def plain_text(article: str) -> str:
    """The article without markup: paragraphs on lines of their own, entities as the characters they stand for.

    An article in which no HTML tag is found is returned as it is.
    """
    if not _MARKUP.search(article):
        return article
    reader = _Reader()
    reader.feed(article)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split(_Reader.BREAK))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    """Collects the text, with `BREAK` (a character that no text holds) between paragraphs."""

    BREAK = "\0"

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in _UNREAD
        if tag in _PARAGRAPHS:
            self.pieces.append(self.BREAK)

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in _UNREAD and self._unread > 0
        if tag in _PARAGRAPHS:
            self.pieces.append(self.BREAK)

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(data.replace(self.BREAK, " "))

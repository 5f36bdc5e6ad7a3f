"""Plain text of articles that were released as HTML."""

import re
from html.parser import HTMLParser

_MARKUP = re.compile(
    r"</?(?:html|head|body|title|meta|link|div|p|br|hr|h[1-6]|span|pre|table|caption|thead|tbody|tfoot|tr|td|th|ul|ol|li|"
    r"dl|dt|dd|blockquote|section|article|header|footer|main|figure|figcaption|i|b|u|em|strong|small|sub|sup|font|center|"
    r"a|img)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_PARAGRAPHS = frozenset(
    "p div br hr h1 h2 h3 h4 h5 h6 pre table caption thead tbody tfoot tr ul ol li dl dt dd blockquote section article "
    "header footer main nav aside address figure figcaption fieldset form details summary center option body".split()
)
_CELLS = frozenset(("td", "th"))
_UNREAD = frozenset(("script", "style", "template", "noscript"))
_RAISED = str.maketrans("0123456789+-\u2212", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_NUMBER = re.compile("[-+\u2212]?[0-9]+")
"""What a superscript must be to stay one: "10<sup>2</sup>" is not 102."""
_IN_HEAD = frozenset(("head", "title", "meta", "link", "base", *_UNREAD))


def plain_text(article: str) -> str:
    """Return the article without markup: paragraphs on lines of their own, entities as the characters they stand for.

    The cells of a row are words of one line. End tags may be left out, as HTML allows. An article in which no HTML tag
    is found is returned as it is.
    """
    if not _MARKUP.search(article):
        return article
    reader = _Reader()
    reader.feed(article)
    reader.close()
    lines = "".join(reader.pieces).split(_Reader.BREAK)
    return "\n".join(text for line in lines if (text := " ".join(line.split())))


class _Reader(HTMLParser):
    """Collects the text, with `BREAK` (a character that no text holds) between paragraphs."""

    BREAK = "\0"

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._in_head = False
        self._unread: str | None = None
        self._raised = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unread is not None:
            return
        if tag in _UNREAD:
            self._unread = tag
        self._in_head = tag in ("head", "title") or (self._in_head and tag in _IN_HEAD)  # anything else ends the head
        self._raised = tag == "sup"
        if tag in _PARAGRAPHS:
            self.pieces.append(self.BREAK)
        elif tag in _CELLS:
            self.pieces.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take `<p/>` for `<p>`, as browsers do; but nothing is unread behind `<script/>` in XHTML."""
        if tag not in _UNREAD:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unread:
            self._unread = None
        elif self._unread is None and tag in ("head", "title"):
            self._in_head = False
        elif self._unread is None and tag in _PARAGRAPHS:
            self.pieces.append(self.BREAK)
        self._raised = False

    def handle_data(self, data: str) -> None:
        if self._unread is None and not self._in_head:
            text = data.replace(self.BREAK, " ")
            self.pieces.append(text.translate(_RAISED) if self._raised and _NUMBER.fullmatch(text.strip()) else text)

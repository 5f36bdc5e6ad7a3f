"""What a prompt set writes itself: how its lines begin, and its tags. No speech may pass for one of them.

Taken from the templates, whoever's they are: each is followed along its branches, and what stands between a line break
and the first thing that is filled in is the beginning of a line. Labels of speakers are filled in, with every name.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, nodes

from rostrum.envs.text.escaping import LEAD, fold, header

_SEATS = ("seat", "other", "right")
"""Variables, and parts of variables, that hold a speaker's label."""
LETTERS = ("A", "B")
"""What sides are called by themselves."""
_TAG = re.compile(r"</?([A-Za-z][\w.-]*)>")
_KNOWN = re.compile(r"[uv]_quote|quote|thinking", re.IGNORECASE)
"""Tags that debaters are asked to write, or that have rules of their own."""
_SENTENCE = re.compile(r"[:.?!](?=\W|$)")
_SHORTEST = 4
"""Letters that tell a line's beginning from ordinary text."""
_NOTHING = re.compile(r"[\s*_`\"'\u201c\u201d]+")
_LEAD = re.compile(rf"\s*+{LEAD}")
_Heads = frozenset[str | None]
"""What the line under way may begin with, along every branch; None where something has been filled in."""


class OwnLines:
    """The lines and tags of the prompt set in a folder; none where its prompts are a single line."""

    def __init__(
        self, folder: Path, environment: Environment, layouts: Sequence[str] = (), names: Sequence[str] = LETTERS
    ) -> None:
        """Read the set's templates and those in its folders of `layouts`, in which sides have these `names`."""
        self._environment, self._names, self._found = environment, names, set[str]()
        letters = "".join(names).lower()
        self._number = re.compile(rf"(?<=[{letters}])[1-9](?!\d)")
        """Finds what labels have besides where a side has several speakers: A1, A2."""
        self._header = None if names == LETTERS else header(rf"[{letters}12]\d?")
        paths = [path for under in (".", "roles", *layouts) for path in sorted((folder / under).glob("*.j2"))]
        parsed = [environment.parse(path.read_text("utf-8")) for path in paths]
        texts = [data.data for tree in parsed for data in tree.find_all(nodes.TemplateData)]
        tags = {name for text in texts for name in _TAG.findall(text) if not _KNOWN.fullmatch(name)}
        names = "|".join(map(re.escape, sorted(tags)))
        self.tags = re.compile(rf"<(?=/?(?:{names})>)" if tags else r"(?!)", re.IGNORECASE)
        if any("\n" in text for text in texts):
            for tree in parsed:
                self._note(self._along(tree.body, frozenset([""])))
        self._begin = tuple(sorted(self._found))

    def begins(self, line: str) -> bool:
        """Return whether a folded line begins as one of the prompt's own does."""
        if self._header is not None and self._header.match(line):
            return True
        lead = _LEAD.match(line)
        keys = {_key(line[start:]) for start in (0, lead.end() if lead else 0)}
        keys |= {self._number.sub("", key) for key in keys}
        return any(key.startswith(self._begin) for key in keys)

    def _along(self, body: Iterable[nodes.Node], heads: _Heads) -> _Heads:
        """Return what the line under way may begin with behind these nodes."""
        for node in body:
            heads = self._behind(node, heads)
        return heads

    def _behind(self, node: nodes.Node, heads: _Heads) -> _Heads:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                if isinstance(part, nodes.TemplateData):
                    heads = self._text(part.data, heads)
                else:
                    heads = self._filled(part, heads)
            return heads
        if isinstance(node, nodes.If):
            branches = [node.body, node.else_]
            for other in node.elif_:
                branches.append([other])
            return frozenset(head for branch in branches for head in self._along(branch, heads))
        if isinstance(node, nodes.For):
            once = self._along(node.body, heads)
            return heads | once | self._along(node.body, once) | self._along(node.else_, heads)
        if isinstance(node, nodes.Include) and isinstance(node.template, nodes.Const):
            return self._along(self._parse(str(node.template.value)).body, heads)
        body = getattr(node, "body", None)
        return self._along(body, heads) if isinstance(body, list) else heads

    def _parse(self, name: str) -> nodes.Template:
        assert self._environment.loader is not None
        return self._environment.parse(self._environment.loader.get_source(self._environment, name)[0])

    def _text(self, text: str, heads: _Heads) -> _Heads:
        first, *others = text.split("\n")
        heads = frozenset(None if head is None else head + first for head in heads)
        for other in others:
            self._note(heads)
            heads = frozenset([other])
        return heads

    def _filled(self, part: nodes.Node, heads: _Heads) -> _Heads:
        """Return the heads behind an expression: with every label, or with whatever it may be."""
        name = part.attr if isinstance(part, nodes.Getattr) else part.name if isinstance(part, nodes.Name) else ""
        if name in _SEATS:
            return frozenset(None if head is None else head + seat for head in heads for seat in self._names)
        self._note(heads)
        return frozenset([None])

    def _note(self, heads: _Heads) -> None:
        """Write down how these lines are told: by their first sentence or label, if that is not too short."""
        for head in heads:
            sentence = None if head is None else _SENTENCE.search(head)
            key = "" if head is None else _key(head[: sentence.end()] if sentence else head)
            if sum(map(str.isalpha, key)) >= _SHORTEST:
                self._found.add(key)


def _key(line: str) -> str:
    """Return a line as it is compared: folded, without blanks and emphasis, in small letters."""
    return _NOTHING.sub("", fold(line)[0]).casefold()

"""`rostrum config migrate`: a YAML file of an earlier version, rewritten with the names of today.

The table of names is that of refusals and saved runs (`trainer.config.renamed`). Only the characters that change are
replaced, at the positions that PyYAML gives, so that comments, order and quotation marks stay.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rostrum.envs.files import write_atomically
from rostrum.launch import compose, groups
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError, tell
from rostrum.launch.fields import classes, fields
from rostrum.trainer.config import Config, renamed
from rostrum.trainer.config.renamed import NoCounterpart, Renamed, shown
from rostrum.trainer.reading import read_text, read_yaml

OVERRIDES = ("arms", "comparison.arms")
"""Sections that hold lists of overrides by name."""
_DEFAULT = re.compile(r"((?:override\s+)?/?)([\w/]+)((?:@.*)?)$")
"""A group in a list of defaults: what stands before it, its name, where it goes."""

_UNTOLD = ("union_tag_not_found",)
"""What pydantic says of a section that does not say which of several it is, as its defaults may."""
_AS_IT_IS = (
    "{} cannot be rewritten as it is written: leave out anchors (&) and write one key on a line, then try again."
)


def migrate(words: Sequence[str]) -> int:
    """Rewrite one file: into `output=FILE`, in its place with `in_place=true`, or else to standard output.

    Raises:
        LaunchError: the file has something that has no counterpart, or the output is there already.
    """
    rest, output = take(words, "output")
    rest, in_place = take(rest, "in_place")
    if len(rest) != 1 or "=" in rest[0] or (output is not None and in_place is not None):
        raise LaunchError("Name one file: rostrum config migrate FILE [--output FILE | --in-place].")
    path = Path(rest[0])
    if output is not None and Path(output).exists():
        raise LaunchError(f"{output} is there already: give another --output, or rewrite the file with --in-place.")
    values = read_yaml(path, "give a YAML file of settings", Any)
    text = read_text(path)
    found = rewritten(text, values, path)
    for change in found.changes:
        tell(change)
    if not found.changes:
        tell(f"{path} has no names of earlier versions.")
    if output is not None:
        write_atomically(Path(output), found.text)
    elif in_place is not None:
        write_atomically(path, found.text)
    else:
        print(found.text, end="")
    return 0


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file with the names of today, and a sentence for each change."""

    text: str
    changes: tuple[str, ...]


def rewritten(text: str, values: Any, path: Path) -> Rewritten:
    """Return the text of a file with the names of today.

    Args:
        text: What the file holds.
        values: The same as plain values.
        path: Its name, for messages and, if it lies in a folder that is called after a group, for its section.

    Raises:
        LaunchError: something in it has no counterpart, or is written in a way that cannot be followed.
    """
    if not isinstance(values, Mapping):  # a list of judges, whose keys are those of ever
        return Rewritten(text, ())
    section = _section(values, path)
    edits = _Edits(text)
    edits.section(_compose(text), section)
    found = Rewritten(edits.applied(), tuple(f"line {line}: {said}." for line, said in sorted(edits.said)))
    today = _whole(values, section)
    if said := renamed.refused(today):
        raise LaunchError(f"{path} cannot be rewritten: {said}")
    if _settled(_whole(_parsed(found.text, path), section)) != _settled(today):
        raise LaunchError(_AS_IT_IS.format(path))
    _check(today, text, path)
    return found


def _section(values: Mapping[str, Any], path: Path) -> str:
    """Return the section whose keys a file holds, by its folder or by most of its keys; empty for a whole one.

    Raises:
        LaunchError: its keys are of no section.
    """
    folder = path.absolute().parent.name
    sections = [name for name, value in Config.model_fields.items() if classes(value.annotation, held=False)]
    olds = {entry.old: entry.new for entry in renamed.TABLE if not entry.section}
    named = [folder] if folder in groups.names() or folder in olds else []
    best = {name: len(_known(name) & set(values)) for name in named or ["", *sections, *olds]}
    section = max(best, key=lambda name: best[name])
    if not best[section]:
        raise LaunchError(f"{path} has no keys of the configuration: give a YAML file of a run, or of a group.")
    return section


def _known(section: str) -> set[str]:
    """Return the keys of a section, of today and of earlier versions."""
    olds = {entry.before for entry in renamed.TABLE if entry.section == section}
    today = next((entry.new for entry in renamed.TABLE if entry.old == section), section)
    kinds = classes(Config.model_fields[today].annotation, held=False) if today else [Config]
    return olds | {name for kind in kinds for name in fields(kind)} | ({"defaults"} if not today else set())


def _whole(values: Any, section: str) -> dict[str, Any]:
    """Return the plain values of a file with the names of today, in the place of its section."""
    return renamed.today({section: values} if section else values)


def _settled(values: Mapping[str, Any]) -> Any:
    """Return values without what is compared by its text alone: lists of overrides and of defaults."""
    kept = {key: value for key, value in values.items() if key not in ("defaults", "arms")}
    if isinstance(comparison := kept.get("comparison"), Mapping):
        kept["comparison"] = {key: value for key, value in comparison.items() if key != "arms"}
    return kept


def _check(values: Mapping[str, Any], text: str, path: Path) -> None:
    """Check everything, then write down a new run's configuration and where it comes from.

    Raises:
        LaunchError: there is one.
    """
    if "${" in text:
        return
    try:
        Config.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"] and problem["loc"][-1] != "defaults" and problem["type"] not in ("missing", *_UNTOLD):
                raise LaunchError(f"{path} cannot be rewritten: {compose.in_words(problem)}") from None


def _parsed(text: str, path: Path) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise LaunchError(_AS_IT_IS.format(path)) from None


def _compose(text: str) -> yaml.Node:
    return yaml.compose(text, Loader=yaml.SafeLoader)


@dataclass
class _Edits:
    """What is to be replaced in a text: from, to and the new characters of each place."""

    text: str
    places: list[tuple[int, int, str]] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    """The number of a line, and what is changed there."""

    def section(self, root: yaml.Node, section: str) -> None:
        """Note all changes in the tree of a file that holds a section."""
        for entry in renamed.TABLE:
            if section and not f"{entry.old}.".startswith(f"{section}."):
                continue
            if entry.old == section:
                continue
            within = entry.section.removeprefix(section).lstrip(".")
            node = _at(root, within.split(".") if within else [])
            if isinstance(node, yaml.MappingNode):
                self._entry(node, entry)
        for place in OVERRIDES:
            if not section or place.startswith(f"{section}."):
                lists = _at(root, place.removeprefix(section).lstrip(".").split("."))
                for _, each in lists.value if isinstance(lists, yaml.MappingNode) else ():
                    self._overrides(each)
        if isinstance(listed := _at(root, ["defaults"]), yaml.SequenceNode):
            self._defaults(listed)

    def applied(self) -> str:
        """Return the text with every place replaced."""
        text = self.text
        for start, end, new in sorted(self.places, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def _entry(self, node: yaml.MappingNode, entry: Renamed) -> None:
        """Note what one change of a name does to a mapping."""
        pairs = {key.value: (key, value) for key, value in node.value}
        if entry.before not in pairs:
            return
        key, value = pairs[entry.before]
        before = _plain(value)
        try:
            if not entry.concerns(before):
                return
            after, gone = entry.change(before), entry.drops(before)
        except NoCounterpart:
            return  # what is left is refused with its sentence
        out = {name for name in gone if name in pairs}
        if entry.today != entry.before and entry.today in pairs:
            self._value(*pairs[entry.today], after)
            out.add(entry.before)
        else:
            self.places.append((key.start_mark.index, key.end_mark.index, entry.today))
            if after != before:
                self._value(key, value, after)
        told = "" if after == before else f"={shown(after)}"
        self._say(key, f"{entry.old} is {entry.new}{told}")
        self._remove(node, out)
        for name in out - {entry.before}:
            self._say(pairs[name][0], f"{entry.section}.{name} is left out, which {entry.new}{told} does not have")

    def _value(self, key: yaml.Node, value: yaml.Node, new: Any) -> None:
        """Put a new value in the place of one, with the comments that stood in it after it."""
        start, end = key.end_mark.index, _end(value)
        comments = re.findall(r"\s#.*", self.text[start:end]) if isinstance(value, yaml.CollectionNode) else []
        colon = start + self.text[start:end].index(":") + 1
        self.places.append((colon, end, f" {shown(new)}" + "".join(f" {comment.strip()}" for comment in comments)))

    def _remove(self, node: yaml.MappingNode, names: Collection[str]) -> None:
        """Take keys and their values out of a mapping: their lines, or their parts of the line between braces."""
        for place, (key, value) in enumerate(node.value):
            if key.value not in names:
                continue
            start, end = key.start_mark.index, _end(value)
            if not node.flow_style:
                start = self.text.rfind("\n", 0, start) + 1
                end = min((self.text + "\n").index("\n", end) + 1, len(self.text))
            elif any(before.value not in names for before, _ in node.value[:place]):
                start = _end(node.value[place - 1][1])
            else:
                end = node.value[place + 1][0].start_mark.index
            self.places.append((start, end, ""))

    def _overrides(self, node: yaml.Node) -> None:
        """Note what changes in a list of overrides."""
        for each in node.value if isinstance(node, yaml.SequenceNode) else ():
            if isinstance(each, yaml.ScalarNode) and (new := override_today(each.value)) != each.value:
                self.places.append((each.start_mark.index, each.end_mark.index, _scalar(new, each.style)))
                self._say(each, f"{each.value} is {new}")

    def _defaults(self, node: yaml.SequenceNode) -> None:
        """Note the groups of a list of defaults that have another name."""
        olds = {entry.old: entry.new for entry in renamed.TABLE if not entry.section}
        for key, _ in (pair for each in node.value if isinstance(each, yaml.MappingNode) for pair in each.value):
            if (group := _DEFAULT.match(key.value)) and group[2] in olds:
                new = f"{group[1]}{olds[group[2]]}{group[3]}"
                self.places.append((key.start_mark.index, key.end_mark.index, _scalar(new, key.style)))
                self._say(key, f"{key.value} is {new}")

    def _say(self, node: yaml.Node, what: str) -> None:
        self.said.append((node.start_mark.line + 1, what))


def override_today(text: str) -> str:
    """Return an override with the names of today.

    Raises:
        LaunchError: it has no counterpart that stands for it alone.
    """
    sign, key, value = re.fullmatch(r"([+~]*)([^=]*)(=.*)?", text, re.DOTALL).groups()  # type: ignore[union-attr]
    for entry in renamed.TABLE:
        if key != entry.old and not key.startswith(f"{entry.old}."):
            continue
        plain = yaml.safe_load(value[1:]) if value else None
        inner = key[len(entry.old) :]
        if not inner and not entry.concerns(plain):
            continue
        try:
            after = plain if inner else entry.change(plain)
        except NoCounterpart:
            raise LaunchError(f"{text} cannot be rewritten: {entry.sentence(plain)}") from None
        if not entry.override:
            raise LaunchError(f"{text} cannot be rewritten: {entry.sentence(plain)}")
        key = f"{key[: len(entry.section) + bool(entry.section)]}{entry.today}{inner}"
        value = value if after == plain else f"={shown(after)}"
    return f"{sign}{key}{value or ''}"


def _at(node: yaml.Node | None, path: Sequence[str]) -> yaml.Node | None:
    """Return the node at a dotted key; None if there is none."""
    for part in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == part), None)
    return node


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_document(node)


def _end(node: yaml.Node) -> int:
    """Return where a value ends: that of a block reaches to what follows in PyYAML's marks, over comments."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    return max(_end(each) for each in _inner(node))


def _inner(node: yaml.CollectionNode) -> Iterator[yaml.Node]:
    for each in node.value:
        yield from each if isinstance(each, tuple) else (each,)


def _scalar(text: str, style: str | None) -> str:
    """Return a text as a scalar of YAML: plain if it was and can be, or between quotation marks."""
    try:
        if style is None and yaml.safe_load(f"[{text}]") == [text]:
            return text
    except yaml.YAMLError:
        pass
    return "'" + text.replace("'", "''") + "'"

"""What keys of earlier versions are called today: one table for refusals, for what was saved, and for the command
`rostrum config migrate`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml


class NoCounterpart(ValueError):
    """A value of an earlier version that cannot be said today."""


def _same(value: Any) -> Any:
    return value


def _nothing(_: Any) -> Collection[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Renamed:
    """A key or section of an earlier version, or a value of one."""

    old: str
    """Its key, dotted."""
    new: str
    """Its key today, dotted: in the same section, which may itself have another name today."""
    change: Callable[[Any], Any] = _same
    """Return what a value of it is today; raises `NoCounterpart`."""
    drops: Callable[[Any], Collection[str]] = _nothing
    """Return the keys beside it that mean nothing any more, where it has this value."""
    override: bool = True
    """Whether it can be rewritten where it stands alone, as an override."""
    said: str = ""
    """What to do about it, where that is not to write the new key with the changed value."""

    @property
    def section(self) -> str:
        """The dotted key of the section that it is in; empty for the whole configuration."""
        return self.old.rpartition(".")[0]

    @property
    def before(self) -> str:
        """Its name within the section."""
        return self.old.rpartition(".")[2]

    @property
    def today(self) -> str:
        """Its name of today within the section."""
        return self.new.rpartition(".")[2]

    def concerns(self, value: Any) -> bool:
        """Return whether a value of the key is another one today, or the key has another name."""
        return self.old != self.new or self.change(value) != value

    def sentence(self, value: Any) -> str:
        """Return the sentence that refuses it, with what to write in its place."""
        if self.said:
            return f"The configuration's {self.old}={shown(value)} {self.said}."
        if self.old == self.new:
            return f"The configuration's {self.old}={shown(value)} is called {self._pair(value)} now{_A_FILE}."
        return f"The configuration's {self.old} is now called {self.today}: write {self._pair(value)}{_A_FILE}."

    def _pair(self, value: Any) -> str:
        key = self.new
        while self.change is _same and isinstance(value, Mapping) and value:
            inner, value = next(iter(value.items()))
            key = f"{key}.{inner}"
        try:
            return f"{key}={shown(self.change(value))}"
        except NoCounterpart:
            return key


_A_FILE = " (`rostrum config migrate FILE` rewrites a file that has it)"


def shown(value: Any) -> str:
    """Return a plain value in YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("...\n").strip()


def _speakers(seats: Any) -> dict[str, Any]:
    if not isinstance(seats, list) or not set(map(str, seats)) <= {"A", "B"}:
        raise NoCounterpart
    return {str(seat): {"side": str(seat)} for seat in seats}


_CREDITS = {
    "gae": ("ppo", ("gamma", "lam", "value_coefficient")),
    "group": ("rloo", ()),
    "role_ema": ("rae", ("ema_decay",)),
}
"""What each kind of credit is called as an algorithm, with the keys that it alone has."""


def _algorithm(credit: Any) -> str:
    if not isinstance(credit, str) or credit not in _CREDITS:
        raise NoCounterpart
    return _CREDITS[credit][0]


def _of_other_algorithms(credit: Any) -> Collection[str]:
    return [key for name, (_, own) in _CREDITS.items() if name != credit for key in own]


TABLE = (
    Renamed("protocol.seats", "protocol.speakers", _speakers),
    Renamed("debater.rows", "debater.rows", lambda rows: "speaker" if rows == "seat" else rows),
    Renamed(
        "algorithm.credit",
        "algorithm.name",
        _algorithm,
        drops=_of_other_algorithms,
        override=False,
        said="has become the algorithm's name: leave it out and choose algorithm=ppo (gae), algorithm=rloo (group) or "
        "algorithm=rae (role_ema)",
    ),
    Renamed("inference", "decoding"),
    Renamed("watch", "monitor"),
)
"""Every change of a name, keys before the sections that they are in. A section of another name is one entry, such as
`Renamed("old", "new")`; its keys are found under the name that the table gives as `old`."""


def refused(values: Any) -> str | None:
    """Return the sentence about the first key or value of an earlier version in a configuration's plain values; None if
    there is none."""
    for entry in TABLE:
        section = _select(values, entry.section)
        if isinstance(section, Mapping) and entry.before in section and entry.concerns(section[entry.before]):
            return entry.sentence(section[entry.before])
    return None


def today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's plain values with the names of today. What has no counterpart stays as it is, and
    `refused` names it."""
    found = dict(values)
    for entry in TABLE:
        found = _within(found, entry.section.split(".") if entry.section else [], entry)
    return found


def _within(values: Any, path: list[str], entry: Renamed) -> Any:
    if not isinstance(values, Mapping):
        return values
    if path:
        return {key: _within(value, path[1:], entry) if key == path[0] else value for key, value in values.items()}
    return section_today(values, entry)


def section_today(section: Mapping[str, Any], entry: Renamed) -> dict[str, Any]:
    """Return the values of one section after one change of a name, in their order."""
    try:
        if entry.before not in section or not entry.concerns(section[entry.before]):
            return dict(section)
        before = section[entry.before]
        value, gone = entry.change(before), entry.drops(before)
    except NoCounterpart:
        return dict(section)
    there = entry.today != entry.before and entry.today in section
    kept = {key: item for key, item in section.items() if key not in gone and not (there and key == entry.before)}
    return {
        entry.today if key == entry.before else key: value if key in (entry.before, entry.today) else item
        for key, item in kept.items()
    }


def _select(values: Any, section: str) -> Any:
    for part in section.split(".") if section else ():
        values = values.get(part) if isinstance(values, Mapping) else None
    return values

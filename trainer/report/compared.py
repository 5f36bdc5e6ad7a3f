"""What was compared with what, in the boxes of a diagram and in one sentence that says the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from rostrum.trainer.evaluation.summary import ArmSummary, Summary
from rostrum.trainer.evaluation.verdict_table import NONE

_NEEDED = {"judge", "valid", "matchup", "swapped_seats", "p_given", "p_swapped"}
NAMED = 4
"""Arms or judges that a box names; of more it says how many there are."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the diagram: what it stands for, a name, and lines of small print."""

    role: str
    name: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """The rows of the diagram from top to bottom, and the text in its place."""

    questions: Box
    debaters: tuple[Box, ...]
    play: Box
    judges: tuple[Box, ...]
    figure: Box
    text: str


def compared(summary: Summary, verdicts: pd.DataFrame | None) -> Compared | None:
    """Return the diagram of a run, None without a trained arm.

    The table of verdicts says which seatings were played and in which orders each judge read; without it, what every
    evaluation plays is said, and of orders nothing.
    """
    units = summary.units
    if not units:
        return None
    known = verdicts if verdicts is not None and set(verdicts.columns) >= _NEEDED else None
    played = None if known is None else known[known["valid"] & (known["matchup"] != NONE)]
    questions, play = _questions(units), _play(played)
    debaters, judges = _debaters(units), _judges(units, played, known)
    control = ", and after minus control" if len(debaters) > 2 else ""
    figure = Box("Compared", "Judge accuracy", (f"after minus before{control}, question by question",))
    text = (
        f"{questions.name} were debated by {_listed(_spoken(box) for box in debaters)}, {play.name.lower()}. "
        f"The debates were judged by {_listed(_spoken(box) for box in judges)}. "
        f"Judge accuracy is compared question by question: after minus before{control}."
    )
    return Compared(questions, debaters, play, judges, figure, text)


def _questions(units: Sequence[ArmSummary]) -> Box:
    rows = [row for arm in units for row in arm.accuracy if row.n_questions]
    if not rows:
        return Box("Questions", "The same test questions", ("no story of theirs was trained on",))
    most = max(rows, key=lambda row: row.n_questions or 0)
    stories = f"on {most.n_stories:,} {'story' if most.n_stories == 1 else 'stories'}, " if most.n_stories else ""
    return Box(
        "Questions", f"The same {most.n_questions:,} test questions", (f"{stories}none of which was trained on",)
    )


def _debaters(units: Sequence[ArmSummary]) -> tuple[Box, ...]:
    """Return before, after, and the controls, if there are any."""
    controls = {arm.control.name for arm in units if arm.control and arm.control.name}
    trained = [arm for arm in units if arm.name not in controls] or list(units)
    boxes = [Box("Before", "Base debaters", ("not trained",)), Box("After", _names(trained), ("trained for approval",))]
    if controls:
        held = [arm for arm in units if arm.name in controls]
        names = _names(held) if held else ", ".join(sorted(name for name in controls if name))
        boxes.append(Box("Control", names, ("trained on the penalties alone",)))
    return tuple(boxes)


def _names(arms: Sequence[ArmSummary]) -> str:
    seeds = {len(arm.seeds) for arm in arms}
    each = f" ({seeds.pop()} seeds{' each' if len(arms) > 1 else ''})" if len(seeds) == 1 and 0 not in seeds else ""
    return (f"{len(arms)} arms" if len(arms) > NAMED else ", ".join(arm.name for arm in arms)) + each


def _play(played: pd.DataFrame | None) -> Box:
    if played is not None and played["swapped_seats"].nunique() == 1:
        return Box("Debates", "In one seating only")
    return Box("Debates", "In both seatings", ("each question twice: who argues which answer is exchanged",))


def _judges(units: Sequence[ArmSummary], played: pd.DataFrame | None, known: pd.DataFrame | None) -> tuple[Box, ...]:
    """Return the reward judges and those that were held out. `known` has invalid verdicts too, unlike `played`."""
    roles: dict[str, list[str]] = {"reward": [], "held-out": []}
    for row in (row for arm in units for row in arm.accuracy):
        if row.judge not in roles.setdefault(row.role or "held-out", []):
            roles[row.role or "held-out"].append(row.judge)
    said = {"reward": ("Reward judge", "gave the reward"), "held-out": ("Held-out judge", "gave no reward")}
    return tuple(
        Box(
            said.get(role, (role, ""))[0] + ("s" if len(names) > 1 else ""),
            f"{len(names)} judges" if len(names) > NAMED else ", ".join(names),
            tuple(filter(None, (said.get(role, (role, ""))[1], _orders(names, played), _sampled(names, known)))),
        )
        for role, names in roles.items()
        if names
    )


def _orders(judges: Sequence[str], played: pd.DataFrame | None) -> str:
    """Return in which presentation orders these judges read; nothing if it is not known."""
    if played is None or (rows := played[played["judge"].isin(judges)]).empty:
        return ""
    both = rows["p_given"].notna() & rows["p_swapped"].notna()
    return "read each debate in both orders" if both.all() else "read in one order" if not both.any() else ""


def _sampled(judges: Sequence[str], known: pd.DataFrame | None) -> str:
    """Return about how many of the questions these judges read debates; nothing if about all, or if it is not known."""
    if known is None or "question_id" not in known:
        return ""
    read = known[known["matchup"] != NONE].groupby("judge")["question_id"].nunique()
    few = [int(read[judge]) for judge in judges if judge in read and read[judge] < read.max()]
    if not few:
        return ""
    some = "" if len(few) == len(judges) else f"{len(few)} of them "
    return f"{some}read debates about {min(few):,} of the questions"


def _spoken(box: Box) -> str:
    return f"{box.role.lower()}: {box.name} ({', '.join(box.lines)})"


def _listed(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{'; '.join(first)}; and {last}" if first else last

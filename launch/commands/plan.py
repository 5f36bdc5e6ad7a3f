"""`rostrum plan`: an experiment is declared before it is run, with what it will be able to show."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import take
from rostrum.launch.arms import Arm, arms_of
from rostrum.launch.errors import LaunchError
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import lock
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console


def plan(overrides: Sequence[str]) -> int:
    """Write protocol.lock into the experiment's folder, or add an amendment to it, and print the power table."""
    rest, reason = take(overrides, "amend")
    given = rest if compose.sets(rest, "experiment") else ["experiment=demo", *rest]
    config = compose.load(given)
    arms = arms_of(config, given)
    with saved.reserved(config.output):
        declared = declaration(config, arms)
        entry = _entered(config.output, declared, reason)
    _show(declared["power"])
    console = Console(soft_wrap=True, markup=False, highlight=False)
    primary = declared["primary"]
    console.print(f"Primary comparison: {primary['judge']} on {primary['arm']}.")
    console.print(f"Declared in {config.output / lock.NAME} on {entry.at}, hash {entry.hash}.")
    return 0


def declaration(config: Config, arms: Sequence[Arm]) -> dict[str, Any]:
    """Return what the experiment declares, as the lock holds it."""
    environment.silence()
    from rostrum.trainer.evaluation.preregistration.planned import declare

    declared: dict[str, Any] = json.loads(json.dumps(declare(config, {arm.name: arm.config for arm in arms})))
    return declared


def check_lock(config: Config, arms: Sequence[Arm]) -> None:
    """Refuse to run a declared experiment otherwise than declared; one without a lock is run.

    Raises:
        LaunchError: it is not what its lock declares.
        LockError: the lock was changed by hand.
    """
    if entries := lock.read(config.output):
        differing = _differences(entries[-1].declared, declaration(config, arms))
        if differing:
            raise LaunchError(
                f"{config.output / lock.NAME} declares another {differing[0]}: run what was declared, or amend it "
                "first with `rostrum plan ... amend=REASON`."
            )


def _entered(folder: Path, declared: Mapping[str, Any], reason: str | None) -> lock.Entry:
    """Return the entry that declares this: the last one if it does so already, else a new one."""
    entries = lock.read(folder)
    if not entries:
        if reason is not None:
            raise LaunchError(f"There is no {lock.NAME} in {folder} to amend: leave amend=... out to write one.")
        _not_begun(folder)
        saved.check_new(folder)
        return lock.append(folder, declared)
    differing = _differences(entries[-1].declared, declared)
    if not differing:
        return entries[-1]
    if reason is None:
        raise LaunchError(
            f"{folder / lock.NAME} declares another {differing[0]}: keep to it, give the reason with amend=REASON, or "
            "choose another output=FOLDER."
        )
    return lock.append(folder, declared, reason, tuple(f"another {key}" for key in differing))


def _not_begun(folder: Path) -> None:
    begun = [path for path in (folder, *folder.glob("arms/*")) if RunFolder(path).config.exists()]
    if begun:
        raise LaunchError(f"{begun[0]} has already been begun: a plan comes before, so choose another output=FOLDER.")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    from rostrum.trainer.evaluation.preregistration.planned import differences

    return differences(before, now)


def _show(power: Mapping[str, Any]) -> None:
    seeds = list(power["rows"][0]["smallest_change"])
    console, assumed = Console(soft_wrap=True, markup=False, highlight=False), power["assumed"]
    console.print(
        f"The smallest change in points that is shown with {power['power']:.0%} power, two-sided at "
        f"{power['level']:.0%}, on {power['questions']} paired questions about {power['stories']} stories:"
    )
    table = Table("discordant questions", *(f"{n} seed{'' if n == '1' else 's'}" for n in seeds))
    for row in power["rows"]:
        found = [row["smallest_change"][n] for n in seeds]
        table.add_row(f"{row['discordant']:.0%}", *("–" if one is None else f"{100 * one:.1f}" for one in found))
    Console().print(table)
    if any(change is None for row in power["rows"] for change in row["smallest_change"].values()):
        console.print("–: none, not even if every discordant question changed the same way.")
    console.print(
        "A question is discordant if the judge changes its verdict; argued in both seatings it may change by halves, "
        "and its squared change is what counts. "
        f"Taken for granted: correlation {assumed['story_correlation']:g} between the changes of two questions about "
        f"one story and {assumed['seed_correlation']:g} between those of one question under two seeds; true changes "
        f"that vary over seeds by {100 * assumed['seed_sd']:g} points (standard deviation). One seed is for that "
        "training run alone, several are for others too."
    )

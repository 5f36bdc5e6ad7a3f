"""Whether what was run is what was planned: the lock of an experiment against what its runs' manifests record."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rostrum.trainer.evaluation.family import Comparison
from rostrum.trainer.evaluation.preregistration import lock
from rostrum.trainer.evaluation.summary import Amendment, PlanRecord
from rostrum.trainer.store.provenance import made_with
from rostrum.trainer.store.run_folder import RunFolder, read_record

AS_PLANNED, DEVIATES, UNDECLARED = "as planned", "not as planned", "nothing was declared beforehand"


def declared_primary(folder: Path) -> Comparison | None:
    """Return the primary comparison that was declared for a run or experiment; None if nothing was, or nothing can be
    made of what was."""
    try:
        home = lock.governing(folder)
        declared = None if home is None else lock.read(home)[-1].declared["primary"]
    except lock.LockError:
        return None
    return None if declared is None else Comparison(declared["arm"], declared["judge"])


def as_planned(folder: Path, arms: Mapping[str, Path]) -> PlanRecord:
    """Return the status in words, the plan's hash and date, its amendments, and every deviation in a sentence.

    `arms` are the run folders of an experiment, or a run itself, which may be an arm of a declared one.
    """
    home = lock.governing(folder)
    if home is None:
        return PlanRecord(status=UNDECLARED, deviations=[])
    try:
        entries = lock.read(home)
    except lock.LockError as error:
        return PlanRecord(status=DEVIATES, deviations=[str(error)])
    last = entries[-1]
    found = list(_missing(last.declared, arms)) if home == folder else []
    for name, path in arms.items():
        found += _deviations(name, read_record(RunFolder(path).manifest), entries)
    return PlanRecord(
        status=DEVIATES if found else AS_PLANNED,
        declared=entries[0].at,
        hash=last.hash,
        amendments=[Amendment(at=e.at, reason=e.reason, changes=list(e.changes)) for e in entries[1:]],
        deviations=found,
    )


def _missing(declared: Mapping[str, Any], arms: Mapping[str, Path]) -> Iterator[str]:
    yield from (f"Arm {name} was declared and was not run." for name in declared["arms"] if name not in arms)


def _deviations(name: str, manifest: Mapping[str, Any], entries: list[lock.Entry]) -> Iterator[str]:
    declared = entries[-1].declared
    if name not in declared["arms"]:
        yield f"Arm {name} was run and was not declared."
        return
    yield from _order(name, manifest, entries)
    settings = list(_settings(name, manifest, declared["arms"][name]))
    yield from settings
    planned = declared["arms"][name]["config_hash"]
    if not settings and planned != manifest.get("config_hash") and not made_with(planned, manifest.get("config", {})):
        yield f"Arm {name} was run with another configuration than declared."
    yield from _questions(name, manifest, declared["questions"])
    yield from _models(name, manifest, declared)


def _order(name: str, manifest: Mapping[str, Any], entries: list[lock.Entry]) -> Iterator[str]:
    """Yield a deviation where a plan does not come before what it is a plan of."""
    held = manifest.get("lock")
    if held == entries[-1].hash:
        return
    if held in [entry.hash for entry in entries]:
        yield f"The plan was amended after arm {name} was begun."
    else:
        yield f"Arm {name} was begun before anything was declared, or under another plan."


def _settings(name: str, manifest: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    config = manifest.get("config", {})
    for key, ran in (("seed", config.get("seed")), ("protocol", config.get("protocol", {}).get("name"))):
        if ran != declared[key]:
            yield f"Arm {name} was run with {key} {ran}, declared was {declared[key]}."
    reached = manifest.get("last_iteration")
    if reached is None:
        yield f"Arm {name} has not reached its end."
    elif reached > declared["iterations"] or (reached < declared["iterations"] and not _may_stop(declared["stop"])):
        yield f"Arm {name} ended after {reached} iterations, declared were {declared['iterations']}."


def _may_stop(rule: str) -> bool:
    """Return whether a declared rule lets the monitor end a training; earlier plans call it the watch."""
    return "monitor" in rule or "watch" in rule


def _questions(name: str, manifest: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    trained, tested = manifest.get("questions", {}).get("train", {}), manifest.get("evaluated", {}).get("questions", {})
    if trained.get("hash") != declared["train"]["hash"]:
        yield f"Arm {name} was trained on other questions than declared."
    if tested.get("hash") != declared["heldout"]["hash"]:
        counts = f"{tested.get('questions', 'unknown')}, declared were {declared['heldout']['questions']}"
        yield f"Arm {name} was tested on other questions than declared ({counts})."
    elif tested.get("answers") != declared["heldout"]["answers"]:
        yield f"Arm {name} was tested with other right answers than declared."


def _models(name: str, manifest: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield deviations in judges, by name and model, at the test as well as in training, and in the debater that was
    begun with."""
    for model, found in manifest.get("debater", {}).items():
        if declared["debaters"].get(model) != found:
            yield f"Arm {name} was begun with another debater than declared ({model})."
    used = {**manifest.get("judges", {}), **manifest.get("evaluated", {}).get("judges", {})}
    arm = declared["arms"][name]
    for judge in [arm["reward_judge"], *arm["heldout_judges"]]:
        if judge not in used:
            yield f"Arm {name} was not judged by {judge}, as was declared."
    for judge, models in used.items():
        planned = declared["judges"].get(judge)
        if planned is None:
            yield f"Arm {name} was judged by {judge} too, which was not declared."
        elif any(planned.get(model) != found for model, found in models.items()):
            yield f"Arm {name} was judged by {judge} with other weights than declared."

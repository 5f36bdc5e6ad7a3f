"""What is declared of an experiment before it is run: everything that could be chosen afterwards to suit the result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rostrum.envs.questions.base import load_questions, why_empty
from rostrum.envs.questions.splits import SPLITS
from rostrum.envs.transcripts import protocol_today
from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.trainer.config import Config, renamed
from rostrum.trainer.evaluation.controls import controls, named
from rostrum.trainer.evaluation.replicates import Replicates, replicates
from rostrum.trainer.stats.power import SEEDS, Assumptions, power_table
from rostrum.trainer.store import frozen
from rostrum.trainer.store.provenance import config_hash, question_hashes, run_settings

STATISTIC = (
    "judge accuracy of the final checkpoint less that of the base debater, in self-play, paired by question, clustered "
    "by story (and by training seed where there are several)"
)


class PlanError(ValueError):
    """A plan that cannot be made; the message says what to do."""


def declare(config: Config, arms: Mapping[str, Config]) -> dict[str, Any]:
    """Return the declaration of an experiment with these arms, as plain values.

    Raises:
        PlanError: the primary comparison is of an arm or a judge that is not there, or a split has no questions.
    """
    found = load_questions(config.questions)
    for why in filter(None, (why_empty(found, split) for split in SPLITS)):
        raise PlanError(why)
    groups = replicates({name: arm.model_dump(mode="json") for name, arm in arms.items()})
    questions = question_hashes(config.questions) | {"heldout": question_hashes(config.test_questions)["heldout"]}
    compared = list(_comparisons(arms, groups))
    primary = _primary(config, arms, groups, compared)
    heldout = questions["heldout"]
    seeds = sorted({*SEEDS, *(len(group.seeds) for group in groups)})
    begun_with = sorted({debater.model for arm in arms.values() for debater in arm.debaters})
    assumed = Assumptions(config.plan.story_correlation, config.plan.seed_correlation, config.plan.seed_sd)
    return {
        "primary": {"arm": primary[0], "judge": primary[1], "statistic": STATISTIC},
        "secondary": {
            "comparisons": [list(pair) for pair in compared if pair != primary],
            "differences": _to_controls(arms, groups, compared),
            "correction": "Holm",
            "after": "the primary comparison: no p-value is smaller than that one's, so that 5 % is the level of all",
        },
        "level": SIGNIFICANCE,
        "invalid": config.plan.invalid,
        "questions": questions,
        "arms": {name: _arm(arm, config.arms.get(name, [])) for name, arm in arms.items()},
        "replicates": {group.name: dict(group.seeds) for group in groups},
        "judges": _merged([frozen.hashes(arm.judges) for arm in arms.values()]),
        "debaters": {model: frozen.model_hash(model) for model in begun_with},
        "power": power_table(int(heldout["questions"]), int(heldout["stories"]), seeds, assumed),
        "config": run_settings(config.model_dump(mode="json")),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return everything, by dotted key, that two declarations say otherwise; what follows from the rest is left out.

    A declaration of the first edition names means too (`trainer.store.provenance.run_settings`), which count no more.
    """
    held = before.get("config", {})
    of_an_earlier_version = "wandb" in held or renamed.refused(held) is not None
    before, now = ({**one, "config": _settings_today(one.get("config", {}))} for one in (before, now))
    keys = [key for key in _differences(before, now) if key.partition(".")[0] not in ("power", "secondary")]
    shared = [key.removeprefix("config.") for key in keys if key.startswith("config.")]
    own = [key for key in keys if not key.startswith("config.")]
    if shared or of_an_earlier_version:
        own = [key for key in own if not key.endswith(".config_hash")]
    return [*shared, *own]


def _settings_today(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the names of today, and with what a protocol of earlier versions left unsaid."""
    protocol = config.get("protocol")
    whole = {**config, "protocol": protocol_today(protocol)} if isinstance(protocol, Mapping) else config
    return run_settings(renamed.today(whole))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key in [*before, *(key for key in now if key not in before)]:
        mine, theirs = before.get(key), now.get(key)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            yield from _differences(mine, theirs, f"{where}{key}.")
        elif mine != theirs:
            yield f"{where}{key}"


def _arm(config: Config, overrides: Sequence[str]) -> dict[str, Any]:
    stop = f"after {config.iterations} iterations"
    if config.monitor.questions and config.monitor.stop:
        stop += ", or where the monitor raises its alarm"
    return {
        "overrides": list(overrides),
        "protocol": config.protocol.name,
        "seed": config.seed,
        "iterations": config.iterations,
        "stop": stop,
        "reward_judge": config.judge.name,
        "heldout_judges": [judge.name for judge in config.heldout_judges],
        "config_hash": config_hash(config),
    }


def _comparisons(arms: Mapping[str, Config], groups: Sequence[Replicates]) -> Iterator[tuple[str, str]]:
    """Yield every arm, or group of replicates, with every judge, in the order of the arms."""
    group_of = {arm: group.name for group in groups for arm in group.seeds}
    units = {group_of.get(name, name): config for name, config in reversed(list(arms.items()))}
    for unit, config in reversed(units.items()):
        yield from ((unit, judge.name) for judge in config.judges)


def _to_controls(
    arms: Mapping[str, Config], groups: Sequence[Replicates], compared: Sequence[tuple[str, str]]
) -> list[list[str]]:
    """Return every compared arm or group that has a control, with that and the judge."""
    of = controls({name: arm.model_dump(mode="json") for name, arm in arms.items()})
    found = [(unit, named(unit, groups, of), judge) for unit, judge in compared]
    return [[unit, control, judge] for unit, control, judge in found if control is not None]


def _primary(
    config: Config, arms: Mapping[str, Config], groups: Sequence[Replicates], compared: Sequence[tuple[str, str]]
) -> tuple[str, str]:
    names = {group.name: next(iter(group.seeds)) for group in groups}
    grouped = {arm for group in groups for arm in group.seeds}
    units = {unit: arms[names.get(unit, unit)] for unit, _ in compared}
    debates = [unit for unit, of in units.items() if len(of.protocol.sides) > 1]
    chosen = config.plan.arm or next(iter(debates or units))
    if chosen not in units:
        why = "is pooled with other seeds" if chosen in grouped else "is none of the experiment"
        raise PlanError(f"plan.arm={chosen} {why}: choose among {', '.join(units)}.")
    of = units[chosen]
    judge = config.plan.judge or (of.heldout_judges[0] if of.heldout_judges else of.judge).name
    if (chosen, judge) not in compared:
        known = ", ".join(one.name for one in of.judges)
        raise PlanError(f"plan.judge={judge} is no judge of the arm {chosen}: choose among {known}.")
    return chosen, judge


def _merged(found: Sequence[Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    """Merge judges of one name, which may read with several models in several arms."""
    merged: dict[str, dict[str, str]] = {}
    for judges in found:
        for name, models in judges.items():
            merged.setdefault(name, {}).update(models)
    return merged

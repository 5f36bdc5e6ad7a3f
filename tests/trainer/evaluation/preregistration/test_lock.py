"""protocol.lock: a chain that nobody edits, and what a report says of runs that kept to it or did not."""

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.fingerprints import record_hash
from rostrum.trainer.evaluation.family import Comparison
from rostrum.trainer.evaluation.preregistration import lock
from rostrum.trainer.evaluation.preregistration.deviations import (
    AS_PLANNED,
    DEVIATES,
    UNDECLARED,
    as_planned,
    declared_primary,
)

DECLARED: dict[str, Any] = {
    "primary": {"arm": "debate", "judge": "large"},
    "questions": {"train": {"hash": "t"}, "heldout": {"hash": "h", "answers": "k", "questions": 40}},
    "judges": {"small": {"m": "1"}, "large": {"n": "2"}},
    "debaters": {"d": "3"},
    "arms": {
        "debate": {
            "seed": 1,
            "protocol": "debate",
            "iterations": 4,
            "stop": "after 4 iterations",
            "config_hash": "c",
            "reward_judge": "small",
            "heldout_judges": ["large"],
        },
    },
}


def test_a_lock_is_a_chain(tmp_path: Path) -> None:
    assert lock.read(tmp_path) == [] and lock.current_hash(tmp_path) is None
    first = lock.append(tmp_path, DECLARED)
    text = (tmp_path / lock.NAME).read_text("utf-8")
    second = lock.append(tmp_path, {**DECLARED, "level": 0.1}, "why", ("another level",))
    assert lock.read(tmp_path) == [first, second] and second.previous == first.hash != second.hash
    assert lock.current_hash(tmp_path) == second.hash
    stored = json.loads((tmp_path / lock.NAME).read_text("utf-8"))
    assert stored["entries"][0] == json.loads(text)["entries"][0], "what was declared first stays as it was"


@pytest.mark.parametrize(
    "edit",
    [
        lambda entries: entries[0]["declared"]["primary"].update(judge="small"),
        lambda entries: entries[0].update(at="2020-01-01T00:00:00+00:00"),
        lambda entries: entries[1].update(reason="a better one"),
        lambda entries: entries.pop(0),
        lambda entries: entries.reverse(),
    ],
)
def test_a_lock_that_was_edited_is_found_out(edit: Callable[[Any], None], tmp_path: Path) -> None:
    lock.append(tmp_path, DECLARED)
    lock.append(tmp_path, DECLARED, "why")
    stored = json.loads((tmp_path / lock.NAME).read_text("utf-8"))
    edit(stored["entries"])
    (tmp_path / lock.NAME).write_text(json.dumps(stored), "utf-8")
    with pytest.raises(lock.LockError, match="changed by hand"):
        lock.read(tmp_path)
    found = as_planned(tmp_path, {})
    assert found.status == DEVIATES and "changed by hand" in found.deviations[0]
    assert declared_primary(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", '{"entries": []}', '{"entries": [{"at": "now"}]}', "[]"])
def test_what_is_no_lock_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_text(text, "utf-8")
    with pytest.raises(lock.LockError, match="not what `rostrum plan` wrote"):
        lock.read(tmp_path)


def rehashed(entry: dict[str, Any]) -> None:
    """What somebody writes who knows how entries are hashed."""
    bare = {key: value for key, value in entry.items() if key != "hash"}
    entry["hash"] = record_hash(bare | {"changes": list(bare["changes"])})


@pytest.mark.parametrize("rehash", [False, True])
@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [None], 10**400, 1e999, math.nan, "\ud800", True])
@pytest.mark.parametrize(
    "place",
    [
        "declared",
        "declared.primary",
        "declared.primary.arm",
        "declared.arms",
        "declared.arms.debate",
        "declared.arms.debate.iterations",
        "declared.questions.heldout",
        "declared.judges.small",
        "changes",
        "at",
        "hash",
    ],
)
def test_a_damaged_lock_is_named(place: str, value: Any, rehash: bool, tmp_path: Path) -> None:
    path = tmp_path / lock.NAME
    lock.append(tmp_path, DECLARED)
    stored = json.loads(path.read_text("utf-8"))
    *way, last = place.split(".")
    (entry,) = stored["entries"]
    inner = functools.reduce(lambda inner, step: inner[step], way, entry)
    for change in (lambda: inner.update({last: value}), lambda: inner.pop(last)):
        change()
        try:
            if rehash and last != "hash":
                rehashed(entry)
        except (ValueError, KeyError, TypeError):  # which nobody can hash
            pass
        path.write_text(json.dumps(stored), "utf-8")
        try:
            lock.read(tmp_path)
        except lock.LockError as error:
            assert f"{path}" in str(error)
        found = as_planned(tmp_path, {})
        assert found.status in (AS_PLANNED, DEVIATES)
        declared_primary(tmp_path)


def test_a_lock_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).mkdir()
    with pytest.raises(lock.LockError, match=f"{tmp_path / lock.NAME} cannot be read.*it is a folder"):
        lock.read(tmp_path)
    assert as_planned(tmp_path, {}).status == DEVIATES


def test_an_arm_is_held_to_its_experiments_lock(tmp_path: Path) -> None:
    arm = tmp_path / "arms" / "debate"
    arm.mkdir(parents=True)
    entry = lock.append(tmp_path, DECLARED)
    assert lock.governing(arm) == tmp_path.resolve() and lock.current_hash(arm) == entry.hash
    assert lock.governing(tmp_path / "elsewhere") is None


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes a run that kept to the plan but for the changes, and returns the deviations that are found."""

    def deviations(change: Callable[[dict[str, Any]], None] = lambda manifest: None, arm: str = "debate") -> list[str]:
        entry = lock.append(tmp_path, DECLARED) if not lock.read(tmp_path) else lock.read(tmp_path)[-1]
        manifest = {
            "lock": entry.hash,
            "config_hash": "c",
            "config": {"seed": 1, "protocol": {"name": "debate"}},
            "last_iteration": 4,
            "questions": {"train": {"hash": "t"}},
            "debater": {"d": "3"},
            "judges": {"small": {"m": "1"}, "large": {"n": "2"}},
            "evaluated": {
                "questions": {"hash": "h", "answers": "k", "questions": 40},
                "judges": {"small": {"m": "1"}, "large": {"n": "2"}},
            },
        }
        change(manifest)
        folder = tmp_path / "arms" / arm
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        found = as_planned(tmp_path, {arm: folder})
        assert found.status == (DEVIATES if found.deviations else AS_PLANNED)
        return list(found.deviations)

    return deviations


def test_a_run_that_kept_to_its_plan(ran: Callable[..., list[str]], tmp_path: Path) -> None:
    assert ran() == []
    assert declared_primary(tmp_path) == Comparison("debate", "large")
    assert as_planned(tmp_path / "elsewhere", {}).stored() == {"status": UNDECLARED, "deviations": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["config"].update(seed=2), "run with seed 2, declared was 1"),
        (lambda m: m["config"]["protocol"].update(name="consultancy"), "protocol consultancy, declared was debate"),
        (lambda m: m.update(config_hash="x"), "another configuration"),
        (lambda m: m.update(last_iteration=3), "ended after 3 iterations, declared were 4"),
        (lambda m: m.pop("last_iteration"), "has not reached its end"),
        (lambda m: m["questions"]["train"].update(hash="x"), "trained on other questions"),
        (lambda m: m["evaluated"]["questions"].update(hash="x", questions=20), "other questions than declared (20, "),
        (lambda m: m["evaluated"]["questions"].update(answers="x"), "other right answers"),
        (lambda m: m.pop("evaluated"), "tested on other questions than declared (unknown"),
        (lambda m: m["evaluated"]["judges"]["large"].update(n="x"), "large with other weights"),
        (lambda m: m["evaluated"]["judges"].update(third={"o": "4"}), "third too, which was not declared"),
        (lambda m: (m["judges"].pop("large"), m["evaluated"]["judges"].pop("large")), "not judged by large"),
        (lambda m: m["debater"].update(d="x"), "another debater"),
        (lambda m: m.update(lock=None), "before anything was declared"),
    ],
)
def test_every_deviation_is_told_in_a_sentence(
    change: Callable[[dict[str, Any]], None], said: str, ran: Callable[..., list[str]]
) -> None:
    (found,) = ran(change)
    assert found.startswith("Arm debate ") and said in found


def test_arms_that_are_missing_or_more_are_told(ran: Callable[..., list[str]]) -> None:
    assert ran(arm="another") == [
        "Arm debate was declared and was not run.",
        "Arm another was run and was not declared.",
    ]


def test_a_plan_that_was_amended_after_the_start_says_so(ran: Callable[..., list[str]], tmp_path: Path) -> None:
    held = lock.append(tmp_path, DECLARED).hash
    lock.append(tmp_path, {**DECLARED, "level": 0.1}, "second thoughts", ("another level",))
    assert ran(lambda m: m.update(lock=held)) == ["The plan was amended after arm debate was begun."]
    amendments = as_planned(tmp_path, {}).amendments
    assert [(a.reason, a.changes) for a in amendments] == [("second thoughts", ["another level"])]


def test_where_the_watch_may_stop_an_earlier_end_is_planned(ran: Callable[..., list[str]], tmp_path: Path) -> None:
    arm = {**DECLARED["arms"]["debate"], "stop": "after 4 iterations, or where the monitor raises its alarm"}
    lock.append(tmp_path, {**DECLARED, "arms": {"debate": arm}})
    assert ran(lambda m: m.update(last_iteration=2)) == []
    assert "ended after 5" in ran(lambda m: m.update(last_iteration=5))[0]

"""Arms run side by side, a few at a time, each as soon as another is done."""

import os
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from rostrum.launch import side_by_side
from rostrum.launch.arms import Status


class Counted:
    """An arm of so many steps, which notes who runs beside it."""

    config = SimpleNamespace(debaters=[SimpleNamespace(model="embedded/debater")], judge_models=())
    running: set[str] = set()
    together: list[int] = []

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.left = name, steps
        self.stopped = 0

    def step(self, variables: Mapping[str, str]) -> bool:
        self.left -= 1
        (Counted.running.add if self.left >= 0 else Counted.running.discard)(self.name)
        Counted.together.append(len(Counted.running))
        if self.name == "fails" and self.left == 0:
            raise RuntimeError("broken")
        return self.left >= 0

    def status(self) -> Status:
        return Status("", {})

    def stop(self) -> None:
        self.stopped += 1

    ended = stop


@pytest.fixture(autouse=True)
def none_running() -> None:
    Counted.running, Counted.together = set(), []


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_than_so_many_run_at_a_time_and_all_are_done(at_once: int) -> None:
    arms = [Counted(f"arm-{number}", steps) for number, steps in enumerate([3, 0, 2, 5, 1])]
    side_by_side.run(arms, at_once, interval=0)  # type: ignore[arg-type]
    assert max(Counted.together) == at_once and not Counted.running
    assert all(arm.left < 0 and arm.stopped == 2 for arm in arms)


def test_by_default_there_are_as_many_as_processors() -> None:
    most = max(2, os.cpu_count() or 1)
    side_by_side.run([Counted(str(number), 3) for number in range(most + 1)], interval=0)  # type: ignore[misc]
    assert max(Counted.together) == most


def test_all_are_stopped_when_one_fails() -> None:
    arms = [Counted("fails", 2), Counted("other", 9), Counted("waiting", 9)]
    with pytest.raises(RuntimeError, match="broken"):
        side_by_side.run(arms, 2, interval=0)  # type: ignore[arg-type]
    assert all(arm.stopped == 2 for arm in arms) and arms[2].left == 9

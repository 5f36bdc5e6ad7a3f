"""What stands for a child process where a test runs its command in this process, which has imported everything."""

from collections.abc import Mapping, Sequence

from rostrum.launch.arms import Training
from rostrum.launch.cli import main


class Ended:
    """Stands for a child process that has ended."""

    def __init__(self, code: int) -> None:
        self._code = code

    def poll(self) -> int:
        return self._code

    def wait(self, timeout: float) -> int:
        return self._code


def run_here(run: Training, words: Sequence[str], variables: Mapping[str, str]) -> None:
    """In the place of `Training._start`: the command runs here, to its end. That of the arms is in a process of its own
    where test_demo.py trains them and test_ablate.py evaluates one."""
    run._child = Ended(main(words))  # type: ignore[assignment]

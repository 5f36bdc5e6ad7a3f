"""What a debate costs as its rounds grow: is a new token of a long debate dearer than one of a short debate?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.measure import Measurement, seconds
from benchmarks.rollouts import Bench
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.trainer import setup
from rostrum.trainer.engines import Sampling, make_engine
from rostrum.trainer.models.loading import ModelError
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.types import Rollout

ROUNDS = (1, 2, 3, 4, 5, 6)
DEBATES = 32
_SECTION = "cost of a debate as rounds grow"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a debate of that many rounds, the mean over several."""

    rounds: int
    new_tokens: float
    """Sampled."""
    read_tokens: float
    """Given to the engine as context, again in each speech: what a prefix cache could save is in it."""
    seconds: tuple[float, ...]
    """One per repeat."""

    @property
    def microseconds_per_new_token(self) -> tuple[float, ...]:
        return tuple(1e6 * duration / self.new_tokens for duration in self.seconds)


def by_rounds(
    bench: Bench,
    repeats: int,
    rounds: Sequence[int] = ROUNDS,
    debates: int = DEBATES,
    engine: str = "transformers",
    options: Mapping[str, Any] | None = None,
) -> list[Cost]:
    """Measure the same questions, argued for longer and longer, on an engine with these options; all lengths take
    turns, none finds anything of another in a cache."""
    game = _Game(bench, debates, engine, options or {})
    counted = {number: game.tokens(number) for number in rounds}
    took: dict[int, list[float]] = {number: [] for number in rounds}
    for _ in range(repeats):
        for number in rounds:
            game.forget()
            took[number].append(seconds(lambda number=number: game.play(number)))  # type: ignore[misc]
    count = len(game.matchups)
    return [
        Cost(number, new / count, read / count, tuple(duration / count for duration in took[number]))
        for number, (new, read) in counted.items()
    ]


class _Game:
    """Some debates, to be played with any number of rounds on one engine."""

    def __init__(self, bench: Bench, debates: int, engine: str, options: Mapping[str, Any]) -> None:
        self._settings, self._policy = bench.settings, bench.policy
        self.matchups = bench.matchups[:debates]
        self._prompts = load_prompts(bench.settings.debater.prompts)
        debater = bench.settings.debater
        if options or engine != debater.engine:
            debater = debater.model_copy(update={"engine": engine, "engine_options": options})
        how = setup.debater_engine(bench.settings.model_copy(update={"debater": debater}))
        self._engine = make_engine(bench.policy.path, how)

    def forget(self) -> None:
        """Load the weights anew, which empties the engine's cache if it has one."""
        self._engine.load(self._policy)

    def play(self, rounds: int) -> list[Rollout]:
        """Play the debates with that many speeches per speaker."""
        debater, protocol = self._settings.debater, replace(self._settings.protocol, rounds=rounds)
        played = play(
            self.matchups,
            protocol,
            self._prompts,
            {self._policy.name: self._engine},
            Sampling(debater.max_tokens, debater.temperature),
            {self._policy.name: self._policy},
        )
        return [outcome for outcome in played if isinstance(outcome, Rollout)]

    def tokens(self, rounds: int) -> tuple[int, int]:
        """Return the tokens that are sampled, and those that the engine is given as context; playing also warms it up.

        Raises:
            ModelError: the model's context is too short for so many rounds.
        """
        rollouts = self.play(rounds)
        if len(rollouts) < len(self.matchups):
            raise ModelError(f"The debater's context is too short for {rounds} rounds: take one with a longer context.")
        new = sum(len(speech.token_ids) for rollout in rollouts for speech in rollout.transcript.speeches)
        rows = [row for rollout in rollouts for rows in rollout.rows.values() for row in rows]
        return new, sum(len(row.prompt) + place for row in rows for place in _begun(row.mask))


def _begun(mask: Sequence[int]) -> list[int]:
    """Return where the speeches of a row begin in its completion."""
    return [place for place, own in enumerate(mask) if own and (place == 0 or not mask[place - 1])]


def growth(costs: Sequence[Cost], engine: str = "transformers") -> list[Measurement]:
    """Return the last cost over the first: 1 means that a debate's cost is linear in its new tokens."""
    first, last = costs[0], costs[-1]
    name = f"{engine}: {{}} per new token, {last.rounds} rounds over {first.rounds}"
    pairs = zip(last.microseconds_per_new_token, first.microseconds_per_new_token, strict=True)
    read = (last.read_tokens / last.new_tokens) / (first.read_tokens / first.new_tokens)
    return [
        Measurement(_SECTION, name.format("time"), "x", tuple(long / short for long, short in pairs)),
        Measurement(_SECTION, name.format("tokens read again"), "x", (read,)),
    ]

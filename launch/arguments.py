"""What the subcommands share: arguments of their own among the overrides, what endpoints would cost, and printing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rostrum.launch.errors import LaunchError
from rostrum.trainer.terminal import Console

if TYPE_CHECKING:
    from rostrum.trainer.config import Config


def take(overrides: Sequence[str], key: str) -> tuple[list[str], str | None]:
    """Return the overrides without `key=VALUE`, and the value, None if it is not there."""
    values = [override.partition("=")[2] for override in overrides if override.partition("=")[0] == key]
    if len(values) > 1 or "" in values:
        raise LaunchError(f"Give {key}=... once, with a value.")
    return [override for override in overrides if override.partition("=")[0] != key], next(iter(values), None)


def nothing_else(rest: Sequence[str], command: str) -> None:
    """Refuse words that a command does not know.

    Raises:
        LaunchError: there is one.
    """
    if rest:
        raise LaunchError(f"{rest[0]} is not known here: see `rostrum {command} --help`.")


def take_dry_run(overrides: Sequence[str]) -> tuple[list[str], bool]:
    """Return the overrides without dry_run=true, and whether it is there."""
    rest, value = take(overrides, "dry_run")
    if value not in (None, "true"):
        raise LaunchError(f"dry_run cannot be {value!r}: write dry_run=true, or leave it out.")
    return rest, value is not None


def tell_dry_run(cost: str | None) -> int:
    """Print what endpoints would cost, or that nothing is paid for (None); return the exit code."""
    tell(cost or "No judge here asks an endpoint: nothing is paid for by the token.")
    return 0


def tell_cost(config: "Config", training: bool = True) -> None:
    """Say what endpoints will cost, if there are any."""
    if (cost := cost_of(config, training)) is not None:
        from rostrum.trainer.progress import say

        say(cost)


def cost_of(config: "Config", training: bool = True) -> str | None:
    """Return what endpoints will cost, in words; None where there is none."""
    if all(model.endpoint is None for model in (*config.judge_models, *config.decoding.needs())):
        return None
    from rostrum.launch import estimate

    return estimate.in_words(config, training)


def tell(*lines: str) -> None:
    """Print lines as they are, whatever signs are in them."""
    for line in lines:
        Console(soft_wrap=True).print(line, markup=False, highlight=False)

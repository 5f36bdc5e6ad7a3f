"""`rostrum build-models`: the embedded models, built again from a seed."""

from collections.abc import Sequence
from pathlib import Path

from rostrum.envs.files import make_new_folder
from rostrum.launch import environment
from rostrum.launch.arguments import take, tell
from rostrum.launch.errors import LaunchError


def build_models(overrides: Sequence[str]) -> int:
    """Build the embedded models again from a seed."""
    rest, output = take(overrides, "output")
    rest, seed = take(rest, "seed")
    if rest:
        raise LaunchError(f"build-models takes output=DIR and seed=NUMBER only: leave out {rest[0]!r}.")
    if seed is not None and not seed.isdecimal():
        raise LaunchError(f"The seed cannot be {seed!r}: give a whole number, e.g. seed=0.")
    from rostrum.trainer.models.loading import EMBEDDED
    from rostrum.trainer.progress import say
    from rostrum.trainer.testimony_models.build import build_models as build

    environment.silence()
    folder = make_new_folder(Path(output)) if output else EMBEDDED
    build(folder, int(seed or 0), say)
    tell(f"The models and their cards are in {folder}.")
    return 0

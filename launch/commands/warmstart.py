"""`rostrum warmstart`: the debater learns to quote from its own speeches, before it is trained to persuade."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rostrum.launch import compose, environment, figures, saved
from rostrum.launch.arguments import take, tell
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import WIDTH
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console

if TYPE_CHECKING:
    from rostrum.trainer.config import Config
    from rostrum.trainer.warmstart.quoting import Round

OUTPUT = "runs/warmstart"
"""Where a warm start is written if nothing else is said."""


def warmstart(overrides: Sequence[str]) -> int:
    """Do the rounds that are not done yet, and write the model that a training starts from."""
    rest, output = take(overrides, "output")
    config = compose.load([*rest, f"output={compose.quoted(output or OUTPUT)}"])
    with saved.reserved(config.output), continued_with(" ".join(["rostrum warmstart", *overrides])):
        environment.silence()
        from rostrum.trainer.warmstart import warm_rounds

        _check(config)
        rounds = warm_rounds.warm_start(config)
        model = config.output / warm_rounds.MODEL
    show(rounds)
    tell(f"Each round is a line of {config.output / warm_rounds.TABLE}.")
    tell(f"Train from it with debater.model={model}, and everything else as here.")
    return 0


def _check(config: "Config") -> None:
    """Check everything that can be, and begin, or go on with the same warm start.

    Raises:
        LaunchError: the folder holds something else.
    """
    from rostrum.launch import context, manifest
    from rostrum.trainer.config.game import check_protocol
    from rostrum.trainer.run_context import RunContext
    from rostrum.trainer.warmstart import warm_rounds

    run, folder = RunContext(config), RunFolder(config.output)
    if folder.config.exists() and (key := saved.difference(saved.run_config(config.output), config)):
        raise LaunchError(f"{config.output} holds something with another {key}: choose another output=FOLDER.")
    check_protocol(run)
    run.check_engine(config.debater.engine)
    run.questions("train", "heldout")
    config.debater.check(run)
    warm_rounds.check(config)
    context.check_context(run, judges=())
    if not folder.config.exists():
        saved.check_new(config.output)
        manifest.write(folder.manifest, config, f"{config.output.name}: warm start")
        compose.save(config, folder.config)


def show(rounds: "Sequence[Round]") -> None:
    """Print a line for each round."""
    figures.keep("rounds", [found.stored() for found in rounds])
    table = Table(
        "round",
        "kept",
        "quotes a speech, held-out stories",
        "speeches that quote",
        "within the limits",
        "verified",
        "words",
    )
    for found in rounds:
        of, written = found.heldout, found.written
        interval = "" if of.low is None or of.high is None else f" ({of.low:.2f} to {of.high:.2f})"
        table.add_row(
            *map(
                Text,
                (
                    str(found.round) if found.round else "before",
                    f"{found.kept} of {written.speeches}" if written is not None else "",
                    f"{of.quotes or 0:.2f}{interval}",
                    _share(of.quoting),
                    _share(of.in_limits),
                    _share(of.verified),
                    "" if of.words is None else f"{of.words:.0f}",
                ),
            )
        )
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"

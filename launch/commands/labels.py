"""`rostrum labels`: judges are taught from cheaper and dearer labels under a budget. Where should the next dollar go?

What is finished is not done again. The debates are those of an evaluated run: its base debater's and its last
checkpoint's, who was trained against the judge that is taught here.
"""

from collections.abc import Sequence
from pathlib import Path

from rostrum.launch import compose, environment, figures, manifest, saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import show_root
from rostrum.trainer.config import Config
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console

SOURCES = "weak,gold"
"""The sources where none are named."""


def labels(overrides: Sequence[str]) -> int:
    """Teach what is not taught yet, then say where money is best spent."""
    rest, run = take(overrides, "run")
    rest, output = take(rest, "output")
    if run is None or output is None:
        raise LaunchError("Name an evaluated run and a folder: rostrum labels run=RUN output=FOLDER.")
    if RunFolder(Path(run)).config.exists() and not (Path(run) / "evaluation" / "config.yaml").exists():
        raise LaunchError(f"{run} has not been evaluated: run `rostrum evaluate run={run}` first.")
    before, rest = saved.entrusted(Path(run), in_full(rest), evaluated=True)
    config = compose.load(rest, before).model_copy(update={"output": Path(output), "arms": {}})
    with saved.reserved(config.output), continued_with(" ".join(["rostrum labels", *overrides])):
        environment.silence()
        from rostrum.launch.label_sweep import Sweep

        sweep = Sweep(config, Path(run))
        sweep.begin()
        found = sweep.finish()
        root = _finished(config)
    figures.keep("labels", found.stored())
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for sentence in found.sentences:
        console.print(sentence)
    console.print(f"Labels: {config.output / 'labels.html'}")
    show_root(root)
    return 0


def in_full(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with `sources=` and `budgets=` as the keys that they stand for.

    Raises:
        LaunchError: `sources` does not name two.
    """
    rest, named = take(overrides, "sources")
    rest, budgets = take(rest, "budgets")
    two = (named or SOURCES).strip("[]").split(",")
    if len(two) != 2:
        raise LaunchError(f"sources={named} does not name two sources: write sources=CHEAPER,DEARER.")
    chosen = [f"labels.{place}={name.strip()}" for place, name in zip(("cheap", "dear"), two, strict=True)]
    given = {override.partition("=")[0] for override in rest}
    chosen = [one for one in chosen if named is not None or one.partition("=")[0] not in given]
    return [*chosen, *rest, *([f"labels.budgets=[{budgets.strip('[]')}]"] if budgets is not None else [])]


def _finished(config: Config) -> str:
    from rostrum.trainer.evaluation.preregistration import hashes

    manifest.finish(RunFolder(config.output).manifest)
    return hashes.write(config.output)

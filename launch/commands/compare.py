"""`rostrum compare`: arms side by side on the same held-out questions, argued by a run's checkpoint and by the base."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rostrum.envs.files import write_atomically
from rostrum.launch import compose, environment, figures, saved
from rostrum.launch.arguments import take, take_dry_run, tell_dry_run
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import show_root
from rostrum.trainer.config import Comparison, Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.reading import read_json
from rostrum.trainer.store.run_folder import RunFolder

RECONSIDERED = (
    "heldout_judges",
    "questions.heldout",
    "evaluation.questions_seed",
    "cluster",
    "comparison",
    "people.study",
)
"""What may be another than in training; arms may change more, but not what they must share."""
SHARED = ("questions", "judge", "heldout_judges", "cluster", "output", "seed")
"""What the arms of one comparison have in common; debater.model and debater.prompts as well."""

TITLE = "Comparison of arms"
PLAYERS = "policies.json"
"""The file of a comparison that says whose policies played."""


def compare(overrides: Sequence[str]) -> int:
    """Play and judge what has not been yet; write comparison.json, comparison.html and verdicts.parquet."""
    rest, run = take(overrides, "run")
    rest, iteration = take(rest, "iteration")
    rest, names = take(rest, "arms")
    rest, output = take(rest, "output")
    rest, dry = take_dry_run(rest)
    if output is None:
        raise LaunchError("Name a folder: rostrum compare [run=RUN] [iteration=N] [arms=ARM,ARM,...] output=FOLDER.")
    if iteration is not None and (run is None or not iteration.isdecimal()):
        raise LaunchError("iteration=N is a whole number and names a checkpoint of run=RUN: give both, or neither.")
    config = _configuration(run, rest).model_copy(update={"output": Path(output)})
    if config.learners:
        raise LaunchError(
            "A comparison is of one policy in several protocols, and several policies play this run's: compare its "
            "checkpoints with `rostrum tournament`, or leave learners out."
        )
    arms = _arms(config, names)
    policies = _policies(config, run, iteration)
    if dry:
        _check_same(config, arms, policies)
        return tell_dry_run(_cost(config, arms, policies))
    with saved.reserved(config.output), continued_with(" ".join(["rostrum compare", *overrides])):
        _begin(config, arms, policies)
        environment.silence()
        _prepare(config, arms)
        _tell_cost(config, arms, policies)
        _play(config, arms, policies)
    return 0


def _configuration(run: str | None, overrides: Sequence[str]) -> Config:
    """Return the configuration of the run, or the one that the overrides compose; with the default arms where they
    choose no others."""
    if not compose.sets(overrides, "comparison"):
        overrides = ["comparison=default", *overrides]
    if run is None:
        return compose.load(overrides)
    config, overrides = saved.entrusted(Path(run), overrides)
    return saved.changed(config, saved.tested_on(overrides), RECONSIDERED)


def _arms(config: Config, names: str | None) -> dict[str, Config]:
    """Return the chosen arms, in the order in which they are named.

    Raises:
        LaunchError: there is no such arm, or it would not be comparable.
    """
    known = config.comparison.arms
    chosen = list(known) if names is None else names.split(",")
    for name in chosen:
        if name not in known:
            raise LaunchError(f"There is no arm {name!r}: choose among {', '.join(known)}, or set comparison.arms.")
    if len(set(chosen)) < max(len(chosen), 2):
        raise LaunchError("A comparison needs at least two arms, each named once: arms=ARM,ARM[,...].")
    return {name: _arm(config, name) for name in chosen}


def _arm(config: Config, name: str) -> Config:
    arm = compose.load(config.comparison.arms[name], config)
    same = arm.model_copy(update={key: getattr(config, key) for key in SHARED})
    debater = same.debater.model_copy(
        update={"model": config.debater.model, "prompts": config.debater.prompts, "lora": config.debater.lora}
    )
    if key := saved.difference(arm, same.model_copy(update={"debater": debater})):
        raise LaunchError(f"The arm {name} changes {key}, which all arms share: leave that override out.")
    if not arm.protocol.sides:
        raise LaunchError(f"Nobody speaks in the arm {name}: leave it out (naive and expert judges are always there).")
    return arm.model_copy(update={"comparison": arm.comparison.model_copy(update={"arms": {}})})


def _policies(config: Config, run: str | None, iteration: str | None) -> dict[int, str]:
    """Return the folders of the base and of the chosen checkpoint, by iteration.

    Raises:
        LaunchError: the run has no such checkpoint.
    """
    if run is None:
        return {0: config.debater.model}
    folder = RunFolder(Path(run))
    published = folder.published()
    wanted = folder.final(config.iterations) if iteration is None else int(iteration)
    for needed in (0, wanted):
        if needed not in published:
            raise LaunchError(f"{run} has no policy of iteration {needed}: train it, or choose among {published}.")
    return {number: str(folder.policy(number)) for number in sorted({0, wanted})}


def _check_same(config: Config, arms: Mapping[str, Config], policies: Mapping[int, str]) -> None:
    """Refuse what is in the folder unless the same policies played the same arms on the same questions; arms may be
    added.

    Raises:
        LaunchError: it holds another comparison.
    """
    played_by = config.output / PLAYERS
    if played_by.exists() and read_json(played_by, object) != _players(policies):
        raise LaunchError(f"{config.output} compares other policies: choose another output=FOLDER.")
    for path, asked in _files(config, arms).items():
        if path.exists() and (key := saved.difference(compose.read(path), asked)):
            raise LaunchError(f"{path.parent} was made with another {key}: choose another output=FOLDER.")


def _begin(config: Config, arms: Mapping[str, Config], policies: Mapping[int, str]) -> None:
    """Write down who plays what, unless the folder holds another comparison."""
    if not (config.output / PLAYERS).exists():
        saved.check_new(config.output)
    _check_same(config, arms, policies)
    write_atomically(config.output / PLAYERS, json.dumps(_players(policies)))
    for path, asked in _files(config, arms).items():
        compose.save(asked, path)


def _files(config: Config, arms: Mapping[str, Config]) -> dict[Path, Config]:
    """Return what is shared, and every arm, by the file that keeps it."""
    shared = config.model_copy(update={"comparison": Comparison()})
    of_arms = {config.output / "arms" / name / "config.yaml": arm for name, arm in arms.items()}
    return {config.output / "config.yaml": shared, **of_arms}


def _players(policies: Mapping[int, str]) -> dict[str, str]:
    return {str(number): path for number, path in policies.items()}


def _tell_cost(config: Config, arms: Mapping[str, Config], policies: Mapping[int, str]) -> None:
    if (cost := _cost(config, arms, policies)) is not None:
        from rostrum.trainer.progress import say

        say(cost)


def _cost(config: Config, arms: Mapping[str, Config], policies: Mapping[int, str]) -> str | None:
    """Return what endpoints will cost, in words; None where there is none."""
    models = [*config.judge_models, *(model for arm in arms.values() for model in arm.decoding.needs())]
    if all(model.endpoint is None for model in models):
        return None
    from rostrum.launch import compare_estimate, estimate

    return estimate.sentence([("the comparison", compare_estimate.comparison(config, arms, list(policies)))])


def _prepare(config: Config, arms: Mapping[str, Config]) -> None:
    """Check what can be known before anything is played, and that the judges are those that the folder knows."""
    from rostrum.launch import checks, context, manifest
    from rostrum.trainer import model_checks
    from rostrum.trainer.run_context import RunContext

    known = RunContext(config)
    model_checks.check_model(config.debater.model)
    config.evaluation.check_questions(known)
    checks.check_teachers(known)
    checks.check_judges(config.judge_models, known)
    for arm in arms.values():
        context.check_context(RunContext(arm))
    record = RunFolder(config.output).manifest
    manifest.check_judges(record, config)
    if not record.exists():
        manifest.write(record, config, TITLE)


def _play(config: Config, arms: Mapping[str, Config], policies: Mapping[int, str]) -> None:
    from rostrum.launch import manifest
    from rostrum.trainer.evaluation.comparisons.comparison import Comparison as Play
    from rostrum.trainer.evaluation.comparisons.comparison import Player
    from rostrum.trainer.evaluation.comparisons.contrasts import contrasts
    from rostrum.trainer.evaluation.verdict_table import write_verdicts
    from rostrum.trainer.models import loading
    from rostrum.trainer.progress import say
    from rostrum.trainer.report.comparison_page import write_comparison

    players = [Player(number, loading.resolve(path)) for number, path in policies.items()]
    play = Play(config, arms, players, config.output)
    own = play.own_answers()
    table = play.verdicts()
    write_verdicts(table, config.output / "verdicts.parquet")
    found = contrasts(table, own)
    write_atomically(config.output / "comparison.json", json.dumps(found, indent=1))
    write_comparison(config.output, f"{TITLE}: {', '.join(arms)}", found)
    manifest.finish(RunFolder(config.output).manifest)
    figures.keep("comparison", found)
    show_root(hashes.write(config.output))
    say(f"The comparison is in {config.output}/comparison.html and {config.output}/comparison.json.")

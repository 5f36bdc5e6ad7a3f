"""`rostrum study`: an experiment from its declaration to one report, in one folder.

    protocol.lock                     what was declared before anything was run (`rostrum plan`)
    arms/debate-s1/ ...               runs: the same settings but for the protocol and the training seed
    tournament/                       the checkpoints of all runs, each against those of its protocol
    study.html study.json             the answer for each protocol over its seeds
    report.html ablation.html ...     what `rostrum demo` and `rostrum ablate` write

A conductor: every part is a command of its own, and one that is finished is not done again.
"""

from collections.abc import Sequence

from rostrum.launch import compose, manifest, saved
from rostrum.launch.arms import Arm, arms_of
from rostrum.launch.commands.ablate import OWN, check, tell_failures
from rostrum.launch.commands.demo import begin
from rostrum.launch.commands.plan import plan
from rostrum.launch.commands.tournament import tournament
from rostrum.launch.errors import continued_with
from rostrum.launch.results import show_root, show_summary
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.evaluation.replicates import replicates
from rostrum.trainer.progress import say
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console

TOURNAMENT = "tournament"
WRITTEN = ("manifest.json", *hashes.reported(experiment=True), "study.*", "ablation.*", "cells.*")
"""What is written again however often the study is started."""


def study(overrides: Sequence[str]) -> int:
    """Do what is not done yet, then report; return 1 if a run has failed."""
    given = list(overrides) if compose.sets(overrides, "experiment") else ["experiment=study", *overrides]
    settings = compose.load(given).ablation
    what = [override for override in given if not override.startswith(OWN)]
    config = compose.load(what)
    arms = arms_of(config, what)
    with continued_with(" ".join(["rostrum study", *overrides])):
        plan(what)
        with saved.reserved(config.output):
            begin(config, arms)
            check(arms)
            from rostrum.launch import ray_cells

            failures = ray_cells.finish(arms, settings, config.cluster)
            if not failures:
                _meet(config, arms)
                _report(config, arms)
    return tell_failures(failures)


def _meet(config: Config, arms: Sequence[Arm]) -> None:
    """Play one tournament, in which checkpoints that were trained to persuade meet those of their own protocol."""
    folder = config.output / TOURNAMENT
    if not (folder / "tournament.json").exists():
        say("tournament")
        persuaders = ",".join(str(arm.folder) for arm in arms if _is_paid_for_approval(arm))
        questions = f"questions.heldout={config.study.tournament_questions}"
        tournament([f"runs={persuaders}", f"output={folder}", questions])


def _is_paid_for_approval(arm: Arm) -> bool:
    return arm.config.reward.clip > 0


def _report(config: Config, arms: Sequence[Arm]) -> None:
    from rostrum.trainer.evaluation.comparisons.ablation import Result, compare, told_by
    from rostrum.trainer.evaluation.comparisons.standings import read_standings
    from rostrum.trainer.report.ablation_page import write_ablation
    from rostrum.trainer.report.experiment_report import report
    from rostrum.trainer.report.study import write_study

    folder = config.output
    summary = report(folder, list(config.arms))
    order = list(config.arms)
    pooled = sorted(summary.pooled, key=lambda group: order.index(group.arms[0]))
    summary = summary.model_copy(update={"pooled": pooled})
    settings = [
        {
            "protocol": arm.config.protocol.name,
            "paid for": "approval" if _is_paid_for_approval(arm) else "quotes alone",
            "seed": str(arm.config.seed),
        }
        for arm in arms
    ]
    results = [Result(arm.name, own, arm.folder) for arm, own in zip(arms, settings, strict=True)]
    groups = replicates({arm.name: arm.config.model_dump(mode="json") for arm in arms})
    found = compare(results, groups, told_by(summary))
    title = f"Study: {folder.name}"
    write_ablation(folder, title, found)
    write_study(folder, title, summary, found, read_standings(folder / TOURNAMENT / "tournament.json"))
    manifest.finish(RunFolder(folder).manifest)
    manifest.evaluated(config, folder)
    root = hashes.write(folder, WRITTEN)
    show_summary(summary, folder)
    show_root(root)
    Console(soft_wrap=True, markup=False, highlight=False).print(f"Study: {folder / 'study.html'}")

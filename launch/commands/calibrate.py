"""`rostrum judge calibrate`: fits temperature and position bias of a judge, and writes the calibrated judge's YAML."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rostrum.envs.files import write_atomically
from rostrum.envs.questions.splits import fraction
from rostrum.launch import compose, environment, figures
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError
from rostrum.rewards import labelled
from rostrum.rewards.calibration import Calibration, fit, log_loss_of
from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.settings import TAUGHT
from rostrum.rewards.types import Verdict
from rostrum.trainer.progress import say
from rostrum.trainer.reading import read_yaml

QUESTIONS = 500
"""Training questions that the base debater argues, both seatings, where no file of debates is given."""


def calibrate(overrides: Sequence[str]) -> int:
    """Fit on all debates, and tell what that is worth by a fit on half of the stories, tried on the other half."""
    rest, debates = take(overrides, "debates")
    rest, output = take(rest, "output")
    if output is None or not output.endswith(".yaml"):
        raise LaunchError("Name the file to write: rostrum judge calibrate judge=NAME output=FILE.yaml [debates=FILE].")
    _check_free(Path(output))
    config = compose.load(rest)
    environment.silence()
    from rostrum.launch import checks
    from rostrum.trainer import setup
    from rostrum.trainer.evaluation.labelled_debates import play_labelled
    from rostrum.trainer.evaluation.people.teaching import lessons, taught
    from rostrum.trainer.run_context import RunContext

    known = RunContext(config)
    checks.check_judges(config.judge.needs(), known, counted=False)
    study = config.people.study if config.judge.needs() else None
    if study is not None and debates is None:
        cases = lessons(study)
    else:
        cases = labelled.read(Path(debates)) if debates else play_labelled(config, "train", QUESTIONS)
        checks.tell_held_out(known, cases)
    verdicts = setup.judge(config.judge).judge([case.transcript for case in cases])
    _tell_worth(verdicts, cases)
    found = fit(verdicts, cases)
    figures.keep("calibration", found.model_dump(mode="json"))
    say(f"all stories: temperature {found.temperature:.3f}, position bias {found.bias:+.3f} nats")
    of_people = None if study is None or debates else taught(study, cases, config.judge)
    _write(Path(output), config.judge, found, of_people)
    say(f"The calibrated judge is in {output}: use it with judge={output}.")
    return 0


def _check_free(path: Path) -> None:
    """Refuse to write over anything but a calibrated judge.

    Raises:
        LaunchError: the file holds something else.
    """
    if path.is_symlink() or (path.exists() and read_yaml(path, "choose another output").get("kind") != "calibrated"):
        raise LaunchError(f"{path} holds something else than a calibrated judge: choose another output=FILE.yaml.")


def _tell_worth(verdicts: Sequence[Verdict], cases: Sequence[Labelled]) -> None:
    """Log loss on stories that the fit did not see."""
    pairs = list(zip(verdicts, cases, strict=True))
    halves: tuple[list[tuple[Verdict, Labelled]], ...] = ([], [])
    for verdict, case in pairs:
        halves[fraction(case.transcript.question.story_id) < 0.5].append((verdict, case))
    seen, other = halves[1], [pair for pair in halves[0] if pair[0].valid]
    if not seen or not other:
        say("too few stories to try the fit on some that it has not seen: only the fit on all of them is written")
        return
    found, debates = fit(*zip(*seen, strict=True)), [case for _, case in other]
    before = log_loss_of([verdict for verdict, _ in other], debates)
    after = log_loss_of([found.verdict(verdict) for verdict, _ in other], debates)
    say(f"log loss on {len(other)} debates of stories not fitted on: {before:.4f} before, {after:.4f} after")


def _write(path: Path, base: JudgeSettings, found: Calibration, taught: Mapping[str, Any] | None) -> None:
    settings: dict[str, Any] = {
        "kind": "calibrated",
        "name": f"{base.name}-calibrated",
        "base": base.model_dump(mode="json"),
        "calibration": found.model_dump(mode="json"),
    }
    if taught is not None:
        beside = path.with_suffix(f".{TAUGHT}")
        write_atomically(beside, json.dumps(taught, indent=1))
        settings["taught_on"] = str(beside.absolute())
    write_atomically(path, yaml.safe_dump(settings, sort_keys=False))

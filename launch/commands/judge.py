"""`rostrum judge ACTION`: judges are calibrated, taught, or taught in rounds with debaters that try to fool them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rostrum.launch import compose, environment, figures, saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError, Stopped
from rostrum.trainer.terminal import Console

if TYPE_CHECKING:
    from rostrum.rewards.labelled import Labelled
    from rostrum.trainer.config import Config


def judge(words: Sequence[str]) -> int:
    """Carry out the action that the first word names; the others are overrides of the configuration."""
    action, *overrides = words or [""]
    if action not in ACTIONS:
        known = " or ".join(ACTIONS)
        raise LaunchError(f"Write `rostrum judge {known} KEY=VALUE ...`: {action!r} is no action.")
    return ACTIONS[action](overrides)


def _train(overrides: Sequence[str]) -> int:
    """Fine-tune the configured judge on labelled debates."""
    rest, debates = take(overrides, "debates")
    if take(rest, "output")[1] is None:
        raise LaunchError("Name the folder to write the judge into: rostrum judge train output=FOLDER.")
    config = compose.load([*rest, *([f"judge_training.debates={debates}"] if debates else [])])
    with saved.reserved(config.output):
        try:
            record = _taught(config)
        except KeyboardInterrupt:
            again = " ".join(["rostrum judge train", *overrides])
            raise Stopped(f"stopped; {config.output} holds no judge; start again with `{again}`") from None
    _tell(config, record)
    return 0


def _taught(config: "Config") -> dict[str, Any]:
    environment.silence()
    from rostrum.trainer import model_checks
    from rostrum.trainer.judge_training import folder, training

    folder.check_free(config.output)
    student = training.student_of(config.judge, config.judge_training)
    model_checks.check_model(student.judge.model, student.judge.has_head, config.judge_training.lora, trained=True)
    debates, study = _debates(config), config.people.study
    if study is None:
        return training.train_judge(config, debates, config.output)
    from rostrum.trainer.evaluation.people.teaching import taught

    return training.train_judge(config, debates, config.output, taught(study, debates, config.judge))


def _debates(config: "Config") -> "list[Labelled]":
    from rostrum.launch import checks
    from rostrum.rewards import labelled
    from rostrum.trainer import model_checks
    from rostrum.trainer.evaluation.labelled_debates import play_labelled
    from rostrum.trainer.run_context import RunContext

    if config.people.study is not None:
        if config.judge_training.debates is not None:
            raise LaunchError("people.study and judge_training.debates both name what a judge learns from: give one.")
        from rostrum.trainer.evaluation.people.teaching import lessons

        return lessons(config.people.study)
    if config.judge_training.debates is not None:
        debates = labelled.read(config.judge_training.debates)
        checks.tell_held_out(RunContext(config), debates)
        return debates
    model_checks.check_model(config.debater.model)
    return play_labelled(config, "train", config.judge_training.questions)


def _tell(config: "Config", record: dict[str, Any]) -> None:
    figures.keep("judge", record)
    held_out, fitted = record["held_out"], record["calibration"]
    change = held_out["change"]
    console = Console(soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"Held-out accuracy {held_out['before']['accuracy']:.1%} -> {held_out['after']['accuracy']:.1%} "
        f"({100 * change['change']:+.1f} points, 95 % interval {100 * change['low']:+.1f} to "
        f"{100 * change['high']:+.1f}, {held_out['after']['n']} debates): {change['headline']}."
    )
    console.print(f"Temperature {fitted['temperature']:.3f}, bias {fitted['bias']:+.3f}.")
    where = config.output
    console.print(f"Use it as judge={where}/judge.yaml, or calibrated as judge={where}/calibrated.yaml.")


def _adversarial(overrides: Sequence[str]) -> int:
    from rostrum.launch.commands.adversarial import adversarial

    return adversarial(overrides)


def _calibrate(overrides: Sequence[str]) -> int:
    from rostrum.launch.commands.calibrate import calibrate

    return calibrate(overrides)


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {
    "calibrate": _calibrate,
    "train": _train,
    "adversarial": _adversarial,
}
